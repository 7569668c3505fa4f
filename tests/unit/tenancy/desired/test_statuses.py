"""Statuses of the kinds, compared whole."""

from __future__ import annotations

from datetime import UTC, datetime

from tenantry.api.configuration import RBAC, CapsuleConfiguration, CapsuleConfigurationStatus
from tenantry.api.core import Lease, LeaseSpec, PersistentVolume
from tenantry.api.meta import Condition, ObjectMeta
from tenantry.api.rule_status import RuleStatus, RuleStatusStatus
from tenantry.api.rules import Enforce, NamespaceRule, RuleQuota, TenantRule
from tenantry.api.shared import AdditionalMetadata, AllowedList, CoreOwner, UserSpec
from tenantry.api.tenant import AvailableClasses, PodOptions, Space, Tenant, TenantSpec, TenantStatus
from tenantry.api.tenant_owner import TenantOwner, TenantOwnerStatus
from tenantry.foundation.codec import from_plain
from tenantry.tenancy.desired import acknowledgement as ack
from tenantry.tenancy.desired.cluster_roles import cluster_role_binding, cluster_roles
from tenantry.tenancy.desired.conditions import plain_status
from tenantry.tenancy.desired.configuration_status import configuration_status, default_configuration
from tenantry.tenancy.desired.manifests import TenantFacts
from tenantry.tenancy.desired.object_metadata import additional_metadata, missing_metadata, volume_patch
from tenantry.tenancy.desired.rule_status import failed, published, rule_status
from tenantry.tenancy.desired.tenant_owner_status import tenant_owner_status
from tenantry.tenancy.desired.tenant_status import SpaceReport, TenantSurvey, tenant_status

NOW = "2030-01-02T03:04:05Z"
THEN = "2029-01-01T00:00:00Z"
ALICE = CoreOwner(kind="User", name="alice")
DEV = ObjectMeta(name="oil-dev", uid="1")
MANAGED = AdditionalMetadata(labels={"a": "b"})


def ready(status: str = "True", reason: str = "Succeeded", message: str = "reconciled", **more: object) -> Condition:
    return Condition(
        type="Ready",
        status=status,
        reason=reason,
        message=message,
        **({"last_transition_time": NOW} | more),  # type: ignore[arg-type]
    )


def not_cordoned(generation: int = 3) -> Condition:
    return Condition(
        type="Cordoned",
        status="False",
        reason="Active",
        message="not cordoned",
        last_transition_time=NOW,
        observed_generation=generation,
    )


def tenant(status: TenantStatus | None = None, **spec: object) -> Tenant:
    return Tenant(
        metadata=ObjectMeta(name="oil", uid="t", generation=3),
        spec=TenantSpec(**spec),  # type: ignore[arg-type]
        status=status or TenantStatus(),
    )


def survey(
    of: Tenant, *members: ObjectMeta, reports: dict[str, SpaceReport] | None = None, is_enforced: bool = True
) -> TenantSurvey:
    return TenantSurvey(
        facts=TenantFacts(tenant=of, owners=(ALICE,)),
        members=members,
        reports=reports or {},
        is_enforced=is_enforced,
    )


DONE = SpaceReport(uid="1", tenant_generation=3, metadata=MANAGED)


def test_a_tenant_is_ready_when_all_its_namespaces_are() -> None:
    assert tenant_status(survey(tenant(), DEV, reports={"oil-dev": DONE}), now=NOW) == TenantStatus(
        state="Active",
        size=1,
        namespaces=("oil-dev",),
        spaces=(Space(name="oil-dev", uid="1", conditions=(ready(),), metadata=MANAGED),),
        owners=(ALICE,),
        observed_generation=3,
        conditions=(ready(observed_generation=3), not_cordoned()),
    )


def test_nothing_is_claimed_before_admission_enforces_it() -> None:
    before = TenantStatus(observed_generation=2, conditions=(ready(observed_generation=2, last_transition_time=THEN),))
    made = tenant_status(
        survey(tenant(before, cordoned=True), DEV, reports={"oil-dev": DONE}, is_enforced=False), now=NOW
    )

    assert (made.state, made.size, made.observed_generation, made.conditions) == (
        "Active",
        1,
        2,
        before.conditions,
    )


def test_a_cordoned_tenant_says_so() -> None:
    made = tenant_status(survey(tenant(cordoned=True)), now=NOW)

    assert (made.state, made.conditions[1]) == (
        "Cordoned",
        Condition(
            type="Cordoned",
            status="True",
            reason="Cordoned",
            message="Tenant is cordoned",
            last_transition_time=NOW,
            observed_generation=3,
        ),
    )


def test_what_admission_cannot_judge_by_is_told() -> None:
    """Stored while admission was off: it refuses all that the expression is about, and the tenant's status says why."""
    made = tenant_status(survey(tenant(container_registries=AllowedList(allowed_regex="("))), now=NOW)

    assert (made.observed_generation, made.conditions[0].status, made.conditions[0].reason) == (3, "False", "Failed")
    assert "spec.containerRegistries.allowedRegex: unable to compile regex" in made.conditions[0].message


