"""Which failures of a request are worth another try, and after what pause."""

from __future__ import annotations

from tenantry.kube.backoff import delay_seconds
from tenantry.kube.errors import ApiError, ServerError, TooManyRequestsError, UnreachableError

MAX_RETRIES = 4
MAX_RETRY_AFTER_SECONDS = 10.0
"""A server that asks for a longer pause gets it from the caller's own back-off."""


def pause_before_retry(error: Exception, *, retries: int, is_read: bool, is_idempotent: bool) -> float | None:
    """Return the seconds to wait before sending the request again, or None to give up.

    What the server can not have acted on (429, Retry-After, no connection) is tried again
    for every verb; what it may have acted on, for those where twice is as good as once.
    A request that ran into its time limit is not: its caller waited long enough.
    """
    if retries >= MAX_RETRIES:
        return None
    pause = delay_seconds(retries, initial_seconds=0.1, max_seconds=2.0)
    if isinstance(error, UnreachableError):
        return pause if not error.timed_out and (is_idempotent or not error.was_sent) else None
    if not isinstance(error, TooManyRequestsError | ServerError):
        return None
    if error.retry_after_seconds is not None:
        return max(pause, error.retry_after_seconds) if error.retry_after_seconds <= MAX_RETRY_AFTER_SECONDS else None
    return pause if _is_safe(error, is_read=is_read, is_idempotent=is_idempotent) else None


def _is_safe(error: ApiError, *, is_read: bool, is_idempotent: bool) -> bool:
    if isinstance(error, TooManyRequestsError):
        return True
    # A write's 500 is most often a webhook that failed: asking again at once makes that worse.
    return is_read if error.status == 500 else is_idempotent
