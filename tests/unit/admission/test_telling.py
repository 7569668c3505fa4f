"""Which answers become events, and what these say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tenantry.admission.reviews import Answer
from tenantry.admission.telling import Teller
from tenantry.api.meta import ObjectReference
from tenantry.kube.events import EventNote
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.verdict import Denial, Notice

Ask = Callable[..., Request]
AUDIT = {"audit.projectcapsule.dev/request-uid": "u-1", "audit.projectcapsule.dev/username": "solar-owner"}
TENANT = ObjectReference(api_version="capsule.clastix.io/v1beta2", kind="Tenant", name="solar", uid="solar-uid")
REFUSED = Answer(
    tenant="solar",
    denial=Denial(reason="ForbiddenServiceType", message="no"),
    notices=(Notice(reason="NamespaceRuleAudit", action="RuleAudit", message="seen"),),
)


def told(request: Request, answer: Answer) -> list[EventNote]:
    notes: list[EventNote] = []
    Teller(notes.append, cluster_namespace=lambda: "events-here", tenant_uid=lambda name: f"{name}-uid")(
        request, answer
    )
    return notes


def test_a_refusal_and_what_was_audited_are_told_where_the_object_is(ask: Ask) -> None:
    request = ask("services", {"metadata": {"name": "web"}}, version="v1")
    regarding = ObjectReference(api_version="v1", kind="Service", namespace="solar-dev", name="web")

    def note(reason: str, action: str, text: str, kind: str) -> EventNote:
        return EventNote(
            regarding=regarding,
            reason=reason,
            action=action,
            note=text,
            type="Warning" if kind == "Warning" else "Normal",
            related=TENANT,
            annotations=AUDIT,
            labels={"projectcapsule.dev/tenant": "solar"},
            namespace="solar-dev",
        )

    assert told(request, REFUSED) == [
        note("NamespaceRuleAudit", "RuleAudit", "seen", "Normal"),
        note("ForbiddenServiceType", "ValidationDenied", "no", "Warning"),
    ]


def test_refused_tries_of_one_thing_are_told_alike(ask: Ask) -> None:
    """So that a ReplicaSet which tries for ever makes one series; an object that came to be is told exactly."""
    pods = [
        ask("pods", {"metadata": {"name": f"web-{n}", "generateName": "web-", "uid": str(n)}}, version="v1")
        for n in range(2)
    ]
    seen = replace(REFUSED, denial=None)

    def regarded(answer: Answer) -> list[tuple[str, str]]:
        notes = [told(pod, answer)[0].regarding for pod in pods]
        return [(regarding.name, regarding.uid) for regarding in notes]

    assert regarded(REFUSED) == [("web-", "")] * 2
    assert regarded(seen) == [("web-0", "0"), ("web-1", "1")]


def test_nothing_is_told_of_what_does_not_happen(ask: Ask) -> None:
    request = ask("services", {"metadata": {"name": "web"}})
    silent = Answer(tenant="solar", denial=Denial(reason="X", message="no", event=False))

    assert [
        told(ask("services", {}, dry_run=True), REFUSED),
        told(request, replace(REFUSED, is_terminating=True)),
        told(request, silent),
    ] == [[], [], []]


def test_events_about_cluster_scoped_objects_go_where_the_platform_says(ask: Ask) -> None:
    """About a Namespace too: its own may never come to be."""
    created = ask("namespaces", {"metadata": {"generateName": "solar-"}}, namespace="solar-x")
    deleted = ask(
        "tenants",
        {"metadata": {"name": "solar", "uid": "7"}},
        group="capsule.clastix.io",
        version="v1beta2",
        namespace="",
        operation=Operation.DELETE,
    )
    refused = Answer(denial=Denial(reason="X", message="no"))

    notes = [*told(created, refused), *told(deleted, refused)]

    assert [(note.namespace, note.regarding, note.related) for note in notes] == [
        ("events-here", ObjectReference(api_version="v1", kind="Namespace", name="solar-"), None),
        (
            "events-here",
            ObjectReference(api_version="capsule.clastix.io/v1beta2", kind="Tenant", name="solar", uid="7"),
            None,
        ),
    ]
