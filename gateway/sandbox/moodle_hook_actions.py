"""Webhooks by hand: `POST /_control/act/NAME`. They go to the address of the switch `hook_url`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from gateway.sandbox.moodle_actions import Id, Lms, number


class HookActions:
    """Each answers the event, or the request, it is about."""

    def __init__(self, lms: Lms) -> None:
        self._lms = lms

    def table(self) -> dict[str, Callable[..., Any]]:
        return {
            "tell": self.tell,
            "resend": self.resend,
            "replay": self.replay,
            "clear_deliveries": self.clear_deliveries,
        }

    def tell(
        self,
        *,
        event: str = "course_completed",
        user_id: Id,
        course_id: Id,
        object_id: Id = 0,
        actor: Id | None = None,
        forged: bool = False,
    ) -> dict[str, Any]:
        """Send an event of any name though nothing has changed, about anybody; forged: with another secret.

        A name without a backslash is one of `\\core\\event`. The actor is the learner unless given. Whether
        it is sent is still up to the switch `hook_events`.
        """
        return dict(
            self._lms.hooks.tell(
                event,
                user_id=number(user_id),
                course_id=number(course_id),
                object_id=number(object_id),
                actor=number(user_id if actor is None else actor),
                forged=forged,
            )
        )

    def resend(self, *, event_id: str) -> dict[str, Any]:
        """Send an earlier event once more, as somebody would who listened."""
        return dict(self._lms.hooks.resend(event_id))

    def replay(self, *, back: int = 1) -> dict[str, Any]:
        """The last request as it left (`back` 2: the one before)."""
        sent = self._lms.hooks.postman.last
        if not 1 <= back <= len(sent):
            raise ValueError(f"only {len(sent)} requests are kept")
        parcel = sent[-back]
        body = base64.b64encode(parcel.body).decode()
        return {"url": parcel.url, "headers": [list(pair) for pair in parcel.headers], "body_base64": body}

    def clear_deliveries(self) -> None:
        self._lms.hooks.clear()