def test_a_namespace_not_reconciled_yet_holds_readiness_back() -> None:
    made = tenant_status(survey(tenant(), DEV), now=NOW)

    assert (made.observed_generation, made.conditions, made.spaces) == (
        0,
        (),
        (
            Space(
                name="oil-dev",
                uid="1",
                conditions=(ready("False", "Reconciling", "not reconciled yet"),),
                metadata=AdditionalMetadata(),
            ),
        ),
    )


def test_a_failure_is_told_with_the_namespace_and_keeps_what_was_managed() -> None:
    stored = Space(name="oil-dev", uid="1", conditions=(ready(last_transition_time=THEN),), metadata=MANAGED)
    before = TenantStatus(spaces=(stored,), observed_generation=2)
    report = SpaceReport(uid="1", tenant_generation=3, problem="no right to bind x")
    made = tenant_status(survey(tenant(before), DEV, reports={"oil-dev": report}), now=NOW)

    assert (made.observed_generation, made.conditions[0], made.spaces) == (
        3,
        ready("False", "Failed", "oil-dev: no right to bind x", observed_generation=3),
        (
            Space(
                name="oil-dev",
                uid="1",
                conditions=(ready("False", "Failed", "no right to bind x"),),
                metadata=MANAGED,
            ),
        ),
    )


def test_a_restarted_controller_changes_nothing_before_it_has_looked() -> None:
    """The reports are gone with the process; what is stored is still so."""
    complete = tenant_status(survey(tenant(), DEV, reports={"oil-dev": DONE}), now=THEN)

    assert tenant_status(survey(tenant(complete), DEV), now=NOW) == complete


def test_a_second_pass_changes_nothing() -> None:
    complete = tenant_status(survey(tenant(), DEV, reports={"oil-dev": DONE}), now=THEN)

    assert tenant_status(survey(tenant(complete), DEV, reports={"oil-dev": DONE}), now=NOW) == complete


def test_a_namesake_of_another_uid_is_another_namespace() -> None:
    complete = tenant_status(survey(tenant(), DEV, reports={"oil-dev": DONE}), now=THEN)
    made = tenant_status(survey(tenant(complete), ObjectMeta(name="oil-dev", uid="2")), now=NOW)

    assert [(space.uid, space.metadata) for space in made.spaces] == [("2", AdditionalMetadata())]


def test_a_terminating_tenant_waits_for_its_namespaces() -> None:
    dying = Tenant(metadata=ObjectMeta(name="oil", uid="t", generation=4, deletion_timestamp=THEN))
    made = tenant_status(survey(dying, DEV), now=NOW)

    assert (made.state, made.size, made.conditions[0]) == (
        "Terminating",
        1,
        ready("False", "Terminating", "waiting for 1 namespaces to finalize", observed_generation=4),
    )


def test_a_quota_in_a_rule_is_said_to_be_unenforced() -> None:
    of = tenant(rules=(TenantRule(quota=(RuleQuota(name="q"),)),))

    assert tenant_status(survey(of), now=NOW).conditions == (
        ready(observed_generation=3),
        not_cordoned(),
        Condition(
            type="RuleQuotasEnforced",
            status="False",
            reason="NotImplemented",
            message="rules[].quota is not enforced by this version: use resourceQuotas",
            last_transition_time=NOW,
            observed_generation=3,
        ),
    )


def test_classes_stay_while_they_are_not_known() -> None:
    classes = AvailableClasses(storage=("fast",))

    assert tenant_status(survey(tenant(TenantStatus(classes=classes))), now=NOW).classes == classes


def test_the_status_that_is_sent_has_every_required_field() -> None:
    """The CRD asks for size, state and conditions; defaults are not encoded."""
    assert plain_status(TenantStatus(), size=0, state="Active", conditions=[]) == {
        "size": 0,
        "state": "Active",
        "conditions": [],
    }


RULES = (NamespaceRule(enforce=Enforce(action="deny")),)


def test_a_rule_status_shows_the_blocks_and_exists_without_any() -> None:
    made = rule_status(TenantFacts(tenant=tenant()), DEV, ())

    assert (made["metadata"]["name"], made["metadata"]["labels"], made["spec"]) == (
        "capsule-managed-rules",
        {
            "projectcapsule.dev/name": "capsule-managed-rules",
            "projectcapsule.dev/tenant": "oil",
            "capsule.clastix.io/managed-by": "oil",
            "projectcapsule.dev/managed-by": "controller",
        },
        [],
    )


def test_a_rule_status_publishes_its_spec_and_keeps_it_when_the_next_fails() -> None:
    stored = RuleStatus(metadata=ObjectMeta(generation=2), spec=RULES)
    good = published(stored, now=THEN)
    assert good == RuleStatusStatus(
        rules=RULES,
        observed_generation=2,
        conditions=(ready(last_transition_time=THEN, observed_generation=2),),
    )

    broken = failed(RuleStatus(metadata=ObjectMeta(generation=3), spec=RULES, status=good), "no such key", now=NOW)
    assert broken == RuleStatusStatus(
        rules=RULES,
        observed_generation=2,
        conditions=(ready("False", "Failed", "no such key", observed_generation=3),),
    )


