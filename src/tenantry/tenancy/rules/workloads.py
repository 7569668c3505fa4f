"""What the rules about Pods have in common: which requests they judge, and where they look (RL-7)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tenantry.api.rules import WORKLOAD_TARGETS
from tenantry.tenancy.request import Request

POD: Final = "pod"
CONTAINERS: Final = "pod/containers"
INIT_CONTAINERS: Final = "pod/initcontainers"
EPHEMERAL_CONTAINERS: Final = "pod/ephemeralcontainers"
VOLUMES: Final = "pod/volumes"


def is_about_pod(request: Request, *subresources: str) -> bool:
    """Return whether *request* writes a Pod, itself or through one of *subresources*.

    A status is never judged: it is the kubelet's.
    """
    return (
        request.resource == "pods"
        and request.group == ""
        and (request.subresource == "" or request.subresource in subresources)
    )


def checked_targets(targets: Collection[str]) -> Collection[str]:
    """Return *targets*; raise ValueError for one that nothing looks at, as its rule would never hold."""
    for target in targets:
        if target not in WORKLOAD_TARGETS:
            raise ValueError(f"target {target!r} is unknown: there are {', '.join(WORKLOAD_TARGETS)}")
    return targets
