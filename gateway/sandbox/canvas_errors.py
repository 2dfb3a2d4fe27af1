"""How Canvas refuses: four envelopes and two kinds of 403. Source: vendors/canvas.md 1.2, 1.3 and 3.3.

Texts the sheet has are kept word for word; the others are ours, for it has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

BEARER = {"WWW-Authenticate": 'Bearer realm="canvas-lms"'}

# From the sheet.
INVALID_TOKEN = "Invalid access token."
NOT_PERMITTED = "user not authorized to perform that action"
NOT_FOUND = "The specified resource does not exist."
SHORT_TERM = "{minimum} or more characters is required"
LOGIN_TAKEN = "ID already in use for this account and authentication provider"
SIS_ID_TAKEN = 'SIS ID "{sis_id}" is already in use'
CONCLUDED = "Can't add an enrollment to a concluded course."
NOT_INACTIVE = "enrollment not inactive"
TOO_MANY = "403 Forbidden (Rate Limit Exceeded)"

# Begun in the sheet, ended by us.
INVALID_TYPE = "Invalid type, it is one of {types}"
NO_PROGRESS = "no progress available because {why}"
NO_MODULES = "this course has no modules with requirements"
NO_STUDENT = "this user is no student of the course"

# Ours.
SCOPE = "The scopes of the access token do not cover this call."
BAD_BODY = "The body cannot be read."
NO_USER = "enrollment[user_id] is missing"
BAD_ROLE = "Invalid role"
BAD_STATE = "Invalid enrollment_state"
BLANK = "can't be blank"
TOO_MANY_PAIRS = "At most 500 enrollments at a time"
WENT_WRONG = "An error occurred."


class Refused(ValueError):
    """An error answer; as a ValueError the control surface shows it too. A text is sent as plain text."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.status, self.body, self.headers = status, body, headers or {}
        super().__init__(str(body))


def errors(*messages: str) -> dict[str, Any]:
    """The first envelope: a list under `errors`."""
    return {"errors": [{"message": message} for message in messages]}


def unauthenticated(message: str = INVALID_TOKEN) -> Refused:
    return Refused(401, errors(message), BEARER)


def forbidden(status: int = 403) -> Refused:
    """A valid token that may not; older code said 401, but without the header of a bad token."""
    return Refused(status, {"status": "unauthorized", **errors(NOT_PERMITTED)})


def not_found() -> Refused:
    return Refused(404, errors(NOT_FOUND))


def short_term(minimum: int) -> Refused:
    message = SHORT_TERM.format(minimum=minimum)
    return Refused(400, {"errors": [{"field": "search_term", "code": "invalid", "message": message}]})


def invalid(field: str, type: str, message: str, *, bare: bool) -> Refused:
    """The second envelope: an object under `errors`, or that object alone if `bare`."""
    inner = {field: [{"attribute": field, "type": type, "message": message}]}
    return Refused(400, inner if bare else {"errors": inner})


def invalid_login(field: str, type: str, message: str) -> Refused:
    """The second envelope as a new user's login gets it: one object for each model that was checked."""
    nested = {"attribute": "pseudonyms", "type": "invalid", "message": "invalid"}
    found = {"attribute": field, "type": type, "message": message}
    parts = {"user": {"pseudonyms": [nested]}, "pseudonym": {field: [found]}, "observee": {}}
    return Refused(400, {"errors": {**parts, "pairing_code": {}}})


def not_enrolled(reasons: Iterable[str]) -> Refused:
    """The third envelope: `message`."""
    return Refused(400, {"message": ", ".join(reasons)})


def no_progress(why: str) -> dict[str, Any]:
    """The fourth envelope: `error` with a message, also found inside a list of courses."""
    return {"error": {"message": NO_PROGRESS.format(why=why)}}


def oauth(status: int, error: str, description: str) -> Refused:
    """RFC 6749 5.2, as the token endpoint refuses [I]."""
    return Refused(status, {"error": error, "error_description": description})
