"""The command line of admission: flags and environment become settings."""

from __future__ import annotations

import socket
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tenantry.admission.certificates import CertificateFiles
from tenantry.admission.settings import AdmissionSettings
from tenantry.cli.admission import _process, serve
from tenantry.cli.main import tenantry
from tenantry.wiring.admission import AdmissionProcess


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("NAMESPACE", "SERVICE_ACCOUNT", "ADMISSION_SERVICE_ACCOUNT", "POD_NAME", "KUBERNETES_SERVICE_HOST")
    for name in names:
        monkeypatch.delenv(name, raising=False)


def settings(*arguments: str) -> object:
    # As below the root: a command remembers how its help is asked for from the first time that it is used.
    root = click.Context(tenantry, **tenantry.context_settings)
    with serve.make_context("serve", [*arguments], parent=root) as context:
        return _process(context.params)


def test_the_defaults_are_those_of_a_capsule_compatible_installation() -> None:
    assert settings() == AdmissionProcess(admission=AdmissionSettings(identity=socket.gethostname()))


def test_flags_and_environment_have_capsules_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("NAMESPACE", "n"),
        ("SERVICE_ACCOUNT", "s"),
        ("POD_NAME", "p"),
        ("KUBERNETES_SERVICE_HOST", "h"),
    ):
        monkeypatch.setenv(name, value)

    found = settings(
        "--configuration-name=c",
        "--webhook-port=1",
        "--webhook-cert-path=/certs",
        "--webhook-cert-name=a",
        "--webhook-cert-key=b",
        "--metrics-addr=:2",
        "--health-addr=:3",
        "--zap-log-level=debug",
        "--kubeconfig=k",
        "--context=x",
    )

    assert found == AdmissionProcess(
        admission=AdmissionSettings(
            namespace="n",
            service_account="s",
            configuration_name="c",
            port=1,
            certificate=CertificateFiles(folder=Path("/certs"), certificate="a", key="b"),
            identity="p",
            drain_seconds=5.0,
        ),
        kubeconfig="k",
        context="x",
        health_address=":3",
        metrics_address=":2",
        log_level="debug",
    )


def test_capsules_other_flags_are_ignored_with_a_warning() -> None:
    outcome = CliRunner().invoke(
        tenantry, ["admission", "serve", "--enable-leader-election", "--client-connection-qps=5", "--help"]
    )
    warned = CliRunner().invoke(tenantry, ["admission", "serve", "--client-connection-qps=5", "--webhook-port=-1"])

    assert outcome.exit_code == 0
    assert (warned.exit_code, "--webhook-port" in warned.output) == (2, True)


def test_help_names_the_break_glass() -> None:
    text = CliRunner().invoke(tenantry, ["admission", "--help"]).output

    assert [command in text for command in ("serve", "disarm", "arm")] == [True, True, True]
