"""Switches of the Moodle stand-in: where sites and releases differ; each default is the most plausible.

Marks: [D] read in source code (W: the plugin's), [O] recorded from 4.3, [I] inferred, [U] unknown.
Source: vendors/moodle.md 1 to 5 and 7, and the recordings.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

from gateway.sandbox.hooked_switches import MAX_AT_ONCE
from gateway.sandbox.moodle_versions import VERSIONS, Name, Version

HOOK_TOKEN = "hook-not-a-real-token-0001"
SUBSCRIBED = (
    "\\core\\event\\course_completed",
    "\\core\\event\\course_module_completion_updated",
    "\\core\\event\\user_graded",
)
CAPABILITIES = {
    "webservice/rest:use": "Use REST protocol",
    "moodle/course:view": "View courses without participation",
    "moodle/course:update": "Update course settings",
    "moodle/course:viewhiddencourses": "View hidden courses",
    "moodle/course:viewparticipants": "View participants",
    "moodle/course:enrolreview": "Review course enrolments",
    "moodle/user:create": "Create users",
    "moodle/user:update": "Update user profiles",
    "moodle/user:viewdetails": "View user profiles",
    "moodle/role:assign": "Assign roles to users",
    "enrol/manual:enrol": "Enrol users",
    "enrol/manual:unenrol": "Unenrol users from the course",
    "report/completion:view": "View course completion report",
    "report/progress:view": "View activity completion reports",
    "mod/assign:view": "View assignment",
    "mod/quiz:view": "View quiz information",
    "moodle/grade:edit": "Edit grades",
    "moodle/grade:viewall": "View grades of other users",
    "gradereport/user:view": "View your own grade report",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """All can be changed at run time over `POST /_control/switches`. Raises ValueError for an odd value."""

    # The site
    version: Name = "4.3"
    """Release; what differs is in moodle_versions.py. 4.3 is the one that was recorded [O]."""
    exception_style: Literal["version", "bare", "namespaced"] = "version"
    """Exception classes as the release writes them [D], or always bare, or with their namespace."""
    missing_record_plain: bool = False
    """Without debugging a missing record is `invalidrecordunknown` [D], not `invalidrecord` or such [O]."""
    debug: Literal["off", "on", "display"] = "off"
    """on: `debuginfo` in errors [D]; display: the detail also stands behind the message [D]."""
    rest_enabled: bool = True
    """False: 403 with an empty body to everything, as when REST or all web services are off [D, O]."""
    maintenance: Literal["off", "page", "error"] = "off"
    """page: 503, HTML and Retry-After [O]; error: 200 with `sitemaintenance` [D]."""
    html_page: bool = False
    """200 with an HTML page to everything: a proxy, or PHP that broke [I]."""
    database_down: bool = False
    """200 with `dbconnectionfailed` to everything [O]."""
    max_input_vars: int = 1000
    """PHP drops the parameters beyond this many, of query and body each, without telling [O]."""

    # The token, its service and its user
    token_trouble: Literal["none", "unknown", "expired", "ip", "suspended"] = "none"
    """expired: accessexception once, then unknown, since the first use deletes it [O]."""
    left_out: tuple[str, ...] = ()
    """Functions the service of the token does not have: accessexception [O]."""
    lacks: tuple[str, ...] = ()
    """Capabilities the service user does not have; names as in CAPABILITIES."""
    hidden_fields: tuple[str, ...] = ()
    """email or idnumber: not shown, and users are silently left out when searched by it [D, O for email]."""
    hidden_from_itself: bool = False
    """What is hidden is hidden from the service user about itself too [U]: a self-test would notice."""
    site_admin: bool = False
    """The service user is an administrator: sees first and last names [O], may update its like [D]."""

    # Users
    shared_email: bool = False
    """The site allows several accounts with one e-mail address [U]."""
    password_policy: bool = True
    """Passwords need 8 characters, a digit, both cases and a special character [O]."""
    extended_usernames: bool = False
    """The site allows any character but upper case in usernames [U]."""
    email_search_exact: bool = True
    """Users by e-mail are found by exact case only [O on PostgreSQL]; False: by any case [I on MySQL]."""
    auth_types: tuple[str, ...] = ("manual", "nologin", "email")
    """Authentication types that are installed [U]."""
    user_race: Literal["none", "dmlwriteexception", "invalidparameter"] = "none"
    """Somebody else creates each new user a moment earlier; the call fails so [O: both]."""
    enrol_race: bool = False
    """Somebody else makes each new enrolment a moment earlier: dmlwriteexception [O]."""
    race_window_s: float = 0.0
    """Seconds between looking and writing, in which calls that run at a time overtake each other."""

    # Courses and enrolments
    student_role: int = 5
    """The role of students [U]: it may be assigned, others may not."""
    methods_show_manual: bool = False
    """Enrolment methods list the manual one [D]; recorded sites did not list it [O]."""
    unknown_options_refused: bool = False
    """Enrolled users: an unknown option is invalidparameter, not ignored [U]."""
    search_lag_s: int = 0
    """A search finds a course only this long after it was made, for results are cached [D]."""
    grades_recovered: bool = False
    """Grades lost on unenrolling come back on enrolling again [U]."""

    # Completion
    completion_by_cron: bool = False
    """Courses become complete only by the action `cron`; False: at once, by activities alone [O]."""

    # Webhooks of the plugin local_webhooks; the rest of its behaviour is fixed: one attempt, no retries [D-W]
    hook_url: str = ""
    """Where events go; empty: the plugin is not installed, as in core."""
    hook_token: str = HOOK_TOKEN
    """The shared secret in the body [D-W]; with hook_forged another one is sent."""
    hook_forged: bool = False
    hook_extra: str = ""
    """The member `extra`, any text an administrator chose [D-W]."""
    hook_events: tuple[str, ...] = SUBSCRIBED
    """The events an administrator chose [D-W]; empty: all."""
    hook_content_type: str = "application/json"
    """Set by an administrator; the body is JSON whatever it says [D-W]."""
    hook_ids: Literal["numbers", "text", "mixed"] = "mixed"
    """Ids in a body are numbers or strings, or some of each [D-W]."""
    hook_duplicates: int = 0
    """How many more times each delivery is sent."""
    hook_reverse: bool = False
    """What was gathered is sent in reverse order."""
    hook_linger_s: float = 0.02
    """Events of this long are gathered before they are sent."""
    hook_delay_s: float = 0.0
    """How late a delivery leaves; further events overtake it."""
    hook_lost: bool = False
    """Nothing is sent, though events happen."""
    hook_at_once: int = 1
    """How many deliveries are under way at a time; with more than 1 their order is left to chance."""
    hook_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        """Raises ValueError for a value that could not be served."""
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                raise ValueError(f"switch {name!r} is one of {', '.join(map(str, get_args(hint)))}")
        _some_of("lacks", self.lacks, CAPABILITIES)
        _some_of("hidden_fields", self.hidden_fields, ("email", "idnumber"))
        if self.max_input_vars < 1 or self.race_window_s < 0 or self.search_lag_s < 0:
            raise ValueError("max_input_vars is at least 1, race_window_s and search_lag_s at least 0")
        if not 1 <= self.hook_at_once <= MAX_AT_ONCE or self.hook_duplicates < 0:
            raise ValueError(f"hook_at_once is 1 to {MAX_AT_ONCE}, hook_duplicates at least 0")

    @property
    def release(self) -> Version:
        return VERSIONS[self.version]

    @property
    def namespaced(self) -> bool:
        """Whether exception classes are written with their namespace, as far as they have one."""
        if self.exception_style == "version":
            return self.release.namespaced
        return self.exception_style == "namespaced"


def _some_of(name: str, given: tuple[str, ...], allowed: Collection[str]) -> None:
    if any(each not in allowed for each in given):
        raise ValueError(f"switch {name!r} takes some of {', '.join(allowed)}")
