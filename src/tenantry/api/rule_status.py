"""RuleStatus: the rules in force in one namespace, for display (K-8, RS-1)."""

from __future__ import annotations

from typing import Annotated

from tenantry.api.meta import CAPSULE_API_VERSION, Condition, ObjectMeta
from tenantry.api.rules import NamespaceRule
from tenantry.api.schema import Schema
from tenantry.foundation.codec import Model


class RuleStatusStatus(Model):
    """What is enforced; *rule* is Capsule's older form, never written."""

    rule: NamespaceRule | None = None
    rules: tuple[NamespaceRule, ...] = ()
    observed_generation: Annotated[int, Schema(format="int64")] = 0
    conditions: Annotated[tuple[Condition, ...], Schema(required=True)] = ()


class RuleStatus(Model):
    """The stored object; its spec is a list of blocks."""

    api_version: str = CAPSULE_API_VERSION
    kind: str = "RuleStatus"
    metadata: ObjectMeta = ObjectMeta()
    spec: tuple[NamespaceRule, ...] = ()
    status: RuleStatusStatus = RuleStatusStatus()
