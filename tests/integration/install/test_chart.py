"""The Helm chart gives the objects of ``tenantry manifests``."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenantry.install.manifests import manifests
from tenantry.install.settings import InstallSettings

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

CERTIFICATE_BY_CERT_MANAGER = {"tls": {"enableController": False}, "certManager": {"generateCertificates": True}}
SAME = {
    "defaults": (InstallSettings(), {}),
    "everything set": (
        InstallSettings(
            namespace="tenancy",
            operator_account="operator",
            admission_account="webhooks",
            configuration_name="main",
            service_name="webhooks",
            image="registry.example.com/platform/tenantry:7",
            admission_replicas=3,
            operator_replicas=3,
            admission_workers=4,
            operator_workers=8,
            bindable_cluster_roles=("admin", "team-owner"),
            log_level="debug",
            tls_secret="webhooks-tls",
            force_delete_namespaces=True,
            prometheus_operator=True,
        ),
        {
            "replicaCount": 3,
            "manager": {
                "image": {"registry": "registry.example.com", "repository": "platform/tenantry", "tag": "7"},
                "options": {
                    "capsuleConfiguration": "main",
                    "logLevel": "debug",
                    "workers": 8,
                    "forceDeleteNamespaces": True,
                },
                "rbac": {"bindableClusterRoles": ["admin", "team-owner"]},
            },
            "admission": {"workers": 4, "serviceAccount": {"name": "webhooks"}},
            "serviceAccount": {"name": "operator"},
            "tls": {"name": "webhooks-tls"},
            "webhooks": {"service": {"name": "webhooks"}},
            "monitoring": {"rules": {"enabled": True}, "serviceMonitor": {"enabled": True}},
        },
    ),
    "outside the cluster, any role": (
        InstallSettings(webhook_url="https://10.0.0.7:9443", bindable_cluster_roles=("*",)),
        {
            "manager": {"rbac": {"bindableClusterRoles": ["*"]}},
            "webhooks": {"service": {"url": "https://10.0.0.7:9443"}},
        },
    ),
    "cert-manager": (InstallSettings(cert_manager=True), CERTIFICATE_BY_CERT_MANAGER),
}


@pytest.mark.parametrize("case", SAME)
def test_chart_and_manifests_are_the_same_objects(render: Render, case: str) -> None:
    """The namespace alone is Helm's own to make, by --create-namespace."""
    settings, values = SAME[case]
    expected = {(each["kind"], each["metadata"]["name"]): each for each in manifests(settings)}
    del expected["Namespace", settings.namespace]

    assert render(values, "--include-crds", "--no-hooks", namespace=settings.namespace) == expected


def test_what_may_be_set_reaches_both_deployments(render: Render) -> None:
    pods: dict[str, Any] = {
        "imagePullSecrets": [{"name": "pull"}],
        "priorityClassName": "high",
        "nodeSelector": {"pool": "infra"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    }
    objects = render({**pods, "podAnnotations": {"a": "b"}, "manager": {"extraArgs": ["--disable-leader-election"]}})

    for component in ("operator", "admission"):
        template = objects["Deployment", f"tenantry-{component}"]["spec"]["template"]
        assert {key: template["spec"][key] for key in pods} == pods
        assert template["metadata"]["annotations"] == {"a": "b"}
    arguments = objects["Deployment", "tenantry-operator"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[-1] == "--disable-leader-election"


def test_options_become_the_configuration(render: Render) -> None:
    options = {
        "users": [{"kind": "Group", "name": "teams"}],
        "administrators": [{"kind": "User", "name": "root"}],
        "ignoreUserWithGroups": ["robots"],
        "forceTenantPrefix": True,
        "protectedNamespaceRegex": "^kube-.*{2}$",
        "allowServiceAccountPromotion": True,
        "nodeMetadata": {"forbiddenLabels": {"denied": ["pool"], "deniedRegex": ""}},
        "rbac": {"deleter": "delete-namespaces"},
    }
    webhooks = {"validating": {"name": "capsule", "webhooks": []}}

    found = render({"manager": {"options": options}, "webhooks": {"admission": webhooks}})

    assert found["CapsuleConfiguration", "default"]["spec"] == {
        **options,
        "enableTLSReconciler": True,
        "admission": webhooks,
    }


def test_two_makers_of_one_certificate_are_refused(render: Render) -> None:
    with pytest.raises(ValueError, match="switch one of them off"):
        render({"certManager": {"generateCertificates": True}})


def test_crds_are_brought_up_to_date_before_an_upgrade_unless_switched_off(render: Render) -> None:
    by_default = render().keys() - render({"crds": {"install": False}}).keys()

    assert by_default == {
        (kind, "tenantry-crds") for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Job")
    }


def test_helm_finds_no_fault(helm: Path, chart: Path) -> None:
    done = subprocess.run([helm, "lint", chart, "--strict"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
