"""The regular expressions of a Tenant's own fields: whether they compile (TN-4)."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.api.shared import AllowedList, ForbiddenList
from tenantry.api.tenant import TenantSpec
from tenantry.foundation.expressions import expression_problem


def allowed_lists(spec: TenantSpec) -> Iterator[tuple[str, AllowedList]]:
    """Yield every list of allowed names that is set, with its path."""
    ingress, gateway = spec.ingress_options, spec.gateway_options
    lists: dict[str, AllowedList | None] = {
        "spec.storageClasses": spec.storage_classes,
        "spec.priorityClasses": spec.priority_classes,
        "spec.runtimeClasses": spec.runtime_classes,
        "spec.deviceClasses": spec.device_classes,
        "spec.gatewayOptions.allowedClasses": gateway.allowed_classes if gateway else None,
        "spec.ingressOptions.allowedClasses": ingress.allowed_classes if ingress else None,
        "spec.ingressOptions.allowedHostnames": ingress.allowed_hostnames if ingress else None,
        "spec.containerRegistries": spec.container_registries,
    }
    for path, allowed in lists.items():
        if allowed is not None:
            yield path, allowed


def forbidden_lists(spec: TenantSpec) -> Iterator[tuple[str, ForbiddenList]]:
    """Yield every list of forbidden keys that is set, with its path."""
    for prefix, options in (
        ("spec.namespaceOptions", spec.namespace_options),
        ("spec.serviceOptions", spec.service_options),
    ):
        if options is not None and options.forbidden_labels is not None:
            yield f"{prefix}.forbiddenLabels", options.forbidden_labels
        if options is not None and options.forbidden_annotations is not None:
            yield f"{prefix}.forbiddenAnnotations", options.forbidden_annotations


def expression_problems(spec: TenantSpec) -> Iterator[str]:
    """Yield every expression that does not compile, with its path and RE2's reason."""
    for path, pattern in _patterns(spec):
        problem = expression_problem(pattern)
        if problem is not None:
            yield f"{path}: unable to compile regex {pattern!r}: {problem}"


def _patterns(spec: TenantSpec) -> Iterator[tuple[str, str]]:
    for path, allowed in allowed_lists(spec):
        yield f"{path}.allowedRegex", allowed.allowed_regex
    for path, forbidden in forbidden_lists(spec):
        yield f"{path}.deniedRegex", forbidden.denied_regex
    required = spec.namespace_options.required_metadata if spec.namespace_options else None
    if required is not None:
        for part, texts in (("labels", required.labels), ("annotations", required.annotations)):
            for key, pattern in (texts or {}).items():
                yield f"spec.namespaceOptions.requiredMetadata.{part}[{key}]", pattern
