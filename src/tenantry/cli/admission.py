"""``tenantry admission``: answer reviews; take the webhooks off in an emergency, and put them back."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click

from tenantry.cli import process_options

_WORKER_COMMAND: Final = (sys.executable, "-c", "from tenantry.cli.main import main; main()")
_IGNORED: Final = (
    "--cache-sync-timeout",
    "--client-connection-qps",
    "--client-connection-burst",
    "--leader-election-lease-duration",
    "--leader-election-renew-deadline",
    "--leader-election-retry-period",
    "--zap-encoder",
    "--zap-time-encoding",
    "--zap-stacktrace-level",
)
_IGNORED_SWITCHES: Final = ("--enable-leader-election", "--enable-http2", "--enable-pprof", "--zap-devel")


@click.group(invoke_without_command=True)
@click.pass_context
def admission(context: click.Context) -> None:
    """Answer the API server's admission reviews; without a command, as `serve` with its defaults."""
    if context.invoked_subcommand is None:
        # Not context.invoke, which would not look at the environment.
        with serve.make_context("serve", [], parent=context) as child:
            serve.invoke(child)


@admission.command()
@process_options.namespace
@click.option(
    "--service-account",
    envvar="SERVICE_ACCOUNT",
    default="capsule",
    show_default=True,
    show_envvar=True,
    help="The operator's; its writes are not judged.",
)
@click.option(
    "--admission-service-account",
    envvar="ADMISSION_SERVICE_ACCOUNT",
    default="capsule-admission",
    show_default=True,
    show_envvar=True,
    help="This one's; the same.",
)
@process_options.configuration_name
@click.option("--webhook-host", help="Address to listen on.  [default: all]")
@click.option(
    "--webhook-port", type=click.IntRange(0, 65535), default=9443, show_default=True, help="Where reviews are answered."
)
@click.option(
    "--webhook-cert-path",
    type=click.Path(path_type=Path),
    help="Folder of the certificate; without it, the Secret that the CapsuleConfiguration names (capsule-tls).",
)
@click.option("--webhook-cert-name", default="tls.crt", show_default=True, help="File of the certificate there.")
@click.option("--webhook-cert-key", default="tls.key", show_default=True, help="File of its key there.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes on the port.")
@process_options.metrics_address
@process_options.health_address
@click.option(
    "--shutdown-delay",
    type=click.FloatRange(0, 20),
    help="Seconds to go on answering after SIGTERM.  [default: 5 in a pod, else 0]",
)
@process_options.log_level
@process_options.kubeconfig
@process_options.context
@click.option("--worker-index", type=int, hidden=True, default=0)
@click.option("--status-folder", type=click.Path(path_type=Path), hidden=True)
@process_options.ignored(_IGNORED, _IGNORED_SWITCHES, by="tenantry admission")
def serve(**given: Any) -> None:
    """Answer reviews until SIGTERM; any number of replicas answer side by side."""
    if given["status_folder"] is not None:
        _share_numbers()
    # Imported here: `tenantry admission --help` needs neither caches nor an HTTP server.
    from tenantry.wiring.memory import lean_imports  # noqa: PLC0415

    with lean_imports():
        from tenantry.wiring.admission import run_admission  # noqa: PLC0415

    process = _process(given)
    if given["workers"] > 1 and process.status_folder is None:
        from tenantry.wiring.admission_workers import supervise  # noqa: PLC0415

        supervise(process, (*_WORKER_COMMAND, *sys.argv[1:]), workers=given["workers"])
    else:
        run_admission(process)


def _share_numbers() -> None:
    from tenantry.wiring.metrics_files import share_numbers  # noqa: PLC0415

    problem = share_numbers()
    if problem is not None:
        with suppress(OSError):  # The disk that is full may be the log's, too.
            click.echo(f"warning: {problem}", err=True)


def _process(given: dict[str, Any]) -> Any:
    from tenantry.admission.certificates import CertificateFiles  # noqa: PLC0415
    from tenantry.admission.settings import AdmissionSettings  # noqa: PLC0415
    from tenantry.wiring.admission import AdmissionProcess  # noqa: PLC0415

    folder = given["webhook_cert_path"]
    delay = given["shutdown_delay"]
    return AdmissionProcess(
        admission=AdmissionSettings(
            namespace=given["namespace"],
            service_account=given["service_account"],
            admission_service_account=given["admission_service_account"],
            configuration_name=given["configuration_name"],
            host=given["webhook_host"],
            port=given["webhook_port"],
            certificate=None
            if folder is None
            else CertificateFiles(folder=folder, certificate=given["webhook_cert_name"], key=given["webhook_cert_key"]),
            identity=os.environ.get("POD_NAME") or socket.gethostname(),
            worker=given["worker_index"],
            drain_seconds=delay if delay is not None else 5.0 if "KUBERNETES_SERVICE_HOST" in os.environ else 0.0,
        ),
        kubeconfig=given["kubeconfig"],
        context=given["context"],
        health_address=given["health_addr"],
        metrics_address=given["metrics_addr"],
        log_level=given["log_level"],
        status_folder=given["status_folder"],
    )


@admission.command()
@process_options.namespace
@process_options.kubeconfig
@process_options.context
def disarm(namespace: str, kubeconfig: str | None, context: str | None) -> None:
    """Take the webhooks off, and keep them off: writes pass unjudged until `arm`.

    For when admission keeps a cluster from recovering. It needs the API server alone, no
    running part of tenantry; doing it again changes nothing.
    """
    from tenantry.wiring.admission_switch import disarm_admission  # noqa: PLC0415

    for line in asyncio.run(disarm_admission(namespace, kubeconfig=kubeconfig, context=context)):
        click.echo(line)


@admission.command()
@process_options.namespace
@process_options.kubeconfig
@process_options.context
def arm(namespace: str, kubeconfig: str | None, context: str | None) -> None:
    """Undo `disarm`: the operator registers the webhooks again, once an admission server is ready."""
    from tenantry.wiring.admission_switch import arm_admission  # noqa: PLC0415

    for line in asyncio.run(arm_admission(namespace, kubeconfig=kubeconfig, context=context)):
        click.echo(line)
