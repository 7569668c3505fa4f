"""Tenants and namespaces to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tenantry.api.meta import CAPSULE_API_VERSION, ObjectMeta, OwnerReference
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import from_plain

MakeTenant = Callable[..., Tenant]
MakeNamespace = Callable[..., ObjectMeta]


def _tenant(
    name: str = "oil",
    spec: Mapping[str, Any] | None = None,
    *,
    status: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> Tenant:
    plain = {
        "metadata": {"name": name, "uid": f"{name}-uid", "generation": 1, **metadata},
        "spec": {"owners": [{"kind": "User", "name": "alice"}]} if spec is None else dict(spec),
        "status": dict(status or {}),
    }
    return from_plain(plain, Tenant)


def _namespace(
    name: str, *, label: str | None = None, refers_to: str = "", uid: str | None = None, **metadata: Any
) -> ObjectMeta:
    """A namespace with this tenant label and a reference to that tenant; *uid* where it is not the living one's."""
    labels = {"kubernetes.io/metadata.name": name} | ({} if label is None else {"capsule.clastix.io/tenant": label})
    references: tuple[OwnerReference, ...] = ()
    if refers_to:
        references = (
            OwnerReference(
                api_version=CAPSULE_API_VERSION, kind="Tenant", name=refers_to, uid=uid or f"{refers_to}-uid"
            ),
        )
    parts: dict[str, Any] = {"name": name, "uid": f"{name}-uid", "resource_version": "7", "labels": labels}
    return ObjectMeta(**{**parts, "owner_references": references, **metadata})


@pytest.fixture
def tenant() -> MakeTenant:
    """Make a Tenant."""
    return _tenant


@pytest.fixture
def namespace() -> MakeNamespace:
    """Make a Namespace's metadata."""
    return _namespace
