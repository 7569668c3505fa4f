"""Each verb against a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenantry.api.core import ConfigMap
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.codec import decode_any, encode
from tenantry.kube import resources
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig, Impersonation, load_config
from tenantry.kube.credentials import TokenFile
from tenantry.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidObjectError,
    NotFoundError,
)
from tenantry.kube.exec_plugin import ExecPlugin
from tenantry.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CONFIG_MAPS,
    NAMESPACES,
    PERSISTENT_VOLUME_CLAIMS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from tenantry.kube.tls import TlsSettings


def _map(name: str, namespace: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "data": data}


async def test_an_object_is_created_read_replaced_and_deleted(admin: Client, namespace: str) -> None:
    created = await admin.create(CONFIG_MAPS, _map("a", namespace, k="1"))
    assert await admin.get(CONFIG_MAPS, "a", namespace) == created
    assert (created.data, created.metadata.name, created.metadata.namespace) == ({"k": "1"}, "a", namespace)

    body = _map("a", namespace, k="2")
    body["metadata"]["resourceVersion"] = created.metadata.resource_version
    updated = await admin.update(CONFIG_MAPS, body)
    assert updated.data == {"k": "2"}

    with pytest.raises(ConflictError, match="the object has been modified"):
        await admin.update(CONFIG_MAPS, body)
    await admin.delete(CONFIG_MAPS, "a", namespace)
    with pytest.raises(NotFoundError, match='configmaps "a" not found') as caught:
        await admin.get(CONFIG_MAPS, "a", namespace)
    assert (caught.value.api_reason, caught.value.details.name) == ("NotFound", "a")


async def test_a_struct_is_a_body_too(admin: Client, namespace: str) -> None:
    created = await admin.create(CONFIG_MAPS, ConfigMap(metadata=ObjectMeta(name="a"), data={"k": "v"}), namespace)

    assert (created.metadata.namespace, created.data) == (namespace, {"k": "v"})
    with pytest.raises(AlreadyExistsError):
        await admin.create(CONFIG_MAPS, ConfigMap(metadata=ObjectMeta(name="a")), namespace)


async def test_a_wrong_object_names_its_fields(admin: Client, namespace: str) -> None:
    with pytest.raises(InvalidObjectError) as caught:
        await admin.create(CONFIG_MAPS, _map("A_B", namespace))

    assert [cause.field for cause in caught.value.details.causes or ()] == ["metadata.name"]


@pytest.mark.parametrize("size", [1, 3, 500])
async def test_all_pages_of_a_list_arrive(admin: Client, namespace: str, size: int) -> None:
    for number in range(7):
        await admin.create(CONFIG_MAPS, _map(f"m{number}", namespace))

    listing = await admin.list(CONFIG_MAPS, namespace, page_size=size, field_selector="metadata.name!=kube-root-ca.crt")

    assert [item.metadata.name for item in listing.items] == [f"m{number}" for number in range(7)]
    assert int(listing.resource_version) >= max(int(item.metadata.resource_version) for item in listing.items)


async def test_lists_are_selected_by_labels(admin: Client, namespace: str) -> None:
    for name in ("a", "b", "c"):
        body = _map(name, namespace)
        body["metadata"]["labels"] = {"is": name}
        await admin.create(CONFIG_MAPS, body)

    listing = await admin.list(CONFIG_MAPS, namespace, label_selector="is in (a, c)")

    assert [item.metadata.name for item in listing.items] == ["a", "c"]


async def test_metadata_alone_can_be_read(admin: Client, namespace: str) -> None:
    created = await admin.create(CONFIG_MAPS, _map("a", namespace, k="v"))
    partial = CONFIG_MAPS.metadata_only()
    expected = PartialObject(api_version="meta.k8s.io/v1", kind="PartialObjectMetadata", metadata=created.metadata)

    assert await admin.get(partial, "a", namespace) == expected
    listing = await admin.list(partial, namespace, field_selector="metadata.name=a")
    assert listing.items == [expected]
    watch = admin.watch(partial, namespace, resource_version="0", field_selector="metadata.name=a")
    async with aclosing(watch):
        assert (await anext(watch)).object == expected


async def test_applying_creates_changes_and_removes_what_was_applied(admin: Client, namespace: str) -> None:
    applied = await admin.apply(CONFIG_MAPS, _map("a", namespace, one="1", two="2"), field_manager="me")
    assert applied.data == {"one": "1", "two": "2"}

    applied = await admin.apply(CONFIG_MAPS, _map("a", namespace, two="3"), field_manager="me")
    assert applied.data == {"two": "3"}
    again = await admin.apply(CONFIG_MAPS, _map("a", namespace, two="3"), field_manager="me")
    assert again == applied


async def test_a_field_of_another_manager_is_a_conflict_unless_forced(admin: Client, namespace: str) -> None:
    await admin.apply(CONFIG_MAPS, _map("a", namespace, k="1"), field_manager="one")

    with pytest.raises(ConflictError, match='conflict with "one"') as caught:
        await admin.apply(CONFIG_MAPS, _map("a", namespace, k="2"), field_manager="two")
    assert [cause.field for cause in caught.value.details.causes or ()] == [".data.k"]
    forced = await admin.apply(CONFIG_MAPS, _map("a", namespace, k="2"), field_manager="two", force=True)
    assert forced.data == {"k": "2"}


async def test_the_three_kinds_of_patch(admin: Client, namespace: str) -> None:
    await admin.create(CONFIG_MAPS, _map("a", namespace, one="1", two="2"))

    operations = [{"op": "replace", "path": "/data/one", "value": "x"}]
    assert (await admin.patch(CONFIG_MAPS, "a", namespace, patch=operations, kind="json")).data == {
        "one": "x",
        "two": "2",
    }
    merged = await admin.patch(CONFIG_MAPS, "a", namespace, patch={"data": {"one": None}}, kind="merge")
    assert merged.data == {"two": "2"}
    patch = {"metadata": {"finalizers": ["example.org/a"]}}
    await admin.patch(CONFIG_MAPS, "a", namespace, patch=patch, kind="strategic")
    patch = {"metadata": {"finalizers": ["example.org/b"]}}
    strategic = await admin.patch(CONFIG_MAPS, "a", namespace, patch=patch, kind="strategic")
    assert sorted(strategic.metadata.finalizers) == ["example.org/a", "example.org/b"]
    await admin.patch(CONFIG_MAPS, "a", namespace, patch={"metadata": {"finalizers": None}}, kind="merge")


async def test_a_subresource_is_written_alone(admin: Client, namespace: str) -> None:
    claim = {
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "",
        },
    }
    await admin.create(PERSISTENT_VOLUME_CLAIMS, claim)

    status = {"metadata": {"labels": {"not": "taken"}}, "status": {"phase": "Lost"}}
    patched = await admin.patch(
        PERSISTENT_VOLUME_CLAIMS, "a", namespace, patch=status, kind="merge", subresource="status"
    )

    assert (patched.status.phase, patched.spec.storage_class_name) == ("Lost", "")


async def test_a_dry_run_leaves_nothing(admin: Client, namespace: str) -> None:
    await admin.create(CONFIG_MAPS, _map("new", namespace), dry_run=True)
    await admin.apply(CONFIG_MAPS, _map("new", namespace), field_manager="me", dry_run=True)
    created = await admin.create(CONFIG_MAPS, _map("a", namespace, k="1"))
    update = await admin.update(CONFIG_MAPS, _map("a", namespace, k="2"), dry_run=True)
    await admin.patch(CONFIG_MAPS, "a", namespace, patch={"data": {"k": "3"}}, kind="merge", dry_run=True)
    await admin.delete(CONFIG_MAPS, "a", namespace, dry_run=True)

    assert update.data == {"k": "2"}
    assert await admin.get(CONFIG_MAPS, "a", namespace) == created
    with pytest.raises(NotFoundError):
        await admin.get(CONFIG_MAPS, "new", namespace)


async def test_a_deletion_holds_to_its_preconditions(admin: Client, namespace: str) -> None:
    created = await admin.create(CONFIG_MAPS, _map("a", namespace))

    with pytest.raises(ConflictError):
        await admin.delete(CONFIG_MAPS, "a", namespace, uid="other")
    with pytest.raises(ConflictError):
        await admin.delete(CONFIG_MAPS, "a", namespace, resource_version="1")
    await admin.delete(
        CONFIG_MAPS,
        "a",
        namespace,
        uid=created.metadata.uid,
        resource_version=created.metadata.resource_version,
        propagation="Background",
        grace_seconds=0,
    )
    with pytest.raises(NotFoundError):
        await admin.delete(CONFIG_MAPS, "a", namespace)


async def test_a_foreground_deletion_waits_for_the_collector(admin: Client, namespace: str) -> None:
    """Whether it goes on to delete is the garbage collector's; the finalizer is proof of the option."""
    body = _map("a", namespace)
    body["metadata"]["finalizers"] = ["example.org/hold"]
    await admin.create(CONFIG_MAPS, body)

    await admin.delete(CONFIG_MAPS, "a", namespace, propagation="Foreground")

    terminating = await admin.get(CONFIG_MAPS, "a", namespace)
    assert terminating.metadata.deletion_timestamp is not None
    await admin.patch(CONFIG_MAPS, "a", namespace, patch={"metadata": {"finalizers": None}}, kind="merge")


