"""``tenantry tenant preview``."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any, Final, TextIO

import click
import yaml

from tenantry.api.meta import CAPSULE_API_VERSION
from tenantry.cli.asking import cluster_options, connected, run
from tenantry.cli.exits import ExitCode
from tenantry.cli.output import output_option, plain, print_value, table
from tenantry.cli.surveying import Survey, surveyed, validated
from tenantry.foundation.errors import InvalidError
from tenantry.tenancy.inspection.changes import Change, Plan, notes, plan
from tenantry.tenancy.inspection.judging import Judge, Refused, refused

_MOST_LINES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What one edited Tenant would do."""

    tenant: str
    exists: bool
    namespaces: tuple[str, ...]
    changes: tuple[Change, ...]
    refused: tuple[Refused, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]


@click.command()
@click.argument("file", type=click.File())
@output_option
@cluster_options
def preview(file: TextIO, *, output: str, kubeconfig: str | None, context: str | None) -> None:
    """Show what the Tenant in FILE (- is standard input) would change if it replaced the stored one.

    Nothing is changed.  The API server validates the file first, in a dry run; a Tenant that
    makes no sense is refused as it would be by kubectl.  Then come the objects that would be
    written in the tenant's namespaces, and the running Pods, Services, Ingresses and
    PersistentVolumeClaims that could not be made anew under the edited Tenant.  They go on
    running: rules are asked when something is created or changed.

    What a controller made, as a Pod of a Deployment, is judged as made by that controller;
    the rest as made by the tenant's first owner.

    You need the rights to update Tenants and to read what is in their namespaces.
    """
    bodies = tenant_bodies(file.read())

    async def work() -> list[Preview]:
        async with connected(kubeconfig, context) as client:
            previews = []
            for body in bodies:
                edited, stored = await validated(client, body)
                previews.append(await asyncio.to_thread(previewed, await surveyed(client, edited, stored)))
            return previews

    previews = run(work())
    if output != "table":
        print_value(plain(previews), output)
    else:
        click.echo("\n\n".join(_text(each) for each in previews))
    if any(each.problems for each in previews):
        sys.exit(ExitCode.WRONG)


def tenant_bodies(text: str) -> list[dict[str, Any]]:
    """Return the Tenants in a YAML or JSON text.

    Raises:
        InvalidError: It is no YAML, or holds something else, or nothing.
    """
    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise InvalidError("FILE", "its content", f"it must be YAML or JSON: {error}") from error
    for each in documents:
        kind = (each.get("apiVersion"), each.get("kind")) if isinstance(each, dict) else (None, None)
        if kind != (CAPSULE_API_VERSION, "Tenant"):
            raise InvalidError("kind", f"{kind[0]} {kind[1]}", f"FILE must hold {CAPSULE_API_VERSION} Tenants only")
        if not (each.get("metadata") or {}).get("name"):
            raise InvalidError("metadata.name", "", "a Tenant needs a name")
    if not documents:
        raise InvalidError("FILE", "nothing", "it must hold a Tenant")
    return documents


def previewed(survey: Survey) -> Preview:
    """Return what the edited Tenant of *survey* would do."""
    after = plan(survey.edited, survey.surroundings)
    before = plan(survey.stored, survey.surroundings) if survey.stored is not None else after
    return Preview(
        tenant=survey.edited.metadata.name,
        exists=survey.stored is not None,
        namespaces=tuple(after.members),
        changes=after.changes,
        refused=refused(survey.objects, edited=_judge(survey, after), stored=_judge(survey, before)),
        notes=notes(survey.edited, survey.stored, after.members) if survey.stored is not None else (),
        problems=after.problems,
    )


def _judge(survey: Survey, edition: Plan) -> Judge:
    return Judge(
        facts=edition.facts,
        installation=survey.installation,
        members=edition.members,
        lookups=survey.shelf,
    )


def _text(found: Preview) -> str:
    parts = []
    if not found.exists:
        parts.append(f"Tenant {found.tenant} does not exist yet; the API server would create it. It has no namespaces.")
    elif not found.namespaces:
        parts.append(f"Tenant {found.tenant} has no namespaces: nothing else would change.")
    else:
        count = len(found.namespaces)
        parts.append(f"Tenant {found.tenant}, {count} namespace{'s' if count != 1 else ''}. Nothing was changed.")
        parts.append(_changes_text(found.changes))
        parts.append(_refused_text(found.refused))
    parts += [f"note: {each}" for each in found.notes]
    parts += [f"problem: {each}" for each in found.problems]
    return "\n\n".join(parts)


def _changes_text(changes: tuple[Change, ...]) -> str:
    if not changes:
        return "No object in its namespaces would change."
    noun = "object" if len(changes) == 1 else "objects"
    lines = [f"{len(changes)} {noun} would change:"]
    for each in changes[:_MOST_LINES]:
        place = f"{each.namespace}/{each.name}" if each.namespace else each.name
        lines.append(f"  {each.act.value:<7} {each.kind} {place}")
        lines += [f"            {detail}" for detail in each.details]
    return "\n".join([*lines, *_rest(len(changes))])


def _refused_text(found: tuple[Refused, ...]) -> str:
    if not found:
        return "No running object would be refused if it were made anew."
    new = sum(each.is_new for each in found)
    noun = "object" if len(found) == 1 else "objects"
    head = f"{len(found)} running {noun} would be refused if made anew, {new} of them because of this edit:"
    rows = [
        (f"{each.kind} {each.namespace}/{each.name}", "by this edit" if each.is_new else "already today", each.message)
        for each in found[:_MOST_LINES]
    ]
    return "\n".join([head, table(("object", "refused", "because"), rows), *_rest(len(found))])


def _rest(count: int) -> list[str]:
    return [f"  ... and {count - _MOST_LINES} more: -o json prints all"] if count > _MOST_LINES else []
