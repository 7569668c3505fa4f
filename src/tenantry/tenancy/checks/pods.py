"""What Pods may name: images, pull policies, priority and runtime classes (L-1 to L-4)."""

from __future__ import annotations

from typing import Final

from tenantry.api.tenant import TenantSpec
from tenantry.api.workloads import Pod
from tenantry.tenancy.checks.allowed import choices, is_restricted, name_is_allowed
from tenantry.tenancy.checks.classes import class_verdict
from tenantry.tenancy.checks.exemptions import is_judged_write
from tenantry.tenancy.checks.images import ImageUse, image_uses, registry_host
from tenantry.tenancy.request import Request
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ClassKind, ObjectContext

_SUBRESOURCES: Final = ("", "ephemeralcontainers")


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge what a Pod names, whoever makes it: most Pods come from controllers.

    An update is judged by what it changes (D-10): else a Pod that an edit of the Tenant made
    wrong could not lose its finalizers any more.
    """
    spec = context.tenant.spec
    if not (_limits_pods(spec) and is_judged_write(request, context, subresources=_SUBRESOURCES)):
        return ALLOWED
    pod, old = request.new(Pod), request.old(Pod)
    verdict = _images(spec, pod, old)
    if verdict.denial is not None:
        return verdict
    return _classes(context, pod, old)


def _limits_pods(spec: TenantSpec) -> bool:
    return bool(spec.image_pull_policies or spec.container_registries or spec.priority_classes or spec.runtime_classes)


def _images(spec: TenantSpec, pod: Pod, old: Pod | None) -> Verdict:
    if not (spec.image_pull_policies or is_restricted(spec.container_registries)):
        return ALLOWED
    known = frozenset(image_uses(old)) if old is not None else frozenset()
    for use in image_uses(pod):
        if use in known:
            continue
        verdict = _pull_policy(spec, use)
        if verdict.denial is None:
            verdict = _registry(spec, use)
        if verdict.denial is not None:
            return verdict
    return ALLOWED


def _pull_policy(spec: TenantSpec, use: ImageUse) -> Verdict:
    if not spec.image_pull_policies or use.pull_policy in spec.image_pull_policies:
        return ALLOWED
    return denied(
        "ForbiddenPullPolicy",
        f"Image pull policy {use.pull_policy} of {use.image} at {use.place} is forbidden for the current Tenant: "
        f"use one from the following list ({', '.join(spec.image_pull_policies)})",
    )


def _registry(spec: TenantSpec, use: ImageUse) -> Verdict:
    allowed = spec.container_registries
    if allowed is None or not is_restricted(allowed):
        return ALLOWED
    host = registry_host(use.image)
    if host is None:
        return denied(
            "MissingFQCI",
            f"Container image {use.image} at {use.place} names no registry, which the current Tenant requires: "
            f"{choices(allowed)}",
        )
    if name_is_allowed(allowed, host):
        return ALLOWED
    return denied(
        "ForbiddenContainerRegistry",
        f"Container image {use.image} at {use.place} comes from the registry {host}, which is forbidden for the "
        f"current Tenant: {choices(allowed)}",
    )


def _classes(context: ObjectContext, pod: Pod, old: Pod | None) -> Verdict:
    spec, lookups = context.tenant.spec, context.lookups
    priority = pod.spec.priority_class_name
    if priority and (old is None or old.spec.priority_class_name != priority):
        verdict = class_verdict(spec, ClassKind.PRIORITY, priority, lookups)
        if verdict.denial is not None:
            return verdict
    runtime = pod.spec.runtime_class_name
    if runtime and (old is None or old.spec.runtime_class_name != runtime):
        return class_verdict(spec, ClassKind.RUNTIME, runtime, lookups)
    return ALLOWED
