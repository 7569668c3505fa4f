"""The parts of apimachinery that every kind shares."""

from __future__ import annotations

from typing import Annotated

from tenantry.api.schema import Schema
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
    operator: Annotated[str, Schema(required=True)] = ""
    """In, NotIn, Exists or DoesNotExist."""
    values: tuple[str, ...] = ()


class LabelSelector(Model):
    """metav1.LabelSelector; an empty one matches everything."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class Condition(Model, omit_defaults=False):
    """metav1.Condition."""

    type: str = ""
    status: str = "Unknown"
    """True, False or Unknown."""
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


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
