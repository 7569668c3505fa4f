"""The Helm chart gives the gateway's objects as ``tenantry manifests --gateway`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tenantry.gateway.config.reading import check_text
from tenantry.gateway.settings import GatewaySettings
from tenantry.install.gateway_settings import CONFIGURATION_FOLDER, GatewayInstall, default_configuration
from tenantry.install.manifests import manifests
from tenantry.install.settings import InstallSettings
from tenantry.install.text import yaml_text

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

FILE: dict[str, Any] = {
    "listening": {"port": 9443, "certificates": [{"certificate": "/c", "key": "/k"}]},
    "clusters": [
        {
            "name": "main",
            "hosts": ["api.example.com"],
            "isDefault": True,
            "identity": {
                "authenticators": ["BearerToken", "TLSCertificate"],
                "authenticationConfiguration": "issuers.yaml",
                "tokenReview": False,
                "certificates": {"ca": "ca.crt"},
                "forwardedExtra": ["example.com/team"],
            },
        }
    ],
    "drainSeconds": 100.5,
}


def parsed(file: dict[str, Any]) -> GatewaySettings:
    head = {"apiVersion": "gateway.tenantry.dev/v1alpha1", "kind": "GatewayConfiguration"}
    found = check_text(yaml_text(head | file), folder=Path(CONFIGURATION_FOLDER), now=None).settings
    assert found is not None
    return found


CASES: dict[str, tuple[InstallSettings, dict[str, Any]]] = {
    "defaults": (InstallSettings(gateway=GatewayInstall()), {}),
    "configured": (
        InstallSettings(
            namespace="tenancy",
            prometheus_operator=True,
            gateway=GatewayInstall(
                name="gateway", replicas=3, configuration=parsed(FILE), names=("10.0.0.1",), has_flow_schema=True
            ),
        ),
        {
            "gateway": {
                "name": "gateway",
                "replicaCount": 3,
                "configuration": FILE,
                "additionalSANs": ["10.0.0.1"],
                "flowSchema": {"enabled": True},
            },
            "monitoring": {"rules": {"enabled": True}, "serviceMonitor": {"enabled": True}},
        },
    ),
    "cert-manager": (
        InstallSettings(cert_manager=True, gateway=GatewayInstall(names=("10.0.0.1", "a.example.com"))),
        {
            "tls": {"enableController": False},
            "certManager": {"generateCertificates": True},
            "gateway": {"options": {"additionalSANs": ["10.0.0.1", "a.example.com"]}},
        },
    ),
    "options of capsule-proxy's chart": (
        InstallSettings(
            gateway=GatewayInstall(
                configuration=replace(
                    default_configuration(), listening=replace(default_configuration().listening, port=9443)
                ),
                arguments=(
                    "--auth-preferred-types=BearerToken,TLSCertificate",
                    "--disable-caching=false",
                    "--ignored-user-group=a",
                    "--ignored-user-group=b",
                    "--listening-port=9443",
                    "--zap-log-level=4",
                    "--feature-gates=ProxyClusterScoped=true",
                    "--ignored-username=x",
                    "--ignored-username=y",
                ),
            )
        ),
        {
            "gateway": {
                "options": {
                    "listeningPort": 9443,
                    "logLevel": 4,
                    "ignoredUserGroups": ["a", "b"],
                    "ignoredImpersonationGroups": [],
                    "impersonationGroupsRegexp": "",
                    "authPreferredTypes": "BearerToken,TLSCertificate",
                    "disableCaching": False,
                    "SSLDirectory": "/opt/capsule-proxy",
                    "generateCertificates": True,
                    "featureGates": {"ProxyClusterScoped": True},
                    "extraArgs": ["--ignored-username=x"],
                },
                "extraArgs": ["--ignored-username=y"],
            }
        },
    ),
}


def comparable(objects: Objects) -> Objects:
    """Return *objects* with the configuration file parsed: Helm writes keys in another order."""
    found = dict(objects)
    configuration = found["ConfigMap", "tenantry-gateway"]
    file = yaml.safe_load(configuration["data"]["gateway.yaml"])
    found["ConfigMap", "tenantry-gateway"] = {**configuration, "data": {"gateway.yaml": parsed(file)}}
    return found


@pytest.mark.parametrize("case", CASES)
def test_chart_and_manifests_are_the_same_objects(render: Render, case: str) -> None:
    settings, values = CASES[case]
    expected = {(each["kind"], each["metadata"]["name"]): each for each in manifests(settings)}
    assert len(expected) == len(manifests(settings))
    del expected["Namespace", settings.namespace]
    values = values | {"gateway": {"enabled": True} | values.get("gateway", {})}

    found = comparable(render(values, "--include-crds", "--no-hooks", namespace=settings.namespace))

    if case == "options of capsule-proxy's chart":  # There the port comes from a flag.
        expected["ConfigMap", "tenantry-gateway"]["data"]["gateway.yaml"] = yaml_text(
            {**yaml.safe_load(GatewayInstall().text)}
        )
    assert found == comparable(expected)


def test_what_may_be_set_besides_reaches_the_objects(render: Render) -> None:
    mount = {"name": "logs", "mountPath": "/var/log/tenantry"}
    volume: dict[str, Any] = {"name": "logs", "emptyDir": {}}
    gateway = {
        "enabled": True,
        "files": {"issuers.yaml": "a: 1\nb: 2\n"},
        "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
        "extraVolumes": [volume],
        "extraVolumeMounts": [mount],
        "serviceAccount": {"create": False},
        "hostNetwork": True,
    }

    objects = render({"gateway": gateway, "nodeSelector": {"pool": "infra"}, "podAnnotations": {"a": "b"}})

    template = objects["Deployment", "tenantry-gateway"]["spec"]["template"]
    assert objects["ConfigMap", "tenantry-gateway"]["data"]["issuers.yaml"] == "a: 1\nb: 2\n"
    assert objects["Service", "capsule-proxy"]["spec"]["type"] == "LoadBalancer"
    assert objects["Service", "capsule-proxy"]["metadata"]["annotations"] == {"a": "b"}
    assert ("ServiceAccount", "capsule-proxy") not in objects
    assert (template["metadata"]["annotations"], template["spec"]["nodeSelector"]) == ({"a": "b"}, {"pool": "infra"})
    assert (template["spec"]["hostNetwork"], template["spec"]["volumes"][-1]) == (True, volume)
    assert template["spec"]["containers"][0]["volumeMounts"][-1] == mount


def test_a_flow_schema_names_all_capsule_users(render: Render) -> None:
    users = [
        {"kind": "Group", "name": "teams"},
        {"kind": "User", "name": "alice"},
        {"kind": "ServiceAccount", "name": "system:serviceaccount:ci:builder"},
    ]

    objects = render(
        {"gateway": {"enabled": True, "flowSchema": {"enabled": True}}, "manager": {"options": {"users": users}}}
    )

    assert objects["FlowSchema", "tenantry-gateway"]["spec"]["rules"][0]["subjects"] == [
        {"kind": "Group", "group": {"name": "teams"}},
        {"kind": "User", "user": {"name": "alice"}},
        {"kind": "ServiceAccount", "serviceAccount": {"namespace": "ci", "name": "builder"}},
    ]


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ({"options": {"ignoredGroups": ["a"]}}, "there is no such option"),
        ({"configuration": {"healthAddress": ":1"}}, "leave it out"),
    ],
)
def test_what_can_not_be_installed_is_refused(render: Render, gateway: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        render({"gateway": {"enabled": True} | gateway})
