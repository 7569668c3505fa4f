"""Which classes, hosts and paths Ingresses may take (L-9 to L-12)."""

from __future__ import annotations

from tenantry.api import labels
from tenantry.api.tenant import IngressOptions
from tenantry.api.workloads import Ingress
from tenantry.tenancy.checks.allowed import choices, is_restricted, name_is_allowed
from tenantry.tenancy.checks.classes import class_verdict, missing_class
from tenantry.tenancy.checks.exemptions import is_judged_write
from tenantry.tenancy.request import Request
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ClassKind, IngressUse, ObjectContext

_NO_OPTIONS = IngressOptions()
_SCOPES = {
    "Cluster": "across the cluster",
    "Tenant": "across the tenant",
    "Namespace": "in the namespace",
}


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge class, wildcards, hosts and collisions; of an update, what it changes."""
    if not is_judged_write(request, context):
        return ALLOWED
    ingress, old = request.new(Ingress), request.old(Ingress)
    verdict = _class(context, ingress, old)
    if verdict.denial is None:
        verdict = _hosts(context, ingress, old)
    if verdict.denial is None:
        verdict = _collisions(request, context, ingress, old)
    return verdict


def class_names(ingress: Ingress) -> tuple[str, ...]:
    """Return the ingress classes that *ingress* names, by the old annotation and by the field."""
    names = ((ingress.metadata.annotations or {}).get(labels.INGRESS_CLASS_ANNOTATION), ingress.spec.ingress_class_name)
    return tuple(dict.fromkeys(name for name in names if name))


def rule_hosts(ingress: Ingress) -> tuple[str, ...]:
    """Return the hosts that *ingress* serves, each once, in order; an empty one serves every host.

    An Ingress without rules has only a default backend, which serves every host too.
    """
    return tuple(dict.fromkeys(rule.host for rule in ingress.spec.rules or ())) or ("",)


def host_paths(ingress: Ingress) -> tuple[tuple[str, str], ...]:
    """Return the (host, path) pairs that *ingress* takes, each once, in order; no path is the path ``/``.

    The index behind ``Lookups.ingresses_using`` is built from the same pairs.
    """
    pairs = []
    for rule in ingress.spec.rules or ():
        paths = rule.http.paths if rule.http is not None else None
        pairs += [(rule.host, path) for path in ([entry.path or "/" for entry in paths or ()] or ["/"])]
    return tuple(dict.fromkeys(pairs))


def _class(context: ObjectContext, ingress: Ingress, old: Ingress | None) -> Verdict:
    names = class_names(ingress)
    if old is not None and class_names(old) == names:
        return ALLOWED
    spec = context.tenant.spec
    if not names:
        return missing_class(spec, ClassKind.INGRESS)
    for name in names:
        verdict = class_verdict(spec, ClassKind.INGRESS, name, context.lookups)
        if verdict.denial is not None:
            return verdict
    return ALLOWED


def _hosts(context: ObjectContext, ingress: Ingress, old: Ingress | None) -> Verdict:
    known = rule_hosts(old) if old is not None else ()
    for host in rule_hosts(ingress):
        if host not in known:
            verdict = _host(context, host)
            if verdict.denial is not None:
                return verdict
    return ALLOWED


def _host(context: ObjectContext, host: str) -> Verdict:
    # Without options wildcards are refused too: allowing them is what needs saying.
    options = context.tenant.spec.ingress_options or _NO_OPTIONS
    if "*" in host and not options.allow_wildcard_hostnames:
        return denied(
            "WildcardDenied",
            f"Wildcard denied for tenant {context.tenant.metadata.name}: the hostname {host} must be given in full",
        )
    allowed = options.allowed_hostnames
    if allowed is None or not is_restricted(allowed):
        return ALLOWED
    if not host:
        return denied(
            "IngressHostnameEmpty",
            f"A hostname is required in each rule of an Ingress in the current Tenant: {choices(allowed)}",
        )
    if name_is_allowed(allowed, host):
        return ALLOWED
    return denied("IngressHostnameNotValid", f"Hostname {host} is not valid for the current Tenant: {choices(allowed)}")


def _collisions(request: Request, context: ObjectContext, ingress: Ingress, old: Ingress | None) -> Verdict:
    scope = (context.tenant.spec.ingress_options or _NO_OPTIONS).hostname_collision_scope
    if scope not in _SCOPES:
        return ALLOWED
    known = host_paths(old) if old is not None else ()
    for host, path in host_paths(ingress):
        if (host, path) in known:
            continue
        for use in context.lookups.ingresses_using(host, path):
            itself = use.namespace == request.namespace and use.name == ingress.metadata.name
            if not itself and _is_in_scope(scope, use, request, context):
                return denied(
                    "IngressHostnameCollision",
                    f"Hostname {host} with the path {path} is already used {_SCOPES[scope]}: "
                    "choose another hostname or path",
                )
    return ALLOWED


def _is_in_scope(scope: str, use: IngressUse, request: Request, context: ObjectContext) -> bool:
    match scope:
        case "Namespace":
            return use.namespace == request.namespace
        case "Tenant":
            return use.tenant == context.tenant.metadata.name
        case _:
            return True
