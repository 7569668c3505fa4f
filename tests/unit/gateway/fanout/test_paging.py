"""Pages together have every element once, in order, within the limit, whatever sizes namespaces have."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tenantry.gateway.fanout.paging import READ_AHEAD, Paging, Piece


def read(sizes: dict[str, int], piece: Piece) -> tuple[list[tuple[str, int]], str]:
    """As the API server would: from the token on, at most the limit, and where to go on."""
    start = int(piece.token or 0)
    stop = sizes[piece.namespace] if piece.limit is None else min(start + piece.limit, sizes[piece.namespace])
    token = str(stop) if stop < sizes[piece.namespace] else ""
    return [(piece.namespace, number) for number in range(start, stop)], token


def page(sizes: dict[str, int], paging: Paging) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    ahead: list[Piece] = []
    while not paging.is_full:
        while (piece := paging.begin()) is not None:
            ahead.append(piece)
            assert len(ahead) <= READ_AHEAD
        if not ahead:
            break
        elements, token = read(sizes, ahead.pop(0))
        found += elements
        for dropped in reversed(paging.done(count=len(elements), token=token)):
            assert ahead.pop() == dropped
    return found


def pages(sizes: dict[str, int], limit: int | None) -> Iterator[list[tuple[str, int]]]:
    names, token = list(sizes), ""
    while names:
        paging = Paging(names, token=token, limit=limit)
        yield page(sizes, paging)
        rest = paging.rest
        if rest is None:
            return
        names, token = names[names.index(rest.namespace) :], rest.token


@given(st.lists(st.integers(0, 40), max_size=25), st.none() | st.integers(1, 60))
def test_every_element_comes_once_and_in_order(counts: list[int], limit: int | None) -> None:
    sizes = {f"n{number:02}": count for number, count in enumerate(counts)}
    found = list(pages(sizes, limit))
    assert [element for part in found for element in part] == [
        (name, number) for name, count in sizes.items() for number in range(count)
    ]
    full = found if limit is None else found[:-1]
    assert all(len(part) == limit for part in full) or limit is None
    assert all(len(part) <= (limit or len(part)) for part in found)


def test_one_namespace_after_the_other_is_read_while_they_may_be_large() -> None:
    paging = Paging(["a", "b", "c"], limit=500)
    assert [paging.begin(), paging.begin()] == [Piece("a", limit=500), None]
    assert paging.done(count=250, token="") == []
    assert [paging.begin(), paging.begin()] == [Piece("b", limit=250), None]


def test_small_namespaces_share_the_room() -> None:
    paging = Paging([f"n{number}" for number in range(9)], limit=500)
    paging.begin()
    paging.done(count=4, token="")
    begun = list(iter(paging.begin, None))
    assert begun == [Piece(f"n{number}", limit=124) for number in (1, 2, 3, 4)]


def test_the_rest_of_a_namespace_comes_before_those_begun_after_it() -> None:
    paging = Paging(["a", "b", "c", "d"], limit=100)
    paging.begin()
    paging.done(count=1, token="")
    assert list(iter(paging.begin, None)) == [Piece("b", limit=33), Piece("c", limit=33), Piece("d", limit=33)]
    assert paging.done(count=33, token="t") == [Piece("c", limit=33), Piece("d", limit=33)]
    assert paging.begin() == Piece("b", "t", 66)
