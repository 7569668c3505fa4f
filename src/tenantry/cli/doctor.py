"""``tenantry doctor``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from tenantry.cli.asking import cluster_options, connected, namespace_option, run
from tenantry.cli.examining import Installed, facts_of
from tenantry.cli.exits import ExitCode
from tenantry.cli.output import output_option, plain, print_value
from tenantry.tenancy.inspection.diagnosis import diagnosis
from tenantry.tenancy.inspection.findings import Facts, Finding, Level


@click.command()
@click.option(
    "--service-account",
    envvar="SERVICE_ACCOUNT",
    default="capsule",
    show_default=True,
    show_envvar=True,
    help="ServiceAccount of the operator.",
)
@click.option(
    "--admission-service-account",
    envvar="ADMISSION_SERVICE_ACCOUNT",
    default="capsule-admission",
    show_default=True,
    show_envvar=True,
    help="ServiceAccount of admission.",
)
@output_option
@namespace_option
@click.option("--configuration-name", default="default", show_default=True, help="Name of the CapsuleConfiguration.")
@cluster_options
def doctor(  # one parameter an option: that is how click passes them
    *,
    service_account: str,
    admission_service_account: str,
    output: str,
    namespace: str,
    configuration_name: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Say what is wrong with this installation, in words, with next steps.

    It looks at the CRDs, the configuration, operator and admission, certificate and webhooks,
    rights, tenants and namespaces, and changes nothing.  Run it as a cluster administrator: what
    your rights don't let it see is listed as not checked.

    Exit code 0: all is well.  1: there are problems.
    """
    installed = Installed(
        namespace=namespace,
        configuration_name=configuration_name,
        operator_account=service_account,
        admission_account=admission_service_account,
    )

    async def work() -> Facts:
        async with connected(kubeconfig, context) as client:
            return await facts_of(client, installed)

    findings = diagnosis(run(work()))
    if output == "table":
        click.echo(told(findings))
    else:
        print_value(plain(findings), output)
    if any(each.level is Level.PROBLEM for each in findings):
        sys.exit(ExitCode.WRONG)


def told(findings: Sequence[Finding]) -> str:
    """Return the findings as a text: problems first, each with what to do, and a line that sums up."""
    lines: list[str] = []
    for level in Level:
        for each in findings:
            if each.level is level:
                lines.append(f"{level.value:<8} {each.subject}: {each.what}")
                lines += [f"         -> {each.next_step}"] if each.next_step else []
    problems = sum(each.level is Level.PROBLEM for each in findings)
    total = "all is well" if not problems else f"{problems} problem{'s' if problems != 1 else ''}"
    return "\n".join([*lines, "", total])
