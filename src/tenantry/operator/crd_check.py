"""Whether the cluster's CustomResourceDefinitions are those that the controllers can work with (spec 13.20)."""

from __future__ import annotations

from typing import Final

from tenantry.api.core import CustomResourceDefinition
from tenantry.kube.client import Client
from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import CONFIGURATIONS, CRDS, RULE_STATUSES, TENANT_OWNERS, TENANTS

_NEEDED: Final = tuple(
    (f"{resource.plural}.{resource.group}", resource.version)
    for resource in (TENANTS, TENANT_OWNERS, CONFIGURATIONS, RULE_STATUSES)
)
_OLD_VERSION: Final = "v1beta1"


async def crd_problem(client: Client) -> str | None:
    """Return why the controllers can't run, with the next step; None if they can.

    Raises:
        ApiError, UnavailableError: It can't be found out.
    """
    for name, version in _NEEDED:
        try:
            definition = await client.get(CRDS, name)
        except NotFoundError:
            return f"the CustomResourceDefinition {name} is missing: apply the output of `tenantry crds`"
        problem = _problem_of(definition, name, version)
        if problem is not None:
            return problem
    return None


def _problem_of(definition: CustomResourceDefinition, name: str, version: str) -> str | None:
    served = [each.get("name") for each in (definition.spec or {}).get("versions", ()) if each.get("served")]
    if version not in served:
        return f"the CustomResourceDefinition {name} does not serve {version}: apply the output of `tenantry crds`"
    if _OLD_VERSION in (definition.status.stored_versions or ()):
        return (
            f"objects of {name} may still be stored as {_OLD_VERSION}, which is not served: write each of them once "
            f"under {version}, then take {_OLD_VERSION} out of status.storedVersions of that definition"
        )
    return None
