"""The enrolments that no poll of a course covers, because their course is not known: read one by one.

See `plans.may_be_courseless` for where there are any.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.progress.asking import Asker, Counts, Job
from gateway.progress.plans import Plan
from gateway.store import courseless


@dataclass(slots=True, kw_only=True)
class CourselessAsker(Asker):
    """Reads them as the mapping's `progress.read` says."""

    async def total(self) -> int:
        return await self._read(lambda conn: courseless.count(conn, self.tenant.name))

    async def jobs(self, after: str, size: int, last_ok_at: float | None) -> tuple[list[Job], bool]:
        found = await self._read(
            lambda conn: courseless.active(conn, self.tenant.name, after_id=after, limit=size + 1)
        )
        return [self._enrolment(each) for each in found[:size]], len(found) > size


def asker_of(plan: Plan, counts: Counts) -> Asker:
    """Who asks the questions of a plan."""
    return CourselessAsker(plan=plan, counts=counts) if plan.courseless else Asker(plan=plan, counts=counts)
