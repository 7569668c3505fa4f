"""The command line of each component."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tenantry.controlplane.components import Component
from tenantry.controlplane.layout import Layout
from tenantry.controlplane.pki import FRONT_PROXY, Authority
from tenantry.controlplane.state import Ports

SERVICE_CIDR = "10.0.0.0/16"
POD_CIDR = "10.244.0.0/16"
ISSUER = "https://kubernetes.default.svc.cluster.local"


def arguments(
    layout: Layout, ports: Ports, programs: Mapping[str, Path], *, api_server: tuple[str, ...] = ()
) -> dict[Component, tuple[str, ...]]:
    """Return what to run for each component, program first, in no order; *api_server* is added to the server's own."""
    return {
        Component.ETCD: (str(programs[Component.ETCD]), *_etcd(layout, ports)),
        Component.API_SERVER: (str(programs[Component.API_SERVER]), *_api_server(layout, ports), *api_server),
        Component.CONTROLLERS: (str(programs[Component.CONTROLLERS]), *_controllers(layout, ports)),
        Component.SCHEDULER: (str(programs[Component.SCHEDULER]), *_scheduler(layout, ports)),
        Component.KWOK: (str(programs[Component.KWOK]), *_kwok(layout, ports)),
    }


def _etcd(layout: Layout, ports: Ports) -> tuple[str, ...]:
    clients, peers = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return (
        f"--data-dir={layout.etcd_data}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        "--name=tenantry",
        f"--initial-cluster=tenantry={peers}",
        # Data survives the end of the process, not of the machine: enough here, and many times faster on slow disks.
        "--unsafe-no-fsync",
        "--quota-backend-bytes=8000000000",
        "--log-level=warn",
    )


def _api_server(layout: Layout, ports: Ports) -> tuple[str, ...]:
    authority = Authority(layout.pki)
    return (
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        f"--secure-port={ports.api_server}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # The loopback address is no valid endpoint, so nobody may publish it.
        "--endpoint-reconciler-type=none",
        f"--cert-dir={layout.pki}",
        f"--tls-cert-file={authority.server_certificate_file}",
        f"--tls-private-key-file={authority.server_key_file}",
        f"--client-ca-file={authority.certificate_file}",
        f"--service-account-key-file={authority.service_account_key_file}",
        f"--service-account-signing-key-file={authority.service_account_key_file}",
        f"--service-account-issuer={ISSUER}",
        # What the aggregation layer shows to extension servers, and what those may trust.
        f"--requestheader-client-ca-file={authority.certificate_file}",
        f"--requestheader-allowed-names={FRONT_PROXY}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={authority.proxy_certificate_file}",
        f"--proxy-client-key-file={authority.proxy_key_file}",
        "--authorization-mode=RBAC",
        "--enable-admission-plugins=PodNodeSelector",
        # It taints each new node until the node lifecycle controller, which does not run here, finds it ready.
        "--disable-admission-plugins=TaintNodesByCondition",
        "--enable-aggregator-routing=true",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--allow-privileged=true",
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
        "--shutdown-delay-duration=0s",
    )


def _controllers(layout: Layout, ports: Ports) -> tuple[str, ...]:
    authority = Authority(layout.pki)
    return (
        *_kubernetes_client(layout, ports.controllers),
        f"--service-account-private-key-file={authority.service_account_key_file}",
        f"--root-ca-file={authority.certificate_file}",
        f"--cluster-signing-cert-file={authority.certificate_file}",
        f"--cluster-signing-key-file={authority.key_file}",
        # Nobody sends heartbeats for the fake nodes: without these two, nodes stay Ready for ever.
        "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--concurrent-namespace-syncs=20",
        # The API server charges a Pod twice where a quota's limit changes meanwhile; this looks again, which
        # puts it right, every 5 minutes by default.
        "--resource-quota-sync-period=15s",
    )


def _scheduler(layout: Layout, ports: Ports) -> tuple[str, ...]:
    return (*_kubernetes_client(layout, ports.scheduler), "--kube-api-qps=1000", "--kube-api-burst=2000")


def _kubernetes_client(layout: Layout, port: int) -> tuple[str, ...]:
    return (
        f"--kubeconfig={layout.kubeconfig}",
        f"--authentication-kubeconfig={layout.kubeconfig}",
        f"--authorization-kubeconfig={layout.kubeconfig}",
        f"--cert-dir={layout.pki}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    )


def _kwok(layout: Layout, ports: Ports) -> tuple[str, ...]:
    return (
        f"--kubeconfig={layout.kubeconfig}",
        f"--config={layout.stages}",
        f"--cidr={POD_CIDR}",
        "--node-ip=127.0.0.1",
        "--manage-all-nodes",
        f"--server-address=127.0.0.1:{ports.kwok}",
    )
