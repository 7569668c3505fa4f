"""The page of reasons: of events and denials, and of errors of the command line."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from inspect import getdoc
from typing import Final

import tenantry
from reference.gateway_reasons import gateway_reasons
from reference.markdown import HOW, code, first_sentence, table
from reference.tokens import calls
from tenantry.cli.exits import ExitCode, exit_code_of
from tenantry.foundation.errors import TenantryError

MEANINGS: Final[Mapping[str, str]] = {
    "AdmissionFailed": "A Tenant, TenantOwner, CapsuleConfiguration or RuleStatus with a value that makes no sense; a "
    "rule that can't be enforced; what admission could not decide (then without event).",
    "Cordoned": "A write in a cordoned tenant or namespace; as Normal event: a Tenant was cordoned.",
    "CrossTenantReference": "A namespace, or a volume claim, that would reach into a tenant it does not belong to.",
    "ForbiddenAnnotation": "An annotation that is forbidden, or required and missing, on a Namespace, Service or Node.",
    "ForbiddenContainerRegistry": "An image from a registry that is not allowed.",
    "ForbiddenDeviceClass": "A DeviceClass that the tenant may not use.",
    "ForbiddenExternalName": "An ExternalName Service, or the host that it names.",
    "ForbiddenExternalServiceIP": "An external IP outside the allowed networks.",
    "ForbiddenGatewayClass": "A GatewayClass that the tenant may not use.",
    "ForbiddenIngressClass": "An IngressClass that the tenant may not use.",
    "ForbiddenIngressHostname": "A hostname that a rule refuses, on an Ingress, Route, Gateway, ListenerSet or route.",
    "ForbiddenLabel": "A label that is forbidden, or required and missing, on a Namespace, Service or Node; also an "
    "object that is labelled as managed by the operator.",
    "ForbiddenLoadBalancer": "A Service of type LoadBalancer.",
    "ForbiddenLoadBalancerCIDR": "A load balancer's address or source range outside the allowed networks, or none.",
    "ForbiddenMetadata": "A label or annotation that a metadata rule refuses, or requires and does not find.",
    "ForbiddenNodePort": "A Service of type NodePort, or its port.",
    "ForbiddenNodeSelectorUpdate": "A change of the node selector annotation of a namespace.",
    "ForbiddenPodResources": "Requests or limits that a rule refuses.",
    "ForbiddenPriorityClass": "A PriorityClass that the tenant may not use.",
    "ForbiddenPullPolicy": "An image pull policy that is not allowed, or not said where a rule wants it said.",
    "ForbiddenQoSClass": "A QoS class that a rule refuses.",
    "ForbiddenRuntimeClass": "A RuntimeClass that the tenant may not use.",
    "ForbiddenScheduler": "A scheduler that a rule refuses.",
    "ForbiddenServiceType": "A type of Service that a rule refuses.",
    "ForbiddenStorageClass": "A StorageClass that the tenant may not use.",
    "IngressHostnameCollision": "A host and path that another Ingress has, within the tenant's collision scope.",
    "IngressHostnameEmpty": "An Ingress, listener or route without a hostname, where hostnames are limited.",
    "IngressHostnameNotValid": "A hostname that `allowedHostnames` of the tenant does not allow.",
    "InvalidTenantPrefix": "A namespace whose name does not begin with the tenant's.",
    "MissingDeviceClass": "A device request without class, where classes are limited.",
    "MissingFQCI": "An image without registry, where registries are limited.",
    "MissingGatewayClass": "A Gateway without class, where classes are limited.",
    "MissingIngressClass": "An Ingress without class, where classes are limited.",
    "MissingPriorityClass": "The tenant's default PriorityClass does not exist.",
    "MissingRuntimeClass": "A Pod without RuntimeClass, where one is demanded.",
    "MissingStorageClass": "A claim without StorageClass, where classes are limited.",
    "NamespaceRuleAudit": "A rule with action audit matched. Nothing was refused by it.",
    "Overprovisioned": "One namespace more than the quota allows; also: a tenant uses more than its quotas allow.",
    "ProtectedNamespace": "A name that `protectedNamespaceRegex` keeps from Capsule users.",
    "ReasonNamespacePatch": "A change of what tenant a namespace belongs to, or of a namespace of somebody else.",
    "ReasonPromotionDenied": "A promotion label on a ServiceAccount, by someone who may not set it.",
    "ReconcileFailed": "The operator could not make what the tenant says; the note has the first failures.",
    "TenantAssigned": "A new namespace was put into a tenant.",
    "TenantDefaulted": "An object was given the tenant's default class.",
    "TenantUnassigned": "A new namespace that no tenant is found for, or of a tenant that the requester does not own.",
    "UnCordoned": "A Tenant was uncordoned.",
    "WildcardDenied": "A hostname with a wildcard.",
}
"""What each token means; a token without meaning, and a meaning without token, fail the page."""

_REFUSING: Final = frozenset({"Denial", "denied", "Wording", "refuse"})
_TELLING: Final = frozenset({"Notice"})
_WARNING: Final = frozenset({"tenant_event", "warn"})

_HEAD: Final = f"""\
# Reasons

