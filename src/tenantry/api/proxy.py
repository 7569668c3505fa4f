"""GlobalProxySettings and ProxySetting: what subjects see of cluster-scoped kinds through the gateway (spec 8.2)."""

from __future__ import annotations

from typing import Annotated, Final

from tenantry.api.meta import CAPSULE_GROUP, Condition, LabelSelector, ObjectMeta
from tenantry.api.schema import Schema
from tenantry.api.shared import ProxyOperations, UserSpec
from tenantry.foundation.codec import Model

PROXY_VERSION: Final = "v1beta1"
PROXY_API_VERSION: Final = f"{CAPSULE_GROUP}/{PROXY_VERSION}"
RESOURCE_OPERATIONS: Final = ("List", "Get")


class ClusterResource(Model):
    """Objects of some cluster-scoped kinds, by their labels; rules add up, and are never combined into one."""

    api_groups: Annotated[tuple[str, ...], Schema(required=True)] = ()
    """API groups, ``""`` being the core group; with a ``/`` group and version; ``*`` stands for any text."""
    resources: Annotated[tuple[str, ...], Schema(required=True)] = ()
    """Plurals; ``*`` for all."""
    operations: Annotated[tuple[str, ...], Schema(default=list(RESOURCE_OPERATIONS), item_enum=RESOURCE_OPERATIONS)] = (
        RESOURCE_OPERATIONS
    )
    """What is allowed with them: List also allows Get; with Get alone they are in no list."""
    selector: Annotated[LabelSelector | None, Schema(required=True)] = None
    """Labels that the objects must have; an empty selector takes all."""


class ProxySettingsStatus(Model):
    """What the gateway reports."""

    observed_generation: Annotated[int, Schema(format="int64")] = 0
    """The metadata.generation that the status was made for."""
    conditions: tuple[Condition, ...] = ()
    """Ready: whether the gateway acts on it."""


class GlobalRule(Model):
    """Subjects, and what all of them see."""

    subjects: Annotated[tuple[UserSpec, ...], Schema(required=True)] = ()
    """Who sees it: Capsule users, whether or not they own a tenant."""
    cluster_resources: tuple[ClusterResource, ...] = ()
    """What they see."""


class GlobalProxySettingsSpec(Model):
    """What the platform sets."""

    rules: Annotated[tuple[GlobalRule, ...], Schema(required=True, min_items=1)] = ()
    """Rules; they add up."""


class GlobalProxySettings(Model):
    """What subjects see of cluster-scoped kinds, whether or not they own a tenant."""

    api_version: str = PROXY_API_VERSION
    kind: str = "GlobalProxySettings"
    metadata: ObjectMeta = ObjectMeta()
    spec: GlobalProxySettingsSpec = GlobalProxySettingsSpec()
    """What the platform sets."""
    status: ProxySettingsStatus = ProxySettingsStatus()
    """What the gateway reports."""


class TenantSubject(UserSpec):
    """A subject that sees what is the tenant's as far as it is said here, without owning the tenant."""

    cluster_resources: tuple[ClusterResource, ...] = ()
    """What it sees, by labels."""
    proxy_settings: tuple[ProxyOperations, ...] = ()
    """What it may do with the kinds that the tenant selects objects of; deprecated, use clusterResources."""


class ProxySettingSpec(Model):
    """What the platform sets."""

    subjects: Annotated[tuple[TenantSubject, ...], Schema(required=True, min_items=1)] = ()
    """Who sees what."""


class ProxySetting(Model):
    """What subjects see through the gateway for the tenant whose namespace it is in; elsewhere it grants nothing."""

    api_version: str = PROXY_API_VERSION
    kind: str = "ProxySetting"
    metadata: ObjectMeta = ObjectMeta()
    spec: ProxySettingSpec = ProxySettingSpec()
    """What the platform sets."""
    status: ProxySettingsStatus = ProxySettingsStatus()
    """What the gateway reports."""
