"""What is wrong with a configuration file is told by line, all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry.gateway.config.problems import ConfigurationProblems, located_line
from tenantry.gateway.config.reading import check_text, read_settings
from tenantry.gateway.settings import GatewaySettings

HEAD = "apiVersion: gateway.tenantry.dev/v1alpha1\nkind: GatewayConfiguration\n"
TLS = "listening: {certificates: [{certificate: tls.crt, key: tls.key}]}\n"


def lines(text: str) -> list[str]:
    return [located_line("f", each) for each in check_text(text, folder=Path("/"), now=None).problems]


def test_every_wrong_shape_is_found_in_one_go() -> None:
    text = """\
apiVersion: gateway.tenantry.dev/v1beta1
listening:
  prot: 9001
  port: 99999
  proxyProtocol: "yes"
  trustedNetworks: [10.0.0.1/8, x]
  certificates: tls.crt
clusters:
- name: One
  hosts: {}
  identity:
    authenticators: [bearertoken]
    groupPattern: "(?<=x)"
    forwardedExtra: [UPPER]
-
healthAddress: 8081
metricsAddress: nowhere
drainSeconds: .nan
logLevel: Debug
logLevel: info
locks:
  users: [2024-01-01, 5, ""]
limits: 5
nothingLikeIt: 1
"""

    assert lines(text) == [
        (
            "f:1:1: error: apiVersion: 'gateway.tenantry.dev/v1beta1' is none of gateway.tenantry.dev/v1alpha1: "
            "did you mean gateway.tenantry.dev/v1alpha1?"
        ),
        "f:1:1: error: kind: it is missing: write kind: GatewayConfiguration",
        "f:3:3: error: listening.prot: there is no such field: did you mean port?",
        "f:4:3: error: listening.port: 99999 is out of range: write a number from 1 to 65535",
        "f:5:3: error: listening.proxyProtocol: 'yes' is text: write true or false",
        (
            "f:6:21: error: listening.trustedNetworks[0]: '10.0.0.1/8' has bits set beyond its prefix: "
            "did you mean 10.0.0.0/8?"
        ),
        (
            "f:6:33: error: listening.trustedNetworks[1]: 'x' is no network ('x' does not appear to be an IPv4 or IPv6 "
            "network): write one in CIDR notation, as 10.0.0.0/8"
        ),
        "f:7:3: error: listening.certificates: 'tls.crt' is text: write a list: one `- ...` a line",
        (
            "f:9:3: error: clusters[0].name: 'One' has characters that may not be there: "
            "it must match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
        ),
        "f:10:3: error: clusters[0].hosts: this is a mapping: write a list: one `- ...` a line",
        (
            "f:12:22: error: clusters[0].identity.authenticators[0]: 'bearertoken' is none of BearerToken, "
            "TLSCertificate, XForwardedClientCert: did you mean BearerToken?"
        ),
        (
            "f:13:5: error: clusters[0].identity.groupPattern: '(?<=x)' is no expression "
            "(invalid perl operator: (?<=): "
            "write it in RE2's syntax, which knows no look-around"
        ),
        (
            "f:14:22: error: clusters[0].identity.forwardedExtra[0]: 'UPPER' has characters that may not be there: "
            "it must match ^[a-z0-9/._-]+$"
        ),
        "f:15:2: error: clusters[1]: it is empty: take the dash away",
        'f:16:1: error: healthAddress: 8081 is a number: write text, in quotes: "8081"',
        (
            "f:17:1: error: metricsAddress: 'nowhere' is no address: write host:port, :port for all addresses, "
            "or 0 for nowhere"
        ),
        "f:18:1: error: drainSeconds: nan is out of range: write a number from 0 to 3600",
        "f:20:1: error: logLevel: it is set twice, first in line 19: keep one of the two",
        "f:20:1: error: logLevel: 'Debug' is none of debug, info, warning, error: did you mean debug?",
        'f:22:23: error: locks.users[1]: 5 is a number: write text, in quotes: "5"',
        "f:22:26: error: locks.users[2]: it is empty: write something, or leave the field out",
        "f:23:1: error: limits: 5 is a number: write requestHeaderBytes: ..., requestHeaders: ... below it",
        (
            "f:24:1: error: nothingLikeIt: there is no such field: there are apiVersion, kind, listening, limits, "
            "clusters, audit, locks, drainSeconds, healthAddress, metricsAddress, envoyWorkers, logLevel"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            (
                "f:3:1: error: listening.certificates: there is no certificate, so that anybody on the way could read "
                "tokens: name a certificate and its key, or set listening.trustedNetworks to the proxies that end TLS"
            ),
        ),
        (
            "listening: {trustedNetworks: [10.0.0.0/8, '::/0']}\n",
            (
                "f:3:43: error: listening.trustedNetworks[1]: ::/0 is everybody, over plain HTTP: "
                "write the networks of the proxies in front of the gateway"
            ),
        ),
        (
            TLS + "clusters: [{identity: {authenticators: [XForwardedClientCert]}}]\n",
            (
                "f:4:13: error: clusters[0].identity.forwarded.trustedNetworks: anybody could claim any name in "
                "X-Forwarded-Client-Cert: list the networks of the proxy that sets it, or take "
                "XForwardedClientCert away"
            ),
        ),
        (
            TLS + "clusters: [{name: a, hosts: [a.b]}, {name: a, hosts: [A.b, a.b, a.b]}]\n",
            "f:4:38: error: clusters[1].name: 'a' is the name of clusters[0], too: give each cluster a name of its own",
        ),
        (
            TLS + "clusters: [{name: a, isDefault: true}, {name: b, isDefault: true, context: x}]\n",
            (
                "f:4:50: error: clusters[1].isDefault: clusters[0] is the default already: one cluster at most is: "
                "set isDefault: false on the others, or leave it out"
            ),
        ),
        (
            TLS + "clusters: [{name: a, hosts: [a]}, {name: b, context: x}]\n",
            (
                "f:4:35: error: clusters[1].hosts: nobody can reach the cluster 'b': it has no hosts and is not the "
                "default: list its host names, or set isDefault: true"
            ),
        ),
        (
            TLS + "clusters: [{identity: {authenticators: [XForwardedClientCert], "
            "forwarded: {trustedNetworks: [0.0.0.0/0]}}}]\n",
            (
                "f:4:94: error: clusters[0].identity.forwarded.trustedNetworks[0]: 0.0.0.0/0 is everybody: "
                "list the networks of the proxy alone"
            ),
        ),
        (
            TLS + "clusters: [{name: a, hosts: ['a.b:443']}]\n",
            (
                "f:4:30: error: clusters[0].hosts[0]: 'a.b:443' is no host name: "
                "write the name alone, without scheme, port and path"
            ),
        ),
        (
            TLS + "clusters: [{identity: {tokenReview: false}}]\n",
            (
                "f:4:24: error: clusters[0].identity.tokenReview: no token would be accepted: none is reviewed, and no "
                "issuer is known: set tokenReview: true, or name an authenticationConfiguration, "
                "or take BearerToken away"
            ),
        ),
        (
            TLS
            + "clusters: [{identity: {impersonation: {enabled: true, trusted: [{kind: ServiceAccount, name: x}]}}}]\n",
            (
                "f:4:88: error: clusters[0].identity.impersonation.trusted[0].name: 'x' is no service account: "
                "write system:serviceaccount:<namespace>:<name>"
            ),
        ),
        (
            TLS + "clusters: [{identity: {forwardedExtra: [tenantry.dev/original-user]}}]\n",
            (
                "f:4:41: error: clusters[0].identity.forwardedExtra[0]: 'tenantry.dev/original-user' is reserved: "
                "leave keys under tenantry.dev/ to the gateway, which tells there who really asked"
            ),
        ),
        (
            TLS + "metricsAddress: :9001\n",
            "f:4:1: error: metricsAddress: port 9001 is that of listening.port: choose another port",
        ),
        (
            TLS + "locks: {groups: ['system:authenticated']}\n",
            (
                "f:4:9: error: locks.groups: 'system:authenticated' is everybody: nobody would get in: "
                "stop the gateway if that is meant; else name a smaller group"
            ),
        ),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, said: str) -> None:
    found = lines(HEAD + text)

    assert (said.replace("f:3:1: ", "f:1:1: ") if not text else said) in found
    assert check_text(HEAD + text, folder=Path("/"), now=None).settings is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "listening: {certificates: [{certificate: c, key: k}], proxyProtocol: true}\n",
            (
                "f:3:55: warning: listening.proxyProtocol: whoever can connect may claim any client address: "
                "let the load balancer alone reach this port"
            ),
        ),
        (
            TLS + "clusters: [{identity: {allowedSystemNames: ['system:masters']}}]\n",
            (
                "f:4:45: warning: clusters[0].identity.allowedSystemNames[0]: whoever an issuer puts in system:masters "
                "may do everything, and no role can take it away: bind a group of yours to cluster-admin instead"
            ),
        ),
        (
            TLS + "clusters: [{identity: {droppedGroups: ['x-.*']}}]\n",
            (
                "f:4:40: warning: clusters[0].identity.droppedGroups[0]: 'x-.*' looks like an "
                "expression, and is taken as "
                "an exact name: write expressions in droppedGroupPattern"
            ),
        ),
    ],
)
def test_what_is_likely_not_meant_is_a_warning(text: str, said: str) -> None:
    checked = check_text(HEAD + text, folder=Path("/"), now=None)

    assert [located_line("f", each) for each in checked.problems] == [said]
    assert checked.settings is not None


def test_networks_of_forwarded_certificates_are_no_matter_where_those_are_not_looked_at() -> None:
    """As with capsule-proxy's flag for trusted networks, which is about connections, too."""
    text = TLS + "clusters: [{identity: {forwarded: {trustedNetworks: [0.0.0.0/0]}}}]\n"

    assert lines(HEAD + text) == []


