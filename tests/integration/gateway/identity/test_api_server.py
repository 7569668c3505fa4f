"""Tokens, rights and certificates as a real API server has them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from cryptography import x509

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import identity_from
from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.codec import decode_any
from tenantry.gateway.identity.assembly import identity_reviewer
from tenantry.gateway.identity.client_authority import client_ca
from tenantry.gateway.protocol import Answer, Lines
from tenantry.gateway.settings import (
    ClientImpersonation,
    ForwardedCertificates,
    IdentitySettings,
)
from tenantry.kube.client import Client
from tenantry.kube.config import load_config
from tenantry.kube.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NAMESPACES, SERVICE_ACCOUNTS

SETTINGS = IdentitySettings(
    authenticators=("BearerToken", "TLSCertificate", "XForwardedClientCert"),
    forwarded=ForwardedCertificates(trusted_networks=(ip_network("10.0.0.0/8"),)),
    impersonation=ClientImpersonation(enabled=True),
)
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.fixture
async def admin(kubeconfig: Path) -> AsyncIterator[Client]:
    async with Client(load_config(kubeconfig=str(kubeconfig))) as client:
        yield client


@pytest.fixture
async def namespace(admin: Client, unique: Callable[[str], str]) -> str:
    name = unique("identity")
    await admin.create(NAMESPACES, {"metadata": {"name": name}})
    return name


async def identify(admin: Client, lines: Lines, settings: IdentitySettings = SETTINGS) -> Answer:
    async with identity_reviewer(settings, admin) as reviewer:
        await reviewer._authenticators._authority.refresh()
        return await reviewer.identify(lines)


def told(answer: Answer) -> Identity:
    assert answer.status == 200, answer
    return identity_from(line for line in answer.lines if not line[0].startswith(":"))


def why(answer: Answer) -> str:
    return dict(answer.headers)["x-tenantry-reason"]


async def seen_by_the_api_server(client: Client, headers: Lines = ()) -> dict[str, Any]:
    """Return whom the API server takes *client* for, with *headers*."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    given = {"Content-Type": "application/json"}
    for name, value in headers:
        assert name not in given, "aiohttp would send one of them"
        given[name] = value
    user: dict[str, Any] = decode_any(await client.request("POST", SELF, body=body, headers=given))["status"][
        "userInfo"
    ]
    return user


async def account_token(admin: Client, namespace: str, name: str, **spec: Any) -> str:
    await admin.create(SERVICE_ACCOUNTS, {"metadata": {"name": name, "namespace": namespace}})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    token: str = decode_any(await admin.request("POST", path, body=body))["status"]["token"]
    return token


async def test_a_service_account_is_who_the_api_server_says(admin: Client, namespace: str) -> None:
    token = await account_token(admin, namespace, "robot")
    answer = await identify(admin, (("authorization", f"Bearer {token}"),))
    identity = told(answer)
    (stored,) = (await admin.list(SERVICE_ACCOUNTS, namespace, field_selector="metadata.name=robot")).items
    lines = dict(answer.lines)
    assert (identity.user, identity.uid, identity.groups, lines[":own"], lines[":how"]) == (
        f"system:serviceaccount:{namespace}:robot",
        stored.metadata.uid,
        ("system:serviceaccounts", f"system:serviceaccounts:{namespace}"),
        "1",
        "review",
    )
    assert [key for key, _ in identity.extra] == ["authentication.kubernetes.io/credential-id"]


async def test_a_websocket_shows_the_same_token(admin: Client, namespace: str) -> None:
    token = await account_token(admin, namespace, "browser")
    protocol = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    answer = await identify(admin, (("websocket-bearer", protocol),))
    assert told(answer).user == f"system:serviceaccount:{namespace}:browser"


async def test_a_token_for_somebody_else_is_refused(admin: Client, namespace: str) -> None:
    token = await account_token(admin, namespace, "vault", audiences=["vault"])
    lines = (("authorization", f"Bearer {token}"),)
    assert why(await identify(admin, lines)) == "TokenRefused"
    for_vault = await identify(admin, lines, replace(SETTINGS, token_audiences=("vault",)))
    assert told(for_vault).user == f"system:serviceaccount:{namespace}:vault"
    assert ":own" not in dict(for_vault.lines)


async def test_a_token_of_a_deleted_account_is_refused(admin: Client, namespace: str) -> None:
    token = await account_token(admin, namespace, "gone")
    await admin.delete(SERVICE_ACCOUNTS, "gone", namespace)
    assert why(await identify(admin, (("authorization", f"Bearer {token}"),))) == "TokenRefused"


