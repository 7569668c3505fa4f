"""Settings from the file's types, and back: field by field, since they carry the same names."""

from __future__ import annotations

import os
import types
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from tenantry.foundation.codec import replaced
from tenantry.gateway.config.model import API_VERSION, KIND, GatewayConfiguration
from tenantry.gateway.settings import ClusterSettings, GatewaySettings

T = TypeVar("T")
Located = Callable[[str], Path]
_NETWORKS: Final = {IPv4Network, IPv6Network}


@dataclass(frozen=True, slots=True)
class _Conversion:
    located: Located

    def made(self, kind: type[T], source: object) -> T:
        """Return a *kind* (a dataclass) of the attributes of *source* that bear its fields' names."""
        hints = get_type_hints(kind)
        values = {
            each.name: self._value(hints[each.name], getattr(source, each.name))
            for each in fields(kind)  # type: ignore[arg-type]  # a dataclass, which the type can't say
            if getattr(source, each.name) is not None
        }
        return kind(**values)

    def _value(self, hint: Any, value: Any) -> Any:
        kinds = {each for each in _choices(hint) if each is not type(None)}
        if kinds == _NETWORKS:
            return ip_network(value)
        kind = next(iter(kinds)) if len(kinds) == 1 else hint
        if get_origin(kind) in {tuple, frozenset}:
            container = get_origin(kind)
            return container(self._value(get_args(kind)[0], each) for each in value)
        if kind is Path:
            return self.located(value)
        return self.made(kind, value) if isinstance(kind, type) and is_dataclass(kind) else value


def settings_of(configuration: GatewayConfiguration, located: Located) -> GatewaySettings:
    """Return the settings that *configuration* stands for; *located* says where a file that it names is."""
    alone = len(configuration.clusters) == 1
    clusters = tuple(
        replaced(each, is_default=alone) if each.is_default is None else each for each in configuration.clusters
    )
    settings = _Conversion(located).made(GatewaySettings, replaced(configuration, clusters=clusters))
    return replace(settings, clusters=tuple(_with_paths(each, located) for each in settings.clusters))


def _with_paths(cluster: ClusterSettings, located: Located) -> ClusterSettings:
    """Return *cluster* with its kubeconfigs, several as in $KUBECONFIG, where *located* says they are."""
    if cluster.kubeconfig is None:
        return cluster
    paths = [str(located(each)) for each in cluster.kubeconfig.split(os.pathsep) if each]
    return replace(cluster, kubeconfig=os.pathsep.join(paths))


def document_of(settings: GatewaySettings) -> dict[str, Any]:
    """Return *settings* as the file would say them: what has its default is left out."""
    document = {"apiVersion": API_VERSION, "kind": KIND, **_said(settings)}
    for said, cluster in zip(document.get("clusters", []), settings.clusters, strict=False):
        if cluster.is_default is not (len(settings.clusters) == 1):
            said["isDefault"] = cluster.is_default
        else:
            said.pop("isDefault", None)
    if "clusters" in document:
        named = zip(settings.clusters, document["clusters"], strict=True)
        document["clusters"] = [{"name": cluster.name, **said} for cluster, said in named]
    return document


def _said(value: Any) -> dict[str, Any]:
    defaults = _defaults(type(value))
    return {
        camel(each.name): _plain(getattr(value, each.name))
        for each in fields(value)
        if each.name not in defaults or getattr(value, each.name) != defaults[each.name]
    }


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return _said(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path | IPv4Network | IPv6Network) else value


def _defaults(kind: type) -> dict[str, Any]:
    try:
        empty = kind()
    except TypeError:  # Fields without a default are always said.
        return {}
    return {each.name: getattr(empty, each.name) for each in fields(kind)}


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in {Union, types.UnionType} else (hint,)


def camel(name: str) -> str:
    """Return a Python name as the file spells it."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
