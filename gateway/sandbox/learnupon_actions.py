"""What learners do, and staff with their enrolments, in the portal itself: `POST /_control/act/NAME`.

None of it counts as an effect of an API call. Completions send their webhooks unless `quiet`. Ids may be
numbers or numeric strings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from gateway.sandbox.hooked_actions import aware
from gateway.sandbox.learnupon_hooks import Hooks
from gateway.sandbox.learnupon_marks import mark
from gateway.sandbox.learnupon_seed import ADMIN
from gateway.sandbox.learnupon_show import Show
from gateway.sandbox.learnupon_state import (
    DONE,
    FINISHED,
    STATUSES,
    Enrolment,
    Module,
    ModuleState,
    Portal,
    User,
    number,
)
from gateway.sandbox.learnupon_switches import Switches

MAX_LEARNERS = 100_000
Id = int | str


class Lms(Protocol):
    """What the actions need of the stand-in."""

    portal: Portal
    switches: Switches
    hooks: Hooks


class LearnerActions:
    """Each answers the enrolment as the API would show it."""

    def __init__(self, lms: Lms, now: Callable[[], datetime]) -> None:
        self._lms = lms
        self._now = now

    def table(self) -> dict[str, Callable[..., Any]]:
        return {
            "set_progress": self.set_progress,
            "complete_module": self.complete_module,
            "complete": self.complete,
            "mark_complete": self.mark_complete,
            "relaunch": self.relaunch,
            "reset_progress": self.reset_progress,
            "unenrol": self.unenrol,
            "remove": self.remove,
            "re_enrol": self.re_enrol,
            "bulk_enrol": self.bulk_enrol,
            "add_learners": self.add_learners,
        }

    def set_progress(
        self, *, enrolment_id: Id, percent: Any, status: str = "in_progress", score: Any = None
    ) -> dict[str, Any]:
        """Show this percentage_complete, anything or null, and any status; sends nothing.

        A lower percentage is a fall. `score` is the vendor's `percentage`.
        """
        found, now = self._enrolment(enrolment_id), self._now()
        found.status, found.score = status, score
        found.percent_from, found.percent = "given", percent
        found.started, found.accessed, found.updated = found.started or now, now, now
        found.completed = (found.completed or now) if found.finished else None
        return self._shown(found)

    def complete_module(
        self,
        *,
        enrolment_id: Id,
        module_id: Id,
        status: str = "completed",
        score: float | None = None,
        at: str | None = None,
        quiet: bool = False,
    ) -> dict[str, Any]:
        """A result in one module: module_complete is sent, exam_completion for an exam.

        `at` is an ISO time with its zone. Completes the course when every module of it is done; a module
        that is failed, pending_review or in_progress is not.
        """
        found, module = self._enrolment(enrolment_id), self._module(enrolment_id, module_id)
        when = self._now() if at is None else aware(at)
        if status not in STATUSES or status == "not_started":
            raise ValueError(f"status is one of {', '.join(STATUSES[1:])}")
        ended = when if status in FINISHED else None
        found.module_states[module.id] = ModuleState(
            status=status, started=when, completed=ended, score=score
        )
        found.started, found.accessed, found.updated = found.started or when, when, self._now()
        found.status = "in_progress" if found.status == "not_started" else found.status
        found.percent_from = "modules"
        if not quiet and ended is not None:
            self._lms.hooks.tell("module_complete", found, module)
            if module.type == "exam":
                self._lms.hooks.tell("exam_completion", found, module)
        if found.active and self._all_done(found):
            return self.complete(enrolment_id=enrolment_id, at=at, quiet=quiet)
        return self._shown(found)

    def _all_done(self, found: Enrolment) -> bool:
        states = [
            found.module_states.get(each.id) for each in self._lms.portal.courses[found.course_id].modules
        ]
        return all(state is not None and state.status in DONE for state in states)

    def complete(
        self,
        *,
        enrolment_id: Id,
        status: str = "completed",
        score: float | None = None,
        at: str | None = None,
        quiet: bool = False,
    ) -> dict[str, Any]:
        """The learner comes to the end, at an ISO time with its zone or now: any status but the first two.

        Sends course_completion, for failed too; pending_review has no date yet and sends nothing.
        """
        found = self._enrolment(enrolment_id)
        if status not in STATUSES[2:]:
            raise ValueError(f"status is one of {', '.join(STATUSES[2:])}")
        when = self._now() if at is None else aware(at)
        found.status, found.score = status, score
        found.percent_from, found.percent = "given", 100
        found.started, found.accessed, found.updated = found.started or when, when, self._now()
        found.completed = when if found.finished else None
        if found.finished and not quiet:
            self._lms.hooks.tell("course_completion", found)
        return self._shown(found)

    def mark_complete(
        self, *, enrolment_id: Id, status: str = "completed", percentage: float | None = None
    ) -> dict[str, Any]:
        """An administrator sets a result in the portal: percentage_complete becomes null."""
        found = self._enrolment(enrolment_id)
        given = {"status": status, "percentage": percentage}
        mark(self._lms.portal, found, given, self._now(), by=ADMIN)
        if self._lms.switches.hook_on_mark_complete:
            self._lms.hooks.tell("course_completion", found)
        return self._shown(found)

    def relaunch(self, *, enrolment_id: Id) -> dict[str, Any]:
        """The learner opens a completed course again: in_progress, no completion date; the modules count."""
        found = self._enrolment(enrolment_id)
        found.status, found.completed = "in_progress", None
        if found.percent_from == "given":
            found.percent_from = "modules"
        found.started, found.accessed, found.updated = found.started or self._now(), self._now(), self._now()
        return self._shown(found)

    def reset_progress(self, *, enrolment_id: Id) -> dict[str, Any]:
        """Start again: not_started, nothing done."""
        found = self._enrolment(enrolment_id)
        found.status, found.score, found.percent_from = "not_started", None, "modules"
        found.started = found.accessed = found.completed = None
        found.module_states.clear()
        found.updated = self._now()
        return self._shown(found)

    def unenrol(self, *, enrolment_id: Id) -> dict[str, Any]:
        """An administrator takes the learner out; the record stays and says so."""
        found = self._enrolment(enrolment_id)
        self._lms.portal.unenrol(found, self._now())
        return self._shown(found)

    def remove(self, *, enrolment_id: Id) -> dict[str, Any]:
        """An administrator erases the record with its history."""
        found = self._enrolment(enrolment_id)
        self._lms.portal.remove(found)
        self._lms.portal.note_end(found, self._now())
        return self._shown(found)

    def re_enrol(
        self, *, enrolment_id: Id, recertified: bool = False, unenrol_old: bool = False
    ) -> dict[str, Any]:
        """A further record of the same learner and course, by an administrator or for recertification."""
        found = self._enrolment(enrolment_id)
        if unenrol_old:
            self._lms.portal.unenrol(found, self._now())
        made = self._lms.portal.enrol(found.user_id, found.course_id, self._now())
        made.recertified = recertified
        return self._shown(made)

    def bulk_enrol(self, *, course_id: Id, user_ids: Sequence[Id]) -> list[int]:
        """Records made in bulk, which have percentage_complete null; their ids, in order."""
        course = self._lms.portal.course(number(course_id))
        users = [self._lms.portal.user(number(each)) for each in user_ids]
        made = [self._lms.portal.enrol(user.id, course.id, self._now()) for user in users]
        for each in made:
            each.percent_from = "nothing"
        return [each.id for each in made]

    def add_learners(self, *, course_id: Id, count: int, prefix: str = "many") -> list[int]:
        """New users, known by username only, each enrolled in the course; the enrolment ids, in order."""
        portal, now = self._lms.portal, self._now()
        course = portal.course(number(course_id))
        if not 0 < count <= MAX_LEARNERS:
            raise ValueError(f"count is 1 to {MAX_LEARNERS}")
        ids: list[int] = []
        for place in range(count):
            user = User(
                id=portal.new_id("user"),
                username=f"{prefix}-{place}",
                first_name="N",
                last_name="N",
                created=now,
                updated=now,
            )
            portal.users[user.id] = user
            ids.append(portal.enrol(user.id, course.id, now).id)
        return ids

    def _enrolment(self, id: Id) -> Enrolment:
        return self._lms.portal.enrolment(number(id))

    def _module(self, enrolment_id: Id, module_id: Id) -> Module:
        course = self._lms.portal.courses[self._enrolment(enrolment_id).course_id]
        for module in course.modules:
            if module.id == number(module_id):
                return module
        raise ValueError(f"course {course.id} has no module {module_id}")

    def _shown(self, enrolment: Enrolment) -> dict[str, Any]:
        return Show(self._lms.portal, self._lms.switches).enrolment(enrolment)
