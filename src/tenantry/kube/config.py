"""Which cluster to talk to, and as whom: one frozen value, from a kubeconfig or from a pod's own folder."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.credentials import BasicAuth, Credentials, NoCredentials, StaticToken, TokenFile
from tenantry.kube.exec_plugin import ExecPlugin, cluster_info
from tenantry.kube.kubeconfig import Cluster, Entry, Kubeconfig, User, read_kubeconfig
from tenantry.kube.oidc import OidcProvider
from tenantry.kube.tls import ClientCertificate, Pem, TlsSettings

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Whom to act as; the real identity needs the right to impersonate each part of it."""

    user: str
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """One cluster and one identity."""

    server: str
    """URL, with the path of a proxy where there is one, without a trailing slash."""
    tls: TlsSettings = field(default_factory=TlsSettings)
    credentials: Credentials = field(default_factory=NoCredentials)
    proxy_url: str | None = None
    """None: the environment's proxy variables decide."""
    namespace: str = "default"
    impersonation: Impersonation | None = None
    context: str = ""
    """The kubeconfig's name for this; empty in a pod."""


def load_config(*, kubeconfig: str | None = None, context: str | None = None) -> ClusterConfig:
    """Return the configuration of the first of: *kubeconfig*, $KUBECONFIG, the pod, ~/.kube/config.

    Args:
        kubeconfig: A path, or several as in $KUBECONFIG.
        context: A context of a kubeconfig; None is the current one.

    Raises:
        ConfigurationError: There is none, or the one found is wrong.
    """
    paths = kubeconfig or os.environ.get("KUBECONFIG", "")
    if paths:
        files = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
        return from_kubeconfig(read_kubeconfig(files), context)
    if context is None and "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT_FOLDER / "token").exists():
        return in_cluster_config(SERVICE_ACCOUNT_FOLDER, os.environ)
    default = Path.home() / ".kube" / "config"
    if default.exists():
        return from_kubeconfig(read_kubeconfig([default]), context)
    raise ConfigurationError(
        "no cluster is configured: give a kubeconfig, set KUBECONFIG, run inside a pod, or write ~/.kube/config"
    )


