"""Manifests and chart, applied to a fresh cluster with the programs that users have."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tenantry.cli.trying import missing_rights
from tenantry.controlplane.cluster import ControlPlane
from tenantry.kube.client import Client
from tenantry.kube.config import load_config

Eventually = Callable[..., Coroutine[Any, Any, None]]
ACCOUNTS = {
    "operator": "system:serviceaccount:capsule-system:capsule",
    "admission": "system:serviceaccount:capsule-system:capsule-admission",
}
LABELLED = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: more, labels: {projectcapsule.dev/aggregate-to-controller: "true"}}
rules: [{apiGroups: [apps], resources: [deployments], verbs: [list, patch]}]
"""


class Shell:
    """The administrator's hands on one cluster."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane

    def tenantry(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "tenantry", *arguments)

    def kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.run(str(self.plane.kubectl), *arguments, stdin=stdin)

    def apply(self, text: str, *flags: str) -> subprocess.CompletedProcess[str]:
        return self.kubectl("apply", "--server-side", *flags, "-f", "-", stdin=text)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.kubectl(*arguments, "-o", "json").stdout)

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "KUBECONFIG": str(self.plane.kubeconfig)}
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)


async def test_manifests_reach_a_fresh_cluster_as_the_help_says(
    private_control_plane: ControlPlane, eventually: Eventually
) -> None:
    """In one stream all but the configuration; the same again brings that, and then nothing differs."""
    shell = Shell(private_control_plane)
    text = (await asyncio.to_thread(shell.tenantry, "manifests")).stdout
    sick = await asyncio.to_thread(shell.tenantry, "doctor")
    assert (sick.returncode, sick.stdout.count("CRDs:"), sick.stderr) == (1, 6, "")

    first = await asyncio.to_thread(shell.apply, text)
    second = await asyncio.to_thread(shell.apply, text)

    assert (first.returncode, second.returncode) == (1, 0), first.stderr + second.stderr
    assert first.stderr.count('no matches for kind "CapsuleConfiguration"') == 1
    assert first.stdout.count("serverside-applied") == second.stdout.count("serverside-applied") - 1
    unchanged = await asyncio.to_thread(shell.kubectl, "diff", "--server-side", "-f", "-", stdin=text)
    assert (unchanged.returncode, unchanged.stdout) == (0, "")
    await _rights_are_complete(shell)
    await _aggregated_rules_stay(shell, text, eventually)


async def _rights_are_complete(shell: Shell) -> None:
    async with Client(load_config(kubeconfig=str(shell.plane.kubeconfig))) as client:
        assert await missing_rights(client, "capsule-system", ACCOUNTS) == ()


async def _aggregated_rules_stay(shell: Shell, text: str, eventually: Eventually) -> None:
    assert shell.apply(LABELLED).returncode == 0

    def rules() -> Any:
        return shell.json("get", "clusterrole", "tenantry-operator-aggregated").get("rules")

    await eventually(lambda: asyncio.to_thread(rules))
    before = rules()
    again = await asyncio.to_thread(shell.apply, text)

    assert again.returncode == 0, again.stderr
    assert rules() == before == [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list", "patch"]}]


def test_the_chart_installs_upgrades_and_goes_without_taking_tenants_along(
    private_control_plane: ControlPlane, helm: Path, chart: Path
) -> None:
    shell = Shell(private_control_plane)
    place = ("tenantry", "--namespace", "capsule-system")

    installed = shell.run(str(helm), "install", *place, str(chart), "--create-namespace")
    assert installed.returncode == 0, installed.stderr
    assert shell.apply(LABELLED).returncode == 0
    upgraded = shell.run(str(helm), "upgrade", *place, str(chart), "--set", "manager.options.forceTenantPrefix=true")
    assert upgraded.returncode == 0, upgraded.stderr
    configuration = shell.json("get", "capsuleconfiguration", "default")["spec"]
    assert (configuration["forceTenantPrefix"], configuration["enableTLSReconciler"]) == (True, True)

    gone = shell.run(str(helm), "uninstall", *place)

    assert gone.returncode == 0, gone.stderr
    crds = shell.kubectl("get", "crds", "-o", "name").stdout.split()
    assert sorted(name.partition("/")[2].partition(".")[0] for name in crds) == [
        "capsuleconfigurations",
        "globalproxysettings",
        "proxysettings",
        "rulestatuses",
        "tenantowners",
        "tenants",
    ]
    _crds_can_be_applied_without_kubectl(shell)


def _crds_can_be_applied_without_kubectl(shell: Shell) -> None:
    """As the chart's Job does; twice is as good as once, and the manager before gives way."""
    assert shell.apply(shell.tenantry("crds").stdout, "--field-manager=another", "--force-conflicts").returncode == 0

    done = [shell.tenantry("crds", "--apply") for _ in range(2)]

    assert [each.returncode for each in done] == [0, 0], done[0].stderr
    assert done[0].stdout.count("applied") == 6
