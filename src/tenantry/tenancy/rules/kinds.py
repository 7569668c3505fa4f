"""Which kinds and keys a metadata rule is about (RL-18)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tenantry.api.labels import PRODUCT_LABEL_DOMAINS
from tenantry.foundation.expressions import Expression, expression

NAMESPACE: Final = "Namespace"
_BARE_VERSION: Final = re.compile(r"v[0-9]+((alpha|beta)[0-9]+)?")
_EXPRESSION_SIGNS: Final = frozenset("^$+()[]{}|\\")


@dataclass(frozen=True, slots=True)
class Selector:
    """Selects texts: by *text* itself, or by *pattern* where that is a glob or an expression."""

    text: str
    pattern: Expression | None = None

    @property
    def is_concrete(self) -> bool:
        """Whether it selects exactly one text."""
        return self.pattern is None

    def selects(self, candidate: str) -> bool:
        """Return whether *candidate* is selected."""
        return candidate == self.text if self.pattern is None else self.pattern.search(candidate)

    def selects_key(self, key: str) -> bool:
        """Return whether the label or annotation *key* is selected; the product's own are by name alone (13.10)."""
        return self.selects(key) and (self.is_concrete or not is_product_key(key))


def is_product_key(key: str) -> bool:
    """Return whether a label or annotation is the product's own, by the domain in its prefix."""
    prefix, slash, _ = key.partition("/")
    return bool(slash) and any(prefix == domain or prefix.endswith(f".{domain}") for domain in PRODUCT_LABEL_DOMAINS)


def glob_selector(text: str) -> Selector:
    """Return what *text* selects, with ``*`` for any characters and ``?`` for one."""
    if not any(sign in text for sign in "*?"):
        return Selector(text)
    parts = {"*": ".*", "?": "."}
    pattern = "".join(parts.get(character) or re.escape(character) for character in text)
    return Selector(text, expression(f"^{pattern}$"))


def key_selector(text: str) -> Selector:
    """Return what *text* selects: one key, a glob of keys, or by an expression, found anywhere in the key.

    It is an expression where it has a sign that neither keys nor globs have, or ``.*`` or ``.?``.

    Raises:
        ExpressionError: It is an expression that does not compile.
    """
    if _EXPRESSION_SIGNS.intersection(text) or ".*" in text or ".?" in text:
        return Selector(text, expression(text))
    return glob_selector(text)


@dataclass(frozen=True, slots=True)
class GroupSelector:
    """Selects API groups: ``apps``, ``apps/v1``, ``v1`` for the core group, ``*`` for all.

    The version does not narrow it: an object is one and the same in all versions of its
    group, so a rule that held in one of them alone could be passed by writing in another.
    """

    group: Selector
    version: str = ""

    def selects(self, group: str) -> bool:
        """Return whether the API *group* is selected; the core group is the empty text."""
        return self.group.selects(group)


def group_selector(text: str) -> GroupSelector:
    """Return what the entry *text* of ``apiGroups`` selects."""
    group, slash, version = text.rpartition("/")
    if slash:
        return GroupSelector(glob_selector(group), version)
    if _BARE_VERSION.fullmatch(text) or text == "core":
        return GroupSelector(Selector(""), text if text != "core" else "")
    return GroupSelector(glob_selector(text))


CORE_GROUP: Final = GroupSelector(Selector(""), "v1")
"""What an empty ``apiGroups`` selects."""


@dataclass(frozen=True, slots=True)
class KindSelector:
    """Selects kinds of objects."""

    groups: tuple[GroupSelector, ...]
    kinds: tuple[Selector, ...]

    def selects(self, group: str, kind: str) -> bool:
        """Return whether objects of *kind* are selected; Namespaces are where they are named, never by a glob."""
        if not any(selector.selects(group) for selector in self.groups):
            return False
        return any(selector.selects(kind) and (selector.is_concrete or kind != NAMESPACE) for selector in self.kinds)


def kind_selector(api_groups: tuple[str, ...], kinds: tuple[str, ...]) -> KindSelector:
    """Return what the two fields of a metadata rule select together."""
    groups = tuple(map(group_selector, api_groups)) or (CORE_GROUP,)
    return KindSelector(groups, tuple(map(glob_selector, kinds)))
