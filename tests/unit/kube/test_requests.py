"""The parts of a request."""

from __future__ import annotations

import pytest

from tenantry.api.core import ConfigMap, WebhookConfiguration
from tenantry.api.meta import ObjectMeta
from tenantry.api.workloads import Pod
from tenantry.foundation.codec import decode_any
from tenantry.foundation.errors import InvalidError
from tenantry.kube.config import Impersonation
from tenantry.kube.requests import encode_body, identity, impersonation_headers, url_of
from tenantry.kube.resources import CONFIG_MAPS, PODS, VALIDATING_WEBHOOKS


def test_structs_get_the_type_that_they_leave_out() -> None:
    meta = ObjectMeta(name="a", namespace="n")
    expected = {"name": "a", "namespace": "n"}

    assert decode_any(encode_body(ConfigMap(metadata=meta, data={"k": "v"}), CONFIG_MAPS)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": expected,
        "data": {"k": "v"},
    }
    assert decode_any(encode_body(Pod(metadata=meta), PODS)) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": expected,
    }
    assert decode_any(encode_body(WebhookConfiguration(kind="Mine"), VALIDATING_WEBHOOKS)) == {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "Mine",
    }
    assert decode_any(encode_body(Pod(), PODS)) == {"apiVersion": "v1", "kind": "Pod"}


def test_mappings_keep_the_type_that_they_name() -> None:
    assert decode_any(encode_body({"apiVersion": "v2", "metadata": {}}, PODS)) == {
        "apiVersion": "v2",
        "kind": "Pod",
        "metadata": {},
    }


def test_the_identity_is_read_from_metadata() -> None:
    assert identity({"metadata": {"name": "a", "namespace": "n"}}) == ("n", "a")
    assert identity({"metadata": {"name": "a"}}) == (None, "a")
    assert identity(Pod(metadata=ObjectMeta(name="a", namespace="n"))) == ("n", "a")
    with pytest.raises(InvalidError, match="metadata"):
        identity({"name": "a"})


def test_the_query_is_escaped() -> None:
    assert url_of("/x", {"labelSelector": "a=b,c in (d)", "n": "1"}) == "/x?labelSelector=a%3Db%2Cc%20in%20%28d%29&n=1"
    assert url_of("/x", {}) == "/x"


def test_impersonation_repeats_groups_and_escapes_keys() -> None:
    who = Impersonation("bob", ("g1", "g2"), {"example.org/scope": ("a", "b")}, uid="7")

    assert impersonation_headers(who) == (
        ("Impersonate-User", "bob"),
        ("Impersonate-Group", "g1"),
        ("Impersonate-Group", "g2"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-example.org%2Fscope", "a"),
        ("Impersonate-Extra-example.org%2Fscope", "b"),
    )
    assert impersonation_headers(None) == ()
