"""Former editions of Tenants: which one a namespace was made under."""

from __future__ import annotations

from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant, TenantStatus
from tenantry.operator.editions import Editions


def tenant(version: int, generation: int, *, observed: int = 0, uid: str = "1", note: str = "") -> Tenant:
    metadata = ObjectMeta(
        name="oil", uid=uid, generation=generation, resource_version=str(version), annotations={"note": note}
    )
    return Tenant(metadata=metadata, status=TenantStatus(observed_generation=observed))


def namespace(version: int) -> ObjectMeta:
    return ObjectMeta(name="oil-dev", uid="ns", resource_version=str(version))


def test_a_namespace_belongs_to_the_edition_that_held_when_it_was_written() -> None:
    first, second, third = tenant(10, 1), tenant(20, 2), tenant(30, 2, note="x")
    editions = Editions()
    editions.note(first, second)
    editions.note(second, third)

    found = [editions.at(third, namespace(version)) for version in (15, 25, 35)]

    assert found == [first, second, None]


def test_editions_go_once_the_last_is_in_force() -> None:
    """A status of an earlier edition changes nothing; a Tenant made anew starts anew."""
    first, second, told_early, told = tenant(10, 1), tenant(20, 2), tenant(21, 2, observed=1), tenant(22, 2, observed=2)
    editions = Editions()
    editions.note(first, second)
    editions.note(second, told_early)
    assert editions.at(told_early, namespace(15)) == first
    editions.note(told_early, told)
    assert editions.at(told, namespace(15)) is None

    editions.note(first, second)
    editions.note(second, again := tenant(40, 1, uid="2"))
    assert editions.at(again, namespace(15)) is None
