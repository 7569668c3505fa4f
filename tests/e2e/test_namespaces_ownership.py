"""Who may change whose a namespace is: the table of spec 14.2, row by row, on every verb and subresource."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tenantry.api import labels
from tenantry.foundation.codec import decode_any
from tenantry.kube.client import Client
from tenantry.kube.errors import ApiError, ForbiddenError
from tenantry.kube.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NAMESPACES, SERVICE_ACCOUNTS
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

JSON = dict[str, Any]
ADMINISTRATOR = "platform-admin"
MEDIA = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


@dataclass(frozen=True, kw_only=True)
class Estate:
    """Two tenants with an owner each, who hold every right on namespaces: only admission stands before them."""

    world: World
    mine: str
    mine_uid: str
    theirs: str
    theirs_uid: str
    owner: Client
    stranger: Client

    def reference(self, tenant: str = "mine", **changes: Any) -> JSON:
        name, uid = (self.mine, self.mine_uid) if tenant == "mine" else (self.theirs, self.theirs_uid)
        return {"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant", "name": name, "uid": uid} | changes

    async def namespace(self) -> str:
        return await self.world.namespace(self.owner, self.mine)

    async def unmanaged(self) -> str:
        name = self.world.unique("unmanaged")
        await self.world.admin.create(NAMESPACES, {"metadata": {"name": name}})
        return name

    def normal(self, name: str, **annotations: str) -> JSON:
        """What the ownership part of a namespace of *mine* is, as a whole."""
        found: JSON = {
            "labels": {labels.TENANT: self.mine, labels.METADATA_NAME: name},
            "ownerReferences": [self.reference()],
        }
        return found | ({"annotations": annotations} if annotations else {})

    async def ownership(self, name: str) -> JSON:
        metadata = (await self.world.stored(NAMESPACES, name))["metadata"]
        return {key: metadata[key] for key in ("labels", "annotations", "ownerReferences") if key in metadata}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def estate(platform: Platform, unique: Callable[[str], str]) -> AsyncIterator[Estate]:
    async with World(platform, unique) as world:
        mine = await world.tenant({"owners": [{"kind": "User", "name": "mia"}]})
        theirs = await world.tenant({"owners": [{"kind": "User", "name": "theo"}]})
        role = world.unique("namespace-writer")
        rules = [{"apiGroups": [""], "resources": ["namespaces", "namespaces/status", "namespaces/finalize"]}]
        await world.admin.create(
            CLUSTER_ROLES, {"metadata": {"name": role}, "rules": [rule | {"verbs": ["*"]} for rule in rules]}
        )
        subjects = [
            {"kind": "Group", "name": group, "apiGroup": "rbac.authorization.k8s.io"}
            for group in (labels.DEFAULT_USER_GROUP, "system:serviceaccounts", "outsiders")
        ]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        await world.admin.create(
            CLUSTER_ROLE_BINDINGS, {"metadata": {"name": role}, "roleRef": reference, "subjects": subjects}
        )
        async with world.configured(administrators=[{"kind": "User", "name": ADMINISTRATOR}]):
            yield Estate(
                world=world,
                mine=mine.metadata.name,
                mine_uid=mine.metadata.uid,
                theirs=theirs.metadata.name,
                theirs_uid=theirs.metadata.uid,
                owner=await world.user("mia"),
                stranger=await world.user("theo"),
            )
        await world.admin.delete(CLUSTER_ROLE_BINDINGS, role)
        await world.admin.delete(CLUSTER_ROLES, role)


async def write(client: Client, name: str, kind: str, body: Any, subresource: str = "") -> JSON:
    """Send any kind of patch, or with ``update`` a whole object; return the answer."""
    path = f"/api/v1/namespaces/{name}" + (f"/{subresource}" if subresource else "")
    if kind == "update":
        return dict(decode_any(await client.request("PUT", path, body=body)))
    query = {"fieldManager": "e2e", "force": "true"} if kind == "apply" else {}
    headers = {"Content-Type": MEDIA[kind]}
    return dict(decode_any(await client.request("PATCH", path, query=query, body=body, headers=headers)))


async def refusal(client: Client, name: str, kind: str, body: Any, subresource: str = "") -> ForbiddenError:
    with pytest.raises(ForbiddenError) as caught:
        await write(client, name, kind, body, subresource)
    return caught.value


def metadata_patch(label: Any = ..., references: Any = ..., **annotations: str) -> JSON:
    metadata: JSON = {}
    if label is not ...:
        metadata["labels"] = {labels.TENANT: label}
    if references is not ...:
        metadata["ownerReferences"] = references
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata}


Row = tuple[str, Callable[[Estate], JSON]]
STILL_MINE: Sequence[Row] = (
    ("label removed", lambda _: metadata_patch(None)),
    ("label random", lambda _: metadata_patch("nobody")),
    ("label empty", lambda _: metadata_patch("")),
    ("label of another", lambda e: metadata_patch(e.theirs)),
    ("no reference", lambda _: metadata_patch(references=[])),
    ("references null", lambda _: metadata_patch(references=None)),
    ("reference to another", lambda e: metadata_patch(references=[e.reference("theirs")])),
    ("random uid", lambda e: metadata_patch(references=[e.reference(uid=str(uuid.uuid4()))])),
    ("random name", lambda e: metadata_patch(references=[e.reference(name="nobody")])),
    ("another's uid", lambda e: metadata_patch(references=[e.reference(uid=e.theirs_uid)])),
    ("both references", lambda e: metadata_patch(references=[e.reference(), e.reference("theirs")])),
    ("controller flag", lambda e: metadata_patch(references=[e.reference(controller=True)])),
    (
        "label of another and both references",
        lambda e: metadata_patch(e.theirs, [e.reference("theirs"), e.reference()]),
    ),
    (
        "label removed, old version",
        lambda e: metadata_patch(None, [e.reference(apiVersion="capsule.clastix.io/v1beta1")]),
    ),
)
MOVED: Sequence[Row] = (
    ("label and reference of another", lambda e: metadata_patch(e.theirs, [e.reference("theirs")])),
    ("neither", lambda _: metadata_patch(None, [])),
    ("label of another, no reference", lambda e: metadata_patch(e.theirs, [])),
    ("no label, reference to another", lambda e: metadata_patch(None, [e.reference("theirs")])),
    ("random label and uid", lambda e: metadata_patch("nobody", [e.reference(name="nobody", uid=str(uuid.uuid4()))])),
    ("no label, random uid", lambda e: metadata_patch(None, [e.reference(uid=str(uuid.uuid4()))])),
    ("label of another, my name with their uid", lambda e: metadata_patch(e.theirs, [e.reference(uid=e.theirs_uid)])),
)
TAKEN: Sequence[Row] = (
    ("label", lambda e: metadata_patch(e.mine)),
    ("reference", lambda e: metadata_patch(references=[e.reference()])),
    ("both", lambda e: metadata_patch(e.mine, [e.reference()])),
    ("random uid", lambda e: metadata_patch(references=[e.reference(uid=str(uuid.uuid4()))])),
    ("label of nobody", lambda _: metadata_patch("nobody")),
    ("label of another", lambda e: metadata_patch(e.theirs)),
)


def ids(row: object) -> str | None:
    return row[0] if isinstance(row, tuple) else None


@pytest.mark.parametrize("row", STILL_MINE, ids=ids)
async def test_what_still_names_the_tenant_is_put_right(estate: Estate, row: Row) -> None:
    """200, normalised to A; the user's other changes stay (by merge patch, as most Go clients write)."""
    name = await estate.namespace()
    patch = row[1](estate)
    patch["metadata"].setdefault("annotations", {})["note"] = "kept"

    answer = await write(estate.owner, name, "merge", patch)

    assert await estate.ownership(name) == estate.normal(name, note="kept")
    assert answer["metadata"]["ownerReferences"] == [estate.reference()]


