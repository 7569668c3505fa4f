"""Whether a selector, as sent to the API, surely takes an object."""

from __future__ import annotations

from collections.abc import Mapping

from tenantry.kube.resources import KubernetesObject


def surely_matches(obj: KubernetesObject, label_selector: str | None, field_selector: str | None) -> bool:
    """Return whether *obj* matches both; False where that can not be told here.

    Understood are the comma-separated forms ``k=v``, ``k==v``, ``k!=v``, ``k`` and ``!k`` for
    labels, and ``metadata.name=`` and ``metadata.namespace=`` for fields.
    """
    labels = obj.metadata.labels or {}
    fields = {"metadata.name": obj.metadata.name, "metadata.namespace": obj.metadata.namespace}
    return all(_label_matches(term, labels) for term in _terms(label_selector)) and all(
        _field_matches(term, fields) for term in _terms(field_selector)
    )


def _terms(selector: str | None) -> list[str]:
    return [term.strip() for term in selector.split(",")] if selector else []


def _label_matches(term: str, labels: Mapping[str, str]) -> bool:
    if any(character in term for character in "() <>"):  # ``in``, ``notin``, ``<``: not told here.
        return False
    if "!=" in term:
        key, _, value = term.partition("!=")
        return labels.get(key) != value
    if "=" in term:
        key, _, value = term.partition("=")
        return labels.get(key) == value.removeprefix("=")
    return term[1:] not in labels if term.startswith("!") else term in labels


def _field_matches(term: str, fields: Mapping[str, str]) -> bool:
    key, _, value = term.partition("=")
    return key in fields and fields[key] == value.removeprefix("=")
