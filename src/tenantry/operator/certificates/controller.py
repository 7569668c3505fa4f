"""The controller of admission's certificate; it alone writes the Secrets, and only while it leads."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import structlog

from tenantry.api.configuration import CapsuleConfiguration, DynamicAdmission, WebhookClient
from tenantry.api.core import Secret
from tenantry.kube.errors import AlreadyExistsError
from tenantry.kube.queue import WorkQueue
from tenantry.kube.resources import SECRETS
from tenantry.operator.certificates.child import (
    AuthorityRequest,
    Inspection,
    InspectRequest,
    ServingRequest,
    inspect,
    make,
)
from tenantry.operator.certificates.plan import Step, View, is_trusted, next_step, trusted
from tenantry.operator.tools import Tools

KEY: Final = "certificates"
MANAGER: Final = "tenantry/certificates"
CA_SUFFIX: Final = "-ca"
"""The CA's key is in a Secret of its own, which admission has no right to read."""
RECHECK_SECONDS: Final = 600.0
WAIT_SECONDS: Final = 0.5
_CERT_MANAGER: Final = "cert-manager.io/certificate-name"
_log = structlog.get_logger(__name__)


class CertificateController:
    """Its one key is KEY; it works while ``enableTLSReconciler`` is set and nobody else keeps the Secret."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._known: tuple[InspectRequest, Inspection] | None = None
        self._trusted: tuple[str, float] | None = None
        self.queue: WorkQueue[str] = WorkQueue("certificates")

    async def reconcile(self, _: str) -> float | None:
        """Take the next step; return when to look again."""
        configuration = self._tools.book.configuration
        if configuration is None or not configuration.spec.enable_tls_reconciler:
            return None
        name = configuration.spec.overrides.tls_secret_name
        secret = self._secret(name)
        if secret is not None and _CERT_MANAGER in (secret.metadata.annotations or {}):
            return None
        view = await self._view(configuration, secret, name)
        step = next_step(view)
        if step is Step.NOTHING:
            return RECHECK_SECONDS
        if step is Step.WAIT:
            return WAIT_SECONDS
        _log.info("certificates.step", step=step.value, secret=name)
        if step is Step.MAKE_CA:
            await self._make_authority(name)
        else:
            await self._publish(name, secret, view, serve=step is Step.SERVE)
        return 0.0 if step is not Step.PUBLISH else WAIT_SECONDS

    async def _view(self, configuration: CapsuleConfiguration, secret: Secret | None, name: str) -> View:
        request = InspectRequest(
            authority=_text(self._secret(name + CA_SUFFIX), "tls.crt"),
            serving=_text(secret, "tls.crt"),
            published=_text(secret, "ca.crt"),
            registered=tuple(self._registered(configuration)),
        )
        if self._known is None or self._known[0] != request:
            self._known = request, await inspect(request)
        found = self._known[1]
        view = View(
            now=self._tools.clock.now(),
            names=_names(configuration, self._tools.settings.service_name, self._tools.settings.namespace),
            current=found.current,
            serving=found.serving,
            published=found.published,
            registered=found.registered,
            trusted_for=timedelta(0),
        )
        return replace(view, trusted_for=self._trusted_for(view))

    def _trusted_for(self, view: View) -> timedelta:
        """Return how long all configurations have had the current CA, as seen from here."""
        now = self._tools.clock.monotonic()
        if view.current is None or not is_trusted(view):
            self._trusted = None
            return timedelta(0)
        if self._trusted is None or self._trusted[0] != view.current.pem:
            self._trusted = view.current.pem, now
        return timedelta(seconds=now - self._trusted[1])

    def _registered(self, configuration: CapsuleConfiguration) -> list[str]:
        """Return the bundle of each registered entry, but for those whose CA the platform gives."""
        admission = configuration.spec.admission or DynamicAdmission()
        caches = self._tools.caches
        sides = ((admission.mutating, caches.mutating_webhooks), (admission.validating, caches.validating_webhooks))
        return sorted(
            {
                b64decode(webhook.get("clientConfig", {}).get("caBundle", "")).decode(errors="replace")
                for side, cache in sides
                if side is None or not side.client.ca_bundle
                for stored in cache.values()
                for webhook in stored.webhooks or ()
            }
        )

    async def _make_authority(self, name: str) -> None:
        certificate, key = await make(AuthorityRequest(now=self._tools.clock.now()))
        await self._put(name + CA_SUFFIX, self._secret(name + CA_SUFFIX), {"tls.crt": certificate, "tls.key": key})

    async def _publish(self, name: str, secret: Secret | None, view: View, *, serve: bool) -> None:
        values = {key: _text(secret, key) for key in ("tls.crt", "tls.key")}
        if serve or (secret is None and all(not bundle for bundle in view.registered)):
            authority = self._secret(name + CA_SUFFIX)
            pair = (_text(authority, "tls.crt"), _text(authority, "tls.key"))
            values["tls.crt"], values["tls.key"] = await make(
                ServingRequest(authority=pair, names=view.names, now=view.now)
            )
        await self._put(name, secret, {**values, "ca.crt": "".join(sorted(trusted(view)))})

    async def _put(self, name: str, stored: Secret | None, values: Mapping[str, str]) -> None:
        metadata: dict[str, object] = {"name": name, "namespace": self._tools.settings.namespace}
        if stored is not None:
            metadata |= {
                "resourceVersion": stored.metadata.resource_version,
                "labels": stored.metadata.labels or {},
                "annotations": stored.metadata.annotations or {},
            }
        body = {
            "metadata": metadata,
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


def _text(secret: Secret | None, key: str) -> str:
    encoded = (secret.data or {}).get(key, "") if secret is not None else ""
    return b64decode(encoded).decode(errors="replace")


def _names(configuration: CapsuleConfiguration, service_name: str, namespace: str) -> frozenset[str]:
    """Return every name under which an API server may call admission."""
    admission = configuration.spec.admission
    names = {*_service_names(admission.service_name if admission is not None else service_name, namespace)}
    for side in (admission.mutating, admission.validating) if admission is not None else ():
        if side is not None:
            names |= _client_names(side.client)
    return frozenset(names)


def _client_names(client: WebhookClient) -> set[str]:
    if client.url:
        host = urlsplit(client.url).hostname
        return {host} if host else set()
    if client.service is not None:
        return set(_service_names(client.service.name, client.service.namespace))
    return set()


def _service_names(name: str, namespace: str) -> tuple[str, ...]:
    return (name, f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local")
