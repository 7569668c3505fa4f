"""A request for a kind, and what its caller sees at any moment of answering it."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.access.identity import Identity
from tenantry.access.requests import RequestInfo
from tenantry.access.sight import Sight
from tenantry.access.visibility import Operation, PrincipalView
from tenantry.foundation.errors import UnavailableError
from tenantry.gateway.serving.interfaces import Knowledge
from tenantry.gateway.serving.kinds import Kind
from tenantry.gateway.serving.live import Shows
from tenantry.gateway.serving.refusals import unavailable
from tenantry.gateway.serving.stock import Followed


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked, by whom, of which kind."""

    identity: Identity
    info: RequestInfo
    accept: str
    """All values of the header, joined by commas."""
    kind: Kind
    knowledge: Knowledge
    measured: Followed | None = None
    """The Nodes, where the kind is their metrics: those are shown by the name and the labels of the Node."""

    def view(self) -> PrincipalView:
        """Return what the caller sees now; raise RefusedError where that can not be told."""
        return current_view(self.knowledge, self.identity)

    def sight(self, operation: Operation) -> Sight:
        """Return which objects of the kind the caller sees now."""
        return self.view().sight(*self.kind.key, operation)

    def shows(self, sight: Sight) -> Shows:
        """Return the predicate by which live objects of the kind are shown."""
        measured = self.measured
        if measured is None or not sight.rules:
            return sight.shows
        items = measured.shelf.items
        return lambda name, _: name in items and sight.shows(name, items[name].labels)

    @property
    def changed_version(self) -> int:
        """Below this, nothing is known of what the caller saw."""
        return self.knowledge.changed_version(self.identity)


def current_view(knowledge: Knowledge, identity: Identity) -> PrincipalView:
    """Return what *identity* sees now.

    Raises:
        RefusedError: Nothing is known yet; or it is not filtered any more, and its next
            request will not come here.
    """
    try:
        view = knowledge.view(identity)
    except UnavailableError as error:
        raise unavailable("the gateway does not know the cluster yet; try again", why="NotKnownYet") from error
    if view is None:
        raise unavailable("what you may see has just changed; try again", why="ViewChanged")
    return view
