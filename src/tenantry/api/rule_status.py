"""RuleStatus: the rules in force in one namespace, for display (K-8, RS-1)."""

from __future__ import annotations

from typing import Annotated

from tenantry.api.meta import CAPSULE_API_VERSION, Condition, ObjectMeta
from tenantry.api.rules import NamespaceRule
from tenantry.api.schema import Schema
from tenantry.foundation.codec import Model


class RuleStatusStatus(Model):
    """What the controllers report."""

    rule: NamespaceRule | None = None
    """Capsule's older form with a single block; never written."""
    rules: tuple[NamespaceRule, ...] = ()
    """The blocks in force, in order."""
    observed_generation: Annotated[int, Schema(format="int64")] = 0
    """The metadata.generation that the status was made for."""
    conditions: Annotated[tuple[Condition, ...], Schema(required=True)] = ()
    """Ready."""


class RuleStatus(Model):
    """The rules in force in one namespace; made by the controllers, and only for display."""

    api_version: str = CAPSULE_API_VERSION
    kind: str = "RuleStatus"
    metadata: ObjectMeta = ObjectMeta()
    spec: tuple[NamespaceRule, ...] = ()
    """The tenant's blocks for this namespace, in order."""
    status: RuleStatusStatus = RuleStatusStatus()
    """What the controllers report."""
