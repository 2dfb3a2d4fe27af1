"""Events as the plugin local_webhooks sends them: ids only, its secret in the body, one attempt.

Source: vendors/moodle.md 5. What it does not tell of a body is made up plausibly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.sandbox.hooked_proof import Parcel
from gateway.sandbox.hooked_sender import Event, Postman
from gateway.sandbox.learnupon_hooks import Road
from gateway.sandbox.moodle_state import SERVICE
from gateway.sandbox.moodle_switches import Switches

OTHER_TOKEN = "somebody-elses-token"
NAMESPACE = "\\core\\event\\"
MAX_EVENTS = 100_000
IDS = ("objectid", "contextid", "contextinstanceid", "userid", "courseid", "relateduserid")
# Members that name what happened: target, action, and the table of the record.
KNOWN = {
    "course_completed": ("course", "completed", "course_completions"),
    "course_module_completion_updated": ("course_module_completion", "updated", "course_modules_completion"),
    "user_graded": ("user", "graded", "grade_grades"),
    "user_enrolment_created": ("user_enrolment", "created", "user_enrolments"),
    "user_enrolment_updated": ("user_enrolment", "updated", "user_enrolments"),
    "user_enrolment_deleted": ("user_enrolment", "deleted", "user_enrolments"),
}


def road(switches: Switches) -> Road:
    """The way to the receiver, on which nothing is tried again."""
    return Road(
        hook_url=switches.hook_url,
        linger_s=switches.hook_linger_s,
        duplicates=switches.hook_duplicates,
        reverse=switches.hook_reverse,
        delay_s=switches.hook_delay_s,
        lost=switches.hook_lost,
        retries=(),
        at_once=switches.hook_at_once,
        timeout_s=switches.hook_timeout_s,
    )


class Mail:
    """One event a request."""

    def __init__(self, switches: Callable[[], Switches]) -> None:
        self._switches = switches

    def batches(self, events: Sequence[Event]) -> list[Sequence[Event]]:
        return [[event] for event in events]

    def message(self, number: int) -> str:
        return f"delivery-{number}"

    def parcel(self, events: Sequence[Event], message: str, attempt: int, now: float) -> Parcel:
        switches, (event,) = self._switches(), events
        forged = switches.hook_forged or event["forged"]
        body = {
            **_typed(event["data"], switches.hook_ids),
            "host": event["host"],
            "token": OTHER_TOKEN if forged else switches.hook_token,
            "extra": switches.hook_extra,
        }
        headers = (("Content-Type", switches.hook_content_type),)
        text = json.dumps(body, separators=(",", ":")).replace("/", "\\/")
        return Parcel(url=switches.hook_url, headers=headers, body=text.encode())


def _typed(data: Mapping[str, Any], form: str) -> dict[str, Any]:
    """Ids as strings or numbers; mixed: what the database gave as text stays text, the actor is a number."""
    as_text = {"numbers": (), "text": IDS, "mixed": ("objectid", "courseid", "relateduserid")}[form]
    return {name: str(value) if name in as_text else value for name, value in data.items()}


class Hooks:
    """Sends events to the one address there is; `idle()` waits until all are on their way or lost."""

    def __init__(self, switches: Callable[[], Switches], now: Callable[[], float]) -> None:
        self._switches, self._now = switches, now
        self._numbers = 0
        self.host = "http://moodle.invalid"
        self.events: dict[str, Event] = {}
        self.postman = Postman(lambda: road(switches()), Mail(switches), now)

    def tell(
        self,
        event: str,
        *,
        user_id: int,
        course_id: int,
        object_id: int = 0,
        actor: int = SERVICE,
        forged: bool = False,
    ) -> Event:
        """Send an event, its name with or without namespace, if an administrator chose it.

        `user_id` is the learner it is about, `actor` who did it. Forged: with another secret.
        """
        full = event if event.startswith("\\") else NAMESPACE + event
        self._numbers += 1
        told: dict[str, Any] = {
            "id": f"event-{self._numbers}",
            "forged": forged,
            "host": self.host,
            "data": _data(full, user_id, course_id, object_id or self._numbers, actor, int(self._now())),
        }
        self.events[told["id"]] = told
        if len(self.events) > MAX_EVENTS:
            del self.events[next(iter(self.events))]
        self._post(told)
        return told

    def resend(self, event_id: str) -> Event:
        """The same event once more, as a replay would come. Raises ValueError when it is not kept."""
        if event_id not in self.events:
            raise ValueError(f"there is no event {event_id}")
        self._post(self.events[event_id])
        return self.events[event_id]

    def idle(self, within_s: float = 10.0) -> bool:
        return self.postman.idle(within_s)

    def clear(self) -> None:
        self.events.clear()
        self.postman.clear()

    def _post(self, event: Event) -> None:
        chosen = self._switches().hook_events
        if not chosen or event["data"]["eventname"] in chosen:
            self.postman.post(event)


def _data(event: str, user: int, course: int, record: int, actor: int, now: int) -> dict[str, Any]:
    name = event.rpartition("\\")[2]
    target, action, table = KNOWN.get(name, (name, "happened", None))
    return {
        "eventname": event,
        "component": "core",
        "action": action,
        "target": target,
        "objecttable": table,
        "objectid": record,
        "crud": "u",
        "edulevel": 2,
        "contextid": 1000 + course,
        "contextlevel": 50,
        "contextinstanceid": course,
        "userid": actor,
        "courseid": course,
        "relateduserid": user,
        "anonymous": 0,
        "other": None,
        "timecreated": now,
    }
