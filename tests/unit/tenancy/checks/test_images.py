"""How image references are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.tenancy.checks.images import default_pull_policy, registry_host


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("nginx", None),
        ("nginx:1.27", None),
        ("library/nginx", None),
        ("team/app/web:1", None),
        ("docker.io/nginx", "docker.io"),
        ("docker.io/library/nginx:latest", "docker.io"),
        ("registry:5000/app", "registry:5000"),
        ("localhost/app", "localhost"),
        ("localhost:5000/app@sha256:00", "localhost:5000"),
        ("Registry/app", "Registry"),
        ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000"),
        ("docker.io@evil.example/x", None),
        ("docker.io,evil.example/x", None),
        ("https://docker.io/x", None),
        ("docker.io:port/x", None),
        ("docker.io\n/x", None),
        ("/x", None),
        ("", None),
    ],
)
def test_the_host_is_what_container_runtimes_take_for_it(image: str, host: str | None) -> None:
    assert registry_host(image) == host


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1.27", "IfNotPresent"),
        ("nginx@sha256:00", "IfNotPresent"),
        ("nginx:latest@sha256:00", "IfNotPresent"),
    ],
)
def test_the_pull_policy_that_is_not_given_follows_the_tag(image: str, policy: str) -> None:
    assert default_pull_policy(image) == policy


@given(image=st.text(max_size=40))
def test_a_host_is_always_a_prefix_of_the_reference(image: str) -> None:
    host = registry_host(image)

    assert host is None or image.startswith(f"{host}/")
