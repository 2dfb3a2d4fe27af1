"""Whether the polls fit: when each runs, what it costs, and what the vendor's call budget leaves for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.mapping.progress_spec import Timing
from gateway.operator.check import Row, ok, red, warning
from gateway.operator.run_report import stamp
from gateway.perform.tenant import Tenant
from gateway.progress.asking import Counts
from gateway.progress.courseless import asker_of
from gateway.progress.plans import Plan, plans_of
from gateway.progress.timing import Override
from gateway.store import schedules
from gateway.store.budgets import Rate
from gateway.store.schedules import Turn

HOUR_S, DAY_S = 3600.0, 86_400.0
USUAL_S = tuple(
    60.0 * minutes for minutes in (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440)
)
"""The intervals that are suggested."""
NEARLY_FULL = 0.8
SUGGESTED_SHARE = 0.7
"""A suggestion leaves room for new courses, and for the unit results of those who move on."""
LATE_S = 900.0

_SUBJECTS = {"per-course": ("course", "courses"), "per-enrolment": ("active enrolment", "active enrolments")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one plan asks of the vendor: so many calls in each sweep, a sweep every `interval_s`."""

    plan: Plan
    subjects: int
    calls: int
    interval_s: float

    @property
    def per_hour(self) -> float:
        return self.calls * HOUR_S / self.interval_s


async def poll_rows(tenant: Tenant, override: Override) -> list[Row]:
    """A row for each plan, and one for all of them against the budget."""
    costs = [await _cost(plan) for plan in plans_of(tenant, override)]
    if not costs:
        return [
            warning(
                "Polls", "The mapping has none, so nothing is found out by itself.", "Add `progress.poll`."
            )
        ]
    turns = await tenant.database.read(lambda conn: schedules.list_items(conn, tenant.name))
    by_name, now = {turn.name: turn for turn in turns}, tenant.database.clock.now()
    rows = [_row(cost, by_name.get(cost.plan.name), now) for cost in costs]
    return [*rows, budget_row(costs, tenant)]


def interval_s(timing: Timing) -> float:
    """Seconds from one sweep to the next; with times of the day, the shortest of those gaps."""
    if timing.every_s is not None:
        return timing.every_s
    times = sorted({_minutes(text) for text in timing.at})
    gaps = [later - earlier for earlier, later in pairwise([*times, times[0] + 1440])]
    return min(gaps) * 60.0


def share(rates: Sequence[Rate], reserve: float) -> float:
    """Calls an hour that staff leave to polls, by the tightest of the rates."""
    return min(rate.limit * (1 - reserve) * HOUR_S / rate.per_s for rate in rates)


def fitting_s(costs: Sequence[Cost], allowed: float) -> float | None:
    """The shortest usual interval at which the polls fit, the audits beside them staying as they are."""
    audits = sum(cost.per_hour for cost in costs if cost.plan.audit_s is not None)
    calls = sum(cost.calls for cost in costs if cost.plan.audit_s is None)
    return next((s for s in USUAL_S if audits + calls * HOUR_S / s <= allowed * SUGGESTED_SHARE), None)


def span(seconds: float) -> str:
    """Seconds as config.yaml has them: `10m`, `6h`, `1d`."""
    for unit, length in (("d", DAY_S), ("h", HOUR_S), ("m", 60.0)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:g}s"


def budget_row(costs: Sequence[Cost], tenant: Tenant) -> Row:
    """Whether the intervals can be kept, and what to write where they cannot."""
    what, need = "Call budget", sum(cost.per_hour for cost in costs)
    if tenant.allowance is None:
        return ok(what, f"The mapping knows of no limit; the polls make about {_count(need)} calls an hour.")
    allowed = share(tenant.allowance.rates, tenant.allowance.reserve)
    found = f"The polls need {_count(need)} of the {allowed:,.0f} calls an hour that staff leave them"
    if need <= allowed * NEARLY_FULL:
        return ok(what, f"{found}.")
    todo = _longer(costs, allowed)
    if need <= allowed:
        return warning(what, f"{found}: one more course, and they may be late.", todo)
    return red(what, f"{found}, so they cannot be on time.", todo)


def _longer(costs: Sequence[Cost], allowed: float) -> str:
    fits = fitting_s(costs, allowed)
    if fits is None:
        return "Not even once a day fits: ask the vendor for a larger allowance."
    write = f"Write `progress: {{every: {span(fits)}}}` under the tenant"
    return f"{write}, or ask the vendor for a larger allowance."


async def _cost(plan: Plan) -> Cost:
    """The gateway's own count of what a sweep would ask now."""
    subjects = await asker_of(plan, Counts()).total()
    said = plan.tenant.mapping.progress
    steps = 1
    if said is not None and plan.poll.call is None:
        steps = sum(step.check is None for step in said.brief)
    return Cost(
        plan=plan,
        subjects=subjects,
        calls=subjects * max(steps, 1),
        interval_s=interval_s(plan.rhythm.timing),
    )


def _row(cost: Cost, turn: Turn | None, now: float) -> Row:
    name = cost.plan.name
    what, found = f"{name[0].upper()}{name[1:]}", f"{_when(cost.plan)}: {_asks(cost)}"
    if turn is None:
        return ok(what, f"{found}. It begins when a gateway serves.")
    if turn.failures:
        since = f"; the last whole one is of {stamp(turn.last_ok_at)}" if turn.last_ok_at else ""
        todo = "It is tried again by itself, at growing intervals; the log says more."
        return warning(what, f"{found}. It fails: {turn.last_error}{since}.", todo)
    if turn.next_due < now - LATE_S:
        todo = "Is a gateway running, on this store?"
        return warning(what, f"{found}. It was due at {stamp(turn.next_due)}, and nobody has run it.", todo)
    if turn.last_ok_at is None:
        return ok(what, f"{found}. No whole one yet.")
    last = f"The last whole one is of {stamp(turn.last_ok_at)}"
    if turn.last_ok_at < now - 2 * cost.interval_s - LATE_S:
        return warning(what, f"{found}. {last}.", "The log names what fails or takes too long.")
    return ok(what, f"{found}. {last}.")


def _when(plan: Plan) -> str:
    timing = plan.rhythm.timing
    if timing.every_s is not None:
        return f"Every {span(timing.every_s)}"
    return f"At {' and '.join(timing.at)} in {plan.rhythm.zone}"


def _asks(cost: Cost) -> str:
    """What a sweep asks, and what that comes to in an hour."""
    poll, many = cost.plan.poll, "at least " if _is_paged(cost.plan) else ""
    if not cost.calls:
        return "nobody is enrolled yet"
    match poll.plan:
        case "delta":
            what = f"{many}one call for what has changed"
        case "chunks":
            what = f"{many}one call for each {poll.of} active enrolments, {many}{cost.calls} in all"
        case kind:
            one, more = _SUBJECTS[kind]
            each = cost.calls // cost.subjects
            calls = "one call" if each == 1 else f"{each} calls"
            of = f"1 {one}" if cost.subjects == 1 else f"each of {cost.subjects:,} {more}"
            what = f"{many}{calls} for {of}"
    return f"{what}, {_count(cost.per_hour)} an hour"


def _is_paged(plan: Plan) -> bool:
    return plan.poll.call is not None and plan.poll.call.pages is not None


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"


def _minutes(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)
