"""Kubeconfig files for the administrator and for users of the control plane."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tenantry.controlplane.files import write_atomically
from tenantry.controlplane.pki import Authority, KeyPair, is_fresh, utc_now

ADMIN = "admin"
ADMIN_GROUP = "system:masters"


def kubeconfig(*, server: str, authority: bytes, user: str, pair: KeyPair, cluster: str) -> str:
    """Return a kubeconfig that needs no other file; one context, which is the current one."""
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": server, "certificate-authority-data": _base64(authority)}},
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _base64(pair.certificate),
                    "client-key-data": _base64(pair.key),
                },
            },
        ],
        "contexts": [{"name": f"{user}@{cluster}", "context": {"cluster": cluster, "user": user}}],
        "current-context": f"{user}@{cluster}",
    }
    return yaml.safe_dump(content, sort_keys=False)


def write_kubeconfig(
    path: Path,
    authority: Authority,
    server: str,
    *,
    user: str,
    groups: Sequence[str],
    cluster: str,
) -> Path:
    """Write a kubeconfig with a new certificate of *user* in *groups*; readable by its owner alone."""
    pair = authority.client(utc_now(), user, groups)
    trust = authority.certificate_file.read_bytes()
    write_atomically(path, kubeconfig(server=server, authority=trust, user=user, pair=pair, cluster=cluster))
    return path


def is_current(path: Path, server: str) -> bool:
    """Say whether the kubeconfig at *path* points to *server* and its certificate lives on."""
    if not path.exists():
        return False
    content = yaml.safe_load(path.read_text())
    if content["clusters"][0]["cluster"]["server"] != server:
        return False
    return is_fresh(base64.b64decode(content["users"][0]["user"]["client-certificate-data"]), utc_now())


def point_to(path: Path, server: str) -> None:
    """Make the kubeconfig at *path* point to *server*; its certificate stays."""
    content = yaml.safe_load(path.read_text())
    if content["clusters"][0]["cluster"]["server"] == server:
        return
    content["clusters"][0]["cluster"]["server"] = server
    write_atomically(path, yaml.safe_dump(content, sort_keys=False))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
