"""Everything about the LearnUpon stand-in that can be turned; each default is the most plausible.

Marks: [D] documented, [O] observed by third parties, [I] inferred, [U] unknown.
Source: vendors/learnupon.md 1 to 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

from gateway.sandbox.hooked_switches import MAX_AT_ONCE

SECRET = "learnupon-not-a-real-secret-0001"
MAX_BATCH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Switches of the stand-in; all can be changed at run time over `POST /_control/switches`."""

    # Limits and paging
    minute_limit: int = 300
    """Requests in any minute of the stand-in's clock [O, single]; 0 = no limit and no header."""
    week_limit: int = 500_000
    """Requests in any week of it [O, single]; 0 = no limit and no header."""
    retry_after_s: int = 0
    """Retry-After of the stand-in's own 429, in seconds; 0 = none [U]."""
    page_size: int = 500
    """Records of a page [D]."""
    per_page_followed: bool = False
    """A `per_page` up to the page size is followed [U]; else any is accepted and ignored [O: 500]."""
    past_end: Literal["empty", "not_found", "repeat"] = "empty"
    """A page past the end [U]; repeat: the last page again, for ever with a next one."""
    paging_headers: Literal["always", "long", "never"] = "always"
    """The LU-* headers; long: only on lists of more than one page [I]."""
    next_page_word: Literal["true", "True", "TRUE"] = "true"
    """How LU-Has-Next-Page says yes [D: true]."""

    # Reading requests
    empty_json_refused: tuple[str, ...] = ("GET",)
    """Methods on which a JSON content type without a body is a malformed body [O for GET]."""
    json_type_needed: bool = True
    """A body of another content type than JSON is not read, as if it had no wrapper [I]."""
    unknown_path_html: bool = False
    """The 404 of an unknown path is an HTML page, not JSON [O: either]."""
    created_status: Literal[200, 201] = 200
    """Status of a successful POST [U]."""
    not_found_status: Literal[404, 400] = 404
    """Status for an unknown user, course or enrolment named in a body [U]."""

    # Users
    search_miss_empty: bool = False
    """A user search without a hit: 200 with an empty list, not 404 with a message [O: 404]."""
    email_case_sensitive: bool = False
    """True: an e-mail that differs by case is another one [U]."""
    email_needed: bool = False
    """True: the portal insists on an e-mail [U]; else a username is enough [D]."""
    password_needed: bool = True
    """A new user without a password is refused [U]; a short one always is [D]."""
    user_limit: int = 0
    """The most users of the portal [U]; 0 = no limit."""
    auto_enrol: tuple[int, ...] = ()
    """Course ids in which a rule of the portal enrols every new user at once [D]."""

    # Courses and modules
    name_pattern: Literal["like", "regex", "plain"] = "like"
    """What kind of pattern `name=` is: SQL LIKE anywhere, a regular expression, or plain text [U]."""
    course_id_finds_hidden: bool = False
    """`course_id=` also finds drafts and old versions that were not asked for [U]."""
    counters_lag: bool = True
    """`num_enrolled` stands still until the action refresh_counters [O]."""
    status_as_number: bool = False
    """`published_status_id` is a number, not a word [U]."""
    first_version_has_source: bool = True
    """A course that was never versioned has its own id as `source_id`; else null [U]."""
    session_keys: Literal["mixed", "null", "absent"] = "mixed"
    """training_id and session_id on rows that are no live sessions [D: null or absent]."""

    # Enrolling
    user_id_accepted: bool = True
    """An enrolment may name its learner by `user_id` [O, single]."""
    duplicate_status: Literal[422, 400] = 422
    """Status for a learner who is enrolled already, or has completed the course [O, weak]."""
    old_version: Literal["refuse", "accept", "newest"] = "refuse"
    """Enrolling in an old version: 400, or in that one, or in the newest [U]."""
    disabled_refused: bool = False
    """A disabled user cannot be enrolled [U]."""
    enrolment_limit: int = 0
    """The most active enrolments of the portal [U]; 0 = no limit."""

    # Reading enrolments
    unenrolled_readable: bool = True
    """`GET /enrollments/{id}` answers for an unenrolled record [U]."""
    removed_readable: bool = False
    """It even answers, as unenrolled, for a record that was removed [U]."""
    one_in_array: bool = True
    """One enrolment comes as an array of one [O], not as an object."""
    modules_shown: Literal["always", "one", "never"] = "always"
    """`modules` in enrolments [D]; one: not in searches [U]."""
    modules_bare: bool = False
    """`GET /enrollments/{id}/modules` is a bare array, not under the key `modules` [U]."""
    rows_per_session: bool = False
    """A live module stands in an enrolment's modules once for every session, not once [U]."""
    dates_look_at: Literal["enrolled", "completed", "updated"] = "enrolled"
    """What date_from and date_to of a search compare [U]."""
    search_miss_status: Literal[200, 404] = 200
    """An enrolment search without a hit: 200 with an empty list, or 404 with a message [U]."""
    percent_null: bool = False
    """Every `percentage_complete` is null."""

    # Ending enrolments
    in_progress_deleted: Literal["unenrolled", "gone"] = "unenrolled"
    """What deleting an enrolment in progress leaves [I: unenrolled]."""
    unenrolled_delete_status: Literal[200, 400, 404] = 200
    """Deleting a record that is unenrolled already changes nothing and answers this [U]."""
    delete_body_empty: bool = False
    """The answer to a delete is an empty body, not `{"success":"ok"}` [U]."""

    # Webhooks of both versions
    hook_v1_url: str = ""
    """Where version 1 goes; empty: none are sent. Both versions can run side by side [D]."""
    hook_v2_url: str = ""
    hook_secret: str = SECRET
    hook_v1_as: Literal["json", "form", "query"] = "json"
    """The body [D]; or the JSON in a form or query field named `payload` [O, single]."""
    hook_v1_signature_first: bool = False
    """The signature is the first member of the header, not the last [O: both seen]."""
    hook_v2_types: tuple[str, ...] = ()
    """The types an administrator chose for version 2 [D]; empty: all. Version 1 always sends all [D]."""
    hook_v2_batch: int = MAX_BATCH
    """The most events of one POST, 1 to 10 [D]."""
    hook_v2_type_key: str = "webhookType"
    """Member of an event that names its type [U]; empty: only the header X-Webhook-Type does."""
    hook_v2_user: Literal["by_type", "object", "flat"] = "by_type"
    """The learner: an object or flat userId and userEmail; flat for module_complete only with by_type [I]."""
    hook_on_mark_complete: bool = True
    """A result set by hand sends course_completion as well [I]."""
    hook_wrong_signature: bool = False
    """Sign with another secret: forgeries."""
    hook_duplicates: int = 0
    """How many more times each delivery is sent, under the same id."""
    hook_reverse: bool = False
    """What was gathered is sent in reverse order."""
    hook_linger_s: float = 0.02
    """Events of this long are gathered before they are sent."""
    hook_delay_s: float = 0.0
    """How late a delivery leaves; further events overtake it."""
    hook_lost: bool = False
    """Nothing is sent, though events happen."""
    hook_retries: tuple[float, ...] = (0.05, 0.1, 0.2)
    """Waits before further attempts after anything but 2xx; the vendor goes on for up to 72 hours [D]."""
    hook_at_once: int = 1
    """How many deliveries are under way at a time; with more than 1 their order is left to chance."""
    hook_timeout_s: float = 5.0
    """How long the vendor waits for an answer [U]."""

    def __post_init__(self) -> None:
        """Raises ValueError for a value that could not be served."""
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                raise ValueError(f"switch {name!r} is one of {', '.join(map(str, get_args(hint)))}")
        if self.page_size < 1:
            raise ValueError("page_size is at least 1")
        if not 1 <= self.hook_v2_batch <= MAX_BATCH:
            raise ValueError(f"hook_v2_batch is 1 to {MAX_BATCH}")
        if not 1 <= self.hook_at_once <= MAX_AT_ONCE or self.hook_duplicates < 0:
            raise ValueError(f"hook_at_once is 1 to {MAX_AT_ONCE}, hook_duplicates at least 0")
