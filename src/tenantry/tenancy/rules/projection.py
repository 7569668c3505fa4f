"""From a Tenant's rules to the blocks of one namespace: selection, defaults, templates (spec 13.18)."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final

from tenantry.api.meta import ObjectMeta
from tenantry.api.rules import Enforce, NamespaceRule, TenantRule
from tenantry.api.selecting import matches
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import encode, from_plain, to_plain
from tenantry.foundation.templates import render

_EXPRESSION_FIELD: Final = "exp"
_EXPRESSION_SIGNS: Final = re.compile(r"([\\.+*?()|\[\]{}^$])")

Context = Mapping[str, Any]


def selected_rules(tenant: Tenant, namespace: ObjectMeta) -> Iterator[tuple[int, TenantRule]]:
    """Yield the rules that enforce something in *namespace*, with their places in ``spec.rules``."""
    for index, rule in enumerate(tenant.spec.rules):
        if rule.enforce is not None and matches(rule.namespace_selector, namespace.labels):
            yield index, rule


def projected(rule: TenantRule) -> NamespaceRule:
    """Return *rule* as a block of a namespace, templates unrendered: no selector, permissions or quota."""
    enforce = rule.enforce or Enforce()
    if not enforce.action:
        enforce = Enforce(
            action="deny",
            workloads=enforce.workloads,
            services=enforce.services,
            ingress=enforce.ingress,
            metadata=enforce.metadata,
        )
    return NamespaceRule(audience=rule.audience, enforce=enforce)


def has_templates(block: NamespaceRule | TenantRule) -> bool:
    """Return whether anything in *block* is a template."""
    return b"{{" in encode(block)


def rendered(block: NamespaceRule, tenant: Tenant, namespace: ObjectMeta) -> NamespaceRule:
    """Return *block* with its templates rendered.

    Raises:
        TemplateError: A template is wrong, or asks for what is not there.
        DecodeError: What came out is no block.
    """
    if not has_templates(block):
        return block
    context = template_context(tenant, namespace)
    quoted = {**context, "namespace": _quoted(context["namespace"])}
    return from_plain(_rendered(to_plain(block), context, quoted), NamespaceRule)


def template_context(tenant: Tenant, namespace: ObjectMeta) -> Context:
    """Return what templates can ask for: of the tenant its metadata, spec and ``data``; of the namespace its metadata.

    Each has its name, labels and annotations on its first level too.
    """
    owner = _metadata(tenant.metadata)
    spec = to_plain(tenant.spec)
    spec.pop("rules", None)  # A rule about itself could never be rendered.
    place = _metadata(namespace)
    return {
        "tenant": {**owner, "metadata": owner, "spec": spec, "data": spec.get("data")},
        "namespace": {**place, "metadata": place},
    }


def projection_key(tenant: Tenant, namespace: ObjectMeta) -> Hashable:
    """Return a key that is equal where the effective rules are: for a cache of rule sets, shared by namespaces.

    It holds for one cluster.  Where no selected rule is a template, only the choice of
    rules counts; else all that templates can ask for does.
    """
    chosen = tuple(index for index, _ in selected_rules(tenant, namespace))
    owner = tenant.metadata
    key = (owner.name, owner.uid, owner.generation, chosen)
    if not any(has_templates(tenant.spec.rules[index]) for index in chosen):
        return key
    # Labels and annotations change without a new generation.
    return (*key, *_identity(owner), *_identity(namespace))


def _identity(metadata: ObjectMeta) -> tuple[Hashable, ...]:
    texts = (metadata.labels, metadata.annotations)
    return metadata.name, metadata.uid, *(frozenset((pairs or {}).items()) for pairs in texts)


def _metadata(metadata: ObjectMeta) -> dict[str, Any]:
    return {
        "name": metadata.name,
        "uid": metadata.uid,
        "labels": metadata.labels or {},
        "annotations": metadata.annotations or {},
    }


def _rendered(value: Any, context: Context, quoted: Context) -> Any:
    match value:
        case str():
            return render(value, context)
        case dict():
            return {
                render(key, context): _rendered(item, quoted if key == _EXPRESSION_FIELD else context, quoted)
                for key, item in value.items()
            }
        case list() | tuple():
            return [_rendered(item, context, quoted) for item in value]
        case _:
            return value


def _quoted(value: Any) -> Any:
    """Return *value* with all texts made literal for an expression.

    Labels and annotations of a namespace are its owner's: an annotation ``.*`` must not
    become a pattern that matches everything.
    """
    if isinstance(value, str):
        return _EXPRESSION_SIGNS.sub(r"\\\1", value)
    return {key: _quoted(item) for key, item in value.items()} if isinstance(value, dict) else value
