"""Whether a submitted Namespace may be written: ownership first, then the policies in order (V-2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tenantry.api.core import Namespace
from tenantry.api.meta import ObjectMeta
from tenantry.tenancy.identity import KUBE_SYSTEM_GROUP, is_exempt
from tenantry.tenancy.namespaces import policies
from tenantry.tenancy.namespaces.claims import tenant_of
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.namespaces.metadata import metadata_rules
from tenantry.tenancy.namespaces.ownership import creation_denial, update_denial
from tenantry.tenancy.namespaces.policies import NamespaceWrite
from tenantry.tenancy.owners import is_owner
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.rules.metadata import check_namespace
from tenantry.tenancy.verdict import ALLOWED, Denial, Verdict
from tenantry.tenancy.views import TenantView

_BEFORE_RULES: Final[tuple[Callable[[NamespaceWrite], Denial | None], ...]] = (
    lambda write: policies.cordoning(write.tenant, write.context.role),
    policies.quota,
    policies.protected_name,
    policies.prefix,
)
"""N-12 to N-15, in this order."""
_AFTER_RULES: Final[tuple[Callable[[NamespaceWrite], Denial | None], ...]] = (
    lambda write: policies.node_selector(write.tenant, write.old, write.new),
    policies.forbidden_labels,
    policies.forbidden_annotations,
    policies.required_labels,
    policies.required_annotations,
)
"""N-17 to N-19."""


def check(request: Request, context: NamespaceContext) -> Verdict:
    """Judge a CREATE, UPDATE or DELETE of a Namespace or of its ``status`` or ``finalize``.

    Raises:
        DecodeError: An object is no Namespace.
    """
    if context.role is Role.CONTROLLER or KUBE_SYSTEM_GROUP in request.requester.groups:
        return ALLOWED
    if is_exempt(request.requester, context.installation):
        return _verdict(_exempt(request, context))
    stored = request.old(Namespace)
    old = stored.metadata if stored else None
    if request.operation is Operation.DELETE:
        return _verdict(_deletion(old, context))
    if request.operation not in {Operation.CREATE, Operation.UPDATE}:
        return ALLOWED
    return _write(request, context, old, request.new(Namespace).metadata)


def _exempt(request: Request, context: NamespaceContext) -> Denial | None:
    """Hold system:masters and kubelets to the node selector, to which everybody is held (14.1)."""
    stored = request.old(Namespace)
    if request.operation is not Operation.UPDATE or stored is None:
        return None
    new = request.new(Namespace).metadata
    view = tenant_of(new, context.tenants)
    return policies.node_selector(view.tenant, stored.metadata, new) if view else None


def _deletion(old: ObjectMeta | None, context: NamespaceContext) -> Denial | None:
    view = tenant_of(old, context.tenants) if old is not None else None
    if old is None or view is None or old.deletion_timestamp is not None:
        return None  # What terminates is deleted already: saying so again always passes (N-22).
    return policies.cordoning(view.tenant, context.role)


def _write(request: Request, context: NamespaceContext, old: ObjectMeta | None, new: ObjectMeta) -> Verdict:
    if request.operation is Operation.CREATE:
        old, denial = None, creation_denial(request, new, context)
    else:
        denial = update_denial(request, old or ObjectMeta(), new, context)
    view = tenant_of(new, context.tenants)
    if denial is not None or view is None:
        return _verdict(denial)
    write = NamespaceWrite(tenant=view.tenant, old=old, new=new, context=context)
    denial = _first(_BEFORE_RULES, write)
    if denial is not None:
        return _verdict(denial)
    ruled = _rules(request, view, write)
    return Verdict(denial=ruled.denial or _first(_AFTER_RULES, write), notices=ruled.notices, warnings=ruled.warnings)


def _first(asked: tuple[Callable[[NamespaceWrite], Denial | None], ...], write: NamespaceWrite) -> Denial | None:
    return next((denial for policy in asked if (denial := policy(write)) is not None), None)


def _rules(request: Request, view: TenantView, write: NamespaceWrite) -> Verdict:
    """Judge by the metadata rules that name the kind Namespace (N-16).

    An UPDATE is judged by the rules of the stored labels too, else a change of label would
    be a way out of the rules that guard it.
    """
    is_one = is_owner(request.requester, view.owners)
    judged = ALLOWED
    for namespace in (write.old, write.new):
        if namespace is None:
            continue
        rules = metadata_rules(view.tenant, namespace)
        binding = rules.for_requester(request.requester, write.context.role, is_owner=is_one)
        judged = check_namespace(write.new, binding, old=write.old)
        if judged.denial is not None:
            break
    return judged


def _verdict(denial: Denial | None) -> Verdict:
    return ALLOWED if denial is None else Verdict(denial=denial)
