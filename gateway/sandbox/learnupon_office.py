"""What administrators do in the portal with people, courses and sessions: `POST /_control/act/NAME`.

None of it counts as an effect of an API call. Ids may be numbers or numeric strings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from gateway.sandbox.hooked_actions import aware
from gateway.sandbox.learnupon_actions import Id, Lms
from gateway.sandbox.learnupon_show import Show
from gateway.sandbox.learnupon_state import LIVE, Course, Module, Session, User, number

Learners = Literal["stay", "move", "new_record"]
Status = Literal["published", "draft"]


class OfficeActions:
    """Each answers what it changed."""

    def __init__(self, lms: Lms, now: Callable[[], datetime]) -> None:
        self._lms = lms
        self._now = now

    def table(self) -> dict[str, Callable[..., Any]]:
        return {
            "invite": self.invite,
            "accept_invite": self.accept_invite,
            "set_enabled": self.set_enabled,
            "delete_user": self.delete_user,
            "add_course": self.add_course,
            "add_module": self.add_module,
            "new_version": self.new_version,
            "refresh_counters": self.refresh_counters,
            "add_session": self.add_session,
            "set_taken": self.set_taken,
            "drop_session": self.drop_session,
        }

    def invite(self, *, email: str, first_name: str = "", last_name: str = "") -> dict[str, int]:
        """Somebody who cannot be found or enrolled until the invitation is accepted."""
        now, id = self._now(), self._lms.portal.new_id("user")
        user = User(id=id, email=email, first_name=first_name, last_name=last_name, created=now, updated=now)
        user.pending = True
        self._lms.portal.users[id] = user
        return {"user_id": id}

    def accept_invite(self, *, email: str) -> dict[str, int]:
        for user in self._lms.portal.users.values():
            if user.pending and user.email == email:
                user.pending, user.updated = False, self._now()
                return {"user_id": user.id}
        raise ValueError(f"nobody was invited as {email}")

    def set_enabled(self, *, user_id: Id, enabled: bool) -> dict[str, Any]:
        user = self._lms.portal.user(number(user_id))
        user.enabled, user.updated = enabled, self._now()
        return self._show().user(user)

    def delete_user(self, *, user_id: Id) -> dict[str, int]:
        """The user is gone, and every record with them."""
        portal = self._lms.portal
        user = portal.user(number(user_id))
        kept = {id: each for id, each in portal.enrolments.items() if each.user_id != user.id}
        gone = portal.enrolments.keys() - kept.keys()
        removed = {id: each for id, each in portal.removed.items() if each.user_id != user.id}
        known = kept.keys() | removed.keys()
        portal.enrolments, portal.removed = kept, removed
        portal.marks = {id: each for id, each in portal.marks.items() if each.enrolment_id in known}
        portal.memberships = {id: m for id, m in portal.memberships.items() if m.user_id != user.id}
        del portal.users[user.id]
        return {"user_id": user.id, "enrolments": len(gone)}

    def add_course(
        self,
        *,
        name: str,
        code: str = "",
        status: Status = "published",
        modules: Sequence[str] = ("Start here",),
    ) -> dict[str, Any]:
        """A new course with modules of these titles, published or draft."""
        _one_of("status", status, get_args(Status))
        portal, now = self._lms.portal, self._now()
        id = portal.new_id("course")
        made = Course(id=id, name=name, code=code, source=id, status=status, created=now)
        made.modules = [
            Module(id=portal.new_id("module"), title=each, type="page", created=now) for each in modules
        ]
        portal.courses[id] = made
        return {"course_id": id, "module_ids": [each.id for each in made.modules]}

    def add_module(self, *, course_id: Id, title: str, type: str = "page") -> dict[str, int]:
        """Add content to a course; the percentage of its learners falls. A live one has no session yet."""
        portal = self._lms.portal
        course, id = portal.course(number(course_id)), portal.new_id("module")
        training = portal.new_id("training") if type == LIVE else None
        course.modules.append(Module(id=id, title=title, type=type, created=self._now(), training=training))
        return {"module_id": id}

    def new_version(self, *, course_id: Id, learners: Learners = "stay") -> dict[str, Any]:
        """Publish the next version, with an id of its own and the same source.

        Active learners stay in the old one, are moved (the record's course_id changes), or are unenrolled
        there and get a new record [I: either].
        """
        _one_of("learners", learners, get_args(Learners))
        portal, old = self._lms.portal, self._lms.portal.course(number(course_id))
        if old.status != "published":
            raise ValueError(f"course {old.id} is {old.status}")
        made = replace(
            old,
            id=portal.new_id("course"),
            version=old.version + 1,
            created=self._now(),
            modules=list(old.modules),
        )
        old.status, made.counted = "superseded", 0
        portal.courses[made.id] = made
        active = [each for each in portal.enrolments.values() if each.active and each.course_id == old.id]
        for each in active if learners != "stay" else ():
            if learners == "move":
                each.course_id, each.updated = made.id, self._now()
            else:
                portal.unenrol(each, self._now())
                portal.enrol(each.user_id, made.id, self._now())
        return self._show().course(made)

    def refresh_counters(self) -> dict[str, int]:
        """`num_enrolled` catches up."""
        show = self._show()
        for course in self._lms.portal.courses.values():
            course.counted = show.enrolled_now(course)
        return {str(course.id): course.counted for course in self._lms.portal.courses.values()}

    def add_session(
        self, *, module_id: Id, starts: str, seats: int | None = None, hours: int = 4
    ) -> dict[str, int]:
        """One more session of an ILT Center module, from an ISO time with its zone; no `seats`: no limit."""
        module = self._live_module(module_id)
        if module.training is None:
            raise ValueError(f"module {module.id} is a legacy one, which has one session only")
        at, id = aware(starts), self._lms.portal.new_id("session")
        module.sessions.append(
            Session(id=id, starts=at, ends=at + timedelta(hours=hours), created=self._now(), seats=seats)
        )
        return {"session_id": id}

    def _live_module(self, id: Id) -> Module:
        for module in self._lms.portal.modules():
            if module.type == LIVE and module.id == number(id):
                return module
        raise ValueError(f"there is no live module {id}")

    def set_taken(self, *, session_id: Id, taken: int) -> dict[str, Any]:
        """So many seats of a session are taken."""
        _, session = self._session(session_id)
        session.taken = taken
        return {"session_id": session.id, "full": session.full}

    def drop_session(self, *, session_id: Id) -> dict[str, int]:
        """A session is deleted: its row is gone."""
        module, session = self._session(session_id)
        module.sessions.remove(session)
        return {"session_id": session.id}

    def _session(self, id: Id) -> tuple[Module, Session]:
        for module, session in self._lms.portal.sessions():
            if session.id == number(id):
                return module, session
        raise ValueError(f"there is no session {id}")

    def _show(self) -> Show:
        return Show(self._lms.portal, self._lms.switches)


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is one of {', '.join(map(str, allowed))}")
