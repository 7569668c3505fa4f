"""Where objects are found."""

from __future__ import annotations

import pytest

from tenantry.api.meta import PartialObject
from tenantry.foundation.errors import InvalidError
from tenantry.kube.resources import LEASES, NAMESPACES, PODS, ROLE_BINDINGS, TENANTS


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PODS.path(), "/api/v1/pods"),
        (PODS.path("n"), "/api/v1/namespaces/n/pods"),
        (PODS.path("n", "p"), "/api/v1/namespaces/n/pods/p"),
        (PODS.path("n", "p", "status"), "/api/v1/namespaces/n/pods/p/status"),
        (NAMESPACES.path(None, "n", "finalize"), "/api/v1/namespaces/n/finalize"),
        (NAMESPACES.path("ignored", "n"), "/api/v1/namespaces/n"),
        (TENANTS.path(None, "t", "status"), "/apis/capsule.clastix.io/v1beta2/tenants/t/status"),
        (LEASES.path("n", "l"), "/apis/coordination.k8s.io/v1/namespaces/n/leases/l"),
        (
            ROLE_BINDINGS.path("n", "capsule:managed:0a"),
            "/apis/rbac.authorization.k8s.io/v1/namespaces/n/rolebindings/capsule:managed:0a",
        ),
        (PODS.path("n", "a/../b?c#d%"), "/api/v1/namespaces/n/pods/a%2F..%2Fb%3Fc%23d%25"),
    ],
)
def test_the_path_of_a_resource(path: str, expected: str) -> None:
    assert path == expected


@pytest.mark.parametrize(("namespace", "name"), [("n", ""), ("n", "."), ("n", ".."), ("..", "p"), (None, "p")])
def test_a_name_cannot_leave_its_place(namespace: str | None, name: str) -> None:
    with pytest.raises(InvalidError):
        PODS.path(namespace, name)


def test_the_api_version_of_a_resource() -> None:
    assert (PODS.api_version, TENANTS.api_version) == ("v1", "capsule.clastix.io/v1beta2")


def test_metadata_only_keeps_the_place_and_changes_the_type() -> None:
    partial = PODS.metadata_only()

    assert (partial.path("n"), partial.type, partial.is_metadata_only) == (PODS.path("n"), PartialObject, True)