@pytest.mark.parametrize("row", MOVED, ids=ids)
async def test_a_namespace_is_not_moved_out_of_its_tenant(estate: Estate, row: Row) -> None:
    name = await estate.namespace()

    error = await refusal(estate.owner, name, "merge", row[1](estate))

    assert "denied the request: namespace" in error.message
    assert await estate.ownership(name) == estate.normal(name)


@pytest.mark.parametrize("row", TAKEN, ids=ids)
async def test_an_unmanaged_namespace_is_not_taken(estate: Estate, row: Row) -> None:
    name = await estate.unmanaged()
    patch = row[1](estate)

    for kind in ("merge", "strategic"):
        error = await refusal(estate.owner, name, kind, patch)
        assert "namespace can not be patched into a tenant" in error.message
    apply = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **patch["metadata"]}}
    assert "namespace can not be patched into a tenant" in (await refusal(estate.owner, name, "apply", apply)).message
    assert (
        "namespace can not be patched into a tenant"
        in (await refusal(estate.owner, name, "merge", patch, "status")).message
    )
    assert await estate.ownership(name) == {"labels": {labels.METADATA_NAME: name}}


@pytest.mark.parametrize("name", ["kube-system", "default", "capsule-system", "kube-public"])
async def test_others_namespaces_are_not_touched_at_all(estate: Estate, name: str) -> None:
    """One annotation is too much, in kube-system too."""
    before = await estate.ownership(name)

    for kind in ("merge", "strategic"):
        error = await refusal(estate.owner, name, kind, metadata_patch(note="mine"))
        assert "namespace is not owned by any tenant" in error.message
    error = await refusal(estate.owner, name, "merge", metadata_patch(references=[estate.reference()]))
    assert "namespace can not be patched into a tenant" in error.message

    assert await estate.ownership(name) == before


