"""Kubeconfig files: read, checked for shape, and merged as kubectl merges them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tenantry.foundation.codec import DecodeError, Model, field, from_plain
from tenantry.foundation.errors import ConfigurationError


class NamedExtension(Model, rename="kebab"):
    """An extension: of these, only the one meant for exec plug-ins is read."""

    name: str = ""
    extension: Any = None


class Cluster(Model, rename="kebab"):
    """clientcmd.Cluster."""

    server: str = ""
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    proxy_url: str = ""
    disable_compression: bool = False
    extensions: tuple[NamedExtension, ...] | None = None


class ExecEnv(Model):
    """A variable for an exec plug-in."""

    name: str
    value: str = ""


class Exec(Model):
    """clientcmd.ExecConfig."""

    command: str = ""
    args: tuple[str, ...] | None = None
    env: tuple[ExecEnv, ...] | None = None
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class AuthProvider(Model, rename="kebab"):
    """clientcmd.AuthProviderConfig."""

    name: str = ""
    config: dict[str, str] | None = None


class User(Model, rename="kebab"):
    """clientcmd.AuthInfo."""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = field(name="tokenFile", default="")
    username: str = ""
    password: str = ""
    impersonate: str = field(name="as", default="")
    impersonate_uid: str = field(name="as-uid", default="")
    impersonate_groups: tuple[str, ...] | None = field(name="as-groups", default=None)
    impersonate_extra: dict[str, tuple[str, ...]] | None = field(name="as-user-extra", default=None)
    auth_provider: AuthProvider | None = None
    exec: Exec | None = None


class Context(Model, rename="kebab"):
    """clientcmd.Context."""

    cluster: str = ""
    user: str = ""
    namespace: str = ""


class NamedCluster(Model):
    """An entry of the list of clusters."""

    name: str
    cluster: Cluster | None = None


class NamedUser(Model):
    """An entry of the list of users."""

    name: str
    user: User | None = None


class NamedContext(Model):
    """An entry of the list of contexts."""

    name: str
    context: Context | None = None


class KubeconfigFile(Model, rename="kebab"):
    """One file, as it stands."""

    clusters: tuple[NamedCluster, ...] | None = None
    users: tuple[NamedUser, ...] | None = None
    contexts: tuple[NamedContext, ...] | None = None
    current_context: str = ""


class Entry(Model):
    """Where an entry stands: relative paths in it start at that file's folder."""

    file: Path
    cluster: Cluster = Cluster()
    user: User = User()
    context: Context = Context()


class Kubeconfig(Model):
    """Several files as one: of each name the first entry counts, and the first current context."""

    files: tuple[Path, ...]
    clusters: dict[str, Entry]
    users: dict[str, Entry]
    contexts: dict[str, Entry]
    current_context: str


N = TypeVar("N")


def read_kubeconfig(files: Sequence[Path]) -> Kubeconfig:
    """Return the merged content of *files*, the first of which wins; missing ones are left out.

    Raises:
        ConfigurationError: A file can not be read or is no kubeconfig, or none exists.
    """
    found = [(file, _read(file)) for file in files if file.exists()]
    if not found:
        raise ConfigurationError(f"no kubeconfig at {', '.join(map(str, files))}")
    merged = Kubeconfig(
        files=tuple(file for file, _ in found),
        clusters={},
        users={},
        contexts={},
        current_context=next((one.current_context for _, one in found if one.current_context), ""),
    )
    for file, one in found:
        for cluster in one.clusters or ():
            merged.clusters.setdefault(cluster.name, Entry(file=file, cluster=cluster.cluster or Cluster()))
        for user in one.users or ():
            merged.users.setdefault(user.name, Entry(file=file, user=user.user or User()))
        for context in one.contexts or ():
            merged.contexts.setdefault(context.name, Entry(file=file, context=context.context or Context()))
    return merged


def _read(file: Path) -> KubeconfigFile:
    try:
        content = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot read the kubeconfig {file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"the kubeconfig {file} is not YAML: {error}") from error
    try:
        return from_plain(content if content is not None else {}, KubeconfigFile)
    except DecodeError as error:
        raise ConfigurationError(f"{file} is not a kubeconfig: {error}") from error


def store_auth_provider(file: Path, user: str, config: dict[str, str]) -> None:
    """Put *config* into the auth provider settings of *user* in *file*, in one step.

    Comments are lost, as they are when kubectl writes the file.

    Raises:
        OSError: The file can not be written.
    """
    content = yaml.safe_load(file.read_bytes())
    for entry in content.get("users") or ():
        if entry.get("name") == user:
            entry["user"]["auth-provider"]["config"].update(config)
    temporary = file.with_name(f"{file.name}.tenantry")
    temporary.touch(mode=0o600)
    temporary.write_text(yaml.safe_dump(content, sort_keys=False))
    temporary.replace(file)
