"""Hostnames of Ingresses, Gateways, Routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.api.rules import INGRESS_TYPES
from tenantry.tenancy.request import Request
from tenantry.tenancy.rules.ingress import check
from tenantry.tenancy.verdict import ALLOWED, Verdict
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Make = Callable[..., ObjectContext]
Said = Callable[..., Verdict]

OURS = {"exp": "^[a-z]+\\.example\\.com$"}
FORBIDDEN, EMPTY = "ForbiddenIngressHostname", "IngressHostnameEmpty"


def rule(action: str, *hostnames: dict[str, Any], types: tuple[str, ...] = INGRESS_TYPES) -> dict[str, Any]:
    return {"enforce": {"action": action, "ingress": {"types": types, "hostnames": hostnames}}}


def ingress(*hosts: str, tls: list[Any] | None = None) -> dict[str, Any]:
    return {"spec": {"rules": [{"host": host} for host in hosts], "tls": tls or []}}


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        ("Ingress", ingress("a.example.com", "evil.org")["spec"], "spec.rules[1].host"),
        (
            "Ingress",
            ingress("a.example.com", tls=[{"hosts": ["b.example.com", "evil.org"]}])["spec"],
            "spec.tls[0].hosts[1]",
        ),
        ("Gateway", {"listeners": [{"hostname": "evil.org"}]}, "spec.listeners[0].hostname"),
        ("ListenerSet", {"listeners": [{"hostname": "evil.org"}]}, "spec.listeners[0].hostname"),
        ("HTTPRoute", {"hostnames": ["a.example.com", "evil.org"]}, "spec.hostnames[1]"),
        ("TLSRoute", {"hostnames": ["evil.org"]}, "spec.hostnames[0]"),
        ("GRPCRoute", {"hostnames": ["evil.org"]}, "spec.hostnames[0]"),
        ("Route", {"host": "evil.org"}, "spec.host"),
    ],
)
def test_every_hostname_is_judged(
    ask: Ask, context: Make, refused: Said, audited: Said, kind: str, spec: dict[str, Any], path: str
) -> None:
    request, subject = ask(kind, {"spec": spec}), f'ingress hostname "evil.org" at {path}'
    assert [
        check(request, context(rule("allow", {"exact": ["b"], **OURS}))),
        check(request, context(rule("deny", {"exact": ["evil.org"]}))),
        check(request, context(rule("audit", {**OURS, "negate": True}))),
        check(request, context(rule("allow", {"exp": "example.com|evil"}))),
    ] == [
        refused(
            FORBIDDEN, f"{subject} is not allowed by namespace rule. Allowed hostnames: exact: b; exp: {OURS['exp']}"
        ),
        refused(FORBIDDEN, f"{subject} is denied by namespace rule: exact: evil.org"),
        audited(f"{subject} matched audit namespace rule: not exp: {OURS['exp']}"),
        ALLOWED,
    ]


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        ("Ingress", {"defaultBackend": {}}, "spec.rules[].host"),
        ("Ingress", {"rules": [{"host": "a.example.com"}, {}]}, "spec.rules[].host (spec.rules[1].host)"),
        ("Ingress", {"rules": [{"host": "a.example.com"}], "tls": [{}]}, "spec.tls[0].hosts"),
        ("Gateway", {"listeners": [{"name": "all"}]}, "spec.listeners[0].hostname"),
        ("HTTPRoute", {}, "spec.hostnames[]"),
        ("Route", {"subdomain": "x"}, "spec.host"),
    ],
)
def test_a_missing_hostname_stands_for_all(
    ask: Ask, context: Make, refused: Said, audited: Said, kind: str, spec: dict[str, Any], path: str
) -> None:
    request = ask(kind, {"spec": spec})
    refusal = refused(EMPTY, f"hostname is required for {kind} at {path} by namespace rule")
    assert check(request, context(rule("allow", OURS))) == refusal
    assert check(request, context(rule("deny", {"exact": ["evil.org"]}))) == refusal
    told = f"empty hostname detected for {kind} at {path} by audit namespace rule"
    assert check(request, context(rule("audit", OURS))).warnings[-1:] == (told,)
    assert check(request, context(rule("audit", {"exact": ["evil.org"]}))) == audited(told)


def test_a_rule_is_about_its_types_alone(ask: Ask, context: Make) -> None:
    request = ask("Ingress", ingress("evil.org"))
    assert check(request, context(rule("allow", OURS, types=("HTTPRoute", "Gateway")))) == ALLOWED
    assert (
        check(ask("Gateway", {"spec": {"listeners": [{}]}}, group="istio.io"), context(rule("allow", OURS))) == ALLOWED
    )
    assert (
        check(ask("Ingress", ingress("evil.org"), group="extensions"), context(rule("allow", OURS))).denial is not None
    )


def test_case_and_the_roots_dot_make_no_other_host(ask: Ask, context: Make, refused: Said) -> None:
    verdict = check(ask("Route", {"spec": {"host": "EVIL.org."}}), context(rule("deny", {"exact": ["evil.org"]})))
    text = 'ingress hostname "EVIL.org." at spec.host is denied by namespace rule: exact: evil.org'
    assert verdict == refused(FORBIDDEN, text)


def test_an_update_is_judged_where_it_changes_a_hostname(ask: Ask, context: Make) -> None:
    rules, stored = context(rule("allow", OURS)), ingress("evil.org")
    assert check(ask("Ingress", {**stored, "metadata": {"finalizers": []}}, old=stored), rules) == ALLOWED
    assert check(ask("Ingress", ingress("a.example.com", "evil.org"), old=stored), rules).denial is not None
    assert check(ask("Ingress", stored, old=ingress(), subresource="status"), rules) == ALLOWED
    assert check(ask("Ingress", None, old=stored), rules) == ALLOWED
