"""Only JSON is ever asked for; what can't be put together is refused (invariant 14, R-040)."""

from __future__ import annotations

import pytest

from tenantry.gateway.fanout.negotiation import upstream_accept

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        ("application/vnd.kubernetes.protobuf,application/json", "application/json"),
        ("application/vnd.kubernetes.protobuf, */*", "application/json"),
        ("application/vnd.kubernetes.protobuf", None),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", None),
        ("application/cbor", None),
        ("application/yaml", None),
        ("text/html", None),
        ("application/json;q=0", None),
        (f"{TABLE},{TABLE.replace('v=v1', 'v=v1beta1')},application/json",) * 2,
        (METADATA, METADATA),
        (f"{METADATA};q=0.5,application/json", f"application/json,{METADATA}"),
        ("application/json;as=Other;v=v1;g=meta.k8s.io", None),
        ("application/json;as=Table;v=v2;g=meta.k8s.io", None),
        ("application/json;as=Table;v=v1;g=evil", None),
        ("application/json;as=Table;v=v1;g=meta.k8s.io;x=\n", None),
        ("application/json;q=x", None),
    ],
)
def test_lists(accept: str, expected: str | None) -> None:
    assert upstream_accept(accept, is_watch=False) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json;stream=watch", "application/json"),
        ("application/vnd.kubernetes.protobuf;stream=watch,application/json", "application/json"),
        ("application/vnd.kubernetes.protobuf;stream=watch", None),
        (METADATA, None),
        (METADATA.replace("List", ""), METADATA.replace("List", "")),
    ],
)
def test_watches(accept: str, expected: str | None) -> None:
    assert upstream_accept(accept, is_watch=True) == expected