def certificate_of(kubeconfig: Path) -> x509.Certificate:
    user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
    return x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))


def pem_of(kubeconfig: Path) -> str:
    user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
    return quote(base64.b64decode(user["client-certificate-data"]), safe="")


async def test_a_certificates_names_are_the_api_servers(
    admin: Client, control_plane: ControlPlane, unique: Callable[[str], str]
) -> None:
    config = control_plane.user_kubeconfig(unique("carol"), ["devs", "ops"])
    async with Client(load_config(kubeconfig=str(config))) as carol:
        theirs = await seen_by_the_api_server(carol)
    for lines in (
        (("certificate", pem_of(config)),),
        (("forwarded-certificate", f"Cert={pem_of(config)}"), ("peer", "10.0.0.1")),
    ):
        identity = told(await identify(admin, lines))
        assert {
            "username": identity.user,
            "groups": [*identity.groups, "system:authenticated"],
            "extra": {key: list(values) for key, values in identity.extra},
        } == theirs


async def test_the_clusters_client_ca_is_published(admin: Client, control_plane: ControlPlane) -> None:
    (authority,) = x509.load_pem_x509_certificates(await client_ca(admin))
    certificate = certificate_of(control_plane.user_kubeconfig("anybody"))
    certificate.verify_directly_issued_by(authority)


async def test_the_api_server_reads_our_lines_as_we_mean_them(admin: Client) -> None:
    """The uid and extras too, whatever characters their keys have."""
    lines = (
        ("impersonate-user", "alice@example.org"),
        ("impersonate-group", "devs, and ops"),
        ("impersonate-uid", "u-1"),
        ("impersonate-extra-authentication.kubernetes.io%2fpod-name", "web-0"),
    )
    assert await seen_by_the_api_server(admin, lines) == {
        "username": "alice@example.org",
        "uid": "u-1",
        "groups": ["devs, and ops", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/pod-name": ["web-0"]},
    }


async def test_acting_as_somebody_needs_the_right_to_each_part(
    admin: Client, namespace: str, unique: Callable[[str], str]
) -> None:
    token = await account_token(admin, namespace, "agent")
    role = unique("impersonator")
    rules = [
        {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["bob"]},
        {"apiGroups": [""], "resources": ["groups"], "verbs": ["impersonate"], "resourceNames": ["ops"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"], "resourceNames": ["robot"]},
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["uids"],
            "verbs": ["impersonate"],
            "resourceNames": ["7"],
        },
    ]
    await admin.create(CLUSTER_ROLES, {"metadata": {"name": role}, "rules": rules})
    binding = {
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        # Bound by a group that the account is in, so that the groups have to be asked about, too.
        "subjects": [
            {"kind": "Group", "name": f"system:serviceaccounts:{namespace}", "apiGroup": "rbac.authorization.k8s.io"}
        ],
    }
    await admin.create(CLUSTER_ROLE_BINDINGS, binding)
    bearer = ("authorization", f"Bearer {token}")
    robot = f"system:serviceaccount:{namespace}:robot"

    async def outcome(*lines: tuple[str, str]) -> str:
        answer = await identify(admin, (bearer, *lines))
        return "" if answer.status == 200 else why(answer)

    assert [
        await outcome(("impersonate-user", "bob"), ("impersonate-group", "ops"), ("impersonate-uid", "7")),
        await outcome(("impersonate-user", robot)),
        await outcome(("impersonate-user", "eve")),
        await outcome(("impersonate-user", "bob"), ("impersonate-group", "admins")),
        await outcome(("impersonate-user", "bob"), ("impersonate-uid", "8")),
        await outcome(("impersonate-user", "bob"), ("impersonate-group", "system:masters")),
        await outcome(("impersonate-user", "bob"), ("impersonate-extra-example.org%2fa", "b")),
    ] == ["", "", "ImpersonationDenied", "ImpersonationDenied", "ImpersonationDenied", "SystemName", "Extra"]


async def test_the_original_caller_is_told(admin: Client, kubeconfig: Path, control_plane: ControlPlane) -> None:
    del kubeconfig
    root = control_plane.user_kubeconfig("root", ["system:masters"])
    settings = replace(SETTINGS, allowed_system_names=("system:masters",))
    answer = await identify(admin, (("certificate", pem_of(root)), ("impersonate-user", "bob")), settings)
    assert told(answer) == Identity(user="bob", extra=(("tenantry.dev/original-user", ("root",)),))
    assert dict(answer.lines)[":real"] == "root"
