"""AdmissionReviews: bytes to a Request, and an Answer to bytes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantry.foundation.codec import DecodeError, Model, Raw, decode, encode
from tenantry.foundation.errors import RejectedError
from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.request import Operation, Request, Requester
from tenantry.tenancy.verdict import Denial, Notice

VERSIONS: Final = frozenset({"admission.k8s.io/v1", "admission.k8s.io/v1beta1"})
_NULL_TEXT: Final = b"null"
_NULL: Final = Raw(_NULL_TEXT)
_OPERATIONS: Final = {operation.value: operation for operation in Operation}
_REASONS: Final[Mapping[int, str]] = {
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    422: "Invalid",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class MalformedReviewError(RejectedError):
    """A body is no AdmissionReview that can be answered."""

    reason = "BadRequest"
    http_status = 400


class _GroupVersionKind(Model):
    group: str = ""
    version: str = ""
    kind: str = ""


class _GroupVersionResource(Model):
    group: str = ""
    version: str = ""
    resource: str = ""


class _UserInfo(Model):
    username: str = ""
    groups: tuple[str, ...] | None = None


class _ReviewRequest(Model):
    """What is read of admission.k8s.io AdmissionRequest; objects stay bytes."""

    uid: str = ""
    kind: _GroupVersionKind = _GroupVersionKind()
    resource: _GroupVersionResource = _GroupVersionResource()
    sub_resource: str | None = None
    name: str | None = None
    namespace: str | None = None
    operation: str = ""
    user_info: _UserInfo = _UserInfo()
    object: Raw = _NULL
    old_object: Raw = _NULL
    dry_run: bool | None = None


class _Review(Model):
    api_version: str = ""
    kind: str = ""
    request: _ReviewRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered to one review."""

    denial: Denial | None = None
    patch: tuple[PatchOperation, ...] = ()
    warnings: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    """Told as events, not in the answer."""
    tenant: str = ""
    """The tenant that the request concerns, as far as that is known: for events."""
    is_terminating: bool = False
    """Whether the namespace is going away: then nothing is told."""

    @property
    def is_allowed(self) -> bool:
        """Whether the request may pass."""
        return self.denial is None


ALLOWED_ANSWER: Final = Answer()


def decoded_review(body: bytes) -> tuple[str, Request]:
    """Return the API version to answer in, and the request.

    Raises:
        MalformedReviewError: The body says nothing that could be answered.
    """
    try:
        review = decode(body, _Review)
    except DecodeError as error:
        raise MalformedReviewError(f"the body is no AdmissionReview: {error}") from error
    if review.kind != "AdmissionReview" or review.api_version not in VERSIONS:
        raise MalformedReviewError(
            f"the body is a {review.kind or 'nameless kind'} of {review.api_version or 'no API version'},"
            f" not an AdmissionReview of {' or '.join(sorted(VERSIONS))}"
        )
    given = review.request
    if given is None:
        raise MalformedReviewError("the AdmissionReview has no request")
    return review.api_version, _request(given)


def _request(given: _ReviewRequest) -> Request:
    operation = _OPERATIONS.get(given.operation)
    if operation is None:
        raise MalformedReviewError(f"request.operation {given.operation!r} is none of {', '.join(_OPERATIONS)}")
    for name, value in (
        ("uid", given.uid),
        ("kind.kind", given.kind.kind),
        ("resource.resource", given.resource.resource),
    ):
        if not value:
            raise MalformedReviewError(f"request.{name} is empty")
    return Request(
        uid=given.uid,
        operation=operation,
        group=given.resource.group,
        version=given.resource.version,
        kind=given.kind.kind,
        resource=given.resource.resource,
        subresource=given.sub_resource or "",
        namespace=given.namespace or "",
        name=given.name or "",
        requester=Requester(
            username=given.user_info.username,
            groups=frozenset(given.user_info.groups or ()),
        ),
        object=_present(given.object),
        old_object=_present(given.old_object),
        dry_run=bool(given.dry_run),
    )


def _present(raw: Raw) -> Raw | None:
    return None if memoryview(raw).nbytes == len(_NULL_TEXT) and bytes(raw) == _NULL_TEXT else raw


def encoded_answer(api_version: str, uid: str, answer: Answer) -> bytes:
    """Return the AdmissionReview that answers the request *uid*."""
    response: dict[str, Any] = {"uid": uid, "allowed": answer.is_allowed}
    if answer.denial is not None:
        code = answer.denial.code
        response["status"] = {
            "status": "Failure",
            "message": answer.denial.message,
            "reason": _REASONS.get(code, "Forbidden"),
            "code": code,
        }
    elif answer.patch:
        response["patch"] = base64.b64encode(encode(answer.patch)).decode()
        response["patchType"] = "JSONPatch"
    if answer.warnings:
        response["warnings"] = answer.warnings
    return encode({"apiVersion": api_version, "kind": "AdmissionReview", "response": response})
