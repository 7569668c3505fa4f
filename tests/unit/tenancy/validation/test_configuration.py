"""What a CapsuleConfiguration and a TenantOwner may say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.foundation.codec import Raw, encode
from tenantry.tenancy.request import Operation, Request, Requester
from tenantry.tenancy.validation import configuration, tenant_owner
from tenantry.tenancy.verdict import ALLOWED, Denial, Verdict


def _ask(check: Callable[[Request], Verdict], spec: dict[str, Any], old: dict[str, Any] | None = None) -> Verdict:
    request = Request(
        operation=Operation.CREATE if old is None else Operation.UPDATE,
        group="capsule.clastix.io",
        version="v1beta2",
        kind="Any",
        resource="any",
        requester=Requester(username="admin"),
        object=Raw(encode({"metadata": {"name": "default"}, "spec": spec})),
        old_object=None if old is None else Raw(encode({"metadata": {"name": "default"}, "spec": old})),
    )
    return check(request)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"nodeMetadata": {}},
        {"nodeMetadata": {"forbiddenLabels": {}}},
        {"protectedNamespaceRegex": "^kube-"},
        {"users": [{"kind": "Group", "name": "projectcapsule.dev"}]},
        {"administrators": [{"kind": "ServiceAccount", "name": "system:serviceaccount:velero:velero"}]},
        {"admission": {"mutating": {"client": {}}, "validating": {"client": {"url": "https://x"}}}},
        {"admission": {"mutating": {"client": {"service": {"name": "s", "namespace": "n"}}, "webhooks": [{}]}}},
        {
            "impersonation": {
                "globalDefaultServiceAccount": "a",
                "globalDefaultServiceAccountNamespace": "b",
            }
        },
        {"impersonation": {"tenantDefaultServiceAccount": "default"}},
    ],
)
def test_configurations_that_make_sense(spec: dict[str, Any]) -> None:
    """CN-1, D-4: nodeMetadata may be absent."""
    assert _ask(configuration.check, spec) == ALLOWED


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"protectedNamespaceRegex": "["},
            "spec.protectedNamespaceRegex: '[' is not a valid regular expression: missing ]: [",
        ),
        (
            {"nodeMetadata": {"forbiddenLabels": {"deniedRegex": "("}}},
            "spec.nodeMetadata.forbiddenLabels.regex: '(' is not a valid regular expression: missing ): (",
        ),
        (
            {"nodeMetadata": {"forbiddenAnnotations": {"deniedRegex": "("}}},
            "spec.nodeMetadata.forbiddenAnnotations.regex: '(' is not a valid regular expression: missing ): (",
        ),
        (
            {"admission": {"validating": {"client": {"url": "https://x", "service": {"name": "s", "namespace": "n"}}}}},
            "spec.admission.validating.client: url 'https://x' and service 's' exclude each other: name one",
        ),
        (
            {"admission": {"mutating": {"client": {}, "webhooks": [{}]}}},
            "spec.admission.mutating.client: names neither url nor service: name one",
        ),
        (
            {"impersonation": {"globalDefaultServiceAccount": "a"}},
            (
                "spec.impersonation.globalDefaultServiceAccountNamespace: must be set, "
                "as spec.impersonation.globalDefaultServiceAccount is 'a'"
            ),
        ),
        (
            {"impersonation": {"globalDefaultServiceAccountNamespace": "a"}},
            (
                "spec.impersonation.globalDefaultServiceAccount: must be set, "
                "as spec.impersonation.globalDefaultServiceAccountNamespace is 'a'"
            ),
        ),
        (
            {"users": [{"kind": "ServiceAccount", "name": "builder"}]},
            (
                "spec.users[0].name: 'builder' is no ServiceAccount: "
                "write system:serviceaccount:<namespace>:<name of the account>"
            ),
        ),
        (
            {"administrators": [{"kind": "ServiceAccount", "name": "system:serviceaccount:a:B"}]},
            (
                "spec.administrators[0].name: the account of 'system:serviceaccount:a:B' must consist of "
                "lower case letters, digits, '-' or '.', and start and end with a letter or digit"
            ),
        ),
    ],
)
def test_configurations_that_make_no_sense(spec: dict[str, Any], message: str) -> None:
    """CN-1, 14.3: refused with 403; what is stored already is not judged again."""
    refused = Verdict(denial=Denial(reason="AdmissionFailed", message=f"CapsuleConfiguration 'default': {message}"))

    assert _ask(configuration.check, spec) == refused
    assert _ask(configuration.check, spec, {}) == refused
    assert refused.denial is not None
    assert refused.denial.code == 403
    assert _ask(configuration.check, spec, spec) == ALLOWED


def test_the_old_form_of_users_is_told() -> None:
    assert _ask(configuration.check, {"userNames": ["a"], "userGroups": ["b"]}) == Verdict(
        warnings=(
            "spec.userNames is deprecated: use spec.users with kind User instead",
            "spec.userGroups is deprecated: use spec.users with kind Group instead",
        )
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "User", "name": "builder"}, None),
        ({"kind": "Group", "name": "system:serviceaccounts:a"}, None),
        ({"kind": "ServiceAccount", "name": "system:serviceaccount:a:b"}, None),
        (
            {"kind": "ServiceAccount", "name": "a:b"},
            (
                "TenantOwner 'default': spec.name: 'a:b' is no ServiceAccount: "
                "write system:serviceaccount:<namespace>:<name of the account>"
            ),
        ),
    ],
)
def test_tenant_owners(spec: dict[str, Any], message: str | None) -> None:
    """CN-2."""
    refused = ALLOWED if message is None else Verdict(denial=Denial(reason="AdmissionFailed", message=message))

    assert _ask(tenant_owner.check, spec) == refused
    assert _ask(tenant_owner.check, spec, {"kind": "User", "name": "x"}) == refused
    assert _ask(tenant_owner.check, spec, spec) == ALLOWED
