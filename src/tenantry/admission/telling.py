"""Events about what was refused, audited or assigned (spec 3.3, 13.16)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tenantry.admission.reviews import Answer
from tenantry.api import labels
from tenantry.api.meta import CAPSULE_API_VERSION, ObjectReference, PartialObject
from tenantry.foundation.codec import DecodeError
from tenantry.kube.events import EventNote
from tenantry.tenancy.request import Operation, Request

DENIED_ACTION = "ValidationDenied"


class Teller:
    """Turns answers into events."""

    def __init__(
        self,
        record: Callable[[EventNote], None],
        *,
        cluster_namespace: Callable[[], str],
        tenant_uid: Callable[[str], str],
    ) -> None:
        """Tell *record*.

        Args:
            record: Takes notes without waiting.
            cluster_namespace: Where events about cluster-scoped objects go (CF-16).
            tenant_uid: The uid of a Tenant by its name; empty where it is unknown.
        """
        self._record = record
        self._cluster_namespace = cluster_namespace
        self._tenant_uid = tenant_uid

    def __call__(self, request: Request, answer: Answer) -> None:
        """Tell about *answer*; a dry run changed nothing, and a namespace that goes away takes no events."""
        if request.dry_run or answer.is_terminating:
            return
        for reason, action, message, kind in _news(answer):
            self._record(
                EventNote(
                    regarding=_regarding(request, is_refused=answer.denial is not None),
                    reason=reason,
                    action=action,
                    note=message,
                    type="Warning" if kind == "Warning" else "Normal",
                    related=self._related(answer.tenant),
                    annotations={
                        labels.AUDIT_REQUEST_UID: request.uid,
                        labels.AUDIT_USERNAME: request.requester.username,
                    },
                    labels={labels.NEW_TENANT: answer.tenant} if answer.tenant else {},
                    namespace=_namespace(request) or self._cluster_namespace(),
                )
            )

    def _related(self, tenant: str) -> ObjectReference | None:
        if not tenant:
            return None
        return ObjectReference(
            api_version=CAPSULE_API_VERSION, kind="Tenant", name=tenant, uid=self._tenant_uid(tenant)
        )


def _news(answer: Answer) -> Iterator[tuple[str, str, str, str]]:
    for notice in answer.notices:
        yield notice.reason, notice.action, notice.message, notice.type
    if answer.denial is not None and answer.denial.event:
        yield answer.denial.reason, DENIED_ACTION, answer.denial.message, "Warning"


def _namespace(request: Request) -> str:
    # For a Namespace the API server gives its own name: events about it go elsewhere, it may never exist.
    return "" if (request.group, request.resource) == ("", "namespaces") else request.namespace


def _regarding(request: Request, *, is_refused: bool) -> ObjectReference:
    try:
        submitted = request.old(PartialObject) if request.operation is Operation.DELETE else request.new(PartialObject)
    except DecodeError:
        submitted = None
    metadata = (submitted or PartialObject()).metadata
    # Each try to create an object comes with a uid, and a generated name, of its own.  Where the
    # object never comes to be, they would make an event of every try, never a series.
    never_was = is_refused and request.operation is Operation.CREATE
    name = request.name or metadata.name or metadata.generate_name
    return ObjectReference(
        api_version=f"{request.group}/{request.version}" if request.group else request.version,
        kind=request.kind,
        namespace=_namespace(request),
        name=metadata.generate_name or name if never_was else name,
        uid="" if never_was else metadata.uid,
    )
