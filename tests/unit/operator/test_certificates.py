"""The way to a certificate that everybody trusts, and the certificates themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tenantry.foundation.codec import decode, encode
from tenantry.operator.certificates import pki
from tenantry.operator.certificates.child import AuthorityRequest, Inspection, InspectRequest, ServingRequest, answer
from tenantry.operator.certificates.plan import SETTLE, Authority, Serving, Step, View, is_trusted, next_step, trusted

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NAMES = frozenset({"hook", "hook.ns.svc"})
CURRENT = Authority(pem="new", expires=NOW + timedelta(days=3650))
SERVING = Serving(issued=NOW - timedelta(hours=1), expires=NOW + timedelta(days=180), names=NAMES, is_by_current=True)
DONE = View(
    now=NOW,
    names=NAMES,
    current=CURRENT,
    serving=SERVING,
    published=frozenset({"new"}),
    registered=(frozenset({"new"}),),
    trusted_for=timedelta(minutes=1),
)


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({}, Step.NOTHING),
        ({"current": None}, Step.MAKE_CA),
        ({"current": replace(CURRENT, expires=NOW + timedelta(days=300))}, Step.MAKE_CA),
        ({"published": frozenset()}, Step.PUBLISH),
        ({"published": frozenset({"old"})}, Step.PUBLISH),
        ({"serving": None, "registered": ()}, Step.SERVE),
        ({"serving": None, "registered": (), "trusted_for": timedelta(0)}, Step.SERVE),
        ({"serving": None, "registered": (frozenset({"old"}),), "trusted_for": timedelta(0)}, Step.WAIT),
        # An API server may not have read its configurations yet.
        ({"serving": None, "trusted_for": timedelta(seconds=1)}, Step.WAIT),
        ({"serving": replace(SERVING, is_by_current=False)}, Step.SERVE),
        ({"serving": replace(SERVING, expires=NOW + timedelta(days=2))}, Step.SERVE),
        ({"names": NAMES | {"10.0.0.1"}}, Step.SERVE),
        ({"published": frozenset({"new", "old"})}, Step.PUBLISH),
        (
            {"published": frozenset({"new", "old"}), "serving": replace(SERVING, issued=NOW - timedelta(minutes=1))},
            Step.NOTHING,
        ),
    ],
)
def test_the_next_step(change: dict[str, object], step: Step) -> None:
    assert next_step(replace(DONE, **change)) == step  # type: ignore[arg-type]


def test_the_old_ca_is_trusted_until_what_it_signed_is_surely_not_served() -> None:
    both = frozenset({"new", "old"})
    fresh = replace(SERVING, issued=NOW)

    assert (
        trusted(replace(DONE, published=frozenset({"old"}))),
        trusted(replace(DONE, published=both, serving=fresh)),
        trusted(replace(DONE, published=both)),
        # The Secret is gone, and workers serve what the old one signed.
        trusted(replace(DONE, published=frozenset(), registered=(frozenset({"old"}), frozenset()), serving=None)),
    ) == (both, both, frozenset({"new"}), both)


def steps(view: View) -> Iterator[Step]:
    """Play the controllers: take each step, register what is published, let time pass where nothing is to do."""
    for _ in range(20):
        step = next_step(view)
        yield step
        if step is Step.MAKE_CA:
            view = replace(
                view,
                current=Authority(pem="new", expires=view.now + timedelta(days=3650)),
                serving=replace(view.serving, is_by_current=False) if view.serving else None,
                trusted_for=timedelta(0),
            )
        elif step is Step.PUBLISH:
            view = replace(view, published=trusted(view))
        elif step is Step.SERVE:
            view = replace(view, serving=replace(SERVING, issued=view.now, expires=view.now + timedelta(days=180)))
        elif step is Step.WAIT:
            view = replace(view, registered=(view.published,), trusted_for=SETTLE)
        elif len(view.published) > 1:
            view = replace(view, now=view.now + timedelta(minutes=11))
        else:
            return


def test_a_ca_is_replaced_without_a_gap() -> None:
    old = replace(
        DONE,
        current=Authority(pem="old", expires=NOW + timedelta(days=300)),
        published=frozenset({"old"}),
        registered=(frozenset({"old"}),),
    )

    assert list(steps(old)) == [
        Step.MAKE_CA,
        Step.PUBLISH,
        Step.WAIT,
        Step.SERVE,
        Step.NOTHING,
        Step.PUBLISH,
        Step.NOTHING,
    ]


def test_a_ca_counts_once_every_configuration_has_it() -> None:
    """None at all is well, too: nobody is there who does not trust it."""
    own, old = frozenset({"new"}), frozenset({"old"})
    cases = ((own, own | old), (own, old), ())

    assert [is_trusted(replace(DONE, registered=each)) for each in cases] == [True, False, True]


def test_certificates_say_what_was_asked_for() -> None:
    """The child's whole conversation: make a CA, make a certificate, read both."""
    ca = decode(answer(encode(AuthorityRequest(now=NOW))), list[str])
    names = frozenset({"hook.ns.svc", "127.0.0.1"})
    pair = decode(answer(encode(ServingRequest(authority=(ca[0], ca[1]), names=names, now=NOW))), list[str])
    request = InspectRequest(authority=ca[0], serving=pair[0], published=ca[0], registered=(ca[0] * 2, "", "nonsense"))
    own = frozenset({ca[0]})

    assert decode(answer(encode(request)), Inspection) == Inspection(
        current=Authority(pem=ca[0], expires=NOW + pki.CA_LIFE),
        serving=Serving(issued=NOW, expires=NOW + pki.SERVING_LIFE, names=names, is_by_current=True),
        published=own,
        registered=(own, frozenset(), frozenset()),
    )


def test_another_ca_of_the_same_kind_did_not_sign_it() -> None:
    ca, other = pki.new_authority(NOW), pki.new_authority(NOW)
    pair = pki.new_serving(ca, NAMES, NOW)
    serving = pki.read_serving(pair[0], other[0])

    assert serving is not None
    assert not serving.is_by_current


def test_what_is_no_certificate_reads_as_none() -> None:
    assert (pki.read_authority(""), pki.read_serving("x", ""), pki.certificates_of("")) == (None, None, frozenset())
