"""What differs between installations of Canvas or is not known; each default is the most plausible.

Marks: [D] documented, [D-S] read in the source, [C] seen in clients, [I] inferred, [U] unknown.
Source: vendors/canvas.md, all sections.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.sandbox.hooked_switches import MAX_AT_ONCE

CHOICES: dict[str, tuple[object, ...]] = {
    "forbidden_status": (403, 401),
    "throttled_status": (403, 429),
    "sis_rights": ("manage", "read", "none"),
    "sis_without_right": ("ignored", "refused"),
    "bookmarks": ("enrolments", "all"),
    "delete_again_status": (404, 200),
    "hook_content_type": ("application/jwt", "text/plain", "application/json"),
    "hook_layout": ("top", "data"),
    "hook_forgery": ("", "other_key", "unknown_kid", "unsigned"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """All can be changed at run time over `POST /_control/switches`. Raises ValueError for an odd value."""

    # What the token may
    may_read_courses: bool = True
    """False: 403 to course lists and courses [D: an account right]."""
    may_manage_users: bool = True
    """False: 403 to finding, creating and changing users [D in parts]."""
    may_manage_enrolments: bool = True
    """False: 403 to creating, ending and reactivating enrolments [D in parts]."""
    may_view_grades: bool = True
    """False: 403 to progress and marking, and no grades in enrolments [D in parts]."""
    sis_rights: str = "manage"
    """manage, read or none: without any the answers show no sis_* and sis_* ids are not found [I]."""
    sis_without_right: str = "ignored"
    """What becomes of a sis_user_id that may not be set: ignored, or refused with 403 [U]."""
    forbidden_status: int = 403
    """Of what is not permitted: 403, or 401 without WWW-Authenticate in older code [C]."""
    scopes: tuple[str, ...] = ()
    """Scopes of the token, `url:GET|/api/v1/courses/:id`; any call outside is 401 [I]. None: not enforced."""

    # OAuth
    token_life_s: int = 3600
    """How long a token got by OAuth lives [D]."""
    refresh_voids_older: bool = True
    """A refresh ends the access token given before for the same consent [I]."""
    refresh_rotates: bool = False
    """A refresh also answers a new refresh token and voids the old one (documented clients see none [I])."""

    # Throttling
    quota: float = 700.0
    """The bucket of a token, in cost [I]; 0: no throttling, and no header of what remains."""
    request_cost: float = 0.5
    """What each request costs [I]."""
    refill_per_s: float = 10.0
    """How fast the bucket fills again, by the stand-in's clock [I]."""
    throttled_status: int = 403
    """Of an empty bucket: 403 [D], or 429 on newer hosts [I]."""

    # Pages
    per_page: int = 10
    """Rows of a page without per_page [D]."""
    per_page_cap: int = 100
    """The most rows of a page [I]."""
    bookmarks: str = "enrolments"
    """Which lists have opaque bookmarks for pages: those of enrolments [D-S], or all [I]."""
    lower_case_link: bool = False
    """The header is `link`, not `Link`: its case varies [D]. Over a socket uvicorn writes all names so."""
    last_left_out: bool = False
    """Numbered lists give no `last` either [D: may be missing]."""
    foreign_next: str = ""
    """Scheme and host that `next` points to, as no honest host does; empty: the host that was asked."""

    # Reading requests
    search_minimum: int = 3
    """The fewest characters of a search_term: 3 in one version, 2 in others [I]."""
    raw_dots_refused: bool = False
    """A dot in a path that is not sent as %2E leads nowhere (to be encoded [D], refused [U])."""
    login_case_sensitive: bool = False
    """Logins that differ by case are different ones [U]."""
    model_errors_bare: bool = False
    """Model validation answers the inner object alone, without `errors` [C]."""

    # Enrolments
    deleted_revived: bool = True
    """Enrolling again after a deletion revives the old id [I]; False: makes a new one."""
    deleted_found: bool = True
    """A deleted enrolment is still shown by its id, as deleted [U]; False: 404."""
    delete_again_status: int = 404
    """Of ending a deleted enrolment: 404, or 200 with the enrolment as it is [U]."""
    inactive_has_progress: bool = False
    """A deactivated student's progress can still be read [U]; False: 400, no student there."""

    # Live events: what is sent
    hook_url: str = ""
    """Where events go; empty: none are sent."""
    hook_types: tuple[str, ...] = ()
    """The event types of the data stream [D]; none: all."""
    hook_content_type: str = "application/jwt"
    """application/jwt, text/plain or application/json; the body is the bare token whichever it says [U]."""
    hook_layout: str = "top"
    """`metadata` and `body` at the top of the claims [I], or both under `data` [U]."""
    hook_life_s: int = 300
    """Seconds from `iat` to `exp` [U]; 0: the token has neither."""
    hook_clock_skew_s: float = 0.0
    """Added to the times that are signed; -600 makes every delivery expired."""
    hook_forgery: str = ""
    """other_key: under a published kid; unknown_kid: a key that is not published; unsigned: alg none."""
    hook_older_key: bool = False
    """The older of the two published keys signs."""
    hook_global_ids: bool = False
    """Ids in `body` are global too (local ones are [D])."""
    hook_last_is_both: bool = False
    """The last requirement sends course_progress as well as course_completed [U]."""
    hook_next_url_when_complete: bool = False
    """course_completed still has a next_requirement_url, as in the documented sample [D]."""
    hook_failures_allowed: int = 0
    """So many failed attempts deactivate the stream [D, the number U]; 0: never."""

    # Live events: the way there (see hooked_sender.Way)
    linger_s: float = 0.02
    """Events of this long are gathered before they are sent."""
    duplicates: int = 0
    """How many more times each event is delivered."""
    reverse: bool = False
    """What was gathered is sent in reverse order."""
    delay_s: float = 0.0
    """How late a delivery leaves; further events overtake it."""
    lost: bool = False
    """Nothing is sent, though events happen."""
    retries: tuple[float, ...] = (0.05, 0.1, 0.2)
    """The waits before further attempts after anything but 2xx; held events come later [D]."""
    at_once: int = 1
    """How many deliveries are under way at a time."""
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"switch {name!r} is one of {', '.join(map(repr, allowed))}")
        for name in ("per_page", "per_page_cap", "search_minimum", "token_life_s"):
            if getattr(self, name) < 1:
                raise ValueError(f"switch {name!r} is at least 1")
        for name in ("quota", "request_cost", "refill_per_s", "duplicates", "delay_s", "linger_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"switch {name!r} is at least 0")
        for name in ("hook_life_s", "hook_failures_allowed"):
            if getattr(self, name) < 0:
                raise ValueError(f"switch {name!r} is at least 0")
        if not 1 <= self.at_once <= MAX_AT_ONCE:
            raise ValueError(f"at_once is 1 to {MAX_AT_ONCE}")
        if self.foreign_next and "://" not in self.foreign_next:
            raise ValueError("foreign_next is a scheme and a host: https://elsewhere.example")
        for scope in self.scopes:
            if not scope.startswith("url:") or "|/api/v1/" not in scope:
                raise ValueError(f"a scope is url:METHOD|/api/v1/…, not {scope!r}")
