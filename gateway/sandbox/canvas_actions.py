"""What learners and staff do in Canvas itself: `POST /_control/act/NAME`. Nothing here is an effect.

Ids may be numbers, texts, or foreign keys such as `sis_user_id:rtop-204`. Changes of progress and enrolments
send their live event unless `quiet`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from gateway.sandbox.canvas_allowance import Allowance
from gateway.sandbox.canvas_call import find_course, find_user
from gateway.sandbox.canvas_hooks import Hooks
from gateway.sandbox.canvas_jobs import finish
from gateway.sandbox.canvas_login import Login
from gateway.sandbox.canvas_state import (
    STATES,
    STUDENT,
    Course,
    Enrolment,
    School,
    Section,
    User,
    whole,
)

COURSE_STATES = ("unpublished", "available", "completed", "deleted")
Id = int | str
Row = dict[str, Any]


class Lms(Protocol):
    """What the actions need of the stand-in."""

    school: School
    hooks: Hooks
    allowance: Allowance
    login: Login


class Actions:
    """The actions on whatever the school holds at the moment; each answers what it changed."""

    def __init__(self, lms: Lms, now: Callable[[], datetime]) -> None:
        self._lms, self._now = lms, now

    def table(self) -> dict[str, Callable[..., Any]]:
        return {
            "set_progress": self.set_progress,
            "complete": self.complete,
            "fall_back": self.fall_back,
            "add_requirements": self.add_requirements,
            "set_score": self.set_score,
            "end_enrolment": self.end_enrolment,
            "accept": self.accept,
            "add_learners": self.add_learners,
            "delete_user": self.delete_user,
            "add_course": self.add_course,
            "set_course_state": self.set_course_state,
            "finish_jobs": self.finish_jobs,
            "throttle": self.throttle,
            "end_token": self.end_token,
            "expire_tokens": self.expire_tokens,
            "end_consent": self.end_consent,
        }

    def set_progress(self, *, course_id: Id, user_id: Id, completed: int, quiet: bool = False) -> Row:
        """The first so many requirements are met, and no other; one event about where that leads.

        Fewer than before sends no event, for no requirement was met.
        """
        course, user = self._place(course_id, user_id)
        wanted, done = course.requirements or [], self._school.done.setdefault((course.id, user.id), {})
        if not 0 <= completed <= len(wanted):
            raise ValueError(f"course {course.id} has {len(wanted)} requirements")
        before = len(self._school.met(course, user.id))
        now = self._now()
        kept = {id: done.get(id, now) for id in wanted[:completed]}
        done.clear()
        done.update(kept)
        events = [] if quiet or completed <= before else self._lms.hooks.moved(course, user)
        return {"requirement_count": len(wanted), "requirement_completed_count": completed, "events": events}

    def complete(self, *, course_id: Id, user_id: Id, quiet: bool = False) -> Row:
        """Meet every requirement there is."""
        course, _ = self._place(course_id, user_id)
        count = len(course.requirements or ())
        return self.set_progress(course_id=course_id, user_id=user_id, completed=count, quiet=quiet)

    def fall_back(self, *, course_id: Id, user_id: Id, completed: int = 0) -> Row:
        """Staff reset progress: fewer requirements are met than before."""
        return self.set_progress(course_id=course_id, user_id=user_id, completed=completed, quiet=True)

    def add_requirements(self, *, course_id: Id, count: int = 1) -> Row:
        """A teacher adds requirements: everybody's progress may fall, and completed_at goes."""
        course = self._course(course_id)
        if count < 1:
            raise ValueError("count is 1 or more")
        course.requirements = [*(course.requirements or ()), *(self._school.new_id() for _ in range(count))]
        return {"requirement_count": len(course.requirements)}

    def set_score(self, *, course_id: Id, user_id: Id, score: float | None) -> Row:
        """The course score, 0 to 100, that the enrolment's grades show; null for none."""
        course, user = self._course(course_id), self._user(user_id)
        if score is None:
            self._school.scores.pop((course.id, user.id), None)
        else:
            self._school.scores[course.id, user.id] = float(score)
        return {"final_score": score}

    def end_enrolment(self, *, enrolment_id: Id, state: str = "deleted", quiet: bool = False) -> Row:
        """An administrator puts an enrolment into this state: deleted, completed, inactive, rejected, …"""
        if state not in STATES:
            raise ValueError(f"state is one of {', '.join(STATES)}")
        return self._put(enrolment_id, state, quiet=quiet)

    def accept(self, *, enrolment_id: Id, quiet: bool = False) -> Row:
        """The student accepts the invitation."""
        enrolment = self._enrolment(enrolment_id)
        if enrolment.state not in ("invited", "creation_pending"):
            raise ValueError(f"enrolment {enrolment.id} is {enrolment.state}")
        return self._put(enrolment_id, "active", quiet=quiet)

    def _put(self, enrolment_id: Id, state: str, *, quiet: bool) -> Row:
        enrolment = self._enrolment(enrolment_id)
        enrolment.state, enrolment.updated = state, self._now()
        if not quiet:
            self._lms.hooks.enrolment("enrollment_updated", enrolment)
        return {"id": enrolment.id, "enrollment_state": state}

    def add_learners(self, *, course_id: Id, count: int, prefix: str = "many") -> list[int]:
        """New users, each an active student of the course, without events; the enrolment ids, in order."""
        course = self._course(course_id)
        if not 0 < count <= 100_000:
            raise ValueError("count is 1 to 100000")
        return [self._admit(course, f"{prefix}-{number}") for number in range(count)]

    def _admit(self, course: Course, name: str) -> int:
        school, now = self._school, self._now()
        user = User(
            id=school.new_id(),
            name=name,
            short_name=name,
            sortable_name=name,
            login=name,
            sis_user_id=name,
            created=now,
        )
        role = next(role for role in school.roles.values() if role.label == STUDENT)
        made = Enrolment(
            id=school.new_id(),
            course_id=course.id,
            section_id=course.sections[0].id,
            user_id=user.id,
            type=role.type,
            role=role,
            state="active",
            created=now,
            updated=now,
        )
        school.users[user.id], school.enrolments[made.id] = user, made
        return made.id

    def delete_user(self, *, user_id: Id) -> Row:
        """Delete softly: nothing finds the user any more, and the enrolments are deleted."""
        user = self._user(user_id)
        user.deleted = True
        for enrolment in self._school.enrolments_of(user_id=user.id):
            enrolment.state = "deleted"
        return {"id": user.id}

    def add_course(
        self, *, name: str, code: str = "", state: str = "available", requirements: int | None = 1
    ) -> Row:
        """A new course with one section; `requirements` null for one without modules that have any."""
        school = self._school
        ids = None if requirements is None else [school.new_id() for _ in range(requirements)]
        course = Course(id=school.new_id(), name=name, code=code, requirements=ids)
        course.sections.append(Section(id=school.new_id(), name=name))
        school.courses[course.id] = course
        return self.set_course_state(course_id=course.id, state=state)

    def set_course_state(self, *, course_id: Id, state: str) -> Row:
        """Publish, withdraw, conclude or delete a course."""
        if state not in COURSE_STATES:
            raise ValueError(f"state is one of {', '.join(COURSE_STATES)}")
        course = self._course(course_id)
        course.state = state
        return {"id": course.id, "workflow_state": state}

    def finish_jobs(self) -> int:
        """Do all that is queued; how many jobs."""
        waiting = [job for job in self._school.jobs.values() if job.state == "queued"]
        for job in waiting:
            finish(job)
        return len(waiting)

    def throttle(self, *, times: int = 1) -> int:
        """The next so many requests are refused as if the bucket were empty."""
        if times < 0:
            raise ValueError("times is 0 or more")
        self._lms.allowance.refusals = times
        return times

    def end_token(self) -> None:
        """The hand-made token is good no longer."""
        self._lms.login.end_hand_made()

    def expire_tokens(self) -> None:
        """Every access token got by OAuth is past its hour; refreshes still work."""
        self._lms.login.expire()

    def end_consent(self) -> None:
        """The consent was deleted: no refresh works either."""
        self._lms.login.end_consent()

    @property
    def _school(self) -> School:
        return self._lms.school

    def _course(self, id: Id) -> Course:
        return find_course(self._school, str(id))

    def _user(self, id: Id) -> User:
        return find_user(self._school, str(id))

    def _place(self, course_id: Id, user_id: Id) -> tuple[Course, User]:
        course, user = self._course(course_id), self._user(user_id)
        if course.requirements is None:
            raise ValueError(f"course {course.id} has no modules with requirements")
        if not self._school.student_states(course.id, user.id):
            raise ValueError(f"user {user.id} was never a student of course {course.id}")
        return course, user

    def _enrolment(self, id: Id) -> Enrolment:
        found = self._school.enrolments.get(whole(id))
        if found is None:
            raise ValueError(f"there is no enrolment {id}")
        return found
