"""What Envoy is told, without an Envoy: order of filters, whose credential goes where, what is in which file."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from tenantry.foundation.errors import ConfigurationError
from tenantry.gateway.envoy.credentials import pushed_secret
from tenantry.gateway.envoy.files import rotate
from tenantry.gateway.envoy.inputs import ClusterInputs, Inputs
from tenantry.gateway.envoy.render import render
from tenantry.gateway.envoy.script import of_epoch
from tenantry.gateway.runtime import RuntimeFolder
from tenantry.gateway.settings import Certificate, ClusterSettings, GatewaySettings, Listening
from tenantry.kube.config import ClusterConfig, Impersonation
from tenantry.kube.credentials import NoCredentials, StaticToken, TokenFile
from tenantry.kube.tls import ClientCertificate, Pem, TlsSettings

SECRET = "0123456789abcdef"
PAIR = Certificate(certificate=Path("/tls/tls.crt"), key=Path("/tls/tls.key"))
UPSTREAM = ClusterConfig(
    server="https://10.0.0.1:6443", tls=TlsSettings(ca=Pem(data=b"CA")), credentials=StaticToken("t0ken")
)
RUNTIME = RuntimeFolder(Path("/run/gw"))
SETTINGS = GatewaySettings(listening=Listening(certificates=(PAIR,)))


def inputs(upstream: ClusterConfig = UPSTREAM, **changes: Any) -> Inputs:
    return replace(Inputs(secret=SECRET, clusters={"default": ClusterInputs(upstream=upstream)}), **changes)


def rendered(settings: GatewaySettings = SETTINGS, given: Inputs | None = None) -> dict[str, Any]:
    files = render(settings, RUNTIME, given or inputs())
    return {name: json.loads(content) for name, content in files.items()}


def manager(files: dict[str, Any]) -> Any:
    return files["lds.json"]["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def cluster(files: dict[str, Any], name: str) -> Any:
    (found,) = [each for each in files["cds.json"]["resources"] if each["name"] == name]
    return found


def upstream_filters(files: dict[str, Any], name: str) -> list[str]:
    (options,) = cluster(files, name)["typed_extension_protocol_options"].values()
    return [each["name"] for each in options.get("http_filters", [])]


def test_the_script_comes_before_the_guard_and_both_before_everything() -> None:
    made = manager(rendered())

    assert [each["name"] for each in made["http_filters"]] == [
        "script-default",
        "guard",
        "tenantry.streams",
        "body",
        "router",
    ]
    assert {each["upgrade_type"]: [one["name"] for one in each["filters"]] for each in made["upgrade_configs"]} == {
        "websocket": ["script-default", "guard", "tenantry.streams", "router"],
        "SPDY/3.1": ["script-default", "guard", "tenantry.streams", "router"],
    }


def test_our_credential_is_behind_a_door_of_its_own_and_nowhere_else() -> None:
    files = rendered()

    assert {name: upstream_filters(files, name) for name in NAMES} == {
        "api-default": ["impersonates", "credential", "codec"],
        "api-upgrades-default": ["impersonates", "credential", "codec"],
        "own-default": [],
        "own-upgrades-default": [],
        "python-default": [],
    }
    assert sorted(each["name"] for each in files["cds.json"]["resources"]) == sorted((*NAMES, "streams"))


NAMES = ("api-default", "api-upgrades-default", "own-default", "own-upgrades-default", "python-default")


def test_a_client_certificate_is_shown_for_us_and_not_for_clients() -> None:
    pair = ClientCertificate(Pem(data=b"CERT"), Pem(data=b"KEY"))
    upstream = replace(UPSTREAM, tls=replace(UPSTREAM.tls, certificate=pair), credentials=NoCredentials())
    files = rendered(given=inputs(upstream))

    def shows(name: str) -> bool:
        context = cluster(files, name)["transport_socket"]["typed_config"]["common_tls_context"]
        return "tls_certificate_sds_secret_configs" in context

    assert {name: shows(name) for name in NAMES[:4]} == {
        "api-default": True,
        "api-upgrades-default": True,
        "own-default": False,
        "own-upgrades-default": False,
    }
    assert upstream_filters(files, "api-default") == ["impersonates", "codec"]


def test_routes_without_the_scripts_word_lead_nowhere() -> None:
    (host,) = manager(rendered())["route_config"]["virtual_hosts"]

    def wanted(route: Any) -> Any:
        headers = route["match"].get("headers", [])
        upgrade = ["upgrade"] if any(each["name"] == "upgrade" for each in headers) else []
        name = next((each["string_match"]["exact"] for each in headers if each["name"] == "x-tenantry-route"), None)
        action = route.get("route", {})
        held = "typed_per_filter_config" not in route
        return [name, *upgrade], action.get("cluster"), action.get("idle_timeout"), held

    assert [wanted(route) for route in host["routes"]] == [
        (["upstream"], "api-default", "120s", False),
        (["python"], "python-default", "120s", False),
        (["own"], "own-default", "120s", False),
        (["upstream-stream", "upgrade"], "api-upgrades-default", "0s", True),
        (["upstream-stream"], "api-default", "0s", True),
        (["own-stream", "upgrade"], "own-upgrades-default", "0s", True),
        (["own-stream"], "own-default", "0s", True),
        (["python-stream"], "python-default", "0s", True),
        ([None], None, None, True),
    ]
    assert host["routes"][-1]["direct_response"] == {"status": 403}


def test_secrets_are_where_they_are_needed_alone() -> None:
    files = render(SETTINGS, RUNTIME, inputs())

    assert [name for name, content in files.items() if SECRET.encode() in content] == ["script-default.json"]
    assert [name for name, content in files.items() if b"t0ken" in content] == []
    assert b"Bearer t0ken" in pushed_secret("Bearer t0ken")


def test_equal_arguments_give_equal_files() -> None:
    assert render(SETTINGS, RUNTIME, inputs()) == render(replace(SETTINGS), RUNTIME, inputs())


def test_a_token_file_is_followed_by_envoy_itself() -> None:
    files = rendered(given=inputs(replace(UPSTREAM, credentials=TokenFile(Path("/sa/token")))))

    assert files["token-default.json"]["resources"][0]["generic_secret"] == {
        "secret": {"filename": "/sa/token", "watched_directory": {"path": "/sa"}}
    }


def test_servers_behind_a_path_are_reached_there() -> None:
    files = rendered(given=inputs(replace(UPSTREAM, server="https://proxy.test/k8s/c-1")))
    (host,) = manager(files)["route_config"]["virtual_hosts"]

    rewrites = {each["route"]["cluster"]: each["route"].get("prefix_rewrite") for each in host["routes"][:-1]}
    assert rewrites == dict.fromkeys(NAMES[:4], "/k8s/c-1/") | {"python-default": None}
    assert cluster(files, "api-default")["type"] == "STRICT_DNS"


def test_every_cluster_is_a_chain_and_misdirects_the_others() -> None:
    other = ClusterSettings(name="other", hosts=("b.test", "a.test"), is_default=False)
    settings = replace(SETTINGS, clusters=(ClusterSettings(), other))
    settings = replace(settings, listening=replace(settings.listening, trusted_networks=(ip_network("10.0.0.0/8"),)))
    given = inputs(clusters={name: ClusterInputs(upstream=UPSTREAM) for name in ("default", "other")})
    chains = rendered(settings, given)["lds.json"]["resources"][0]["filter_chains"]

    trusted = {"direct_source_prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}
    assert [chain["filter_chain_match"] for chain in chains] == [
        trusted,
        {"server_names": ["a.test", "b.test"], **trusted},
    ]
    hosts = [chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"] for chain in chains]
    assert [{each["name"]: each["domains"] for each in several} for several in hosts] == [
        {"cluster-default": ["*"], "misdirected": ["a.test", "a.test:*", "b.test", "b.test:*"]},
        {"cluster-other": ["a.test", "a.test:*", "b.test", "b.test:*"], "misdirected": ["*"]},
    ]


@pytest.mark.parametrize(
    ("upstream", "words"),
    [
        (replace(UPSTREAM, impersonation=Impersonation("root")), "must not impersonate"),
        (replace(UPSTREAM, proxy_url="http://proxy.test"), "through a proxy"),
        (replace(UPSTREAM, credentials=NoCredentials()), "neither a token nor a certificate"),
    ],
)
def test_clusters_that_can_not_be_served_are_refused(upstream: ClusterConfig, words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"cluster 'default': .*{words}"):
        render(SETTINGS, RUNTIME, inputs(upstream))


def test_the_scripts_settings_can_not_break_out() -> None:
    with pytest.raises(ConfigurationError, match="holds characters"):
        render(SETTINGS, RUNTIME, inputs(secret='"; os.exit()'))


def test_an_epoch_makes_another_script_and_nothing_else() -> None:
    file = render(SETTINGS, RUNTIME, inputs())["script-default.json"]

    assert of_epoch(file, 7) == file.replace(b"-- epoch 0", b"-- epoch 7")
    assert of_epoch(of_epoch(file, 7), 0) == file


def test_rotation_keeps_so_many(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    for number in range(4):
        log.write_text(str(number))
        rotate(log, 2)

    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"audit.log.1": "3", "audit.log.2": "2"}
