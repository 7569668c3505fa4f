"""What tenants and the installation ask of namespaces, beyond ownership (N-12 to N-19)."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.meta import LabelSelector, ObjectMeta
from tenantry.api.rules import Enforce, ExpressionMatch, MetadataPolicy, MetadataRule, TenantRule
from tenantry.api.shared import AdditionalMetadata, CoreOwner, ForbiddenList, RequiredMetadata, UserSpec
from tenantry.api.tenant import NamespaceOptions, Tenant, TenantSpec
from tenantry.foundation.codec import Raw, encode
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.namespaces.validation import check
from tenantry.tenancy.request import Operation, Request, Requester, Role
from tenantry.tenancy.verdict import ALLOWED, Denial, Verdict
from tenantry.tenancy.views import Installation, TenantView

LABEL = "capsule.clastix.io/tenant"
NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
ALICE = Requester(username="alice", groups=frozenset({"projectcapsule.dev"}))


def _oil(spec: TenantSpec) -> TenantView:
    return TenantView(
        tenant=Tenant(metadata=ObjectMeta(name="oil", uid="u-oil"), spec=spec),
        owners=(CoreOwner(kind="User", name="alice"), CoreOwner(kind="User", name="root")),
    )


def _namespace(
    name: str = "oil-dev",
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    terminating: bool = False,
) -> dict[str, Any]:
    """Return a namespace of tenant oil."""
    metadata: dict[str, Any] = {
        "name": name,
        "labels": {LABEL: "oil", "kubernetes.io/metadata.name": name, **(labels or {})},
        "annotations": annotations or {},
        "ownerReferences": [
            {"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant", "name": "oil", "uid": "u-oil"}
        ],
    }
    if terminating:
        metadata["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    return {"metadata": metadata}


def _check(
    spec: TenantSpec,
    new: dict[str, Any] | None,
    *,
    old: dict[str, Any] | None = None,
    role: Role = Role.CAPSULE_USER,
    configuration: CapsuleConfigurationSpec | None = None,
    counted: frozenset[str] | None = None,
    subresource: str = "",
) -> Verdict:
    operation = Operation.CREATE if old is None else Operation.DELETE if new is None else Operation.UPDATE
    username = {Role.ADMINISTRATOR: "root", Role.UNKNOWN: "someone"}.get(role, "alice")
    request = Request(
        operation=operation,
        kind="Namespace",
        resource="namespaces",
        subresource=subresource,
        requester=Requester(username=username, groups=ALICE.groups),
        object=None if new is None else Raw(encode(new)),
        old_object=None if old is None else Raw(encode(old)),
    )
    context = NamespaceContext(
        installation=Installation(
            configuration=configuration
            or CapsuleConfigurationSpec(administrators=(UserSpec(kind="User", name="root"),)),
        ),
        role=role,
        tenants={"oil": _oil(spec)},
        counted=counted,
    )
    return check(request, context)


def _refusal(reason: str, message: str) -> Verdict:
    return Verdict(denial=Denial(reason=reason, message=message))


CORDONED = _refusal("Cordoned", "the selected tenant is cordoned")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, _namespace()),
        (_namespace(), _namespace(labels={"a": "b"})),
        (_namespace(), None),
    ],
)
def test_a_cordoned_tenant_is_closed_to_its_users_alone(old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
    """N-12: on CREATE, UPDATE and DELETE; administrators and everybody unknown go on."""
    spec = TenantSpec(cordoned=True)

    assert _check(spec, new, old=old) == CORDONED
    assert _check(spec, new, old=old, role=Role.ADMINISTRATOR) == ALLOWED
    if old is not None:
        assert _check(spec, new, old=old, role=Role.UNKNOWN) == ALLOWED


def test_the_label_that_cordons_a_namespace_can_be_taken_off() -> None:
    """The namespace's own cordon does not hold its owner back (I-10)."""
    old = _namespace(labels={"projectcapsule.dev/cordoned": "true"})

    assert _check(TenantSpec(), _namespace(), old=old) == ALLOWED


def test_what_terminates_may_be_deleted_again() -> None:
    """N-22: also in a cordoned tenant."""
    assert _check(TenantSpec(cordoned=True), None, old=_namespace(terminating=True)) == ALLOWED


FULL = _refusal("Overprovisioned", "Cannot exceed Namespace quota: please, reach out to the system administrators")


