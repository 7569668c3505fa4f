"""What the allow lists of a Tenant let through (T-15 to T-21, T-34)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tenantry.api.meta import LabelSelectorRequirement
from tenantry.api.shared import AllowedList, DefaultAllowedList, SelectorAllowedList
from tenantry.api.tenant import AvailableClasses, Tenant, TenantSpec
from tenantry.foundation.expressions import ExpressionError, expression
from tenantry.foundation.selectors import selector_matches
from tenantry.tenancy.views import ClassEntry, ClassKind, Lookups

_SET_OPERATORS: Final = {"In": "in", "NotIn": "notin"}


def is_restricted(allowed: AllowedList | None) -> bool:
    """Return whether *allowed* limits anything: a list that is absent, or names nothing but a default, does not."""
    if allowed is None:
        return False
    return bool(allowed.allowed or allowed.allowed_regex) or _has_selector(allowed)


def name_is_allowed(allowed: AllowedList | None, name: str) -> bool:
    """Return whether *name* is listed (case counts), matches the expression, or is the default.

    The default is allowed also where the list leaves it out: a Tenant that hands out a class
    means it to be used.  An expression that does not compile matches nothing.
    """
    if allowed is None or not is_restricted(allowed):
        return True
    if name in allowed.allowed:
        return True
    if isinstance(allowed, DefaultAllowedList) and name and name == allowed.default:
        return True
    return bool(allowed.allowed_regex) and _searches(allowed.allowed_regex, name)


def entry_is_allowed(allowed: SelectorAllowedList | None, entry: ClassEntry) -> bool:
    """Return whether the class *entry* is allowed by its name or by its labels."""
    if name_is_allowed(allowed, entry.name):
        return True
    # Without a selector labels decide nothing: an empty selector would match every class.
    return (
        allowed is not None
        and _has_selector(allowed)
        and selector_matches(allowed.match_labels, allowed.match_expressions, entry.labels)
    )


def class_is_allowed(allowed: SelectorAllowedList | None, kind: ClassKind, name: str, lookups: Lookups) -> bool:
    """As :func:`entry_is_allowed`, where the class is looked up only if its labels can matter.

    A class that does not exist has no labels to be allowed by.
    """
    if name_is_allowed(allowed, name):
        return True
    if allowed is None or not _has_selector(allowed):
        return False
    entry = lookups.cluster_class(kind, name)
    return entry is not None and entry_is_allowed(allowed, entry)


def choices(allowed: AllowedList) -> str:
    """Return what a user may take instead, as the end of a sentence."""
    ways = []
    if allowed.allowed:
        ways.append(f"use one from the following list ({', '.join(allowed.allowed)})")
    if allowed.allowed_regex:
        ways.append(f"use one matching the regular expression ({allowed.allowed_regex})")
    if isinstance(allowed, SelectorAllowedList) and _has_selector(allowed):
        ways.append(f"use one whose labels match ({_selector_text(allowed)})")
    if isinstance(allowed, DefaultAllowedList) and allowed.default:
        ways.append(f"use the default ({allowed.default})")
    return " or ".join(ways)


def available_classes(tenant: Tenant, lookups: Lookups) -> AvailableClasses:
    """Return the names of the existing classes that *tenant* may use, sorted: ``status.classes``."""
    spec = tenant.spec
    return AvailableClasses(
        storage=_available(spec, ClassKind.STORAGE, lookups),
        priority=_available(spec, ClassKind.PRIORITY, lookups),
        runtime=_available(spec, ClassKind.RUNTIME, lookups),
        gateway=_available(spec, ClassKind.GATEWAY, lookups),
        device=_available(spec, ClassKind.DEVICE, lookups),
    )


def allowed_classes(spec: TenantSpec, kind: ClassKind) -> SelectorAllowedList | None:
    """Return the list of *spec* that limits classes of *kind*; None where it has none."""
    match kind:
        case ClassKind.STORAGE:
            return spec.storage_classes
        case ClassKind.PRIORITY:
            return spec.priority_classes
        case ClassKind.RUNTIME:
            return spec.runtime_classes
        case ClassKind.DEVICE:
            return spec.device_classes
        case ClassKind.INGRESS:
            return spec.ingress_options.allowed_classes if spec.ingress_options else None
        case ClassKind.GATEWAY:
            return spec.gateway_options.allowed_classes if spec.gateway_options else None


def _available(spec: TenantSpec, kind: ClassKind, lookups: Lookups) -> tuple[str, ...]:
    allowed = allowed_classes(spec, kind)
    return tuple(sorted(entry.name for entry in lookups.cluster_classes(kind) if entry_is_allowed(allowed, entry)))


def _has_selector(allowed: AllowedList) -> bool:
    return isinstance(allowed, SelectorAllowedList) and bool(allowed.match_labels or allowed.match_expressions)


def _searches(pattern: str, text: str) -> bool:
    try:
        return expression(pattern).search(text)
    except ExpressionError:
        return False


def _selector_text(allowed: SelectorAllowedList) -> str:
    equal = [f"{key}={value}" for key, value in sorted((allowed.match_labels or {}).items())]
    return ", ".join([*equal, *_requirements_text(allowed.match_expressions)])


def _requirements_text(requirements: Iterable[LabelSelectorRequirement]) -> list[str]:
    texts = []
    for requirement in requirements:
        if requirement.operator in _SET_OPERATORS:
            operator = _SET_OPERATORS[requirement.operator]
            texts.append(f"{requirement.key} {operator} ({', '.join(requirement.values)})")
        else:
            texts.append(f"{'!' if requirement.operator == 'DoesNotExist' else ''}{requirement.key}")
    return texts
