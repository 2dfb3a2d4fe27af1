"""Live events by hand: `POST /_control/act/NAME`. They go to the address of the switch hook_url."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from gateway.sandbox.canvas_actions import Id, Lms
from gateway.sandbox.canvas_call import find_course, find_user


class HookActions:
    """Each answers the event, or the request, it is about."""

    def __init__(self, lms: Lms) -> None:
        self._lms = lms

    def table(self) -> dict[str, Callable[..., Any]]:
        return {
            "tell": self.tell,
            "noise": self.noise,
            "resend": self.resend,
            "replay": self.replay,
            "rotate_keys": self.rotate_keys,
            "reactivate_stream": self.reactivate_stream,
            "clear_deliveries": self.clear_deliveries,
        }

    def tell(
        self,
        *,
        course_id: Id,
        user_id: Id,
        name: str = "course_progress",
        forgery: str = "",
        expired: bool = False,
    ) -> dict[str, Any]:
        """An event about a learner's progress as it stands, though nothing has changed.

        course_completed may well be told with counts that are not full. `forgery` as the switch hook_forgery;
        `expired`: signed a day ago.
        """
        school = self._lms.school
        course, user = find_course(school, str(course_id)), find_user(school, str(user_id))
        return dict(self._lms.hooks.progress(name, course, user, forgery=forgery, expired=expired))

    def noise(self, *, name: str = "course_updated") -> dict[str, Any]:
        """An event of another kind, about no course of anybody."""
        return dict(self._lms.hooks.noise(name))

    def resend(self, *, event_id: str) -> dict[str, Any]:
        """An earlier event again, as it was then, signed anew."""
        return dict(self._lms.hooks.resend(event_id))

    def replay(self, *, back: int = 1) -> dict[str, Any]:
        """The last request as it left (`back` 2: the one before), for somebody who listened."""
        sent = self._lms.hooks.postman.last
        if not 1 <= back <= len(sent):
            raise ValueError(f"only {len(sent)} requests are kept")
        parcel = sent[-back]
        body = base64.b64encode(parcel.body).decode()
        return {"url": parcel.url, "headers": [list(pair) for pair in parcel.headers], "body_base64": body}

    def rotate_keys(self, *, keep: bool = True) -> str:
        """A new signing key; without `keep` no older one is published any more. The key's id."""
        return self._lms.hooks.keys.rotate(keep=keep)

    def reactivate_stream(self) -> None:
        """The administrator switches a stream on again that failures had deactivated."""
        self._lms.hooks.reactivate()

    def clear_deliveries(self) -> None:
        self._lms.hooks.clear()
