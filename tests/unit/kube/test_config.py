"""Kubeconfigs and the pod's folder become one value."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
import yaml

from tenantry.foundation.codec import decode_any
from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.config import ClusterConfig, Impersonation, from_kubeconfig, in_cluster_config, load_config
from tenantry.kube.credentials import BasicAuth, NoCredentials, StaticToken, TokenFile
from tenantry.kube.exec_plugin import ExecPlugin
from tenantry.kube.kubeconfig import read_kubeconfig
from tenantry.kube.oidc import OidcProvider
from tenantry.kube.tls import ClientCertificate, Pem, TlsSettings


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _write(file: Path, **content: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content))
    return file


def _one(folder: Path, *, user: dict[str, object] | None = None, **cluster: object) -> ClusterConfig:
    file = _write(
        folder / "config",
        clusters=[{"name": "c", "cluster": {"server": "https://api:6443", **cluster}}],
        users=[{"name": "u", "user": user or {}}],
        contexts=[{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        **{"current-context": "x"},
    )
    return from_kubeconfig(read_kubeconfig([file]))


def test_everything_about_a_cluster_is_read(tmp_path: Path) -> None:
    config = _one(
        tmp_path,
        user={"client-certificate-data": _b64("CERT"), "client-key": "keys/me.key"},
        **{
            "server": "https://api:6443/path/",
            "certificate-authority": "ca.crt",
            "tls-server-name": "inside",
            "insecure-skip-tls-verify": True,
            "proxy-url": "http://proxy:1",
        },
    )

    assert config == ClusterConfig(
        server="https://api:6443/path",
        tls=TlsSettings(
            ca=Pem(file=tmp_path / "ca.crt"),
            certificate=ClientCertificate(Pem(data=b"CERT"), Pem(file=tmp_path / "keys/me.key")),
            server_name="inside",
            is_insecure=True,
        ),
        credentials=NoCredentials(),
        proxy_url="http://proxy:1",
        namespace="default",
        impersonation=None,
        context="x",
    )


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({}, NoCredentials()),
        ({"token": "t"}, StaticToken("t")),
        ({"token": "t", "tokenFile": "/run/token"}, TokenFile(Path("/run/token"))),
        ({"username": "u", "password": "p"}, BasicAuth("u", "p")),
        (
            {
                "exec": {
                    "apiVersion": "client.authentication.k8s.io/v1",
                    "command": "login",
                    "args": ["a"],
                    "env": [{"name": "N", "value": "V"}],
                    "installHint": "get it",
                    "interactiveMode": "Never",
                }
            },
            ExecPlugin(
                command="login", args=("a",), env=(("N", "V"),), interactive_mode="Never", install_hint="get it"
            ),
        ),
        (
            {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "/bin/login", "args": None}},
            ExecPlugin(command="/bin/login", api_version="client.authentication.k8s.io/v1beta1"),
        ),
    ],
)
def test_each_way_to_log_in(tmp_path: Path, user: dict[str, object], expected: object) -> None:
    assert _one(tmp_path, user=user).credentials == expected


def test_paths_start_at_the_file_that_names_them(tmp_path: Path) -> None:
    assert _one(tmp_path, user={"tokenFile": "token"}).credentials == TokenFile(tmp_path / "token")
    plugin = _one(tmp_path, user={"exec": {"command": "./bin/login"}}).credentials
    assert isinstance(plugin, ExecPlugin)
    assert plugin.command == str(tmp_path / "bin/login")


def test_a_plugin_that_asks_is_told_about_the_cluster(tmp_path: Path) -> None:
    plugin = _one(
        tmp_path,
        user={"exec": {"command": "login", "provideClusterInfo": True}},
        **{
            "certificate-authority-data": _b64("CA"),
            "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}],
        },
    ).credentials

    assert isinstance(plugin, ExecPlugin)
    assert plugin.cluster_info is not None
    assert decode_any(plugin.cluster_info) == {
        "server": "https://api:6443",
        "certificate-authority-data": _b64("CA"),
        "config": {"audience": "a"},
    }


def test_an_oidc_provider_is_read(tmp_path: Path) -> None:
    settings = {
        "idp-issuer-url": "https://issuer/",
        "client-id": "c",
        "client-secret": "s",
        "id-token": "i",
        "refresh-token": "r",
        "idp-certificate-authority-data": _b64("CA"),
    }

    assert _one(tmp_path, user={"auth-provider": {"name": "oidc", "config": settings}}).credentials == OidcProvider(
        issuer_url="https://issuer",
        client_id="c",
        client_secret="s",
        id_token="i",
        refresh_token="r",
        ca=Pem(data=b"CA"),
        file=tmp_path / "config",
        user="u",
    )


def test_impersonation_is_read(tmp_path: Path) -> None:
    config = _one(
        tmp_path, user={"as": "bob", "as-uid": "7", "as-groups": ["g"], "as-user-extra": {"scope": ["a", "b"]}}
    )

    assert config.impersonation == Impersonation("bob", ("g",), {"scope": ("a", "b")}, uid="7")


def test_of_several_files_the_first_to_say_something_wins(tmp_path: Path) -> None:
    first = _write(
        tmp_path / "one" / "config",
        clusters=[{"name": "c", "cluster": {"server": "https://first", "certificate-authority": "ca"}}],
        contexts=None,
        users=None,
    )
    second = _write(
        tmp_path / "two" / "config",
        clusters=[
            {"name": "c", "cluster": {"server": "https://second"}},
            {"name": "d", "cluster": {"server": "https://third"}},
        ],
        users=[{"name": "u", "user": {"tokenFile": "token"}}],
        contexts=[
            {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
            {"name": "y", "context": {"cluster": "d"}},
        ],
        **{"current-context": "x"},
    )
    merged = read_kubeconfig([tmp_path / "missing", first, second])

    assert from_kubeconfig(merged) == ClusterConfig(
        server="https://first",
        tls=TlsSettings(ca=Pem(file=tmp_path / "one" / "ca")),
        credentials=TokenFile(tmp_path / "two" / "token"),
        namespace="team",
        context="x",
    )
    assert from_kubeconfig(merged, "y") == ClusterConfig(server="https://third", context="y")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "is not YAML"),
        ("- a", "is not a kubeconfig"),
        ("clusters: {}", "is not a kubeconfig: .*clusters"),
        ("", "no current context"),
        ("current-context: x", "no context 'x'; it has: none"),
        ("{current-context: x, contexts: [{name: x, context: {cluster: c}}]}", "no cluster 'c'"),
        (
            """{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}],
                clusters: [{name: c, cluster: {server: 'https://a'}}]}""",
            "no user 'u'",
        ),
        (
            """{current-context: x, contexts: [{name: x, context: {cluster: c}}],
                clusters: [{name: c, cluster: {server: 'ftp://a'}}]}""",
            "'ftp://a' is not an http",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "config"
    file.write_text(content)

    with pytest.raises(ConfigurationError, match=message):
        from_kubeconfig(read_kubeconfig([file]))


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ({"client-certificate-data": _b64("CERT")}, "but not both"),
        ({"client-certificate-data": "!", "client-key-data": _b64("KEY")}, "client-certificate-data .*not base64"),
        ({"auth-provider": {"name": "gcp"}}, "'gcp' is gone"),
        ({"auth-provider": {"name": "oidc", "config": {"client-id": "c"}}}, "needs idp-issuer-url"),
    ],
)
def test_a_wrong_user_is_refused_with_what_is_wrong(tmp_path: Path, user: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        _one(tmp_path, user=user)


def _service_account(folder: Path) -> Path:
    folder.mkdir()
    (folder / "token").write_text("t")
    (folder / "namespace").write_text("tenantry-system\n")
    return folder


def test_a_pod_uses_its_service_account(tmp_path: Path) -> None:
    folder = _service_account(tmp_path / "sa")
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}

    assert in_cluster_config(folder, environ) == ClusterConfig(
        server="https://10.0.0.1:6443",
        tls=TlsSettings(ca=Pem(file=folder / "ca.crt")),
        credentials=TokenFile(folder / "token"),
        namespace="tenantry-system",
    )
    assert in_cluster_config(folder, {"KUBERNETES_SERVICE_HOST": "fd00::1"}).server == "https://[fd00::1]:443"


def test_the_order_is_argument_environment_pod_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def server_of(name: str) -> Path:
        return _write(
            tmp_path / name,
            clusters=[{"name": "c", "cluster": {"server": f"https://{name.rpartition('/')[2]}"}}],
            contexts=[{"name": "x", "context": {"cluster": "c"}}],
            **{"current-context": "x"},
        )

    given, environment = server_of("given"), server_of("environment")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr("tenantry.kube.config.SERVICE_ACCOUNT_FOLDER", _service_account(tmp_path / "sa"))
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(["", str(tmp_path / "missing"), str(environment)]))

    assert load_config(kubeconfig=str(given)).server == "https://given"
    assert load_config().server == "https://environment"
    monkeypatch.delenv("KUBECONFIG")
    assert load_config().server == "https://10.0.0.1:443"
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(ConfigurationError, match="no cluster is configured"):
        load_config()
    server_of("home/.kube/config")
    assert load_config().server == "https://config"


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no kubeconfig at .*missing"):
        load_config(kubeconfig=str(tmp_path / "missing"))


@pytest.mark.parametrize(
    "user",
    [
        {"token": "hush"},
        {"username": "u", "password": "hush"},
        {"client-certificate-data": _b64("hush"), "client-key-data": _b64("hush")},
        {"exec": {"command": "c", "env": [{"name": "hush"}]}},
    ],
)
def test_secrets_are_not_printed(tmp_path: Path, user: dict[str, object]) -> None:
    assert "hush" not in repr(_one(tmp_path, user=user))
