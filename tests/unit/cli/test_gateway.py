"""``tenantry gateway``: what it says about a configuration, and what it starts with."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
import trustme
import yaml
from click.testing import CliRunner, Result

from tenantry.cli.gateway import gateway, process_settings, run
from tenantry.cli.gateway_options import flags_of
from tenantry.cli.main import tenantry
from tenantry.foundation.errors import ConfigurationError
from tenantry.gateway.config.flags import CAPSULE_PROXY_ORDER, GatewayFlags
from tenantry.gateway.config.problems import ConfigurationProblems
from tenantry.gateway.config.reading import check_text
from tenantry.gateway.settings import Certificate, GatewaySettings

EXAMPLES = Path(__file__).parents[3] / "examples" / "gateway"
CONFIGURATIONS = ("minimal", "full", "behind-a-proxy")
HEAD = "apiVersion: gateway.tenantry.dev/v1alpha1\nkind: GatewayConfiguration\n"
# Spec 1.2: all flags of capsule-proxy, with a value that each takes.
CAPSULE_PROXY = {
    "--listening-port": "9001",
    "--enable-ssl": "true",
    "--ssl-cert-path": "/c",
    "--ssl-key-path": "/k",
    "--auth-preferred-types": "BearerToken",
    "--oidc-username-claim": "preferred_username",
    "--ignored-user-group": "a",
    "--ignored-username": "a",
    "--ignored-impersonation-group": "a",
    "--impersonation-group-regexp": "a",
    "--capsule-configuration-name": "default",
    "--trusted-proxy-cidrs": "10.0.0.0/8",
    "--xfcc-header-name": "X",
    "--allowed-paths": "/api,/apis,/version",
    "--enable-reflector": "true",
    "--rolebindings-resync-period": "10h",
    "--disable-caching": "true",
    "--client-connection-qps": "20",
    "--client-connection-burst": "30",
    "--metrics-addr": ":8080",
    "--enable-pprof": "true",
    "--webhook-port": "9443",
    "--enable-leader-election": "true",
    "--feature-gates": "ProxyClusterScoped=true,ProxyAllNamespaced=true",
    "--zap-devel": "true",
    "--zap-encoder": "json",
    "--zap-log-level": "4",
    "--zap-stacktrace-level": "error",
    "--zap-time-encoding": "epoch",
}


def told(*arguments: str) -> Result:
    return CliRunner().invoke(tenantry, ["gateway", *arguments])


def parsed(*arguments: str) -> GatewayFlags:
    return flags_of(run.make_context("run", list(arguments)).params)


@pytest.fixture
def pair(tmp_path: Path) -> Certificate:
    leaf = trustme.CA().issue_cert("a")
    found = Certificate(certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key")
    leaf.cert_chain_pems[0].write_to_path(str(found.certificate))
    leaf.private_key_pem.write_to_path(str(found.key))
    return found


@pytest.mark.parametrize("flag", CAPSULE_PROXY)
@pytest.mark.parametrize("form", ["{}={}", "{} {}"])
def test_every_flag_of_capsule_proxy_is_taken(flag: str, form: str) -> None:
    parsed(*form.format(flag, CAPSULE_PROXY[flag]).split(" "))


def test_flags_without_effect_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [f"{flag}={value}" for flag, value in CAPSULE_PROXY.items()]

    parsed(*arguments)

    notes = [line for line in capsys.readouterr().err.splitlines() if " has no effect: " in line]
    assert sorted(line.split()[1] for line in notes) == [
        "--allowed-paths",
        "--client-connection-burst",
        "--client-connection-qps",
        "--disable-caching",
        "--enable-leader-election",
        "--enable-pprof",
        "--enable-reflector",
        "--oidc-username-claim",
        "--rolebindings-resync-period",
        "--webhook-port",
        "--zap-devel",
        "--zap-encoder",
        "--zap-stacktrace-level",
        "--zap-time-encoding",
    ]


def test_lists_are_repeated_or_have_commas() -> None:
    found = parsed("--ignored-user-group=a,b", "--ignored-user-group", 'c,"d,e"', "--ignored-username=", "--enable-ssl")

    assert found == GatewayFlags(ignored_user_groups=("a", "b", "c", "d,e"), enable_ssl=True)


@pytest.mark.parametrize(
    ("given", "level"),
    [("debug", "debug"), ("Info", "info"), ("warn", "warning"), ("panic", "error"), ("4", "info"), ("5", "debug")],
)
def test_levels_of_zap_are_understood(given: str, level: str) -> None:
    assert parsed(f"--zap-log-level={given}").log_level == level


@pytest.mark.parametrize("arguments", [[], ["--log-level=debug"]])
def test_run_is_meant_where_no_command_is_named(arguments: list[str]) -> None:
    result = told(*arguments)

    assert isinstance(result.exception, ConfigurationError)
    assert "there is neither --config nor a certificate" in str(result.exception)


def test_without_file_and_certificate_the_next_step_is_told() -> None:
    with pytest.raises(ConfigurationError, match="name --ssl-cert-path and --ssl-key-path"):
        process_settings(GatewayFlags(), None)


def test_plain_http_needs_trusted_networks() -> None:
    with pytest.raises(ConfigurationError, match="needs --trusted-proxy-cidrs"):
        process_settings(GatewayFlags(enable_ssl=False), None)
    found = process_settings(GatewayFlags(enable_ssl=False, trusted_proxy_cidrs=("10.0.0.0/8",)), None)
    assert found.listening.certificates == ()


def test_flags_alone_start_a_gateway(pair: Certificate) -> None:
    found = process_settings(GatewayFlags(ssl_cert_path=pair.certificate, ssl_key_path=pair.key), None)

    assert found.listening.certificates == (pair,)
    assert found.clusters[0].identity.authenticators == CAPSULE_PROXY_ORDER


def test_flags_override_the_file(pair: Certificate, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(HEAD + "listening: {port: 1000, certificates: [{certificate: tls.crt, key: tls.key}]}\n")

    found = process_settings(GatewayFlags(listening_port=2000), file)

    assert (found.listening.port, found.listening.certificates) == (2000, (pair,))
    with pytest.raises(ConfigurationProblems, match=r"set listening\.trustedNetworks"):
        process_settings(GatewayFlags(enable_ssl=False), file)
    with pytest.raises(ConfigurationProblems, match="SkipImpersonationReview"):
        process_settings(GatewayFlags(feature_gates=("SkipImpersonationReview=true",)), file)


def test_check_says_all_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(HEAD + "listening: {trustedNetworks: [10.0.0.0/8], proxyProtocol: 1}\nprot: 1\n")

    as_text, as_json = told("check", str(file)), told("check", str(file), "-o", "json")

    assert (as_text.exit_code, as_json.exit_code) == (1, 1)
    assert as_text.stdout == (
        f"{file}:3:44: error: listening.proxyProtocol: 1 is a number: write true or false\n"
        f"{file}:4:1: error: prot: there is no such field: there are apiVersion, kind, listening, limits, clusters, "
        "audit, locks, drainSeconds, healthAddress, metricsAddress, envoyWorkers, logLevel\n"
        f"{file} can not be used: 2 errors\n"
    )
    found = json.loads(as_json.stdout)
    assert (found["file"], found["usable"], len(found["problems"])) == (str(file), False, 2)
    assert found["problems"][0] == {
        "level": "error",
        "line": 3,
        "column": 44,
        "field": "listening.proxyProtocol",
        "what": "1 is a number",
        "fix": "write true or false",
    }


def test_check_of_a_right_file_ends_with_0(pair: Certificate, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    certificates = f"{{certificates: [{{certificate: tls.crt, key: {pair.key}}}], proxyProtocol: true}}"
    file.write_text(f"{HEAD}listening: {certificates}\n")

    result = told("check", str(file))

    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, f"{file} can be used: 1 warning")
    assert ": warning: listening.proxyProtocol: " in result.stdout


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_can_not_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "gateway.yaml"
    if content is not None:
        file.write_bytes(content)

    assert isinstance(told("check", str(file)).exception, ConfigurationError)


def test_the_schema_is_json() -> None:
    assert json.loads(told("schema").stdout)["title"] == "GatewayConfiguration"


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_examples_are_right(name: str) -> None:
    """But for the files that they name, which are elsewhere."""
    checked = check_text((EXAMPLES / f"{name}.yaml").read_text(), folder=Path("/"), now=None)

    assert checked.problems == ()


def test_values_of_capsule_proxys_chart_become_a_configuration() -> None:
    result = told("from-values", str(EXAMPLES / "capsule-proxy-values.yaml"))

    comments = [line for line in result.stdout.splitlines() if line.startswith("#")]
    assert result.exit_code == 0
    assert [line.split(": ")[0] for line in comments[1:]] == [
        "# options.oidcUsernameClaim",
        "# options.rolebindingsResyncPeriod",
        "# options.disableCaching",
        "# options.clientConnectionQPS",
        "# options.clientConnectionBurst",
    ]
    assert yaml.safe_load(result.stdout) == {
        "apiVersion": "gateway.tenantry.dev/v1alpha1",
        "kind": "GatewayConfiguration",
        "listening": {
            "certificates": [{"certificate": "/opt/capsule-proxy/tls.crt", "key": "/opt/capsule-proxy/tls.key"}]
        },
        "clusters": [
            {
                "name": "default",
                "identity": {"impersonation": {"enabled": True}, "droppedGroups": ["everybody"]},
                "visibility": {"ignoredGroups": ["platform-team"]},
            }
        ],
    }
    checked = check_text(result.stdout, folder=Path("/"), now=None)
    assert checked.problems == ()
    assert checked.settings is not None
    assert checked.settings.limits == GatewaySettings().limits


@pytest.mark.parametrize("text", ["[]", "options: 1", "a: [", "options: {listeningPort: x}", "extraArgs: [--what]"])
def test_what_is_no_chart_values_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(text)

    assert isinstance(told("from-values", str(file)).exception, ConfigurationError)


def test_values_that_do_not_suffice_are_told_beside_what_is_made_of_them(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("options: {enableSSL: false}")

    result = told("from-values", str(file))

    assert result.exit_code == 1
    assert "error: listening.certificates: there is no certificate" in result.stderr
    assert yaml.safe_load(result.stdout)["kind"] == "GatewayConfiguration"


def test_help_is_the_groups() -> None:
    result = told("--help")

    assert (result.exit_code, isinstance(gateway, click.Group)) == (0, True)
    assert all(f"\n  {name} " in result.stdout for name in ("run", "check", "schema", "from-values"))
