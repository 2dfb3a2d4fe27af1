"""Portal objects as the API writes them: nearly every value a string, dates in the portal's zone and order.

Source: vendors/talentlms.md 1.2 and 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.sandbox.talentlms_state import (
    SECTION,
    Course,
    CustomField,
    Enrolment,
    Event,
    Group,
    Portal,
    Unit,
    UnitResult,
    User,
    percentage,
)
from gateway.sandbox.talentlms_switches import DATE_ORDERS, Switches

HOST = "https://demo.talentlms.com"
NOT_STARTED = UnitResult(status="not_attempted", score="0")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Show:
    """Renders objects of one portal under the switches of the moment."""

    portal: Portal
    switches: Switches

    def date(self, at: datetime | None, clock: str = "%H:%M:%S") -> str:
        if at is None:
            return ""
        return at.astimezone(ZoneInfo(self.switches.zone)).strftime(
            f"{DATE_ORDERS[self.switches.date_format]}, {clock}"
        )

    def stamp(self, at: datetime | None, *, mixed: str | None = None) -> str | None:
        """Unix seconds as text; without a date what the switch says, `mixed` being this place's habit."""
        if at is not None:
            return str(int(at.timestamp()))
        return {"empty": "", "null": None}.get(self.switches.empty_stamp, mixed)

    def word(self, status: str) -> str:
        words = self.switches
        return {
            "not_attempted": words.word_not_started,
            "incomplete": words.word_in_progress,
            "completed": words.word_completed,
            "passed": words.word_passed,
            "not_passed": words.word_not_passed,
        }[status]

    def user(self, user: User) -> Record:
        """A user without lists: the items of `users`, the answers of usersignup and edituser."""
        record = {
            "id": str(user.id),
            "login": user.login,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "email": user.email,
            "restrict_email": _flag(user.restrict_email),
            "user_type": user.user_type,
            "timezone": user.timezone,
            "language": user.language,
            "status": "active" if user.active else "inactive",
            "deactivation_date": user.deactivation_date,
            "level": "1",
            "points": "0",
            "created_on": self.date(user.created),
            "last_updated": self.date(user.updated),
            "last_updated_timestamp": str(int(user.updated.timestamp())),
            "avatar": f"{HOST}/pages/images/unknown_users.png",
            "bio": user.bio,
            "login_key": f"{HOST}/index/autologin/key:made-up-{user.id}",
        }
        return record | ({"credits": "0"} if self.switches.credits_present else {})

    def full_user(self, user: User) -> Record:
        enrolments = self.portal.enrolments_of(user)
        groups = [group for group in self.portal.groups.values() if user.id in group.member_ids]
        return {
            **self.user(user),
            "courses": [self._course_of_user(user, course, enrolment) for course, enrolment in enrolments],
            "branches": [],
            "groups": [{"id": str(group.id), "name": group.name} for group in groups],
            "certifications": [
                self._certification(course, enrolment.certificate)
                for course, enrolment in enrolments
                if enrolment.certificate
            ],
            "badges": [],
            **{field.key: user.custom_fields.get(field.key, "") for field in self.portal.custom_fields},
        }

    def _course_of_user(self, user: User, course: Course, enrolment: Enrolment) -> Record:
        coded = course.code and self.switches.course_code_in_name
        status = raw_status(course, enrolment)
        formatted = {"completion_status_formatted": self.word(status)}
        return {
            "id": str(course.id),
            "name": f"{course.name} ({course.code})" if coded else course.name,
            "role": enrolment.role,
            **self._enrolled(enrolment),
            **self._completed(enrolment.completed),
            "completion_status": status,
            **(formatted if self.switches.formatted_status_present else {}),
            "completion_percentage": percentage(course, enrolment),
            **self._expired(enrolment),
            **_time(_seconds(enrolment)),
            "last_accessed_unit_url": (
                f"{HOST}/course/lastaccessedunit/course_id:{course.id},user_id:{user.id}"
            ),
        }

    def _enrolled(self, enrolment: Enrolment) -> Record:
        return {
            "enrolled_on": self.date(enrolment.enrolled),
            "enrolled_on_timestamp": self.stamp(enrolment.enrolled),
        }

    def _completed(self, at: datetime | None, mixed: str | None = None) -> Record:
        return {"completed_on": self.date(at), "completed_on_timestamp": self.stamp(at, mixed=mixed)}

    def _expired(self, enrolment: Enrolment, mixed: str | None = None) -> Record:
        return {
            "expired_on": self.date(enrolment.expired),
            "expired_on_timestamp": self.stamp(enrolment.expired, mixed=mixed),
        }

    def _certification(self, course: Course, issued: datetime) -> Record:
        return {
            "course_id": str(course.id),
            "course_name": course.name,
            "unique_id": f"made-up-{course.id}",
            "issued_date": self.date(issued).partition(",")[0],
            "issued_date_timestamp": int(issued.timestamp()),
            "expiration_date": "Never",
            "expiration_date_timestamp": 0,
            "download_url": f"{HOST}/user/downloadcertificate/id:{course.id}",
            "public_url": f"{HOST}/share/certificate/{course.id}",
        }

    def course(self, course: Course) -> Record:
        """A course without lists: the items of `courses`."""
        return {
            "id": str(course.id),
            "name": course.name,
            "code": course.code,
            "category_id": None,
            "description": course.description,
            "price": "$0",
            "status": "active" if course.active else "inactive",
            "creation_date": self.date(course.created),
            "last_update_on": self.date(course.created),
            "creator_id": str(course.creator_id),
            "hide_from_catalog": "0",
            "time_limit": "0",
            "start_datetime": None,
            "expiration_datetime": None,
            "level": None,
            "shared": "0",
            "shared_url": "",
            "avatar": f"{HOST}/pages/images/unknown_small.png",
            "big_avatar": f"{HOST}/pages/images/unknown_big.png",
            "certification": None,
            "certification_duration": None,
        }

    def full_course(self, course: Course) -> Record:
        return {
            **self.course(course),
            "users": [self._user_of_course(course, *pair) for pair in self.portal.enrolments_in(course)],
            "units": [_unit(unit) for unit in course.units],
            "rules": ["You must complete all content"],
            "prerequisites": [],
            "prerequisite_rule_sets": [],
        }

    def _user_of_course(self, course: Course, user: User, enrolment: Enrolment) -> Record:
        return {
            "id": str(user.id),
            "name": _short_name(user),
            "role": enrolment.role,
            **self._enrolled(enrolment),
            **self._completed(enrolment.completed, mixed=""),
            "completion_percentage": percentage(course, enrolment),
            **self._expired(enrolment, mixed=""),
            **_time(_seconds(enrolment)),
        }

    def status(self, course: Course, enrolment: Enrolment) -> Record:
        """getuserstatusincourse: display words, and neither user nor course id."""
        return {
            "role": enrolment.role,
            **self._enrolled(enrolment),
            "completion_status": self.word(raw_status(course, enrolment)),
            "completion_percentage": percentage(course, enrolment),
            **self._completed(enrolment.completed),
            **self._expired(enrolment),
            **_time(_seconds(enrolment)),
            "units": [self._unit_status(unit, enrolment) for unit in course.counted_units()],
        }

    def _unit_status(self, unit: Unit, enrolment: Enrolment) -> Record:
        result = enrolment.results.get(unit.id, NOT_STARTED)
        return {
            "id": str(unit.id),
            "name": unit.name,
            "type": unit.type,
            "completion_status": self.word(result.status),
            **self._completed(result.at),
            "score": result.score,
            **_time(result.seconds),
        }

    def unit_progress(self, unit: Unit, user: User, enrolment: Enrolment) -> Record:
        result = enrolment.results.get(unit.id, NOT_STARTED)
        return {"user_id": str(user.id), "status": self.word(result.status), "score": result.score}

    def group(self, group: Group) -> Record:
        return {
            "id": str(group.id),
            "name": group.name,
            "description": "",
            "key": group.key,
            "price": "$0",
            "owner_id": "1",
            "belongs_to_branch": None,
            "max_redemptions": str(group.max_redemptions) if group.max_redemptions else None,
            "redemptions_sofar": str(group.redemptions),
        }

    def custom_field(self, field: CustomField, order: int) -> Record:
        return {
            "key": field.key,
            "type": field.type,
            "name": field.name,
            "mandatory": "yes" if field.key in self.switches.mandatory_fields else "no",
            "visible_on_reports": "yes",
            "dropdown_values": field.values,
            "checkbox_status": "off",
            "selective_availability": "no",
            "branch": None,
            "main_domain_availability": None,
            "previous_key": None,
            "order": str(order),
        }

    def event(self, event: Event) -> Record:
        user = self.portal.users[event.user_id]
        return {
            "action": event.action,
            "message": event.message,
            "timestamp": self.date(event.at),
            "unix_timestamp": str(int(event.at.timestamp())),
            "user_id": str(user.id),
            "user_username": user.login,
            "user_email": user.email,
            "user_fullname": _short_name(user),
            "object_id": str(event.object_id),
            "object_name": event.object_name,
            "event_counter": "1",
        }


