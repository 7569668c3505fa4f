"""Access reviews of authorization.k8s.io/v1: what may be asked about whom, as the API server takes it."""

from __future__ import annotations

from typing import Final

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import AUTHENTICATED
from tenantry.foundation.codec import Model
from tenantry.tenancy.identity import account_name

ANONYMOUS: Final = "system:anonymous"
UNAUTHENTICATED: Final = "system:unauthenticated"
API_VERSION: Final = "authorization.k8s.io/v1"


class SelectorRequirement(Model):
    """metav1.FieldSelectorRequirement and metav1.LabelSelectorRequirement, which look the same."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] | None = None


class SelectorAttributes(Model):
    """FieldSelectorAttributes and LabelSelectorAttributes."""

    raw_selector: str = ""
    requirements: tuple[SelectorRequirement, ...] | None = None


class ResourceAttributes(Model):
    """What is asked about a resource; hashable."""

    namespace: str = ""
    verb: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    field_selector: SelectorAttributes | None = None
    label_selector: SelectorAttributes | None = None


class NonResourceAttributes(Model):
    """What is asked about a path; hashable."""

    path: str = ""
    verb: str = ""


class AccessReviewSpec(Model):
    """Both sorts of question; one of them is set."""

    resource_attributes: ResourceAttributes | None = None
    non_resource_attributes: NonResourceAttributes | None = None


class SubjectAccessReviewSpec(AccessReviewSpec):
    """A question about somebody."""

    user: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] | None = None
    uid: str = ""


class AccessReviewStatus(Model):
    """The answer."""

    allowed: bool = False
    denied: bool = False
    reason: str = ""
    evaluation_error: str = ""


def review_of(identity: Identity, question: AccessReviewSpec) -> SubjectAccessReviewSpec:
    """Return *question* about *identity*, as the API server sees it once its headers are through."""
    return SubjectAccessReviewSpec(
        resource_attributes=question.resource_attributes,
        non_resource_attributes=question.non_resource_attributes,
        user=identity.user,
        groups=effective_groups(identity),
        extra=dict(identity.extra) or None,
        uid=identity.uid,
    )


def effective_groups(identity: Identity) -> tuple[str, ...]:
    """Return the groups that an impersonated *identity* has in the API server (invariant 6).

    It adds ``system:authenticated`` to whoever is impersonated; to a review nothing is added.
    """
    everybody = UNAUTHENTICATED if identity.user == ANONYMOUS else AUTHENTICATED
    if everybody in identity.groups or UNAUTHENTICATED in identity.groups:
        return identity.groups
    return (*identity.groups, everybody)


def account_groups(user: str) -> tuple[str, ...]:
    """Return the groups of a ServiceAccount by its user name; none for any other name."""
    account = account_name(user)
    return ("system:serviceaccounts", f"system:serviceaccounts:{account.namespace}") if account is not None else ()
