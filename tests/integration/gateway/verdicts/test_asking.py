"""Few questions are asked, and none is answered by guess where the API server is silent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import identity_lines
from tenantry.access.reviews import ResourceAttributes
from tenantry.access.visibility import PrincipalView
from tenantry.gateway.access_reviews import AccessReviews
from tenantry.gateway.protocol import Answer, Lines
from tenantry.gateway.verdicts.kinds import Kinds
from tenantry.gateway.verdicts.verdicts import Verdicts
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig, load_config
from tenantry.kube.errors import UnreachableError

ALICE = Identity(user="alice", groups=("devs",))
LISTS = ResourceAttributes(verb="list", version="v1", resource="namespaces")


@dataclass
class SetClock:
    """A clock that stands until it is set."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def config(kubeconfig: Path) -> ClusterConfig:
    return load_config(kubeconfig=str(kubeconfig))


async def test_an_answer_holds_for_some_seconds_and_is_asked_once(config: ClusterConfig) -> None:
    asked: Counter[str] = Counter()

    def note(verb: str, *_: Any) -> None:
        asked[verb] += 1

    clock = SetClock()
    async with Client(config, observer=note) as client:
        reviews = AccessReviews(client, clock)
        answers = await asyncio.gather(*(reviews.allows(ALICE, LISTS) for _ in range(50)))
        assert (answers, asked) == ([False] * 50, {"post": 1})
        clock.seconds = 2.9
        await reviews.allows(ALICE, LISTS)
        await reviews.allows(replace(ALICE, uid="7"), LISTS)
        assert asked == {"post": 2}
        clock.seconds = 3.1
        await reviews.allows(ALICE, LISTS)
        assert asked == {"post": 3}


async def test_a_new_kind_is_known_within_a_second(
    config: ClusterConfig,
    unique: Callable[[str], str],
    eventually: Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]],
) -> None:
    clock = SetClock()
    group = f"{unique('verdicts')}.example.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "things", "singular": "thing", "kind": "Thing"}
    spec = {"group": group, "names": names, "scope": "Cluster", "versions": [version]}
    async with Client(config) as client:
        kinds = Kinds(client, clock)
        assert await kinds.find(group, "v1", "things") is None
        await client.request(
            "POST",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            body={
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": f"things.{group}"},
                "spec": spec,
            },
        )

        async def is_known() -> bool:
            clock.seconds += 1.1
            found = await kinds.find(group, "", "things")
            return found is not None and (found.kind, found.is_namespaced) == ("Thing", False)

        try:
            await eventually(is_known)
        finally:
            await client.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}")
        pods = await kinds.find("", "*", "pods")
        assert pods is not None
        assert (pods.kind, pods.version, pods.is_namespaced) == ("Pod", "v1", True)


class OneView:
    """Everybody is filtered, and sees nothing."""

    def view(self, identity: Identity) -> PrincipalView | None:
        return PrincipalView(identity=identity, subject_keys=frozenset())


def asked(method: str, path: str) -> Lines:
    return ((":method", method), (":path", path), *identity_lines(ALICE))


async def test_while_the_api_server_is_silent_nothing_is_shown_by_guess() -> None:
    """Filtered reads stay Python's, changes go up under the own name, refusals stay."""
    silent = ClusterConfig(server="http://127.0.0.1:1")
    async with Client(silent) as client:
        clock = SetClock()
        kinds, reviews = Kinds(client, clock), AccessReviews(client, clock)
        verdicts = Verdicts(client, OneView(), kinds=kinds, reviews=reviews)
        namespaces, pods, node, secret = await asyncio.gather(
            verdicts.verdict(asked("GET", "/api/v1/namespaces")),
            verdicts.verdict(asked("GET", "/api/v1/pods")),
            verdicts.verdict(asked("DELETE", "/api/v1/nodes/a")),
            verdicts.masked(asked("GET", "/api/v1/namespaces/a/secrets/b")),
        )
        assert namespaces == Answer(lines=((":route", "python"), (":fresh", "0.5")))
        assert pods == Answer(lines=((":route", "upstream"), (":fresh", "0.5")))
        assert node == Answer(lines=((":route", "upstream"), (":fresh", "0")))
        assert secret == Answer(status=204)
        with pytest.raises(UnreachableError):
            await reviews.allows(ALICE, LISTS)
