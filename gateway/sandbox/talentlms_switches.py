"""What is unknown or variable about the vendor, as switches; each default is the most plausible.

Marks: [D] documented, [O] observed by third parties, [I] inferred, [U] unknown.
Source: vendors/talentlms.md 1 to 4 and 7.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DATE_ORDERS = {"DDMMYYYY": "%d/%m/%Y", "MMDDYYYY": "%m/%d/%Y", "YYYYMMDD": "%Y/%m/%d"}
USED_UP_STATUSES = (429, 403, 503)
EMPTY_STAMPS = ("mixed", "empty", "null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Switches of the stand-in; all can be changed at run time over `POST /_control/switches`."""

    # The portal
    api_enabled: bool = True
    """False: 403 to everything, as when the API is switched off for the domain [D]."""
    zone: str = "Australia/Perth"
    """Time zone of formatted dates [I]; an IANA name."""
    date_format: str = "DDMMYYYY"
    """Order in formatted dates: DDMMYYYY, MMDDYYYY or YYYYMMDD [D]."""

    # The allowance
    hourly_limit: int = 2000
    """Calls an hour [D]; 0 = no limit."""
    burst_limit: int = 200
    """Calls in any 5 seconds of the stand-in's clock [D]; 0 = no limit."""
    used_up_status: int = 429
    """Answer when either is used up [U]: 429 or 403 with JSON, 503 with an HTML page."""
    remaining_is_number: bool = False
    """`ratelimit.remaining` as a JSON number, not a string [O]."""

    # Reading requests
    encoded_at_accepted: bool = False
    """True: `%40` in a path works; False: it leads to the HTML 404 page ("can give 404" [O])."""
    query_arguments: bool = False
    """True: GET arguments are also taken from the query string, "seen to work for some endpoints" [O]."""
    email_case_sensitive: bool = False
    """True: an e-mail that differs by case is another one (vendor: case-insensitive [I])."""

    # Statuses of refusals whose message is known but not their status [U]
    already_enrolled_status: int = 400
    not_enrolled_status: int = 400
    """Of removeuserfromcourse, resetuserprogress and gotocourse for a user outside the course."""
    status_not_enrolled_status: int = 400
    """Of getuserstatusincourse and getusersprogressinunits for a user outside the course."""
    already_member_status: int = 400
    not_member_status: int = 400
    no_such_key_status: int = 400
    """Of an unknown group key (404 / 400 [U])."""
    signup_clash_status: int = 400
    deleted_user_status: int = 404
    """Of "The requested user is no longer available"."""

    # Sign-up
    blank_email_allowed: bool = False
    """Whether `email` may be blank at sign-up [U]; portals with blank e-mails exist [O]."""
    password_rule: bool = True
    """Refuse passwords without upper case, lower case, number or 8 characters [O]."""
    mandatory_fields: tuple[str, ...] = ()
    """Keys of custom fields a sign-up must fill, of those seeded: custom_field_1, _2, _3 [I]."""
    signup_id_is_number: bool = True
    """The `id` in the answer of usersignup is a JSON number [O]."""
    names_escaped: bool = False
    """Names given at sign-up are stored with HTML entities, `O&#039;Neil` (entities can appear [O])."""

    # Enrolments and groups
    inactive_refused: bool = False
    """Refuse enrolling an inactive user, or into an inactive course [U]."""
    progress_survives: bool = False
    """Progress comes back on re-enrolment [U]; the sheet says to assume it may be lost."""
    leaving_group_unenrols: bool = False
    """Leaving a group also unenrols from its courses [U]."""

    # Writing answers
    empty_stamp: str = "mixed"
    """A stamp without a date: "empty" text [D], "null" [O], or "mixed": null except in courses/id: users."""
    course_code_in_name: bool = True
    """The course name inside a user's `courses` carries the code in brackets [O]."""
    formatted_status_present: bool = True
    """`completion_status_formatted` in a user's `courses`; absent in some answers [O]."""
    credits_present: bool = True
    """`credits` in users; missing in some real answers [O]."""
    unit_progress_bare: bool = True
    """getusersprogressinunits with `user_id` answers a bare object [O], not a one-item array [D]."""

    # Display words, which may follow the portal's language [U]
    word_not_started: str = "Not started"
    word_in_progress: str = "In progress"
    word_completed: str = "Completed"
    word_passed: str = "Passed"
    word_not_passed: str = "Not passed"

    def __post_init__(self) -> None:
        """Raises ValueError for a value that could not be served."""
        _one_of("date_format", self.date_format, tuple(DATE_ORDERS))
        _one_of("used_up_status", self.used_up_status, USED_UP_STATUSES)
        _one_of("empty_stamp", self.empty_stamp, EMPTY_STAMPS)
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise ValueError(f"no time zone {self.zone!r}") from exc


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"switch {name!r} is one of {', '.join(map(str, allowed))}")
