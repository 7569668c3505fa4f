"""The one sentence in which a class of any kind is refused (L-3 to L-5, L-9, L-13, L-14)."""

from __future__ import annotations

from typing import Final

from tenantry.api.tenant import TenantSpec
from tenantry.tenancy.checks.allowed import allowed_classes, choices, class_is_allowed, is_restricted
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ClassKind, Lookups

NOUNS: Final = {
    ClassKind.STORAGE: "Storage Class",
    ClassKind.PRIORITY: "Pod Priority Class",
    ClassKind.RUNTIME: "Pod Runtime Class",
    ClassKind.INGRESS: "Ingress Class",
    ClassKind.GATEWAY: "Gateway Class",
    ClassKind.DEVICE: "Device Class",
}


def class_verdict(spec: TenantSpec, kind: ClassKind, name: str, lookups: Lookups, *, path: str = "") -> Verdict:
    """Return the verdict on the use of the class *name*; *path* tells where, if that is not plain."""
    allowed = allowed_classes(spec, kind)
    if allowed is None or class_is_allowed(allowed, kind, name, lookups):
        return ALLOWED
    place = f" at {path}" if path else ""
    # Named in quotes only where it would otherwise not show: scripts look for the bare name.
    shown = name or '""'
    return denied(
        f"Forbidden{kind}", f"{NOUNS[kind]} {shown}{place} is forbidden for the current Tenant: {choices(allowed)}"
    )


def missing_class(spec: TenantSpec, kind: ClassKind, *, path: str = "") -> Verdict:
    """Return the verdict on an object that names no class: refused where *spec* limits them."""
    allowed = allowed_classes(spec, kind)
    if allowed is None or not is_restricted(allowed):
        return ALLOWED
    place = f" at {path}" if path else ""
    return denied(
        f"Missing{kind}", f"{NOUNS[kind]} is missing{place}, the current Tenant requires one: {choices(allowed)}"
    )
