"""What a request asks for, in the terms of the API server's own authorization.

The same bytes are routed, judged and sent on, so whatever two parsers could read in two ways is refused.

Source: ``NewRequestInfo`` of k8s.io/apiserver/pkg/endpoints/request; the table of its test is ours, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import unquote_to_bytes

from tenantry.foundation.errors import RejectedError

Query = tuple[tuple[str, str], ...]

ALLOWED_PREFIXES: Final = frozenset({"api", "apis", "version", "openapi", "healthz", "livez", "readyz"})
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SINGLE_PARAMETERS: Final = frozenset(
    {
        "labelSelector",
        "fieldSelector",
        "resourceVersion",
        "resourceVersionMatch",
        "continue",
        "limit",
        "watch",
        "allowWatchBookmarks",
        "sendInitialEvents",
        "timeoutSeconds",
        "includeObject",
        "shardSelector",
    }
)
"""Query parameters that decide what is listed: given twice, two readers could take different ones."""
CONNECTING: Final = frozenset({"attach", "exec", "portforward", "proxy"})
"""Subresources that carry a stream of the client's own: POST and, over a websocket, GET."""

_LONG_RUNNING_VERBS: Final = frozenset({"watch", "proxy"})
_LONG_RUNNING_SUBRESOURCES: Final = CONNECTING | {"log"}
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})
_VERBS_WITH_SELECTORS: Final = frozenset({"list", "watch", "deletecollection"})
_VERBS: Final = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NOT_IN_A_TARGET: Final = re.compile(r"[^\x21-\x7e]|[\\#]")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HIDDEN_SEPARATOR: Final = re.compile(r"%(?:2f|5c|00)", re.IGNORECASE)
_ESCAPED_TWICE: Final = re.compile(r"%(?:2f|5c|2e|00)", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")


class RefusedRequestError(RejectedError):
    """The request is not one that is forwarded, whoever sends it."""

    reason: ClassVar[str] = "RequestRefused"

    def __init__(self, token: str, message: str, *, status: int = 400) -> None:
        self.token = token
        """Stable, for audit and metrics."""
        self.status = status
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInfo:
    """A request as kube-apiserver classifies it."""

    method: str
    path: str
    """As sent, without the query."""
    verb: str
    """Kubernetes' verb; the lower-case method where no resource is asked for, "" for OPTIONS of one."""
    query: Query = ()
    """Decoded, in order."""
    is_resource: bool = False
    api_prefix: str = ""
    """``api`` or ``apis``."""
    api_group: str = ""
    api_version: str = ""
    namespace: str = ""
    """Of a Namespace its own name, as for the API server."""
    resource: str = ""
    """The plural."""
    subresource: str = ""
    name: str = ""
    """Also where a field selector asks for exactly one name."""
    parts: tuple[str, ...] = ()
    """Resource, name, subresource, and what follows it."""
    field_selector: str = ""
    label_selector: str = ""
    is_verb_in_path: bool = False
    """Whether it is a path of the old ``/watch/`` or ``/proxy/`` forms."""

    @property
    def is_long_running(self) -> bool:
        """Whether it may last without limit: watches, logs, and what carries a stream."""
        return self.is_resource and (self.verb in _LONG_RUNNING_VERBS or self.subresource in _LONG_RUNNING_SUBRESOURCES)

    @property
    def is_upgradeable(self) -> bool:
        """Whether the connection may become a stream of the client's own."""
        return self.is_resource and (self.subresource in CONNECTING or self.verb == "proxy")

    @property
    def action(self) -> str:
        """The verb, and ``connect`` for streams by whichever method: exec over a websocket is a GET."""
        return "connect" if self.is_upgradeable else self.verb

    @property
    def is_read(self) -> bool:
        """Whether it is get, list or watch of a resource itself or of a subresource that is no stream."""
        return self.is_resource and self.action in {"get", "list", "watch"}

    @property
    def api_group_version(self) -> str:
        """As objects name it: ``v1``, ``apps/v1``."""
        return f"{self.api_group}/{self.api_version}" if self.api_group else self.api_version

    def value(self, parameter: str) -> str | None:
        """Return the first value of a query *parameter*; None where there is none."""
        return next((value for name, value in self.query if name == parameter), None)

    def is_set(self, parameter: str) -> bool:
        """Return what the API server reads a boolean *parameter* as: only false, 0 and absence are no."""
        value = self.value(parameter)
        return value is not None and value.lower() not in {"false", "0"}


def request_info(method: str, target: str) -> RequestInfo:
    """Return what *method* and *target* (the path with its query, as sent) ask for.

    Raises:
        RefusedRequestError: It is ambiguous, or nothing that is served here.
    """
    if method not in METHODS:
        raise RefusedRequestError("Method", f"the method {method[:32]!r} is not served", status=405)
    if not target.startswith("/") or _NOT_IN_A_TARGET.search(target):
        raise RefusedRequestError("Path", "the request's target is not a path that the Kubernetes API has")
    raw_path, _, raw_query = target.partition("?")
    parts = _path_parts(raw_path)
    if not parts or parts[0] not in ALLOWED_PREFIXES:
        raise RefusedRequestError("UnknownPath", "the server could not find the requested resource", status=404)
    return _classified(method, raw_path, parts, raw_query)


def _path_parts(raw_path: str) -> list[str]:
    """Return the decoded segments, one slash at the end left out."""
    if _BAD_ESCAPE.search(raw_path) or _HIDDEN_SEPARATOR.search(raw_path) or "//" in raw_path:
        raise RefusedRequestError("Path", "the path has //, or an escape that a Kubernetes path can not have")
    try:
        path = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedRequestError("Path", "the path is not UTF-8") from error
    if _CONTROL.search(path) or "\\" in path or _ESCAPED_TWICE.search(path):
        raise RefusedRequestError("Path", "the path has control characters, or escapes within escapes")
    parts = path.strip("/").split("/") if path != "/" else []
    if "." in parts or ".." in parts:
        raise RefusedRequestError("Path", "the path has . or .. in it")
    return parts


def _classified(method: str, raw_path: str, parts: list[str], raw_query: str) -> RequestInfo:
    group_parts = 1 if parts[0] == "apis" else 0
    if len(parts) < 3 + group_parts or parts[0] not in {"api", "apis"}:
        return RequestInfo(method=method, path=raw_path, verb=method.lower(), query=_query(raw_query))
    prefix, group = parts[0], parts[1] if group_parts else ""
    version, rest = parts[1 + group_parts], parts[2 + group_parts :]
    verb, is_verb_in_path = _VERBS.get(method, ""), False
    if rest[0] in {"proxy", "watch"}:
        if len(rest) < 2:
            raise RefusedRequestError("Path", f"the path names nothing to {rest[0]}")
        verb, rest, is_verb_in_path = rest[0], rest[1:], True
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    subresource = rest[2] if len(rest) > 2 and verb != "proxy" else ""
    query = _query(raw_query, is_ours=verb != "proxy" and subresource != "proxy")
    name = rest[1] if len(rest) > 1 else ""
    verb, name = _verb_and_name(verb, name, query)
    has_selectors = verb in _VERBS_WITH_SELECTORS and not is_verb_in_path
    values = dict(reversed(query))
    return RequestInfo(
        method=method,
        path=raw_path,
        verb=verb,
        query=query,
        is_resource=True,
        api_prefix=prefix,
        api_group=group,
        api_version=version,
        namespace=namespace,
        resource=rest[0],
        subresource=subresource,
        name=name,
        parts=tuple(rest),
        field_selector=values.get("fieldSelector", "") if has_selectors else "",
        label_selector=values.get("labelSelector", "") if has_selectors else "",
        is_verb_in_path=is_verb_in_path,
    )


def _verb_and_name(verb: str, name: str, query: Query) -> tuple[str, str]:
    """Tell list, watch and deletecollection from get and delete: those have no name in the path."""
    if name or verb not in {"get", "delete"}:
        return verb, name
    if verb == "delete":
        return "deletecollection", ""
    values = dict(reversed(query))
    is_watch = values.get("watch", "false").lower() not in {"false", "0"}
    return "watch" if is_watch else "list", _selected_name(values)


def _selected_name(values: dict[str, str]) -> str:
    """Return the one name that the field selector asks for; none where a parameter makes no sense, as upstream."""
    numbers = [values[key] for key in ("limit", "timeoutSeconds") if values.get(key)]
    if not all(_INTEGER.fullmatch(number) for number in numbers):
        return ""
    terms = _field_terms(values.get("fieldSelector", ""))
    if terms is None:
        return ""
    name = next((value for field, operator, value in terms if field == "metadata.name" and operator == "="), "")
    return "" if name in {".", ".."} or "/" in name or "%" in name else name


def _field_terms(selector: str) -> list[tuple[str, str, str]] | None:
    """Return field, operator and value of each term of a field selector, sorted; None where it is none."""
    if re.search(r"(?<!\\)(?:\\\\)*\\$", selector):
        return None
    terms = []
    for term in sorted(re.findall(r"(?:\\.|[^,\\])+", selector)):
        found = re.fullmatch(r"(.*?)(==|!=|=)((?:\\[\\,=]|[^\\,=])*)", term, re.DOTALL)
        if found is None:
            return None
        field, operator, value = found.groups()
        terms.append((field, operator.replace("==", "="), re.sub(r"\\(.)", r"\1", value)))
    return terms


def _query(raw_query: str, *, is_ours: bool = True) -> Query:
    """Return the decoded pairs.

    Args:
        raw_query: As sent.
        is_ours: Whether the API server reads it; else it is meant for what is behind a proxy
            subresource, and pairs that are none to Go are left out.
    """
    pairs: list[tuple[str, str]] = []
    for pair in raw_query.split("&"):
        if not pair:
            continue
        if (decoded := _pair(pair)) is not None:
            pairs.append(decoded)
        elif is_ours:
            raise RefusedRequestError("Query", "the query has a semicolon, a broken escape, or is not UTF-8")
    if is_ours:
        _refuse_repeated([name for name, _ in pairs])
    return tuple(pairs)


def _pair(pair: str) -> tuple[str, str] | None:
    if ";" in pair or _BAD_ESCAPE.search(pair):
        return None
    name, _, value = pair.replace("+", " ").partition("=")
    try:
        return unquote_to_bytes(name).decode("utf-8"), unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _refuse_repeated(names: list[str]) -> None:
    for name in SINGLE_PARAMETERS:
        if names.count(name) > 1:
            raise RefusedRequestError("RepeatedParameter", f"the query parameter {name} is given more than once")