async def test_an_update_that_changes_nothing_of_an_unmanaged_namespace_is_refused_too(estate: Estate) -> None:
    name = await estate.unmanaged()
    stored = await estate.world.stored(NAMESPACES, name)

    error = await refusal(estate.owner, name, "update", stored)

    assert "namespace is not owned by any tenant" in error.message


async def test_a_strategic_merge_adds_a_reference_and_is_reverted(estate: Estate) -> None:
    name = await estate.namespace()

    await write(estate.owner, name, "strategic", metadata_patch(estate.theirs, [estate.reference("theirs")], note="1"))

    assert await estate.ownership(name) == estate.normal(name, note="1")


async def test_a_strategic_merge_that_replaces_the_references_moves_nothing(estate: Estate) -> None:
    name = await estate.namespace()
    patch = metadata_patch(estate.theirs, [{"$patch": "replace"}, estate.reference("theirs")])

    await refusal(estate.owner, name, "strategic", patch)
    deleted = metadata_patch(estate.theirs, [{"$patch": "delete", "uid": estate.mine_uid}, estate.reference("theirs")])
    await refusal(estate.owner, name, "strategic", deleted)

    assert await estate.ownership(name) == estate.normal(name)


async def test_json_patches_are_judged_by_their_result(estate: Estate) -> None:
    name = await estate.namespace()
    key = labels.TENANT.replace("/", "~1")
    replaced = {"op": "replace", "path": "/metadata/ownerReferences/0/uid", "value": estate.theirs_uid}

    await write(estate.owner, name, "json", [replaced])
    await write(estate.owner, name, "json", [{"op": "remove", "path": f"/metadata/labels/{key}"}])
    await write(estate.owner, name, "json", [{"op": "remove", "path": "/metadata/ownerReferences"}])
    assert await estate.ownership(name) == estate.normal(name)

    await refusal(
        estate.owner,
        name,
        "json",
        [replaced, {"op": "replace", "path": f"/metadata/labels/{key}", "value": estate.theirs}],
    )
    await refusal(estate.owner, name, "json", [{"op": "remove", "path": "/metadata/labels"}, replaced])
    assert await estate.ownership(name) == estate.normal(name)


