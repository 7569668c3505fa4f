"""The CRDs in a real API server: they are taken without a word, and what users write comes back."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tenantry.api.crds import KINDS, crd_manifests
from tenantry.api.tenant import Tenant
from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.codec import decode, encode

FULL_TENANT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "unit" / "api" / "data" / "full-tenant.yaml").read_text()
)

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def bare_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane without webhooks, which other tests may register in the shared one: the schema alone judges."""
    with ThreadPoolExecutor(1) as apart:
        start = ControlPlane.start(tmp_path_factory.mktemp("bare") / "control-plane", nodes=())
        plane = apart.submit(asyncio.run, start).result()
        yield plane
        apart.submit(asyncio.run, plane.stop()).result()


@pytest.fixture
def kubectl(bare_control_plane: ControlPlane) -> Kubectl:
    """Run kubectl as the administrator; with an object to read from standard input, its text."""

    def run(*arguments: str, stdin: object = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [bare_control_plane.kubectl, "--kubeconfig", bare_control_plane.kubeconfig, *arguments],
            input=None if stdin is None else json.dumps(stdin),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def crds(kubectl: Kubectl) -> subprocess.CompletedProcess[str]:
    """Apply the CRDs and wait until they are served; return what kubectl said."""
    applied = kubectl(
        "apply", "--server-side", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": crd_manifests()}
    )
    names = [f"crd/{kind.plural}.capsule.clastix.io" for kind in KINDS]
    waited = kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    assert waited.returncode == 0, waited.stderr
    return applied


@pytest.fixture
def tenant(kubectl: Kubectl, unique: Callable[[str], str]) -> Callable[..., dict[str, Any]]:
    """Make a tenant of a spec, validated strictly, and return it as stored."""

    def create(spec: dict[str, Any], **others: Any) -> dict[str, Any]:
        body = FULL_TENANT | {"metadata": {"name": unique("tenant")}, "spec": spec} | others
        created = kubectl("create", "--validate=strict", "-o", "json", "-f", "-", stdin=body)
        assert (created.returncode, created.stderr) == (0, "")
        stored: dict[str, Any] = json.loads(created.stdout)
        return stored

    return create


def test_the_api_server_takes_them_without_a_warning(crds: subprocess.CompletedProcess[str]) -> None:
    assert (crds.returncode, crds.stderr) == (0, "")


def test_schemas_are_structural_and_names_are_accepted(
    crds: subprocess.CompletedProcess[str], kubectl: Kubectl
) -> None:
    assert crds.returncode == 0
    for kind in KINDS:
        crd = json.loads(kubectl("get", "crd", f"{kind.plural}.capsule.clastix.io", "-o", "json").stdout)
        conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.usefixtures("crds")
def test_a_full_tenant_is_stored_as_it_was_written(tenant: Callable[..., dict[str, Any]], kubectl: Kubectl) -> None:
    stored = tenant(FULL_TENANT["spec"])

    assert stored["spec"] == FULL_TENANT["spec"]
    # Read into our types and written back by them, nothing changes: the generation stays.
    again = kubectl("replace", "-o", "json", "-f", "-", stdin=json.loads(encode(decode(json.dumps(stored), Tenant))))
    assert again.returncode == 0, again.stderr
    replaced = json.loads(again.stdout)
    assert (replaced["spec"], replaced["metadata"]["generation"]) == (FULL_TENANT["spec"], 1)


@pytest.mark.usefixtures("crds")
def test_what_go_clients_marshal_is_accepted(tenant: Callable[..., dict[str, Any]]) -> None:
    """Their types have no omitempty on structs, nor on the status."""
    stored = tenant(
        {
            "owners": [{"kind": "User", "name": "alice"}],
            "permissions": {},
            "namespaceOptions": {"forbiddenLabels": {}, "forbiddenAnnotations": {}, "managedMetadataOnly": False},
            "gatewayOptions": {},
            "ingressOptions": {"allowWildcardHostnames": False},
            "storageClasses": {"default": "", "allowed": [], "allowedRegex": ""},
            "resourceQuotas": {},
            "limitRanges": {},
            "networkPolicies": {},
            "additionalRoleBindings": [],
            "nodeSelector": None,
        },
        status={"size": 0, "state": "", "namespaces": None, "conditions": None},
    )

    assert decode(json.dumps(stored["spec"]), type(Tenant().spec)) == decode(
        json.dumps(
            {
                "owners": [{"kind": "User", "name": "alice"}],
                "permissions": {},
                "namespaceOptions": {"forbiddenLabels": {}, "forbiddenAnnotations": {}},
                "gatewayOptions": {},
                "ingressOptions": {},
                "storageClasses": {},
                "resourceQuotas": {},
                "limitRanges": {},
                "networkPolicies": {},
            }
        ),
        type(Tenant().spec),
    )


@pytest.mark.usefixtures("crds")
def test_a_wrong_expression_is_not_the_schema_s_business(tenant: Callable[..., dict[str, Any]]) -> None:
    stored = tenant({"containerRegistries": {"allowedRegex": "("}})

    assert stored["spec"]["containerRegistries"] == {"allowedRegex": "("}


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"owners": [{"kind": "Admin", "name": "x"}]}, 'spec.owners[0].kind: Unsupported value: "Admin"'),
        ({"namespaceOptions": {"quota": 0}}, "should be greater than or equal to 1"),
        ({"rules": [{"quota": [{"name": "a"}, {"name": "a"}]}]}, 'Duplicate value: {"name":"a"}'),
        ({"rules": [{"enforce": {"metadata": [{"kinds": []}]}}]}, "should have at least 1 items"),
        (
            {"rules": [{"enforce": {"workloads": {"resources": {"limits": {"cpu": {"policy": "Keep"}}}}}}]},
            'Unsupported value: "Keep"',
        ),
        ({"rules": [{"quota": [{"name": "a", "hard": {"cpu": "lots"}}]}]}, "should match"),
    ],
)
def test_what_the_schema_forbids_is_refused(
    kubectl: Kubectl, unique: Callable[[str], str], spec: dict[str, Any], message: str
) -> None:
    body = FULL_TENANT | {"metadata": {"name": unique("tenant")}, "spec": spec}

    refused = kubectl("create", "-f", "-", stdin=body)

    assert refused.returncode == 1
    assert message in refused.stderr


