"""API warnings for the fields of a Tenant that have successors (TN-9, spec 13.7)."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.api.tenant import NamespaceOptions, ServiceOptions, TenantSpec
from tenantry.tenancy.validation.expressions import allowed_lists

_METADATA = "spec.rules[].enforce.metadata"
_REPLICATIONS = "replications (TenantResource or GlobalTenantResource)"


def tenant_warnings(spec: TenantSpec) -> tuple[str, ...]:
    """Return one warning for each deprecated field that is set, and for what is not enforced yet."""
    warnings = [f"{path} is deprecated: use {successor} instead" for path, successor in _deprecated(spec)]
    if any(rule.quota for rule in spec.rules):
        warnings.append("spec.rules[].quota is not enforced yet: the quota is stored, and nothing counts against it")
    return tuple(warnings)


def _deprecated(spec: TenantSpec) -> Iterator[tuple[str, str]]:
    yield from _namespace_options(spec.namespace_options or NamespaceOptions())
    yield from _service_options(spec.service_options or ServiceOptions())
    for path, allowed in allowed_lists(spec):
        if allowed.allowed_regex and path != "spec.containerRegistries":
            yield f"{path}.allowedRegex", _successor_of_expression(path)
    pods = spec.pod_options.additional_metadata if spec.pod_options else None
    plain = (
        ("spec.resourceQuotas", spec.resource_quotas, "spec.rules[].quota (once it is enforced)"),
        ("spec.limitRanges", spec.limit_ranges, _REPLICATIONS),
        ("spec.networkPolicies", spec.network_policies, _REPLICATIONS),
        ("spec.podOptions.additionalMetadata", pods, f"{_METADATA} with managed values"),
        ("spec.containerRegistries", spec.container_registries, "spec.rules[].enforce.workloads.registries"),
        (
            "spec.imagePullPolicies",
            spec.image_pull_policies or None,
            "spec.rules[].enforce.workloads.registries[].policy",
        ),
    )
    yield from ((path, successor) for path, value, successor in plain if value is not None)


def _namespace_options(options: NamespaceOptions) -> Iterator[tuple[str, str]]:
    if options.additional_metadata is not None:
        yield "spec.namespaceOptions.additionalMetadata", f"{_METADATA} with managed values"
    if options.additional_metadata_list:
        yield "spec.namespaceOptions.additionalMetadataList", f"{_METADATA} with managed values"
    if options.required_metadata is not None:
        yield "spec.namespaceOptions.requiredMetadata", f"{_METADATA} with required keys"
    if options.forbidden_labels is not None:
        yield "spec.namespaceOptions.forbiddenLabels", _METADATA
    if options.forbidden_annotations is not None:
        yield "spec.namespaceOptions.forbiddenAnnotations", _METADATA


def _service_options(options: ServiceOptions) -> Iterator[tuple[str, str]]:
    if options.allowed_services is not None:
        yield "spec.serviceOptions.allowedServices", "spec.rules[].enforce.services.types"
    if options.external_ips is not None:
        yield "spec.serviceOptions.externalIPs", "spec.rules[].enforce.services"
    if options.additional_metadata is not None:
        yield "spec.serviceOptions.additionalMetadata", f"{_METADATA} with managed values"
    if options.forbidden_labels is not None:
        yield "spec.serviceOptions.forbiddenLabels", _METADATA
    if options.forbidden_annotations is not None:
        yield "spec.serviceOptions.forbiddenAnnotations", _METADATA


def _successor_of_expression(path: str) -> str:
    if path.endswith(".allowedHostnames"):
        return "spec.rules[].enforce.ingress.hostnames[].exp"
    return f"{path}.allowed, matchLabels or matchExpressions"