async def test_many_are_deleted_at_once(admin: Client, namespace: str) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        body = _map(name, namespace)
        body["metadata"]["labels"] = {"of": label}
        await admin.create(CONFIG_MAPS, body)

    await admin.delete_collection(CONFIG_MAPS, namespace, label_selector="of=x")

    left = await admin.list(CONFIG_MAPS, namespace, label_selector="of")
    assert [item.metadata.name for item in left.items] == ["c"]


async def test_names_that_need_escaping_are_found(admin: Client, namespace: str) -> None:
    name = "capsule:managed:0a"
    body = {
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    }
    await admin.create(ROLE_BINDINGS, body)

    assert (await admin.get(ROLE_BINDINGS, name, namespace)).metadata.name == name
    for odd in ("a/b", "a?b", "a#b", "a b", "ü"):
        with pytest.raises(ApiError) as caught:
            await admin.get(ROLE_BINDINGS, odd, namespace)
        assert caught.value.status in {400, 404}


async def test_requests_can_be_made_as_somebody_else(
    admin: Client, admin_config: ClusterConfig, namespace: str, unique: Callable[[str], str], eventually: Any
) -> None:
    group = unique("group")
    binding = {
        "metadata": {"name": unique("viewers")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
    }
    await admin.create(CLUSTER_ROLE_BINDINGS, binding)
    bob = admin.impersonating(Impersonation("bob", ("other", group), {"example.org/scope": ("a",)}))

    async def may_list() -> bool:
        try:
            await bob.list(CONFIG_MAPS, namespace)
        except ForbiddenError:  # The authorizer has a cache too.
            return False
        return True

    await eventually(may_list)
    with pytest.raises(ForbiddenError, match='User "bob" cannot create'):
        await bob.create(CONFIG_MAPS, _map("a", namespace))
    async with Client(admin_config, impersonation=Impersonation("eve")) as eve:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await eve.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)
    assert decode_any(answer)["status"]["userInfo"]["username"] == "eve"


