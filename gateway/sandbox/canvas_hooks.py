"""Live events of a data stream over HTTPS: the body of each delivery is a signed token, one event in each.

Ids in `metadata` are global, those in `body` local, all of them texts. Source: vendors/canvas.md 3.5 and 5.9;
bodies of other events than course_progress and course_completed are inferred.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.sandbox.canvas_keys import Keys
from gateway.sandbox.canvas_show import Show
from gateway.sandbox.canvas_state import ROOT_ACCOUNT, Course, Enrolment, School, User, globally
from gateway.sandbox.canvas_switches import CHOICES, Switches
from gateway.sandbox.canvas_wire import iso
from gateway.sandbox.hooked_proof import Parcel
from gateway.sandbox.hooked_sender import Event, Postman

SITE = "https://sandbox.canvas.example"
ROOT_UUID = "vR3kq0sandboxRootAccountUuid"
MAX_EVENTS = 100_000
LATE_S = 86_400


class Mail:
    """One event a request, signed anew at each attempt."""

    def __init__(self, switches: Callable[[], Switches], keys: Keys) -> None:
        self._switches, self._keys = switches, keys

    def batches(self, events: Sequence[Event]) -> list[Sequence[Event]]:
        return [[event] for event in events]

    def message(self, number: int) -> str:
        return f"delivery-{number}"

    def parcel(self, events: Sequence[Event], message: str, attempt: int, now: float) -> Parcel:
        switches, (event,) = self._switches(), events
        at = int(now + switches.hook_clock_skew_s) - (LATE_S if event["expired"] else 0)
        inner = {"metadata": event["metadata"], "body": event["body"]}
        claims = {"data": inner} if switches.hook_layout == "data" else inner
        if switches.hook_life_s:
            claims = {**claims, "iat": at, "exp": at + switches.hook_life_s}
        forgery = event["forgery"] or switches.hook_forgery
        token = self._keys.token(claims, forgery=forgery, older=switches.hook_older_key)
        headers = (("Content-Type", switches.hook_content_type),)
        return Parcel(url=switches.hook_url, headers=headers, body=token.encode())


class Hooks:
    """The data stream. `idle()` waits until every event is on its way or lost."""

    def __init__(
        self,
        switches: Callable[[], Switches],
        school: Callable[[], School],
        now: Callable[[], datetime],
        keys: Keys,
    ) -> None:
        self._switches, self._school, self._now = switches, school, now
        self.keys = keys
        self.postman = Postman(switches, Mail(switches, self.keys), lambda: now().timestamp())
        self.events: dict[str, Event] = {}
        self._numbers = 0
        self._forgiven = 0

    @property
    def deactivated(self) -> bool:
        """Whether too many attempts failed; the documented span of 24 hours is not looked at."""
        allowed = self._switches().hook_failures_allowed
        return bool(allowed) and self._failures() - self._forgiven >= allowed

    def reactivate(self) -> None:
        """The administrator switches the stream on again."""
        self._forgiven = self._failures()

    def _failures(self) -> int:
        return sum(sent.status is None or sent.status // 100 != 2 for sent in list(self.postman.journal))

    def idle(self, within_s: float = 10.0) -> bool:
        return self.postman.idle(within_s)

    def clear(self) -> None:
        self.events.clear()
        self.postman.clear()
        self._forgiven = 0

    def moved(self, course: Course, user: User) -> list[str]:
        """What the stream says when a requirement was met; the ids of the events."""
        if self._school().completed_at(course, user.id) is None:
            names = ["course_progress"]
        elif self._switches().hook_last_is_both:
            names = ["course_progress", "course_completed"]
        else:
            names = ["course_completed"]
        return [str(self.progress(name, course, user)["id"]) for name in names]

    def progress(
        self, name: str, course: Course, user: User, *, forgery: str = "", expired: bool = False
    ) -> Event:
        """Any event about a learner's progress as it stands. It has no enrolment id."""
        counts = Show(self._school(), self._switches(), SITE).counts(course, user)
        items = f"{SITE}/courses/{course.id}/modules/items"
        if self._switches().hook_next_url_when_complete and course.requirements:
            counts["next_requirement_url"] = f"{items}/{course.requirements[-1]}"
        body = {
            "course": {
                "account_id": self._id(course.account_id),
                "id": self._id(course.id),
                "name": course.name,
                "sis_source_id": course.sis_course_id,
            },
            "progress": counts,
            "user": {"id": self._id(user.id), "name": user.name, "email": user.email},
        }
        return self._send(name, body, course, user, forgery=forgery, expired=expired)

    def enrolment(self, name: str, enrolment: Enrolment) -> Event:
        school = self._school()
        course, user = school.courses[enrolment.course_id], school.users[enrolment.user_id]
        body = {
            "enrollment_id": self._id(enrolment.id),
            "course_id": self._id(course.id),
            "course_section_id": self._id(enrolment.section_id),
            "user_id": self._id(user.id),
            "user_name": user.name,
            "type": enrolment.type,
            "workflow_state": enrolment.state,
            "created_at": iso(enrolment.created),
            "updated_at": iso(enrolment.updated),
        }
        return self._send(name, body, course, user)

    def grade(self, course: Course, assignment_id: int, user: User) -> Event:
        found = self._school().submissions[assignment_id, user.id]
        body = {
            "submission_id": self._id(found.id),
            "assignment_id": self._id(assignment_id),
            "user_id": self._id(user.id),
            "grade": found.grade,
            "score": found.score,
        }
        return self._send("grade_change", body, course, user)

    def noise(self, name: str) -> Event:
        """An event about nobody's course."""
        return self._send(name, {}, None, None)

    def resend(self, event_id: str) -> Event:
        """The same event in a new delivery. Raises ValueError when it is not kept."""
        if event_id not in self.events:
            raise ValueError(f"there is no event {event_id}")
        self._post(self.events[event_id])
        return self.events[event_id]

    def _id(self, id: int) -> str:
        return str(globally(id) if self._switches().hook_global_ids else id)

    def _send(
        self,
        name: str,
        body: Mapping[str, Any],
        course: Course | None,
        user: User | None,
        *,
        forgery: str = "",
        expired: bool = False,
    ) -> Event:
        if forgery not in CHOICES["hook_forgery"]:
            raise ValueError(f"forgery is one of {', '.join(map(repr, CHOICES['hook_forgery']))}")
        self._numbers += 1
        event = {
            "id": f"event-{self._numbers}",
            "metadata": self._metadata(name, course, user),
            "body": body,
            "forgery": forgery,
            "expired": expired,
        }
        self.events[str(event["id"])] = event
        if len(self.events) > MAX_EVENTS:
            del self.events[next(iter(self.events))]
        self._post(event)
        return event

    def _metadata(self, name: str, course: Course | None, user: User | None) -> dict[str, Any]:
        found: dict[str, Any] = {
            "event_name": name,
            "event_time": iso(self._now()),
            "producer": "canvas",
            "root_account_id": str(globally(ROOT_ACCOUNT)),
            "root_account_uuid": ROOT_UUID,
        }
        if course is not None:
            found |= {"context_type": "Course", "context_id": str(globally(course.id))}
        return found if user is None else found | {"user_id": str(globally(user.id))}

    def _post(self, event: Event) -> None:
        chosen = self._switches().hook_types
        if (not chosen or event["metadata"]["event_name"] in chosen) and not self.deactivated:
            self.postman.post(event)
