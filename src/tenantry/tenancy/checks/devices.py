"""Which device classes ResourceClaims and their templates may ask for (L-14)."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.api.workloads import DeviceRequest, ResourceClaim, ResourceClaimSpec, ResourceClaimTemplate
from tenantry.tenancy.checks.allowed import is_restricted
from tenantry.tenancy.checks.classes import class_verdict, missing_class
from tenantry.tenancy.checks.exemptions import is_judged_write
from tenantry.tenancy.request import Request
from tenantry.tenancy.verdict import ALLOWED, Verdict
from tenantry.tenancy.views import ClassKind, ObjectContext


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge every class that every device request names, in each form of the API (D-2)."""
    spec = context.tenant.spec
    if not (is_restricted(spec.device_classes) and is_judged_write(request, context)):
        return ALLOWED
    known = frozenset(_requested(request, old=True))
    for path, name in _requested(request, old=False):
        if (path, name) in known:
            continue
        verdict = (
            class_verdict(spec, ClassKind.DEVICE, name, context.lookups, path=path)
            if name
            else missing_class(spec, ClassKind.DEVICE, path=path)
        )
        if verdict.denial is not None:
            return verdict
    return ALLOWED


def _requested(request: Request, *, old: bool) -> Iterator[tuple[str, str]]:
    if request.resource == "resourceclaimtemplates":
        template = request.old(ResourceClaimTemplate) if old else request.new(ResourceClaimTemplate)
        return _classes("spec.spec", template.spec.spec) if template is not None else iter(())
    claim = request.old(ResourceClaim) if old else request.new(ResourceClaim)
    return _classes("spec", claim.spec) if claim is not None else iter(())


def _classes(parent: str, spec: ResourceClaimSpec) -> Iterator[tuple[str, str]]:
    """Yield path and name of each device class, an empty name where one is due."""
    requests = spec.devices.requests if spec.devices is not None else None
    for index, device in enumerate(requests or ()):
        yield from _classes_of(f"{parent}.devices.requests[{index}]", device)


def _classes_of(path: str, device: DeviceRequest) -> Iterator[tuple[str, str]]:
    if device.exactly is not None:
        yield f"{path}.exactly.deviceClassName", device.exactly.device_class_name
    for index, choice in enumerate(device.first_available or ()):
        yield f"{path}.firstAvailable[{index}].deviceClassName", choice.device_class_name
    # The v1beta1 form; also where no form is used, so that nothing slips through unnamed.
    if device.device_class_name or (device.exactly is None and not device.first_available):
        yield f"{path}.deviceClassName", device.device_class_name
