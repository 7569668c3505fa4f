"""What the gateway's part of an installation consists of, and what its account may do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from tenantry.access.guards import ORIGINAL_USER, VIRTUAL_GROUP_PREFIX
from tenantry.cli.main import tenantry
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.config.reading import check_text
from tenantry.gateway.settings import CertificateIdentity, ClusterSettings, GatewaySettings, IdentitySettings
from tenantry.install.gateway import gateway_arguments, gateway_workloads
from tenantry.install.gateway_rights import (
    CLUSTER_RULES,
    CLUSTER_SCOPED,
    RBAC_API,
    cluster_rules,
    gateway_rights,
    reads_client_ca,
)
from tenantry.install.gateway_settings import GatewayInstall, default_configuration
from tenantry.install.manifests import manifests
from tenantry.install.settings import InstallSettings
from tenantry.install.workloads import arguments

EXAMPLES = Path(__file__).parents[3] / "examples" / "gateway"
WITH = InstallSettings(gateway=GatewayInstall())
JSON = dict[str, Any]


def by_name(objects: list[JSON]) -> dict[tuple[str, str], JSON]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def granted(rules: list[JSON]) -> set[tuple[str, str, str]]:
    return {
        (verb, group, resource)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_it_is_left_out_unless_asked_for() -> None:
    names = {name for _, name in by_name(manifests(WITH))} - {name for _, name in by_name(manifests(InstallSettings()))}

    assert {name for name in names if not name.startswith(VIRTUAL_GROUP_PREFIX)} == {
        "capsule-proxy",
        "tenantry-gateway",
        "tenantry-gateway-client-ca",
        "tenantry-gateway-metrics",
        "tenantry-gateway-node-leases",
        "tenantry-gateway-reader",
    }


def test_objects_are_named_once_and_configuration_comes_last() -> None:
    found = manifests(WITH)

    assert len(by_name(found)) == len(found)
    assert found[-1]["kind"] == "CapsuleConfiguration"


def test_the_account_may_do_what_is_needed_and_no_more() -> None:
    """R-097, invariant 27: no wildcard, no Secrets, no workloads, no writes but the status of two kinds."""
    rules = cluster_rules(default_configuration())
    everything = granted(rules)
    reads = {each for each in everything if each[0] in {"get", "list", "watch"}}

    assert [rule for rule in rules if "*" in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}] == []
    assert {resource for _, group, resource in reads if group == "capsule.clastix.io"} == {
        "capsuleconfigurations",
        "globalproxysettings",
        "proxysettings",
        "tenantowners",
        "tenants",
    }
    # Kubernetes's own cluster-scoped kinds; of what is in namespaces only who is bound.
    own = {(group, resource) for _, group, resource in reads if group != "capsule.clastix.io"}
    kinds = {(group, resource) for group, resources in CLUSTER_SCOPED.items() for resource in resources}
    assert own == {*kinds, (RBAC_API, "rolebindings"), ("metrics.k8s.io", "nodes")}
    extra = [f"userextras/authentication.kubernetes.io/{key}" for key in ("credential-id", "node-name", "node-uid")]
    extra += [f"userextras/authentication.kubernetes.io/{key}" for key in ("pod-name", "pod-uid")]
    assert everything - reads == {
        ("impersonate", "", "users"),
        ("impersonate", "", "groups"),
        ("impersonate", "", "serviceaccounts"),
        *(("impersonate", "authentication.k8s.io", each) for each in ["uids", f"userextras/{ORIGINAL_USER}", *extra]),
        ("create", "authentication.k8s.io", "tokenreviews"),
        ("create", "authorization.k8s.io", "subjectaccessreviews"),
        ("patch", "capsule.clastix.io", "proxysettings/status"),
        ("patch", "capsule.clastix.io", "globalproxysettings/status"),
    }


def test_rights_follow_the_configuration() -> None:
    identity = IdentitySettings(
        token_review=False,
        authentication_configuration=Path("/i"),
        forwarded_extra=("example.com/team",),
        certificates=CertificateIdentity(ca=Path("/ca")),
    )
    configuration = replace(default_configuration(), clusters=(ClusterSettings(identity=identity),))

    found = gateway_rights(GatewayInstall(name="door", configuration=configuration), "tenancy")

    assert by_name(found)["ClusterRole", "tenantry-gateway"]["rules"] == [
        *CLUSTER_RULES,
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["userextras/example.com/team", f"userextras/{ORIGINAL_USER}"],
            "verbs": ["impersonate"],
        },
    ]
    assert not reads_client_ca(configuration)
    assert {each["metadata"].get("namespace") for each in found} == {None, "tenancy", "kube-node-lease"}
    assert {str(each["subjects"]) for each in found if "subjects" in each and "tenantry:" not in str(each)} == {
        str([{"kind": "ServiceAccount", "name": "door", "namespace": "tenancy"}])
    }


@pytest.mark.parametrize(
    ("authenticators", "ca", "needed"),
    [
        (("BearerToken",), None, False),
        (("BearerToken", "TLSCertificate"), None, True),
        (("XForwardedClientCert",), None, True),
        (("TLSCertificate",), Path("/ca"), False),
    ],
)
def test_the_cas_configmap_is_read_where_client_certificates_are_checked_by_it(
    authenticators: Any, ca: Path | None, *, needed: bool
) -> None:
    identity = IdentitySettings(authenticators=authenticators, certificates=CertificateIdentity(ca=ca))

    assert reads_client_ca(GatewaySettings(clusters=(ClusterSettings(identity=identity),))) is needed


def test_each_kind_and_operation_has_a_virtual_group_of_its_own() -> None:
    """8.4: the gateway adds one to a single request; the role grants just that."""
    found = by_name(gateway_rights(GatewayInstall(), "ns"))
    roles = {name: each for (kind, name), each in found.items() if kind == "ClusterRole" and name[:9] == "tenantry:"}

    kinds = ("ingressclasses", "nodes", "persistentvolumes", "priorityclasses", "runtimeclasses", "storageclasses")
    assert sorted(roles) == [
        f"tenantry:gateway:{kind}:{operation}" for kind in kinds for operation in ("delete", "update")
    ]
    assert roles["tenantry:gateway:nodes:update"]["rules"] == [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["update", "patch"]}
    ]
    assert roles["tenantry:gateway:storageclasses:delete"]["rules"] == [
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["delete"]}
    ]
    assert all(
        found["ClusterRoleBinding", name]["subjects"]
        == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}]
        for name in roles
    )


def test_the_service_is_where_clients_of_capsule_proxy_look() -> None:
    """8.6: name, port and port's name."""
    service = by_name(manifests(WITH))["Service", "capsule-proxy"]

    assert service["metadata"]["namespace"] == "capsule-system"
    assert service["spec"]["ports"] == [{"name": "proxy", "port": 9001, "targetPort": "proxy", "protocol": "TCP"}]


