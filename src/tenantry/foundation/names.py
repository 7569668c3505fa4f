"""What Kubernetes accepts as names, label keys and values, and annotation keys.

Each ``is_...`` has an ``..._problem`` twin that says what is wrong, for messages to users.

Source: ``k8s.io/apimachinery/pkg/util/validation``.
"""

from __future__ import annotations

import re
from typing import Final

LABEL_MAX: Final = 63
SUBDOMAIN_MAX: Final = 253

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")


def dns_label_problem(text: str) -> str | None:
    """Return why *text* is no RFC 1123 label (the name of a Namespace), or None."""
    if len(text) > LABEL_MAX:
        return f"must be no more than {LABEL_MAX} characters"
    if not _LABEL.fullmatch(text):
        return "must consist of lower case letters, digits or '-', and start and end with a letter or digit"
    return None


def dns_subdomain_problem(text: str) -> str | None:
    """Return why *text* is no RFC 1123 subdomain (the name of most objects), or None."""
    if len(text) > SUBDOMAIN_MAX:
        return f"must be no more than {SUBDOMAIN_MAX} characters"
    if not _SUBDOMAIN.fullmatch(text):
        return "must consist of lower case letters, digits, '-' or '.', and start and end with a letter or digit"
    return None


def label_key_problem(text: str) -> str | None:
    """Return why *text* is no label key (a name with an optional ``prefix/``), or None."""
    prefix, slash, name = text.rpartition("/")
    if slash:
        problem = dns_subdomain_problem(prefix)
        if problem:
            return f"prefix part {problem}"
    if not name:
        return "name part must not be empty"
    if len(name) > LABEL_MAX:
        return f"name part must be no more than {LABEL_MAX} characters"
    if not _QUALIFIED.fullmatch(name):
        return "name part must consist of letters, digits, '-', '_' or '.', and start and end with a letter or digit"
    return None


def label_value_problem(text: str) -> str | None:
    """Return why *text* is no label value, or None; the empty one is fine."""
    if len(text) > LABEL_MAX:
        return f"must be no more than {LABEL_MAX} characters"
    if text and not _QUALIFIED.fullmatch(text):
        return "must be empty or consist of letters, digits, '-', '_' or '.', and start and end with a letter or digit"
    return None


def annotation_key_problem(text: str) -> str | None:
    """Return why *text* is no annotation key, or None; the API server looks at it in lower case."""
    return label_key_problem(text.lower())


def path_segment_problem(text: str) -> str | None:
    """Return why *text* can't be a segment of a URL (the name of an RBAC object), or None."""
    if not text:
        return "must not be empty"
    if text in {".", ".."}:
        return "may not be '.' or '..'"
    if "/" in text or "%" in text:
        return "may not contain '/' or '%'"
    return None


def is_dns_label(text: str) -> bool:
    """Return whether a Namespace can have this name."""
    return dns_label_problem(text) is None


def is_dns_subdomain(text: str) -> bool:
    """Return whether most objects can have this name."""
    return dns_subdomain_problem(text) is None


def is_label_key(text: str) -> bool:
    """Return whether a label can have this key."""
    return label_key_problem(text) is None


def is_label_value(text: str) -> bool:
    """Return whether a label can have this value."""
    return label_value_problem(text) is None


def is_annotation_key(text: str) -> bool:
    """Return whether an annotation can have this key."""
    return annotation_key_problem(text) is None


def is_path_segment(text: str) -> bool:
    """Return whether an RBAC object can have this name."""
    return path_segment_problem(text) is None
