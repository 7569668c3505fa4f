"""Choosing ports."""

from __future__ import annotations

import socket

from tenantry.controlplane.components import Component
from tenantry.controlplane.ports import choose_ports
from tenantry.controlplane.state import Ports


def all_of(ports: Ports) -> set[int]:
    return {*(ports.of(component) for component in Component), ports.etcd_peer}


def test_six_different_ports_are_chosen() -> None:
    ports = choose_ports()
    assert len(all_of(ports)) == 6
    assert 0 not in all_of(ports)


def test_ports_are_kept_while_they_are_free() -> None:
    before = choose_ports()
    assert choose_ports(before) == before


def test_ports_change_when_one_is_taken() -> None:
    before = choose_ports()
    with socket.socket() as other:
        other.bind(("127.0.0.1", before.scheduler))
        other.listen()
        assert choose_ports(before) != before