async def test_an_update_sends_the_whole_object_as_go_clients_do(estate: Estate) -> None:
    """Nulls and zero values do no harm, and what an update takes away is put back or refused."""
    name = await estate.namespace()

    async def changed(**metadata: Any) -> JSON:
        stored = await estate.world.stored(NAMESPACES, name)
        stored["metadata"] |= metadata
        return stored | {"status": {}}

    await write(estate.owner, name, "update", await changed(creationTimestamp=None, annotations={"note": "kept"}))
    await write(estate.owner, name, "update", await changed(labels={}))
    await write(estate.owner, name, "update", await changed(ownerReferences=None))
    assert await estate.ownership(name) == estate.normal(name, note="kept")

    await refusal(estate.owner, name, "update", await changed(labels=None, ownerReferences=None))
    await refusal(
        estate.owner,
        name,
        "update",
        await changed(labels={labels.TENANT: estate.theirs}, ownerReferences=[estate.reference("theirs")]),
    )
    assert await estate.ownership(name) == estate.normal(name, note="kept")


async def test_server_side_apply_is_judged_by_its_result(estate: Estate) -> None:
    name = await estate.namespace()

    def applied(**metadata: Any) -> JSON:
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}

    await write(estate.owner, name, "apply", applied(labels={labels.TENANT: estate.theirs, "app": "shop"}))
    await write(estate.owner, name, "apply", applied(ownerReferences=[estate.reference("theirs")]))
    found = await estate.ownership(name)
    assert found == estate.normal(name)

    other = await estate.world.namespace(estate.stranger, estate.theirs)
    stolen = {"name": other, "labels": {labels.TENANT: estate.mine}, "ownerReferences": [estate.reference()]}
    error = await refusal(estate.owner, other, "apply", applied() | {"metadata": stolen})
    assert "is not an owner of tenant" in error.message


async def test_apply_creates_a_namespace_in_the_tenant(estate: Estate) -> None:
    """`kubectl apply --server-side` of a namespace that does not exist is a CREATE."""
    name = estate.world.unique("applied")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}

    await write(estate.owner, name, "apply", body)
    await write(estate.owner, name, "apply", body)

    assert await estate.ownership(name) == estate.normal(name)


@pytest.mark.parametrize("subresource", ["status", "finalize"])
async def test_subresources_change_no_ownership(estate: Estate, subresource: str) -> None:
    """Refused or without effect, and nothing is mutated there (GHSA-2ww6-hf35-mfjm)."""
    name, bare = await estate.namespace(), await estate.unmanaged()
    for row in (*STILL_MINE, *MOVED):
        stored = await estate.world.stored(NAMESPACES, name)
        patch = row[1](estate)["metadata"]
        if "labels" in patch:
            stored["metadata"]["labels"] |= patch["labels"]
            stored["metadata"]["labels"] = {k: v for k, v in stored["metadata"]["labels"].items() if v is not None}
        if "ownerReferences" in patch:
            stored["metadata"]["ownerReferences"] = patch["ownerReferences"]
        try:
            await write(estate.owner, name, "update", stored, subresource)
        except ForbiddenError as refused:
            assert "namespace" in refused.message  # noqa: PT017  # either is well
        assert await estate.ownership(name) == estate.normal(name), row[0]
    for row in TAKEN:
        stored = await estate.world.stored(NAMESPACES, bare)
        stored["metadata"] |= row[1](estate)["metadata"]
        error = await refusal(estate.owner, bare, "update", stored, subresource)
        assert "namespace can not be patched into a tenant" in error.message
    assert await estate.ownership(bare) == {"labels": {labels.METADATA_NAME: bare}}


