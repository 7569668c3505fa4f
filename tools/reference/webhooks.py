"""The page of webhooks: our entries, the table of checks, Capsule's paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import getdoc
from typing import Any, Final

from reference.markdown import HOW, code, codes, first_sentence, table
from tenantry.api.configuration import CapsuleConfigurationSpec, NodeMetadata, ValidatingWebhook
from tenantry.api.meta import LabelSelector
from tenantry.api.shared import ForbiddenList
from tenantry.install.settings import InstallSettings
from tenantry.tenancy.table import LATER_PATHS, TABLE, Row
from tenantry.tenancy.webhook_defaults import mutating_webhooks, validating_webhooks

_IDLE: Final = "idle tenants"
_HEAD: Final = f"""\
# Webhooks

This page is for whoever wants to know what is asked of admission, when, and what is checked in which order.
{HOW}

The operator registers one MutatingWebhookConfiguration and one ValidatingWebhookConfiguration. Where
`spec.admission.mutating.webhooks` or `spec.admission.validating.webhooks` of the CapsuleConfiguration lists entries,
these are rendered; else the entries below are. No request meets two of the entries of one side.

"""
_CONDITIONS: Final = """
`idle tenants` stands for the names of all tenants without metadata rules for other kinds than Namespace. Each entry
has a time limit of 10 seconds. Match conditions are CEL; the API server evaluates them, and makes the call only where
all of an entry hold.

"""
_CHECKS: Final = """
## What is checked, in order
Our endpoints run every row of their stage that is about the request, from top to bottom; the first denial ends it. A
row can be asked for by itself at Capsule's path. Rows about objects run in tenants' namespaces alone, but for those
marked `*`.

"""
_LATER: Final = """
## Paths whose behaviour comes later
They are served, so that a configuration of Capsule's works unchanged, and allow everything.

"""


def webhooks_page() -> str:
    """Return the page."""
    spec = CapsuleConfigurationSpec(
        node_metadata=NodeMetadata(forbidden_labels=ForbiddenList(denied=("example.com/pool",)))
    )
    given: Any = {"own_accounts": InstallSettings().own_accounts, "idle_tenants": (_IDLE,)}
    entries = {"Validating": validating_webhooks(spec, **given), "Mutating": mutating_webhooks(spec, **given)}
    parts = [_HEAD]
    for side, webhooks in entries.items():
        headings = ("entry", "resources", "operations", "namespaces", "objects", "conditions", "on failure", "endpoint")
        parts.append(f"## {side} entries\n\n{table(headings, [_entry(each) for each in webhooks])}\n")
    parts += [_CONDITIONS, _conditions(entries.values()), _CHECKS, _rows(), _LATER]
    parts.append(table(("path", "stage"), [(code(path), stage) for path, stage in sorted(LATER_PATHS.items())]))
    return "".join(parts)


def _entry(webhook: ValidatingWebhook) -> tuple[str, ...]:
    rules = webhook.rules
    resources = [
        f"{resource} ({rule.api_groups[0] or 'core'})" if rule.api_groups[0] != "*" else f"{resource} (every group)"
        for rule in rules
        for resource in rule.resources
    ]
    operations = dict.fromkeys(operation for rule in rules for operation in rule.operations)
    return (
        code(webhook.name),
        ", ".join(resources),
        ", ".join(operations),
        _selector(webhook.namespace_selector) or "all",
        _selector(webhook.object_selector) or "all",
        codes(condition.name for condition in webhook.match_conditions),
        str(webhook.failure_policy),
        code(webhook.path),
    )


def _selector(selector: LabelSelector | None) -> str:
    if selector is None:
        return ""
    parts = [f"{key}={value}" for key, value in sorted((selector.match_labels or {}).items())]
    for each in selector.match_expressions:
        values = f" ({', '.join(each.values)})" if each.values else ""
        parts.append(f"{each.key} {each.operator}{values}")
    return codes(parts)


def _conditions(sides: Iterable[Iterable[ValidatingWebhook]]) -> str:
    found: dict[str, dict[str, None]] = {}
    for webhooks in sides:
        for webhook in webhooks:
            for condition in webhook.match_conditions:
                found.setdefault(condition.name, {})[condition.expression] = None
    lines = []
    for name, expressions in sorted(found.items()):
        shown = "\n".join(expressions)
        lines.append(f"**{name}**" + (" (it varies with the entry)" if len(expressions) > 1 else ""))
        lines.append(f"```text\n{shown}\n```")
    return "\n".join(lines) + "\n"


def _rows() -> str:
    headings = ("row", "stage", "about", "operations", "Capsule's path", "what")
    return table(headings, [_row(row) for row in TABLE])


def _row(row: Row) -> tuple[str, ...]:
    name = row.name + (" *" if row.outside_tenants else "")
    return (
        name,
        row.stage,
        _about(row),
        ", ".join(sorted(row.operations)),
        code(row.path),
        first_sentence(getdoc(_function(row.function))),
    )


def _function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the decision itself, where the row wraps it."""
    closure = getattr(function, "__closure__", None) or ()
    inner = [cell.cell_contents for cell in closure if callable(cell.cell_contents)]
    return inner[0] if inner and not getdoc(function) else function


def _about(row: Row) -> str:
    if row.resources is None:
        what = "any object" if row.subject == "object" else row.subject
    else:
        what = ", ".join(sorted(plural if not group else f"{plural}.{group}" for group, plural in row.resources))
    if row.subresources is None:
        return f"{what}, every subresource"
    more = sorted(row.subresources - {""})
    return f"{what}; {', '.join(more)}" if more else what
