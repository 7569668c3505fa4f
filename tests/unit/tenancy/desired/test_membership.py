"""Which tenant a namespace belongs to."""

from __future__ import annotations

import pytest

from tenantry.api.meta import ObjectMeta, OwnerReference
from tenantry.api.tenant import Tenant
from tenantry.tenancy.desired.membership import referenced_tenants, tenant_of

TENANTS = {name: Tenant(metadata=ObjectMeta(name=name, uid=f"uid-{name}")) for name in ("a", "b")}


def reference(name: str, uid: str | None = None) -> OwnerReference:
    return OwnerReference(api_version="capsule.clastix.io/v1beta2", kind="Tenant", name=name, uid=uid or f"uid-{name}")


@pytest.mark.parametrize(
    ("label", "references", "owner"),
    [
        ("a", [reference("a")], "a"),
        (None, [reference("a")], "a"),
        ("b", [reference("a")], "a"),
        ("a", [], None),
        ("a", [reference("a", "older")], None),
        ("b", [reference("a"), reference("b")], "b"),
        (None, [reference("a"), reference("b")], None),
        (None, [reference("a"), reference("gone")], "a"),
    ],
)
def test_a_valid_reference_decides(label: str | None, references: list[OwnerReference], owner: str | None) -> None:
    labels = {} if label is None else {"capsule.clastix.io/tenant": label}
    metadata = ObjectMeta(labels=labels, owner_references=tuple(references))

    assert tenant_of(metadata, TENANTS.get) == (TENANTS[owner] if owner else None)


def test_the_index_also_knows_invalid_references() -> None:
    assert referenced_tenants(ObjectMeta(owner_references=(reference("a", "older"),))) == {"a"}
