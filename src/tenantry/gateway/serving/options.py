"""What a list or a watch asks for besides its kind, checked as the API server does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tenantry.access.requests import RequestInfo
from tenantry.gateway.serving.refusals import bad_request, invalid_options

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_VERSION: Final = re.compile(r"[0-9]{1,19}")
_FORBIDDEN: Final = "FieldValueForbidden"
_MATCH: Final = "resourceVersionMatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """meta/v1 ListOptions of a list."""

    limit: int = 0
    """0: no limit."""
    token: str = ""
    """``continue``."""
    version: int | None = None
    """None where none was given."""
    is_exact: bool = False
    """Whether exactly *version* is asked for, not one at least as new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """meta/v1 ListOptions of a watch."""

    version: int | None = None
    """From where on; None where none was given."""
    sends_initial_events: bool = False
    """Whether what there is comes first."""
    marks_their_end: bool = False
    """Whether a bookmark after that says so (KEP-3157)."""
    has_bookmarks: bool = False
    timeout_seconds: int = 0
    """0: ours to choose."""


def list_options(info: RequestInfo) -> ListOptions:
    """Return the options of a list; raise RefusedError where they make no sense."""
    text, match, token = info.value("resourceVersion") or "", info.value(_MATCH) or "", info.value("continue") or ""
    limit = _integer(info, "limit")
    causes = _match_causes(match, text, token)
    if (info.value("sendInitialEvents") or "") != "":
        causes.append(("sendInitialEvents", _FORBIDDEN, "Forbidden: sendInitialEvents is forbidden for list"))
    if causes:
        raise invalid_options(*causes)
    version = _version(text)
    if token and version:
        raise bad_request("specifying resource version is not allowed when using continue")
    # A limit with a version and no word on how to match is from before there was one, and means exactly that version.
    is_exact = match == "Exact" or (not match and limit > 0 and bool(version))
    return ListOptions(limit=max(limit, 0), token=token, version=version, is_exact=is_exact)


def watch_options(info: RequestInfo) -> WatchOptions:
    """Return the options of a watch; raise RefusedError where they make no sense."""
    match, given = info.value(_MATCH) or "", (info.value("sendInitialEvents") or "") != ""
    causes: list[tuple[str, str, str]] = []
    if given and match != "NotOlderThan":
        text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append((_MATCH, _FORBIDDEN, text))
    if match and not given:
        text = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append((_MATCH, _FORBIDDEN, text))
    if causes:
        raise invalid_options(*causes)
    if info.value("continue"):
        raise bad_request("continue is for lists alone")
    version = _version(info.value("resourceVersion") or "")
    wants_events = info.is_set("sendInitialEvents")
    has_bookmarks = info.is_set("allowWatchBookmarks")
    return WatchOptions(
        version=version,
        sends_initial_events=wants_events if given else not version,
        marks_their_end=given and wants_events and has_bookmarks,
        has_bookmarks=has_bookmarks,
        timeout_seconds=max(_integer(info, "timeoutSeconds"), 0),
    )


def least_version(info: RequestInfo) -> int | None:
    """Return which version a named GET asks for at least; None where it does not."""
    return _version(info.value("resourceVersion") or "")


def _match_causes(match: str, version: str, token: str) -> list[tuple[str, str, str]]:
    if not match:
        return []
    causes = []
    if token:
        causes.append((_MATCH, _FORBIDDEN, "Forbidden: resourceVersionMatch is forbidden when continue is provided"))
    elif not version:
        text = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append((_MATCH, _FORBIDDEN, text))
    if match not in {"Exact", "NotOlderThan"}:
        text = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        causes.append((_MATCH, "FieldValueNotSupported", text))
    if match == "Exact" and version == "0":
        text = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        causes.append((_MATCH, _FORBIDDEN, text))
    return causes


def _integer(info: RequestInfo, name: str) -> int:
    text = info.value(name) or "0"
    if not _INTEGER.fullmatch(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _version(text: str) -> int | None:
    if not text:
        return None
    if not _VERSION.fullmatch(text):
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}": not a decimal number')
    return int(text)
