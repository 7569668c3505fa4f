"""How the user's commands reach the cluster: options, one client, lists that may be refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import click

from tenantry.foundation.codec import Model, Raw, decode, field
from tenantry.kube.client import Client
from tenantry.kube.config import load_config
from tenantry.kube.errors import ForbiddenError, NotFoundError
from tenantry.kube.resources import KubernetesObject, Resource
from tenantry.tenancy.inspection.judging import Running

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
O = TypeVar("O", bound=KubernetesObject)  # noqa: E741  # an object; never mistaken for a zero here
PAGE: Final = 500
USER_AGENT: Final = "tenantry-cli"


def cluster_options(command: F) -> F:
    """Add ``--kubeconfig`` and ``--context``."""
    kubeconfig = click.option(
        "--kubeconfig",
        type=click.Path(),
        help="Path of a kubeconfig.  [default: $KUBECONFIG, then the pod's own, then ~/.kube/config]",
    )
    context = click.option("--context", help="Context of the kubeconfig.  [default: its current one]")
    return kubeconfig(context(command))


def namespace_option(command: F) -> F:
    """Add ``--namespace``: where the installation is."""
    return click.option(
        "-n",
        "--namespace",
        envvar="NAMESPACE",
        default="capsule-system",
        show_default=True,
        show_envvar=True,
        help="Namespace that tenantry is installed in.",
    )(command)


@asynccontextmanager
async def connected(kubeconfig: str | None, context: str | None) -> AsyncIterator[Client]:
    """Yield a client of the cluster that the options name.

    Raises:
        ConfigurationError: There is no such cluster.
    """
    async with Client(load_config(kubeconfig=kubeconfig, context=context), user_agent=USER_AGENT) as client:
        yield client


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end."""
    return asyncio.run(work)


async def listed(
    client: Client, resource: Resource[O], namespace: str | None = None, *, label_selector: str | None = None
) -> list[O]:
    """Return all objects of a kind; none where the cluster has no such API."""
    try:
        return (await client.list(resource, namespace, label_selector=label_selector)).items
    except NotFoundError:
        return []


async def found(client: Client, resource: Resource[O], name: str, namespace: str | None = None) -> O | None:
    """Return the object; None where there is none."""
    try:
        return await client.get(resource, name, namespace)
    except NotFoundError:
        return None


class Unread:
    """Collects what could not be read for want of rights, so that the rest can still be shown."""

    def __init__(self) -> None:
        self.what: dict[str, str] = {}

    async def read(self, what: str, reading: Coroutine[Any, Any, T], otherwise: T) -> T:
        """Return what *reading* gives; *otherwise*, with a note, where the API server forbids it."""
        try:
            return await reading
        except ForbiddenError as error:
            self.what[what] = str(error)
            return otherwise


class _ListMeta(Model):
    token: str = field(name="continue", default="")


class _Page(Model):
    metadata: _ListMeta = _ListMeta()
    items: tuple[Raw, ...] | None = None


class _Name(Model):
    name: str = ""


class _Named(Model):
    metadata: _Name = _Name()


async def running(client: Client, resource: Resource[Any], namespace: str) -> list[Running]:
    """Return the objects of a kind in *namespace* as stored; none where the cluster has no such API."""
    found: list[Running] = []
    query = {"limit": str(PAGE)}
    while True:
        try:
            page = decode(await client.request("GET", resource.path(namespace), query=query), _Page)
        except NotFoundError:
            return found
        found += [_running(resource, namespace, each) for each in page.items or ()]
        if not page.metadata.token:
            return found
        query["continue"] = page.metadata.token


def _running(resource: Resource[Any], namespace: str, content: Raw) -> Running:
    return Running(
        group=resource.group,
        version=resource.version,
        kind=resource.kind,
        resource=resource.plural,
        namespace=namespace,
        name=decode(content, _Named).metadata.name,
        # The page that it is a part of would stay in memory as long as any of its objects.
        content=content.copy(),
    )
