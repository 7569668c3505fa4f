"""What the Kubernetes API refuses, and what keeps us from asking it.

TenantryError
├── ApiError                     any answer that is not a success
│   ├── UnauthorizedError        401
│   ├── ForbiddenError           403
│   ├── NotFoundError            404
│   ├── AlreadyExistsError       409, reason AlreadyExists
│   ├── ConflictError            409, any other reason: a resource version or a field manager
│   ├── GoneError                410: the resource version or the page token is too old
│   ├── InvalidObjectError       422
│   ├── TooManyRequestsError     429
│   └── ServerError              5xx
└── UnavailableError
    ├── UnreachableError         no answer: connection, TLS, time limit
    ├── UndecodableError         an answer that is not of the declared shape
    └── CredentialsError         no credential could be had (plug-in, token file, identity provider)
"""

from __future__ import annotations

from typing import ClassVar

from tenantry.foundation.codec import DecodeError, Model, decode
from tenantry.foundation.errors import TenantryError, UnavailableError


class StatusCause(Model):
    """metav1.StatusCause."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(Model):
    """metav1.StatusDetails."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[StatusCause, ...] | None = None
    retry_after_seconds: int = 0


class Status(Model):
    """metav1.Status: the body of each refusal, and the object of a watch's ERROR event."""

    status: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


class ApiError(TenantryError):
    """An answer of the API server that is not a success; its text is the server's own message."""

    reason: ClassVar[str] = "ApiError"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        api_reason: str = "",
        details: StatusDetails | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.api_reason = api_reason
        """``metav1.StatusReason``, such as ``NotFound``; empty where a proxy answered."""
        self.details = details if details is not None else StatusDetails()
        self.retry_after_seconds = retry_after_seconds
        """How long the server asked to wait; None where it did not."""

    def has_cause(self, reason: str) -> bool:
        """Return whether a cause of the refusal is *reason*."""
        return any(cause.reason == reason for cause in self.details.causes or ())


class UnauthorizedError(ApiError):
    """The credential is missing, wrong or expired."""

    reason = "Unauthorized"
    http_status = 401


class ForbiddenError(ApiError):
    """The identity lacks a right, or admission refused the object."""

    reason = "Forbidden"
    http_status = 403


class NotFoundError(ApiError):
    """The object, or the whole API, does not exist."""

    reason = "NotFound"
    http_status = 404


class AlreadyExistsError(ApiError):
    """An object of that name exists."""

    reason = "AlreadyExists"
    http_status = 409


class ConflictError(ApiError):
    """The object changed meanwhile, or another field manager owns a field."""

    reason = "Conflict"
    http_status = 409


class GoneError(ApiError):
    """The resource version or the page token is too old: list again."""

    reason = "Expired"
    http_status = 410


class InvalidObjectError(ApiError):
    """The object breaks its schema or its validation; ``details.causes`` names the fields."""

    reason = "Invalid"
    http_status = 422


class TooManyRequestsError(ApiError):
    """The server is busy."""

    reason = "TooManyRequests"
    http_status = 429


class ServerError(ApiError):
    """The server failed."""

    reason = "ServerError"
    http_status = 502


class UnreachableError(UnavailableError):
    """No answer came: connection, TLS or time limit."""

    reason = "Unreachable"

    def __init__(self, message: str, *, was_sent: bool = True, timed_out: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        """False where the server can not have seen the request."""
        self.timed_out = timed_out


class UndecodableError(UnavailableError):
    """An answer is not of the declared shape."""

    reason = "Undecodable"


class CredentialsError(UnavailableError):
    """No credential could be had."""

    reason = "NoCredentials"


_BY_STATUS: dict[int, type[ApiError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidObjectError,
    429: TooManyRequestsError,
}


def _error_type(status: int, api_reason: str) -> type[ApiError]:
    if api_reason == "AlreadyExists":
        return AlreadyExistsError
    if status >= 500:
        return ServerError
    return _BY_STATUS.get(status, ApiError)


def error_from_status(status: Status, *, retry_after_seconds: float | None = None) -> ApiError:
    """Return the error that *status* stands for."""
    if retry_after_seconds is None and status.details is not None and status.details.retry_after_seconds > 0:
        retry_after_seconds = float(status.details.retry_after_seconds)
    return _error_type(status.code, status.reason)(
        status.message or f"the server answered {status.code} {status.reason}".rstrip(),
        status=status.code,
        api_reason=status.reason,
        details=status.details,
        retry_after_seconds=retry_after_seconds,
    )


def error_from_response(code: int, body: bytes, *, retry_after: str | None = None) -> ApiError:
    """Return the error for an answer with *code*.

    A body that is no ``Status`` (of a proxy, say) becomes the message, cut at 500 characters.

    Args:
        code: The HTTP status; it wins over the one in the body.
        body: As received.
        retry_after: The header of that name.  A date, which Kubernetes never sends, counts as absent.
    """
    wait = float(retry_after) if retry_after is not None and retry_after.isdigit() else None
    try:
        status = decode(body, Status)
    except DecodeError:
        status = Status()
    message = status.message
    if not message and (text := body.decode(errors="replace").strip()[:500]):
        message = f"the server answered {code}: {text}"
    status = Status(message=message, reason=status.reason, code=code, details=status.details)
    return error_from_status(status, retry_after_seconds=wait)
