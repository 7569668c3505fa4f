"""The refusals of this room, each in one place."""

from __future__ import annotations

from typing import Final

from tenantry.access.masking import not_found_details, not_found_message
from tenantry.access.requests import RequestInfo
from tenantry.gateway.protocol import REASON_HEADER, Answer, refusal, status_body

JSON_HEADER: Final = ("content-type", "application/json")
NOT_VISIBLE: Final = "NotVisible"
_NOT_ACCEPTABLE: Final = "NotAcceptable"
_UNSUPPORTED: Final = "UnsupportedMediaType"
_MALFORMED: Final = "Malformed"
_OWN_CREDENTIAL: Final = "OwnCredential"
_TYPES: Final = "application/json or application/vnd.kubernetes.protobuf"


def not_found_body(info: RequestInfo) -> bytes:
    """Return the API server's Status for an object that is not there."""
    subject = (info.api_group, info.resource, info.name)
    return status_body(404, "NotFound", not_found_message(*subject), details=not_found_details(*subject))


def not_visible(info: RequestInfo) -> Answer:
    """Return what somebody gets for an object that is none to them."""
    return Answer(status=404, body=not_found_body(info), headers=(JSON_HEADER, (REASON_HEADER, NOT_VISIBLE)))


def not_acceptable() -> Answer:
    """Return what a client gets that takes no type of ours (invariant 14)."""
    return refusal(406, "NotAcceptable", f"the answer would be {_TYPES}", token=_NOT_ACCEPTABLE)


def unsupported() -> Answer:
    """Return what a client gets whose body is of another type."""
    return refusal(415, "UnsupportedMediaType", f"the body must be {_TYPES}", token=_UNSUPPORTED)


def malformed(message: str) -> Answer:
    """Return what a client gets whose body makes no sense."""
    return refusal(400, "BadRequest", message, token=_MALFORMED)


def own_account_lacks(message: str) -> Answer:
    """Return what a client gets where our own rights fail: nothing that looks like the client's fault (8.7)."""
    return refusal(503, "ServiceUnavailable", message, token=_OWN_CREDENTIAL, retry_after_seconds=1)