async def test_a_rotated_token_is_picked_up(
    admin: Client,
    admin_config: ClusterConfig,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Any,
) -> None:
    """The first token is revoked under the client: no request of it ever fails."""
    monkeypatch.setattr("tenantry.kube.credentials.TOKEN_FILE_SECONDS", 3600.0)
    await admin.create(SERVICE_ACCOUNTS, {"metadata": {"name": "bot", "namespace": namespace}})
    path = SERVICE_ACCOUNTS.path(namespace, "bot", "token")

    async def new_token(bound_to: str) -> str:
        await admin.create(SECRETS, {"metadata": {"name": bound_to, "namespace": namespace}})
        reference = {"kind": "Secret", "apiVersion": "v1", "name": bound_to}
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"boundObjectRef": reference},
        }
        token: str = decode_any(await admin.request("POST", path, body=request))["status"]["token"]
        return token

    statuses: list[int] = []
    file = tmp_path / "token"
    file.write_text(await new_token("one"))
    config = ClusterConfig(
        server=admin_config.server, tls=TlsSettings(ca=admin_config.tls.ca), credentials=TokenFile(file)
    )
    async with Client(config, observer=lambda _v, _p, status, _s: statuses.append(status)) as bot:
        await bot.request("GET", "/api")
        file.write_text(await new_token("two"))
        await admin.delete(SECRETS, "one", namespace)

        async def was_refused() -> bool:
            await bot.request("GET", "/api")
            return 401 in statuses

        await eventually(was_refused)

    assert statuses[-2:] == [401, 200]
    assert set(statuses) == {200, 401}


