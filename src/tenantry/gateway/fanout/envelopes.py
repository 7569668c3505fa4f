"""What stands around the elements of a list: read from each part, written once for the whole."""

from __future__ import annotations

from typing import Final

from tenantry.foundation.codec import DecodeError, Model, Raw, decode, encode, field

_META: Final = "meta.k8s.io"


class _Metadata(Model):
    resource_version: str = ""
    token: str = field(name="continue", default="")


class Envelope(Model):
    """A list or a Table, without its elements."""

    kind: str = ""
    """Empty while it may still come: custom resources have it after their items."""
    api_version: str = ""
    metadata: _Metadata = _Metadata()
    column_definitions: Raw = Raw(b"")
    items: Raw = Raw(b"")
    rows: Raw = Raw(b"")
    """Where it is a Table; ``items`` otherwise."""

    @property
    def array(self) -> str:
        """The name of its array."""
        return "rows" if self.rows else "items"

    def fits(self, other: Envelope) -> bool:
        """Return whether elements of both may stand in one list."""
        return (self.array, self.api_version) == (other.array, other.api_version) and (
            not self.kind or not other.kind or self.kind == other.kind
        )


def read_envelope(document: bytes) -> Envelope:
    """Return the envelope in *document*; raise DecodeError where there is none."""
    envelope = decode(document, Envelope)
    if any(bytes(array).strip(b"[] \t\r\n") not in {b"", b"null"} for array in (envelope.items, envelope.rows)):
        raise DecodeError("a list that has its items twice")
    return envelope


def opening(envelope: Envelope) -> bytes:
    """Return how a list begins, up to and with the bracket of its array."""
    named = {"kind": envelope.kind, "apiVersion": envelope.api_version} if envelope.kind else {}
    members = [encode(named)[1:-1]] if named else []
    if envelope.column_definitions:
        members.append(b'"columnDefinitions":' + bytes(envelope.column_definitions))
    members.append(encode(envelope.array) + b":[")
    return b"{" + b",".join(members)


def closing(begun: Envelope, ended: Envelope, *, version: str, token: str) -> bytes:
    """Return how the list ends that began with ``opening(begun)``.

    Args:
        begun: What was known when it began.
        ended: A whole envelope of the same list.
        version: Of the whole list; empty where its parts have none.
        token: ``continue``; empty on the last page.
    """
    # At the end, since only there all of it is known: JSON's members have no order.
    members: dict[str, object] = {} if begun.kind else {"kind": ended.kind, "apiVersion": ended.api_version}
    members["metadata"] = {"resourceVersion": version} if version else {}
    if token:
        members["metadata"] = {"resourceVersion": version, "continue": token}
    return b"]," + encode(members)[1:] + b"\n"


def empty_list(kind: str, api_version: str, *, accept: str, version: str) -> bytes:
    """Return a list of nothing, in the form that the API server would choose for *accept*."""
    form, _, group_version = accept.split(",", maxsplit=1)[0].partition(";as=")[2].partition(";")
    meta_version = f"{_META}/v1beta1" if "v=v1beta1" in group_version else f"{_META}/v1"
    metadata = {"resourceVersion": version} if version else {}
    if form == "Table":
        head: dict[str, object] = {"kind": "Table", "apiVersion": meta_version, "metadata": metadata}
        return encode(head | {"columnDefinitions": [], "rows": []}) + b"\n"
    if form:
        kind, api_version = "PartialObjectMetadata", meta_version
    head = {"kind": f"{kind}List", "apiVersion": api_version, "metadata": metadata}
    return encode(head | {"items": []}) + b"\n"


def lowest(versions: list[str]) -> str:
    """Return the lowest of the lists' versions; empty where one has none that compares."""
    if not versions or not all(version.isdecimal() for version in versions):
        return ""
    return str(min(map(int, versions)))
