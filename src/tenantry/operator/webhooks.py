"""The controller of the two WebhookConfigurations (R-10, spec 13.3, 13.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.core import WebhookConfiguration
from tenantry.api.labels import ADMISSION_STATE_HASH, TENANT
from tenantry.api.meta import Condition
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import from_plain
from tenantry.kube.cache import Cache
from tenantry.kube.errors import AlreadyExistsError, ApiError
from tenantry.kube.queue import WorkQueue
from tenantry.operator.caches import ADMISSION_SWITCH
from tenantry.operator.tools import Tools
from tenantry.tenancy.desired.conditions import condition
from tenantry.tenancy.desired.configuration_status import ADMISSION
from tenantry.tenancy.desired.manifests import Manifest
from tenantry.tenancy.webhook_defaults import is_idle
from tenantry.tenancy.webhooks import webhook_configurations

KEY: Final = "webhooks"
MANAGER: Final = "tenantry/webhooks"
REGISTERED: Final = "Registered"
JOIN_SECONDS: Final = 1.0
"""Tenants join the list of the idle this seldom; leaving it is never delayed."""
WAIT_SECONDS: Final = 1.0
INJECTED: Final = frozenset(f"cert-manager.io/inject-{what}" for what in ("ca-from", "ca-from-secret", "apiserver-ca"))
"""Annotations by which cert-manager's injector takes charge of the CA bundle."""
_log = structlog.get_logger(__name__)


class WebhookController:
    """Its one key is KEY."""

    def __init__(self, tools: Tools, *, on_change: Callable[[], None]) -> None:
        """*on_change* is called when :meth:`admission` has something new to tell."""
        self._tools = tools
        self._on_change = on_change
        self._condition: Condition | None = None
        self._joined_at = float("-inf")
        self.queue: WorkQueue[str] = WorkQueue("webhooks", min_interval_seconds=0.1)

    def admission(self) -> Condition | None:
        """Return the condition that tells whether the configurations stand; None before the first look."""
        return self._condition

    def is_policed(self, tenant: Tenant) -> bool:
        """Return whether what is registered calls admission for everything that the tenant's rules are about."""
        return is_idle(tenant) or tenant.metadata.name not in self._registered_idle()

    async def reconcile(self, _: str) -> float | None:
        """Register, update or take away; return when to look again."""
        configuration = self._tools.book.configuration
        if configuration is None:
            return None
        generation = configuration.metadata.generation
        if self._is_disarmed():
            await self._remove_all(kept=frozenset())
            self._tell("Disarmed", "admission was disarmed: run `tenantry admission arm`", generation=generation)
            return None
        bundle = self._ca_bundle(configuration)
        waiting = self._reason_to_wait(configuration, bundle)
        if waiting is not None:
            self._tell(*waiting, generation=generation)
            return WAIT_SECONDS
        idle = self._idle_tenants()
        joins_only = self._is_held_back(idle)
        if joins_only:
            idle = sorted(set(idle) & self._registered_idle())
        try:
            await self._register(configuration, bundle, idle)
        except ApiError as error:
            self._tell("RegistrationFailed", str(error), generation=generation)
            raise
        self._tell(REGISTERED, "the webhook configurations stand", generation=generation)
        return JOIN_SECONDS if joins_only else None

    async def _register(self, configuration: CapsuleConfiguration, bundle: str, idle: list[str]) -> None:
        settings = self._tools.settings
        mutating, validating = webhook_configurations(
            configuration,
            ca_bundle=bundle,
            namespace=settings.namespace,
            service_name=settings.service_name,
            own_accounts=settings.own_accounts,
            idle_tenants=idle,
        )
        # What validates stands first: what is only changed by admission could otherwise get by unjudged.
        await self._write(self._tools.caches.validating_webhooks, validating)
        await self._write(self._tools.caches.mutating_webhooks, mutating)
        await self._remove_all(
            kept=frozenset((each["kind"], each["metadata"]["name"]) for each in (mutating, validating))
        )

    async def _write(self, cache: Cache[WebhookConfiguration], wanted: Manifest) -> None:
        """Replace the whole configuration: entries that someone else left there would be called, too."""
        stored = cache.get(wanted["metadata"]["name"])
        if stored is not None:
            wanted = with_injected(wanted, stored)
            if _equals(stored, wanted):
                return
        client = self._tools.client
        if stored is None:
            try:
                cache.observe(await client.create(cache.resource, wanted, field_manager=MANAGER))
            except AlreadyExistsError:  # Capsule's own, without the label that the cache asks for.
                stored = await client.get(cache.resource, wanted["metadata"]["name"])
        if stored is not None:
            wanted = with_injected(wanted, stored)
            body = {**wanted, "metadata": _over(stored, wanted["metadata"])}
            cache.observe(await client.update(cache.resource, body, field_manager=MANAGER))
        _log.info("webhooks.registered", kind=wanted["kind"], name=wanted["metadata"]["name"])

    async def _remove_all(self, *, kept: frozenset[tuple[str, str]]) -> None:
        """Take away what carries our mark under another name, or all."""
        for cache in (self._tools.caches.mutating_webhooks, self._tools.caches.validating_webhooks):
            for stored in cache.values():
                if _is_ours(stored) and (cache.resource.kind, stored.metadata.name) not in kept:
                    await self._tools.writer.remove(cache, stored)
                    _log.info("webhooks.removed", kind=cache.resource.kind, name=stored.metadata.name)

    def _reason_to_wait(self, configuration: CapsuleConfiguration, bundle: str) -> tuple[str, str] | None:
        caches = self._tools.caches
        if all(any(map(_is_ours, each.values())) for each in (caches.mutating_webhooks, caches.validating_webhooks)):
            return None  # They stand: taking them away now would open what they close.
        if not bundle and not _has_bundle_from_elsewhere(configuration):
            return "WaitingForCertificate", "there is no CA yet that admission's certificate could be trusted by"
        if not self._tools.enforcement.has_live_worker:
            return "WaitingForAdmission", "no admission server is ready yet"
        return None

    def _is_disarmed(self) -> bool:
        switch = self._tools.caches.switches.get(ADMISSION_SWITCH, self._tools.settings.namespace)
        return switch is not None and (switch.data or {}).get("disarmed") == "true"

    def _ca_bundle(self, configuration: CapsuleConfiguration) -> str:
        """Return the published CAs; where cert-manager injects them, what it injected."""
        name = configuration.spec.overrides.tls_secret_name
        secret = self._tools.caches.secrets.get(name, self._tools.settings.namespace)
        published = (secret.data or {}).get("ca.crt", "") if secret is not None else ""
        if published:
            return published
        for cache in (self._tools.caches.mutating_webhooks, self._tools.caches.validating_webhooks):
            for stored in cache.values():
                for webhook in stored.webhooks or ():
                    bundle: str = webhook.get("clientConfig", {}).get("caBundle", "")
                    if bundle:
                        return bundle
        return ""

    def _idle_tenants(self) -> list[str]:
        return sorted(tenant.metadata.name for tenant in self._tools.caches.tenants.values() if is_idle(tenant))

    def _is_held_back(self, idle: list[str]) -> bool:
        """Return whether tenants that would join the list have to wait a little."""
        if set(idle) <= self._registered_idle():
            return False
        now = self._tools.clock.monotonic()
        if now - self._joined_at < JOIN_SECONDS:
            return True
        self._joined_at = now
        return False

    def _registered_idle(self) -> frozenset[str]:
        """Return the tenants that the registered default entries leave out."""
        configuration = self._tools.book.configuration
        admission = configuration.spec.admission if configuration is not None else None
        found: set[str] = set()
        for side, cache in (
            (admission.mutating if admission else None, self._tools.caches.mutating_webhooks),
            (admission.validating if admission else None, self._tools.caches.validating_webhooks),
        ):
            if side is None or not side.webhooks:
                found |= {name for stored in cache.values() for name in _left_out(stored)}
        return frozenset(found)

    def _tell(self, reason: str, message: str, *, generation: int) -> None:
        # kubectl wait takes a condition without its generation for an old one, and waits for ever.
        told = condition(ADMISSION, holds=reason == REGISTERED, reason=reason, message=message, generation=generation)
        if told != self._condition:
            self._condition = told
            self._on_change()


