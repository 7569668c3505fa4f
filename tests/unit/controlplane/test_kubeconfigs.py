"""Kubeconfig files."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml

from tenantry.controlplane.kubeconfigs import is_current, kubeconfig, point_to, write_kubeconfig
from tenantry.controlplane.pki import Authority, KeyPair, utc_now

SERVER = "https://127.0.0.1:1"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def written(tmp_path: Path) -> Path:
    authority = Authority(tmp_path)
    authority.ensure(utc_now())
    return write_kubeconfig(tmp_path / "kc", authority, SERVER, user="alice", groups=("g",), cluster="c")


def test_a_kubeconfig_needs_no_other_file() -> None:
    text = kubeconfig(server=SERVER, authority=b"ca", user="alice", pair=KeyPair(b"crt", b"key"), cluster="c")
    assert yaml.safe_load(text) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": SERVER, "certificate-authority-data": encoded("ca")}}],
        "users": [
            {
                "name": "alice",
                "user": {"client-certificate-data": encoded("crt"), "client-key-data": encoded("key")},
            }
        ],
        "contexts": [{"name": "alice@c", "context": {"cluster": "c", "user": "alice"}}],
        "current-context": "alice@c",
    }


def test_it_is_current_for_its_server_alone(written: Path) -> None:
    assert is_current(written, SERVER)
    assert not is_current(written, "https://127.0.0.1:2")
    assert not is_current(written.parent / "none", SERVER)


def test_pointing_to_another_server_keeps_the_certificate(written: Path) -> None:
    before = yaml.safe_load(written.read_text())
    point_to(written, "https://127.0.0.1:2")
    after = yaml.safe_load(written.read_text())
    assert is_current(written, "https://127.0.0.1:2")
    assert after["users"] == before["users"]
    assert written.stat().st_mode & 0o777 == 0o600