def test_the_pod_is_given_time_to_drain_and_no_privileges() -> None:
    slow = GatewayInstall(configuration=replace(default_configuration(), drain_seconds=99.5))
    settings = InstallSettings(gateway=slow)
    pod = by_name(manifests(settings))["Deployment", "tenantry-gateway"]["spec"]["template"]["spec"]
    operator = by_name(manifests(settings))["Deployment", "tenantry-operator"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["terminationGracePeriodSeconds"] == 110
    assert pod["securityContext"] == operator["securityContext"]
    assert container["securityContext"] == operator["containers"][0]["securityContext"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert {each["name"]: each["containerPort"] for each in container["ports"]} == {
        "proxy": 9001,
        "metrics": 8080,
        "health": 8081,
    }
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}


def test_the_default_configuration_in_the_configmap_is_right() -> None:
    text = by_name(manifests(WITH))["ConfigMap", "tenantry-gateway"]["data"]["gateway.yaml"]

    checked = check_text(text, folder=Path("/"), now=None)

    assert (checked.problems, checked.settings) == ((), default_configuration())


def test_the_command_takes_the_arguments_of_the_deployment() -> None:
    install = GatewayInstall(arguments=("--ignored-user-group=a",))
    for words in (gateway_arguments(install), arguments(WITH, "operator")):
        command: click.Command = tenantry
        context = click.Context(tenantry, **tenantry.context_settings)
        while isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None
            command = found
        command.make_context("", words, parent=context)  # raises UsageError for what it does not know


def test_the_operator_makes_the_certificate_unless_cert_manager_does() -> None:
    hosts = replace(default_configuration(), clusters=(ClusterSettings(hosts=("api.example.com",)),))
    gateway = GatewayInstall(configuration=hosts, names=("10.0.0.1", "api.example.com"))
    service = "capsule-proxy.capsule-system"
    names = ["capsule-proxy", service, f"{service}.svc", f"{service}.svc.cluster.local", "api.example.com"]

    words = arguments(InstallSettings(gateway=gateway), "operator")
    by_cert_manager = InstallSettings(gateway=gateway, cert_manager=True)
    found = by_name(gateway_workloads(by_cert_manager, gateway))

    assert words[-7:] == [
        "--gateway-secret=capsule-proxy",
        *(f"--gateway-host={name}" for name in [*names, "10.0.0.1"]),
    ]
    assert [word for word in arguments(by_cert_manager, "operator") if "gateway" in word] == []
    assert found["Certificate", "tenantry-gateway"]["spec"] == {
        "secretName": "capsule-proxy",
        "dnsNames": names,
        "ipAddresses": ["10.0.0.1"],
        "issuerRef": {"kind": "Issuer", "name": "tenantry-gateway"},
    }


def printed(*words: str) -> list[JSON]:
    result = CliRunner().invoke(tenantry, ["manifests", *words])
    assert result.exception is None, result.exception
    return list(yaml.safe_load_all(result.stdout))


def test_manifests_print_it_with_the_configuration_as_it_was_written() -> None:
    file = EXAMPLES / "full.yaml"

    found = by_name(printed("--gateway", "--gateway-config", str(file), "--gateway-san", "a", "--gateway-flow-schema"))

    assert found["ConfigMap", "tenantry-gateway"]["data"]["gateway.yaml"] == file.read_text()
    words = found["Deployment", "tenantry-operator"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert words[-3:] == [
        "--gateway-host=kubernetes.example.com",
        "--gateway-host=berlin.example.com",
        "--gateway-host=a",
    ]
    assert ("FlowSchema", "tenantry-gateway") in found


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        (["--gateway-san=a"], None, "--gateway: 'not given' is invalid"),
        (["--gateway"], "prot: 1", "can't be used"),
        (["--gateway"], (EXAMPLES / "minimal.yaml").read_text() + "healthAddress: ':1'\n", "leave it out"),
    ],
)
def test_what_can_not_be_installed_is_refused(tmp_path: Path, words: list[str], text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "f").write_text(text)
        words = [*words, "--gateway-config", str(tmp_path / "f")]

    result = CliRunner().invoke(tenantry, ["manifests", *words])

    assert isinstance(result.exception, TenantryError)
    assert said in str(result.exception)