def _is_ours(stored: WebhookConfiguration) -> bool:
    return ADMISSION_STATE_HASH in (stored.metadata.annotations or {})


def _left_out(stored: WebhookConfiguration) -> list[str]:
    return [
        name
        for webhook in stored.webhooks or ()
        for requirement in webhook.get("namespaceSelector", {}).get("matchExpressions", ())
        if requirement.get("key") == TENANT and requirement.get("operator") == "NotIn"
        for name in requirement.get("values", ())
    ]


def _has_bundle_from_elsewhere(configuration: CapsuleConfiguration) -> bool:
    """Return whether the platform gives the CA, or has it injected into what must stand for that."""
    admission = configuration.spec.admission
    sides = (admission.mutating, admission.validating) if admission is not None else ()
    return bool(sides) and all(
        side is not None and (side.client.ca_bundle or is_injected(side.annotations)) for side in sides
    )


def is_injected(annotations: Mapping[str, str] | None) -> bool:
    """Return whether cert-manager puts the CA into an object with *annotations*."""
    return any(key in INJECTED for key in annotations or ())


def with_injected(wanted: Manifest, stored: WebhookConfiguration) -> Manifest:
    """Return *wanted* with the CAs that cert-manager put into *stored*, where it is to do that (R-10)."""
    bundles = {each.get("name"): each.get("clientConfig", {}).get("caBundle") for each in stored.webhooks or ()}
    known = next((bundle for bundle in bundles.values() if bundle), None)
    if known is None or not is_injected(wanted["metadata"]["annotations"]):
        return wanted
    webhooks = [
        {**each, "clientConfig": {**each["clientConfig"], "caBundle": bundles.get(each["name"]) or known}}
        for each in wanted["webhooks"]
    ]
    return {**wanted, "webhooks": webhooks}


def _equals(stored: WebhookConfiguration, wanted: Manifest) -> bool:
    meta = wanted["metadata"]
    labels, annotations = stored.metadata.labels or {}, stored.metadata.annotations or {}
    expected = from_plain({**wanted, "metadata": {}}, WebhookConfiguration).webhooks
    return (
        (stored.webhooks or []) == (expected or [])
        and labels.items() >= meta["labels"].items()
        and annotations.items() >= meta["annotations"].items()
        and is_injected(annotations) == is_injected(meta["annotations"])
    )


def _over(stored: WebhookConfiguration, wanted: dict[str, Any]) -> dict[str, Any]:
    # The injector goes by the configuration alone: two who write the bundles would never end.
    others = {key: value for key, value in (stored.metadata.annotations or {}).items() if key not in INJECTED}
    return {
        **wanted,
        "resourceVersion": stored.metadata.resource_version,
        "labels": {**(stored.metadata.labels or {}), **wanted["labels"]},
        "annotations": {**others, **wanted["annotations"]},
    }
