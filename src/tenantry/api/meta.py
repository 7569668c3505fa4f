"""The parts of apimachinery that every kind shares."""

from __future__ import annotations

from typing import Annotated

from tenantry.api.schema import CONDITION_REASON, CONDITION_TYPE, Schema
from tenantry.foundation.codec import Model


class OwnerReference(Model):
    """metav1.OwnerReference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Model):
    """metav1.ObjectMeta, without what nothing here reads (managedFields above all)."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    """RFC 3339; None in what a client submits."""
    deletion_timestamp: str | None = None
    """Set once a deletion was asked for: the object is terminating."""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class PartialObject(Model):
    """metav1.PartialObjectMetadata: any object, its metadata only."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()


class LabelSelectorRequirement(Model):
    """One expression of a label selector."""

    key: Annotated[str, Schema(required=True)] = ""
    """The label's key."""
    operator: Annotated[str, Schema(required=True)] = ""
    """In, NotIn, Exists or DoesNotExist."""
    values: tuple[str, ...] = ()
    """At least one for In and NotIn, none for Exists and DoesNotExist."""


class LabelSelector(Model):
    """metav1.LabelSelector: both parts must hold, and an empty one matches everything."""

    match_labels: dict[str, str] | None = None
    """Labels that must be there with exactly these values."""
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
    """Expressions that must all hold."""


class Condition(Model, omit_defaults=False):
    """metav1.Condition: one aspect of the object's state."""

    type: Annotated[str, Schema(required=True, max_length=316, pattern=CONDITION_TYPE)] = ""
    """Which aspect, as Ready."""
    status: Annotated[str, Schema(required=True, enum=("True", "False", "Unknown"))] = "Unknown"
    """Whether it holds."""
    reason: Annotated[str, Schema(required=True, min_length=1, max_length=1024, pattern=CONDITION_REASON)] = ""
    """A stable token for programs."""
    message: Annotated[str, Schema(required=True, max_length=32768)] = ""
    """A sentence for people; may be empty."""
    last_transition_time: Annotated[str, Schema(required=True, format="date-time")] = ""
    """When the status last changed, in RFC 3339."""
    observed_generation: Annotated[int, Schema(minimum=0, format="int64")] = 0
    """The metadata.generation that the condition was set for."""


class ObjectReference(Model):
    """v1.ObjectReference, as events carry it."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""


CAPSULE_GROUP = "capsule.clastix.io"
CAPSULE_VERSION = "v1beta2"
CAPSULE_API_VERSION = f"{CAPSULE_GROUP}/{CAPSULE_VERSION}"
