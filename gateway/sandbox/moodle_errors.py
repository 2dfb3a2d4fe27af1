"""How Moodle refuses: exception class, error code, message, and a detail that only debugging shows.

Source: vendors/moodle.md 3 and the recordings of 4.3.
"""

from __future__ import annotations

from gateway.sandbox.moodle_switches import CAPABILITIES, Switches

NAMESPACE = "core\\exception\\"
IN_NAMESPACE = (
    "coding_exception",
    "invalid_parameter_exception",
    "moodle_exception",
    "require_login_exception",
    "required_capability_exception",
)
INVALID = "Invalid parameter value detected"
NOT_ACCESSIBLE = "Course or activity not accessible."


class Refused(ValueError):
    """An error object, sent with status 200; `exception` is the bare class.

    `lost` marks a record that is not there, whose code depends on the site. As a ValueError the control
    surface shows it.
    """

    def __init__(
        self, exception: str, code: str, message: str, detail: str = "", *, lost: bool = False
    ) -> None:
        super().__init__(f"{message} {detail}".strip())
        self.exception, self.code, self.message, self.detail = exception, code, message, detail
        self.lost = lost

    def shown(self, switches: Switches) -> dict[str, str]:
        """The members of the error object."""
        style = switches.namespaced and self.exception in IN_NAMESPACE
        plain = self.lost and switches.missing_record_plain and switches.debug == "off"
        error = {
            "exception": NAMESPACE + self.exception if style else self.exception,
            "errorcode": "invalidrecordunknown" if plain else self.code,
            "message": "Can not find data record in database." if plain else self.message,
        }
        if self.detail and switches.debug != "off":
            if switches.debug == "display":
                error["message"] += f" ({self.detail})"
            error["debuginfo"] = self.detail
        return error


def general(code: str, message: str, detail: str = "") -> Refused:
    return Refused("moodle_exception", code, message, detail)


def invalid(detail: str) -> Refused:
    """A parameter that will not do; what is wrong with it stands in the detail alone."""
    return Refused("invalid_parameter_exception", "invalidparameter", INVALID, detail)


def no_access(detail: str) -> Refused:
    return Refused("webservice_access_exception", "accessexception", "Access control exception", detail)


def no_permission(capability: str) -> Refused:
    message = "Sorry, but you do not currently have permissions to do that"
    name = CAPABILITIES[capability]
    return Refused("required_capability_exception", "nopermissions", f"{message} ({name}).")


def no_record(table: str) -> Refused:
    """A record of this table that is not there."""
    words = {
        "user": ("invaliduser", "Invalid user"),
        "course_modules": ("invalidcoursemodule", "Invalid course module ID"),
    }
    code, message = words.get(table, ("invalidrecord", f"Can't find data record in database table {table}."))
    return Refused("dml_missing_record_exception", code, message, lost=True)


def write_failed() -> Refused:
    """The database refused to write: a unique value that is taken by now, or a text that is too long."""
    return Refused("dml_write_exception", "dmlwriteexception", "Error writing to database")


def coding(message: str, detail: str = "") -> Refused:
    text = f"Coding error detected, it must be fixed by a programmer: {message}"
    return Refused("coding_exception", "codingerror", text, detail)


def not_accessible() -> Refused:
    return Refused("require_login_exception", "requireloginerror", NOT_ACCESSIBLE)


def context_not_valid(course_id: int) -> Refused:
    return general(
        "errorcoursecontextnotvalid",
        f"You cannot execute functions in the course context (course id:{course_id}). "
        f"The context error message was: {NOT_ACCESSIBLE}",
    )


def invalid_token() -> Refused:
    return general("invalidtoken", "Invalid token - token not found")


def suspended_user(username: str) -> Refused:
    return general("wsaccessusersuspended", f"Refused web service access for suspended username: {username}")


def database_down() -> Refused:
    lines = (
        "Error: Database connection failed",
        "It is possible that the database is overloaded or otherwise not running properly.",
        "The site administrator should also check that the database details have been correctly "
        "specified in config.php",
    )
    message = "\n".join(f"<p>{line}</p>" for line in lines)
    return Refused("dml_connection_exception", "dbconnectionfailed", message)


def no_manual_instance(course_id: int) -> Refused:
    # The placeholder reaches the client as it stands.
    message = (
        "Manual enrolment plugin instance doesn't exist or is disabled for the course (id = {$a->courseid})"
    )
    return general("wsnoinstance", message, f"courseid:{course_id}")


def cannot_assign(role: int, user: int, course: int) -> Refused:
    message = (
        f"You don't have the permission to assign this role ({role}) to this user ({user}) "
        f"in this course ({course})."
    )
    return general("wsusercannotassign", message)