@pytest.mark.parametrize(
    ("counted", "verdict"),
    [
        (frozenset(), ALLOWED),
        (frozenset({"oil-a"}), ALLOWED),
        (frozenset({"oil-a", "oil-b"}), FULL),
        (frozenset({"oil-a", "oil-b", "oil-c"}), FULL),
        (frozenset({"oil-a", "oil-dev"}), ALLOWED),
        (frozenset({"oil-a", "oil-b", "oil-dev"}), ALLOWED),
        (None, FULL),
    ],
)
def test_the_namespace_quota(counted: frozenset[str] | None, verdict: Verdict) -> None:
    """N-13: a name that counts already takes no more room; where nobody counted, there is none."""
    spec = TenantSpec(namespace_options=NamespaceOptions(quota=2))

    assert _check(spec, _namespace(), counted=counted) == verdict
    assert _check(spec, _namespace(), counted=counted, role=Role.ADMINISTRATOR) == verdict
    assert _check(spec, _namespace(labels={"a": "b"}), old=_namespace(), counted=counted) == ALLOWED


@pytest.mark.parametrize(
    ("pattern", "name", "role", "is_refused"),
    [
        ("^kube-", "kube-dev", Role.CAPSULE_USER, True),
        ("^kube-", "my-kube-dev", Role.CAPSULE_USER, False),
        ("kube", "my-kube-dev", Role.CAPSULE_USER, True),
        ("^kube-", "kube-dev", Role.ADMINISTRATOR, False),
        ("(", "oil-dev", Role.CAPSULE_USER, True),
        ("", "oil-dev", Role.CAPSULE_USER, False),
    ],
)
def test_protected_names(pattern: str, name: str, role: Role, *, is_refused: bool) -> None:
    """N-14, 13.10: an unanchored search; an expression that does not compile protects everything (D-16)."""
    verdict = _check(
        TenantSpec(),
        _namespace(name),
        role=role,
        configuration=CapsuleConfigurationSpec(protected_namespace_regex=pattern),
    )

    expected = _refusal(
        "ProtectedNamespace",
        f"Creating namespaces with name matching {pattern} regexp is not allowed; "
        "please, reach out to the system administrators",
    )
    assert verdict == (expected if is_refused else ALLOWED)


@pytest.mark.parametrize(
    ("by_tenant", "by_installation", "name", "is_refused"),
    [
        (None, True, "oil-dev", False),
        (None, True, "dev", True),
        (None, True, "oil", True),
        (None, True, "oildev", True),
        (None, False, "dev", False),
        (False, True, "dev", False),
        (True, False, "dev", True),
        (True, False, "oil-dev", False),
    ],
)
def test_the_forced_prefix(*, by_tenant: bool | None, by_installation: bool, name: str, is_refused: bool) -> None:
    """N-15: the tenant's setting wins; the bare name of the tenant is refused."""
    verdict = _check(
        TenantSpec(force_tenant_prefix=by_tenant),
        _namespace(name),
        configuration=CapsuleConfigurationSpec(force_tenant_prefix=by_installation),
    )

    message = f"The namespace doesn't match the tenant prefix, expected oil-{name}"
    assert verdict == (_refusal("InvalidTenantPrefix", message) if is_refused else ALLOWED)


@pytest.mark.parametrize("subresource", ["", "status"])
def test_metadata_rules_for_the_kind_namespace(subresource: str) -> None:
    """N-16: also via /status, and by the rules of the stored labels, whatever the new ones are."""
    rule = TenantRule(
        namespace_selector=LabelSelector(match_labels={"env": "prod"}),
        enforce=Enforce(
            action="allow",
            metadata=(
                MetadataRule(
                    kinds=("Namespace",),
                    labels={"tier": MetadataPolicy(required=True, values=(ExpressionMatch(exact=("gold",)),))},
                ),
            ),
        ),
    )
    spec = TenantSpec(rules=(rule,))
    prod = {"env": "prod", "tier": "gold"}

    for labels in ({"env": "prod"}, {"env": "prod", "tier": "tin"}, {"env": "dev", "tier": "tin"}, {}):
        verdict = _check(spec, _namespace(labels=labels), old=_namespace(labels=prod), subresource=subresource)
        assert verdict.denial is not None
        assert verdict.denial.reason == "ForbiddenMetadata"
    unchanged = _namespace(labels={"env": "prod"})
    assert _check(spec, unchanged, old=unchanged, subresource=subresource) == ALLOWED
    assert _check(spec, _namespace(labels=prod | {"a": "b"}), old=_namespace(labels=prod)) == ALLOWED