def in_cluster_config(folder: Path, environ: Mapping[str, str]) -> ClusterConfig:
    """Return the configuration of a pod whose service account is mounted at *folder*."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    namespace = folder / "namespace"
    return ClusterConfig(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        tls=TlsSettings(ca=Pem(file=folder / "ca.crt")),
        credentials=TokenFile(folder / "token"),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


def from_kubeconfig(kubeconfig: Kubeconfig, context: str | None = None) -> ClusterConfig:
    """Return what *context* of *kubeconfig* means.

    Raises:
        ConfigurationError: The context, its cluster or its user is missing or makes no sense.
    """
    name = context or kubeconfig.current_context
    if not name:
        raise ConfigurationError(f"{_names(kubeconfig)} has no current context: name one")
    chosen = _entry(kubeconfig, kubeconfig.contexts, "context", name).context
    cluster = _entry(kubeconfig, kubeconfig.clusters, "cluster", chosen.cluster)
    user_entry = kubeconfig.users.get(chosen.user) if chosen.user else Entry(file=cluster.file)
    if user_entry is None:
        raise ConfigurationError(f"{_names(kubeconfig)} has no user {chosen.user!r}")
    if not cluster.cluster.server.startswith(("https://", "http://")):
        raise ConfigurationError(f"cluster {chosen.cluster!r}: server {cluster.cluster.server!r} is not an http(s) URL")
    return ClusterConfig(
        server=cluster.cluster.server.rstrip("/"),
        tls=_tls(cluster, user_entry),
        credentials=_credentials(user_entry, chosen.user, cluster),
        proxy_url=cluster.cluster.proxy_url or None,
        namespace=chosen.namespace or "default",
        impersonation=_impersonation(user_entry.user),
        context=name,
    )


def _names(kubeconfig: Kubeconfig) -> str:
    return "the kubeconfig " + ", ".join(map(str, kubeconfig.files))


def _entry(kubeconfig: Kubeconfig, entries: Mapping[str, Entry], what: str, name: str) -> Entry:
    if name not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise ConfigurationError(f"{_names(kubeconfig)} has no {what} {name!r}; it has: {known}")
    return entries[name]


def _path(entry: Entry, path: str) -> Path:
    return entry.file.parent / path


def _pem(entry: Entry, data: str, path: str, what: str) -> Pem | None:
    if data:
        try:
            return Pem(data=base64.b64decode(data, validate=True))
        except (binascii.Error, ValueError) as error:
            raise ConfigurationError(f"{what} in {entry.file} is not base64: {error}") from error
    return Pem(file=_path(entry, path)) if path else None


def _tls(cluster: Entry, user: Entry) -> TlsSettings:
    spec, who = cluster.cluster, user.user
    certificate = _pem(user, who.client_certificate_data, who.client_certificate, "client-certificate-data")
    key = _pem(user, who.client_key_data, who.client_key, "client-key-data")
    if (certificate is None) != (key is None):
        raise ConfigurationError(f"a user in {user.file} has a client certificate or a key, but not both")
    ca = _pem(cluster, spec.certificate_authority_data, spec.certificate_authority, "certificate-authority-data")
    return TlsSettings(
        ca=ca,
        certificate=ClientCertificate(certificate, key) if certificate is not None and key is not None else None,
        server_name=spec.tls_server_name or None,
        is_insecure=spec.insecure_skip_tls_verify,
    )


def _credentials(entry: Entry, name: str, cluster: Entry) -> Credentials:
    user = entry.user
    if user.token_file:
        return TokenFile(_path(entry, user.token_file))
    if user.token:
        return StaticToken(user.token)
    if user.username:
        return BasicAuth(user.username, user.password)
    if user.exec is not None:
        return _exec_plugin(entry, user, cluster)
    if user.auth_provider is not None:
        if user.auth_provider.name != "oidc":
            raise ConfigurationError(
                f"user {name!r}: auth-provider {user.auth_provider.name!r} is gone from Kubernetes; use an exec plug-in"
            )
        return OidcProvider.from_config(user.auth_provider.config or {}, file=entry.file, user=name)
    return NoCredentials()


def _exec_plugin(entry: Entry, user: User, cluster: Entry) -> ExecPlugin:
    settings = user.exec
    assert settings is not None
    command = settings.command
    # As kubectl: a bare name is looked up in PATH, any other path starts at the kubeconfig.
    if os.sep in command:
        command = str(_path(entry, command))
    return ExecPlugin(
        command=command,
        args=settings.args or (),
        env=tuple((variable.name, variable.value) for variable in settings.env or ()),
        api_version=settings.api_version,
        interactive_mode=settings.interactive_mode or "IfAvailable",
        install_hint=settings.install_hint,
        cluster_info=_cluster_info(cluster) if settings.provide_cluster_info else None,
    )


def _cluster_info(entry: Entry) -> bytes:
    cluster: Cluster = entry.cluster
    ca = _pem(entry, cluster.certificate_authority_data, cluster.certificate_authority, "certificate-authority-data")
    config = next(
        (one.extension for one in cluster.extensions or () if one.name == "client.authentication.k8s.io/exec"), None
    )
    return cluster_info(
        server=cluster.server,
        tls_server_name=cluster.tls_server_name,
        is_insecure=cluster.insecure_skip_tls_verify,
        ca=ca.read() if ca is not None else None,
        proxy_url=cluster.proxy_url,
        config=config,
    )


def _impersonation(user: User) -> Impersonation | None:
    if not user.impersonate:
        return None
    return Impersonation(
        user=user.impersonate,
        groups=user.impersonate_groups or (),
        extra=user.impersonate_extra or {},
        uid=user.impersonate_uid,
    )
