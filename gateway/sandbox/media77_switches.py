"""What is unknown or variable about the vendor, as switches; each default is the most plausible.

Marks: [D] documented, [S] seen in the vendor's public samples, [I] inferred, [U] unknown.
Source: vendors/77media.md 2 to 4 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

from gateway.sandbox.hooked_switches import MAX_AT_ONCE

TOKEN = "c0ffee77-1d2e-4a3b-8c4d-5e6f70819203"
STAGING_LMS_ID, PRODUCTION_LMS_ID = "RTO-STG-01", "RTO-PRD-01"
STAGING_HOST, PRODUCTION_HOST = "courses-staging.media77.example", "courses.media77.example"
BAD_TOKEN_STATUSES = (401, 400, 403, 200)
USED_UP_STATUSES = (429, 403, 503, 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """All can be changed at run time over `POST /_control/switches`. Raises ValueError for an odd value.

    The switches of the way of a webhook are those that the sender asks for (hooked_sender.Way).
    """

    # The launch link
    staging_lms_id: str = STAGING_LMS_ID
    """The LMSID that belongs to staging addresses [D]."""
    production_lms_id: str = PRODUCTION_LMS_ID
    """The LMSID that belongs to production addresses [D]."""
    staging_host: str = STAGING_HOST
    """The host of staging addresses; a link may always name loopback instead."""
    production_host: str = PRODUCTION_HOST
    """The host of production addresses."""
    refuse_violations: bool = True
    """False: a launch that breaks a rule is recorded as a violation and happens all the same [U]."""
    extra_parameters: bool = True
    """Parameters besides the five are ignored [U]; False: a link with any is malformed."""
    deep_links: bool = False
    """A route may stand before the parameters, `#/lesson/1?reg=…` [U]."""
    email_checked: bool = True
    """`em` needs an @ with something on both sides [I]; False: any text [D]."""
    bare_domain: bool = True
    """`dom` is a host name and nothing else [I]; False: any text [D]."""

    # The report
    bad_token_status: int = 401
    """Answer to an unknown token [U]: 401, 400 or 403; 200 is an empty report."""
    daily_limit: int = 500
    """Calls a day [D]; 0 = no limit."""
    used_up_status: int = 429
    """Answer when the day's calls are used up [U]: 429, 403 or 503; 200 is an empty report."""
    day: Literal["utc", "rolling"] = "utc"
    """When the day rolls over [U]: at midnight in UTC, or each call counts for 24 hours."""
    error_form: Literal["json", "html", "empty"] = "json"
    """What stands in the body of an error [U]."""
    start_is: Literal["offset", "page"] = "offset"
    """`start` counts rows, as the sample's table does, or pages from 0, as its README says [S, U]."""
    count_is: Literal["total", "page"] = "total"
    """`count` is how many rows match, or how many are in this answer [U]."""
    filtered_date: Literal["updated", "started", "completed"] = "updated"
    """The date that startDate and endDate filter [U]."""
    max_number: int = 0
    """A `number` beyond it gives no more rows than this [U]; 0 = no maximum."""
    launch_listed: bool = True
    """A registration is reported from its first launch on [U]; False: from its first progress on."""

    # A row
    progress_as: Literal["mixed", "string", "number"] = "mixed"
    """`progress` is text or a number; mixed: text in rows of even transactions, as in the sample [S]."""
    transaction_id_as: Literal["string", "number"] = "string"
    """`transactionId` arrives as text although it is declared an integer [S]."""
    registration_upper: bool = False
    """`registration` in upper case [U]."""
    activity_id: Literal["bare", "slash", "other"] = "bare"
    """`activityId` is the course address without [S] or with its last slash, or an address of its own [U]."""
    name_split: Literal["first_space", "last_space", "none"] = "first_space"
    """Where `fn` is split into firstName and lastName [U]; none: all of it is the first name."""
    completion_code: Literal["uuid", "text"] = "uuid"
    """`completionCode` is a UUID as declared [D], or free text as in the sample [S]."""

    # The webhook: where to, what it looks like, what proves it
    hook_url: str = ""
    """Where webhooks go; empty: none are sent."""
    hook_body: Literal["list", "array", "row"] = "list"
    """An object that lists rows, an array of rows, or one row [U]; row with proof body is 2017's [S]."""
    hook_key: str = "rows"
    """The member that holds the rows of `list` [U]: rows, data, records, updates, activities …"""
    hook_bundle: int = 25
    """The most rows of one list or array [D: bundled; how many U]."""
    hook_proof: Literal["body", "rows", "bearer", "header", "none"] = "body"
    """Where the token is [U]: member `token` of the body [S] or of each row, Bearer or another header [I]."""
    hook_token: str = ""
    """The token that is sent; empty: the organisation's token, as in 2017 [S]."""
    hook_header: str = "X-Access-Token"
    """The header of proof header."""
    hook_wrong_token: bool = False
    """Another token is sent: a forgery."""
    hook_rows_twice: bool = False
    """Each row stands twice in its list or array."""

    # Its way there
    linger_s: float = 0.02
    """Rows of this long are gathered into bundles."""
    duplicates: int = 0
    """How many more times each delivery is sent."""
    reverse: bool = False
    """What was gathered is sent last first, in the bundles too."""
    delay_s: float = 0.0
    """How late a delivery leaves; further ones overtake it."""
    lost: bool = False
    """Nothing is sent, though learners make progress."""
    retries: tuple[float, ...] = (0.05, 0.1, 0.2)
    """Waits before further attempts after anything but 2xx; then it is lost for good [D]; how many [U]."""
    at_once: int = 1
    """How many deliveries are under way at a time."""
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal:
                _one_of(name, getattr(self, name), get_args(hint))
        _one_of("bad_token_status", self.bad_token_status, BAD_TOKEN_STATUSES)
        _one_of("used_up_status", self.used_up_status, USED_UP_STATUSES)
        if min(self.daily_limit, self.max_number, self.duplicates) < 0 or self.hook_bundle < 1:
            raise ValueError("daily_limit, max_number and duplicates are at least 0, hook_bundle at least 1")
        if not 1 <= self.at_once <= MAX_AT_ONCE:
            raise ValueError(f"at_once is 1 to {MAX_AT_ONCE}")
        if min(self.linger_s, self.delay_s, *self.retries) < 0 or self.timeout_s <= 0:
            raise ValueError("linger_s, delay_s and retries are at least 0, timeout_s more")
        if self.hook_body == "array" and self.hook_proof == "body":
            raise ValueError("an array has no member for a token: hook_proof is rows, bearer, header or none")
        if not (self.hook_key and self.hook_header and self.staging_lms_id and self.production_lms_id):
            raise ValueError("hook_key, hook_header, staging_lms_id and production_lms_id cannot be empty")
        if self.staging_lms_id == self.production_lms_id:
            raise ValueError("staging and production have LMSIDs of their own")


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"switch {name!r} is one of {', '.join(map(str, allowed))}")
