"""What principals see, by caches that change, and what is told of the changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenantry.access.identity import Identity
from tenantry.api.proxy import ClusterResource, ProxySettingsStatus
from tenantry.api.shared import DefaultAllowedList, OwnerSpec, ProxyOperations
from tenantry.foundation.codec import replaced
from tenantry.gateway.settings import VisibilitySettings

ALICE, BOB, CAROL = Identity(user="alice"), Identity(user="bob"), Identity(user="carol", groups=("devs",))
AS_ALICE, AS_BOB = ("User", "alice"), ("User", "bob")
Make = Callable[..., ClusterResource]


def test_who_is_no_capsule_user_is_not_filtered(cluster: Any) -> None:
    cluster.start()

    assert cluster.views.view(Identity(user="admin", groups=("system:masters",))) is None
    assert cluster.namespaces(CAROL) == set()


def test_a_namespace_shows_as_soon_as_it_is_there_whatever_the_tenants_status_says(cluster: Any) -> None:
    cluster.tenant("oil", AS_ALICE)
    cluster.start()
    assert cluster.namespaces(ALICE) == set()

    cluster.namespace("oil-dev", "oil")

    assert cluster.namespaces(ALICE) == {"oil-dev"}
    assert cluster.views.view(ALICE).all_namespaces() == ("oil-dev",)
    assert cluster.namespaces(BOB) == set()
    residents = "Group:system:serviceaccounts:oil-dev"
    assert cluster.told == [(frozenset({"User:alice", residents}), cluster.version)]


def test_a_label_alone_or_a_reference_to_a_former_tenant_shows_nothing(cluster: Any) -> None:
    cluster.tenant("oil", AS_ALICE, uid="a-new-one")
    cluster.namespace("labelled", labels={"capsule.clastix.io/tenant": "oil"})
    cluster.namespace("restored", "oil")
    cluster.start()

    assert cluster.namespaces(ALICE) == set()


def test_a_namespace_changes_hands(cluster: Any) -> None:
    cluster.tenant("oil", AS_ALICE)
    cluster.tenant("gas", AS_BOB)
    cluster.namespace("x", "oil")
    cluster.start()
    assert (cluster.namespaces(ALICE), cluster.namespaces(BOB)) == ({"x"}, set())

    cluster.namespace("x", "gas")

    assert (cluster.namespaces(ALICE), cluster.namespaces(BOB)) == (set(), {"x"})
    residents = "Group:system:serviceaccounts:x"
    assert cluster.told == [(frozenset({"User:alice", "User:bob", residents}), cluster.version)]


def test_a_tenant_made_anew_does_not_get_the_namespaces_of_its_namesake(cluster: Any) -> None:
    cluster.tenant("oil", AS_ALICE)
    cluster.namespace("x", "oil")
    cluster.start()
    assert cluster.namespaces(ALICE) == {"x"}

    cluster.tenant("oil", AS_ALICE, uid="another")

    assert cluster.namespaces(ALICE) == set()


def test_when_a_tenant_goes_its_namespace_falls_to_the_other_that_it_refers_to(cluster: Any) -> None:
    cluster.tenant("oil", AS_ALICE)
    cluster.tenant("gas", AS_BOB)
    cluster.namespace("x", "oil", "gas", labels={"capsule.clastix.io/tenant": "oil"})
    cluster.start()
    assert (cluster.namespaces(ALICE), cluster.namespaces(BOB)) == ({"x"}, set())

    cluster.sources.tenants.forget("oil")

    assert (cluster.namespaces(ALICE), cluster.namespaces(BOB)) == (set(), {"x"})


def test_an_owner_that_is_taken_out_sees_nothing_any_more(cluster: Any) -> None:
    cluster.tenant("oil", AS_ALICE, ("Group", "devs"))
    cluster.namespace("x", "oil")
    cluster.start()
    assert (cluster.namespaces(ALICE), cluster.namespaces(CAROL)) == ({"x"}, {"x"})

    cluster.tenant("oil", AS_ALICE)

    assert (cluster.namespaces(ALICE), cluster.namespaces(CAROL)) == ({"x"}, set())
    assert cluster.told == [(frozenset({"Group:devs"}), cluster.version)]


def test_a_role_binding_shows_its_namespace_and_with_its_label_opens_lists(cluster: Any) -> None:
    cluster.start()
    cluster.binding("x", AS_ALICE)
    cluster.binding("y", AS_ALICE, labels={"reflection.proxy.projectcapsule.dev/enabled": "true"})
    cluster.binding("z", AS_ALICE, labels={"reflection.proxy.projectcapsule.dev/enabled": "false"})

    assert cluster.namespaces(ALICE) == {"x", "y", "z"}
    assert cluster.views.view(ALICE).all_namespaces() == ("y",)

    cluster.views.apply(VisibilitySettings(role_bindings_need_label=False))

    assert cluster.views.view(ALICE).all_namespaces() == ("x", "y", "z")
    assert cluster.told[-1][0] is None


def test_a_label_that_is_taken_off_closes_the_list(cluster: Any) -> None:
    cluster.binding("x", AS_ALICE, labels={"reflection.proxy.projectcapsule.dev/enabled": "true"})
    cluster.start()
    assert cluster.views.view(ALICE).all_namespaces() == ("x",)

    cluster.binding("x", AS_ALICE)

    assert (cluster.namespaces(ALICE), cluster.views.view(ALICE).all_namespaces()) == ({"x"}, ())


def test_a_binding_that_goes_hides_its_namespace(cluster: Any) -> None:
    cluster.binding("x", AS_ALICE, AS_BOB)
    cluster.binding("x", AS_BOB, name="other")
    cluster.start()
    assert (cluster.namespaces(ALICE), cluster.namespaces(BOB)) == ({"x"}, {"x"})

    cluster.sources.role_bindings.forget("b", "x")

    assert (cluster.namespaces(ALICE), cluster.namespaces(BOB)) == (set(), {"x"})


def test_rules_act_for_their_subjects_alone(cluster: Any, rule: Make) -> None:
    cluster.start()
    cluster.global_settings(AS_ALICE, rule("clusterroles", a="b"))

    shown = [
        cluster.views.view(each).sight("rbac.authorization.k8s.io", "v1", "clusterroles", "list").shows("x", {"a": "b"})
        for each in (ALICE, BOB)
    ]

    assert shown == [True, False]
    assert cluster.told == [(frozenset({"User:alice"}), cluster.version)]


def test_a_proxy_setting_counts_in_a_tenants_namespace_only(cluster: Any, rule: Make) -> None:
    cluster.tenant("oil", AS_BOB)
    cluster.namespace("x")
    cluster.setting("x", AS_ALICE, rule("clusterroles"))
    cluster.start()
    roles = ("rbac.authorization.k8s.io", "v1", "clusterroles", "list")
    assert cluster.views.view(ALICE).sight(*roles).is_nothing

    cluster.namespace("x", "oil")

    assert cluster.views.view(ALICE).sight(*roles).everything
    assert cluster.namespaces(ALICE) == {"x"}

    cluster.namespace("oil-2", "oil")
    assert cluster.namespaces(ALICE) == {"x", "oil-2"}

    cluster.sources.tenants.forget("oil")
    assert cluster.views.view(ALICE).sight(*roles).is_nothing
    assert cluster.namespaces(ALICE) == set()


def test_what_a_tenant_selects_changes_for_all_its_owners(cluster: Any) -> None:
    owners = (
        OwnerSpec(
            kind="User", name="alice", proxy_settings=(ProxyOperations(kind="StorageClasses", operations=("List",)),)
        ),
    )
    cluster.tenant("oil", AS_ALICE, AS_BOB, owners=owners, storage_classes=DefaultAllowedList(allowed=("slow",)))
    cluster.start()
    classes = ("storage.k8s.io", "v1", "storageclasses", "list")
    assert cluster.views.view(ALICE).sight(*classes).names == {"slow"}

    cluster.tenant("oil", AS_ALICE, AS_BOB, owners=owners, storage_classes=DefaultAllowedList(allowed=("fast",)))

    assert cluster.views.view(ALICE).sight(*classes).names == {"fast"}
    assert cluster.told == [(frozenset({"User:alice", "User:bob"}), cluster.version)]


def test_operations_change_for_the_owner_they_are_of(cluster: Any) -> None:
    owners = (
        OwnerSpec(kind="User", name="alice", proxy_settings=(ProxyOperations(kind="Nodes", operations=("List",)),)),
    )
    cluster.tenant("oil", AS_ALICE, AS_BOB)
    cluster.start()
    assert cluster.views.view(ALICE).sight("", "v1", "nodes", "list").is_nothing

    cluster.tenant("oil", AS_ALICE, AS_BOB, owners=owners)

    assert cluster.views.view(ALICE).sight("", "v1", "nodes", "list").everything
    assert cluster.told == [(frozenset({"User:alice"}), cluster.version)]


def test_who_is_a_capsule_user_may_change(cluster: Any) -> None:
    cluster.start()
    dora = Identity(user="dora")
    assert cluster.views.view(dora) is None

    cluster.users(("User", "dora"))

    assert cluster.views.view(dora) is not None
    assert cluster.views.view(ALICE) is None
    assert cluster.told == [(None, cluster.version)]


def test_what_says_nothing_new_keeps_views_and_is_not_told(cluster: Any, rule: Make) -> None:
    cluster.tenant("oil", AS_ALICE)
    cluster.namespace("x", "oil")
    cluster.binding("x", AS_ALICE)
    cluster.setting("x", AS_ALICE, rule("clusterroles"))
    cluster.start()
    before = cluster.views.view(ALICE)
    version = cluster.views.changed_version(ALICE)

    cluster.tenant("oil", AS_ALICE)
    cluster.namespace("x", "oil", labels={"any": "label"})
    cluster.binding("x", AS_ALICE, labels={"any": "label"})
    cluster.users(("User", "alice"), ("User", "bob"), ("Group", "devs"))
    (stored,) = cluster.sources.settings.values()
    cluster.sources.settings.cache.observe(
        replaced(stored, metadata=cluster.meta("s", "x"), status=ProxySettingsStatus(observed_generation=1))
    )

    assert cluster.views.view(ALICE) is before
    assert (cluster.told, cluster.views.changed_version(ALICE)) == ([], version)


def test_changes_of_others_keep_a_view(cluster: Any) -> None:
    cluster.tenant("oil", AS_ALICE)
    cluster.start()
    before = cluster.views.view(ALICE)

    cluster.tenant("gas", AS_BOB)
    cluster.binding("y", ("Group", "devs"))

    assert cluster.views.view(ALICE) is before


def test_a_principals_version_is_that_of_its_last_change_and_at_least_the_start(cluster: Any) -> None:
    cluster.tenant("oil", AS_ALICE)
    cluster.start()
    start = cluster.sources.version
    versions = [(cluster.views.changed_version(ALICE), cluster.views.changed_version(BOB))]

    cluster.namespace("x", "oil")
    versions.append((cluster.views.changed_version(ALICE), cluster.views.changed_version(BOB)))

    assert versions == [(start, start), (cluster.version, start)]


def test_a_change_counts_as_later_than_every_version_that_was_given_out(cluster: Any) -> None:
    """A client at version 500 was shown what a change at 102 took away: it must learn of it when it comes back."""
    cluster.start()
    cluster.views.follow_versions(lambda: 500)
    cluster.binding("x", AS_ALICE)

    assert cluster.views.changed_version(ALICE) == 501
    assert cluster.told == [(frozenset({"User:alice"}), 501)]


def test_the_view_is_new_when_a_subscriber_is_told_and_its_failure_is_its_own(cluster: Any) -> None:
    cluster.start()
    seen: list[set[str]] = []

    def fail(_keys: object, _version: int) -> None:
        raise RuntimeError

    cluster.views.subscribe(fail)
    cluster.views.subscribe(lambda _keys, _version: seen.append(cluster.namespaces(ALICE)))
    cluster.binding("x", AS_ALICE)

    assert seen == [{"x"}]


def test_many_groups_find_what_names_any_of_them(cluster: Any) -> None:
    for number in range(300):
        cluster.tenant(f"t{number}", ("Group", f"g{number}"))
        cluster.namespace(f"n{number}", f"t{number}")
    cluster.start()
    many = Identity(user="dan", groups=("devs", *(f"g{number}" for number in range(0, 300, 2))))

    assert cluster.namespaces(many) == {f"n{number}" for number in range(0, 300, 2)}
