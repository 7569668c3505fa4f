"""R-040: every representation that clients ask for holds what is seen, and reads as the API server writes it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from caller import JSON, Caller
from stage import NAMESPACES, Stage, resource, user

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
PARTIAL_ONE = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KUBECTL = f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"


async def an_owner(stage: Stage) -> tuple[list[str], Caller]:
    """A user's two namespaces, labelled."""
    name, mark = stage.unique("user"), stage.unique("mark")
    tenant = await stage.tenant(user(name))
    spaces = sorted([await stage.namespace(tenant, labels={"run": mark}) for _ in range(2)])
    caller = stage.user(name)
    await stage.shows(lambda: caller.names(NAMESPACES), spaces)
    return spaces, caller


def plain(body: Any) -> Any:
    """A body without what changes between two reads: ages and the list's version."""
    if isinstance(body, dict):
        return {key: plain(value) for key, value in body.items() if key != "resourceVersion"}
    if isinstance(body, list):
        return [plain(each) for each in body]
    return "AGE" if isinstance(body, str) and re.fullmatch(r"\d+[smh](\d+s)?", body) else body


@pytest.mark.parametrize("accept", ["application/json", TABLE, KUBECTL, PARTIAL])
@pytest.mark.parametrize("include", ["", "None", "Metadata", "Object"])
async def test_lists_read_as_the_api_servers(stage: Stage, accept: str, include: str) -> None:
    """The administrator's answer to the same names, byte for byte but for ages and versions."""
    spaces, caller = await an_owner(stage)
    query = {"labelSelector": f"kubernetes.io/metadata.name in ({','.join(spaces)})"}
    query |= {"includeObject": include} if include else {}

    ours = await caller.ask(NAMESPACES, accept=accept, query=query)
    theirs = await stage.admin.ask(NAMESPACES, accept=accept, query=query)

    assert (ours.status, ours.content_type) == (200, theirs.content_type)
    assert plain(ours.body) == plain(theirs.body)


@pytest.mark.parametrize("accept", ["application/json", TABLE, PARTIAL_ONE])
async def test_single_objects_read_as_the_api_servers(stage: Stage, accept: str) -> None:
    """One namespace in each representation."""
    spaces, caller = await an_owner(stage)

    ours = await caller.ask(f"{NAMESPACES}/{spaces[0]}", accept=accept)
    theirs = await stage.admin.ask(f"{NAMESPACES}/{spaces[0]}", accept=accept)

    assert (ours.status, plain(ours.body)) == (theirs.status, plain(theirs.body))


@pytest.mark.parametrize("accept", [TABLE, PARTIAL_ONE])
async def test_watches_in_other_representations(stage: Stage, accept: str) -> None:
    """Tables: the columns come with the first event; metadata alone."""
    spaces, caller = await an_owner(stage)
    query = {"timeoutSeconds": "1"}
    async with caller.watching(NAMESPACES, accept=accept, **query) as watch:
        ours = await watch.rest()
    async with stage.admin.watching(
        NAMESPACES, accept=accept, labelSelector=f"kubernetes.io/metadata.name in ({','.join(spaces)})", **query
    ) as watch:
        theirs = await watch.rest()

    assert [plain(each) for each in ours] == [plain(each) for each in _in_order(theirs)]


def _in_order(events: list[JSON]) -> list[JSON]:
    """Events by name, with the columns where they are sent: in the first."""
    columns = [each["object"].get("columnDefinitions") for each in events]
    ordered = sorted(events, key=lambda each: str(each["object"].get("rows", [each["object"]])[0]))
    for event, column in zip(ordered, columns, strict=True):
        if "rows" in event["object"]:
            event["object"]["columnDefinitions"] = column
    return ordered


@pytest.mark.parametrize(
    "accept", ["application/yaml", "application/cbor", "text/html", "application/vnd.kubernetes.protobuf"]
)
async def test_what_cannot_be_filtered_is_never_sent_unfiltered(stage: Stage, accept: str) -> None:
    """Invariant 14: 406, or the few names that are seen."""
    spaces, caller = await an_owner(stage)

    reply = await caller.ask(NAMESPACES, accept=accept)

    assert reply.status in {200, 406}
    assert "kube-system" not in str(reply.body)
    both = await caller.ask(NAMESPACES, accept=f"{accept},application/json")
    assert both.names == spaces


async def test_pages(stage: Stage) -> None:
    """Limit and continue in name order; a page of the past stays what it was; others' tokens are refused."""
    name = stage.unique("user")
    tenant = await stage.tenant(user(name))
    spaces = sorted([await stage.namespace(tenant) for _ in range(5)])
    caller = stage.user(name)
    await stage.shows(lambda: caller.names(NAMESPACES), spaces)

    first = await caller.ask(NAMESPACES, query={"limit": "2"})
    metadata = first.body["metadata"]
    assert (first.names, metadata["remainingItemCount"]) == (spaces[:2], 3)
    second = await caller.ask(NAMESPACES, query={"limit": "2", "continue": metadata["continue"]})
    assert second.names == spaces[2:4]
    third = await caller.ask(NAMESPACES, query={"limit": "2", "continue": second.body["metadata"]["continue"]})
    assert third.names == spaces[4:]
    assert "continue" not in third.body["metadata"]
    assert {each.body["metadata"]["resourceVersion"] for each in (first, second, third)} == {
        metadata["resourceVersion"]
    }
    _, other = await an_owner(stage)
    assert (await other.ask(NAMESPACES, query={"continue": metadata["continue"]})).status in {400, 410}
    tampered = await caller.ask(NAMESPACES, query={"continue": metadata["continue"][:-4] + "AAAA"})
    assert tampered.status in {400, 410}
    names = (await stage.gateway.kubectl("get", "ns", "--chunk-size=2", "-o", "name", user=caller.kubeconfig)).stdout
    assert names.split() == [f"namespace/{space}" for space in spaces]


async def test_custom_columns_of_a_definition(stage: Stage) -> None:
    """Printer columns of custom resources are as the API server prints them."""
    name = stage.unique("user")
    await stage.global_rule([user(name)], resource(["apiextensions.k8s.io"], ["customresourcedefinitions"]))
    caller = stage.user(name)
    query = {"fieldSelector": "metadata.name=tenants.capsule.clastix.io"}

    ours = await caller.ask(CRDS, accept=KUBECTL, query=query)
    theirs = await stage.admin.ask(CRDS, accept=KUBECTL, query=query)

    assert plain(ours.body) == plain(theirs.body)
