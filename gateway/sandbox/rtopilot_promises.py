"""What the gateway promises about progress, checked over the progress server's journal.

Source: vendors/rtopilot.md 4.4 (sending rules) and 7.2, last point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.sandbox.journal import Entry
from gateway.sandbox.rtopilot_office import HeldId, Organisation
from gateway.sandbox.rtopilot_progress import ProgressServer, Push, read_pushes

OVERLAP_S = 0.05
"""How much longer than the next request a request may seem to be open: a server notices a moment late that a
client has given up."""


def broken_promises(
    arrivals: Iterable[Entry], organisation: Organisation, completed_at: Mapping[str, datetime]
) -> list[str]:
    """A line for each push that broke a promise; empty when all were kept.

    `arrivals` are those of one organisation (`ProgressServer.arrivals`), answered or not. `completed_at` says
    when the vendor called an enrolment completed, by LMS enrolment id. All times have to be of one clock.
    """
    return list(_broken(arrivals, organisation, completed_at))


def all_broken_promises(server: ProgressServer, completed_at: Mapping[str, datetime]) -> list[str]:
    """The same over every organisation of a server, and its own violations; ids have to be unique."""
    found = list(server.violations)
    arrivals = server.arrivals_by_organisation()
    for name, organisation in server.organisations.items():
        broken = broken_promises(arrivals.get(name, []), organisation, completed_at)
        found += [f"{name}: {line}" for line in broken]
        found += [f"{name}: {line}" for line in _certificates(organisation, completed_at)]
    return found


@dataclass(slots=True)
class _Past:
    """What came for one enrolment so far: the highest value, and when its last request ended."""

    highest: float = 0.0
    open_until: float = 0.0


def _broken(
    arrivals: Iterable[Entry], organisation: Organisation, completed_at: Mapping[str, datetime]
) -> Iterator[str]:
    held = {each.id: each for enrolment in organisation.enrolments.values() for each in enrolment.history}
    pasts: dict[str, _Past] = {}
    for arrival in arrivals:
        try:
            pushes = read_pushes(arrival.body, strict=True)
        except ValueError as exc:
            yield f"request {arrival.number}: {exc}"
            continue
        for push in pushes:
            past = pasts.setdefault(push.id, _Past())
            problems = [
                *_value_problems(push, arrival.time, past.highest, completed_at.get(push.id)),
                *_time_problems(arrival.time, held.get(push.id)),
                *_overlap_problems(arrival, past),
            ]
            yield from (f"request {arrival.number}: {push.id}={push.progress:g} {each}" for each in problems)
            past.highest = max(push.progress, past.highest)
            past.open_until = max(past.open_until, _end(arrival))


def _value_problems(push: Push, at: datetime, before: float, completed: datetime | None) -> Iterator[str]:
    if push.progress < before:
        yield f"is less than {before:g} before"
    if push.progress == 100 and (completed is None or at < completed):
        yield "came before the vendor called it completed"


def _time_problems(at: datetime, held: HeldId | None) -> Iterator[str]:
    if held is None or at < held.since:
        yield "came before Create or Transfer was answered"
    elif held.until is not None and at > held.until:
        yield "came after Cancel or Transfer"


def _overlap_problems(arrival: Entry, past: _Past) -> Iterator[str]:
    if past.open_until - arrival.began > OVERLAP_S:
        yield "came while another request for it was open"


def _end(arrival: Entry) -> float:
    return float("inf") if arrival.ended is None else arrival.ended


def _certificates(organisation: Organisation, completed_at: Mapping[str, datetime]) -> Iterator[str]:
    for enrolment in organisation.enrolments.values():
        issued = enrolment.certificate_at
        completed = [completed_at[held.id] for held in enrolment.history if held.id in completed_at]
        if issued is not None and not any(at <= issued for at in completed):
            yield f"{enrolment.rto_id} has a certificate the vendor knows nothing of"
