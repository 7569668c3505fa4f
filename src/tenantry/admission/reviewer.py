"""From a request to its answer: decided from caches, and a refusal confirmed live (spec 13.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar, cast

from tenantry.admission.decision import decide
from tenantry.admission.gathering import NOTHING_RESERVED, Reserved, object_view
from tenantry.admission.hosts import HostReservations, is_about_hosts
from tenantry.admission.knowledge import Knowledge, Question, Topic, Unanswered
from tenantry.admission.live import LiveKnowledge, LiveReader
from tenantry.admission.quota import NamespaceQuota
from tenantry.admission.reviews import Answer
from tenantry.admission.server import UnknownPathError
from tenantry.admission.state import State, policy_part
from tenantry.api.tenant import Tenant
from tenantry.foundation.errors import TenantryError
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.table import STAGES, Stage, Subject, rows_of, subject_of
from tenantry.tenancy.views import ObjectContext

T = TypeVar("T")

MAX_LIVE: Final = 64
"""How many requests read from the API server at once; the others wait in order of arrival."""
MAX_ROUNDS: Final = 64
"""A bound for a loop that ends by itself: each round answers one more question."""

_CONFIRMED: Final = frozenset({Subject.OBJECT, Subject.NAMESPACE, Subject.NODE})
"""Subjects whose refusal depends on what else there is, not on the request alone."""
_TENANT_ONLY: Final = frozenset({Topic.TENANT})
_AT_ONCE: Final = (Question(Topic.CONFIGURATION), Question(Topic.TENANT_OWNERS), Question(Topic.PROMOTED_ACCOUNTS))


Told = Callable[[Request, Answer], None]
"""Is told of each answer that has something to tell."""


class Reviewer:
    """Answers reviews; one a worker process."""

    def __init__(  # the parts of a decision
        self,
        state: State,
        reader: LiveReader,
        *,
        quota: NamespaceQuota,
        hosts: HostReservations,
        own_accounts: frozenset[str],
        told: Told,
        on_confirmation: Callable[[], None] = lambda: None,
        has_lapsed: Callable[[], bool] = lambda: False,
    ) -> None:
        """Answer nothing yet.

        Args:
            state: What the caches know.
            reader: Reads the rest.
            quota: Of namespaces.
            hosts: Of ingresses.
            own_accounts: User names of the installation's own ServiceAccounts.
            told: See Told.
            on_confirmation: Called when something is read for an answer.
            has_lapsed: Whether nothing may be decided from caches, since nobody waits for them to follow.
        """
        self._state = state
        self._reader = reader
        self._quota = quota
        self._hosts = hosts
        self._own_accounts = own_accounts
        self._told = told
        self._on_confirmation = on_confirmation
        self._has_lapsed = has_lapsed
        self._live_slots = asyncio.Semaphore(MAX_LIVE)

    async def review(self, path: str, request: Request) -> Answer:
        """Return the answer to *request*, which came to *path*.

        Raises:
            UnknownPathError: No webhook is served there.
            DecodeError: An object is not of its kind.
            TenantryError: What had to be read could not be.
        """
        if path not in STAGES:
            raise UnknownPathError(path)
        answer = await self._answer(path, request)
        if answer.denial is not None or answer.notices:
            self._told(request, answer)
        return answer

    async def _answer(self, path: str, request: Request) -> Answer:
        subject = subject_of(request)
        if subject is Subject.NAMESPACE and STAGES[path] is Stage.VALIDATING and rows_of(path, request):
            return await self._judge_namespace(path, request)
        try:
            answer = decide(path, request, self._state)
        except Unanswered:
            answer = await self._confirm(path, request)
        else:
            is_doubtful = not answer.is_allowed and subject in _CONFIRMED
            if subject is Subject.NAMESPACE and answer.is_allowed:
                is_doubtful = await self._is_outdated(request, answer.tenant)
            if is_doubtful or (self._has_lapsed() and rows_of(path, request)):
                answer = await self._confirm(path, request)
        if answer.is_allowed and is_about_hosts(path, request):
            return await self._judge_hosts(path, request, answer)
        return answer

    async def _is_outdated(self, request: Request, tenant: str) -> bool:
        """Return whether a new namespace was placed in a *tenant* that is another one by now, made anew or edited.

        What it is given then lasts, and validation would refuse a reference to one that is gone.
        """
        if request.operation is not Operation.CREATE or not tenant:
            return False
        async with self._live_slots:
            current = cast("Tenant | None", await self._reader.read(Question(Topic.TENANT, tenant)))
        try:
            known = self._state.tenant(tenant)
        except Unanswered:  # It went while that was read.
            return True
        return current is None or known is None or policy_part(current) != policy_part(known)

    async def _confirm(self, path: str, request: Request) -> Answer:
        """Return the answer by what the API server says now."""
        self._on_confirmation()
        async with self._live_slots:
            answers = await self._read_at_once(request)
            return await self._settled(request, answers, lambda live: _confirmed(path, request, live))

    async def _judge_namespace(self, path: str, request: Request) -> Answer:
        """Judge a write of a Namespace by its tenants as they are now, and hold their quota exactly.

        Such writes are rare, and what they decide lasts.
        """

        def decided(knowledge: Knowledge, counted: frozenset[str] = frozenset()) -> Answer:
            return _confirmed(path, request, knowledge, Reserved(namespaces=counted))

        async with self._live_slots:
            answers: dict[Question, object] = {}
            topics = None if self._has_lapsed() else _TENANT_ONLY
            answer = await self._settled(request, answers, decided, topics=topics)
            if not answer.is_allowed:
                self._on_confirmation()
                answers |= await self._read_at_once(request)
                answer = await self._settled(request, answers, decided)
            if not answer.is_allowed:
                return answer
            counted = await self._quota.counted(request, answers)
            if counted is None:
                return answer
            return await self._settled(request, answers, lambda live: decided(live, counted), topics=topics)

    async def _judge_hosts(self, path: str, request: Request, allowed: Answer) -> Answer:
        """Reserve the hosts of an Ingress that is let through, then see whether anybody else has them."""
        async with self._live_slots:
            view = await self._object_view(request)
            taken = await self._hosts.reserve(request, view)
            if taken is None:
                return allowed
            reserved = Reserved(hosts=taken)
            try:
                answer = decide(path, request, self._state, reserved=reserved)
            except Unanswered:
                answer = None
            if answer is None or not answer.is_allowed:
                self._on_confirmation()
                answers = await self._read_at_once(request)
                answer = await self._settled(request, answers, lambda live: _confirmed(path, request, live, reserved))
            if not answer.is_allowed:
                await self._hosts.release(request, view)
            return answer

    async def _object_view(self, request: Request) -> ObjectContext:
        try:
            return object_view(request, self._state)
        except Unanswered:
            return await self._settled(request, {}, lambda live: object_view(request, live))

    async def _settled(
        self,
        request: Request,
        answers: dict[Question, object],
        decided: Callable[[Knowledge], T],
        *,
        topics: frozenset[Topic] | None = None,
    ) -> T:
        """Return what *decided* makes of live knowledge; *answers* gets what had to be read."""
        live = LiveKnowledge(
            answers=answers,
            requester=request.requester,
            own_accounts=self._own_accounts,
            base=self._state if topics is not None else None,
            topics=topics,
        )
        for _ in range(MAX_ROUNDS):
            try:
                return decided(live)
            except Unanswered as lack:
                answers[lack.question] = await self._reader.read(lack.question)
        raise RuntimeError(f"a decision asked more than {MAX_ROUNDS} questions")

    async def _read_at_once(self, request: Request) -> dict[Question, object]:
        """Return the answers that nearly every confirmation needs, read side by side."""
        questions = [*_AT_ONCE]
        if subject_of(request) is Subject.OBJECT:
            questions.append(Question(Topic.NAMESPACE, request.namespace))
            home = self._state.home_tenant(request.namespace)
            questions += [] if home is None else [Question(Topic.TENANT, home)]
        try:
            async with asyncio.TaskGroup() as group:
                reads = {question: group.create_task(self._reader.read(question)) for question in questions}
        except* TenantryError as failed:
            # One cause is enough to say: they are all the same API server's.
            problem = failed.exceptions[0]
        else:
            return {question: read.result() for question, read in reads.items()}
        raise problem


def _confirmed(path: str, request: Request, knowledge: Knowledge, reserved: Reserved = NOTHING_RESERVED) -> Answer:
    return decide(path, request, knowledge, is_confirmation=True, reserved=reserved)
