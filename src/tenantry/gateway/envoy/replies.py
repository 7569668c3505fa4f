"""What clients read when Envoy itself refuses a request: a metav1.Status, as everywhere in Kubernetes."""

from __future__ import annotations

from typing import Final

from tenantry.gateway.envoy.shapes import Json, script_said
from tenantry.gateway.streams.envoy_filter import not_ours

REASONS: Final = {
    400: ("BadRequest", "the gateway refuses this request: it is malformed"),
    403: ("Forbidden", "the gateway could not establish who is asking, so nothing was forwarded"),
    404: ("NotFound", "the gateway serves nothing here"),
    408: ("Timeout", "the request did not arrive in time: send it again"),
    413: ("RequestEntityTooLarge", "the request's body is larger than the gateway takes"),
    421: ("MisdirectedRequest", "this connection leads to another cluster: open one for this host name"),
    426: ("BadRequest", "the gateway takes HTTP/1.1 and HTTP/2"),
    431: ("BadRequest", "the request's headers are larger than the gateway takes"),
    500: ("InternalError", "the gateway failed: look into its log"),
    502: ("ServiceUnavailable", "the API server's answer was malformed: try again"),
    503: ("ServiceUnavailable", "the way to the API server is not open: try again"),
    504: ("Timeout", "the API server did not answer in time: try again"),
}


def local_replies() -> Json:
    """Return the mapping of every status that Envoy answers by itself; what the script answers stays as it is."""
    return {"mappers": [_mapper(code, reason, text) for code, (reason, text) in REASONS.items()]}


def _mapper(code: int, reason: str, message: str) -> Json:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    comparison = {"op": "EQ", "value": {"default_value": code, "runtime_key": "tenantry.unused"}}
    not_the_script = script_said(("a", "decision"), {"string_match": {"exact": "allow"}}, or_nothing=True)
    mapper: Json = {
        "filter": {
            "and_filter": {"filters": [{"status_code_filter": {"comparison": comparison}}, not_the_script, not_ours()]}
        },
        "status_code": code,
        "body_format_override": {"json_format": body},
    }
    if code == 503:
        mapper["headers_to_add"] = [{"header": {"key": "retry-after", "value": "1"}}]
    return mapper
