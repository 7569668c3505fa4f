"""When a reservation counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tenantry.admission.reservations import LIFETIME_SECONDS, Sightings, ledger_key

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Clock:
    seconds: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_reservation_counts_until_its_object_was_seen() -> None:
    """Seen between the reservation and the list: then the list knows.  Seen before, it was a namesake."""
    clock = Clock()
    sightings = Sightings(clock)
    for clock.seconds, name in ((1, "namesake"), (3, "stored"), (6, "too late for the list")):
        sightings.saw(name)
    entries = {"namesake": at(2), "stored": at(2), "too late for the list": at(2), "never seen": at(2)}

    assert sightings.unsettled(entries, before=at(5)) == {"namesake", "too late for the list", "never seen"}


def test_sightings_are_forgotten_when_no_reservation_can_be_so_old() -> None:
    clock = Clock()
    sightings = Sightings(clock)
    sightings.saw("first")
    for clock.seconds in (2 * LIFETIME_SECONDS + 1, 2 * LIFETIME_SECONDS + 2):
        sightings.saw("second")

    assert sightings.unsettled({"first": at(0), "second": at(0)}, before=at(1000)) == {"first"}


def test_keys_fit_into_names_and_tell_parts_apart() -> None:
    keys = {ledger_key("a", "bc"), ledger_key("ab", "c"), ledger_key("*.example", "/x")}

    assert len(keys) == 3
    assert all(len(key) == 32 and key.isalnum() and key.islower() for key in keys)
