"""Lists in pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from tenantry.api.core import ConfigMap
from tenantry.api.meta import ObjectMeta
from tenantry.foundation.codec import encode
from tenantry.kube.errors import GoneError, UndecodableError
from tenantry.kube.listing import Listing, fetch_all, list_version
from tenantry.kube.resources import CONFIG_MAPS


def _page(names: Sequence[str] | None, *, token: str = "", version: str = "7") -> bytes:
    items = None if names is None else [{"metadata": {"name": name, "namespace": "n"}} for name in names]
    return encode({"metadata": {"resourceVersion": version, "continue": token}, "items": items})


def _script(*answers: bytes | Exception) -> tuple[Callable[[dict[str, str]], Awaitable[bytes]], list[dict[str, str]]]:
    asked: list[dict[str, str]] = []
    left = list(answers)

    async def fetch(query: dict[str, str]) -> bytes:
        asked.append(dict(query))
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return fetch, asked


def _map(name: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="n"))


GONE = GoneError("expired", status=410)


async def test_pages_are_followed() -> None:
    fetch, asked = _script(_page(["a", "b"], token="t1"), _page(["c"], token="t2"), _page([]))

    listing = await fetch_all(fetch, CONFIG_MAPS, page_size=2)

    assert listing == Listing([_map("a"), _map("b"), _map("c")], "7")
    assert asked == [{"limit": "2"}, {"limit": "2", "continue": "t1"}, {"limit": "2", "continue": "t2"}]


async def test_gos_null_is_an_empty_list() -> None:
    fetch, _ = _script(_page(None))

    assert await fetch_all(fetch, CONFIG_MAPS, page_size=2) == Listing([], "7")


async def test_a_page_that_expired_starts_the_list_again() -> None:
    fetch, asked = _script(_page(["a"], token="t1"), GONE, _page(["b"], version="9"))

    assert await fetch_all(fetch, CONFIG_MAPS, page_size=1) == Listing([_map("b")], "9")
    assert asked == [{"limit": "1"}, {"limit": "1", "continue": "t1"}, {"limit": "1"}]


async def test_pages_that_expire_again_end_in_one_piece() -> None:
    fetch, asked = _script(_page(["a"], token="t"), GONE, _page(["a"], token="t"), GONE, _page(["a", "b"]))

    assert await fetch_all(fetch, CONFIG_MAPS, page_size=1) == Listing([_map("a"), _map("b")], "7")
    assert asked[-1] == {}


async def test_a_list_that_is_always_gone_fails() -> None:
    fetch, _ = _script(GONE, GONE, GONE)

    with pytest.raises(GoneError):
        await fetch_all(fetch, CONFIG_MAPS, page_size=1)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([{"metadata": {"name": "ok"}}, {"metadata": {"name": "bad", "namespace": "n"}, "data": 5}], "n/bad: .*data"),
        ([{"metadata": "nonsense"}], "an object without usable metadata"),
        ("nonsense", "items"),
    ],
)
async def test_an_object_of_another_shape_fails_the_list_by_name(items: Any, message: str) -> None:
    """Left out, it would look deleted."""
    fetch, _ = _script(encode({"metadata": {}, "items": items}))

    with pytest.raises(UndecodableError, match=message):
        await fetch_all(fetch, CONFIG_MAPS, page_size=1)


def test_the_version_of_a_list() -> None:
    assert [list_version(_page(["a"], version=text)) for text in ("12", "")] == [12, 0]
    with pytest.raises(UndecodableError):
        list_version(b"nonsense")
