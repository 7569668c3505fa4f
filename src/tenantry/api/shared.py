"""Types that several kinds of the capsule.clastix.io group share (spec 1.1)."""

from __future__ import annotations

from typing import Annotated

from tenantry.api.meta import LabelSelector, LabelSelectorRequirement
from tenantry.api.schema import Schema
from tenantry.foundation.codec import Model

DEFAULT_CLUSTER_ROLES = ("admin", "capsule-namespace-deleter")
SUBJECT_KINDS = ("User", "Group", "ServiceAccount")
PROXIED_KINDS = ("Nodes", "StorageClasses", "IngressClasses", "PriorityClasses", "RuntimeClasses", "PersistentVolumes")
PROXY_OPERATIONS = ("List", "Update", "Delete")

Quantity = Annotated[str | int, Schema(int_or_string=True)]
"""A quantity as it stands on the wire; tenantry.foundation.quantities parses it."""


class UserSpec(Model):
    """A subject that the API server authenticates."""

    kind: Annotated[str, Schema(required=True, enum=SUBJECT_KINDS)] = ""
    """What the subject is."""
    name: Annotated[str, Schema(required=True)] = ""
    """Its name; a ServiceAccount is written ``system:serviceaccount:<namespace>:<name>``."""


class ProxyOperations(Model):
    """What an owner may do with cluster-scoped kinds through the gateway."""

    kind: Annotated[str, Schema(required=True, enum=PROXIED_KINDS)] = ""
    """The kind."""
    operations: Annotated[tuple[str, ...], Schema(required=True, item_enum=PROXY_OPERATIONS)] = ()
    """What is allowed with it."""


class OwnerSpec(UserSpec):
    """An owner of a tenant, and the roles it gets in each of the tenant's namespaces."""

    cluster_roles: Annotated[tuple[str, ...], Schema(default=list(DEFAULT_CLUSTER_ROLES))] = DEFAULT_CLUSTER_ROLES
    """ClusterRoles that the owner is bound to in every namespace of the tenant."""
    labels: dict[str, str] | None = None
    """Labels of those RoleBindings."""
    annotations: dict[str, str] | None = None
    """Annotations of those RoleBindings."""
    proxy_settings: tuple[ProxyOperations, ...] = ()
    """What the owner may do with cluster-scoped kinds through the gateway."""


class CoreOwner(UserSpec):
    """An effective owner."""

    cluster_roles: Annotated[tuple[str, ...], Schema(default=list(DEFAULT_CLUSTER_ROLES))] = DEFAULT_CLUSTER_ROLES
    """ClusterRoles that the owner is bound to in every namespace of the tenant."""


class PromotedOwner(CoreOwner):
    """A promoted ServiceAccount."""

    targets: tuple[str, ...] = ()
    """Namespaces in which it gets the roles."""


class AllowedList(Model):
    """Names that are allowed: one of the list, or a match of the expression."""

    allowed: tuple[str, ...] = ()
    """Names that are allowed as they stand."""
    allowed_regex: str = ""
    """Expression (RE2) that allows every name in which it is found; deprecated."""


class SelectorAllowedList(AllowedList):
    """Classes that are allowed by name or by their labels."""

    match_labels: dict[str, str] | None = None
    """Labels that a class must have to be allowed."""
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
    """Expressions that the labels of a class must satisfy to be allowed."""


class DefaultAllowedList(SelectorAllowedList):
    """Classes that are allowed, and the one that objects get which name none."""

    default: str = ""
    """The class that is put on objects which name none."""


class ForbiddenList(Model):
    """Label or annotation keys that are refused."""

    denied: tuple[str, ...] = ()
    """Keys that are refused as they stand."""
    denied_regex: str = ""
    """Expression (RE2) that refuses every key in which it is found."""


class AdditionalMetadata(Model):
    """Labels and annotations to put on objects."""

    labels: dict[str, str] | None = None
    """Labels to put on."""
    annotations: dict[str, str] | None = None
    """Annotations to put on."""


class SelectedMetadata(AdditionalMetadata):
    """Labels and annotations for some of the namespaces; values may use ``{{tenant.name}}`` and ``{{namespace}}``."""

    namespace_selector: LabelSelector | None = None
    """Which namespaces get them; all where it is empty."""


class RequiredMetadata(Model):
    """Keys that must be there."""

    labels: dict[str, str] | None = None
    """Label keys, each with an expression (RE2) that its value must match."""
    annotations: dict[str, str] | None = None
    """Annotation keys, each with an expression (RE2) that its value must match."""


class Subject(Model):
    """rbac.authorization.k8s.io/v1 Subject: whom a role is given to."""

    api_group: str = ""
    """``rbac.authorization.k8s.io`` for User and Group, empty for ServiceAccount."""
    kind: Annotated[str, Schema(required=True)] = ""
    """User, Group or ServiceAccount."""
    name: Annotated[str, Schema(required=True)] = ""
    """The subject's name."""
    namespace: str = ""
    """The ServiceAccount's namespace; empty for User and Group."""


class AdditionalRoleBinding(Model):
    """A RoleBinding that namespaces of the tenant get."""

    cluster_role_name: Annotated[str, Schema(required=True)] = ""
    """The ClusterRole to bind."""
    subjects: Annotated[tuple[Subject, ...], Schema(required=True, min_items=1)] = ()
    """Whom it is bound to."""
    labels: dict[str, str] | None = None
    """Labels of the RoleBinding."""
    annotations: dict[str, str] | None = None
    """Annotations of the RoleBinding."""
