"""What a Tenant may say, and when it may go (TN-1 to TN-5, TN-8, TN-9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.api import labels
from tenantry.api.shared import AdditionalMetadata
from tenantry.api.tenant import NamespaceOptions, Tenant
from tenantry.foundation.names import (
    annotation_key_problem,
    dns_label_problem,
    label_key_problem,
    label_value_problem,
)
from tenantry.foundation.templates import TemplateError, fast_render
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.validation.deprecations import tenant_warnings
from tenantry.tenancy.validation.expressions import expression_problems
from tenantry.tenancy.validation.items import item_problems
from tenantry.tenancy.validation.rules import KnownKinds, rule_problems
from tenantry.tenancy.validation.subjects import binding_problems, user_problems
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Denial, Mutation, Notice, Verdict

INVALID: Final = "AdmissionFailed"
PROTECTED: Final = "tenant is protected and cannot be deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantContext:
    """All that a decision about a Tenant may depend on, besides the request itself."""

    role: Role
    """``identity.role_of`` the requester."""
    known_kinds: KnownKinds | None = None
    """Scope of a kind, by group selector and kind, None for one that the cluster lacks; None where nobody asked."""


def mutate(request: Request) -> Mutation:
    """Return the label that every Tenant carries, whatever a user writes there (TN-1).

    Raises:
        DecodeError: The object is no Tenant.
    """
    if request.operation not in {Operation.CREATE, Operation.UPDATE} or request.subresource:
        return UNCHANGED
    metadata = request.new(Tenant).metadata
    name = metadata.name
    # With generateName there is no name yet: the controller adds the label.  A name that can be
    # no label's value is refused by what validates, in words about the name.
    if not name or label_value_problem(name) or (metadata.labels or {}).get(labels.METADATA_NAME) == name:
        return UNCHANGED
    return Mutation(labels={labels.METADATA_NAME: name})


def check(request: Request, context: TenantContext) -> Verdict:
    """Judge a CREATE, UPDATE or DELETE of a Tenant.

    Raises:
        DecodeError: An object is no Tenant.
    """
    if request.subresource:
        return ALLOWED
    if request.operation is Operation.DELETE:
        return _deletion(request.old(Tenant))
    if context.role is Role.CONTROLLER or request.operation not in {Operation.CREATE, Operation.UPDATE}:
        return ALLOWED
    old, new = request.old(Tenant), request.new(Tenant)
    problems = tuple(_problems(old, new, context))
    if problems:
        return Verdict(denial=Denial(reason=INVALID, message=f"Tenant {new.metadata.name!r}: {'; '.join(problems)}"))
    return Verdict(notices=_notices(old, new), warnings=tenant_warnings(new.spec))


def _deletion(tenant: Tenant | None) -> Verdict:
    # One that terminates is deleted already: its protection was off when that was asked.
    if tenant is None or not tenant.spec.prevent_deletion or tenant.metadata.deletion_timestamp is not None:
        return ALLOWED
    return Verdict(denial=Denial(reason=INVALID, message=PROTECTED))


def _problems(old: Tenant | None, new: Tenant, context: TenantContext) -> Iterator[str]:
    if old is None and new.metadata.name:
        problem = dns_label_problem(new.metadata.name)
        if problem:  # D-1: the whole name, which becomes a label's value and part of other names.
            yield f"metadata.name: {problem}"
    if old is not None and old.spec == new.spec:
        return  # What is stored was accepted once: finalizers and labels must still go on and off.
    spec = new.spec
    yield from _metadata_problems(new)
    yield from expression_problems(spec)
    yield from user_problems("spec.owners", spec.owners)
    yield from binding_problems("spec.additionalRoleBindings", spec.additional_role_bindings)
    for index, rule in enumerate(spec.rules):
        if rule.permissions is not None:
            yield from binding_problems(f"spec.rules[{index}].permissions.bindings", rule.permissions.bindings)
    yield from rule_problems(spec.rules, known_kinds=context.known_kinds, tenant=new)
    yield from item_problems(spec)


def _metadata_problems(tenant: Tenant) -> Iterator[str]:
    options = tenant.spec.namespace_options or NamespaceOptions()
    path = "spec.namespaceOptions"
    # Any namespace will do: its name has the form of a label's value.
    values = {"tenant.name": tenant.metadata.name, "namespace": "namespace"}
    parts: list[tuple[str, AdditionalMetadata | None]] = [(f"{path}.additionalMetadata", options.additional_metadata)]
    parts += [
        (f"{path}.additionalMetadataList[{index}]", entry)
        for index, entry in enumerate(options.additional_metadata_list)
    ]
    for prefix, metadata in parts:
        if metadata is not None:
            yield from _label_problems(f"{prefix}.labels", metadata.labels or {}, values)
            yield from _annotation_problems(f"{prefix}.annotations", metadata.annotations or {}, values)


def _label_problems(path: str, texts: Mapping[str, str], values: Mapping[str, str]) -> Iterator[str]:
    for key, text in texts.items():
        problem = label_key_problem(key)
        if problem:
            yield f"{path}[{key}]: {problem}"
        try:
            problem = label_value_problem(fast_render(text, values))
        except TemplateError as error:
            problem = str(error)
        if problem:
            yield f"{path}[{key}]: {text!r} {problem}"


def _annotation_problems(path: str, texts: Mapping[str, str], values: Mapping[str, str]) -> Iterator[str]:
    for key, text in texts.items():
        problem = annotation_key_problem(key)
        if problem:
            yield f"{path}[{key}]: {problem}"
        try:
            fast_render(text, values)
        except TemplateError as error:
            yield f"{path}[{key}]: {text!r} {error}"


def _notices(old: Tenant | None, new: Tenant) -> tuple[Notice, ...]:
    if old is None or old.spec.cordoned == new.spec.cordoned:
        return ()
    name = new.metadata.name
    if new.spec.cordoned:
        return (Notice(reason="Cordoned", action="Cordoned", message=f"Tenant {name!r} has been cordoned"),)
    return (Notice(reason="UnCordoned", action="UnCordoned", message=f"Tenant {name!r} has been uncordoned"),)