async def test_the_status_of_an_own_namespace_can_be_written(estate: Estate) -> None:
    name = await estate.namespace()
    condition = {"type": "Example", "status": "True", "reason": "Test", "message": "", "lastTransitionTime": None}

    await write(estate.owner, name, "merge", {"status": {"conditions": [condition]}}, "status")

    stored = await estate.world.stored(NAMESPACES, name)
    assert [each["type"] for each in stored["status"]["conditions"]] == ["Example"]
    assert await estate.ownership(name) == estate.normal(name)


@pytest.mark.parametrize(
    ("user", "groups"),
    [
        ("theo", (labels.DEFAULT_USER_GROUP,)),
        ("nobody", (labels.DEFAULT_USER_GROUP,)),
        ("admin", (labels.DEFAULT_USER_GROUP, "admin", "administrators")),
        ("kubernetes-admin", (labels.DEFAULT_USER_GROUP,)),
        ("admin", ("outsiders",)),
    ],
)
async def test_nobody_else_takes_a_namespace(estate: Estate, user: str, groups: tuple[str, ...]) -> None:
    """Also an unlisted user called "admin", whether a Capsule user or not."""
    name = await estate.namespace()
    client = estate.world.acting(user, groups)

    error = await refusal(client, name, "merge", metadata_patch(estate.theirs, [estate.reference("theirs")]))
    assert "denied the request: namespace" in error.message
    await refusal(client, name, "merge", metadata_patch(None, []))
    await refusal(client, name, "merge", metadata_patch(estate.theirs, [estate.reference("theirs")]), "status")
    bare = await estate.unmanaged()
    await refusal(client, bare, "merge", metadata_patch(estate.theirs, [estate.reference("theirs")]))
    await refusal(client, bare, "merge", metadata_patch(estate.theirs))

    assert await estate.ownership(name) == estate.normal(name)


async def test_a_capsule_user_who_owns_nothing_of_it_changes_nothing_of_it(estate: Estate) -> None:
    name = await estate.namespace()

    error = await refusal(estate.stranger, name, "merge", metadata_patch(note="mine"))

    assert "is not an owner of tenant" in error.message


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param(("system:serviceaccounts",), id="impersonated"),
        pytest.param(None, id="by token"),
    ],
)
async def test_accounts_of_the_namespace_change_nothing_of_it(estate: Estate, groups: tuple[str, ...] | None) -> None:
    """CVE-2024-39690: whatever rights the owner gave them, uid, references and node selector stay."""
    name = await estate.namespace()
    await estate.world.admin.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": name}})
    robot = estate.world.account(name, "robot", groups)

    async def is_known() -> bool:  # That it lives in a tenant's namespace is told by a cache.
        with pytest.raises(ForbiddenError):
            await write(robot, name, "merge", metadata_patch(note="mine"))
        return True

    await estate.world.eventually(is_known)
    for patch in (
        metadata_patch(references=[estate.reference("theirs")]),
        metadata_patch(references=[estate.reference(uid=estate.theirs_uid)]),
        metadata_patch(estate.theirs, [estate.reference("theirs")]),
        metadata_patch(references=[]),
        metadata_patch(None, None),
        {"metadata": {"annotations": {labels.NODE_SELECTOR: "pool=theirs"}}},
    ):
        await refusal(robot, name, "merge", patch)
        await refusal(robot, name, "merge", patch, "status")
    bare = await estate.unmanaged()
    await refusal(robot, bare, "merge", metadata_patch(estate.mine, [estate.reference()]))
    await refusal(robot, "kube-system", "merge", metadata_patch(references=[estate.reference()]))

    assert await estate.ownership(name) == estate.normal(name)


