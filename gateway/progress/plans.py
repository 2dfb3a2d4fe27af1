"""The polls of a tenant as plans: what is asked, when, and how far one has come."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from math import ceil, floor
from typing import Any

from gateway.contract import Operation
from gateway.mapping.progress_spec import Poll, Timing
from gateway.mapping.spec import OperationSpec
from gateway.perform.tenant import Tenant
from gateway.progress.timing import Override, Rhythm


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One poll of one tenant, or (`audit_s` says how far back it looks) the audit beside it.

    `courseless`: it reads the enrolments that the poll of each course beside it cannot know of.
    """

    tenant: Tenant
    name: str
    poll: Poll
    rhythm: Rhythm
    audit_s: float | None = None
    courseless: bool = False

    def window(self, now: float, last_ok_at: float | None) -> dict[str, int]:
        """The time a delta list is to cover, in whole seconds.

        From the last success less the overlap; the whole `first` for a first run, and after an outage that
        was longer. An audit always looks equally far back.
        """
        assert self.poll.window is not None
        if self.audit_s is not None:
            reach = self.audit_s
        elif last_ok_at is None or now - last_ok_at > self.poll.window.first_s:
            reach = self.poll.window.first_s
        else:
            reach = now - last_ok_at + self.poll.window.overlap_s
        return {"from": floor(now - reach), "to": ceil(now)}


def plans_of(tenant: Tenant, override: Override) -> list[Plan]:
    """A tenant's plans; the names are stable over restarts."""
    plans: list[Plan] = []
    polls = tenant.mapping.progress.polls if tenant.mapping.progress is not None else ()
    for poll in polls:
        rhythm = _rhythm(tenant, poll.name, override.of_poll(poll.timing))
        plans.append(Plan(tenant=tenant, name=poll.name, poll=poll, rhythm=rhythm))
        if poll.audit is not None:
            name = f"{poll.name}.audit"
            rhythm = _rhythm(tenant, name, override.of_audit(poll.audit.timing))
            far = poll.audit.overlap_s
            plans.append(Plan(tenant=tenant, name=name, poll=poll, rhythm=rhythm, audit_s=far))
    if polls and all(poll.plan == "per-course" for poll in polls) and may_be_courseless(tenant):
        plans.append(_beside(tenant, polls[0], override))
    return plans


def may_be_courseless(tenant: Tenant) -> bool:
    """Whether an enrolment may be adopted without its course: the key, all that an id holds, has none."""
    return tenant.can_read and _keeps_no_course(tenant.mapping.operations[Operation.CREATE_ENROLMENT])


def _keeps_no_course(form: OperationSpec) -> bool:
    if form.kind == "choose":
        return any(_keeps_no_course(each) for each in form.of.values())
    return bool(form.key) and form.course_field not in form.key


def _beside(tenant: Tenant, poll: Poll, override: Override) -> Plan:
    """The plan that reads one by one, as often as the poll asks, whom that cannot cover."""
    name = f"{poll.name}.courseless"
    rhythm = _rhythm(tenant, name, override.of_poll(poll.timing))
    single = replace(poll, plan="per-enrolment", call=None, audit=None)
    return Plan(tenant=tenant, name=name, poll=single, rhythm=rhythm, courseless=True)


def _rhythm(tenant: Tenant, name: str, timing: Timing) -> Rhythm:
    return Rhythm(timing=timing, key=f"{tenant.name}/{name}", zone=tenant.spec.zone)


@dataclass(slots=True, kw_only=True)
class Cursor:
    """How far a plan has come, kept in the store between its slices.

    `due`: when the sweep goes on, or the next one begins. `after`: the last course or enrolment done, None
    between sweeps. `done` of `total` calls (0 when not counted) are made, `failed` of them in vain.
    `units`: enrolments that have moved on, and whose unit results are still to be read.
    """

    plan: str
    due: float
    after: str | None = None
    done: int = 0
    total: int = 0
    failed: int = 0
    units: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, kept: Any, plan: str, due: float) -> Cursor:
        """The one that was kept; a new one when there is none, or the mapping's plan is another now."""
        if not isinstance(kept, dict) or kept.get("plan") != plan:
            return cls(plan=plan, due=due)
        try:
            return cls(**kept)
        except TypeError:  # another version of the gateway kept it
            return cls(plan=plan, due=due)

    def begin(self, total: int) -> None:
        self.after, self.done, self.total, self.failed = "", 0, total, 0

    def end(self, due: float) -> None:
        self.after, self.due = None, due

    def data(self) -> dict[str, Any] | None:
        """What to keep; nothing between sweeps, unless units are waiting."""
        return None if self.after is None and not self.units else asdict(self)
