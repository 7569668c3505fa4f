"""The controller of the gateway's certificate: made once a CA, renewed in time, in the Secret that clients know.

A Secret that somebody else made (cert-manager, capsule-proxy's chart, a person) is left alone.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import structlog

from tenantry.api.core import Secret
from tenantry.kube.errors import AlreadyExistsError
from tenantry.kube.queue import WorkQueue
from tenantry.kube.resources import SECRETS
from tenantry.operator.certificates.child import AuthorityRequest, InspectRequest, ServingRequest, inspect, make
from tenantry.operator.certificates.plan import Step, View, next_step, trusted
from tenantry.operator.tools import Tools

KEY: Final = "gateway-certificate"
MANAGER: Final = "tenantry/gateway-certificate"
MADE_BY: Final = "gateway.tenantry.dev/certificate-by"
"""Annotation of Secrets that are the operator's to write; its value is ``operator``."""
CA_SUFFIX: Final = "-ca"
"""The CA's key is in a Secret of its own, which is mounted nowhere."""
RECHECK_SECONDS: Final = 600.0
_OPERATOR: Final = "operator"
_SUBJECT: Final = "tenantry-gateway"
_log = structlog.get_logger(__name__)


class GatewayCertificateController:
    """Its one key is KEY; it works where the settings name a Secret."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.queue: WorkQueue[str] = WorkQueue(KEY)

    async def reconcile(self, _: str) -> float | None:
        """Take the next step; return when to look again."""
        name = self._tools.settings.gateway_secret
        secret = self._secret(name) if name else None
        if not name or (secret is not None and not _is_ours(secret)):
            return None
        view = await self._view(name, secret)
        step = next_step(view)
        if step is Step.NOTHING:
            return RECHECK_SECONDS
        _log.info("gateway_certificate.step", step=step.value, secret=name)
        if step is Step.MAKE_CA:
            certificate, key = await make(AuthorityRequest(now=view.now, subject=_SUBJECT))
            authority = name + CA_SUFFIX
            await self._put(authority, self._secret(authority), {"tls.crt": certificate, "tls.key": key})
        else:
            await self._publish(name, secret, view)
        return 0.0

    async def _view(self, name: str, secret: Secret | None) -> View:
        found = await inspect(
            InspectRequest(
                authority=_text(self._secret(name + CA_SUFFIX), "tls.crt"),
                serving=_text(secret, "tls.crt"),
                published=_text(secret, "ca.crt"),
                registered=(),
            )
        )
        return View(
            now=self._tools.clock.now(),
            names=frozenset(self._tools.settings.gateway_hosts),
            current=found.current,
            serving=found.serving,
            published=found.published,
            # Clients hold the CA, and nobody knows which: there is nothing to wait for.
            registered=(),
            trusted_for=timedelta(0),
        )

    async def _publish(self, name: str, secret: Secret | None, view: View) -> None:
        pair = (_text(secret, "tls.crt"), _text(secret, "tls.key"))
        bundle = "".join(sorted(trusted(view)))
        if view.serving is None or not view.serving.is_by_current or next_step(view) is Step.SERVE:
            authority = self._secret(name + CA_SUFFIX)
            signer = (_text(authority, "tls.crt"), _text(authority, "tls.key"))
            pair = await make(ServingRequest(authority=signer, names=view.names, now=view.now, subject=_SUBJECT))
        # Tekton and Teleport read the one, Headlamp the other.
        values = {"tls.crt": pair[0], "tls.key": pair[1], "ca": bundle, "ca.crt": bundle}
        await self._put(name, secret, values)

    async def _put(self, name: str, stored: Secret | None, values: Mapping[str, str]) -> None:
        metadata: dict[str, object] = {"name": name, "namespace": self._tools.settings.namespace}
        annotations = {MADE_BY: _OPERATOR}
        if stored is not None:
            metadata |= {
                "resourceVersion": stored.metadata.resource_version,
                "labels": stored.metadata.labels or {},
            }
            annotations = {**(stored.metadata.annotations or {}), **annotations}
        body = {
            "metadata": {**metadata, "annotations": annotations},
            "type": stored.type if stored is not None else "kubernetes.io/tls",
            "data": {key: b64encode(value.encode()).decode() for key, value in values.items()},
        }
        client = self._tools.client
        try:
            written = await (
                client.update(SECRETS, body, field_manager=MANAGER)
                if stored is not None
                else client.create(SECRETS, body, field_manager=MANAGER)
            )
        except AlreadyExistsError:
            return  # The watch brings it.
        self._tools.caches.secrets.observe(written)

    def _secret(self, name: str) -> Secret | None:
        return self._tools.caches.secrets.get(name, self._tools.settings.namespace)


def _is_ours(secret: Secret) -> bool:
    return (secret.metadata.annotations or {}).get(MADE_BY) == _OPERATOR


def _text(secret: Secret | None, key: str) -> str:
    encoded = (secret.data or {}).get(key, "") if secret is not None else ""
    return b64decode(encoded).decode(errors="replace")
