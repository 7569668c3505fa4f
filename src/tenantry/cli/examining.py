"""Gathers the facts for ``tenantry doctor``; what is forbidden is noted, and the rest goes on."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tenantry.api import labels
from tenantry.api.configuration import CapsuleConfiguration, DynamicAdmission
from tenantry.api.core import Lease, WebhookConfiguration
from tenantry.api.meta import CAPSULE_GROUP, ObjectMeta
from tenantry.cli.asking import Unread, found, listed
from tenantry.cli.trying import missing_rights, role_trials
from tenantry.foundation.clock import SystemClock
from tenantry.foundation.codec import Model, decode
from tenantry.foundation.errors import TenantryError
from tenantry.kube.client import Client
from tenantry.kube.resources import (
    CONFIG_MAPS,
    CONFIGURATIONS,
    CRDS,
    LEASES,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    SECRETS,
    TENANT_OWNERS,
    TENANTS,
    VALIDATING_WEBHOOKS,
    Resource,
)
from tenantry.operator.caches import ADMISSION_SWITCH
from tenantry.operator.certificates import pki
from tenantry.tenancy.desired import acknowledgement
from tenantry.tenancy.inspection.findings import Certificate, Facts, Webhooks, Workload
from tenantry.tenancy.webhooks import webhook_configurations

DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment", namespaced=True, type=Workload)
DAEMON_SETS: Final = Resource("apps", "v1", "daemonsets", "DaemonSet", namespaced=True, type=Workload)
ACKNOWLEDGE_SECONDS: Final = 2.0
"""How long an admission worker may take to say that it has seen a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Where the installation is."""

    namespace: str
    configuration_name: str
    operator_account: str
    admission_account: str

    @property
    def own_accounts(self) -> dict[str, str]:
        """User names of operator and admission, by component."""
        prefix = f"system:serviceaccount:{self.namespace}:"
        return {"operator": prefix + self.operator_account, "admission": prefix + self.admission_account}


class _Version(Model):
    git_version: str = ""


class _Conditions(Model):
    ready: bool | None = None


class _Endpoint(Model):
    conditions: _Conditions = _Conditions()


class _Slice(Model):
    metadata: ObjectMeta = ObjectMeta()
    endpoints: tuple[_Endpoint, ...] | None = None


SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", namespaced=True, type=_Slice)


async def facts_of(client: Client, installed: Installed) -> Facts:
    """Return everything the checks depend on.

    Raises:
        UnavailableError: The API server does not answer.
    """
    unread = Unread()
    version = decode(await client.request("GET", "/version"), _Version).git_version
    facts = Facts(
        now=SystemClock().now(),
        namespace=installed.namespace,
        configuration_name=installed.configuration_name,
        server_version=version,
    )
    facts = await _with_tenants(client, facts, unread)
    facts = await _with_installation(client, facts, installed, unread)
    facts = replace(
        facts,
        roles=await unread.read("roles", role_trials(client, facts, installed.own_accounts["operator"]), ()),
        missing_rights=await unread.read(
            "rights", missing_rights(client, installed.namespace, installed.own_accounts), ()
        ),
    )
    facts = await _with_leases(client, facts, unread)
    return replace(facts, now=SystemClock().now(), unread=dict(unread.what))


async def _with_tenants(client: Client, facts: Facts, unread: Unread) -> Facts:
    configuration = await unread.read("configuration", found(client, CONFIGURATIONS, facts.configuration_name), None)
    tenants = await unread.read("tenants", listed(client, TENANTS), [])
    versions = [each.metadata.resource_version for each in tenants]
    return replace(
        facts,
        configuration=configuration,
        tenants=tenants,
        tenants_version=max((int(each) for each in versions if each.isdigit()), default=0),
        tenant_owners=await unread.read("tenant owners", listed(client, TENANT_OWNERS), []),
        namespaces=[
            each.metadata for each in await unread.read("namespaces", listed(client, NAMESPACES.metadata_only()), [])
        ],
    )


async def _with_installation(client: Client, facts: Facts, installed: Installed, unread: Unread) -> Facts:
    own = installed.namespace
    crds, deployments, daemon_sets, switch = await asyncio.gather(
        unread.read("CRDs", listed(client, CRDS), None),
        unread.read("Deployments", listed(client, DEPLOYMENTS), None),
        unread.read("DaemonSets", listed(client, DAEMON_SETS), None),
        unread.read("whether admission is disarmed", found(client, CONFIG_MAPS, ADMISSION_SWITCH, own), None),
    )
    configuration = facts.configuration or CapsuleConfiguration()
    admission = configuration.spec.admission or DynamicAdmission()
    sides = [side for side in (admission.mutating, admission.validating) if side is not None]
    service = admission.service_name
    return replace(
        facts,
        crds=None if crds is None else {each.metadata.name: each for each in crds if _is_of_group(each.metadata)},
        deployments=deployments,
        daemon_sets=daemon_sets,
        disarmed=switch is not None and (switch.data or {}).get("disarmed") == "true",
        certificate=await unread.read("certificate", _certificate(client, own, configuration), None),
        webhooks=await unread.read("webhooks", _webhooks(client, configuration, installed), ()),
        endpoints=await unread.read("endpoints", _endpoints(client, own, service), None),
        is_outside=any(side.client.url for side in sides),
        metrics=await unread.read("metrics", _metrics(client, own), None),
    )


def _is_of_group(metadata: ObjectMeta) -> bool:
    return metadata.name.endswith(f".{CAPSULE_GROUP}")


async def _with_leases(client: Client, facts: Facts, unread: Unread) -> Facts:
    """Read the Leases last: the workers have had time to say what they have seen of the Tenants."""
    leases = await unread.read("leases", _leases(client, facts), None)
    return replace(facts, leases=leases)


async def _leases(client: Client, facts: Facts) -> list[Lease]:
    leases = await listed(client, LEASES, facts.namespace)
    kept = [each for each in leases if (each.metadata.labels or {}).get(acknowledgement.LABEL)]
    if not acknowledgement.acknowledged(kept, SystemClock().now(), acknowledgement.TENANTS, facts.tenants_version):
        await asyncio.sleep(ACKNOWLEDGE_SECONDS)
        leases = await listed(client, LEASES, facts.namespace)
    return leases


async def _certificate(client: Client, namespace: str, configuration: CapsuleConfiguration) -> Certificate:
    name = configuration.spec.overrides.tls_secret_name
    secret = await found(client, SECRETS, name, namespace)
    data = {key: _decoded(value) for key, value in ((secret.data or {}) if secret is not None else {}).items()}
    authorities = pki.certificates_of(data.get("ca.crt", ""))
    pem = data.get("tls.crt", "")
    read = [serving for each in authorities or {""} if (serving := pki.read_serving(pem, each)) is not None]
    return Certificate(
        secret=name,
        authorities=authorities,
        expires=read[0].expires if read else None,
        is_trusted=any(each.is_by_current for each in read),
    )


async def _webhooks(client: Client, configuration: CapsuleConfiguration, installed: Installed) -> tuple[Webhooks, ...]:
    wanted = webhook_configurations(
        configuration,
        ca_bundle="",
        namespace=installed.namespace,
        service_name="",
        own_accounts=tuple(installed.own_accounts.values()),
        idle_tenants=(),
    )
    admission = configuration.spec.admission or DynamicAdmission()
    parts = zip(
        (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS), wanted, (admission.mutating, admission.validating), strict=True
    )
    return tuple(
        [
            _side(
                resource.kind,
                manifest,
                await found(client, resource, manifest["metadata"]["name"]),
                has_own_bundle=bool(side is not None and side.client.ca_bundle),
            )
            for resource, manifest, side in parts
        ]
    )


def _side(
    kind: str, manifest: Mapping[str, Any], stored: WebhookConfiguration | None, *, has_own_bundle: bool
) -> Webhooks:
    is_ours = stored is not None and labels.ADMISSION_STATE_HASH in (stored.metadata.annotations or {})
    entries = (stored.webhooks or []) if stored is not None and is_ours else []
    return Webhooks(
        kind=kind,
        name=manifest["metadata"]["name"],
        stored=stored if is_ours else None,
        bundles=[pki.certificates_of(_decoded(each.get("clientConfig", {}).get("caBundle", ""))) for each in entries],
        # Which of the entries for idle tenants exist depends on whether there are any: not told here.
        expected={each["name"]: each["failurePolicy"] for each in manifest["webhooks"]},
        has_own_bundle=has_own_bundle,
    )


async def _endpoints(client: Client, namespace: str, service: str) -> int | None:
    slices = await listed(client, SLICES, namespace, label_selector=f"kubernetes.io/service-name={service}")
    return sum(each.conditions.ready is not False for one in slices for each in one.endpoints or ())


async def _metrics(client: Client, namespace: str) -> dict[str, bool]:
    """Ask through the API server's proxy; only components whose Service has somebody behind it."""
    answers = {}
    for component in ("operator", "admission"):
        service = f"tenantry-{component}-metrics"
        if await _endpoints(client, namespace, service):
            path = f"/api/v1/namespaces/{namespace}/services/{service}:metrics/proxy/metrics"
            answers[component] = await _answers(client, path)
    return answers


async def _answers(client: Client, path: str) -> bool:
    try:
        await client.request("GET", path, timeout_seconds=5)
    except TenantryError:
        return False
    return True


def _decoded(text: str) -> str:
    try:
        return b64decode(text).decode(errors="replace")
    except ValueError:
        return ""
