"""What tenants' users see first, with kubectl."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tenantry.testing.gateway import Gateway
from tenantry.testing.world import World

TenantUser = Callable[[str], tuple[str, Path]]


async def test_users_see_their_own_namespaces_alone(world: World, gateway: Gateway, tenant_user: TenantUser) -> None:
    """Each owner lists the namespaces made just before, and nobody else's."""
    (alice, through_alice), (bob, through_bob) = tenant_user("alice"), tenant_user("bob")
    own: dict[str, list[str]] = {}
    for user in (alice, bob):
        tenant = await world.tenant({"owners": [{"kind": "User", "name": user}]})
        client = await world.user(user)
        own[user] = sorted([await world.namespace(client, tenant.metadata.name) for _ in range(2)])

    seen = {
        user: (await gateway.kubectl("get", "namespaces", "-o", "name", user=through)).stdout.split()
        for user, through in ((alice, through_alice), (bob, through_bob))
    }

    assert seen == {user: [f"namespace/{name}" for name in names] for user, names in own.items()}
