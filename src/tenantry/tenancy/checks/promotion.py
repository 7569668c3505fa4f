"""Who may promote ServiceAccounts (CN-8, I-7 to I-9)."""

from __future__ import annotations

from typing import Final

from tenantry.api import labels
from tenantry.api.meta import PartialObject
from tenantry.tenancy.checks.exemptions import is_judged_write
from tenantry.tenancy.identity import SERVICE_ACCOUNT_PREFIX, is_one_of
from tenantry.tenancy.request import Request, Requester
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ObjectContext

PROMOTION_LABELS: Final = (labels.OWNER_PROMOTE, labels.PROMOTE)
_REASON: Final = "ReasonPromotionDenied"


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge a promotion label that comes, changes or goes; its value does not count, "false" too is judged.

    Updates that leave the labels alone pass, also after the switches were turned off: token
    controllers write ServiceAccounts.  Taking a label away needs an owner, but no switch.
    """
    if not is_judged_write(request, context):
        return ALLOWED
    before, after = _promotions(request.old(PartialObject)), _promotions(request.new(PartialObject))
    changed = sorted(key for key in PROMOTION_LABELS if before.get(key) != after.get(key))
    if not changed:
        return ALLOWED
    if any(key in after for key in changed):
        verdict = _switches(context)
        if verdict.denial is not None:
            return verdict
    if context.role.is_admin or _may_promote(request.requester, context):
        return ALLOWED
    return denied(
        _REASON,
        f"Promotion of ServiceAccount {request.namespace}/{request.name} denied: {', '.join(changed)} can only be "
        f"changed by owners of the tenant {context.tenant.metadata.name} that were not promoted themselves, "
        "and by administrators",
    )


def _promotions(account: PartialObject | None) -> dict[str, str]:
    found = (account.metadata.labels if account is not None else None) or {}
    return {key: found[key] for key in PROMOTION_LABELS if key in found}


def _switches(context: ObjectContext) -> Verdict:
    if not context.installation.configuration.allow_service_account_promotion:
        return denied(
            _REASON,
            "Promotion of ServiceAccounts is disabled (allowServiceAccountPromotion): please, reach out to the "
            "system administrators",
        )
    permissions = context.tenant.spec.permissions
    if permissions is not None and not permissions.allow_owner_promotion:
        return denied(
            _REASON,
            f"Promotion of ServiceAccounts is disabled for the tenant {context.tenant.metadata.name} "
            "(permissions.allowOwnerPromotion): please, reach out to the system administrators",
        )
    return ALLOWED


def _may_promote(requester: Requester, context: ObjectContext) -> bool:
    if not context.is_owner:
        return False
    if not requester.username.startswith(SERVICE_ACCOUNT_PREFIX):
        return True
    # A ServiceAccount may own the tenant just because it was promoted; only one that the
    # platform itself named in the Tenant may hand that on (I-9).
    return is_one_of(requester, context.tenant.spec.owners)
