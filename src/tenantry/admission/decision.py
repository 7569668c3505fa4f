"""One decision: the rows that apply, run in order on one view, become one answer."""

from __future__ import annotations

from typing import Any

from tenantry.admission.gathering import NO_TENANT, NOTHING_RESERVED, Reserved, View, view_of
from tenantry.admission.knowledge import Knowledge
from tenantry.admission.patching import merged_patch
from tenantry.admission.reviews import ALLOWED_ANSWER, Answer
from tenantry.api.labels import TENANT
from tenantry.tenancy.namespaces.claims import named_tenants
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.request import Request
from tenantry.tenancy.table import EVIDENCE_PATHS, STAGES, Row, Stage, Subject, rows_of, subject_of
from tenantry.tenancy.verdict import Denial, Mutation, Notice, Verdict
from tenantry.tenancy.views import ObjectContext


def decide(
    path: str,
    request: Request,
    knowledge: Knowledge,
    *,
    is_confirmation: bool = False,
    reserved: Reserved = NOTHING_RESERVED,
) -> Answer:
    """Return the answer to *request* at *path*, as far as *knowledge* knows.

    Args:
        path: One of ``table.STAGES``.
        request: The request.
        knowledge: From caches, or live.
        is_confirmation: Whether *knowledge* is live: then the endpoint is no evidence any more
            that the namespace is cordoned, the namespace itself is.
        reserved: By other requests.

    Raises:
        Unanswered: *knowledge* lacks something.
        DecodeError: An object is not of its kind.
        KeyError: No such path is served.
    """
    rows = rows_of(path, request)
    if not rows:
        return ALLOWED_ANSWER
    subject = subject_of(request)
    view = view_of(subject, request, knowledge, stage=STAGES[path], reserved=reserved)
    if isinstance(view, ObjectContext) and view.tenant is NO_TENANT:
        rows = tuple(row for row in rows if row.outside_tenants)
    evident = path in EVIDENCE_PATHS and not is_confirmation
    concerned = _concerned(subject, request, view)
    if STAGES[path] is Stage.MUTATING:
        return _mutated(rows, request, view, concerned)
    return _judged(rows, request, view, concerned, evident=evident)


def _judged(rows: tuple[Row, ...], request: Request, view: View, concerned: _Concerned, *, evident: bool) -> Answer:
    denial: Denial | None = None
    notices: list[Notice] = []
    warnings: list[str] = []
    for row in rows:
        # The first refusal stands; what audit rules have to tell is told of refused requests too.
        if denial is not None and not row.audits:
            continue
        function = row.on_evidence if evident and row.on_evidence is not None else row.function
        verdict: Verdict = function(request, view)
        notices += verdict.notices
        warnings += verdict.warnings
        denial = denial or verdict.denial
    return concerned.answer(denial=denial, notices=tuple(notices), warnings=tuple(warnings))


def _mutated(rows: tuple[Row, ...], request: Request, view: View, concerned: _Concerned) -> Answer:
    mutations: list[Mutation] = []
    for row in rows:
        mutation: Mutation = row.function(request, view)
        mutations.append(mutation)
        if mutation.denial is not None:
            break
    denial = mutations[-1].denial if mutations else None
    if not concerned.tenant:
        # A new namespace that names no tenant concerns the one that was picked for it.
        concerned.tenant = next((each.labels[TENANT] for each in mutations if TENANT in each.labels), "")
    return concerned.answer(
        denial=denial,
        patch=() if denial is not None else merged_patch(request, mutations),
        notices=tuple(notice for mutation in mutations for notice in mutation.notices),
        warnings=tuple(warning for mutation in mutations for warning in mutation.warnings),
    )


class _Concerned:
    """The tenant that a request concerns, for its answer."""

    __slots__ = ("is_terminating", "tenant")

    def __init__(self, tenant: str, *, is_terminating: bool) -> None:
        self.tenant = tenant
        self.is_terminating = is_terminating

    def answer(self, **parts: Any) -> Answer:
        return Answer(tenant=self.tenant, is_terminating=self.is_terminating, **parts)


def _concerned(subject: Subject, request: Request, view: View) -> _Concerned:
    if isinstance(view, ObjectContext):
        is_terminating = view.namespace.deletion_timestamp is not None
        return _Concerned(view.tenant.metadata.name, is_terminating=is_terminating)
    if isinstance(view, NamespaceContext):
        named = sorted(named_tenants(request) & view.tenants.keys())
        return _Concerned(named[0] if named else "", is_terminating=False)
    return _Concerned(request.name if subject is Subject.TENANT else "", is_terminating=False)
