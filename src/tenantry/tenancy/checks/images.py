"""Where a Pod names images, and which registry an image comes from (L-1, L-2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tenantry.api.workloads import Pod

_HOST: Final = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")
_LATEST: Final = frozenset({"", "latest"})


@dataclass(frozen=True, slots=True)
class ImageUse:
    """One image of a Pod, of a container or of a volume."""

    place: str
    """As ``initContainers[0]`` or ``volumes[1](models)``."""
    image: str
    pull_policy: str
    """As given, or what the API server would take for it."""


def image_uses(pod: Pod) -> Iterator[ImageUse]:
    """Yield every image that *pod* names, also those of init and ephemeral containers and of image volumes."""
    spec = pod.spec
    lists = {
        "initContainers": spec.init_containers,
        "containers": spec.containers,
        "ephemeralContainers": spec.ephemeral_containers,
    }
    for field, containers in lists.items():
        for index, container in enumerate(containers or ()):
            policy = container.image_pull_policy or default_pull_policy(container.image)
            yield ImageUse(f"{field}[{index}]", container.image, policy)
    for index, volume in enumerate(spec.volumes or ()):
        if volume.image is not None:
            reference = volume.image.reference
            policy = volume.image.pull_policy or default_pull_policy(reference)
            yield ImageUse(f"volumes[{index}]({volume.name})", reference, policy)


def registry_host(image: str) -> str | None:
    """Return the registry's host of *image*, with its port; None where it names none.

    As container runtimes read it: what stands before the first slash is a host only if it has a
    dot, a colon or a capital letter, or is ``localhost``; ``library/nginx`` has none.  What no
    runtime would take for a host is none either, so that ``docker.io@evil.example/x`` can't pass
    an expression.

    Source: https://github.com/distribution/reference, splitDockerDomain.
    """
    first, slash, _ = image.partition("/")
    if not slash:
        return None
    looks_like_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    return first if looks_like_host and _HOST.fullmatch(first) else None


def default_pull_policy(image: str) -> str:
    """Return the pull policy that the API server gives to *image* where none is set."""
    name, _, digest = image.partition("@")
    if digest:
        return "IfNotPresent"
    _, _, tag = name.rpartition("/")[2].partition(":")
    return "Always" if tag in _LATEST else "IfNotPresent"
