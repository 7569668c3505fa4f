"""The configuration file's types: what may be written, with limits; what each field means is said here alone.

Fields, defaults and sections are those of :mod:`tenantry.gateway.settings`, under their camelCase names.
"""

from __future__ import annotations

from typing import Annotated, Final

from tenantry.api.schema import Schema
from tenantry.foundation.codec import Model
from tenantry.gateway.settings import (
    AuditSettings,
    CertificateIdentity,
    ClientImpersonation,
    ClusterSettings,
    ForwardedCertificates,
    GatewaySettings,
    IdentitySettings,
    Limits,
    Listening,
    VisibilitySettings,
)

API_VERSION: Final = "gateway.tenantry.dev/v1alpha1"
KIND: Final = "GatewayConfiguration"

FILE: Final = "file"
NETWORK: Final = "cidr"
ADDRESS: Final = "address"
EXPRESSION: Final = "regex"

_LISTENING = Listening()
_LIMITS = Limits()
_CERTIFICATES = CertificateIdentity()
_FORWARDED = ForwardedCertificates()
_IMPERSONATION = ClientImpersonation()
_IDENTITY = IdentitySettings()
_VISIBILITY = VisibilitySettings()
_CLUSTER = ClusterSettings()
_AUDIT = AuditSettings()
_GATEWAY = GatewaySettings()

_Name = Annotated[str, Schema(min_length=1)]
_File = Annotated[str, Schema(min_length=1, format=FILE)]
_Network = Annotated[str, Schema(format=NETWORK)]
_Kind = Annotated[str, Schema(required=True, enum=("User", "Group", "ServiceAccount"))]
_DAY: Final = 86_400
_MIB: Final = 1024 * 1024


class SubjectConfiguration(Model):
    """A user, a group or a service account, by the name that Kubernetes knows it by."""

    kind: _Kind = ""
    """What it is."""
    name: Annotated[str, Schema(required=True, min_length=1)] = ""
    """A service account's is `system:serviceaccount:<namespace>:<name>`."""


class CertificateConfiguration(Model):
    """A serving certificate; both files are read again when they are replaced."""

    certificate: Annotated[str, Schema(required=True, min_length=1, format=FILE)] = ""
    """File with the certificate and the chain above it, PEM."""
    key: Annotated[str, Schema(required=True, min_length=1, format=FILE)] = ""
    """File with its private key, PEM, not encrypted."""


class ListeningConfiguration(Model):
    """Where the gateway listens, and with which certificates."""

    address: Annotated[str, Schema(min_length=1)] = _LISTENING.address
    """IP address to listen on; `0.0.0.0` is all of IPv4, `::` all."""
    port: Annotated[int, Schema(minimum=1, maximum=65535)] = _LISTENING.port
    """TCP port."""
    certificates: tuple[CertificateConfiguration, ...] = ()
    """Chosen by the host name that the client asks for; the first also for clients that name none. Without any the
    gateway speaks plain HTTP, and *trustedNetworks* must be set."""
    proxy_protocol: bool = _LISTENING.proxy_protocol
    """Whether connections begin with the PROXY protocol of a load balancer, which tells the client's address."""
    trusted_networks: tuple[_Network, ...] = ()
    """If set, connections from elsewhere are refused. Required for plain HTTP."""


class LimitsConfiguration(Model):
    """What one request, connection or user may take."""

    request_header_bytes: Annotated[int, Schema(minimum=8 * 1024, maximum=8 * _MIB)] = _LIMITS.request_header_bytes
    """Of all headers of a request together."""
    request_headers: Annotated[int, Schema(minimum=50, maximum=10_000)] = _LIMITS.request_headers
    """Headers of a request; each group of an impersonated user is one."""
    url_bytes: Annotated[int, Schema(minimum=2 * 1024, maximum=_MIB)] = _LIMITS.url_bytes
    """Of a request's path and query."""
    request_body_bytes: Annotated[int, Schema(minimum=64 * 1024, maximum=1024 * _MIB)] = _LIMITS.request_body_bytes
    """Of a request's body; the API server takes 3 MiB."""
    header_seconds: Annotated[float, Schema(minimum=1, maximum=300)] = _LIMITS.header_seconds
    """Until a request's headers must have arrived."""
    idle_seconds: Annotated[float, Schema(minimum=5, maximum=_DAY)] = _LIMITS.idle_seconds
    """How long a connection without any request stays open. Requests that run, watches and sessions have no limit."""
    streams_per_connection: Annotated[int, Schema(minimum=1, maximum=10_000)] = _LIMITS.streams_per_connection
    """Requests at a time on one HTTP/2 connection."""
    connections: Annotated[int, Schema(minimum=1, maximum=1_000_000)] = _LIMITS.connections
    """Connections at a time."""
    watch_namespaces: Annotated[int, Schema(minimum=1, maximum=10_000)] = _LIMITS.watch_namespaces
    """Namespaces that one watch of a kind in all namespaces may follow."""
    upstream_watches: Annotated[int, Schema(minimum=1, maximum=1_000_000)] = _LIMITS.upstream_watches
    """Watches at the API server, one a namespace, of all watches in all namespaces together."""