@pytest.mark.parametrize(
    "text",
    ["a: [", "a: 1\n--- \nb: 2\n", "\tx: 1\n", "a: &a [*a]\n", "a: " + "[" * 5000 + "]" * 5000, "\x00"],
)
def test_what_is_no_yaml_is_one_problem_with_a_line(text: str) -> None:
    (found,) = check_text(text, folder=Path("/"), now=None).problems

    assert found.what.startswith("this is no YAML (")
    assert found.line >= 1


def test_short_files_can_not_be_made_endless() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{name}: &{name} [{', '.join(['*' + before] * 20)}]\n"
        for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )

    (found,) = check_text(bomb, folder=Path("/"), now=None).problems

    assert "more than" in found.what


@pytest.mark.parametrize("text", ["[]", "5", "text", "~: 1", "? [a]\n: 1"])
def test_what_is_yaml_and_no_configuration_is_refused(text: str) -> None:
    assert check_text(text, folder=Path("/"), now=None).settings is None


def test_an_error_has_them_all(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(HEAD + "prot: 1\nlogLevel: x\n")

    with pytest.raises(ConfigurationProblems) as raised:
        read_settings(file)

    assert str(raised.value).splitlines()[:2] == [
        f"{file} can't be used, 3 problems:",
        (
            f"  {file}:1:1: error: listening.certificates: there is no certificate, so that anybody on the way could "
            "read tokens: name a certificate and its key, or set listening.trustedNetworks to the proxies that end TLS"
        ),
    ]
    assert [each.field for each in raised.value.problems] == ["listening.certificates", "prot", "logLevel"]


def test_defaults_are_those_of_the_settings() -> None:
    checked = check_text(HEAD + TLS, folder=Path("/f"), now=None)

    assert checked.problems == ()
    assert checked.settings is not None
    assert [str(each.certificate) for each in checked.settings.listening.certificates] == ["/f/tls.crt"]
    rest = check_text(HEAD + "listening: {trustedNetworks: [10.0.0.0/8]}", folder=Path("/"), now=None).settings
    assert rest is not None
    assert (rest.limits, rest.clusters, rest.audit, rest.locks) == (
        GatewaySettings().limits,
        GatewaySettings().clusters,
        GatewaySettings().audit,
        GatewaySettings().locks,
    )
