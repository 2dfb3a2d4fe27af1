"""How the vendor refuses: a status and a known message. Source: vendors/talentlms.md 1.3."""

INVALID_ARGUMENTS = "Invalid arguments provided"
INVALID_KEY = "Invalid API Key provided"
NO_SUCH_ACTION = "The requested API action does not exist"
# The sheet gives no text for these two: what it gives is the status, and that a body may say "limit".
API_DISABLED = "The API is not enabled for this domain"
USED_UP = "You have exceeded the API calls limit of your plan"

NO_SUCH_USER = "The requested user does not exist"
USER_GONE = "The requested user is no longer available"
NO_SUCH_COURSE = "The requested course does not exist"
NO_SUCH_GROUP = "The requested group does not exist"
NO_SUCH_KEY = "There is no group with such key"
NO_SUCH_UNIT = "The requested unit does not exist"
ALREADY_ENROLLED = "The requested user is already enrolled in this course"
NOT_ENROLLED = "The requested user is not enrolled in this course"
ALREADY_MEMBER = "The requested user is already a member of this group"
NOT_MEMBER = "The requested user is not a member of this group"
EMAIL_TAKEN = "A user with the same email address already exists"
LOGIN_TAKEN = "A user with the same login already exists"
WEAK_PASSWORD = (
    "Password is not strong enough (should have at least (1) upper case letter, "
    "at least (1) lower case letter, at least (1) number, at least (8) characters in length)"
)
BAD_EMAIL = "{value} is not a valid email"


class Refused(ValueError):
    """The vendor's error answer: HTTP status and message; as a ValueError the control surface shows it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class WebPage(Exception):
    """An HTML page instead of JSON: the request never reached the API, or the API is shut."""

    def __init__(self, status: int, page: str) -> None:
        super().__init__(status)
        self.status = status
        self.page = page


def invalid_arguments() -> Refused:
    return Refused(400, INVALID_ARGUMENTS)
