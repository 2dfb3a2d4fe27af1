"""Active enrolments that a whole sweep of their course does not show: a person must look, it is no 0 %.

What a person has marked done stays off the list for 30 days, unless the LMS has shown it in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.store import enrolments, manual

REASON = "missing_at_lms"
LISTED_A_COURSE = 20
QUIET_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a sweep of a course showed: ids of active enrolments, and whether the course is gone.

    Without `whole` only some of the course's enrolments were asked about. An empty `course_id`: the gateway
    does not know in which course they are.
    """

    course_id: str
    shown: frozenset[str] = frozenset()
    absent: tuple[str, ...] = ()
    gone: bool = False
    whole: bool = True


def keep(conn: Connection, tenant: str, looks: Iterable[Look], now: float) -> dict[str, int]:
    """Put what is missing on the manual list and take off what is back; courses with news, and how many.

    At most 20 enrolments of a course are listed, with one line for the rest.
    """
    items = {each.sentence: each for each in manual.of_reason(conn, tenant, REASON, done_since=now - QUIET_S)}
    on_list = {sentence for sentence, item in items.items() if item.state == "open"}
    news: dict[str, int] = {}
    for look in _together(looks):
        wanted = _wanted(look, on_list, items.keys() - on_list)
        added = [
            manual.add(conn, tenant=tenant, enrolment_id=about, reason=REASON, sentence=sentence, now=now)
            for sentence, about in wanted.items()
            if sentence not in items
        ]
        for sentence in _settled(look):
            if sentence in items and sentence not in wanted:
                manual.withdraw(conn, items[sentence].id, now)
        if any(added):
            news[look.course_id] = len(look.absent)
    return news


def _together(looks: Iterable[Look]) -> list[Look]:
    """Looks at parts of the same course as one, so that its bound holds for all of them."""
    found: list[Look] = []
    parts: dict[str, list[Look]] = {}
    for look in looks:
        if look.whole:
            found.append(look)
        else:
            parts.setdefault(look.course_id, []).append(look)
    for course_id, some in parts.items():
        shown = frozenset(each for look in some for each in look.shown)
        absent = tuple(each for look in some for each in look.absent)
        found.append(Look(course_id=course_id, shown=shown, absent=absent, whole=False))
    return found


def ended(conn: Connection, tenant: str, now: float) -> list[str]:
    """Ids of items about enrolments that are no longer active: nobody need look for those any more."""
    items = manual.of_reason(conn, tenant, REASON, done_since=now)
    return [
        item.id for item in items if item.enrolment_id and not _is_active(conn, tenant, item.enrolment_id)
    ]


def _is_active(conn: Connection, tenant: str, enrolment_id: str) -> bool:
    stored = enrolments.by_id(conn, tenant, enrolment_id)
    return stored is not None and stored.state == "active"


def _wanted(look: Look, on_list: Collection[str], dealt_with: Collection[str]) -> dict[str, str | None]:
    """The sentences that should stand on the list, with the enrolment each is about."""
    if look.gone:
        return {_gone(look.course_id): None}
    of_absent = {_one(look.course_id, each): each for each in look.absent}
    sentences = {sentence: about for sentence, about in of_absent.items() if sentence not in dealt_with}
    listed = {sentence for sentence in on_list if _is_of(sentence, look.course_id)}
    elsewhere = 0 if look.whole else len(listed - sentences.keys())
    room = max(LISTED_A_COURSE - elsewhere, 0)
    # those that stand there already stay
    first = sorted(sentences, key=lambda sentence: sentence not in listed)
    wanted: dict[str, str | None] = {sentence: sentences[sentence] for sentence in first[:room]}
    rest = _rest(look.course_id)
    is_full = not look.whole and len(wanted) >= room  # others may be missing that were not asked about now
    if len(wanted) < len(sentences) or (is_full and (rest in on_list or rest in dealt_with)):
        wanted[rest] = None
    return wanted


def _settled(look: Look) -> list[str]:
    """The sentences that are true no longer, unless they are wanted again."""
    if look.gone:
        return []
    back = [_one(look.course_id, each) for each in sorted(look.shown)]
    found = [*back, _rest(look.course_id)]
    return [*found, _gone(look.course_id)] if look.whole else found


def _one(course_id: str, enrolment_id: str) -> str:
    return (
        f"Enrolment {enrolment_id} is active, but the LMS no longer shows the student in {_in(course_id)}. "
        "Enrol the student there again, or cancel the enrolment in RTOPilot."
    )


def _is_of(sentence: str, course_id: str) -> bool:
    return f" the student in {_in(course_id)}. " in sentence


def _in(course_id: str) -> str:
    return f"course {course_id}" if course_id else "its course"


def _rest(course_id: str) -> str:
    return (
        f"More than {LISTED_A_COURSE} active enrolments are not in {_in(course_id)} at the LMS; "
        "the gateway's log has the number."
    )


def _gone(course_id: str) -> str:
    return f"The LMS no longer has course {course_id}, in which enrolments are active."
