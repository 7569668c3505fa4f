"""Loopback ports that nobody uses."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from tenantry.controlplane.state import Ports


def choose_ports(before: Ports | None = None) -> Ports:
    """Return six distinct free ports; those of *before* where they are all still free.

    Keeping them keeps kubeconfigs valid that were copied elsewhere.  Another program may
    take a port before its component does: the start then fails, and is tried again.
    """
    if before is not None and before.api_server and _all_free(before):
        return before
    with ExitStack() as held:
        free = [_bound(held, 0) for _ in range(6)]
    return Ports(
        etcd=free[0], etcd_peer=free[1], api_server=free[2], controllers=free[3], scheduler=free[4], kwok=free[5]
    )


def _all_free(ports: Ports) -> bool:
    try:
        with ExitStack() as held:
            for port in (ports.etcd, ports.etcd_peer, ports.api_server, ports.controllers, ports.scheduler, ports.kwok):
                _bound(held, port)
    except OSError:
        return False
    return True


def _bound(held: ExitStack, port: int) -> int:
    listener = held.enter_context(socket.socket())
    # As the components do: a connection of the last run in TIME_WAIT is no obstacle.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    bound: int = listener.getsockname()[1]
    return bound
