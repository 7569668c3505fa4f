"""How the gateway shows itself to an API server: which kind of credential, and the file that holds it.

A service account's token file is read by Envoy itself, which follows kubelet's swap of the symbolic link
(shown by a test), so a renewed token is picked up while Python is away.  Everything else (exec plugins, OIDC,
static tokens) is pushed by Python as the value of the Authorization header, in a file renamed over the last one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tenantry.foundation.codec import decode_any
from tenantry.foundation.errors import ConfigurationError
from tenantry.gateway.envoy import names
from tenantry.gateway.envoy.shapes import Json, discovery, file_source, resource, typed
from tenantry.kube.config import ClusterConfig
from tenantry.kube.credentials import NoCredentials, TokenFile

SECRET: Final = "extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a message's name
NAME: Final = "credential"


def reads_token_file(upstream: ClusterConfig) -> bool:
    """Say whether Envoy reads the token by itself."""
    return isinstance(upstream.credentials, TokenFile)


def is_pushed(upstream: ClusterConfig) -> bool:
    """Say whether the credential must be given with ``Envoy.set_token``."""
    return not isinstance(upstream.credentials, TokenFile | NoCredentials)


def injects(upstream: ClusterConfig) -> bool:
    """Say whether an Authorization header is added at all; a client certificate needs none."""
    return not isinstance(upstream.credentials, NoCredentials)


def pushed_secret(authorization: str | None) -> bytes:
    """Return the secret's file; None withdraws it, and every request is then answered 503."""
    # An empty text: a file without the resource would be refused, and the last token would stay.
    return _file({"inline_string": authorization or ""})


def token_file_secret(path: Path) -> bytes:
    """Return the secret's file for a token that somebody else keeps fresh at *path*."""
    return _file({"filename": str(path), "watched_directory": {"path": str(path.parent)}})


def named_file(secret: bytes) -> Path | None:
    """Return the token file that a secret's file names; None where it holds the credential itself."""
    source = decode_any(secret)["resources"][0]["generic_secret"]["secret"]
    return Path(source["filename"]) if "filename" in source else None


def _file(source: dict[str, Any]) -> bytes:
    return discovery([resource(SECRET, name=NAME, generic_secret={"secret": source})])


def injector(folder: Path, cluster: str, upstream: ClusterConfig) -> Json:
    """Return the upstream filter that sets Authorization, and answers 401 without a secret."""
    prefix = {"header_value_prefix": "Bearer "} if reads_token_file(upstream) else {}
    generic = typed(
        "generic",
        "extensions.http.injected_credentials.generic.v3.Generic",
        credential={"name": NAME, "sds_config": file_source(folder / names.token_file(cluster))},
        header="Authorization",
        **prefix,
    )
    return typed(
        "credential",
        "extensions.filters.http.credential_injector.v3.CredentialInjector",
        overwrite=True,
        allow_request_without_credential=False,
        credential=generic,
    )


def check(cluster: str, upstream: ClusterConfig) -> None:
    """Refuse what the data plane can not do.

    Raises:
        ConfigurationError: It names the cluster.
    """
    if upstream.impersonation is not None:
        raise ConfigurationError(f"cluster {cluster!r}: the gateway's own kubeconfig must not impersonate anybody")
    if upstream.proxy_url:
        raise ConfigurationError(f"cluster {cluster!r}: the gateway can not reach its API server through a proxy")
    if isinstance(upstream.credentials, NoCredentials) and upstream.tls.certificate is None:
        raise ConfigurationError(f"cluster {cluster!r}: the gateway has neither a token nor a certificate of its own")
