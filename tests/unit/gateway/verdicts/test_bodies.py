"""Bytes of reviews: negotiated, read, written; protobuf by hand is still protobuf."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.reviews import (
    AccessReviewSpec,
    AccessReviewStatus,
    NonResourceAttributes,
    ResourceAttributes,
    SelectorAttributes,
    SelectorRequirement,
)
from tenantry.gateway.verdicts.bodies import BodyError, Format, accepted, access_answer, access_review, format_of
from tenantry.gateway.verdicts.wire import WireError, bytes_field, fields, number_field, opened, text

FORMS: tuple[Format, ...] = ("json", "protobuf")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
REQUIREMENTS = st.builds(
    SelectorRequirement,
    key=TEXTS,
    operator=TEXTS,
    values=st.none() | st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
)
SELECTORS = st.builds(
    SelectorAttributes,
    raw_selector=TEXTS,
    requirements=st.none() | st.lists(REQUIREMENTS, min_size=1, max_size=2).map(tuple),
)
ATTRIBUTES = st.builds(
    ResourceAttributes,
    **dict.fromkeys(("namespace", "verb", "group", "version", "resource", "subresource", "name"), TEXTS),
    field_selector=st.none() | SELECTORS,
    label_selector=st.none() | SELECTORS,
)
SPECS = st.builds(
    AccessReviewSpec,
    resource_attributes=st.none() | ATTRIBUTES,
    non_resource_attributes=st.none() | st.builds(NonResourceAttributes, path=TEXTS, verb=TEXTS),
)


@given(SPECS, st.sampled_from(FORMS))
def test_what_is_written_is_read_back(spec: AccessReviewSpec, form: Format) -> None:
    assert access_review(access_answer(spec, AccessReviewStatus(denied=True, reason="no"), form), form) == spec


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    spec = bytes_field(2, body)
    for content in (body, b"k8s\0" + body, b"k8s\0" + spec, b"k8s\0" + bytes_field(2, spec)):
        for form in FORMS:
            try:
                access_review(content, form)
            except BodyError:
                continue


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1) | st.binary(max_size=300)), max_size=5))
def test_fields_come_back_in_order(values: list[tuple[int, int | bytes]]) -> None:
    parts = [number_field(at, one) if isinstance(one, int) else bytes_field(at, one) for at, one in values]
    assert list(fields(b"".join(parts))) == values


def test_fields_of_fixed_width_are_passed_over() -> None:
    assert list(fields(b"\x09" + b"8" * 8 + b"\x15" + b"4" * 4 + number_field(3, 1))) == [
        (1, b"8" * 8),
        (2, b"4" * 4),
        (3, 1),
    ]


@pytest.mark.parametrize("message", [b"\x0a", b"\x0a\x05ab", b"\x08", b"\x08\x80", b"\x0b", b"\xff" * 12, b"\x09abc"])
def test_broken_messages_are_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        list(fields(message))


def test_wrong_types_are_refused() -> None:
    with pytest.raises(WireError, match="a number stands"):
        text(number_field(1, 5), 1)
    with pytest.raises(WireError, match="not UTF-8"):
        text(bytes_field(1, b"\xff"), 1)
    with pytest.raises(WireError, match="does not start"):
        opened(b"{}")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("application/*;q=0.5", "json"),
        ("application/vnd.kubernetes.protobuf", "protobuf"),
        ("application/vnd.kubernetes.protobuf,application/json", "protobuf"),
        ("application/json, */*", "json"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "json"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", None),
        ("application/json;q=0", None),
        ("application/cbor", None),
        ("text/html", None),
    ],
)
def test_invariant_14_a_type_is_chosen_or_none(accept: str, form: Format | None) -> None:
    assert accepted(accept) == form


def test_bodies_have_known_types() -> None:
    types = (
        "",
        "application/json; charset=utf-8",
        "application/vnd.kubernetes.protobuf",
        "application/yaml",
        "text/plain",
    )
    assert [format_of(content_type) for content_type in types] == ["json", "json", "protobuf", None, None]