class CertificateIdentityConfiguration(Model):
    """Client certificates: the common name is the user, organizations are groups."""

    ca: _File | None = None
    """File with the CAs that sign client certificates, PEM. Without it the cluster's own, from the ConfigMap
    `kube-system/extension-apiserver-authentication`."""
    crl: _File | None = None
    """File with revocation lists, PEM; a certificate that is on one is refused."""
    subject_alternative_names: tuple[_Name, ...] = ()
    """If set, a certificate must carry one of these DNS names or URIs."""


class ForwardedCertificatesConfiguration(Model):
    """Client certificates that a terminating proxy before the gateway passes on in a header."""

    header: Annotated[str, Schema(pattern=r"^[A-Za-z0-9-]+$")] = _FORWARDED.header
    """The header's name."""
    trusted_networks: tuple[_Network, ...] = ()
    """Where that proxy is; the header of anybody else is refused. Required for `XForwardedClientCert`."""


class ClientImpersonationConfiguration(Model):
    """Whether clients may act as somebody else (`kubectl --as`, Teleport, Rancher)."""

    enabled: bool = _IMPERSONATION.enabled
    """If not, requests with `Impersonate-*` headers are refused. If so, the caller needs the right to impersonate
    each user, group, uid and extra, as with the API server itself."""
    trusted: tuple[SubjectConfiguration, ...] = ()
    """Who may act as anybody without that right, `system:` names excepted: give whole names of service accounts."""


class IdentityConfiguration(Model):
    """Who is asking, and how that is found out."""

    authenticators: Annotated[
        tuple[str, ...], Schema(min_items=1, item_enum=("BearerToken", "TLSCertificate", "XForwardedClientCert"))
    ] = _IDENTITY.authenticators
    """Tried in this order. The first whose credential is there decides; if that is invalid, the answer is 401."""
    authentication_configuration: _File | None = None
    """kube-apiserver's own file (`apiserver.config.k8s.io`, AuthenticationConfiguration): tokens of its issuers are
    verified here, without a request to the API server."""
    token_review: bool = _IDENTITY.token_review
    """Whether tokens of no issuer named there are shown to the API server."""
    token_audiences: tuple[_Name, ...] = ()
    """Audiences of that review; without any the API server's own."""
    fresh_seconds: Annotated[float, Schema(minimum=1, maximum=300)] = _IDENTITY.fresh_seconds
    """How long an identity is used without asking again."""
    review_seconds: Annotated[float, Schema(minimum=1, maximum=3600)] = _IDENTITY.review_seconds
    """How long an accepted review holds, at most until the token expires."""
    refusal_seconds: Annotated[float, Schema(minimum=0, maximum=60)] = _IDENTITY.refusal_seconds
    """How long a refused token is refused without asking again."""
    stale_seconds: Annotated[float, Schema(minimum=0, maximum=_DAY)] = _IDENTITY.stale_seconds
    """How long identities that are known still hold while an issuer's key server or a part of the gateway is away;
    never beyond their expiry."""
    token_lifetime_seconds: Annotated[float, Schema(minimum=0)] = _IDENTITY.token_lifetime_seconds
    """Refuse tokens that live longer than this; 0 is no limit."""
    certificates: CertificateIdentityConfiguration = CertificateIdentityConfiguration()
    """Client certificates."""
    forwarded: ForwardedCertificatesConfiguration = ForwardedCertificatesConfiguration()
    """Client certificates from a proxy's header."""
    impersonation: ClientImpersonationConfiguration = ClientImpersonationConfiguration()
    """Acting as somebody else."""
    group_pattern: Annotated[str, Schema(format=EXPRESSION)] = _IDENTITY.group_pattern
    """Expression that a group's whole name must match; other groups are not used at all."""
    dropped_groups: tuple[_Name, ...] = ()
    """Exact names of groups that are not used at all."""
    dropped_group_pattern: Annotated[str, Schema(format=EXPRESSION)] = _IDENTITY.dropped_group_pattern
    """Expression; groups whose whole name matches are not used at all."""
    allowed_system_names: tuple[_Name, ...] = ()
    """`system:` users and groups that an issuer or a certificate may give after all."""
    forwarded_extra: Annotated[tuple[str, ...], Schema(item_pattern=r"^[a-z0-9/._-]+$")] = _IDENTITY.forwarded_extra
    """Keys of a user's extra that reach the API server; the gateway's role needs `userextras/<key>` for each."""
    own_token: Annotated[str, Schema(enum=("Never", "SelfReviews", "Always"))] = _IDENTITY.own_token
    """For which requests a token that the API server itself accepts goes up instead of impersonation."""


