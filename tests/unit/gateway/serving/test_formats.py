"""Negotiation: the first form that can be filtered, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.gateway.serving.formats import OBJECTS, Format, Verb, negotiated
from tenantry.gateway.serving.refusals import RefusedError

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
KUBECTL = f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
METADATA = (
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)


@pytest.mark.parametrize(
    ("accept", "verb", "expected"),
    [
        ("", "list", OBJECTS),
        ("*/*", "list", OBJECTS),
        ("application/*", "get", OBJECTS),
        ("application/json;stream=watch", "watch", OBJECTS),
        ("application/vnd.kubernetes.protobuf,application/json", "list", OBJECTS),
        ("application/cbor, application/yaml;q=0.9, application/json;q=0.1", "list", OBJECTS),
        (KUBECTL, "list", Format("table")),
        (KUBECTL, "watch", Format("table")),
        ("application/json;q=0.5," + TABLE, "get", Format("table")),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", "list", Format("table", "v1beta1")),
        (METADATA, "list", Format("metadata")),
        (METADATA, "get", OBJECTS),
        ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1", "watch", Format("metadata", "v1beta1")),
        ("application/json;as=Other;g=meta.k8s.io;v=v1,application/json", "list", OBJECTS),
    ],
)
def test_the_first_form_that_can_be_filtered_is_taken(accept: str, verb: Verb, expected: Format) -> None:
    assert negotiated(accept, verb=verb, include=None) == expected


@pytest.mark.parametrize(
    "accept",
    [
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/cbor",
        "application/json;q=0",
        "application/json;q=x",
        "application/json;as=Table;v=v2;g=meta.k8s.io",
        "application/json;as=Table;v=v1;g=other",
        "application/json;stream=other",
        "garbage",
        "application/json\x00",
    ],
)
def test_nothing_else_is_taken(accept: str) -> None:
    """Invariant 14."""
    with pytest.raises(RefusedError) as refusal:
        negotiated(accept, verb="list", include=None)
    assert refusal.value.answer.status == 406


@given(st.text(max_size=60))
def test_whatever_is_accepted_it_is_a_known_form_or_refused(accept: str) -> None:
    status, form = 200, "object"
    try:
        form = negotiated(accept, verb="list", include=None).form
    except RefusedError as refusal:
        status = refusal.answer.status
    assert (status, form) in {(200, "object"), (200, "table"), (200, "metadata"), (406, "object")}


def test_a_table_that_the_cache_may_not_answer_gives_way() -> None:
    assert negotiated(KUBECTL, verb="watch", include=None, allows_tables=False) == OBJECTS


def test_what_a_row_includes_is_honoured_or_refused() -> None:
    assert negotiated(TABLE, verb="list", include="Object").include == "Object"
    assert negotiated("application/json", verb="list", include="nonsense") == OBJECTS
    with pytest.raises(RefusedError) as refusal:
        negotiated(TABLE, verb="list", include="nonsense")
    assert refusal.value.answer.status == 400
