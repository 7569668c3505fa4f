"""Decides who makes a request: the answer to the data plane's question (R-001 to R-026)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import structlog

from tenantry.access.guards import GroupFilter, GuardRefusal, GuardRules, guarded
from tenantry.access.identity import Identity
from tenantry.access.impersonation import ImpersonationRefusal, ImpersonationRules, impersonation_plan
from tenantry.access.refusals import CredentialError, Reason, http_status
from tenantry.access.reviews import ResourceAttributes
from tenantry.foundation.clock import Clock
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.access_reviews import AccessReviews
from tenantry.gateway.identity.accepted import Accepted, answer
from tenantry.gateway.identity.authenticators import Authenticators
from tenantry.gateway.identity.credentials import Shown, shown
from tenantry.gateway.identity.observing import How, IdentityObserver
from tenantry.gateway.protocol import USER_HEADER, Answer, Lines, refusal
from tenantry.gateway.settings import IdentitySettings, Locks

RETRY_AFTER_SECONDS: Final = 1
_METAV1_REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    500: "InternalError",
    503: "ServiceUnavailable",
}
_log = structlog.get_logger(__name__)


class IdentityReviewer:
    """One cluster's; :func:`tenantry.gateway.identity.assembly.identity_reviewer` makes one."""

    def __init__(
        self,
        settings: IdentitySettings,
        *,
        authenticators: Authenticators,
        access_reviews: AccessReviews,
        clock: Clock,
        observer: IdentityObserver,
    ) -> None:
        """Let nobody in before :meth:`run` has what it needs."""
        self._own_token_allowed = settings.own_token != "Never" and not settings.token_audiences  # noqa: S105
        self._guards = guard_rules(settings)
        self._impersonation = impersonation_rules(settings, self._guards)
        self._authenticators = authenticators
        self._access_reviews = access_reviews
        self._clock = clock
        self._observer = observer
        self._locks = Locks()

    def set_locks(self, locks: Locks) -> None:
        """Refuse whoever is listed from now on; what the data plane remembers is the caller's to drop."""
        self._locks = locks

    def problems(self) -> Iterable[str]:
        """Return what keeps users out; for readiness."""
        return self._authenticators.problems()

    async def run(self) -> None:
        """Keep keys and the client CA fresh, until cancelled."""
        await self._authenticators.run()

    async def wait_until_ready(self, seconds: float) -> bool:
        """Return whether there was nothing to complain of within *seconds*."""
        try:
            async with asyncio.timeout(seconds):
                while list(self.problems()):  # noqa: ASYNC110 - it depends on several things
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return False
        return True

    async def identify(self, lines: Lines) -> Answer:
        """Return who makes the request that *lines* describe, or the answer that ends it; never raises."""
        how: How = "none"
        user = ""
        try:
            seen = shown(lines)
            accepted = await self._authenticators.authenticate(seen)
            how, user = accepted.how, accepted.identity.user
            reply = await self._let_in(seen, accepted)
        except CredentialError as error:
            self._observer.identified(how, error.why)
            return refused(error, user)
        except Exception:  # noqa: BLE001 - whatever it is, nobody is let in by it
            _log.exception("identify_failed", how=how)
            self._observer.identified(how, Reason.INTERNAL)
            return refused(CredentialError(Reason.INTERNAL, "the gateway failed: its log says why"))
        self._observer.identified(how, "")
        return reply

    async def _let_in(self, seen: Shown, accepted: Accepted) -> Answer:
        caller = guarded(accepted.identity, self._guards, is_external=accepted.is_external)
        if isinstance(caller, GuardRefusal):
            raise CredentialError(Reason(caller.token), caller.message)
        self._refuse_locked(accepted.identity)  # By its groups as they are: dropping one must not unlock.
        # Dropped groups would come back with the caller's own token; one in a subprotocol does not go up at all.
        is_whole = caller.groups == accepted.identity.groups and bool(seen.authorization)
        is_own = accepted.is_own_token and self._own_token_allowed and is_whole
        accepted = replace(accepted, is_own_token=is_own)
        now = self._clock.now().timestamp()
        if not seen.impersonation:
            return answer(accepted, caller, real_user=None, now=now)
        acted = await self._acted_as(seen, caller)
        self._refuse_locked(acted)
        return answer(accepted, acted, real_user=caller.user, now=now)

    async def _acted_as(self, seen: Shown, caller: Identity) -> Identity:
        plan = impersonation_plan(seen.impersonation, caller, self._impersonation)
        if isinstance(plan, ImpersonationRefusal):
            raise CredentialError(Reason(plan.token), plan.message)
        try:
            denied = await self._access_reviews.first_denied(caller, plan.reviews)
        except TenantryError as error:
            raise CredentialError(
                Reason.REVIEW_UNAVAILABLE, "the API server cannot be asked for the right now: try again"
            ) from error
        if denied is not None:
            raise CredentialError(
                Reason.IMPERSONATION_DENIED,
                f"user {caller.user!r} cannot impersonate {_described(denied)}: have an administrator grant the verb "
                f"impersonate on it",
            )
        return plan.identity

    def _refuse_locked(self, identity: Identity) -> None:
        if identity.user in self._locks.users or not self._locks.groups.isdisjoint(identity.groups):
            raise CredentialError(Reason.LOCKED, f"user {identity.user!r} is locked: ask an administrator")


def guard_rules(settings: IdentitySettings) -> GuardRules:
    """Return the guards that *settings* ask for.

    Raises:
        ExpressionError: A pattern is none.
    """
    return GuardRules(
        groups=GroupFilter(
            kept_pattern=settings.group_pattern,
            dropped=frozenset(settings.dropped_groups),
            dropped_pattern=settings.dropped_group_pattern,
        ),
        allowed_system_names=frozenset(settings.allowed_system_names),
        forwarded_extra=frozenset(settings.forwarded_extra),
    )


def impersonation_rules(settings: IdentitySettings, guards: GuardRules) -> ImpersonationRules:
    """Return who may act as whom, as *settings* say."""
    given = settings.impersonation
    return ImpersonationRules(
        is_enabled=given.enabled,
        trusted_users=frozenset(subject.name for subject in given.trusted if subject.kind != "Group"),
        trusted_groups=frozenset(subject.name for subject in given.trusted if subject.kind == "Group"),
        guards=guards,
    )


def refused(error: CredentialError, user: str = "") -> Answer:
    """Return what the client is told; *user*, if known, is for the audit record alone."""
    status = http_status(error.why)
    told = refusal(
        status,
        _METAV1_REASONS[status],
        error.message,
        token=error.why,
        retry_after_seconds=RETRY_AFTER_SECONDS if status == 503 else None,
    )
    # A name may be what is refused: one that is no header value stays out.
    return replace(told, headers=(*told.headers, (USER_HEADER, user))) if user and user.isprintable() else told


def _described(question: ResourceAttributes) -> str:
    where = f" in the namespace {question.namespace!r}" if question.namespace else ""
    resource = f"{question.resource}/{question.subresource}" if question.subresource else question.resource
    return f"{resource} {question.name!r}{where}"
