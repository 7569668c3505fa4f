"""What a client is answered where a read over all namespaces fails or is refused."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from tenantry.foundation.codec import to_plain
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.protocol import ANSWER_HEADER, REASON_HEADER, status_body
from tenantry.kube.errors import ApiError, CredentialsError, UnauthorizedError, UnreachableError

_RETRY_SECONDS: Final = 1
_RELAYED: Final = range(400, 500)

EXPIRED_MESSAGE: Final = "too old resource version: {why}: list again, then watch from the list's version"


class FailedReadError(TenantryError):
    """The whole of a read fails, with an answer that is ready for the client."""

    reason = "ReadFailed"

    def __init__(self, status: int, api_reason: str, message: str, *, details: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.api_reason = api_reason
        self.details = details
        self.retry_after_seconds: int | None = None
        self.is_our_credential = False
        """Whether the gateway's own credential failed, which must never look like the user's (8.7.1)."""

    @property
    def body(self) -> bytes:
        """A metav1.Status."""
        return status_body(self.status, self.api_reason, str(self), details=self.details)

    def response(self) -> web.Response:
        """Return the answer before anything was sent."""
        headers = {"content-type": "application/json", ANSWER_HEADER: "1", REASON_HEADER: self.api_reason}
        if self.retry_after_seconds is not None:
            headers["retry-after"] = str(self.retry_after_seconds)
        return web.Response(status=self.status, body=self.body, headers=headers)

    def event(self) -> bytes:
        """Return the last line of a watch that ends by this."""
        return b'{"type":"ERROR","object":' + self.body.rstrip(b"\n") + b"}\n"


def expired(why: str) -> FailedReadError:
    """Return what makes a client list again."""
    return FailedReadError(410, "Expired", EXPIRED_MESSAGE.format(why=why))


def not_served() -> FailedReadError:
    """Return the API server's answer for a kind it does not know."""
    return FailedReadError(404, "NotFound", "the server could not find the requested resource")


def bad_request(message: str) -> FailedReadError:
    """Return a refusal of what makes no sense."""
    return FailedReadError(400, "BadRequest", message)


def busy(message: str, *, retry_after_seconds: int) -> FailedReadError:
    """Return a refusal for now."""
    error = FailedReadError(429, "TooManyRequests", message, details={"retryAfterSeconds": retry_after_seconds})
    error.retry_after_seconds = retry_after_seconds
    return error


def unavailable(message: str) -> FailedReadError:
    """Return a failure that may be over soon."""
    error = FailedReadError(503, "ServiceUnavailable", message, details={"retryAfterSeconds": _RETRY_SECONDS})
    error.retry_after_seconds = _RETRY_SECONDS
    return error


def failed_read(error: Exception, namespace: str) -> FailedReadError:
    """Return what to answer where the read of one namespace failed by *error*."""
    if isinstance(error, FailedReadError):
        return error
    if isinstance(error, UnauthorizedError | CredentialsError):
        failed = unavailable("the gateway's own access to the API server fails at the moment")
        failed.is_our_credential = True
        return failed
    if isinstance(error, UnreachableError) and error.timed_out:
        return FailedReadError(504, "Timeout", f"the API server did not answer in time for namespace {namespace}")
    if not isinstance(error, ApiError):
        return unavailable(f"namespace {namespace} could not be read: try again")
    return _relayed(error)


def _relayed(error: ApiError) -> FailedReadError:
    details = to_plain(error.details) or None
    if error.status in _RELAYED:
        failed = FailedReadError(error.status, error.api_reason, error.message, details=details)
        wait = error.retry_after_seconds
        failed.retry_after_seconds = None if wait is None else int(wait)
        return failed
    status = 504 if error.status == 504 else 503
    failed = FailedReadError(status, error.api_reason or "ServiceUnavailable", error.message, details=details)
    failed.retry_after_seconds = int(error.retry_after_seconds or _RETRY_SECONDS)
    return failed
