"""Whose metrics are shown: those of the Nodes that are."""

from __future__ import annotations

from tenantry.access.identity import Identity
from tenantry.access.requests import request_info
from tenantry.access.sight import Rule, Sight
from tenantry.access.visibility import PrincipalView
from tenantry.gateway.serving.asking import Asked
from tenantry.gateway.serving.following import Follower
from tenantry.gateway.serving.interfaces import NoCounters, ViewChanged
from tenantry.gateway.serving.items import Item
from tenantry.gateway.serving.kinds import Kind, Kinds
from tenantry.gateway.serving.reads import OwnReads
from tenantry.gateway.serving.stock import Followed
from tenantry.kube.config import ClusterConfig
from tenantry.kube.transport import Transport


class NoKnowledge:
    def view(self, identity: Identity) -> PrincipalView | None:
        del identity
        return None

    def changed_version(self, identity: Identity) -> int:
        del identity
        return 0

    def subscribe(self, callback: ViewChanged) -> None: ...

    def follow_versions(self, source: object) -> None: ...


def test_metrics_are_shown_by_the_labels_of_the_node() -> None:
    """R-034: the metrics themselves need not carry them."""
    reads = OwnReads(Transport(ClusterConfig(server="http://x"), user_agent="x", timeout_seconds=1))
    nodes = Kind(group="", version="v1", plural="nodes", kind="Node", list_kind="NodeList")
    followed = Followed(Follower(reads, Kinds(reads), nodes), NoCounters())
    followed.shelf.restart([Item("one", 1, b"{", b"}", 0, 0, {"pool": "a"}, 0, ())], 1)
    metrics = Kind(group="metrics.k8s.io", version="v1beta1", plural="nodes", kind="NodeMetrics", list_kind="L")
    asked = Asked(
        identity=Identity(user="alice"),
        info=request_info("GET", "/apis/metrics.k8s.io/v1beta1/nodes"),
        accept="",
        kind=metrics,
        knowledge=NoKnowledge(),
        measured=followed,
    )

    by_rule = asked.shows(Sight(rules=(Rule(labels=(("pool", "a"),)),)))
    by_name = asked.shows(Sight(names=frozenset({"two"})))
    shown = [(by_rule(name, {}), by_name(name, {})) for name in ("one", "two", "three")]
    assert shown == [(True, False), (False, True), (False, False)]
    assert not by_rule("three", {"pool": "a"})
