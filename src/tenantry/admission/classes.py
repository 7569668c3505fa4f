"""Class objects, as decisions see them, and where the API server serves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tenantry.api.core import PriorityClass
from tenantry.kube.resources import (
    DEVICE_CLASSES,
    GATEWAY_CLASSES,
    INGRESS_CLASSES,
    PRIORITY_CLASSES,
    RUNTIME_CLASSES,
    STORAGE_CLASSES,
    KubernetesObject,
    Resource,
)
from tenantry.tenancy.views import ClassEntry, ClassKind

CLASS_RESOURCES: Final[Mapping[ClassKind, Resource[Any]]] = {
    ClassKind.STORAGE: STORAGE_CLASSES,
    ClassKind.PRIORITY: PRIORITY_CLASSES,
    ClassKind.RUNTIME: RUNTIME_CLASSES,
    ClassKind.INGRESS: INGRESS_CLASSES,
    ClassKind.GATEWAY: GATEWAY_CLASSES,
    ClassKind.DEVICE: DEVICE_CLASSES,
}
_DEFAULT_ANNOTATIONS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
    "ingressclass.kubernetes.io/is-default-class",
)


def class_entry(obj: KubernetesObject) -> ClassEntry:
    """Return what decisions read of a class object."""
    metadata = obj.metadata
    annotations = metadata.annotations or {}
    is_default = any(annotations.get(key) == "true" for key in _DEFAULT_ANNOTATIONS)
    if isinstance(obj, PriorityClass):
        return ClassEntry(
            name=metadata.name,
            labels=metadata.labels or {},
            is_default=obj.global_default,
            priority=obj.value,
            preemption_policy=obj.preemption_policy,
        )
    return ClassEntry(name=metadata.name, labels=metadata.labels or {}, is_default=is_default)
