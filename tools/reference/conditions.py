"""The page of conditions."""

from __future__ import annotations

from typing import Final, NamedTuple

from reference.markdown import HOW, code, table
from reference.tokens import calls, returned_pairs
from tenantry.operator import webhooks
from tenantry.tenancy.desired.configuration_status import ADMISSION


class Meaning(NamedTuple):
    """One combination that occurs."""

    kind: str
    type: str
    status: str
    reason: str
    meaning: str


MEANINGS: Final = (
    Meaning(
        "Tenant",
        "Ready",
        "True",
        "Succeeded",
        "Every namespace holds what the Tenant says, and every admission replica enforces it.",
    ),
    Meaning(
        "Tenant",
        "Ready",
        "False",
        "Failed",
        "Something could not be made; the message names the first namespaces and why.",
    ),
    Meaning("Tenant", "Ready", "False", "Terminating", "The Tenant is being deleted and waits for its namespaces."),
    Meaning("Tenant", "Cordoned", "True", "Cordoned", "`spec.cordoned` is set, and in force."),
    Meaning("Tenant", "Cordoned", "False", "Active", "It is not."),
    Meaning("Tenant, `status.spaces[]`", "Ready", "True", "Succeeded", "The namespace holds what the Tenant says."),
    Meaning(
        "Tenant",
        "RuleQuotasEnforced",
        "False",
        "NotImplemented",
        "`spec.rules[].quota` is stored and not enforced by this version; absent where no rule has a quota.",
    ),
    Meaning(
        "Tenant, `status.spaces[]`",
        "Ready",
        "False",
        "Reconciling",
        "It was not worked on yet, or admission does not have it yet.",
    ),
    Meaning(
        "Tenant, `status.spaces[]`", "Ready", "False", "Failed", "Something could not be made; the message says what."
    ),
    Meaning("Tenant, `status.spaces[]`", "Ready", "False", "Terminating", "The namespace is being deleted."),
    Meaning(
        "Tenant, `status.spaces[]`",
        "Cordoned",
        "True",
        "Cordoned",
        "The namespace is cordoned, by itself or with its tenant; absent where it is not.",
    ),
    Meaning(
        "CapsuleConfiguration", "Ready", "True", "Succeeded", "Every admission replica works with this configuration."
    ),
    Meaning(
        "CapsuleConfiguration",
        ADMISSION,
        "True",
        "Registered",
        "The webhook configurations stand: what admission judges is enforced.",
    ),
    Meaning(
        "CapsuleConfiguration",
        ADMISSION,
        "False",
        "WaitingForCertificate",
        "They do not: there is no CA yet that admission could be trusted by.",
    ),
    Meaning(
        "CapsuleConfiguration",
        ADMISSION,
        "False",
        "WaitingForAdmission",
        "They do not: no admission server is ready yet.",
    ),
    Meaning(
        "CapsuleConfiguration",
        ADMISSION,
        "False",
        "RegistrationFailed",
        "The API server refused the entries of this configuration; those of before stand. The message says why.",
    ),
    Meaning(
        "CapsuleConfiguration",
        ADMISSION,
        "False",
        "Disarmed",
        "They do not: `tenantry admission disarm` took them off.",
    ),
    Meaning(
        "TenantOwner",
        "Ready",
        "True",
        "Succeeded",
        "`status.tenants` names all tenants that take the owner in, none included.",
    ),
    Meaning(
        "RuleStatus",
        "Ready",
        "True",
        "Succeeded",
        "`status.rules` are the effective rules, and every admission replica enforces them.",
    ),
    Meaning(
        "RuleStatus",
        "Ready",
        "False",
        "Failed",
        "A rule can't be rendered or applied; what it might be about is refused. The message says which.",
    ),
    Meaning(
        "GlobalProxySettings, ProxySetting",
        "Ready",
        "True",
        "Succeeded",
        "The gateway acts on it; a ProxySetting outside every tenant's namespaces grants nothing all the same.",
    ),
    Meaning(
        "GlobalProxySettings, ProxySetting",
        "Ready",
        "False",
        "InvalidSelector",
        "A rule has a selector that Kubernetes would refuse: it shows nothing, the other rules hold. The message says "
        "which.",
    ),
    Meaning(
        "GlobalProxySettings, ProxySetting",
        "Readable",
        "True",
        "Allowed",
        "The gateway's account may read every cluster-scoped kind that the rules name and the API server serves.",
    ),
    Meaning(
        "GlobalProxySettings, ProxySetting",
        "Readable",
        "False",
        "Forbidden",
        "It may not read the kinds that the message names: users get 503 for these until "
        "`tenantry gateway rights | kubectl apply -f -` grants it. Followed within seconds.",
    ),
)

_HEAD: Final = f"""\
# Conditions

This page is for whoever waits for a state, or alerts on one.
{HOW}

Conditions have the shape of `metav1.Condition`. One that tells of a spec carries `observedGeneration`: wait until it,
or `status.observedGeneration`, equals `metadata.generation`. While it is too early to tell, the conditions of the
generation before stay.

"""


class MeaninglessConditionError(Exception):
    """The code and the page differ in types or reasons."""


def used() -> frozenset[tuple[str, str]]:
    """Return the pairs of type and reason that the code writes."""
    found = {
        (kind, reason)
        for call in calls(("tenancy", "access"), frozenset({"condition"}))
        for kind in call.argument("kind", 0)
        for reason in call.argument("reason")
    }
    # The webhooks' controller hands its reasons through one method.
    told = [reason for call in calls(("operator",), frozenset({"_tell"})) for reason in call.argument("reason", 0)]
    found |= {(ADMISSION, reason) for reason in (*told, *returned_pairs(webhooks))}
    return frozenset(found)


def conditions_page() -> str:
    """Return the page.

    Raises:
        MeaninglessConditionError: ``MEANINGS`` and the code differ.
    """
    differing = used() ^ {(each.type, each.reason) for each in MEANINGS}
    if differing:
        raise MeaninglessConditionError(f"MEANINGS of {__name__} and the code differ in {sorted(differing)}")
    rows = [(each.kind, code(each.type), each.status, code(each.reason), each.meaning) for each in MEANINGS]
    return _HEAD + table(("object", "type", "status", "reason", "means"), rows)