@pytest.mark.parametrize("role", [Role.CAPSULE_USER, Role.ADMINISTRATOR, Role.UNKNOWN])
def test_a_node_selector_that_is_out_of_date_is_no_reason_to_refuse(role: Role) -> None:
    """N-17: only a change is refused, and what the tenant wants passes."""
    spec = TenantSpec(node_selector={"pool": "new"})
    stale = {NODE_SELECTOR: "pool=old"}
    stored = _namespace(annotations=stale)

    assert _check(spec, _namespace(annotations=stale, labels={"a": "b"}), old=stored, role=role) == ALLOWED
    assert _check(spec, _namespace(annotations={NODE_SELECTOR: "pool=new"}), old=stored, role=role) == ALLOWED
    assert _check(spec, _namespace(), old=stored, role=role) == _refusal(
        "ForbiddenNodeSelectorUpdate",
        f"the annotation {NODE_SELECTOR} is enforced by tenant 'oil' as 'pool=new': it can not be removed",
    )


def test_without_a_node_selector_of_the_tenant_the_annotation_is_anybodys() -> None:
    new = _namespace(annotations={NODE_SELECTOR: "pool=x"})

    assert _check(TenantSpec(), new, old=_namespace()) == ALLOWED


FORBIDDING = TenantSpec(
    namespace_options=NamespaceOptions(
        additional_metadata=AdditionalMetadata(labels={"acme.io/team": "oil"}),
        forbidden_labels=ForbiddenList(denied=("foo",), denied_regex="^acme.io/.*$"),
        forbidden_annotations=ForbiddenList(denied=("bar",)),
    )
)


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        (None, {"foo": "1"}, "foo"),
        (None, {"acme.io/x": "1", "foo": "1"}, "acme.io/x, foo"),
        (None, {"acme.io/team": "oil", "free": "1"}, None),
        ({"foo": "1"}, {"foo": "2"}, "foo"),
        ({"foo": "1"}, {}, "foo"),
        ({"foo": "1"}, {"foo": "1", "free": "1"}, None),
        ({"acme.io/team": "oil"}, {}, None),
    ],
)
def test_forbidden_labels_that_change(old: dict[str, str] | None, new: dict[str, str], keys: str | None) -> None:
    """N-18: added, changed and removed ones; keys that the tenant manages itself pass; administrators are exempt."""
    stored = None if old is None else _namespace(labels=old)

    verdict = _check(FORBIDDING, _namespace(labels=new), old=stored)

    expected = ALLOWED
    if keys is not None:
        expected = _refusal(
            "ForbiddenLabel",
            f"label {keys} is forbidden for the current tenant 'oil': "
            "forbidden are: foo; forbidden is what matches the regular expression: ^acme.io/.*$",
        )
    assert verdict == expected
    assert _check(FORBIDDING, _namespace(labels=new), old=stored, role=Role.ADMINISTRATOR) == ALLOWED


def test_forbidden_annotations_that_change() -> None:
    assert _check(FORBIDDING, _namespace(annotations={"bar": "1"})) == _refusal(
        "ForbiddenAnnotation", "annotation bar is forbidden for the current tenant 'oil': forbidden are: bar"
    )


@pytest.mark.parametrize(
    ("labels", "annotations", "refused"),
    [
        ({"env": "prod"}, {"cost": "42"}, None),
        (
            {},
            {"cost": "42"},
            ("ForbiddenLabel", "required label env is missing: tenant 'oil' wants a value that matches ^(prod|dev)$"),
        ),
        (
            {"env": "test"},
            {"cost": "42"},
            ("ForbiddenLabel", "required label env has the value 'test', which does not match ^(prod|dev)$"),
        ),
        (
            {"env": "dev"},
            {},
            ("ForbiddenAnnotation", "required annotation cost is missing: tenant 'oil' wants a value that matches \\d"),
        ),
    ],
)
def test_required_metadata(
    labels: dict[str, str], annotations: dict[str, str], refused: tuple[str, str] | None
) -> None:
    """N-19, D-11: the message names the key, what is wrong with it, and the right noun."""
    spec = TenantSpec(
        namespace_options=NamespaceOptions(
            required_metadata=RequiredMetadata(labels={"env": "^(prod|dev)$"}, annotations={"cost": r"\d"})
        )
    )
    new = _namespace(labels=labels, annotations=annotations)
    expected = ALLOWED if refused is None else _refusal(*refused)

    assert _check(spec, new) == expected
    assert _check(spec, new, role=Role.ADMINISTRATOR) == expected
    assert _check(spec, new, old=_namespace()) == (expected if labels or annotations else ALLOWED)
    assert _check(spec, new, old=new) == ALLOWED


def test_expressions_that_do_not_compile_refuse_and_never_crash() -> None:
    """D-16."""
    options = NamespaceOptions(
        forbidden_labels=ForbiddenList(denied_regex="("), required_metadata=RequiredMetadata(labels={"env": "["})
    )
    spec = TenantSpec(namespace_options=options)

    for labels in ({"a": "b"}, {"env": "x"}):
        verdict = _check(spec, _namespace(labels=labels))
        assert verdict.denial is not None
        assert verdict.denial.reason == "ForbiddenLabel"
