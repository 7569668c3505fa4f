"""Ingresses: classes, hosts, wildcards, collisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.api.workloads import Ingress
from tenantry.foundation.codec import from_plain
from tenantry.tenancy.checks import ingresses
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ClassEntry, ClassKind, IngressUse, ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]

ANNOTATION = "kubernetes.io/ingress.class"
CLASSES = {"ingressOptions": {"allowedClasses": {"allowed": ["nginx"], "matchLabels": {"env": "prod"}}}}
CLASS_CHOICES = "use one from the following list (nginx) or use one whose labels match (env=prod)"
HOSTS = {
    "ingressOptions": {
        "allowWildcardHostnames": True,
        "allowedHostnames": {"allowed": ["a.example"], "allowedRegex": r"^[a-z*]+\.oil\.example$"},
    }
}
HOST_CHOICES = (
    r"use one from the following list (a.example) or "
    r"use one matching the regular expression (^[a-z*]+\.oil\.example$)"
)


def ingress(
    *rules: tuple[str, list[str] | None], name: str = "web", annotations: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    written = [
        {"host": host, **({} if paths is None else {"http": {"paths": [{"path": path} for path in paths]}})}
        for host, paths in rules
    ]
    return {"metadata": {"name": name, "annotations": annotations}, "spec": {"rules": written, **spec}}


def forbidden_class(name: str) -> Verdict:
    return denied("ForbiddenIngressClass", f"Ingress Class {name} is forbidden for the current Tenant: {CLASS_CHOICES}")


def invalid_host(host: str) -> Verdict:
    return denied("IngressHostnameNotValid", f"Hostname {host} is not valid for the current Tenant: {HOST_CHOICES}")


EMPTY_HOST = denied(
    "IngressHostnameEmpty",
    f"A hostname is required in each rule of an Ingress in the current Tenant: {HOST_CHOICES}",
)


@pytest.mark.parametrize(
    ("submitted", "old", "verdict"),
    [
        pytest.param(ingress(ingressClassName="nginx"), None, ALLOWED, id="by the field"),
        pytest.param(ingress(annotations={ANNOTATION: "nginx"}), None, ALLOWED, id="by the annotation"),
        pytest.param(ingress(ingressClassName="public"), None, ALLOWED, id="by its labels"),
        pytest.param(
            ingress(),
            None,
            denied(
                "MissingIngressClass", f"Ingress Class is missing, the current Tenant requires one: {CLASS_CHOICES}"
            ),
            id="missing",
        ),
        pytest.param(ingress(ingressClassName="haproxy"), None, forbidden_class("haproxy"), id="forbidden"),
        pytest.param(
            ingress(ingressClassName="nginx", annotations={ANNOTATION: "haproxy"}),
            None,
            forbidden_class("haproxy"),
            id="annotation beside an allowed field",
        ),
        pytest.param(
            ingress(ingressClassName="haproxy"), ingress(ingressClassName="haproxy"), ALLOWED, id="update leaves it"
        ),
        pytest.param(
            ingress(annotations={ANNOTATION: "haproxy"}),
            ingress(ingressClassName="nginx"),
            forbidden_class("haproxy"),
            id="update moves it",
        ),
    ],
)
def test_the_class_is_set_and_allowed(
    ask: Ask, situation: Situation, shelf: Any, submitted: dict[str, Any], old: dict[str, Any] | None, verdict: Verdict
) -> None:
    entries = (ClassEntry(name="public", labels={"env": "prod"}), ClassEntry(name="haproxy"))
    context = situation(CLASSES, lookups=shelf(classes={ClassKind.INGRESS: entries}))

    assert ingresses.check(ask("ingresses", submitted, old=old), context) == verdict


@pytest.mark.parametrize(
    ("submitted", "old", "verdict"),
    [
        pytest.param(ingress(("a.example", None), ("b.oil.example", None)), None, ALLOWED, id="allowed"),
        pytest.param(ingress(("*.oil.example", None)), None, ALLOWED, id="allowed wildcard"),
        pytest.param(ingress(("a.example.org", None)), None, invalid_host("a.example.org"), id="no suffix counts"),
        pytest.param(
            ingress(("a.example", None), ("x.example", None)), None, invalid_host("x.example"), id="each rule counts"
        ),
        pytest.param(ingress(("", None)), None, EMPTY_HOST, id="a rule without host"),
        pytest.param(ingress(defaultBackend={}), None, EMPTY_HOST, id="a default backend serves all hosts"),
        pytest.param(ingress(("x.example", None)), ingress(("x.example", None)), ALLOWED, id="update leaves it"),
        pytest.param(
            ingress(("x.example", None), ("y.example", None)),
            ingress(("x.example", None)),
            invalid_host("y.example"),
            id="update adds one",
        ),
    ],
)
def test_hosts_are_allowed_ones(
    ask: Ask, situation: Situation, submitted: dict[str, Any], old: dict[str, Any] | None, verdict: Verdict
) -> None:
    assert ingresses.check(ask("ingresses", submitted, old=old), situation(HOSTS)) == verdict


@pytest.mark.parametrize("spec", [{}, {"ingressOptions": {}}])
def test_wildcards_need_permission(ask: Ask, situation: Situation, spec: dict[str, Any]) -> None:
    assert ingresses.check(ask("ingresses", ingress(("*.example", None))), situation(spec)) == denied(
        "WildcardDenied", "Wildcard denied for tenant oil: the hostname *.example must be given in full"
    )


def test_a_tenant_without_limits_takes_any_class_and_host(ask: Ask, situation: Situation) -> None:
    assert ingresses.check(ask("ingresses", ingress(("x.example", None), ("", None))), situation()) == ALLOWED


TAKEN = {
    ("a.example", "/"): (IngressUse(namespace="oil-dev", name="web", tenant="oil"),),
    ("b.example", "/"): (IngressUse(namespace="oil-dev", name="other", tenant="oil"),),
    ("c.example", "/api"): (IngressUse(namespace="oil-prod", name="web", tenant="oil"),),
    ("d.example", "/"): (IngressUse(namespace="gas-dev", name="web", tenant="gas"),),
    ("e.example", "/"): (IngressUse(namespace="default", name="web"),),
}


@pytest.mark.parametrize(
    ("rule", "collides_in"),
    [
        (("a.example", ["/"]), ()),  # its own
        (("b.example", None), ("Namespace", "Tenant", "Cluster")),
        (("c.example", ["/web", "/api"]), ("Tenant", "Cluster")),
        (("c.example", ["/"]), ()),
        (("d.example", [""]), ("Cluster",)),
        (("e.example", ["/"]), ("Cluster",)),
        (("f.example", ["/"]), ()),
    ],
)
@pytest.mark.parametrize(
    ("scope", "where"),
    [
        ("Namespace", "in the namespace"),
        ("Tenant", "across the tenant"),
        ("Cluster", "across the cluster"),
        ("Disabled", ""),
    ],
)
def test_a_host_and_path_is_taken_once_within_the_scope(
    ask: Ask,
    situation: Situation,
    shelf: Any,
    rule: tuple[str, list[str] | None],
    collides_in: tuple[str, ...],
    scope: str,
    where: str,
) -> None:
    context = situation({"ingressOptions": {"hostnameCollisionScope": scope}}, lookups=shelf(ingresses=TAKEN))
    path = (rule[1] or ["/"])[-1] or "/"

    assert ingresses.check(ask("ingresses", ingress(rule)), context) == (
        denied(
            "IngressHostnameCollision",
            f"Hostname {rule[0]} with the path {path} is already used {where}: choose another hostname or path",
        )
        if scope in collides_in
        else ALLOWED
    )


def test_an_update_collides_only_by_what_it_adds(ask: Ask, situation: Situation, shelf: Any) -> None:
    context = situation({"ingressOptions": {"hostnameCollisionScope": "Cluster"}}, lookups=shelf(ingresses=TAKEN))
    old = ingress(("d.example", None), name="mine")

    assert ingresses.check(ask("ingresses", old, old=old), context) == ALLOWED


def test_an_ingress_to_be_named_collides_with_every_other(ask: Ask, situation: Situation, shelf: Any) -> None:
    context = situation({"ingressOptions": {"hostnameCollisionScope": "Namespace"}}, lookups=shelf(ingresses=TAKEN))

    assert ingresses.check(ask("ingresses", ingress(("a.example", None), name="")), context) == denied(
        "IngressHostnameCollision",
        "Hostname a.example with the path / is already used in the namespace: choose another hostname or path",
    )


@pytest.mark.parametrize(
    ("role", "operation"), [(Role.CONTROLLER, Operation.CREATE), (Role.CAPSULE_USER, Operation.DELETE)]
)
def test_deletions_and_the_installation_itself_are_not_judged(
    ask: Ask, situation: Situation, role: Role, operation: Operation
) -> None:
    request = ask("ingresses", ingress(("*.example", None)), operation=operation)

    assert ingresses.check(request, situation(HOSTS, role=role)) == ALLOWED


def test_pairs_are_each_host_with_each_path_once() -> None:
    written = ingress(("a.example", ["/x", "", "/x"]), ("b.example", None), ("b.example", []), ("", ["/y"]))

    assert ingresses.host_paths(from_plain(written, Ingress)) == (
        ("a.example", "/x"),
        ("a.example", "/"),
        ("b.example", "/"),
        ("", "/y"),
    )
