"""capsule-proxy's flags and chart values mean what they meant."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from tenantry.gateway.config.chart_values import ChartValues, chart_values
from tenantry.gateway.config.flags import GatewayFlags, overridden, settings_from_flags
from tenantry.gateway.config.problems import ConfigurationProblems
from tenantry.gateway.settings import (
    Certificate,
    ClientImpersonation,
    ClusterSettings,
    ForwardedCertificates,
    GatewaySettings,
    IdentitySettings,
    Limits,
    Listening,
    Subject,
    VisibilitySettings,
)

NETWORK = ip_network("10.0.0.0/8")
FLAGS = GatewayFlags(
    listening_port=9443,
    enable_ssl=True,
    ssl_cert_path=Path("/c"),
    ssl_key_path=Path("/k"),
    auth_preferred_types=("XForwardedClientCert",),
    ignored_user_groups=("admins",),
    ignored_usernames=("root",),
    ignored_impersonation_groups=("x", "^y", "z$"),
    impersonation_group_regexp="^team-",
    capsule_configuration_name="main",
    trusted_proxy_cidrs=("10.1.2.3/8",),
    xfcc_header_name="X-Cert",
    metrics_address="0",
    health_address=":1",
    log_level="debug",
    kubeconfig="/kube",
    context="there",
)
VISIBILITY = VisibilitySettings(configuration_name="main", ignored_users=("root",), ignored_groups=("admins",))
IDENTITY = IdentitySettings(
    authenticators=("XForwardedClientCert",),
    forwarded=ForwardedCertificates(header="X-Cert", trusted_networks=(NETWORK,)),
    impersonation=ClientImpersonation(enabled=True),
    group_pattern="(?s:.*)(?:^team-)(?s:.*)",
    dropped_groups=("x",),
    dropped_group_pattern="(?s:.*)(?:(?:^y)|(?:z$))(?s:.*)",
)
LISTENING = Listening(
    port=9443, certificates=(Certificate(certificate=Path("/c"), key=Path("/k")),), trusted_networks=(NETWORK,)
)


def test_no_flags_are_capsule_proxys_defaults() -> None:
    identity = IdentitySettings(
        authenticators=("TLSCertificate", "BearerToken"), impersonation=ClientImpersonation(enabled=True)
    )

    assert settings_from_flags(GatewayFlags()) == GatewaySettings(clusters=(ClusterSettings(identity=identity),))


def test_every_flag_has_its_setting() -> None:
    assert settings_from_flags(FLAGS) == GatewaySettings(
        listening=LISTENING,
        clusters=(ClusterSettings(kubeconfig="/kube", context="there", identity=IDENTITY, visibility=VISIBILITY),),
        metrics_address="0",
        health_address=":1",
        log_level="debug",
    )


def test_flags_override_a_file_in_every_cluster_and_reach_the_default_one() -> None:
    clusters = (ClusterSettings(name="a", hosts=("a",), is_default=False, context="x"), ClusterSettings(name="b"))
    limits = Limits(connections=1)
    identity = IdentitySettings(
        authenticators=IDENTITY.authenticators,
        forwarded=IDENTITY.forwarded,
        group_pattern=IDENTITY.group_pattern,
        dropped_groups=IDENTITY.dropped_groups,
        dropped_group_pattern=IDENTITY.dropped_group_pattern,
    )

    found = overridden(GatewaySettings(clusters=clusters, limits=limits), FLAGS)

    assert found.limits == limits
    assert found.clusters == (
        ClusterSettings(
            name="a", hosts=("a",), is_default=False, context="x", identity=identity, visibility=VISIBILITY
        ),
        ClusterSettings(name="b", kubeconfig="/kube", context="there", identity=identity, visibility=VISIBILITY),
    )
    assert overridden(found, GatewayFlags()) == found


def test_tls_is_switched_off_over_a_file() -> None:
    found = overridden(GatewaySettings(listening=LISTENING), GatewayFlags(enable_ssl=False))

    assert found.listening == Listening(port=9443, trusted_networks=(NETWORK,))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            GatewayFlags(enable_ssl=False, ssl_key_path=Path("/k")),
            "--ssl-key-path: it is set with --enable-ssl=false: leave it out, or serve TLS",
        ),
        (
            GatewayFlags(ssl_cert_path=Path("/c")),
            "--ssl-key-path: it is missing beside --ssl-cert-path: name both files of the pair",
        ),
        (
            GatewayFlags(auth_preferred_types=("Basic",)),
            "--auth-preferred-types: 'Basic' is none: write BearerToken, TLSCertificate, XForwardedClientCert",
        ),
        (
            GatewayFlags(trusted_proxy_cidrs=("x",)),
            "--trusted-proxy-cidrs: 'x' is no network: write one in CIDR notation, as 10.0.0.0/8",
        ),
        (
            GatewayFlags(impersonation_group_regexp="a)|(b"),
            (
                "--impersonation-group-regexp: 'a)|(b' is no expression (unexpected ): a)|(b): "
                "write it in RE2's syntax, which knows no look-around"
            ),
        ),
        (
            GatewayFlags(ignored_impersonation_groups=("a", "*")),
            (
                "--ignored-impersonation-group: '*' is no expression (no argument for repetition operator: *): "
                "write it in RE2's syntax, which knows no look-around"
            ),
        ),
        (
            GatewayFlags(feature_gates=("Other=true",)),
            (
                "--feature-gates: there is no gate 'Other': "
                "there are ProxyAllNamespaced, ProxyClusterScoped, SkipImpersonationReview"
            ),
        ),
        (
            GatewayFlags(feature_gates=("ProxyClusterScoped",)),
            (
                "--feature-gates: 'ProxyClusterScoped' is neither on nor off: "
                "write ProxyClusterScoped=true or ProxyClusterScoped=false"
            ),
        ),
        (
            GatewayFlags(feature_gates=("SkipImpersonationReview=true",)),
            (
                "--feature-gates: SkipImpersonationReview would let everybody act as anybody: "
                "name who may, in a file given by --config: clusters[].identity.impersonation.trusted"
            ),
        ),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags: GatewayFlags, said: str) -> None:
    with pytest.raises(ConfigurationProblems) as raised:
        settings_from_flags(flags)

    assert [str(each) for each in raised.value.problems] == [f"error: {said}"]


def test_skipping_reviews_holds_for_whom_a_file_trusts() -> None:
    trusted = ClientImpersonation(
        enabled=True, trusted=(Subject(kind="ServiceAccount", name="system:serviceaccount:teleport:agent"),)
    )
    settings = GatewaySettings(clusters=(ClusterSettings(identity=IdentitySettings(impersonation=trusted)),))

    assert overridden(settings, GatewayFlags(feature_gates=("SkipImpersonationReview=true",))) == settings


def test_chart_values_become_flags_and_what_has_no_effect_is_told() -> None:
    values = {
        "replicaCount": 2,
        "options": {
            "listeningPort": 9001,
            "enableSSL": True,
            "SSLDirectory": "/certs/",
            "SSLCertFileName": "a.crt",
            "ignoredUserGroups": ["a", "b"],
            "impersonationGroupsRegexp": "",
            "authPreferredTypes": "BearerToken,TLSCertificate",
            "clientConnectionQPS": 20,
            "disableCaching": False,
            "somethingNew": 1,
            "extraArgs": ["--ignored-username=x", "--webhook-port=1"],
        },
        "featureGates": {"ProxyClusterScoped": True, "SkipImpersonationReview": False},
    }

    assert chart_values(values) == ChartValues(
        arguments=(
            "--listening-port=9001",
            "--enable-ssl=true",
            "--ignored-user-group=a",
            "--ignored-user-group=b",
            "--auth-preferred-types=BearerToken,TLSCertificate",
            "--ssl-cert-path=/certs/a.crt",
            "--ssl-key-path=/certs/tls.key",
            "--feature-gates=SkipImpersonationReview=false",
            "--ignored-username=x",
        ),
        notes=(
            ("options.clientConnectionQPS", "requests of the gateway's own are few and not throttled"),
            (
                "options.disableCaching",
                "answers come from caches that watches keep current; there is no other way",
            ),
            ("options.somethingNew", "it is not known; if it is a flag, put it in extraArgs"),
            (
                "featureGates.ProxyClusterScoped",
                "rules for cluster-scoped kinds and the older operations are both served, always",
            ),
            ("options.extraArgs: --webhook-port=1", "there are no webhooks in the gateway"),
            ("replicaCount", "tenantry's chart has gateway.replicaCount"),
        ),
    )


def test_plain_http_has_no_certificate() -> None:
    assert chart_values({"options": {"enableSSL": False}}).arguments == ("--enable-ssl=false",)
