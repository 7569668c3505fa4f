"""Requests are classified as kube-apiserver classifies them, and what is ambiguous is refused."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.requests import METHODS, RefusedRequestError, RequestInfo, request_info

VECTORS = [
    # method, target, verb, group, version, namespace, resource, subresource, name
    ("GET", "/api/v1/namespaces", "list", "", "v1", "", "namespaces", "", ""),
    ("GET", "/api/v1/namespaces/", "list", "", "v1", "", "namespaces", "", ""),
    ("GET", "/api/v1/namespaces/other", "get", "", "v1", "other", "namespaces", "", "other"),
    ("GET", "/api/v1/namespaces/other?watch=1", "get", "", "v1", "other", "namespaces", "", "other"),
    ("GET", "/api/v1/namespaces/other/pods", "list", "", "v1", "other", "pods", "", ""),
    ("GET", "/api/v1/namespaces/other/pods/foo", "get", "", "v1", "other", "pods", "", "foo"),
    ("HEAD", "/api/v1/namespaces/other/pods/foo", "get", "", "v1", "other", "pods", "", "foo"),
    ("HEAD", "/api/v1/pods", "list", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/pods", "list", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/proxy/namespaces/other/pods/foo", "proxy", "", "v1", "other", "pods", "", "foo"),
    ("GET", "/api/v1/proxy/namespaces/other/pods/foo/sub/path", "proxy", "", "v1", "other", "pods", "", "foo"),
    ("GET", "/api/v1/watch/pods", "watch", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/watch/namespaces", "watch", "", "v1", "", "namespaces", "", ""),
    ("DELETE", "/api/v1/watch/namespaces", "watch", "", "v1", "", "namespaces", "", ""),
    ("GET", "/api/v1/watch/namespaces/other/pods/foo", "watch", "", "v1", "other", "pods", "", "foo"),
    ("GET", "/api/v1/pods?watch=true", "watch", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/pods?watch", "watch", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/pods?watch=no", "watch", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/pods?watch=False", "list", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/pods?w%61tch=1", "watch", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/namespaces/other/pods?watch=0", "list", "", "v1", "other", "pods", "", ""),
    ("GET", "/api/v1/namespaces/other/pods/foo/status", "get", "", "v1", "other", "pods", "status", "foo"),
    ("GET", "/api/v1/namespaces/other/pods/foo/proxy/sub", "get", "", "v1", "other", "pods", "proxy", "foo"),
    ("PUT", "/api/v1/namespaces/other/finalize", "update", "", "v1", "other", "namespaces", "finalize", "other"),
    ("PUT", "/api/v1/namespaces/other/status", "update", "", "v1", "other", "namespaces", "status", "other"),
    ("GET", "/api/v1/namespaces/status", "get", "", "v1", "status", "namespaces", "", "status"),
    (
        "PATCH",
        "/apis/apps/v1/namespaces/o/deployments/d/scale",
        "patch",
        "apps",
        "v1",
        "o",
        "deployments",
        "scale",
        "d",
    ),
    ("DELETE", "/api/v1/namespaces/other/pods/foo", "delete", "", "v1", "other", "pods", "", "foo"),
    ("POST", "/api/v1/namespaces/other/pods", "create", "", "v1", "other", "pods", "", ""),
    ("DELETE", "/api/v1/nodes", "deletecollection", "", "v1", "", "nodes", "", ""),
    ("DELETE", "/apis/extensions/v1/namespaces/o/pods", "deletecollection", "extensions", "v1", "o", "pods", "", ""),
    ("OPTIONS", "/api/v1/pods", "", "", "v1", "", "pods", "", ""),
    ("GET", "/apis/a.b/v1/things/x%3Ay", "get", "a.b", "v1", "", "things", "", "x:y"),
    ("GET", "/apis/g/v/r?fieldSelector=metadata.name%3Dname1", "list", "g", "v", "", "r", "", "name1"),
    ("GET", "/apis/g/v/r?fieldSelector=metadata.name==a%5C%2Cb,x!=y&watch=1", "watch", "g", "v", "", "r", "", "a,b"),
    ("GET", "/apis/g/v/r?fieldSelector=metadata.name=name1,foo", "list", "g", "v", "", "r", "", ""),
    ("GET", "/apis/g/v/r?fieldSelector=metadata.name=name1%5C", "list", "g", "v", "", "r", "", ""),
    ("GET", "/apis/g/v/r?fieldSelector=metadata.name!=name1", "list", "g", "v", "", "r", "", ""),
    ("GET", "/apis/g/v/r?fieldSelector=metadata.name=..", "list", "g", "v", "", "r", "", ""),
    ("GET", "/apis/g/v/r?fieldSelector=metadata.name=a&limit=x", "list", "g", "v", "", "r", "", ""),
    ("GET", "/apis/g/v/watch/r?fieldSelector=metadata.name=foo", "watch", "g", "v", "", "r", "", ""),
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector[0]} {vector[1]}")
def test_invariant_13_resources_are_classified_as_upstream(vector: tuple[str, ...]) -> None:
    found = request_info(vector[0], vector[1])
    described = (found.verb, found.api_group, found.api_version, found.namespace, found.resource)
    assert (found.is_resource, *described, found.subresource, found.name) == (True, *vector[2:])


@pytest.mark.parametrize(
    "target",
    ["/api", "/api/", "/api/v1", "/apis", "/apis/batch", "/apis/batch/v1/", "/version", "/openapi/v3/apis/apps/v1",
     "/healthz", "/livez/ping", "/readyz?verbose"],
)  # fmt: skip
def test_the_rest_has_its_method_as_verb(target: str) -> None:
    found = request_info("GET", target)
    assert (found.is_resource, found.verb, found.resource) == (False, "get", "")


def test_a_request_is_described_whole() -> None:
    target = "/apis/apps/v1/deployments?labelSelector=a%3Db&fieldSelector=x=y&limit=5&pretty=1&pretty=2"
    assert request_info("GET", target) == RequestInfo(
        method="GET",
        path="/apis/apps/v1/deployments",
        verb="list",
        query=(("labelSelector", "a=b"), ("fieldSelector", "x=y"), ("limit", "5"), ("pretty", "1"), ("pretty", "2")),
        is_resource=True,
        api_prefix="apis",
        api_group="apps",
        api_version="v1",
        resource="deployments",
        parts=("deployments",),
        field_selector="x=y",
        label_selector="a=b",
    )


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("POST", "/api/v1/namespaces/n/pods/p/exec?command=a&command=b", ("connect", True, True)),
        ("GET", "/api/v1/namespaces/n/pods/p/exec", ("connect", True, True)),
        ("GET", "/api/v1/namespaces/n/pods/p/attach", ("connect", True, True)),
        ("GET", "/api/v1/namespaces/n/pods/p/portforward", ("connect", True, True)),
        ("PUT", "/api/v1/namespaces/n/services/s/proxy/a", ("connect", True, True)),
        ("GET", "/api/v1/nodes/n/proxy", ("connect", True, True)),
        ("GET", "/api/v1/proxy/nodes/n", ("connect", True, True)),
        ("GET", "/api/v1/namespaces/n/pods/p/log", ("get", True, False)),
        ("GET", "/api/v1/pods?watch=1", ("watch", True, False)),
        ("GET", "/api/v1/watch/pods", ("watch", True, False)),
        ("GET", "/api/v1/pods", ("list", False, False)),
        ("GET", "/healthz?watch=1", ("get", False, False)),
    ],
)
def test_streams_have_one_verb_whatever_the_method(method: str, target: str, expected: tuple[str, bool, bool]) -> None:
    found = request_info(method, target)
    assert (found.action, found.is_long_running, found.is_upgradeable) == expected


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/namespaces/a%2fb", "/api/v1/namespaces/a%2Fb", "/api/v1/namespaces/a%5cb", "/api/v1/namespaces/a\\b",
        "/api/v1/namespaces/a%252fb", "/api/v1/namespaces/%252e%252e", "/api/v1/namespaces/../secrets",
        "/api/v1/namespaces/%2e%2E/secrets", "/api/v1/./pods", "/api/v1/pods/..", "//api/v1/pods", "/api//v1/pods",
        "/api/v1/pods//", "/api/v1/namespaces/%00", "/api/v1/namespaces/%0d%0aa", "/api/v1/namespaces/%ff",
        "/api/v1/namespaces/%C0%AF", "/api/v1/namespaces/%zz", "/api/v1/namespaces/a%2", "/api/v1/namespaces/a b",
        "/api/v1/namespaces/ä", "/api/v1/pods#x", "http://x/api/v1/pods", "*", "", "api/v1/pods", "?watch=1",
        "/api/v1/watch", "/apis/apps/v1/proxy",
    ],
)  # fmt: skip
def test_invariant_16_path_tricks_are_refused(target: str) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        request_info("GET", target)
    assert (refused.value.token, refused.value.status) == ("Path", 400)


@pytest.mark.parametrize(
    "target", ["/", "/metrics", "/logs", "/API/v1/pods", "/api%20/v1/pods", "/debug/pprof", "/apix"]
)
def test_invariant_16_unknown_paths_are_not_there(target: str) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        request_info("GET", target)
    assert (refused.value.token, refused.value.status) == ("UnknownPath", 404)


@pytest.mark.parametrize("method", ["get", "TRACE", "CONNECT", "", "LIST", "WATCH", "GET "])
def test_invariant_13_other_methods_are_refused(method: str) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        request_info(method, "/api/v1/pods")
    assert (refused.value.token, refused.value.status) == ("Method", 405)


@pytest.mark.parametrize(
    "query",
    [
        "labelSelector=a&labelSelector=b",
        "watch=0&watch=1",
        "watch=0&w%61tch=1",
        "continue=a&continue=a",
        "limit=1&limit",
    ],
)
def test_invariant_12_repeated_parameters_are_refused(query: str) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        request_info("GET", f"/api/v1/pods?{query}")
    assert (refused.value.token, refused.value.status) == ("RepeatedParameter", 400)


@pytest.mark.parametrize("query", ["a=1;watch=1", "watch=%zz", "labelSelector=%ff", "a=%"])
def test_invariant_12_pairs_that_upstream_would_drop_are_refused(query: str) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        request_info("GET", f"/api/v1/pods?{query}")
    assert (refused.value.token, refused.value.status) == ("Query", 400)


def test_the_query_of_a_proxied_application_is_its_own() -> None:
    found = request_info("GET", "/api/v1/namespaces/n/services/s/proxy/?watch=1&watch=2&a;b=%zz")
    assert (found.query, found.verb) == ((("watch", "1"), ("watch", "2")), "get")


NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?", fullmatch=True)


@given(NAMES, NAMES.filter(lambda name: name not in {"status", "finalize"}), NAMES)
def test_what_is_built_is_read_back(namespace: str, resource: str, name: str) -> None:
    found = request_info("DELETE", f"/apis/g/v1/namespaces/{namespace}/{resource}/{quote(name)}")
    assert (found.verb, found.namespace, found.resource, found.name) == ("delete", namespace, resource, name)


@given(st.sampled_from(sorted(METHODS)), st.text(alphabet="/api.v1n%25cfFeE\\?=&;watch,é\0 ", max_size=60))
def test_no_target_breaks_the_parser(method: str, rest: str) -> None:
    """Whatever is sent is refused, or has no segment that another parser could read otherwise."""
    try:
        found = request_info(method, f"/api/v1/{rest}")
    except RefusedRequestError:
        return
    assert not any(
        part in {".", ".."} or "/" in part or "\\" in part or "\0" in part for part in (found.namespace, *found.parts)
    )
