"""Webhooks of both versions: how they are signed, gathered and sent.

Version 1 has no header: the MD5 of the body without its `signature` member, a colon and the secret stands in
the body. Version 2 has an HMAC-SHA256 of the raw body in X-Webhook-Signature, and up to 10 events of one type
in a body. Source: vendors/learnupon.md 5.1 and 5.2.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from gateway.sandbox.hooked_proof import Parcel
from gateway.sandbox.hooked_sender import Event, Postman
from gateway.sandbox.learnupon_payloads import course_only, milliseconds, version_1, version_2
from gateway.sandbox.learnupon_show import utc
from gateway.sandbox.learnupon_state import Course, Enrolment, Module, Portal
from gateway.sandbox.learnupon_switches import Switches
from gateway.sandbox.signing import sign

OTHER_SECRET = "somebody-elses-secret"
FIRST_ID = {1: 90017, 2: 410_001}
MAX_EVENTS = 100_000


def seal_v1(header: Mapping[str, Any], rest: Mapping[str, Any], secret: str, *, first: bool = False) -> str:
    """The body of version 1; the signature is the last or first member of the header."""
    plain, tail = dumped(header), dumped(rest)
    tail = f",{tail[1:]}" if rest else "}"
    # MD5 is the vendor's choice.
    signature = hashlib.md5(f'{{"header":{plain}{tail}:{secret}'.encode(), usedforsecurity=False).hexdigest()
    member = f'"signature":"{signature}"'
    signed = f"{{{member},{plain[1:]}" if first else f"{plain[:-1]},{member}}}"
    return f'{{"header":{signed}{tail}'


def seal_v2(body: bytes, secret: str) -> str:
    """The value of X-Webhook-Signature."""
    return sign(body, secret.encode())


def dumped(value: Any) -> str:
    """JSON as Rails writes it, `&` as an escape [I]: to parse and write it again breaks the signature."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """The way of one version to its receiver."""

    hook_url: str
    linger_s: float
    duplicates: int
    reverse: bool
    delay_s: float
    lost: bool
    retries: tuple[float, ...]
    at_once: int
    timeout_s: float


def road(switches: Switches, url: str) -> Road:
    return Road(
        hook_url=url,
        linger_s=switches.hook_linger_s,
        duplicates=switches.hook_duplicates,
        reverse=switches.hook_reverse,
        delay_s=switches.hook_delay_s,
        lost=switches.hook_lost,
        retries=switches.hook_retries,
        at_once=switches.hook_at_once,
        timeout_s=switches.hook_timeout_s,
    )


class MailV1:
    """One event a request, its header counting the attempts."""

    def __init__(self, switches: Callable[[], Switches]) -> None:
        self._switches = switches

    def batches(self, events: Sequence[Event]) -> list[Sequence[Event]]:
        return [[event] for event in events]

    def message(self, number: int) -> str:
        return str(FIRST_ID[1] + number - 1)

    def parcel(self, events: Sequence[Event], message: str, attempt: int, now: float) -> Parcel:
        switches, (event,) = self._switches(), events
        header = {
            "source": "LearnUpon",
            "version": 1,
            "webhookId": int(message),
            "attempt": attempt,
            "lastAttemptAt": utc(datetime.fromtimestamp(now, UTC)),
            "webHookType": event["type"],
        }
        secret, first = _secret(events, switches), switches.hook_v1_signature_first
        return _posted(seal_v1(header, event["v1"], secret, first=first), switches)


def _posted(body: str, switches: Switches) -> Parcel:
    if switches.hook_v1_as == "json":
        headers = (("Content-Type", "application/json"),)
        return Parcel(url=switches.hook_v1_url, headers=headers, body=body.encode())
    field = urlencode({"payload": body})
    headers = (("Content-Type", "application/x-www-form-urlencoded"),)
    if switches.hook_v1_as == "form":
        return Parcel(url=switches.hook_v1_url, headers=headers, body=field.encode())
    mark = "&" if "?" in switches.hook_v1_url else "?"
    return Parcel(url=f"{switches.hook_v1_url}{mark}{field}", headers=headers, body=b"")


class MailV2:
    """Events of one type together, for the type stands in a header."""

    def __init__(self, switches: Callable[[], Switches]) -> None:
        self._switches = switches

    def batches(self, events: Sequence[Event]) -> list[Sequence[Event]]:
        size, by_type = self._switches().hook_v2_batch, dict[str, list[Event]]()
        for event in events:
            by_type.setdefault(event["type"], []).append(event)
        return [
            each[start : start + size] for each in by_type.values() for start in range(0, len(each), size)
        ]

    def message(self, number: int) -> str:
        return str(FIRST_ID[2] + number - 1)

    def parcel(self, events: Sequence[Event], message: str, attempt: int, now: float) -> Parcel:
        switches = self._switches()
        body = dumped({"data": [_typed(event, switches.hook_v2_type_key) for event in events]}).encode()
        headers = (
            ("Content-Type", "application/json"),
            ("X-Webhook-Signature", seal_v2(body, _secret(events, switches))),
            ("X-Webhook-Type", events[0]["type"]),
            ("X-Webhook-ID", message),
        )
        return Parcel(url=switches.hook_v2_url, headers=headers, body=body)


def _typed(event: Event, key: str) -> dict[str, Any]:
    return {**({key: event["type"]} if key else {}), "eventCreated": event["at"], **event["v2"]}


def _secret(events: Sequence[Event], switches: Switches) -> str:
    forged = switches.hook_wrong_signature or any(event["forged"] for event in events)
    return OTHER_SECRET if forged else switches.hook_secret


class Hooks:
    """Both versions side by side; an event goes to each that has an address."""

    def __init__(
        self, switches: Callable[[], Switches], portal: Callable[[], Portal], now: Callable[[], datetime]
    ) -> None:
        self._switches, self._portal, self._now = switches, portal, now
        self.events: dict[str, Event] = {}
        self._numbers = 0
        self.postmen = {
            1: Postman(
                lambda: road(switches(), switches().hook_v1_url), MailV1(switches), lambda: now().timestamp()
            ),
            2: Postman(
                lambda: road(switches(), switches().hook_v2_url), MailV2(switches), lambda: now().timestamp()
            ),
        }

    def tell(
        self, type: str, enrolment: Enrolment, module: Module | None = None, *, forged: bool = False
    ) -> Event:
        """Send an event about an enrolment as it stands; forged: signed with another secret."""
        portal, wish = self._portal(), self._switches().hook_v2_user
        flat = wish == "flat" or (wish == "by_type" and type == "module_complete")
        first = version_1(portal, type, enrolment, module)
        return self._send(type, first, version_2(portal, type, enrolment, module, flat=flat), forged)

    def tell_of_course(self, type: str, course: Course | None, *, forged: bool = False) -> Event:
        """Send an event about no enrolment; of a course, or of nothing that the gateway could know."""
        about = {} if course is None else course_only(course)
        return self._send(type, about, about, forged)

    def resend(self, event_id: str) -> Event:
        """The same event in a new delivery, under a new webhook id. Raises ValueError when it is not kept."""
        if event_id not in self.events:
            raise ValueError(f"there is no event {event_id}")
        self._post(self.events[event_id])
        return self.events[event_id]

    def idle(self, within_s: float = 10.0) -> bool:
        """Wait until nothing is on its way; whether that came about."""
        return all(postman.idle(within_s) for postman in self.postmen.values())

    @property
    def waiting(self) -> int:
        return sum(postman.waiting for postman in self.postmen.values())

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        """Every attempt there was, the newest of each version last."""
        return [
            {"version": version, **sent.as_json()}
            for version, postman in self.postmen.items()
            for sent in list(postman.journal)
        ]

    def last(self, version: int) -> deque[Parcel]:
        if version not in self.postmen:
            raise ValueError("version is 1 or 2")
        return self.postmen[version].last

    def clear(self) -> None:
        self.events.clear()
        for postman in self.postmen.values():
            postman.clear()

    def _send(self, type: str, first: Mapping[str, Any], second: Mapping[str, Any], forged: bool) -> Event:
        self._numbers += 1
        event = {
            "id": f"event-{self._numbers}",
            "type": type,
            "at": milliseconds(self._now()),
            "forged": forged,
            "v1": first,
            "v2": second,
        }
        self.events[str(event["id"])] = event
        if len(self.events) > MAX_EVENTS:
            del self.events[next(iter(self.events))]
        self._post(event)
        return event

    def _post(self, event: Event) -> None:
        self.postmen[1].post(event)
        chosen = self._switches().hook_v2_types
        if not chosen or event["type"] in chosen:
            self.postmen[2].post(event)
