"""Names, versions and start order of the programs that make up a control plane."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tenantry.foundation.errors import InvalidError

DEFAULT_KUBERNETES_VERSION: Final = "1.36.3"
ETCD_VERSION: Final = "3.6.5"
KWOK_VERSION: Final = "0.8.0"


class Component(StrEnum):
    """A program that runs as long as the control plane does."""

    ETCD = "etcd"
    API_SERVER = "kube-apiserver"
    CONTROLLERS = "kube-controller-manager"
    SCHEDULER = "kube-scheduler"
    KWOK = "kwok"


KUBECTL: Final = "kubectl"
KUBERNETES_PROGRAMS: Final = (Component.API_SERVER, Component.CONTROLLERS, Component.SCHEDULER, KUBECTL)
PROGRAMS: Final[tuple[str, ...]] = (Component.ETCD, *KUBERNETES_PROGRAMS, Component.KWOK)
"""Every program that must be found, the client included."""


@dataclass(frozen=True, slots=True)
class Versions:
    """One set of versions, without a leading ``v``."""

    kubernetes: str = DEFAULT_KUBERNETES_VERSION
    etcd: str = ETCD_VERSION
    kwok: str = KWOK_VERSION

    def __post_init__(self) -> None:
        """Raise InvalidError for what is not a release, before a path or a URL is made of it."""
        for field in ("kubernetes", "etcd", "kwok"):
            value = getattr(self, field)
            if not re.fullmatch(r"\d+\.\d+\.\d+(-(alpha|beta|rc)\.\d+)?", value):
                raise InvalidError(f"{field} version", value, "it must be a full release like 1.36.3, without a 'v'")

    def of(self, program: str) -> str:
        """Return the version that *program* must have."""
        own: dict[str, str] = {Component.ETCD: self.etcd, Component.KWOK: self.kwok}
        return own.get(program, self.kubernetes)

    def release(self, program: str) -> str:
        """Return the name of the release that *program* comes from: ``kubernetes-1.36.3``."""
        product = program if program in {Component.ETCD, Component.KWOK} else "kubernetes"
        return f"{product}-{self.of(program)}"
