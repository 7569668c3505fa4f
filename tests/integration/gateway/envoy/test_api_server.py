"""The data plane before a real API server: its certificate, HTTP/2, impersonation, its own refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import trustme

from tenantry.kube.config import load_config
from tenantry.kube.credentials import StaticToken
from tenantry.kube.tls import Pem


async def test_the_api_server_decides_under_the_users_name(make_gateway: Any, kubeconfig: Path) -> None:
    """With a client certificate as the gateway's credential."""
    async with make_gateway(upstream=load_config(kubeconfig=str(kubeconfig))) as gateway:
        refused = await gateway.get("/api/v1/namespaces/kube-system/secrets")
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        body = json.dumps(review).encode()
        answer = await gateway.get(path, ("Content-Type", "application/json"), method="POST", body=body)

        assert (refused.status, json.loads(refused.body)["message"]) == (
            403,
            (
                'secrets is forbidden: User "alice" cannot list resource "secrets" in API group "" '
                'in the namespace "kube-system"'
            ),
        )
        assert json.loads(answer.body)["status"]["userInfo"] == {
            "username": "alice",
            "groups": ["devs", "a, b", "system:authenticated"],
        }
        spoken = await gateway.envoy._admin.counters("cluster.api-default.upstream_cx_(http1|http2)_total$")
        assert spoken == {
            "cluster.api-default.upstream_cx_http1_total": 0,
            "cluster.api-default.upstream_cx_http2_total": 1,
        }


async def test_an_expired_credential_of_ours_is_a_503(make_gateway: Any, kubeconfig: Path) -> None:
    """8.7.1, with the API server's own 401."""
    config = load_config(kubeconfig=str(kubeconfig))
    upstream = replace(config, tls=replace(config.tls, certificate=None), credentials=StaticToken("gone"))
    async with make_gateway(upstream=upstream, token="Bearer gone") as gateway:
        for target in ("/api/v1/namespaces/team/pods", "/api/v1/namespaces/team/services/s/proxy/x"):
            reply = await gateway.get(target)
            assert (reply.status, reply.header("retry-after")) == (503, "5")


async def test_another_servers_certificate_is_not_trusted(make_gateway: Any, kubeconfig: Path) -> None:
    config = load_config(kubeconfig=str(kubeconfig))
    wrong = (
        replace(config.tls, server_name="other.test"),
        replace(config.tls, ca=Pem(data=trustme.CA().cert_pem.bytes())),
    )
    for tls in wrong:
        async with make_gateway(upstream=replace(config, tls=tls)) as gateway:
            assert (await gateway.get("/api/v1/namespaces/team/pods")).status == 503
