"""What the head of a stream must say."""

from __future__ import annotations

import pytest

from tenantry.foundation.codec import replaced
from tenantry.gateway.streams.heads import RefusedHeadError, StreamHead, read_head
from tenantry.gateway.streams.messages import Headers
from tenantry.gateway.streams.records import Principal, StreamRecord

SECRET = b"5ec2e7"
GOOD: Headers = (
    (":method", "GET"),
    (":path", "/api/v1/namespaces/a/pods?watch=1&token=hidden"),
    ("x-tenantry-secret", "5ec2e7"),
    ("impersonate-user", "alice"),
)


RECORD = StreamRecord(
    stage="Started",
    user=Principal(name="alice"),
    kind="watch",
    verb="watch",
    api_version="v1",
    resource="pods",
    namespace="a",
    method="GET",
    path="/api/v1/namespaces/a/pods",
    decision="allow",
)


def without(name: str) -> Headers:
    return tuple(pair for pair in GOOD if pair[0] != name)


def test_everything_that_may_be_said() -> None:
    more = (
        ("impersonate-group", "ops, all"),
        ("impersonate-group", "devs"),
        ("impersonate-group", "devs"),
        ("x-tenantry-real", "robot"),
        ("x-tenantry-real-group", "robots"),
        ("x-tenantry-id", "0123456789abcdef"),
        ("x-tenantry-how", "oidc"),
        ("x-tenantry-cluster", "east"),
        ("x-tenantry-expires", "1790000000"),
        ("audit-id", "4f"),
        ("x-request-id", "another"),
    )
    assert read_head(GOOD + more, SECRET) == StreamHead(
        record=replaced(
            RECORD,
            audit_id="4f",
            cluster="east",
            user=Principal(
                name="alice",
                groups=("devs", "ops, all"),
                real_name="robot",
                real_groups=("robots",),
                how="oidc",
                id="0123456789abcdef",
            ),
        ),
        expires=1_790_000_000.0,
    )


def test_as_little_as_may_be_said() -> None:
    assert read_head((*GOOD, ("x-request-id", "4f")), SECRET) == StreamHead(record=replaced(RECORD, audit_id="4f"))


def test_a_clients_own_token_goes_up_without_impersonation() -> None:
    own = (
        ("x-tenantry-stream", "own"),
        ("x-tenantry-impersonate-user", "bob"),
        ("x-tenantry-impersonate-group", "devs"),
        ("x-tenantry-real", "bob"),
    )
    head = read_head(without("impersonate-user") + own, SECRET)
    assert head.record.user == Principal(name="bob", groups=("devs",))


def test_whoever_acts_as_oneself_is_one() -> None:
    head = read_head((*GOOD, ("x-tenantry-real", "alice"), ("x-tenantry-real-group", "devs")), SECRET)
    assert head.record.user == Principal(name="alice", groups=("devs",))


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/apis/apps/v1/deployments?watch=true", "watch"),
        ("GET", "/api/v1/watch/namespaces/a/pods", "watch"),
        ("GET", "/api/v1/namespaces/a/pods/p/log?follow=1", "log"),
        ("POST", "/api/v1/namespaces/a/pods/p/exec?command=sh", "exec"),
        ("GET", "/api/v1/namespaces/a/pods/p/attach", "attach"),
        ("POST", "/api/v1/namespaces/a/pods/p/portforward", "portforward"),
        ("GET", "/api/v1/namespaces/a/services/s/proxy/socket", "proxy"),
        ("GET", "/apis/subresources.kubevirt.io/v1/namespaces/a/virtualmachineinstances/v/console", "upgrade"),
    ],
)
def test_the_path_says_of_what_kind_it_is(method: str, path: str, kind: str) -> None:
    head = read_head((*GOOD[2:], (":method", method), (":path", path)), SECRET)
    assert head.record.kind == kind


@pytest.mark.parametrize(
    ("headers", "status", "token"),
    [
        ((), 403, "Secret"),
        (without("x-tenantry-secret"), 403, "Secret"),
        ((*without("x-tenantry-secret"), ("x-tenantry-secret", "5ec2e8")), 403, "Secret"),
        ((*without("x-tenantry-secret"), ("x-tenantry-secret", "\udcff")), 403, "Secret"),
        ((*GOOD, ("x-tenantry-secret", "5ec2e7")), 403, "Secret"),
        (without("impersonate-user"), 403, "NoUser"),
        ((*without("impersonate-user"), ("impersonate-user", "")), 403, "NoUser"),
        ((*without("impersonate-user"), ("x-tenantry-real", "alice")), 403, "NoUser"),
        ((*without("impersonate-user"), ("x-tenantry-impersonate-user", "alice")), 403, "NoUser"),
        ((*without("impersonate-user"), ("x-tenantry-stream", "own")), 403, "NoUser"),
        ((*GOOD, ("x-tenantry-stream", "own"), ("x-tenantry-impersonate-user", "bob")), 403, "TwoUsers"),
        ((*GOOD, ("impersonate-user", "bob")), 400, "Doubled"),
        ((*GOOD, ("x-tenantry-expires", "1"), ("x-tenantry-expires", "2")), 400, "Doubled"),
        ((*GOOD[2:], (":method", "GET"), (":path", "/api/v1/../pods")), 400, "Path"),
        ((*GOOD[2:], (":method", "BREW"), (":path", "/api/v1/pods")), 400, "Method"),
        ((*GOOD, ("x-tenantry-expires", "-1")), 400, "Expires"),
        ((*GOOD, ("x-tenantry-expires", "1e3")), 400, "Expires"),
        ((*GOOD, ("x-tenantry-expires", "9" * 16)), 400, "Expires"),
        ((*GOOD, ("x-tenantry-expires", "\u0661")), 400, "Expires"),
    ],
)
def test_what_is_missing_doubled_or_wrong_is_refused(headers: Headers, status: int, token: str) -> None:
    with pytest.raises(RefusedHeadError) as refused:
        read_head(headers, SECRET)
    assert (refused.value.answer.status, refused.value.token) == (status, token)
