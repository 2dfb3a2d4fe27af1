"""What learners, their browsers and the vendor's staff do: `POST /_control/act/NAME`.

A launch has effects in the journal; nothing else here has. What a learner does sends its row unless `quiet`.
Registrations are named by their UUID, in any case.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from gateway.sandbox.hooked_actions import aware
from gateway.sandbox.hooked_state import iso
from gateway.sandbox.journal import Journal
from gateway.sandbox.media77_hooks import Hooks
from gateway.sandbox.media77_launches import launch
from gateway.sandbox.media77_state import Platform, Registration, completion_code
from gateway.sandbox.media77_switches import Switches

MAX_STRANGERS = 100_000


class Lms(Protocol):
    """What the actions need of the stand-in."""

    platform: Platform
    switches: Switches
    hooks: Hooks


class Actions:
    """Each answers the registration it changed, as `state` shows it, with the `event_id` of what was sent."""

    def __init__(self, lms: Lms, journal: Journal, now: Callable[[], datetime]) -> None:
        self._lms, self._journal, self._now = lms, journal, now

    def table(self) -> dict[str, Callable[..., Any]]:
        return {
            "launch": self.launch,
            "progress": self.progress,
            "complete": self.complete,
            "fall_back": self.fall_back,
            "many": self.many,
            "end": self.end,
            "remove": self.remove,
            "strangers": self.strangers,
            "tell": self.tell,
            "tell_odd": self.tell_odd,
            "resend": self.resend,
            "replay": self.replay,
            "clear_deliveries": self.clear_deliveries,
        }

    def launch(self, *, url: str) -> dict[str, Any]:
        """Open a whole launch link, as a browser would.

        Answers `launched` (whether the course opened), `first`, `violations` and the `registration`. Raises
        ValueError for a malformed link, an address without a course, and an unknown LMSID.
        """
        if not isinstance(url, str):
            raise ValueError("url is a text")
        place, broken = launch(url, self._lms.platform, self._lms.switches, self._journal, self._now())
        return {
            "launched": place is not None,
            "first": place is not None and place.launches == 1,
            "violations": broken,
            "registration": None if place is None else shown(place),
        }

    def progress(
        self, *, reg: str, progress: Any, completed: bool = False, at: str | None = None, quiet: bool = False
    ) -> dict[str, Any]:
        """Show this progress, 0 to 100 or any nonsense; `completed` also completes, now or at an ISO time."""
        when = self._now() if at is None else aware(at)
        place = self._lms.platform.registration(reg)
        place.progress = progress
        if completed:
            place.completed, place.code = when, completion_code(place.reg)
        return self._moved(place, quiet=quiet)

    def complete(
        self, *, reg: str, progress: Any = 100, at: str | None = None, quiet: bool = False
    ) -> dict[str, Any]:
        """Finish the course, at an ISO time with its zone or now."""
        return self.progress(reg=reg, progress=progress, completed=True, at=at, quiet=quiet)

    def fall_back(self, *, reg: str, progress: Any = 0, quiet: bool = False) -> dict[str, Any]:
        """Less than before, and not completed any more."""
        place = self._lms.platform.registration(reg)
        place.progress, place.completed, place.code = progress, None, None
        return self._moved(place, quiet=quiet)

    def many(self, *, values: Sequence[tuple[str, Any]], quiet: bool = False) -> int:
        """Many pairs of registration and progress, in this order, close enough for one bundle; how many."""
        for reg, progress in values:
            self.progress(reg=reg, progress=progress, quiet=quiet)
        return len(values)

    def end(self, *, reg: str) -> dict[str, Any]:
        """The caller has ended this enrolment, so that a new UUID is no violation any more.

        The vendor is none the wiser: the old link still works, and progress is still reported.
        """
        place = self._lms.platform.registration(reg)
        place.ended = True
        return shown(place)

    def remove(self, *, reg: str) -> dict[str, Any]:
        """The vendor's staff delete a registration: no report shows it again, and its UUID is unknown."""
        return shown(self._lms.platform.registrations.pop(self._lms.platform.registration(reg).reg))

    def strangers(
        self, *, count: int = 1, course: str = "working-safely", progress: Any = 10, quiet: bool = False
    ) -> list[str]:
        """New registrations of other systems of the organisation, each with this progress; their UUIDs."""
        platform = self._lms.platform
        if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= MAX_STRANGERS:
            raise ValueError(f"count is 1 to {MAX_STRANGERS}")
        activity, made = platform.course(course), []
        for _ in range(count):
            reg = str(uuid.uuid4())
            number = platform.numbers + 1
            place = platform.register(
                reg, activity, f"p{number}@portal.example", f"Pat {number}", self._now(), member=str(number)
            )
            place.progress = progress
            self._moved(place, quiet=quiet)
            made.append(reg)
        return made

    def tell(self, *, reg: str, forged: bool = False) -> dict[str, Any]:
        """Send the row of a registration though nothing has changed; forged: with another token."""
        place = self._lms.platform.registration(reg)
        return {**shown(place), "event_id": self._lms.hooks.tell(place, forged=forged)}

    def tell_odd(self, *, row: Any, forged: bool = False) -> dict[str, Any]:
        """Send any JSON in the place of a row: one bad row in a bundle, or a registration never heard of."""
        return {"event_id": self._lms.hooks.send(row, forged=forged)}

    def resend(self, *, event_id: str) -> Any:
        """Send an earlier row again as it was then; answers the row."""
        return self._lms.hooks.resend(event_id)

    def replay(self, *, back: int = 1) -> dict[str, Any]:
        """The last request as it left (`back` 2: the one before), for somebody who listened."""
        sent = self._lms.hooks.postman.last
        if not 1 <= back <= len(sent):
            raise ValueError(f"only {len(sent)} requests are kept")
        parcel = sent[-back]
        body = base64.b64encode(parcel.body).decode()
        return {"url": parcel.url, "headers": [list(pair) for pair in parcel.headers], "body_base64": body}

    def clear_deliveries(self) -> None:
        self._lms.hooks.clear()

    def _moved(self, place: Registration, *, quiet: bool) -> dict[str, Any]:
        place.updated, place.moved = self._now(), True
        event = None if quiet else self._lms.hooks.tell(place)
        return {**shown(place), "event_id": event}


def shown(place: Registration) -> dict[str, Any]:
    """A registration for tests: who it is as the link said, where, and how far."""
    return {
        "reg": place.reg,
        "course": place.course.slug,
        "title": place.course.title,
        "environment": place.course.environment,
        "email": place.email,
        "name": place.name,
        "domain": place.domain,
        "lms_id": place.lms_id,
        "extra": dict(place.extra),
        "member": place.member,
        "transaction_id": place.transaction_id,
        "progress": place.progress,
        "started": iso(place.started),
        "updated": iso(place.updated),
        "completed": iso(place.completed),
        "launches": place.launches,
        "ended": place.ended,
    }
