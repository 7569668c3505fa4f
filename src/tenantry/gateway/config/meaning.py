"""Whether settings make sense together: pure, and the same for a file and for flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from tenantry.gateway.config.identity_meaning import identity_faults
from tenantry.gateway.config.problems import Fault, field_text
from tenantry.gateway.config.text import host_fault, is_ip, port_of
from tenantry.gateway.settings import ClusterSettings, GatewaySettings, Listening, Locks, Network

_EVERYBODY: Final = frozenset({"system:authenticated", "system:unauthenticated"})


def faults(settings: GatewaySettings) -> Iterator[Fault]:
    """Yield all that is wrong with *settings*, and what is likely not meant (warnings)."""
    yield from _listening_faults(settings.listening)
    yield from _clusters_faults(settings.clusters)
    for index, cluster in enumerate(settings.clusters):
        yield from _cluster_faults(cluster, index)
        yield from identity_faults(cluster.identity, ("clusters", index, "identity"), settings.listening)
    yield from _port_faults(settings)
    yield from _lock_faults(settings.locks)
    if settings.limits.watch_namespaces > settings.limits.upstream_watches:
        yield Fault(
            path=("limits", "upstreamWatches"),
            what=f"{settings.limits.upstream_watches} is less than watchNamespaces, so one watch alone may need more",
            fix=f"write at least {settings.limits.watch_namespaces}",
        )


def is_everywhere(network: Network) -> bool:
    """Return whether *network* holds all addresses."""
    return network.prefixlen == 0


def _listening_faults(listening: Listening) -> Iterator[Fault]:
    if not is_ip(listening.address):
        yield Fault(
            path=("listening", "address"),
            what=f"{listening.address!r} is no IP address",
            fix="write 0.0.0.0 or :: for all, or the address of one interface",
        )
    for index, network in enumerate(listening.trusted_networks):
        if is_everywhere(network) and not listening.certificates:
            yield Fault(
                path=("listening", "trustedNetworks", index),
                what=f"{network} is everybody, over plain HTTP",
                fix="write the networks of the proxies in front of the gateway",
            )
    if not listening.certificates and not listening.trusted_networks:
        yield Fault(
            path=("listening", "certificates"),
            what="there is no certificate, so that anybody on the way could read tokens",
            fix="name a certificate and its key, or set listening.trustedNetworks to the proxies that end TLS",
        )
    if listening.proxy_protocol and not listening.trusted_networks:
        yield Fault(
            path=("listening", "proxyProtocol"),
            what="whoever can connect may claim any client address",
            fix="let the load balancer alone reach this port",
            is_warning=True,
        )
    named = Counter(each.certificate for each in listening.certificates)
    for index, each in enumerate(listening.certificates):
        if named[each.certificate] > 1:
            yield Fault(
                path=("listening", "certificates", index, "certificate"),
                what=f"{each.certificate} is listed {named[each.certificate]} times",
                fix="list each certificate once",
            )


def _clusters_faults(clusters: tuple[ClusterSettings, ...]) -> Iterator[Fault]:
    if not clusters:
        yield Fault(path=("clusters",), what="there is no cluster", fix="leave the field out, or list one")
    names: dict[str, int] = {}
    hosts: dict[str, int] = {}
    default: int | None = None
    for index, cluster in enumerate(clusters):
        if (first := names.setdefault(cluster.name, index)) != index:
            what = f"{cluster.name!r} is the name of clusters[{first}], too"
            yield Fault(path=("clusters", index, "name"), what=what, fix="give each cluster a name of its own")
        for position, host in enumerate(cluster.hosts):
            where = ("clusters", index, "hosts", position)
            known = hosts.setdefault(host, index)
            if known != index or host in cluster.hosts[:position]:
                what = f"{host!r} is a host of clusters[{known}] already"
                yield Fault(path=where, what=what, fix="a host names one cluster: list it once")
        if cluster.is_default:
            if default is not None:
                what = f"clusters[{default}] is the default already"
                fix = "one cluster at most is: set isDefault: false on the others, or leave it out"
                yield Fault(path=("clusters", index, "isDefault"), what=what, fix=fix)
            else:
                default = index
    yield from _places_faults(clusters)


def _places_faults(clusters: tuple[ClusterSettings, ...]) -> Iterator[Fault]:
    places: dict[tuple[str | None, str | None], int] = {}
    for index, cluster in enumerate(clusters):
        first = places.setdefault((cluster.kubeconfig, cluster.context), index)
        if first != index:
            yield Fault(
                path=("clusters", index),
                what=f"it has the kubeconfig and the context of clusters[{first}], so it is the same cluster",
                fix="name another kubeconfig or context",
                is_warning=True,
            )


def _cluster_faults(cluster: ClusterSettings, index: int) -> Iterator[Fault]:
    path = ("clusters", index)
    for position, host in enumerate(cluster.hosts):
        finding = host_fault(host)
        if finding is not None:
            yield Fault(path=(*path, "hosts", position), what=finding[0], fix=finding[1])
    if not cluster.hosts and not cluster.is_default:
        yield Fault(
            path=(*path, "hosts"),
            what=f"nobody can reach the cluster {cluster.name!r}: it has no hosts and is not the default",
            fix="list its host names, or set isDefault: true",
        )


def _port_faults(settings: GatewaySettings) -> Iterator[Fault]:
    taken = {settings.listening.port: "listening.port"}
    for path, address in (
        (("healthAddress",), settings.health_address),
        (("metricsAddress",), settings.metrics_address),
    ):
        port = port_of(address)
        if port is not None and port in taken:
            yield Fault(path=path, what=f"port {port} is that of {taken[port]}", fix="choose another port")
        elif port is not None:
            taken[port] = field_text(path)


def _lock_faults(locks: Locks) -> Iterator[Fault]:
    for name in sorted(locks.groups & _EVERYBODY):
        yield Fault(
            path=("locks", "groups"),
            what=f"{name!r} is everybody: nobody would get in",
            fix="stop the gateway if that is meant; else name a smaller group",
        )
