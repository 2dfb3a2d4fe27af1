"""How the vendor refuses: a status and a message in its error envelope. Source: vendors/learnupon.md 1.3.

Texts marked as observed there are kept word for word; the others are ours, for the sheet has none.
"""

from typing import Any

# Observed.
BAD_JSON = "There was a problem in the JSON you submitted."
BAD_USER = "Invalid user parameters provided"
CAPACITY = "course capacity reached"
NOT_PROCESSED = "failed to process the completion"
PERCENTAGE_NOT_WANTED = "percentage: should not be present for completed status"
BAD_DELETION = "invalid deletion request, failed to find the enrollment"

# Ours.
UNAUTHORISED = "Unauthorized"
TOO_MANY = "Rate limit exceeded"
NOT_FOUND = "Resource not found"
NO_USER = "No user was found"
NO_COURSE = "No course was found"
NO_ENROLMENT = "No enrollment was found"
NO_GROUP = "No group was found"
NO_MEMBERSHIP = "No group membership was found"
NO_SESSION = "No session was found"
EMAIL_TAKEN = "email: has already been taken"
REALM = "email: is in use in this realm, the user must be invited"
USERNAME_TAKEN = "username: has already been taken"
BAD_EMAIL = "email: is not valid"
NO_IDENTITY = "email or username: one of them is needed"
EMAIL_NEEDED = "email: can't be blank"
SHORT_PASSWORD = "password: is too short (minimum is 6 characters)"
USER_LIMIT = "user limit of the portal reached"
INTERNAL = "An internal error occurred, please try again"
ENROLLED = "user is already enrolled in this course"
COMPLETED = "user has already completed this course"
OLD_VERSION = "this version of the course is not open for enrollment"
DISABLED = "user is not enabled"
ENROLMENT_LIMIT = "license limit of the portal reached"
MARK_EXISTS = "mark complete already exists for this enrollment"
PERCENTAGE_WANTED = "percentage: is needed, 0 to 100, for passed and failed status"
LONG_NOTES = "notes: is too long (maximum is 2000 characters)"
TITLE = "title: can't be blank"
TITLE_TAKEN = "title: has already been taken"
MEMBER = "user is already a member of this group"


class Refused(ValueError):
    """An error answer; as a ValueError the control surface shows it too."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def body(self) -> dict[str, Any]:
        return envelope(self.status, self.message)


class BadJson(Refused):
    """A body that is no JSON: the one error in another form."""

    def __init__(self) -> None:
        super().__init__(400, BAD_JSON)

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.message}


class UnknownPath(Refused):
    """Nothing answers there."""

    def __init__(self) -> None:
        super().__init__(404, NOT_FOUND)


def envelope(status: int, message: str) -> dict[str, Any]:
    return {"response_type": "ERROR", "response_code": status, "message": message}


def no_wrapper(name: str) -> Refused:
    return Refused(400, f"{name} parameters are missing")
