"""What learners do in a storm, as an LMS tells it: values in batches, some twice, none in order.

Within an enrolment every value is told apart from the others, so that a value says which change it was.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from gateway.sandbox.hooked_switches import SECRET
from tests.support.storm_rtopilot import Seen

BATCH = 10
TWICE = 0.2
"""The share of deliveries that come twice."""
AGAIN = 0.05
"""The share of events that come again inside another delivery."""
SHUFFLE = 1.8
"""How far events of a tenant change places, in steps of its learners: above 1 they overtake each other."""

Which = tuple[str, str]
"""Tenant, enrolment: a number, which is the vendor's id and RTOPilot's alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change; `told` is what RTOPilot may hear of it, `at` the vendor's stamp in Unix seconds."""

    tenant: str
    enrolment: str
    number: int
    at: float
    percent: float
    completed: bool

    @property
    def told(self) -> int:
        return 100 if self.completed else min(int(self.percent), 99)

    def as_json(self) -> dict[str, object]:
        return {
            "id": f"evt-{self.enrolment}-{self.number}",
            "type": "enrolment.progress",
            "at": self.at,
            "enrolment": {
                "id": self.enrolment,
                "percent": self.percent,
                "completed_at": self.at if self.completed else None,
            },
        }


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """One POST: signed bytes that are the same each time."""

    tenant: str
    events: tuple[Event, ...]
    raw: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Storm:
    """All changes of every enrolment in the order they were made, and the deliveries as they are posted.

    In `falling` tenants a learner's progress may fall, and RTOPilot is to hear of it.
    """

    changes: dict[Which, list[Event]]
    deliveries: list[Delivery]
    falling: frozenset[str]
    declared: dict[Which, float] = field(default_factory=dict)
    """When a completion was first posted, by the machine's monotonic clock; filled in by who posts."""

    @property
    def values(self) -> int:
        return sum(map(len, self.changes.values()))

    def newest(self) -> dict[Which, int]:
        return {which: changes[-1].told for which, changes in self.changes.items()}


def brewed(*, tenants: int, enrolments: int, values: int, now: float, random: Random) -> Storm:
    """A storm of `tenants` x `enrolments` x `values` changes, made within the hour before `now`."""
    names = [f"rto-{number}" for number in range(tenants)]
    falling = frozenset(names[::4])
    changes = {
        (name, id := str(1000 * (place + 1) + number)): _changes(
            name, id, values, name in falling, now, random
        )
        for place, name in enumerate(names)
        for number in range(enrolments)
    }
    deliveries: list[Delivery] = []
    for name in names:
        mine = [event for (tenant, _), events in changes.items() if tenant == name for event in events]
        deliveries += _deliveries(name, mine, random)
    placed = [(place + random.uniform(0, 3 * tenants), each) for place, each in _twice(deliveries, random)]
    return Storm(changes, [each for _, each in sorted(placed, key=lambda pair: pair[0])], falling)


def _changes(tenant: str, id: str, values: int, falls: bool, now: float, random: Random) -> list[Event]:
    if falls:
        percents = [(value + 0.5, False) for value in random.sample(range(1, 99), values)]
    else:
        percents = [(value + random.random(), False) for value in sorted(random.sample(range(1, 99), values))]
        end = random.random()
        if end < 0.5:
            percents[-1] = (100.0, True)
        if end < 0.2:
            percents[-2] = (100.0, False)  # all is read, and nobody has declared it completed yet
    stamps = sorted(now - 3600 + random.uniform(0, 3500) for _ in range(values))
    return [
        Event(tenant=tenant, enrolment=id, number=number, at=at, percent=percent, completed=completed)
        for number, (at, (percent, completed)) in enumerate(zip(stamps, percents, strict=True))
    ]


def _deliveries(tenant: str, events: list[Event], random: Random) -> Iterator[Delivery]:
    placed = sorted(events, key=lambda event: event.number + random.uniform(0, SHUFFLE))
    for start in range(0, len(placed), BATCH):
        batch = placed[start : start + BATCH]
        batch += [event for event in placed[:start] if random.random() < AGAIN * BATCH / len(placed)]
        yield signed(tenant, tuple(batch))


def _twice(deliveries: list[Delivery], random: Random) -> Iterator[tuple[float, Delivery]]:
    """Each with its place; all tenants send at the same time."""
    step: dict[str, int] = {}
    tenants = len({each.tenant for each in deliveries})
    for each in deliveries:
        step[each.tenant] = step.get(each.tenant, 0) + 1
        place = float(step[each.tenant] * tenants)
        yield place, each
        if random.random() < TWICE:
            yield place + random.choice((0.0, tenants)), each


def signed(tenant: str, events: tuple[Event, ...]) -> Delivery:
    """What the vendor posts of these events."""
    raw = json.dumps({"events": [event.as_json() for event in events]}).encode()
    stamp = "1767225600"
    signature = hmac.new(SECRET.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-hooked-timestamp": stamp,
        "x-hooked-signature": signature,
    }
    return Delivery(tenant, events, raw, headers)


# -- what RTOPilot may have seen of it ----------------------------------------------------------------


def faults(storm: Storm, seen: Seen) -> list[str]:
    """All that should not have happened, a line each; empty when the newest arrived and nothing else did."""
    found = [f"two at once: {each}" for each in seen.overlaps] + [
        f"malformed: {each}" for each in seen.malformed
    ]
    held, newest = seen.held(), storm.newest()
    found += [
        f"{which} stands at {held.get(which)}, not {value}"
        for which, value in newest.items()
        if held.get(which) != value
    ]
    found += [f"{which} was never enrolled" for which in held.keys() - newest.keys()]
    return found + list(_stale(storm, seen)) + list(_early(storm, seen))


def _stale(storm: Storm, seen: Seen) -> Iterator[str]:
    """Values that went back behind one that was sent before: falls, and what nobody ever declared."""
    places = {which: [event.told for event in events] for which, events in storm.changes.items()}
    last: dict[Which, int] = {}
    for each in seen.arrivals:
        which = (each.organisation, each.id)
        if each.kind == "401" or which not in places:
            continue
        if each.value not in places[which]:
            yield f"{which} never stood at {each.value}"
            continue
        place = places[which].index(each.value)
        if place < last.get(which, 0):
            yield f"{which}: {each.value} after {places[which][last[which]]}"
        last[which] = max(place, last.get(which, 0))


def _early(storm: Storm, seen: Seen) -> Iterator[str]:
    for each in seen.arrivals:
        which = (each.organisation, each.id)
        if each.value == 100 and each.began < storm.declared.get(which, float("inf")):
            yield f"{which}: 100 before it was declared"
