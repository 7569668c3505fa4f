"""Thousands of tenants in seconds: copies of a real one, put straight into the store of the API server."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from bench.scene import NAMESPACES, TENANTS, Scene
from bench.wire import Door
from tenantry.api.meta import CAPSULE_GROUP
from tenantry.api.shared import Subject
from tenantry.tenancy.desired.role_bindings import RBAC_GROUP, binding

SPACES_EACH: Final = 5
_OPERATIONS: Final = 120
"""In one transaction; etcd takes 128."""
_SENDERS: Final = 4
_TENANT, _OWNER = "seed-{:05}", "landlord-{:05}"
_ROLES: Final = ("admin", "capsule-namespace-deleter")
_KINDS: Final = (
    ("serviceaccounts", "/api/v1/namespaces/{}/serviceaccounts", "serviceaccounts"),
    ("configmaps", "/api/v1/namespaces/{}/configmaps", "configmaps"),
    ("rolebindings", f"/apis/{RBAC_GROUP}/v1/namespaces/{{}}/rolebindings", "rolebindings"),
    (
        "rulestatuses",
        f"/apis/{CAPSULE_GROUP}/v1beta2/namespaces/{{}}/rulestatuses",
        f"{CAPSULE_GROUP}/rulestatuses",
    ),
)
_UID: Final = re.compile(r'"uid": ?"([0-9a-f-]{36})"')


async def model_tenant(scene: Scene) -> list[tuple[str, str]]:
    """Make one tenant the real way; return its objects and those of its namespaces: keys of the store, and JSON."""
    name = _TENANT.format(0)
    owner = scene.owner(_OWNER.format(0))
    await scene.tenant(name, _OWNER.format(0))
    await scene.in_force(name)
    spaces = [f"{name}-{number}" for number in range(SPACES_EACH)]
    await scene.namespaces(owner, spaces, name)

    async def is_whole() -> bool:
        status = (await scene.admin.get(f"{TENANTS}/{name}"))["status"]
        ready = [each for each in status.get("spaces", ()) if each.get("conditions", [{}])[0].get("status") == "True"]
        return len(ready) == SPACES_EACH

    await scene.until(is_whole, "the model of the seeds")
    await scene.quiet()
    objects = [(f"/registry/{CAPSULE_GROUP}/tenants/{name}", await scene.admin.get(f"{TENANTS}/{name}"))]
    for space in spaces:
        for plural, path, stored_as in _KINDS:
            listed = await scene.admin.get(path.format(space))
            kind = {"apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}
            objects += [
                (f"/registry/{stored_as}/{space}/{each['metadata']['name']}", {**each, **kind})
                for each in listed["items"]
                if plural != "configmaps" or each["metadata"]["name"] == "kube-root-ca.crt"
            ]
        objects.append((f"/registry/namespaces/{space}", await scene.admin.get(f"{NAMESPACES}/{space}")))
    for _, each in objects:
        each["metadata"].pop("resourceVersion")
    return [(key, json.dumps(each)) for key, each in objects]


def _copies(model: list[tuple[str, str]], numbers: Iterable[int]) -> Iterator[tuple[str, str]]:
    """Yield copies of the model under other names, with uids of their own."""
    whole = "\n".join(f"{key}\n{text}" for key, text in model)
    uids = sorted(set(_UID.findall(whole)))
    digests = [_digest(0, role) for role in _ROLES]
    old = [_TENANT.format(0), _OWNER.format(0), *digests, *uids]
    pattern = re.compile("|".join(map(re.escape, old)))
    for number in numbers:
        new = [_TENANT.format(number), _OWNER.format(number), *(_digest(number, role) for role in _ROLES)]
        names = dict(zip(old, [*new, *(str(uuid4()) for _ in uids)], strict=True))
        lines = _replaced(pattern, names, whole).split("\n")
        yield from zip(lines[::2], lines[1::2], strict=True)


def _replaced(pattern: re.Pattern[str], names: Mapping[str, str], text: str) -> str:
    return pattern.sub(lambda found: names[found[0]], text)


def _digest(number: int, role: str) -> str:
    subject = Subject(api_group=RBAC_GROUP, kind="User", name=_OWNER.format(number))
    return binding(role, (subject,)).digest


async def seed(scene: Scene, model: list[tuple[str, str]], count: int) -> None:
    """Have *count* copies of the model, itself included; nothing of the product need run."""
    await put(scene, _copies(model, range(1, count)))


async def put(scene: Scene, objects: Iterator[tuple[str, str]]) -> None:
    """Put *objects* into the store: keys, and JSON."""
    store = _store(scene)

    async def sender() -> None:
        while batch := [operation for _, operation in zip(range(_OPERATIONS), map(_put, objects), strict=False)]:
            await store.must("POST", "/v3/kv/txn", {"success": batch})

    async with asyncio.TaskGroup() as group:
        for _ in range(_SENDERS):
            group.create_task(sender())
    store.close()


async def remove(scene: Scene, prefix: str) -> None:
    """Take out of the store whatever has a key that begins with *prefix*."""
    store, end = _store(scene), prefix[:-1] + chr(ord(prefix[-1]) + 1)
    await store.must("POST", "/v3/kv/deleterange", {"key": _base64(prefix), "range_end": _base64(end)})
    store.close()


def _store(scene: Scene) -> Door:
    return Door.plain(urlsplit(scene.plane.etcd_endpoint).port or 0)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _put(item: tuple[str, str]) -> dict[str, Any]:
    key, text = item
    return {"request_put": {"key": _base64(key), "value": _base64(text)}}
