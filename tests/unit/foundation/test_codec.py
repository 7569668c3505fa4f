"""JSON comes out as it went in, and mistakes are named by their place."""

from __future__ import annotations

import pytest

from tenantry.foundation.codec import DecodeError, Model, Raw, decode, decode_any, encode, field, from_plain, to_plain


class Inner(Model):
    node_port: int = 0


class Outer(Model):
    name: str = ""
    tls_name: str = field(name="TLSName", default="x")
    items: tuple[Inner, ...] = ()
    names: tuple[str, ...] = ()


VALUE = Outer(name="a", tls_name="b", items=(Inner(node_port=1), Inner()), names=("x", "y"))
WIRE = {"name": "a", "TLSName": "b", "items": [{"nodePort": 1}, {}], "names": ["x", "y"]}


def test_plain_values_are_those_of_the_wire() -> None:
    """Lists above all: a tuple would never equal what was read from JSON."""
    assert to_plain(VALUE) == WIRE == decode_any(encode(VALUE))
    assert to_plain({"items": (VALUE,)}) == {"items": [WIRE]}


def test_decoding_is_the_way_back() -> None:
    assert decode(encode(VALUE), Outer) == from_plain(WIRE, Outer) == VALUE
    assert decode(Raw(encode(VALUE)), Outer) == VALUE


def test_defaults_are_left_out() -> None:
    assert encode(Outer()) == b"{}"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"items": [{"nodePort": "1"}]}', r"Expected `int`, got `str` - at `\$\.items\[0\]\.nodePort`"),
        (b"{", "truncated"),
        (b'{"name": "\xff"}', "utf-8"),
        (b'{"name": "\\ud800"}', "truncated"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode(body, Outer)


def test_plain_values_of_the_wrong_shape_are_named_too() -> None:
    with pytest.raises(DecodeError, match=r"\$\.names"):
        from_plain({"names": [1]}, Outer)
    with pytest.raises(DecodeError):
        decode_any(b"nope")
