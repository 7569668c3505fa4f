"""Which refusals may be told as not found."""

from __future__ import annotations

import pytest

from tenantry.access.masking import Masked, empty_list, maskable, not_found_details, not_found_message
from tenantry.access.requests import request_info
from tenantry.access.served import KindFacts

OBJECT, LIST = "/api/v1/namespaces/n/secrets/s", "/apis/apps/v1/namespaces/n/deployments"


@pytest.mark.parametrize(
    ("path", "filtered", "unfiltered"),
    [
        (OBJECT, Masked.NOT_FOUND, Masked.NOT_FOUND),
        (f"{OBJECT}?watch=1", Masked.NOT_FOUND, Masked.NOT_FOUND),
        (LIST, Masked.EMPTY_LIST, None),
        (f"{LIST}?watch=1", None, None),
        (f"{LIST}?fieldSelector=metadata.name=x", Masked.EMPTY_LIST, None),
        (f"{OBJECT}/status", None, None),
        ("/api/v1/namespaces/n", None, None),
        ("/api/v1/namespaces/n/finalize", None, None),
        ("/api/v1/watch/namespaces/n/secrets/s", None, None),
        ("/api/v1/secrets", None, None),
        ("/api/v1/nodes/n", None, None),
        ("/version", None, None),
    ],
)
def test_r_038_only_plain_reads_in_a_namespace(path: str, filtered: Masked | None, unfiltered: Masked | None) -> None:
    info = request_info("GET", path)
    assert (maskable(info, is_filtered=True), maskable(info, is_filtered=False)) == (filtered, unfiltered)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"])
def test_r_038_only_gets(method: str) -> None:
    assert maskable(request_info(method, OBJECT), is_filtered=True) is None


def test_texts_are_the_api_servers() -> None:
    assert not_found_message("", "nodes", "x") == 'nodes "x" not found'
    assert not_found_message("storage.k8s.io", "storageclasses", "x") == 'storageclasses.storage.k8s.io "x" not found'
    assert not_found_details("", "nodes", "x") == {"name": "x", "kind": "nodes"}
    assert not_found_details("g", "rs", "x") == {"name": "x", "group": "g", "kind": "rs"}


def test_an_empty_list_has_the_kind_of_its_items() -> None:
    facts = KindFacts(
        group="apps", version="v1", resource="deployments", kind="Deployment", is_namespaced=True, verbs=frozenset()
    )
    assert empty_list(facts) == {
        "kind": "DeploymentList",
        "apiVersion": "apps/v1",
        "metadata": {"resourceVersion": ""},
        "items": [],
    }
