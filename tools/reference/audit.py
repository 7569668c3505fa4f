"""The page of audit records: the fields of what the gateway writes for requests, streams and connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reference.markdown import HOW, code, codes, table
from tenantry.gateway.envoy.audit import connections_log, requests_log
from tenantry.gateway.settings import AuditSettings
from tenantry.gateway.streams.records import REASONS, Principal, StreamRecord

MEANINGS: Final[Mapping[str, str]] = {
    "stage": "`Complete`: of a request, at its end. `Started`, `Ended`: of a watch, a log or a session. `Refused`: of "
    "a stream, or of a connection, that did not begin.",
    "time": "RFC 3339, UTC. Of a request: when it began.",
    "auditID": "Also in the API server's own log, and in the records of the same stream.",
    "cluster": "Its name in the configuration.",
    "user.name": "Who the API server sees.",
    "user.realName": "Who asked, where they act as somebody else.",
    "user.groups": "How many in records of requests, a list in those of streams.",
    "user.realGroups": "Of who asked, where that is somebody else.",
    "user.how": "The credential: `oidc` was verified here, `review` by the API server, `x509`, `xfcc`.",
    "user.id": "The same for the same user, groups and extras.",
    "kind": "What the stream is.",
    "verb": "Kubernetes' verb.",
    "apiGroup": "",
    "apiVersion": "",
    "resource": "Plural.",
    "subresource": "",
    "namespace": "",
    "name": "",
    "method": "HTTP's.",
    "path": "Without the query.",
    "query": "Those parameters that can hold no secret.",
    "host": "What the client called the gateway. Of a connection: the name in its TLS greeting.",
    "code": "HTTP status that the client got.",
    "flags": "Envoy's response flags.",
    "details": "Envoy's response code details; of a connection, why it was closed.",
    "bytesReceived": "",
    "bytesSent": "",
    "durationMilliseconds": "Of a stream, once it has ended.",
    "upstreamMilliseconds": "Until the answer was complete, from where it came.",
    "decision": "`allow`: it went on, and the API server's RBAC decided, see `code`. `deny`: the gateway refused it.",
    "reason": "Why; see [reasons](reasons.md#the-gateways-refusals).",
    "alarm": "`credential`: the API server refused the gateway's own account.",
    "route": "`upstream`: under the user's name. `own`: with the user's own token. `python`: filtered. With `-stream`: "
    "long-running.",
    "longRunning": "Whether it is a watch, a log or a session.",
    "peer": "The address that connected.",
    "userAgent": "",
    "protocol": "",
}
"""What each field says; a field without meaning, and a meaning without field, fail the page."""

_HEAD: Final = f"""\
# Audit records

This page is for whoever stores or searches what the gateway records.
{HOW}

One JSON object a line, to standard output or to [`audit.file`](gateway-configuration.md#audit). Fields without a value
are left out. No record holds a credential: neither tokens, nor cookies, nor certificates, nor bodies. A request has
one record, at its end, refused ones too. Streams (watches, logs, exec, attach, port-forward, proxied upgrades) have two
more, at their start and at their end, and do not begin while the gateway takes no more of these. Bytes and status of a
stream are in the record of its request. Who was refused before it was known who asks has no `user`.

"""
_TAIL: Final = f"""
`reason` of an `Ended` record is one of {codes(REASONS)}.

```console
$ jq -c 'select(.decision == "deny") | [.time, .user.name, .reason, .path]' audit.jsonl
$ jq -c 'select(.subresource == "exec" and .stage == "Started") | [.time, .user.name, .namespace, .name]' audit.jsonl
```
"""


class UnknownFieldError(Exception):
    """A field has no meaning on the page, or a meaning no field."""


def audit_page() -> str:
    """Return the page.

    Raises:
        UnknownFieldError: ``MEANINGS`` and the code differ.
    """
    settings = AuditSettings()
    kinds = {
        "request": set(_names(_format(requests_log(settings, "default")))),
        "stream": {*_fields(StreamRecord), *(f"user.{name}" for name in _fields(Principal))} - {"user"},
        "connection": set(_names(_format(connections_log(settings)))),
    }
    found = set().union(*kinds.values())
    if found != MEANINGS.keys():
        raise UnknownFieldError(f"MEANINGS of {__name__} and the code differ in {found ^ MEANINGS.keys()}")
    rows = [
        (code(name), ", ".join(kind for kind, names in kinds.items() if name in names), text)
        for name, text in MEANINGS.items()
    ]
    return _HEAD + table(("field", "in records of a", "says"), rows) + _TAIL


def _format(log: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = log["typed_config"]["log_format"]["json_format"]
    return found


def _names(record: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _fields(model: Any) -> tuple[str, ...]:
    return tuple(model.__struct_encode_fields__)
