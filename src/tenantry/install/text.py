"""YAML as people want to read it: keys in their order, nothing by alias."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml


class _Plain(yaml.SafeDumper):
    """Writes a value that occurs twice in full, twice: nobody wants YAML's aliases in a manifest."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # the library's signature
        """Never use one."""
        return True


def yaml_text(value: object) -> str:
    """Return *value* as one document."""
    return yaml.dump(value, Dumper=_Plain, sort_keys=False)


def yaml_stream(documents: Iterable[object]) -> str:
    """Return *documents*, each after a line of dashes."""
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, explicit_start=True)
