"""Which cluster-scoped kinds the server has, and which of their tables a cache may answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import monotonic
from typing import Final
from urllib.parse import quote

from tenantry.foundation.codec import DecodeError, Model, decode
from tenantry.gateway.serving.reads import OwnReads
from tenantry.kube.discovery import ApiCatalog
from tenantry.kube.errors import ForbiddenError, NotFoundError

KEEP_SECONDS: Final = 30.0

KindKey = tuple[str, str, str]
"""Group, version, plural."""

_CORE_GROUPS: Final = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "certificates.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)
"""Served by kube-apiserver itself.  Others are custom resources, or of an API server of their own."""
_ONLY_AGE: Final = frozenset(
    {
        ("", "namespaces"),
        ("", "nodes"),
        ("", "persistentvolumes"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("apiregistration.k8s.io", "apiservices"),
        ("networking.k8s.io", "ingressclasses"),
        ("node.k8s.io", "runtimeclasses"),
        ("rbac.authorization.k8s.io", "clusterrolebindings"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("scheduling.k8s.io", "priorityclasses"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "csinodes"),
        ("storage.k8s.io", "storageclasses"),
        ("storage.k8s.io", "volumeattachments"),
        ("storage.k8s.io", "volumeattributesclasses"),
    }
)
"""Kinds of the server's own printers whose cells come from the object alone, but for a column Age.

Source: ``AddHandlers`` of k8s.io/kubernetes/pkg/printers/internalversion.
"""
_CREATED: Final = ".metadata.creationTimestamp"


class PrinterColumn(Model):
    """A column that a CustomResourceDefinition declares."""

    name: str = ""
    type: str = ""
    json_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A cluster-scoped kind in one version."""

    group: str
    version: str
    plural: str
    kind: str
    list_kind: str
    can_watch: bool = True
    is_custom: bool = False
    is_foreign: bool = False
    """Whether another API server than kube-apiserver has it: read live, it shares no version with anything."""
    columns: tuple[PrinterColumn, ...] = ()
    """Of a custom kind, without the name."""

    @property
    def key(self) -> KindKey:
        """Return what it is found by."""
        return self.group, self.version, self.plural

    @property
    def api_version(self) -> str:
        """As objects name it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """Return the URL path of all objects."""
        return (
            f"/apis/{self.group}/{self.version}/{self.plural}" if self.group else f"/api/{self.version}/{self.plural}"
        )

    @property
    def is_cached(self) -> bool:
        """Whether a cache can follow it."""
        return self.can_watch and not self.is_foreign

    @property
    def has_lasting_cells(self) -> bool:
        """Whether its table depends on nothing but the objects and their age, so that a cache may answer it."""
        if not self.is_cached:
            return False
        if not self.is_custom:
            return (self.group, self.plural) in _ONLY_AGE
        return all(column.type != "date" or column.json_path == _CREATED for column in self.columns)

    def path_of(self, name: str) -> str:
        """Return the URL path of one object."""
        return f"{self.path}/{quote(name, safe=':@')}"


class ColumnDefinition(Model):
    """meta/v1 TableColumnDefinition."""

    name: str = ""
    type: str = ""


def age_columns(kind: Kind, definitions: bytes) -> frozenset[int]:
    """Return which cells of a row of *kind* are the object's age."""
    names = decode(definitions, list[ColumnDefinition])
    if not kind.is_custom:
        return frozenset(index for index, column in enumerate(names) if column.name == "Age")
    if not kind.columns:  # What a definition without columns gets: name and age.
        return frozenset(index for index, column in enumerate(names) if column.type == "date")
    return frozenset(index for index, column in enumerate(kind.columns, start=1) if column.type == "date")


class _CrdVersion(Model):
    name: str = ""
    additional_printer_columns: tuple[PrinterColumn, ...] | None = None


class _CrdNames(Model):
    list_kind: str = ""


class _CrdSpec(Model):
    names: _CrdNames = _CrdNames()
    versions: tuple[_CrdVersion, ...] = ()


class _Crd(Model):
    spec: _CrdSpec = _CrdSpec()


class Kinds:
    """What the server serves; a kind that is not known is asked for again (R-033)."""

    def __init__(self, reads: OwnReads) -> None:
        self._reads = reads
        self._catalog = ApiCatalog(reads.request)
        self._known: dict[KindKey, tuple[float, Kind]] = {}

    async def find(self, key: KindKey, *, fresh: bool = False) -> Kind | None:
        """Return the kind; None where the server has none of that name, or has it in namespaces.

        Raises:
            ApiError, UnreachableError: It can not be told.
        """
        known = self._known.get(key)
        if known is not None and not fresh and monotonic() - known[0] < KEEP_SECONDS:
            return known[1]
        group, version, plural = key
        described = await self._catalog.resource(f"{group}/{version}" if group else version, plural)
        if described is None or described.namespaced:
            self._known.pop(key, None)
            return None
        kind = Kind(
            group=group,
            version=version,
            plural=plural,
            kind=described.kind,
            list_kind=f"{described.kind}List",
            can_watch="watch" in described.verbs,
        )
        if group not in _CORE_GROUPS:
            kind = await self._custom(kind)
        self._known[key] = (monotonic(), kind)
        return kind

    async def _custom(self, kind: Kind) -> Kind:
        """Return *kind* as its CustomResourceDefinition has it; without one another server serves it."""
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{quote(f'{kind.plural}.{kind.group}')}"
        try:
            spec = decode(await self._reads.read(path, {}), _Crd).spec
        except (NotFoundError, ForbiddenError, DecodeError):
            return replace(kind, is_foreign=True)
        columns = next((one.additional_printer_columns for one in spec.versions if one.name == kind.version), None)
        return replace(kind, is_custom=True, list_kind=spec.names.list_kind or kind.list_kind, columns=columns or ())
