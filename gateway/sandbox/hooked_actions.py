"""What learners and staff do in Hooked LMS itself: `POST /_control/act/NAME`. Each change sends its event."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from gateway.sandbox.hooked_proof import Keys
from gateway.sandbox.hooked_sender import Postman
from gateway.sandbox.hooked_state import Enrolment, Event, Refused, School, iso, shown
from gateway.sandbox.hooked_switches import HookedSwitches


class Lms(Protocol):
    """What the actions need of the stand-in."""

    school: School
    switches: HookedSwitches
    postman: Postman
    keys: Keys


class Actions:
    """The actions on whatever the school holds at the moment; each answers what it changed."""

    def __init__(self, lms: Lms, now: Callable[[], datetime]) -> None:
        self._lms = lms
        self._now = now

    def table(self) -> dict[str, Callable[..., Any]]:
        return {
            "progress": self.progress,
            "complete": self.complete,
            "complete_module": self.complete_module,
            "reset": self.reset,
            "cancel": self.cancel,
            "announce": self.announce,
            "resend": self.resend,
            "noise": self.noise,
            "add_learners": self.add_learners,
            "many": self.many,
            "storm": self.storm,
            "rotate_keys": self.rotate_keys,
            "replay": self.replay,
            "clear_deliveries": self.clear_deliveries,
        }

    def progress(self, *, enrolment_id: str, percent: Any, quiet: bool = False) -> dict[str, Any]:
        """Show this percentage, 0 to 100 or any nonsense; completes nothing. `quiet` sends no event."""
        enrolment = self._enrolment(enrolment_id)
        enrolment.percent = percent
        return self._changed(enrolment, "enrolment.progressed", quiet=quiet)

    def complete(
        self, *, enrolment_id: str, percent: Any = 100, at: str | None = None, quiet: bool = False
    ) -> dict[str, Any]:
        """Complete the course, at an ISO time with its zone or now."""
        enrolment = self._enrolment(enrolment_id)
        enrolment.status, enrolment.percent = "completed", percent
        enrolment.completed = self._now() if at is None else aware(at)
        return self._changed(enrolment, "enrolment.completed", quiet=quiet)

    def complete_module(
        self, *, enrolment_id: str, module_id: str, at: str | None = None, quiet: bool = False
    ) -> dict[str, Any]:
        """Finish one module; the percentage becomes the share of finished ones. Completes nothing."""
        enrolment = self._enrolment(enrolment_id)
        modules = self._lms.school.courses[enrolment.course_id].modules
        if module_id not in [each.id for each in modules]:
            raise ValueError(f"there is no module {module_id} in this course")
        enrolment.finished[module_id] = self._now() if at is None else aware(at)
        enrolment.percent = 100 * len(enrolment.finished) / len(modules)
        return self._changed(enrolment, "enrolment.progressed", quiet=quiet)

    def reset(self, *, enrolment_id: str, quiet: bool = False) -> dict[str, Any]:
        """Start again at 0, not completed."""
        enrolment = self._enrolment(enrolment_id)
        enrolment.percent, enrolment.status, enrolment.completed = 0, "active", None
        enrolment.finished.clear()
        return self._changed(enrolment, "enrolment.progressed", quiet=quiet)

    def cancel(self, *, enrolment_id: str) -> dict[str, Any]:
        """Staff end an enrolment in the LMS itself."""
        enrolment = self._enrolment(enrolment_id)
        self.end(enrolment)
        return self._shown(enrolment)

    def announce(self, *, enrolment_id: str, type: str = "enrolment.progressed") -> dict[str, Any]:
        """Send an event about how things stand, although nothing has changed."""
        event = self.tell(type, self._enrolment(enrolment_id))
        return self._event(event)

    def resend(self, *, event_id: str) -> dict[str, Any]:
        """Send an earlier event again, with its own id and as it was then."""
        event = self._lms.school.events.get(event_id)
        if event is None:
            raise ValueError(f"there is no event {event_id}")
        self._lms.postman.post(self._event(event))
        return self._event(event)

    def noise(self, *, type: str = "course.published") -> dict[str, Any]:
        """An event of another type, about no enrolment."""
        event = self._lms.school.happened(type, self._now(), None)
        self._lms.postman.post(self._event(event))
        return self._event(event)

    def add_learners(self, *, course_id: str, count: int, prefix: str = "many") -> list[str]:
        """New users, each enrolled in the course without an event; the enrolment ids, in order."""
        school, now = self._lms.school, self._now()
        if not 0 < count <= 100_000 or course_id not in school.courses:
            raise ValueError("count is 1 to 100000, the course one of the school's")
        return [school.admit(f"{prefix}-{number}", course_id, now).id for number in range(count)]

    def many(self, *, values: Sequence[tuple[str, Any]], quiet: bool = False) -> int:
        """Many pairs of enrolment id and percentage, in this order; how many."""
        for enrolment_id, percent in values:
            self.progress(enrolment_id=enrolment_id, percent=percent, quiet=quiet)
        return len(values)

    def storm(self, *, enrolment_ids: Sequence[str], steps: Sequence[Any]) -> int:
        """Every enrolment goes through all steps, one step for all before the next; how many events."""
        return sum(self.many(values=[(id, step) for id in enrolment_ids]) for step in steps)

    def rotate_keys(self, *, keep: bool = True) -> str:
        """A new signing key; without `keep` the older ones are not published any more. The key's id."""
        return self._lms.keys.rotate(keep=keep)

    def replay(self, *, back: int = 1) -> dict[str, Any]:
        """The last request as it left (`back` 2: the one before), for somebody who listened."""
        sent = self._lms.postman.last
        if not 1 <= back <= len(sent):
            raise ValueError(f"only {len(sent)} requests are kept")
        parcel = sent[-back]
        body = base64.b64encode(parcel.body).decode()
        return {"url": parcel.url, "headers": [list(pair) for pair in parcel.headers], "body_base64": body}

    def clear_deliveries(self) -> None:
        self._lms.postman.clear()

    def end(self, enrolment: Enrolment) -> None:
        """Cancelled, and told."""
        enrolment.status = "cancelled"
        self._changed(enrolment, "enrolment.cancelled", quiet=False)

    def tell(self, type: str, enrolment: Enrolment) -> Event:
        """Send the event of this type about an enrolment as it stands."""
        event = self._lms.school.happened(type, self._now(), self._shown(enrolment))
        self._lms.postman.post(self._event(event))
        return event

    def _changed(self, enrolment: Enrolment, type: str, *, quiet: bool) -> dict[str, Any]:
        enrolment.updated = self._now()
        event = None if quiet else self.tell(type, enrolment)
        return {**self._shown(enrolment), "event_id": None if event is None else event.id}

    def _event(self, event: Event) -> dict[str, Any]:
        """An event as it is sent; with only the id of its enrolment if switched so."""
        enrolment = event.enrolment
        if enrolment is not None and not self._lms.switches.values_in_events:
            enrolment = {"id": enrolment["id"]}
        return {"id": event.id, "type": event.type, "created_at": iso(event.at), "enrolment": enrolment}

    def _shown(self, enrolment: Enrolment) -> dict[str, Any]:
        return shown(self._lms.school, enrolment, fraction=self._lms.switches.fraction)

    def _enrolment(self, id: str) -> Enrolment:
        try:
            return self._lms.school.enrolment(id)
        except Refused as refusal:
            raise ValueError(refusal.message) from refusal


def aware(text: str) -> datetime:
    """An ISO time in UTC. Raises ValueError when it is none, or has no zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"the time {text} has no zone")
    return at.astimezone(UTC)
