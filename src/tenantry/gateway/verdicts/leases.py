"""The leases of nodes that somebody sees, which ``kubectl describe node`` reads (R-043)."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from aiohttp import web

from tenantry.access.identity import Identity
from tenantry.access.requests import RequestInfo
from tenantry.gateway.protocol import Answer
from tenantry.gateway.verdicts.bodies import CONTENT_TYPES, accepted
from tenantry.gateway.verdicts.objects import live_labels
from tenantry.gateway.verdicts.refusing import not_acceptable, not_visible, own_account_lacks
from tenantry.gateway.verdicts.verdicts import Views
from tenantry.kube.client import Client
from tenantry.kube.errors import ApiError

_PATH: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"


class NodeLeases:
    """Reads one lease with the gateway's own account, once its node is visible to whoever asks."""

    def __init__(self, client: Client, views: Views) -> None:
        """Take a *client* of the gateway's own account, and who sees what."""
        self._client = client
        self._views = views

    async def handle(self, request: web.BaseRequest, identity: Identity, info: RequestInfo) -> web.StreamResponse:
        """Answer *request* of *identity*."""
        answer = await self.answer(identity, info, request.headers.get("Accept", ""))
        return web.Response(status=answer.status, body=answer.body, headers=list(answer.headers))

    async def answer(self, identity: Identity, info: RequestInfo, accept: str) -> Answer:
        """Return the lease that *info* names (see :func:`tenantry.access.served.is_node_lease`).

        Raises:
            UnavailableError: The API server did not answer.
        """
        form = accepted(accept)
        if form is None:
            return not_acceptable()
        # Asked again, although the verdict sent it here: whoever gets here by mistake sees nothing.
        view = self._views.view(identity)
        labels = await live_labels(self._client, "", "v1", "nodes", info.name) if view is not None else None
        if view is None or labels is None or not view.sight("", "v1", "nodes", "get").shows(info.name, labels):
            return not_visible(info)
        try:
            body = await self._client.request(
                "GET", _PATH + quote(info.name, safe=""), headers={"Accept": CONTENT_TYPES[form]}
            )
        except ApiError as error:
            if error.status == 404:
                return not_visible(info)
            return own_account_lacks(f"the gateway can not read the node's lease: {error.message}")
        return Answer(body=body, headers=(("content-type", CONTENT_TYPES[form]),))
