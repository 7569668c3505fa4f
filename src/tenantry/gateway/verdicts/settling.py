"""A namespace that an owner just made is told of once the owner's rights in it are there.

The API server says yes before the operator has bound the owner's ClusterRoles.  ``helm install
--create-namespace``, and a manifest of a namespace and what is in it, go on at once, and would be refused.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Final

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import identity_from
from tenantry.access.principals import binding_keys, subject_keys
from tenantry.access.requests import request_info
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import DecodeError, Model, decode
from tenantry.foundation.errors import TenantryError
from tenantry.foundation.names import is_dns_label
from tenantry.gateway.protocol import Answer, Lines
from tenantry.gateway.verdicts.verdicts import Views
from tenantry.gateway.verdicts.wire import WireError, last, opened, text
from tenantry.kube.client import Client
from tenantry.kube.resources import NAMESPACES, ROLE_BINDINGS, TENANTS
from tenantry.tenancy.owners import owner_keys

PATIENCE_SECONDS: Final = 1.5
"""How long an answer is held back at most: the data plane waits a little longer for ours."""
PAUSE_SECONDS: Final = 0.05


class _Made(Model):
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()


class Settling:
    """Waits for the rights of whoever made a namespace."""

    def __init__(self, client: Client, views: Views) -> None:
        """Take a *client* of the gateway's own account, and who is filtered."""
        self._client = client
        self._views = views

    async def created(self, lines: Lines) -> Answer:
        """Return when the rights are there, or nobody knows of any, or patience ends; the answer says nothing."""
        about = {name: value for name, value in lines if name.startswith(":")}
        identity = identity_from(lines)
        info = request_info(about.get(":method", ""), about.get(":path", ""))
        name = info.name or _name_in(about.get(":body", ""))
        if self._views.view(identity) is not None and is_dns_label(name):
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._settled(identity, name)
            except (TenantryError, DecodeError, TimeoutError):
                pass  # It is made, whatever else there is: the client has to hear that.
        return Answer(status=204)

    async def _settled(self, identity: Identity, name: str) -> None:
        references = (await self._client.get(NAMESPACES, name)).metadata.owner_references or ()
        tenants = [each.name for each in references if each.kind == TENANTS.kind]
        if not tenants:
            return
        keys = subject_keys(identity)
        wanted = _roles(await self._client.get(TENANTS, tenants[0]), keys)
        while wanted - await self._bound(name, keys):  # noqa: ASYNC110  # asked of the API server
            await asyncio.sleep(PAUSE_SECONDS)  # Not worth a watch: it is there in a tenth of a second.

    async def _bound(self, namespace: str, keys: frozenset[str]) -> set[str]:
        found = (await self._client.list(ROLE_BINDINGS, namespace)).items
        return {each.role_ref.name for each in found if not keys.isdisjoint(binding_keys(each))}


def _roles(tenant: Tenant, keys: frozenset[str]) -> set[str]:
    """Return the ClusterRoles that whoever has *keys* is bound to in namespaces of *tenant*."""
    mine = (each for each in tenant.status.owners if not keys.isdisjoint(owner_keys([each])))
    return {role for each in mine for role in each.cluster_roles}


def _name_in(encoded: str) -> str:
    """Return the name of the namespace that an answer is about; empty where that is in no form that we read."""
    try:
        body = base64.b64decode(encoded, validate=True)
        if body.startswith(b"{"):
            made = decode(body, _Made)
            return made.metadata.name if made.kind == NAMESPACES.kind else ""
        kind, message = opened(body)
        return text(last(message, 1) or b"", 1) if kind == NAMESPACES.kind else ""
    except (binascii.Error, DecodeError, WireError):
        return ""
