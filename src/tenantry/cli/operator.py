"""``tenantry operator``: run the controllers."""

from __future__ import annotations

import os
import socket
from typing import Any, Final

import click

from tenantry.cli import process_options
from tenantry.foundation.errors import ConfigurationError

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_IGNORED: Final = (
    "--cache-sync-timeout",
    "--client-connection-qps",
    "--client-connection-burst",
    "--metrics-cert-path",
    "--metrics-cert-name",
    "--metrics-cert-key",
    "--webhook-port",
    "--webhook-cert-path",
    "--webhook-cert-name",
    "--webhook-cert-key",
    "--tracing-otlp-endpoint",
    "--tracing-sample-ratio",
    "--zap-encoder",
    "--zap-time-encoding",
    "--zap-stacktrace-level",
)
_IGNORED_SWITCHES: Final = ("--metrics-secure", "--enable-http2", "--enable-pprof", "--enable-tracing", "--zap-devel")


class Duration(click.ParamType[float]):
    """Seconds, as Go writes them: ``15s``, ``1m30s``, ``500ms``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, float):
            return value
        seconds = duration_seconds(str(value))
        if seconds is None:
            self.fail(f"{value!r} is no duration: write 15s, 1m30s or 500ms", param, ctx)
        return seconds


def duration_seconds(text: str) -> float | None:
    """Return the seconds of a Go duration; None where it is none."""
    rest, seconds = text, 0.0
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        unit = next((each for each in ("ms", "s", "m", "h") if rest[digits:].startswith(each)), None)
        if unit is None or not digits or rest[:digits].count(".") > 1 or rest[:digits] == ".":
            return None
        seconds += float(rest[:digits]) * _UNITS[unit]
        rest = rest[digits + len(unit) :]
    return seconds if text else None


@click.command()
@process_options.namespace
@click.option(
    "--service-account",
    envvar="SERVICE_ACCOUNT",
    default="capsule",
    show_default=True,
    show_envvar=True,
    help="This one's; its writes are not judged.",
)
@click.option(
    "--admission-service-account",
    envvar="ADMISSION_SERVICE_ACCOUNT",
    default="capsule-admission",
    show_default=True,
    show_envvar=True,
    help="Admission's; the same.",
)
@process_options.configuration_name
@click.option("--service-name", default="capsule-webhook-service", show_default=True, help="Of admission's Service.")
@click.option("--gateway-secret", default="", help="Secret with the gateway's certificate, to be kept here.")
@click.option(
    "--gateway-host", "gateway_hosts", multiple=True, help="A name or address of that certificate; repeat it."
)
@process_options.metrics_address
@process_options.health_address
@click.option(
    "--enable-leader-election/--disable-leader-election",
    default=True,
    show_default=True,
    help="Without it, this must be the only process.",
)
@click.option(
    "--leader-election-lease-duration",
    type=Duration(),
    default="15s",
    show_default=True,
    help="How long a leader that died is waited for.",
)
@click.option(
    "--leader-election-renew-deadline",
    type=Duration(),
    default="10s",
    show_default=True,
    help="When a leader that cannot renew gives up.",
)
@click.option(
    "--leader-election-retry-period",
    type=Duration(),
    default="2s",
    show_default=True,
    help="Between two tries.",
)
@click.option("--workers", type=click.IntRange(min=1), default=16, show_default=True, help="Namespaces at a time.")
@click.option(
    "--force-delete-namespaces",
    is_flag=True,
    help="Strip finalizers in namespaces that keep a Tenant's deletion waiting. Needs rights on everything.",
)
@process_options.log_level
@process_options.kubeconfig
@process_options.context
@process_options.ignored(_IGNORED, _IGNORED_SWITCHES, by="tenantry")
def operator(**given: Any) -> None:
    """Run the controllers until SIGTERM; one leads, any number stand by."""
    # Imported here: `tenantry operator --help` needs neither caches nor an HTTP server.
    from tenantry.operator.process import identity_of  # noqa: PLC0415
    from tenantry.wiring.memory import lean_imports  # noqa: PLC0415

    with lean_imports():
        from tenantry.operator.settings import OperatorSettings  # noqa: PLC0415
        from tenantry.wiring.operator import ElectionSettings, OperatorProcess, run_operator  # noqa: PLC0415

    election = ElectionSettings(
        enabled=given["enable_leader_election"],
        lease_seconds=given["leader_election_lease_duration"],
        renew_seconds=given["leader_election_renew_deadline"],
        retry_seconds=given["leader_election_retry_period"],
    )
    if not election.retry_seconds < election.renew_seconds < election.lease_seconds:
        raise ConfigurationError(
            "--leader-election-retry-period must be shorter than --leader-election-renew-deadline, "
            "and that shorter than --leader-election-lease-duration"
        )
    run_operator(
        OperatorProcess(
            operator=OperatorSettings(
                namespace=given["namespace"],
                service_account=given["service_account"],
                admission_service_account=given["admission_service_account"],
                configuration_name=given["configuration_name"],
                service_name=given["service_name"],
                gateway_secret=given["gateway_secret"],
                gateway_hosts=given["gateway_hosts"],
                identity=identity_of(os.environ.get("POD_NAME") or socket.gethostname()),
                workers=given["workers"],
                force_delete_namespaces=given["force_delete_namespaces"],
            ),
            election=election,
            kubeconfig=given["kubeconfig"],
            context=given["context"],
            health_address=given["health_addr"],
            metrics_address=given["metrics_addr"],
            log_level=given["log_level"],
        )
    )
