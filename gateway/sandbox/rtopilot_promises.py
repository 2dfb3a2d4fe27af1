"""What the gateway promises about progress, checked over the progress server's journal.

Source: vendors/rtopilot.md 4.4 (sending rules) and 7.2, last point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from gateway.sandbox.journal import Entry
from gateway.sandbox.rtopilot_office import HeldId, Organisation
from gateway.sandbox.rtopilot_progress import Push, read_pushes


def broken_promises(
    arrivals: Iterable[Entry], organisation: Organisation, completed_at: Mapping[str, datetime]
) -> list[str]:
    """A line for each push that broke a promise; empty when all were kept.

    `arrivals` are those of one organisation (`ProgressServer.arrivals`), answered or not. `completed_at` says
    when the vendor called an enrolment completed, by LMS enrolment id. All times have to be of one clock.
    """
    return list(_broken(arrivals, organisation, completed_at))


def _broken(
    arrivals: Iterable[Entry], organisation: Organisation, completed_at: Mapping[str, datetime]
) -> Iterator[str]:
    held = {each.id: each for enrolment in organisation.enrolments.values() for each in enrolment.history}
    highest: dict[str, float] = {}
    for arrival in arrivals:
        try:
            pushes = read_pushes(arrival.body, strict=True)
        except ValueError as exc:
            yield f"request {arrival.number}: {exc}"
            continue
        for push in pushes:
            before = highest.get(push.id, 0)
            problems = [
                *_value_problems(push, arrival.time, before, completed_at.get(push.id)),
                *_time_problems(arrival.time, held.get(push.id)),
            ]
            yield from (f"request {arrival.number}: {push.id}={push.progress:g} {each}" for each in problems)
            highest[push.id] = max(push.progress, before)


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
