"""Hashes come out as those in the names that Capsule wrote."""

from __future__ import annotations

import pytest

from tenantry.foundation.hashing import fnv1a_64, length_prefixed_hash


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"", 0xCBF29CE484222325), (b"a", 0xAF63DC4C8601EC8C), (b"foobar", 0x85944171F73967E8)],
)
def test_published_vectors_of_fnv_1a(data: bytes, value: int) -> None:
    assert fnv1a_64(data) == value


def test_each_field_is_its_length_and_then_its_bytes() -> None:
    data = b"\x05\0\0\0\0\0\0\0admin" + b"\0" * 8 + b"\x02\0\0\0\0\0\0\0\xc3\xa9"

    assert length_prefixed_hash(["admin", "", "é"]) == f"{fnv1a_64(data):x}"


def test_borders_between_fields_count() -> None:
    assert length_prefixed_hash(["ab", "c"]) != length_prefixed_hash(["a", "bc"])


def test_there_are_no_leading_zeros() -> None:
    hashes = [length_prefixed_hash([str(number), "User", "alice"]) for number in range(200)]

    assert not [text for text in hashes if text.startswith("0")]
    assert min(map(len, hashes)) < 16, "none was short: the test shows nothing"
