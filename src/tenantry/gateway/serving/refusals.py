"""What is answered instead of objects, in the API server's own words where it has some."""

from __future__ import annotations

from typing import Any, Final

from tenantry.access.rule_kinds import RIGHTS_COMMAND, KindName
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.protocol import REASON_HEADER, Answer, status_body
from tenantry.kube.errors import ApiError, ForbiddenError, UnreachableError

STATUS_EXPIRED: Final = 410


class RefusedError(TenantryError):
    """The request gets *answer* and nothing else (invariant 15)."""

    def __init__(self, answer: Answer, message: str) -> None:
        super().__init__(message)
        self.answer = answer


def refused(
    status: int,
    reason: str,
    message: str,
    *,
    why: str,
    details: dict[str, Any] | None = None,
    retry_after_seconds: int | None = None,
) -> RefusedError:
    """Return the error that answers with a metav1.Status; *why* is ours, for audit and metrics."""
    headers = [("content-type", "application/json"), (REASON_HEADER, why)]
    if retry_after_seconds is not None:
        headers.append(("retry-after", str(retry_after_seconds)))
    body = status_body(status, reason, message, details=details)
    return RefusedError(Answer(status=status, body=body, headers=tuple(headers)), message)


def bad_request(message: str) -> RefusedError:
    """Return the refusal of a parameter that can not be read."""
    return refused(400, "BadRequest", message, why="BadParameter")


def invalid_options(*causes: tuple[str, str, str]) -> RefusedError:
    """Return the refusal of parameters that do not go together; causes are field, reason, message."""
    texts = [f"{field}: {message}" for field, _, message in causes]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {
        "group": "meta.k8s.io",
        "kind": "ListOptions",
        "causes": [{"reason": reason, "message": message, "field": field} for field, reason, message in causes],
    }
    message = f'ListOptions.meta.k8s.io "" is invalid: {listed}'
    return refused(422, "Invalid", message, why="BadParameter", details=details)


def not_found(group: str, plural: str, name: str) -> RefusedError:
    """Return what the API server says of an object that does not exist; the same for one that is not visible."""
    details = {"name": name, **({"group": group} if group else {}), "kind": plural}
    subject = f"{plural}.{group}" if group else plural
    return refused(404, "NotFound", f'{subject} "{name}" not found', why="NotFound", details=details)


def no_such_kind() -> RefusedError:
    """Return what the API server says of a kind that it does not serve."""
    message = "the server could not find the requested resource"
    return refused(404, "NotFound", message, why="UnknownKind", details={})


def not_watchable(plural: str) -> RefusedError:
    """Return the refusal to watch what can not be watched."""
    message = f"the server does not allow this method on the requested resource: {plural} can not be watched"
    return refused(405, "MethodNotAllowed", message, why="NotWatchable")


def expired(message: str, *, why: str = "Expired") -> RefusedError:
    """Return what makes clients list again."""
    return refused(STATUS_EXPIRED, "Expired", message, why=why)


def too_large_version(asked: int, current: int) -> RefusedError:
    """Return what the API server says of a version that it has not reached in time."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    return refused(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        why="VersionTooLarge",
        details=details,
        retry_after_seconds=1,
    )


def unavailable(message: str, *, why: str) -> RefusedError:
    """Return what makes clients try again soon."""
    return refused(503, "ServiceUnavailable", message, why=why, retry_after_seconds=1)


def from_upstream(error: TenantryError, kind: KindName) -> RefusedError:
    """Return what a failed read of *kind* under the gateway's own account means for the caller.

    A refusal of our own credential must not look like one of the caller's: clients drop their
    token on 401, and take 403 for the cluster's word on themselves.
    """
    if isinstance(error, UnreachableError):
        return unavailable("the cluster's API server does not answer; try again", why="UpstreamUnreachable")
    if isinstance(error, ForbiddenError):
        return unavailable(
            f"the platform operator has to grant the gateway the right to read {kind}: {RIGHTS_COMMAND}",
            why="KindNotReadable",
        )
    if not isinstance(error, ApiError) or error.status == 401:
        message = "the gateway's own account can not read this from the API server; an administrator can see why"
        return unavailable(message, why="OwnAccount")
    details = {
        "name": error.details.name,
        "group": error.details.group,
        "kind": error.details.kind,
        "causes": [
            {key: value for key, value in cause.items() if value}
            for cause in (
                {"reason": c.reason, "message": c.message, "field": c.field} for c in error.details.causes or ()
            )
        ],
        "retryAfterSeconds": error.details.retry_after_seconds,
    }
    present = {key: value for key, value in details.items() if value}
    wait = int(error.retry_after_seconds) if error.retry_after_seconds else None
    reason = error.api_reason or "InternalError"
    # The same token as for what is not visible: nobody may tell the two apart (invariant 32).
    why = "NotFound" if error.status == 404 else "Upstream"
    return refused(error.status, reason, error.message, why=why, details=present, retry_after_seconds=wait)
