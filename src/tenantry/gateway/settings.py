"""What may be set about a gateway: one frozen value, parsed and checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

Authenticator = Literal["BearerToken", "TLSCertificate", "XForwardedClientCert"]
OwnToken = Literal["Never", "SelfReviews", "Always"]
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A user, a group or a service account, by the name that Kubernetes knows it by."""

    kind: Literal["User", "Group", "ServiceAccount"]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A pair that the listener serves; read again when the files are replaced."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where the gateway listens, and with which certificates."""

    address: str = "0.0.0.0"  # noqa: S104 - a door is there to be reached
    port: int = 9001
    certificates: tuple[Certificate, ...] = ()
    """Chosen by SNI; the first is served to clients that name no host.  Empty: plain HTTP, see *trusted_networks*."""
    proxy_protocol: bool = False
    trusted_networks: tuple[Network, ...] = ()
    """If set, connections from elsewhere are refused.  Required for plain HTTP and for forwarded certificates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request, connection or user may take (R-077, invariant 20)."""

    request_header_bytes: int = 96 * 1024
    request_headers: int = 400
    url_bytes: int = 32 * 1024
    request_body_bytes: int = 3 * 1024 * 1024 + 64 * 1024
    """What kube-apiserver itself takes, and some room."""
    header_seconds: float = 10.0
    idle_seconds: float = 300.0
    """Of a connection without any request."""
    streams_per_connection: int = 250
    connections: int = 20_000
    watch_namespaces: int = 250
    """Namespaces that one watch of a kind in all namespaces may follow."""
    upstream_watches: int = 5_000
    """Upstream watches, one a namespace, of all watches in all namespaces together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateIdentity:
    """Client certificates (R-004): common name is the user, organizations are groups."""

    ca: Path | None = None
    """None: the cluster's own client CA, from kube-system/extension-apiserver-authentication."""
    crl: Path | None = None
    subject_alternative_names: tuple[str, ...] = ()
    """If set, a certificate must carry one of these DNS names or URIs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedCertificates:
    """Client certificates that a terminating proxy before the gateway passes on in a header (R-005)."""

    header: str = "X-Forwarded-Client-Cert"
    trusted_networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientImpersonation:
    """Whether clients may act as somebody else (R-021, R-022)."""

    enabled: bool = False
    trusted: tuple[Subject, ...] = ()
    """Act as anybody without a review, ``system:`` names excepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """Who is asking."""

    authenticators: tuple[Authenticator, ...] = ("BearerToken", "TLSCertificate")
    """Tried in this order; the first whose credential is present decides, and if that is invalid: 401."""
    authentication_configuration: Path | None = None
    """kube-apiserver's file (apiserver.config.k8s.io AuthenticationConfiguration); None: no issuer is verified here."""
    token_review: bool = True
    """Whether tokens of no configured issuer are shown to the API server."""
    token_audiences: tuple[str, ...] = ()
    """Empty: the API server's own."""
    fresh_seconds: float = 10.0
    """How long the data plane uses an identity without asking again."""
    review_seconds: float = 60.0
    """How long an accepted TokenReview holds, at most until the token expires."""
    refusal_seconds: float = 3.0
    stale_seconds: float = 300.0
    """How long known identities still hold while Python or an issuer's key server is away; never beyond expiry."""
    token_lifetime_seconds: float = 0.0
    """Refuse tokens that live longer than this; 0: no cap."""
    certificates: CertificateIdentity = CertificateIdentity()
    forwarded: ForwardedCertificates = ForwardedCertificates()
    impersonation: ClientImpersonation = ClientImpersonation()
    group_pattern: str = ""
    """RE2, anchored: other groups are not used at all."""
    dropped_groups: tuple[str, ...] = ()
    """Exact names of groups that are not used at all."""
    dropped_group_pattern: str = ""
    """RE2, anchored."""
    allowed_system_names: tuple[str, ...] = ()
    """``system:`` users and groups that an issuer or a certificate may give after all."""
    forwarded_extra: tuple[str, ...] = (
        "authentication.kubernetes.io/credential-id",
        "authentication.kubernetes.io/node-name",
        "authentication.kubernetes.io/node-uid",
        "authentication.kubernetes.io/pod-name",
        "authentication.kubernetes.io/pod-uid",
    )
    own_token: OwnToken = "SelfReviews"  # noqa: S105 - no token
    """For which requests a token that the API server itself accepts goes up instead of impersonation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibilitySettings:
    """What tenants' users see."""

    configuration_name: str = "default"
    """The CapsuleConfiguration that says who is a Capsule user."""
    ignored_users: tuple[str, ...] = ()
    ignored_groups: tuple[str, ...] = ()
    """Whoever is in one of these goes through unfiltered, under the own name."""
    role_bindings_need_label: bool = True
    """Whether only RoleBindings labelled for it open lists over all namespaces (8.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """One cluster behind the gateway (R-074)."""

    name: str = "default"
    hosts: tuple[str, ...] = ()
    """Host names by which clients reach it, lower case; empty is for the default cluster alone."""
    is_default: bool = True
    """Whether clients that name no known host reach this one."""
    kubeconfig: str | None = None
    """None, and no *context*: the pod's service account, or what kubectl would use."""
    context: str | None = None
    identity: IdentitySettings = IdentitySettings()
    visibility: VisibilitySettings = VisibilitySettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Where audit records go (R-090); one JSON object a line."""

    file: Path | None = None
    """None: standard output."""
    max_bytes: int = 100 * 1024 * 1024
    """A file that reaches this is renamed to ``.1`` and so on."""
    keep_files: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """Whoever is listed is refused at once, and live streams of theirs end within two seconds."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Everything that the configuration file says; a reload makes a new one."""

    listening: Listening = Listening()
    limits: Limits = Limits()
    clusters: tuple[ClusterSettings, ...] = (ClusterSettings(),)
    """At least one; names, hosts are unique, and one at most is the default."""
    audit: AuditSettings = AuditSettings()
    locks: Locks = field(default_factory=Locks)
    drain_seconds: float = 20.0
    """How long requests that run may still take after SIGTERM."""
    health_address: str = ":8081"
    metrics_address: str = ":8080"
    envoy_workers: int = 0
    """Threads of the data plane; 0: one a core."""
    log_level: str = "info"
