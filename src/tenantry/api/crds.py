"""CustomResourceDefinitions of the served kinds, generated from the API types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.docstrings import struct_doc
from tenantry.api.meta import CAPSULE_GROUP, CAPSULE_VERSION
from tenantry.api.openapi import JSON, field_schema, fields
from tenantry.api.proxy import PROXY_VERSION, GlobalProxySettings, ProxySetting
from tenantry.api.rule_status import RuleStatus
from tenantry.api.tenant import Tenant
from tenantry.api.tenant_owner import TenantOwner
from tenantry.foundation.codec import Model

_READY: Final = '.status.conditions[?(@.type=="Ready")]'


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that ``kubectl get`` prints."""

    name: str
    path: str
    type: str = "string"
    description: str

    def manifest(self) -> JSON:
        """Return it as the CRD lists it."""
        return {"name": self.name, "type": self.type, "jsonPath": self.path, "description": self.description}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of the API group."""

    type: type[Model]
    plural: str
    version: str = CAPSULE_VERSION
    is_namespaced: bool = False
    short_names: tuple[str, ...] = ()
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        """The kind's name."""
        return self.type.__name__


_READY_COLUMN: Final = Column(name="Ready", path=f"{_READY}.status", description="Whether the object is reconciled")
_AGE_COLUMN: Final = Column(name="Age", path=".metadata.creationTimestamp", type="date", description="Age")


def _message_column(name: str) -> Column:
    return Column(name=name, path=f"{_READY}.message", description="What the Ready condition says")


KINDS: Final = (
    Kind(
        type=Tenant,
        plural="tenants",
        short_names=("tnt",),
        columns=(
            Column(name="State", path=".status.state", description="Whether the tenant is active or cordoned"),
            Column(
                name="Namespace quota",
                path=".spec.namespaceOptions.quota",
                type="integer",
                description="How many namespaces it may have",
            ),
            Column(
                name="Namespace count", path=".status.size", type="integer", description="How many namespaces it has"
            ),
            Column(name="Node selector", path=".spec.nodeSelector", description="Node labels its Pods are bound to"),
            _READY_COLUMN,
            _message_column("Status"),
            _AGE_COLUMN,
        ),
    ),
    Kind(
        type=CapsuleConfiguration,
        plural="capsuleconfigurations",
        columns=(_READY_COLUMN, _message_column("Status"), _AGE_COLUMN),
    ),
    Kind(type=TenantOwner, plural="tenantowners", short_names=("to",), columns=(_READY_COLUMN, _AGE_COLUMN)),
    Kind(
        type=RuleStatus,
        plural="rulestatuses",
        is_namespaced=True,
        columns=(_READY_COLUMN, _message_column("Message"), _AGE_COLUMN),
    ),
    Kind(
        type=GlobalProxySettings,
        plural="globalproxysettings",
        version=PROXY_VERSION,
        columns=(_READY_COLUMN, _AGE_COLUMN),
    ),
    Kind(
        type=ProxySetting,
        plural="proxysettings",
        version=PROXY_VERSION,
        is_namespaced=True,
        columns=(_READY_COLUMN, _AGE_COLUMN),
    ),
)
"""The kinds that are served, in the order in which they are applied."""

_TYPE_FIELDS: Final[dict[str, JSON]] = {
    "apiVersion": {"type": "string", "description": "Version of the schema that the object is written in."},
    "kind": {"type": "string", "description": "The kind that the object is of."},
    "metadata": {"type": "object"},
}


def crd_manifests() -> list[dict[str, Any]]:
    """Return the manifests to apply, fresh ones at each call."""
    return [_manifest(kind) for kind in KINDS]


def _manifest(kind: Kind) -> JSON:
    names: JSON = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
    }
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{CAPSULE_GROUP}"},
        "spec": {
            "group": CAPSULE_GROUP,
            "names": names,
            "scope": "Namespaced" if kind.is_namespaced else "Cluster",
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root_schema(kind)},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.manifest() for column in kind.columns],
                }
            ],
        },
    }


def _root_schema(kind: Kind) -> JSON:
    properties = {name: dict(schema) for name, schema in _TYPE_FIELDS.items()}
    for member in fields(kind.type):
        if member.name not in properties:
            properties[member.name] = field_schema(member)
    return {"type": "object", "description": struct_doc(kind.type), "properties": properties}