This page is for whoever reads events, alerts on them, or scripts the command line. Reasons are stable, messages not.
{HOW}

## Events
Events are `events.k8s.io/v1`, of `controller.projectcapsule.dev`, in the namespace of the object; about cluster-scoped
objects, in the one that `spec.events.namespace` of the CapsuleConfiguration names. `related` is the Tenant, and the
label `projectcapsule.dev/tenant` names it. A refusal has the type Warning and the action `ValidationDenied`. The
annotations `audit.projectcapsule.dev/request-uid` and `audit.projectcapsule.dev/username` say which request of whom.
Equal events are counted as a series. There are none for dry runs, nor in namespaces that terminate.

The same token is the reason of the refusal inside tenantry; the client gets the HTTP status 403 and the message.

"""
_ERRORS: Final = """
## Errors of the command line and the logs
A command that fails prints `error:` and a sentence to stderr. What ends it decides the exit code.

"""


class MeaninglessTokenError(Exception):
    """A token of the code has no meaning on the page, or a meaning no token."""


def tokens() -> dict[str, set[str]]:
    """Return each token with the types of the events that carry it."""
    found: dict[str, set[str]] = {}
    kinds = dict.fromkeys(_REFUSING | _WARNING, "Warning") | dict.fromkeys(_TELLING, "Normal")
    asked = ((("tenancy",), _REFUSING | _TELLING), (("admission", "operator"), frozenset({"Denial"}) | _WARNING))
    for folders, names in asked:
        for call in calls(folders, names):
            position = 0 if call.name in {"denied", "refuse"} else None
            for token in call.argument("reason", position):
                found.setdefault(token, set()).add(kinds[call.name])
    return found


def reasons_page() -> str:
    """Return the page.

    Raises:
        MeaninglessTokenError: ``MEANINGS`` and the code differ.
    """
    found = tokens()
    if found.keys() != MEANINGS.keys():
        raise MeaninglessTokenError(f"MEANINGS of {__name__} and the code differ in {found.keys() ^ MEANINGS.keys()}")
    rows = [(code(token), ", ".join(sorted(found[token])), MEANINGS[token]) for token in sorted(found)]
    events = table(("reason", "type", "what happened"), rows)
    return _HEAD + events + gateway_reasons() + _ERRORS + _errors() + _exits()


def _errors() -> str:
    rows = sorted(
        (code(kind.reason), first_sentence(getdoc(kind)), str(int(_exit_code(kind))))
        for kind in _error_types(TenantryError)
    )
    return table(("reason", "what happened", "exit code"), rows)


def _exit_code(kind: type[TenantryError]) -> ExitCode:
    # Only the type decides, and constructors differ.
    return exit_code_of(kind.__new__(kind))


def _error_types(root: type[TenantryError]) -> Iterator[type[TenantryError]]:
    for module in pkgutil.walk_packages(tenantry.__path__, "tenantry."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    seen = {root}
    waiting = [root]
    while waiting:
        for child in waiting.pop().__subclasses__():
            if child not in seen and child.__module__.startswith("tenantry."):
                seen.add(child)
                waiting.append(child)
    yield from sorted(seen, key=lambda kind: (kind.reason, kind.__name__))


def _exits() -> str:
    meanings = {
        ExitCode.DONE: "done",
        ExitCode.WRONG: "something is wrong; the text says what",
        ExitCode.USAGE: "the command line is wrong",
        ExitCode.UNREACHABLE: "the API server cannot be reached",
        ExitCode.REFUSED: "the API server answered, and refused",
    }
    rows = [(str(int(exit_code)), meanings[exit_code]) for exit_code in ExitCode]
    return "\n## Exit codes\n\n" + table(("code", "means"), rows)