async def test_several_clusters_are_served_by_one_process(
    control_plane: ControlPlane, kubeconfig: Path, namespace: str, unique: Callable[[str], str]
) -> None:
    """Two configurations, two identities, side by side on one loop."""
    user = unique("alice")
    other = load_config(kubeconfig=str(control_plane.user_kubeconfig(user)))
    async with Client(load_config(kubeconfig=str(kubeconfig))) as one, Client(other) as two:
        assert (await one.get(NAMESPACES, namespace)).metadata.name == namespace
        with pytest.raises(ForbiddenError, match=user):
            await two.get(NAMESPACES, namespace)
        assert (await one.get(NAMESPACES, namespace)).metadata.name == namespace


async def test_a_plugin_may_log_in_with_a_certificate(
    admin: Client, admin_config: ClusterConfig, tmp_path: Path
) -> None:
    certificate = admin_config.tls.certificate
    assert certificate is not None
    status = {
        "clientCertificateData": certificate.certificate.read().decode(),
        "clientKeyData": certificate.key.read().decode(),
    }
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    (tmp_path / "answer").write_bytes(encode(answer))
    plugin = ExecPlugin(command="cat", args=(str(tmp_path / "answer"),))
    config = replace(admin_config, tls=TlsSettings(ca=admin_config.tls.ca), credentials=plugin)

    async with Client(config) as client:
        assert (await client.get(NAMESPACES, "default")) == await admin.get(NAMESPACES, "default")


async def test_a_server_is_reached_through_a_proxy(admin: Client, admin_config: ClusterConfig) -> None:
    """CONNECT (RFC 9110, 9.3.6), with TLS inside to the server itself."""
    asked: list[str] = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.splitlines()[0])
        host, _, port = head.split()[1].rpartition(":")
        server_reader, server_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pump(reader, server_writer), _pump(server_reader, writer))

    async with await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy:
        url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        async with Client(replace(admin_config, proxy_url=url)) as client:
            assert (await client.get(NAMESPACES, "default")) == await admin.get(NAMESPACES, "default")

    assert asked == [f"CONNECT {admin_config.server.removeprefix('https://')} HTTP/1.1"]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    finally:
        writer.close()


_SERVED = [
    resource
    for resource in vars(resources).values()
    if isinstance(resource, Resource) and resource.group not in {"capsule.clastix.io", "gateway.networking.k8s.io"}
]


@pytest.mark.parametrize("resource", _SERVED, ids=lambda resource: resource.plural)
async def test_each_built_in_kind_is_where_we_say(admin: Client, resource: Resource[Any]) -> None:
    assert await admin.has_api(resource)
    for item in (await admin.list(resource, page_size=50)).items:
        assert isinstance(item, resource.type)
        assert item.metadata.resource_version
        assert bool(item.metadata.namespace) == resource.namespaced


async def test_an_api_that_is_not_served_is_told_apart(admin: Client) -> None:
    assert not await admin.has_api(resources.GATEWAY_CLASSES)
    assert "pods/log" in await admin.api_resources("v1")


async def test_a_kind_is_described_as_the_server_serves_it(admin: Client) -> None:
    pods = await admin.api_resource("v1", "pods")
    nodes = await admin.api_resource("v1", "nodes")

    assert pods is not None
    assert nodes is not None
    assert (pods.kind, pods.namespaced, "watch" in pods.verbs) == ("Pod", True, True)
    assert (nodes.kind, nodes.namespaced, "watch" in nodes.verbs) == ("Node", False, True)
    assert await admin.api_resource("v1", "unicorns") is None
    assert await admin.api_resource("unicorns.example.org/v1", "unicorns") is None


async def test_a_watch_yields_changes_as_they_happen(admin: Client, namespace: str) -> None:
    version = (await admin.list(CONFIG_MAPS, namespace)).resource_version
    await admin.create(CONFIG_MAPS, _map("a", namespace, k="1"))
    await admin.patch(CONFIG_MAPS, "a", namespace, patch={"data": {"k": "2"}}, kind="merge")
    await admin.delete(CONFIG_MAPS, "a", namespace)

    watch = admin.watch(CONFIG_MAPS, namespace, resource_version=version, field_selector="metadata.name=a")
    async with aclosing(watch):
        events = [await anext(watch) for _ in range(3)]

    assert [(event.type, event.object.data) for event in events] == [
        ("ADDED", {"k": "1"}),
        ("MODIFIED", {"k": "2"}),
        ("DELETED", {"k": "2"}),
    ]
