"""What stands around a list says of the whole what the API server would."""

from __future__ import annotations

import json

import pytest

from tenantry.foundation.codec import DecodeError
from tenantry.gateway.fanout.envelopes import closing, empty_list, lowest, opening, read_envelope

TABLE = (
    b'{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"3"},'
    b'"columnDefinitions":[{"name":"Name"}],"rows":[]}'
)


def test_a_table_keeps_its_columns() -> None:
    envelope = read_envelope(TABLE)
    document = opening(envelope) + b'{"cells":[1]}' + closing(envelope, envelope, version="2", token="")
    assert json.loads(document) == json.loads(TABLE) | {"metadata": {"resourceVersion": "2"}, "rows": [{"cells": [1]}]}


def test_a_kind_that_comes_after_the_items_is_written_there() -> None:
    head, whole = (
        read_envelope(b'{"apiVersion":"g/v1","items":[]}'),
        read_envelope(
            b'{"apiVersion":"g/v1","items":[],"kind":"XList","metadata":{"continue":"","resourceVersion":"9"}}'
        ),
    )
    document = opening(head) + closing(head, whole, version="9", token="t")
    assert json.loads(document) == {
        "kind": "XList",
        "apiVersion": "g/v1",
        "metadata": {"resourceVersion": "9", "continue": "t"},
        "items": [],
    }
    assert head.fits(whole)


@pytest.mark.parametrize(
    "other",
    [TABLE, b'{"kind":"PodList","apiVersion":"v2","items":[]}', b'{"kind":"NodeList","apiVersion":"v1","items":[]}'],
)
def test_other_lists_do_not_fit(other: bytes) -> None:
    assert not read_envelope(b'{"kind":"PodList","apiVersion":"v1","items":[]}').fits(read_envelope(other))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json", {"kind": "PodList", "apiVersion": "v1", "items": []}),
        (
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": [], "rows": []},
        ),
        (
            "application/json;as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io",
            {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1beta1", "items": []},
        ),
    ],
)
def test_nothing_is_told_in_the_form_asked_for(accept: str, expected: dict[str, object]) -> None:
    document = empty_list("Pod", "v1", accept=accept, version="5")
    assert json.loads(document) == expected | {"metadata": {"resourceVersion": "5"}}


def test_the_version_is_the_lowest_number_and_none_where_a_part_has_none() -> None:
    assert [lowest(["10", "9"]), lowest(["10", ""]), lowest(["10", "x"]), lowest([])] == ["9", "", "", ""]


def test_items_that_are_there_twice_are_refused() -> None:
    with pytest.raises(DecodeError, match="twice"):
        read_envelope(b'{"items":[],"items":[2,3]}')
