"""Portal objects as the API writes them: snake_case, ids as numbers, date-times in UTC.

Source: vendors/learnupon.md 1, 3 and 4.3. Shapes of portals, groups, marks, live sessions and audit
trails are not in the sheet and made up [U].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.sandbox.learnupon_state import (
    DONE,
    Course,
    Enrolment,
    Group,
    Mark,
    Module,
    Portal,
    Session,
    Unenrolment,
    User,
)
from gateway.sandbox.learnupon_switches import Switches

CUSTOM_FIELDS = [
    {"id": 301, "label": "USI", "type_id": "string"},
    {"id": 302, "label": "Campus", "type_id": "select"},
]
PUBLISHED_WORDS = {"draft": 1, "published": 2, "superseded": 3}

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Show:
    """Renders objects of one portal under the switches of the moment."""

    portal: Portal
    switches: Switches

    def user(self, user: User, version: str = "") -> Record:
        """A user; `version` 1.1 adds updated_at, 1.2 timezone_id as well."""
        record: Record = {
            "id": user.id,
            "email": user.email,
            "username": user.username,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "user_type": user.user_type,
            "language": user.language,
            "enabled": user.enabled,
            "created_at": utc(user.created),
            "CustomData": dict(user.custom_data),
        }
        if version in ("1.1", "1.2"):
            record["updated_at"] = utc(user.updated)
        if version == "1.2":
            record["timezone_id"] = "Perth"
        return record

    def course(self, course: Course) -> Record:
        lag = self.switches.counters_lag
        return {
            "id": course.id,
            "name": course.name,
            "version": course.version,
            "source_id": self.source(course),
            "created_at": utc(course.created),
            "date_published": None if course.status == "draft" else utc(course.created),
            "reference_code": course.code or None,
            "published_status_id": PUBLISHED_WORDS[course.status]
            if self.switches.status_as_number
            else course.status,
            "num_enrolled": course.counted if lag else self.enrolled_now(course),
            "number_of_modules": len(course.modules),
            "price": None,
            "description_text": "",
            "credits_to_be_awarded": [],
            "owner_id": 5500,
            "sellable": False,
        }

    def source(self, course: Course) -> int | None:
        once = course.version == 1 and course.source == course.id
        return None if once and not self.switches.first_version_has_source else course.source

    def enrolled_now(self, course: Course) -> int:
        return sum(
            each.course_id == course.id and not each.unenrolled for each in self.portal.enrolments.values()
        )

    def enrolment(self, enrolment: Enrolment, *, searched: bool = False) -> Record:
        """A record as searches and single reads show it; `modules` as switched."""
        user, course = self.portal.users[enrolment.user_id], self.portal.courses[enrolment.course_id]
        record: Record = {
            "id": enrolment.id,
            "user_id": user.id,
            "course_id": course.id,
            "course_source_id": self.source(course),
            "version": course.version,
            "course_name": course.name,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "email": user.email,
            "username": user.username,
            "status": enrolment.status,
            "percentage": enrolment.score,
            "percentage_complete": self.percent_complete(enrolment),
            "date_enrolled": utc(enrolment.enrolled),
            "date_started": utc(enrolment.started),
            "date_lastaccessed": utc(enrolment.accessed),
            "date_completed": utc(enrolment.completed),
            "due_date": enrolment.due,
            "calculated_due_date": enrolment.due,
            "course_access_expires_at": enrolment.access_ends,
            "certificate_name": enrolment.certificate,
            "cert_expires_at": None,
            "was_recertified": enrolment.recertified,
            "unenrolled": enrolment.unenrolled or enrolment.id in self.portal.removed,
            "from_store": False,
            "from_catalog": False,
            "group_id": enrolment.group_id,
            "is_overdue": False,
            "updated_at": utc(enrolment.updated),
        }
        shown = self.switches.modules_shown
        if shown == "always" or (shown == "one" and not searched):
            record["modules"] = self.module_states(enrolment)
        return record

    def percent_complete(self, enrolment: Enrolment) -> Any:
        """The share of modules done, of distinct ones; null where the portal shows none."""
        if self.switches.percent_null or enrolment.percent_from == "nothing":
            return None
        if enrolment.percent_from == "given":
            return enrolment.percent
        if enrolment.status in DONE:
            return 100
        modules = self.portal.courses[enrolment.course_id].modules
        states = [enrolment.module_states.get(module.id) for module in modules]
        share = 100 * sum(each is not None and each.status in DONE for each in states) / max(len(modules), 1)
        return int(share) if share == int(share) else round(share, 1)

    def module_states(self, enrolment: Enrolment) -> list[Record]:
        per_session = self.switches.rows_per_session
        rows: list[Record] = []
        for place, module in enumerate(self.portal.courses[enrolment.course_id].modules, 1):
            rows += [_state(enrolment, module, place)] * (len(module.sessions) or 1 if per_session else 1)
        return rows

    def mark(self, mark: Mark) -> Record:
        enrolment = self.portal.enrolments.get(mark.enrolment_id) or self.portal.removed[mark.enrolment_id]
        return {
            "id": mark.id,
            "enrollment_id": mark.enrolment_id,
            "course_id": enrolment.course_id,
            "learner_id": enrolment.user_id,
            "status": mark.status,
            "percentage": mark.percentage,
            "date_completed": utc(mark.completed),
            "notes": mark.notes,
            "action_source_type": "API" if mark.by is None else "UI",
            "user_id": mark.by,
            "created_at": utc(mark.created),
        }

    def group(self, group: Group) -> Record:
        members = sum(each.group_id == group.id for each in self.portal.memberships.values())
        return {
            "id": group.id,
            "title": group.title,
            "description": group.description,
            "number_of_members": members,
            "created_at": utc(group.created),
        }


def _state(enrolment: Enrolment, module: Module, place: int) -> Record:
    state = enrolment.module_states.get(module.id)
    return {
        "id": module.id,
        "title": module.title,
        "sequence": place,
        "status": "not_started" if state is None else state.status,
        "date_started": None if state is None else utc(state.started),
        "date_completed": None if state is None else utc(state.completed),
        "date_lastaccessed": None if state is None else utc(state.completed or state.started),
    }


def live_session(module: Module, session: Session, course_ids: Sequence[int]) -> Record:
    """A session as the search for sessions shows it."""
    return {
        "id": session.id,
        "session_id": session.id,
        "training_id": module.training,
        "module_id": module.id,
        "course_ids": list(course_ids),
        "title": module.title,
        "start_at": utc(session.starts),
        "end_at": utc(session.ends),
        "timezone": session.timezone,
        "max_capacity": session.seats,
        "number_enrolled": session.taken,
    }


def unenrolment(line: Unenrolment) -> Record:
    return {
        "id": line.id,
        "action": 2,
        "created_at": utc(line.at),
        "enrollment_id": line.enrolment_id,
        "user_id": line.user_id,
        "course_id": line.course_id,
    }


def utc(at: datetime | None) -> str | None:
    """`2026-03-02T01:16:00Z`"""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