def raw_status(course: Course, enrolment: Enrolment) -> str:
    if enrolment.completed:
        return "completed"
    return "not_attempted" if not enrolment.results and percentage(course, enrolment) == "0" else "incomplete"


def members(users: Sequence[User]) -> list[Record]:
    return [{"id": str(user.id), "name": _short_name(user)} for user in users]


def _unit(unit: Unit) -> Record:
    record: Record = {"id": str(unit.id), "type": unit.type, "name": unit.name}
    if unit.type == SECTION:
        return record | {
            "delay_time": "60",
            "aggregated_delay_time": "60",
            "formatted_aggregated_delay_time": "1h",
        }
    return record | {"url": f"demo.talentlms.com/unit/apiview/id:{unit.id}"}


def _short_name(user: User) -> str:
    return f"{user.first_name[:1]}. {user.last_name}"


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _seconds(enrolment: Enrolment) -> int:
    return sum(result.seconds for result in enrolment.results.values())


def _time(seconds: int) -> Record:
    """total_time is null when there is none, total_time_seconds one of the few JSON numbers."""
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    parts = [f"{hours}h"] * (hours > 0) + [f"{minutes}m"] * (hours + minutes > 0) + [f"{seconds % 60}s"]
    return {"total_time": " ".join(parts) if seconds else None, "total_time_seconds": seconds}
