"""Tries what the installation's accounts may do, without doing it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tenantry.admission import permissions as admission_permissions
from tenantry.cli.asking import found
from tenantry.foundation.codec import Model, decode
from tenantry.kube.client import Client
from tenantry.kube.config import Impersonation
from tenantry.kube.errors import ApiError, ForbiddenError
from tenantry.kube.resources import CLUSTER_ROLES, ROLE_BINDINGS
from tenantry.operator import permissions as operator_permissions
from tenantry.tenancy.desired.role_bindings import RBAC_GROUP
from tenantry.tenancy.inspection.findings import Facts, RoleTrial
from tenantry.tenancy.inspection.upkeep import named_roles

_AT_ONCE: Final = 16
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_RULES: Final = {"operator": operator_permissions, "admission": admission_permissions}


class _Verdict(Model):
    allowed: bool = False


class _Review(Model):
    status: _Verdict = _Verdict()


def acting_as(client: Client, account: str) -> Client:
    """Return a client that acts as a ServiceAccount, known by its user name."""
    namespace = account.split(":")[2]
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return client.impersonating(Impersonation(user=account, groups=groups))


async def missing_rights(client: Client, namespace: str, accounts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the rights that operator and admission lack, as ``account: verb resource``.

    Raises:
        ForbiddenError: You may not impersonate them.
    """
    slots = asyncio.Semaphore(_AT_ONCE)

    async def lacks(component: str, attributes: Mapping[str, str]) -> str | None:
        body = {"spec": {"resourceAttributes": attributes}}
        async with slots:
            answer = await acting_as(client, accounts[component]).request("POST", _REVIEWS, body=body)
        if decode(answer, _Review).status.allowed:
            return None
        resource = ".".join(filter(None, (attributes["resource"], attributes.get("group", ""))))
        return f"{component}: {attributes['verb']} {resource}"

    asked = [(component, each) for component in _RULES for each in _attributes(component, namespace)]
    answers = await asyncio.gather(*(lacks(component, attributes) for component, attributes in asked))
    return tuple(sorted({each for each in answers if each is not None}))


def _attributes(component: str, namespace: str) -> Iterator[dict[str, str]]:
    module = _RULES[component]
    yield from _of_rules(module.CLUSTER_RULES, {})
    yield from _of_rules(module.NAMESPACE_RULES, {"namespace": namespace})


def _of_rules(rules: Iterable[Mapping[str, Any]], place: Mapping[str, str]) -> Iterator[dict[str, str]]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for path in rule["resources"]:
                resource, _, subresource = path.partition("/")
                parts = {"group": group, "resource": resource, "subresource": subresource, **place}
                for verb in rule["verbs"]:
                    yield {key: value for key, value in {**parts, "verb": verb}.items() if value}


async def role_trials(client: Client, facts: Facts, operator: str) -> tuple[RoleTrial, ...]:
    """Return for each ClusterRole that somebody names whether the operator could bind it.

    Raises:
        ForbiddenError: You may not read ClusterRoles, or not impersonate the operator.
    """
    roles = list(named_roles(facts))
    if roles:
        # Told apart from a refusal of the binding itself.
        await acting_as(client, operator).request(
            "POST", _REVIEWS, body={"spec": {"resourceAttributes": {"verb": "get", "resource": "namespaces"}}}
        )
    return tuple([await _trial(client, role, facts.namespace, operator) for role in roles])


async def _trial(client: Client, role: str, namespace: str, operator: str) -> RoleTrial:
    if await found(client, CLUSTER_ROLES.metadata_only(), role) is None:
        return RoleTrial(role=role, exists=False)
    name = operator.rpartition(":")[2]
    body = {
        "metadata": {"name": "tenantry-doctor", "namespace": namespace},
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    try:
        await acting_as(client, operator).create(ROLE_BINDINGS, body, dry_run=True)
    except ForbiddenError as error:
        return RoleTrial(role=role, refusal=_first_line(str(error)))
    except ApiError:
        return RoleTrial(role=role)  # Another trouble, such as a missing namespace, which other checks tell.
    return RoleTrial(role=role)


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else text
