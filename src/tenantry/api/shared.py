"""Types that several kinds of the capsule.clastix.io group share (spec 1.1)."""

from __future__ import annotations

from typing import Annotated

from tenantry.api.meta import LabelSelector, LabelSelectorRequirement
from tenantry.api.schema import Schema
from tenantry.foundation.codec import Model

DEFAULT_CLUSTER_ROLES = ("admin", "capsule-namespace-deleter")
SUBJECT_KINDS = ("User", "Group", "ServiceAccount")

Quantity = Annotated[str | int, Schema(int_or_string=True)]
"""A quantity as it stands on the wire; tenantry.foundation.quantities parses it."""


class UserSpec(Model):
    """A subject: a ServiceAccount is named ``system:serviceaccount:<namespace>:<name>``."""

    kind: Annotated[str, Schema(required=True, enum=SUBJECT_KINDS)] = ""
    name: Annotated[str, Schema(required=True)] = ""


class ProxySetting(Model):
    """What an owner may do with cluster-scoped kinds through the gateway."""

    kind: Annotated[
        str,
        Schema(
            required=True,
            enum=(
                "Nodes",
                "StorageClasses",
                "IngressClasses",
                "PriorityClasses",
                "RuntimeClasses",
                "PersistentVolumes",
            ),
        ),
    ] = ""
    operations: Annotated[tuple[str, ...], Schema(required=True, item_enum=("List", "Update", "Delete"))] = ()


class OwnerSpec(UserSpec):
    """An owner of a tenant, and the roles it gets in each of the tenant's namespaces."""

    cluster_roles: Annotated[tuple[str, ...], Schema(default=list(DEFAULT_CLUSTER_ROLES))] = DEFAULT_CLUSTER_ROLES
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    proxy_settings: tuple[ProxySetting, ...] = ()


class CoreOwner(UserSpec):
    """An effective owner, in a Tenant's status."""

    cluster_roles: Annotated[tuple[str, ...], Schema(default=list(DEFAULT_CLUSTER_ROLES))] = DEFAULT_CLUSTER_ROLES


class PromotedOwner(CoreOwner):
    """A promoted ServiceAccount, in a Tenant's status."""

    targets: tuple[str, ...] = ()


class AllowedList(Model):
    """Names that are allowed: one of *allowed*, or a match of *allowed_regex* (searched, not anchored)."""

    allowed: tuple[str, ...] = ()
    allowed_regex: str = ""


class SelectorAllowedList(AllowedList):
    """As AllowedList, and classes whose labels match."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class DefaultAllowedList(SelectorAllowedList):
    """As SelectorAllowedList, with the class that objects get that name none."""

    default: str = ""


class ForbiddenList(Model):
    """Keys that are refused."""

    denied: tuple[str, ...] = ()
    denied_regex: str = ""


class AdditionalMetadata(Model):
    """Labels and annotations to put on objects."""

    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class SelectedMetadata(AdditionalMetadata):
    """As AdditionalMetadata, for the namespaces that match."""

    namespace_selector: LabelSelector | None = None


class RequiredMetadata(Model):
    """Keys that must be there, with an expression that their values must match."""

    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Subject(Model):
    """rbac.authorization.k8s.io/v1 Subject."""

    api_group: str = ""
    kind: Annotated[str, Schema(required=True)] = ""
    name: Annotated[str, Schema(required=True)] = ""
    namespace: str = ""


class AdditionalRoleBinding(Model):
    """A RoleBinding that every namespace gets."""

    cluster_role_name: Annotated[str, Schema(required=True)] = ""
    subjects: Annotated[tuple[Subject, ...], Schema(required=True, min_items=1)] = ()
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
