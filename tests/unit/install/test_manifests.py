"""What an installation consists of."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tenantry.admission import metrics as admission_metrics
from tenantry.api.crds import crd_manifests
from tenantry.cli.main import tenantry
from tenantry.install.chart import chart_files
from tenantry.install.manifests import configuration, manifests
from tenantry.install.monitoring import alert_rules, dashboard
from tenantry.install.settings import InstallSettings
from tenantry.install.text import yaml_stream
from tenantry.install.workloads import arguments
from tenantry.operator import metrics as operator_metrics

ROOT = Path(__file__).parents[3]
CLUSTER_WIDE = {
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "CapsuleConfiguration",
}
FULL = InstallSettings(force_delete_namespaces=True, prometheus_operator=True, admission_workers=4, cert_manager=True)


def test_objects_come_in_the_order_to_apply_them() -> None:
    found = manifests(InstallSettings())
    kinds = [each["kind"] for each in found]

    assert found[: len(crd_manifests())] == crd_manifests()
    assert kinds[len(crd_manifests())] == "Namespace"
    assert kinds[-1] == "CapsuleConfiguration"
    assert manifests(InstallSettings(), with_crds=False) == found[len(crd_manifests()) :]


@pytest.mark.parametrize("settings", [InstallSettings(), FULL], ids=["default", "full"])
def test_every_object_is_named_once_and_lives_in_the_installation(settings: InstallSettings) -> None:
    found = manifests(settings)
    names = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in found]

    assert len(set(names)) == len(names)
    for each in found:
        expected = None if each["kind"] in CLUSTER_WIDE else settings.namespace
        assert each["metadata"].get("namespace") == expected, each["metadata"]["name"]


def test_the_default_configuration_makes_certificates_for_one_group_of_users() -> None:
    assert configuration(InstallSettings()) == {
        "apiVersion": "capsule.clastix.io/v1beta2",
        "kind": "CapsuleConfiguration",
        "metadata": {"name": "default"},
        "spec": {"users": [{"kind": "Group", "name": "projectcapsule.dev"}], "enableTLSReconciler": True},
    }


def test_no_account_may_do_everything_to_anything() -> None:
    """Least privilege: no wildcard, and roles are handed out by name (spec 13.13)."""
    roles = [each for each in manifests(InstallSettings()) if each["kind"] in {"ClusterRole", "Role"}]
    rules = [rule for role in roles for rule in role.get("rules", ())]

    assert [rule for rule in rules if "*" in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}] == []
    assert [rule for rule in rules if {"escalate", "impersonate"} & {*rule["verbs"]}] == []
    assert [rule["resourceNames"] for rule in rules if "bind" in rule["verbs"]] == [
        ["capsule-namespace-provisioner", "capsule-namespace-deleter", "admin", "edit", "view"]
    ]


def test_any_role_may_be_bound_only_where_that_was_asked_for() -> None:
    found = manifests(InstallSettings(bindable_cluster_roles=("*",)))
    operator = next(each for each in found if each["kind"] == "ClusterRole" and "rules" in each)

    assert operator["rules"][-1] == {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterroles"],
        "verbs": ["bind"],
    }


def test_whoever_applies_again_takes_no_aggregated_rule_away() -> None:
    aggregated = [each for each in manifests(InstallSettings()) if "aggregationRule" in each]

    assert [each["metadata"]["name"] for each in aggregated] == ["tenantry-operator-aggregated"]
    assert "rules" not in aggregated[0]


@pytest.mark.parametrize("component", ["operator", "admission"])
@pytest.mark.parametrize("settings", [InstallSettings(), FULL], ids=["default", "full"])
def test_the_commands_take_the_arguments_of_their_deployments(settings: InstallSettings, component: str) -> None:
    given = arguments(settings, component)
    command: click.Command = tenantry
    context = click.Context(tenantry, **tenantry.context_settings)
    while isinstance(command, click.Group):
        name = given.pop(0)
        found = command.get_command(context, name)
        assert found is not None, name
        command = found

    command.make_context(component, given, parent=context)  # raises UsageError for what it does not know


def test_the_crds_and_the_configuration_can_be_left_to_another_installation() -> None:
    everything = manifests(InstallSettings())
    left_out = {"CustomResourceDefinition", "CapsuleConfiguration"}

    rest = manifests(InstallSettings(), with_crds=False, with_configuration=False)

    assert rest == [each for each in everything if each["kind"] not in left_out]


def test_pods_run_without_privileges_on_a_read_only_root() -> None:
    deployments = [each for each in manifests(InstallSettings()) if each["kind"] == "Deployment"]
    pods = [each["spec"]["template"]["spec"] for each in deployments]

    assert [each["metadata"]["name"] for each in deployments] == ["tenantry-operator", "tenantry-admission"]
    for pod in pods:
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 1002,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert [each["securityContext"] for each in pod["containers"]] == [
            {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        ]


def test_alerts_and_dashboard_ask_for_metrics_that_exist() -> None:
    sources = "".join(Path(str(module.__file__)).read_text() for module in (admission_metrics, operator_metrics))
    known = set(re.findall(r'"((?:tenantry|capsule)_[a-z_]+)"', sources))
    asked: list[str] = [rule["expr"] for group in alert_rules()["groups"] for rule in group["rules"]]
    asked += [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    names = {re.sub(r"_(bucket|count)$", "", name) for text in asked for name in metric_names(text)}

    # capsule_tenant_namespace_count is a name of its own, not the count of a histogram.
    assert {name for name in names if name not in known and f"{name}_count" not in known} == set()


def metric_names(expression: str) -> list[str]:
    return re.findall(r"\b(?:tenantry|capsule)_[a-z_]+\b", re.sub(r'"[^"]*"', '""', expression))


def test_verdicts_that_alerts_name_are_those_that_admission_counts() -> None:
    counted = set(re.findall(r"\w+", "allowed denied errored malformed"))
    named = {
        each for rule in alert_rules()["groups"][0]["rules"] for each in re.findall(r'verdict="(\w+)"', rule["expr"])
    }

    assert named <= counted
    assert named


def test_the_generated_files_of_the_chart_are_current() -> None:
    """`python tools/chart.py` writes them."""
    chart = ROOT / "deploy" / "chart" / "tenantry"
    written = {
        str(path.relative_to(chart)): path.read_text()
        for folder in ("crds", "files")
        for path in (chart / folder).iterdir()
    }

    assert written == chart_files()


def test_chart_and_package_have_one_version() -> None:
    chart: dict[str, Any] = yaml.safe_load((ROOT / "deploy/chart/tenantry/Chart.yaml").read_text())
    image = InstallSettings().image

    assert {chart["version"], chart["appVersion"]} == {image.rpartition(":")[2]}


def test_manifests_are_written_without_aliases() -> None:
    text = yaml_stream(manifests(FULL))

    assert list(yaml.safe_load_all(text)) == json.loads(json.dumps(manifests(FULL)))
    assert re.findall(r"(?m)[&*]id\d+$", text) == []
