"""The module that builds Kubernetes."""

from __future__ import annotations

from importlib import resources

from tenantry.controlplane.binaries.gobuild import kubernetes_module
from tenantry.controlplane.binaries.progress import duration
from tenantry.controlplane.components import DEFAULT_KUBERNETES_VERSION, ETCD_VERSION

THEIRS = """module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26

require (
	k8s.io/api v0.0.0
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/kubectl => ./staging/src/k8s.io/kubectl
)
"""


def test_staging_modules_are_replaced_by_their_published_versions() -> None:
    assert kubernetes_module(THEIRS, "1.36.3") == (
        "module controlplane\n\ngo 1.26.0\n\ngodebug default=go1.26\n\nrequire k8s.io/kubernetes v1.36.3\n\n"
        "replace (\n\tk8s.io/api => k8s.io/api v0.36.3\n\tk8s.io/kubectl => k8s.io/kubectl v0.36.3\n)\n"
    )


def test_the_default_versions_are_pinned_with_their_sums() -> None:
    folder = resources.files("tenantry.controlplane.binaries") / "modules"
    names = {item.name for item in folder.iterdir()}
    releases = (f"kubernetes-{DEFAULT_KUBERNETES_VERSION}", f"etcd-{ETCD_VERSION}")
    assert names == {f"{release}.{kind}" for release in releases for kind in ("mod", "sum")}


def test_durations_are_said_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (0.4, 59.4, 59.6, 125)] == ["0 s", "59 s", "1 min 0 s", "2 min 5 s"]