async def test_an_administrator_joins_migrates_and_unjoins(estate: Estate) -> None:
    """By the label alone, or completely; what is missing follows."""
    world, name = estate.world, await estate.unmanaged()
    admin = await world.user(ADMINISTRATOR, ("outsiders",))

    await write(admin, name, "merge", metadata_patch(note="no tenant, no matter"))
    assert await estate.ownership(name) == {
        "labels": {labels.METADATA_NAME: name},
        "annotations": {"note": "no tenant, no matter"},
    }
    await write(admin, name, "merge", metadata_patch(estate.mine, [estate.reference()]))
    assert await estate.ownership(name) == estate.normal(name, note="no tenant, no matter")
    await write(admin, name, "merge", metadata_patch(estate.theirs, [estate.reference("theirs")]))
    found = await estate.ownership(name)
    assert (found["labels"][labels.TENANT], found["ownerReferences"]) == (estate.theirs, [estate.reference("theirs")])
    await write(admin, name, "merge", metadata_patch(None))
    assert await estate.ownership(name) == found, "only the label removed: put back"
    await write(admin, name, "merge", metadata_patch(None, None))
    assert await estate.ownership(name) == {
        "labels": {labels.METADATA_NAME: name},
        "annotations": {"note": "no tenant, no matter"},
    }
    await write(admin, name, "merge", metadata_patch(estate.mine))
    assert await estate.ownership(name) == estate.normal(name, note="no tenant, no matter")


async def test_an_administrator_in_the_capsule_group_and_in_masters_is_one_all_the_same(estate: Estate) -> None:
    for groups in ((labels.DEFAULT_USER_GROUP,), ("system:masters",)):
        name = await estate.unmanaged()
        admin = estate.world.acting(ADMINISTRATOR, groups)

        await write(admin, name, "merge", metadata_patch(estate.mine, [estate.reference()]))
        assert await estate.ownership(name) == estate.normal(name)
        await write(admin, name, "merge", metadata_patch(None, []))
        assert await estate.ownership(name) == {"labels": {labels.METADATA_NAME: name}}


async def test_a_joined_namespace_is_the_tenants_in_its_status(estate: Estate) -> None:
    name = await estate.unmanaged()
    admin = await estate.world.user(ADMINISTRATOR, ("outsiders",))
    await write(admin, name, "merge", metadata_patch(estate.mine, [estate.reference()]))

    async def is_listed() -> bool:
        tenant = await estate.world.in_force(estate.mine)
        return name in (tenant.status.namespaces or ())

    await estate.world.eventually(is_listed)
    await write(admin, name, "merge", metadata_patch(None, []))

    async def is_gone() -> bool:
        tenant = await estate.world.in_force(estate.mine)
        return name not in (tenant.status.namespaces or ())

    await estate.world.eventually(is_gone)


async def test_a_terminating_namespace_keeps_its_owner(estate: Estate) -> None:
    """N-22: nothing joins, leaves or moves while it goes; finalizers can still be taken off."""
    world, name = estate.world, await estate.namespace()
    admin = await world.user(ADMINISTRATOR, ("outsiders",))
    await world.admin.patch(NAMESPACES, name, patch={"metadata": {"finalizers": ["e2e.example/hold"]}}, kind="merge")
    await estate.owner.delete(NAMESPACES, name)
    try:
        await refusal(admin, name, "merge", metadata_patch(estate.theirs, [estate.reference("theirs")]))
        await refusal(admin, name, "merge", metadata_patch(None, []))
        await refusal(estate.owner, name, "merge", metadata_patch(None, []))
        await estate.owner.delete(NAMESPACES, name)
    finally:
        await write(estate.owner, name, "merge", {"metadata": {"finalizers": None}})


async def test_collections_of_namespaces_are_not_deleted(estate: Estate) -> None:
    """The API server serves no such verb for namespaces; nothing goes."""
    name = await estate.namespace()

    with pytest.raises(ApiError) as caught:
        await estate.owner.delete_collection(NAMESPACES, label_selector=f"{labels.TENANT}={estate.mine}")

    assert caught.value.status == 405
    assert "deletionTimestamp" not in (await estate.world.stored(NAMESPACES, name))["metadata"]
