"""AdmissionReviews on the wire."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.admission.reviews import Answer, MalformedReviewError, decoded_review, encoded_answer
from tenantry.foundation.codec import Raw
from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.request import Operation, Request, Requester
from tenantry.tenancy.verdict import Denial

V1 = "admission.k8s.io/v1"


def review(**request: Any) -> dict[str, Any]:
    return {
        "apiVersion": V1,
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "requestKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "name": "web",
            "namespace": "solar-dev",
            "operation": "UPDATE",
            "userInfo": {"username": "alice", "uid": "7", "groups": ["b", "a"], "extra": {"scopes": ["x"]}},
            "object": {"metadata": {"name": "web"}},
            "oldObject": {"metadata": {}},
            "dryRun": True,
            "options": {"kind": "UpdateOptions"},
            **request,
        },
    }


def encoded(review: Any) -> bytes:
    return json.dumps(review, separators=(",", ":")).encode()


def test_a_review_becomes_a_request() -> None:
    version, request = decoded_review(encoded(review()))

    assert version == V1
    assert request == Request(
        uid="u-1",
        operation=Operation.UPDATE,
        group="apps",
        version="v1",
        kind="Deployment",
        resource="deployments",
        namespace="solar-dev",
        name="web",
        requester=Requester(username="alice", groups=frozenset({"a", "b"})),
        object=Raw(b'{"metadata":{"name":"web"}}'),
        old_object=Raw(b'{"metadata":{}}'),
        dry_run=True,
    )


def test_what_is_absent_or_null_is_none_or_empty() -> None:
    given_ = review(object=None, name=None, namespace=None, dryRun=None, subResource="status", operation="DELETE")
    del given_["request"]["oldObject"]
    given_["request"]["userInfo"] = {"username": "x", "groups": None}

    _, request = decoded_review(encoded(given_))

    assert (request.object, request.old_object, request.name, request.namespace, request.dry_run) == (
        None,
        None,
        "",
        "",
        False,
    )
    assert (request.subresource, request.requester) == ("status", Requester(username="x"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no AdmissionReview"),
        (b"{", "no AdmissionReview"),
        (b"[]", "no AdmissionReview"),
        (b"null", "no AdmissionReview"),
        (b"\xff", "no AdmissionReview"),
        (b"{}", "nameless kind of no API version"),
        (encoded({"apiVersion": "v1", "kind": "Pod"}), "a Pod of v1"),
        (encoded({"apiVersion": "admission.k8s.io/v2", "kind": "AdmissionReview"}), "admission.k8s.io/v2"),
        (encoded({"apiVersion": V1, "kind": "AdmissionReview"}), "has no request"),
        (encoded(review(uid="")), "request.uid is empty"),
        (encoded(review(operation="PATCH")), "'PATCH' is none of"),
        (encoded(review(kind={})), "request.kind.kind is empty"),
        (encoded(review(resource={})), "request.resource.resource is empty"),
        (encoded(review(userInfo=5)), r"\$.request.userInfo"),
    ],
)
def test_what_is_no_review_is_named(body: bytes, words: str) -> None:
    with pytest.raises(MalformedReviewError, match=words):
        decoded_review(body)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(encoded))
def test_any_bytes_are_a_review_or_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReviewError):
        decoded_review(body)


def test_answers_in_the_version_of_the_review() -> None:
    allowed = json.loads(encoded_answer("admission.k8s.io/v1beta1", "u", Answer(warnings=("mind the gap",))))
    patched = json.loads(
        encoded_answer(V1, "u", Answer(patch=(PatchOperation(op="add", path="/metadata/labels", value={"a": "b"}),)))
    )
    denied = json.loads(encoded_answer(V1, "u", Answer(denial=Denial(reason="Quota", message="too many"))))
    errored = json.loads(encoded_answer(V1, "u", Answer(denial=Denial(reason="X", message="oh", code=500))))

    assert allowed == {
        "apiVersion": "admission.k8s.io/v1beta1",
        "kind": "AdmissionReview",
        "response": {"uid": "u", "allowed": True, "warnings": ["mind the gap"]},
    }
    patch = base64.b64decode(patched["response"].pop("patch"))
    assert json.loads(patch) == [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
    assert patched["response"] == {"uid": "u", "allowed": True, "patchType": "JSONPatch"}
    assert denied["response"] == {
        "uid": "u",
        "allowed": False,
        "status": {"status": "Failure", "message": "too many", "reason": "Forbidden", "code": 403},
    }
    assert errored["response"]["status"] == {
        "status": "Failure",
        "message": "oh",
        "reason": "InternalError",
        "code": 500,
    }
