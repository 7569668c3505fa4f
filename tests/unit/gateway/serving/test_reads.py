"""What the gateway's own account may be used for, and what seals a list's next page."""

from __future__ import annotations

import json

import pytest

from tenantry.access.identity import Identity
from tenantry.access.requests import request_info
from tenantry.access.rule_kinds import KindName
from tenantry.access.sight import Sight
from tenantry.foundation.errors import InvalidError
from tenantry.gateway.serving.kinds import Kind, PrinterColumn, age_columns
from tenantry.gateway.serving.reads import OwnReads
from tenantry.gateway.serving.refusals import RefusedError, from_upstream
from tenantry.gateway.serving.tokens import Place, Tokens
from tenantry.kube.config import ClusterConfig
from tenantry.kube.errors import ForbiddenError, NotFoundError, StatusDetails, UnauthorizedError, UnreachableError
from tenantry.kube.transport import Transport

ALICE = Identity(user="alice", groups=("a,b",))
SIGHT = Sight(names=frozenset({"one", "two"}))
INFO = request_info("GET", "/api/v1/namespaces?limit=5&labelSelector=x")


@pytest.fixture
def reads() -> OwnReads:
    return OwnReads(Transport(ClusterConfig(server="http://127.0.0.1:1"), user_agent="x", timeout_seconds=1))


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/x/secrets",
        "/api/v1/namespaces/x/secrets/y",
        "/apis/apps/v1/namespaces/x/deployments",
        "/api/v1/nodes/x/proxy",
        "/api/v1/nodes/../secrets",
        "/api/v1/nodes//x",
        "/api/v1/nodes?watch=1",
        "/api/v1/nodes/x\r\nHost: y",
        "/version",
        "",
    ],
)
async def test_the_own_account_reads_nothing_but_cluster_scoped_kinds(reads: OwnReads, path: str) -> None:
    """Invariant 10: at the one way out, not in each handler."""
    with pytest.raises(InvalidError):
        await reads.read(path, {})
    with pytest.raises(InvalidError):
        reads.watch(path, {}, accept="application/json")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "get"])
async def test_the_own_account_only_reads(reads: OwnReads, method: str) -> None:
    """Invariant 10."""
    with pytest.raises(InvalidError):
        await reads.request(method, "/api/v1/nodes")


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/nodes", "/apis/a.b/v1/things/system:node%20x"])
async def test_a_cluster_scoped_read_goes_out(reads: OwnReads, path: str) -> None:
    assert reads._call(path, {"limit": "1"}, "application/json").path == f"{path}?limit=1"


def test_a_page_token_is_bound_to_all_that_it_was_made_for() -> None:
    """Invariant 12."""
    tokens = Tokens(b"key", "one")
    token = tokens.write(Place(version=7, after="one"), ALICE, INFO, SIGHT)
    larger_page = request_info("GET", "/api/v1/namespaces?limit=500&labelSelector=x")
    assert tokens.read(token, ALICE, larger_page, SIGHT) == Place(version=7, after="one")

    others = [
        (Tokens(b"key", "two"), ALICE, INFO, SIGHT),
        (Tokens(b"other", "one"), ALICE, INFO, SIGHT),
        (tokens, Identity(user="alice", groups=("a", "b")), INFO, SIGHT),
        (tokens, ALICE, request_info("GET", "/api/v1/nodes?labelSelector=x"), SIGHT),
        (tokens, ALICE, request_info("GET", "/api/v1/namespaces"), SIGHT),
        (tokens, ALICE, INFO, Sight(names=frozenset({"one"}))),
    ]
    for reader, identity, info, sight in others:
        with pytest.raises(RefusedError) as refusal:
            reader.read(token, identity, info, sight)
        assert refusal.value.answer.status == 410


@pytest.mark.parametrize("token", ["x", "!!!!", "AAAA", "é"])
def test_what_is_no_page_token_is_a_bad_request(token: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        Tokens(b"key", "one").read(token, ALICE, INFO, SIGHT)
    assert refusal.value.answer.status == 400


@pytest.mark.parametrize(
    "error", [UnauthorizedError("no", status=401), ForbiddenError("no", status=403), UnreachableError("no")]
)
def test_our_own_credential_s_failure_does_not_look_like_the_caller_s(error: UnreachableError) -> None:
    """8.7: clients drop their token on 401."""
    answer = from_upstream(error, KindName("example.org", "widgets")).answer
    assert (answer.status, dict(answer.headers)["retry-after"]) == (503, "1")


def test_who_meets_a_kind_that_the_gateway_may_not_read_is_told_what_helps() -> None:
    answer = from_upstream(ForbiddenError("no", status=403), KindName("example.org", "widgets")).answer
    message = (
        "the platform operator has to grant the gateway the right to read widgets.example.org: "
        "tenantry gateway rights | kubectl apply -f -"
    )
    assert json.loads(answer.body)["message"] == message
    assert dict(answer.headers)["x-tenantry-reason"] == "KindNotReadable"


def test_the_api_server_s_own_not_found_is_passed_on() -> None:
    details = StatusDetails(name="x", group="storage.k8s.io", kind="storageclasses")
    message = 'storageclasses.storage.k8s.io "x" not found'
    error = NotFoundError(message, status=404, api_reason="NotFound", details=details)
    answer = from_upstream(error, KindName("storage.k8s.io", "storageclasses")).answer
    told = json.loads(answer.body)
    assert (answer.status, told["message"], told["details"]) == (
        404,
        message,
        {"name": "x", "group": "storage.k8s.io", "kind": "storageclasses"},
    )


def custom(*columns: PrinterColumn) -> Kind:
    return Kind(group="e.com", version="v1", plural="ws", kind="W", list_kind="WList", is_custom=True, columns=columns)


def test_a_table_is_kept_where_its_only_dates_are_ages() -> None:
    """8.3: cells that depend on time otherwise are never answered from the cache."""
    age = PrinterColumn(name="Since", type="date", json_path=".metadata.creationTimestamp")
    due = PrinterColumn(name="Age", type="date", json_path=".spec.due")
    size = PrinterColumn(name="Size", type="integer", json_path=".spec.size")
    definitions = b'[{"name":"Name","type":"string"},{"name":"Size","type":"integer"},{"name":"Since","type":"date"}]'

    assert [custom(*columns).has_lasting_cells for columns in ((), (size, age), (size, due), (age, due))] == [
        True,
        True,
        False,
        False,
    ]
    assert age_columns(custom(size, age), definitions) == frozenset({2})
    assert age_columns(custom(), b'[{"name":"Name","type":"string"},{"name":"Age","type":"date"}]') == frozenset({1})


def test_unknown_kinds_of_the_server_are_not_kept_as_tables() -> None:
    def kind(group: str, plural: str) -> Kind:
        return Kind(group=group, version="v1", plural=plural, kind="K", list_kind="KList")

    assert kind("", "nodes").has_lasting_cells
    assert not kind("certificates.k8s.io", "certificatesigningrequests").has_lasting_cells
