"""The gateway's manifests on a real API server: they are taken, and its account may do just what it needs."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

import pytest

from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.codec import decode_any
from tenantry.install.gateway_rights import CLUSTER_RULES
from tenantry.install.gateway_settings import GatewayInstall
from tenantry.install.manifests import manifests
from tenantry.install.settings import InstallSettings
from tenantry.install.text import yaml_stream
from tenantry.kube.client import Client
from tenantry.kube.config import load_config

ACCOUNT = "system:serviceaccount:capsule-system:capsule-proxy"
THINGS = "things.example.org"


def kubectl(plane: ControlPlane, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(plane.kubectl), f"--kubeconfig={plane.kubeconfig}", *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


async def may(plane: ControlPlane, user: str, verb: str, resource: str, **rest: Any) -> bool:
    """Ask the API server; *resource* is ``plural.group/subresource``."""
    path, _, subresource = resource.partition("/")
    plural, _, group = path.partition(".")
    groups = rest.pop("groups", [])
    attributes = {"verb": verb, "resource": plural, "group": group, "subresource": subresource, **rest}
    body = {"spec": {"user": user, "groups": groups, "resourceAttributes": attributes}}
    async with Client(load_config(kubeconfig=str(plane.kubeconfig))) as client:
        answer = await client.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body=body)
    return bool(decode_any(answer)["status"]["allowed"])


@pytest.fixture
async def installed(private_control_plane: ControlPlane) -> ControlPlane:
    settings = InstallSettings(gateway=GatewayInstall(has_flow_schema=True))
    text = yaml_stream(manifests(settings, with_configuration=False))
    done = await asyncio.to_thread(kubectl, private_control_plane, "apply", "--server-side", "-f", "-", stdin=text)
    assert done.returncode == 0, done.stderr
    unchanged = await asyncio.to_thread(kubectl, private_control_plane, "diff", "--server-side", "-f", "-", stdin=text)
    assert (unchanged.returncode, unchanged.stdout) == (0, "")
    return private_control_plane


def _full(rule: dict[str, Any], path: str) -> str:
    resource, _, subresource = path.partition("/")
    (group,) = rule["apiGroups"]
    return ".".join(filter(None, (resource, group))) + (f"/{subresource}" if subresource else "")


NEEDED: list[tuple[str, str, dict[str, str]]] = [
    *(
        (verb, _full(rule, resource), {})
        for rule in CLUSTER_RULES
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ),
    ("create", "tokenreviews.authentication.k8s.io", {}),
    ("impersonate", "userextras.authentication.k8s.io/authentication.kubernetes.io/pod-name", {"name": "a"}),
    ("get", "leases.coordination.k8s.io", {"name": "n", "namespace": "kube-node-lease"}),
    ("get", "configmaps", {"name": "extension-apiserver-authentication", "namespace": "kube-system"}),
]
NOT_NEEDED: list[tuple[str, str, dict[str, str]]] = [
    ("get", "secrets", {}),
    ("get", "secrets", {"name": "capsule-proxy", "namespace": "capsule-system"}),
    ("list", "pods", {}),
    ("create", "namespaces", {}),
    ("update", "nodes", {}),
    ("delete", "storageclasses.storage.k8s.io", {}),
    ("get", "configmaps", {"name": "other", "namespace": "kube-system"}),
    ("list", "leases.coordination.k8s.io", {"namespace": "kube-node-lease"}),
    ("impersonate", "userextras.authentication.k8s.io/example.com/else", {"name": "a"}),
    ("update", "tenants.capsule.clastix.io", {}),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", {}),
    ("create", "serviceaccounts/token", {"namespace": "capsule-system"}),
]


async def test_the_account_may_do_what_it_needs_and_nothing_else(installed: ControlPlane) -> None:
    lacking = [each for each in NEEDED if not await may(installed, ACCOUNT, each[0], each[1], **each[2])]
    too_much = [each for each in NOT_NEEDED if await may(installed, ACCOUNT, each[0], each[1], **each[2])]

    assert (lacking, too_much) == ([], [])


async def test_a_virtual_group_may_do_one_thing(installed: ControlPlane) -> None:
    """8.4: what the gateway adds to one request of a user."""
    groups = ["tenantry:gateway:storageclasses:delete"]
    asked = (
        ("delete", "storageclasses.storage.k8s.io"),
        ("update", "storageclasses.storage.k8s.io"),
        ("delete", "nodes"),
    )

    assert [await may(installed, "alice", *each, groups=groups) for each in asked] == [True, False, False]


async def test_a_kind_is_added_for_reading_by_a_label(installed: ControlPlane, eventually: Any) -> None:
    role = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: more, labels: {gateway.tenantry.dev/aggregate-to-reader: "true"}}
rules: [{apiGroups: [example.org], resources: [things], verbs: [list]}]
"""
    assert not await may(installed, ACCOUNT, "list", THINGS)

    await asyncio.to_thread(kubectl, installed, "apply", "-f", "-", stdin=role)

    await eventually(lambda: may(installed, ACCOUNT, "list", THINGS))
