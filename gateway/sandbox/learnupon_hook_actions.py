"""Webhooks by hand: `POST /_control/act/NAME`. They go to the addresses of the switches, in both versions."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from gateway.sandbox.learnupon_actions import Id, Lms
from gateway.sandbox.learnupon_state import Course, Module, number


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
        type: str = "course_completion",
        enrolment_id: Id | None = None,
        module_id: Id | None = None,
        course_id: Id | None = None,
        forged: bool = False,
    ) -> dict[str, Any]:
        """Send an event of any type, known or not, though nothing has changed; forged: with another secret.

        It is about an enrolment (and a module of it), or a course, or nothing.
        """
        portal, hooks = self._lms.portal, self._lms.hooks
        if enrolment_id is None:
            course = None if course_id is None else portal.course(number(course_id))
            return dict(hooks.tell_of_course(type, course, forged=forged))
        enrolment = portal.enrolment(number(enrolment_id))
        module = _module(portal.courses[enrolment.course_id], module_id)
        return dict(hooks.tell(type, enrolment, module, forged=forged))

    def resend(self, *, event_id: str) -> dict[str, Any]:
        """Send an earlier event again as it was then, under a new webhook id."""
        return dict(self._lms.hooks.resend(event_id))

    def replay(self, *, version: int = 1, back: int = 1) -> dict[str, Any]:
        """The last request of a version as it left (`back` 2: the one before), for somebody who listened."""
        sent = self._lms.hooks.last(version)
        if not 1 <= back <= len(sent):
            raise ValueError(f"only {len(sent)} requests are kept")
        parcel = sent[-back]
        body = base64.b64encode(parcel.body).decode()
        return {"url": parcel.url, "headers": [list(pair) for pair in parcel.headers], "body_base64": body}

    def clear_deliveries(self) -> None:
        self._lms.hooks.clear()


def _module(course: Course, id: Id | None) -> Module | None:
    if id is None:
        return None
    for module in course.modules:
        if module.id == number(id):
            return module
    raise ValueError(f"course {course.id} has no module {id}")