@pytest.mark.usefixtures("crds")
def test_kubectl_prints_the_columns(tenant: Callable[..., dict[str, Any]], kubectl: Kubectl) -> None:
    name = tenant({"namespaceOptions": {"quota": 3}, "nodeSelector": {"pool": "oil"}})["metadata"]["name"]
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Succeeded",
        "message": "reconciled",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    status = {"status": {"state": "Active", "size": 2, "conditions": [ready]}}
    patched = kubectl("patch", "tnt", name, "--subresource=status", "--type=merge", "-p", json.dumps(status))
    assert patched.returncode == 0, patched.stderr

    heading, row = kubectl("get", "tnt", name).stdout.splitlines()

    assert heading.split("  ")[0] == "NAME"
    columns = [column.strip() for column in heading.split("  ") if column.strip()]
    assert columns == ["NAME", "STATE", "NAMESPACE QUOTA", "NAMESPACE COUNT", "NODE SELECTOR", "READY", "STATUS", "AGE"]
    assert row.split()[:-1] == [name, "Active", "3", "2", '{"pool":"oil"}', "True", "reconciled"]


@pytest.mark.usefixtures("crds")
def test_short_names_and_scopes(kubectl: Kubectl) -> None:
    listed = kubectl("api-resources", "--api-group=capsule.clastix.io", "--no-headers").stdout

    assert sorted(line.split() for line in listed.splitlines()) == [
        ["capsuleconfigurations", "capsule.clastix.io/v1beta2", "false", "CapsuleConfiguration"],
        ["globalproxysettings", "capsule.clastix.io/v1beta1", "false", "GlobalProxySettings"],
        ["proxysettings", "capsule.clastix.io/v1beta1", "true", "ProxySetting"],
        ["rulestatuses", "capsule.clastix.io/v1beta2", "true", "RuleStatus"],
        ["tenantowners", "to", "capsule.clastix.io/v1beta2", "false", "TenantOwner"],
        ["tenants", "tnt", "capsule.clastix.io/v1beta2", "false", "Tenant"],
    ]
