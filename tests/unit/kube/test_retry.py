"""What is tried again."""

from __future__ import annotations

import pytest

from tenantry.kube.errors import (
    ApiError,
    ConflictError,
    CredentialsError,
    ServerError,
    TooManyRequestsError,
    UnreachableError,
)
from tenantry.kube.retry import MAX_RETRIES, pause_before_retry

READ = {"is_read": True, "is_idempotent": True}
REPEATABLE_WRITE = {"is_read": False, "is_idempotent": True}
OTHER_WRITE = {"is_read": False, "is_idempotent": False}


def _server(status: int, wait: float | None = None) -> ServerError:
    return ServerError("failed", status=status, retry_after_seconds=wait)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TooManyRequestsError("busy", status=429), (True, True, True)),
        (TooManyRequestsError("busy", status=429, retry_after_seconds=1), (True, True, True)),
        (TooManyRequestsError("busy", status=429, retry_after_seconds=60), (False, False, False)),
        (_server(503), (True, True, False)),
        (_server(503, 1), (True, True, True)),
        (_server(504), (True, True, False)),
        (_server(500), (True, False, False)),
        (_server(500, 1), (True, True, True)),
        (UnreachableError("refused", was_sent=False), (True, True, True)),
        (UnreachableError("reset"), (True, True, False)),
        (UnreachableError("slow", timed_out=True), (False, False, False)),
        (UnreachableError("no route", was_sent=False, timed_out=True), (False, False, False)),
        (ConflictError("changed", status=409), (False, False, False)),
        (ApiError("bad", status=400), (False, False, False)),
        (CredentialsError("none"), (False, False, False)),
        (ValueError("bug"), (False, False, False)),
    ],
)
def test_reads_repeatable_writes_and_other_writes(error: Exception, expected: tuple[bool, bool, bool]) -> None:
    assert expected == tuple(
        pause_before_retry(error, retries=0, **kind) is not None for kind in (READ, REPEATABLE_WRITE, OTHER_WRITE)
    )


def test_the_number_of_tries_is_bounded() -> None:
    pauses = [pause_before_retry(_server(503), retries=retries, **READ) for retries in range(MAX_RETRIES + 1)]

    assert [pause is not None for pause in pauses] == [True] * MAX_RETRIES + [False]


def test_the_server_is_not_asked_before_the_time_it_named() -> None:
    pause = pause_before_retry(_server(503, 5), retries=0, **READ)

    assert pause is not None
    assert pause >= 5
