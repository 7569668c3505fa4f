"""The break-glass: webhooks off, and kept off, without any running part of ours."""

from __future__ import annotations

from typing import Any, Final

from tenantry.api.labels import ADMISSION_STATE_HASH
from tenantry.kube.client import Client
from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import CONFIG_MAPS, MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS, Resource

CONFIG_MAP: Final = "tenantry-admission"
"""In the installation's namespace; the operator leaves the webhooks off while its ``disarmed`` is ``"true"``."""
FIELD_MANAGER: Final = "tenantry/admission-switch"
_KINDS: Final[tuple[Resource[Any], ...]] = (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS)


async def disarm(client: Client, namespace: str) -> list[str]:
    """Keep the operator from registering webhooks, take away those there are, and return what was done.

    Raises:
        TenantryError: The API server refuses, or does not answer.  The switch is thrown
            first, so that nothing taken away comes back.
    """
    try:
        done = [await _throw(client, namespace, disarmed=True)]
    except NotFoundError:
        done = [f"namespace {namespace} does not exist: no operator there registers webhooks again"]
    for kind in _KINDS:
        for stored in (await client.list(kind)).items:
            # Ours, and Capsule's own, whose mark is the same: they are one installation's, by turns.
            if ADMISSION_STATE_HASH not in (stored.metadata.annotations or {}):
                continue
            try:
                await client.delete(kind, stored.metadata.name, uid=stored.metadata.uid)
            except NotFoundError:
                continue
            done.append(f"{kind.kind} {stored.metadata.name} deleted")
    return [*done, "admission is disarmed: writes pass unjudged until `tenantry admission arm`"]


async def arm(client: Client, namespace: str) -> list[str]:
    """Let the operator register the webhooks again, and return what was done.

    Raises:
        TenantryError: The API server refuses, or does not answer.
    """
    done = await _throw(client, namespace, disarmed=False)
    return [done, "admission is armed: the operator registers the webhooks once an admission server is ready"]


async def _throw(client: Client, namespace: str, *, disarmed: bool) -> str:
    value = "true" if disarmed else "false"
    body = {"metadata": {"name": CONFIG_MAP, "namespace": namespace}, "data": {"disarmed": value}}
    await client.apply(CONFIG_MAPS, body, field_manager=FIELD_MANAGER, force=True)
    return f"ConfigMap {namespace}/{CONFIG_MAP} says disarmed={value}"