def test_the_roles_of_capsule_users() -> None:
    users = [
        UserSpec(kind="User", name="bob"),
        UserSpec(kind="Group", name="devs"),
        UserSpec(kind="ServiceAccount", name="system:serviceaccount:ci:bot"),
        UserSpec(kind="User", name="bob"),
    ]
    labels = {"labels": {"projectcapsule.dev/created-by": "rbac-controller"}}
    rule = {"apiGroups": [""], "resources": ["namespaces"]}
    api = "rbac.authorization.k8s.io"

    assert [*cluster_roles(RBAC()), cluster_role_binding(RBAC(), users)] == [
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "capsule-namespace-deleter"} | labels,
            "rules": [rule | {"verbs": ["delete"]}],
        },
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "capsule-namespace-provisioner"} | labels,
            "rules": [rule | {"verbs": ["create", "patch"]}],
        },
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "capsule-namespace-provisioner"} | labels,
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "capsule-namespace-provisioner"},
            "subjects": [
                {"apiGroup": api, "kind": "Group", "name": "devs"},
                {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"},
                {"apiGroup": api, "kind": "User", "name": "bob"},
            ],
        },
    ]


def test_the_configuration_that_exists_before_anyone_made_one() -> None:
    made = from_plain(default_configuration("default"), CapsuleConfiguration)

    assert (made.spec.users, made.spec.administrators, made.spec.rbac) == (
        (UserSpec(kind="Group", name="projectcapsule.dev"),),
        (),
        RBAC(),
    )
    assert default_configuration("default")["spec"]["rbac"]["provisioner"] == "capsule-namespace-provisioner"


def test_the_status_of_the_configuration() -> None:
    stored = CapsuleConfiguration(metadata=ObjectMeta(generation=2))
    users = (UserSpec(kind="Group", name="g"),)

    assert configuration_status(stored, users=users, tenants=["b", "a"], admission=None, now=NOW) == (
        CapsuleConfigurationStatus(
            users=users, tenants=("a", "b"), observed_generation=2, conditions=(ready(observed_generation=2),)
        )
    )


def test_an_owner_without_a_tenant_is_ready() -> None:
    assert tenant_owner_status(TenantOwner(metadata=ObjectMeta(generation=1)), ["b", "a", "b"], now=NOW) == (
        TenantOwnerStatus(tenants=("a", "b"), observed_generation=1, conditions=(ready(observed_generation=1),))
    )


def test_only_missing_metadata_is_patched() -> None:
    wanted = AdditionalMetadata(labels={"a": "1", "b": "2"}, annotations={"c": "3"})
    of = tenant(pod_options=PodOptions(additional_metadata=wanted))

    assert additional_metadata(of, "Pod") == wanted
    assert additional_metadata(of, "Service") is None
    assert missing_metadata(ObjectMeta(labels={"a": "1", "x": "y"}, annotations={"c": "3"}), wanted) == {
        "metadata": {"labels": {"b": "2"}}
    }
    assert missing_metadata(ObjectMeta(labels={"a": "1", "b": "2"}, annotations={"c": "3"}), wanted) is None


def test_a_volume_is_labelled_by_the_namespace_of_its_claim() -> None:
    """Also for empty and foreign values; without a claim an administrator's label stays."""

    def volume(label: str | None, namespace: str | None) -> PersistentVolume:
        labels = {} if label is None else {"labels": {"capsule.clastix.io/tenant": label}}
        claim = {} if namespace is None else {"claimRef": {"namespace": namespace, "name": "c"}}
        return from_plain({"metadata": labels, "spec": claim}, PersistentVolume)

    tenants = {"oil-dev": "oil"}
    patch = {"metadata": {"labels": {"capsule.clastix.io/tenant": "oil"}}}
    cases = [
        (volume(None, "oil-dev"), patch),
        (volume("", "oil-dev"), patch),
        (volume("gas", "oil-dev"), patch),
        (volume("oil", "oil-dev"), None),
        (volume("gas", "elsewhere"), None),
        (volume("gas", None), None),
    ]

    assert [volume_patch(one, tenants) for one, _ in cases] == [wanted for _, wanted in cases]


def lease(seen: str, renewed: str = "2030-01-02T03:04:00.000000Z") -> Lease:
    return Lease(
        metadata=ObjectMeta(annotations={ack.TENANTS: seen}),
        spec=LeaseSpec(renew_time=renewed, lease_duration_seconds=15),
    )


def test_all_live_workers_must_have_seen_a_version() -> None:
    now = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    dead = lease("1", "2030-01-02T03:03:00.000000Z")
    unknown = Lease(spec=LeaseSpec(renew_time="nonsense", lease_duration_seconds=15))

    cases = [[], [dead], [unknown], [lease("10")], [lease("9")], [lease("11"), lease("9")], [lease("x")]]
    assert [ack.acknowledged(leases, now, ack.TENANTS, 10) for leases in cases] == [
        True,
        True,
        True,
        True,
        False,
        False,
        False,
    ]
