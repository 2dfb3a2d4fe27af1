"""The webhook: rows in bundles, and the token that proves them. Source: vendors/77media.md 4."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.sandbox.hooked_proof import Parcel
from gateway.sandbox.hooked_sender import Event, Postman
from gateway.sandbox.media77_rows import row_of
from gateway.sandbox.media77_state import Registration
from gateway.sandbox.media77_switches import Switches

OTHER_TOKEN = "0badf00d-0000-4000-8000-000000000000"
MAX_EVENTS = 100_000


class Mail:
    """An event is one row as it was when something happened; a bundle holds several."""

    def __init__(self, switches: Callable[[], Switches], token: str) -> None:
        self._switches, self._token = switches, token

    def batches(self, events: Sequence[Event]) -> list[Sequence[Event]]:
        """Forged rows travel apart, or the honest ones beside them would be refused too."""
        switches = self._switches()
        size = 1 if switches.hook_body == "row" else switches.hook_bundle
        made: list[Sequence[Event]] = []
        for _, alike in itertools.groupby(events, key=lambda event: bool(event["forged"])):
            group = list(alike)
            made += [group[start : start + size] for start in range(0, len(group), size)]
        return [batch[::-1] for batch in made] if switches.reverse else made

    def message(self, number: int) -> str:
        return f"delivery-{number}"

    def parcel(self, events: Sequence[Event], message: str, attempt: int, now: float) -> Parcel:
        switches = self._switches()
        forged = switches.hook_wrong_token or events[0]["forged"]
        token = OTHER_TOKEN if forged else switches.hook_token or self._token
        rows = [event["row"] for event in events]
        if switches.hook_rows_twice and switches.hook_body != "row":
            rows = [row for row in rows for _ in range(2)]
        body = json.dumps(_body(rows, token, switches), ensure_ascii=False).encode()
        headers = (("Content-Type", "application/json"), *_proof(token, switches))
        return Parcel(url=switches.hook_url, headers=headers, body=body)


def _body(rows: list[Any], token: str, switches: Switches) -> Any:
    if switches.hook_proof == "rows":
        rows = [_with_token(row, token) for row in rows]
    match switches.hook_body:
        case "array":
            return rows
        case "row":
            return _with_token(rows[0], token) if switches.hook_proof == "body" else rows[0]
        case _:
            listed = {switches.hook_key: rows}
            return _with_token(listed, token) if switches.hook_proof == "body" else listed


def _with_token(value: Any, token: str) -> Any:
    """What is no object has no room for a token."""
    return {**value, "token": token} if isinstance(value, Mapping) else value


def _proof(token: str, switches: Switches) -> list[tuple[str, str]]:
    match switches.hook_proof:
        case "bearer":
            return [("Authorization", f"Bearer {token}")]
        case "header":
            return [(switches.hook_header, token)]
        case _:
            return []


class Hooks:
    """Sends rows, and keeps them so that an old one can be sent again."""

    def __init__(self, switches: Callable[[], Switches], token: str, now: Callable[[], datetime]) -> None:
        self._switches = switches
        self.events: dict[str, Event] = {}
        self.postman = Postman(switches, Mail(switches, token), lambda: now().timestamp())
        self._numbers = 0

    def tell(self, place: Registration, *, forged: bool = False) -> str:
        """Send the row of a registration as it stands; the event's id."""
        return self.send(row_of(place, self._switches()), forged=forged)

    def send(self, row: Any, *, forged: bool = False) -> str:
        """Send anything in the place of a row; forged: with another token. The event's id."""
        self._numbers += 1
        event = {"id": f"event-{self._numbers}", "row": row, "forged": forged}
        self.events[str(event["id"])] = event
        if len(self.events) > MAX_EVENTS:
            del self.events[next(iter(self.events))]
        self.postman.post(event)
        return str(event["id"])

    def resend(self, event_id: str) -> Any:
        """Send an earlier row as it was then, and return it. Raises ValueError when it is not kept."""
        if event_id not in self.events:
            raise ValueError(f"there is no event {event_id!r}")
        self.postman.post(self.events[event_id])
        return self.events[event_id]["row"]

    def clear(self) -> None:
        self.events.clear()
        self.postman.clear()