class VisibilityConfiguration(Model):
    """What tenants' users see."""

    configuration_name: Annotated[str, Schema(min_length=1)] = _VISIBILITY.configuration_name
    """The CapsuleConfiguration that says who is a Capsule user."""
    ignored_users: tuple[_Name, ...] = ()
    """Users who go through unfiltered, under their own name."""
    ignored_groups: tuple[_Name, ...] = ()
    """Groups whose members do."""
    role_bindings_need_label: bool = _VISIBILITY.role_bindings_need_label
    """Whether only RoleBindings labelled `reflection.proxy.projectcapsule.dev/enabled: "true"` open lists over all
    namespaces."""


class ClusterConfiguration(Model):
    """One cluster behind the gateway."""

    name: Annotated[str, Schema(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=32)] = (
        _CLUSTER.name
    )
    """Of ours, for records and metrics."""
    hosts: tuple[_Name, ...] = ()
    """Host names by which clients reach it, lower case. Only the default cluster may have none."""
    is_default: bool | None = None
    """Whether clients that name no known host reach this one; by default only where there is one cluster."""
    kubeconfig: _File | None = None
    """File that says how to reach it. Without it, and without *context*: the pod's service account, or what kubectl
    would use."""
    context: _Name | None = None
    """Context of the kubeconfig; by default its current one."""
    identity: IdentityConfiguration = IdentityConfiguration()
    """Who is asking."""
    visibility: VisibilityConfiguration = VisibilityConfiguration()
    """What they see."""


class AuditConfiguration(Model):
    """Where audit records go; one JSON object a line."""

    file: _File | None = None
    """By default standard output."""
    max_bytes: Annotated[int, Schema(minimum=64 * 1024)] = _AUDIT.max_bytes
    """A file that reaches this is renamed to `.1`, and so on."""
    keep_files: Annotated[int, Schema(minimum=1, maximum=1000)] = _AUDIT.keep_files
    """How many of those are kept."""


class LocksConfiguration(Model):
    """Whoever is listed is refused at once, and what runs for them ends within two seconds."""

    users: tuple[_Name, ...] = ()
    """Names of users, as Kubernetes knows them."""
    groups: tuple[_Name, ...] = ()
    """Names of groups."""


class GatewayConfiguration(Model):
    """Everything that may be set about a gateway. A file that changes is taken over while the gateway runs; one that
    is wrong changes nothing. Files that it names are looked for from its own folder on.
    """

    api_version: Annotated[str, Schema(required=True, enum=(API_VERSION,))] = ""
    """Version of this format."""
    kind: Annotated[str, Schema(required=True, enum=(KIND,))] = ""
    """This kind."""
    listening: ListeningConfiguration = ListeningConfiguration()
    """Where the gateway listens."""
    limits: LimitsConfiguration = LimitsConfiguration()
    """What one request, connection or user may take."""
    clusters: Annotated[tuple[ClusterConfiguration, ...], Schema(min_items=1)] = (ClusterConfiguration(),)
    """The clusters behind the gateway. Without any, the one that it runs in."""
    audit: AuditConfiguration = AuditConfiguration()
    """Where audit records go."""
    locks: LocksConfiguration = LocksConfiguration()
    """Who is locked out."""
    drain_seconds: Annotated[float, Schema(minimum=0, maximum=3600)] = _GATEWAY.drain_seconds
    """How long requests that run may still take after SIGTERM."""
    health_address: Annotated[str, Schema(format=ADDRESS)] = _GATEWAY.health_address
    """`host:port` or `:port` of health checks; `0` is nowhere."""
    metrics_address: Annotated[str, Schema(format=ADDRESS)] = _GATEWAY.metrics_address
    """`host:port` or `:port` of metrics; `0` is nowhere."""
    envoy_workers: Annotated[int, Schema(minimum=0, maximum=512)] = _GATEWAY.envoy_workers
    """Threads of the data plane; 0 is one a core."""
    log_level: Annotated[str, Schema(enum=("debug", "info", "warning", "error"))] = _GATEWAY.log_level
    """How much is logged."""
