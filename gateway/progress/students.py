"""What RTOPilot's events are good for: merged students keep one LMS user, an address serves later creates.

Everything else is recorded by whoever calls. No event makes anything at an LMS, and a student we do not hold
is left alone: RTOPilot's test deliveries carry example data without a mark.
Source: vendors/rtopilot.md 5.2, 5.3 and 5.5; field names are not published.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, select

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Expression
from gateway.store import enrolments, merged, people
from gateway.store.database import Database
from gateway.store.tables import enrolment

log = logging.getLogger("gateway.hooks")

MAX_ID = 255
MAX_EMAIL = 254
MAX_DEPTH = 3
MAX_KEYS = 200
MAX_NAMED = 20

_AWAY_WORDS = frozenset({"merged", "duplicate", "previous", "old", "source", "from"})
_OTHER_WORDS = frozenset({"into", "to", "by", "user", "staff", "enrolment", "enrollment", "event", "webhook"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")
_NOBODYS = re.compile(r"(?i)(?:[@.]example\.(?:com|net|org)|\.(?:example|invalid|test|localhost|local))$")

_HELD = (
    select(enrolment.c.id)
    .where(enrolment.c.tenant == bindparam("in_tenant"), enrolment.c.student_id == bindparam("student"))
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedRule:
    """Where student.merged carries its ids, once that is known; None: looked for in `data`."""

    merged_away: Expression | None = None
    survivor: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What became of an event: a sentence for the log, or why it is kept aside. Names of keys, no values."""

    summary: str = ""
    quarantine: str | None = None


class _Unclear(Exception):
    """The event cannot be acted on; the message says why, without values."""


async def handle(
    tenant: str, event: str, body: Any, database: Database, now: float, rule: MergedRule | None = None
) -> Handled:
    """Act on one event of RTOPilot's; `event` is what its address says. Twice does what once does."""
    work = _WORK.get(event)
    try:
        _check_name(event, body)
        if work is None:
            return Handled(summary="recorded")
        payload = _Payload(body, rule or MergedRule())
        summary = await database.write(lambda conn: work(conn, tenant, payload, now))
    except _Unclear as why:
        return Handled(quarantine=str(why))
    return Handled(summary=summary)


class _Payload:
    """The parts of an envelope that we look for."""

    def __init__(self, body: Any, rule: MergedRule) -> None:
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict):
            raise _Unclear("there is no object `data` in it")
        self.body: dict[str, Any] = body
        self.data: dict[str, Any] = data
        self.rule = rule

    def student(self) -> str:
        """The student's id: of a merge, the one that remains. Raises _Unclear."""
        if self.rule.survivor is not None:
            return self._given(self.rule.survivor, "merged.to")
        found = {key: _id_of(_at(self.data, key)) for key in ("id", "studentId", "student.id")}
        known = {key: value for key, value in found.items() if value is not None}
        if len(set(known.values())) != 1:
            said = " and ".join(f"`data.{key}`" for key in known)
            raise _Unclear(f"{said} differ" if known else f"no student's id in it; {self._keys()}")
        return next(iter(known.values()))

    def merged_away(self, survivor: str) -> str:
        """The id that was merged away. Raises _Unclear unless exactly one key can be it."""
        if self.rule.merged_away is not None:
            return self._given(self.rule.merged_away, "merged.from")
        found = {
            path: value
            for path, value in _leaves(self.data)
            if _names_merged_away(path) and value not in (None, survivor)
        }
        if len(found) != 1:
            said = f"{len(found) or 'no'} keys can be the id that was merged away"
            raise _Unclear(f"{said}; {self._keys()}; name the right one under `rtopilot.hooks.merged.from`")
        return next(iter(found.values())) or ""

    def contact(self) -> str | None:
        """An e-mail address of the student, if one of a usable form turns up."""
        places = ("email", "emailAddress", "student.email", "student.emailAddress", "contact.email")
        return next((found for place in places if (found := _email(_at(self.data, place)))), None)

    def _given(self, expression: Expression, place: str) -> str:
        try:
            found = _id_of(expression.evaluate(self.body))
        except ExpressionError:
            found = None
        if found is None:
            raise _Unclear(f"`rtopilot.hooks.{place}` gives no id; {self._keys()}")
        return found

    def _keys(self) -> str:
        names = [ascii(path)[1:61].rstrip("'") for path, _ in _leaves(self.data)][:MAX_NAMED]
        return f"keys of `data`: {', '.join(names) or 'none'}"


# -- events -------------------------------------------------------------------------------------------


def _created(conn: Connection, tenant: str, payload: _Payload, now: float) -> str:
    return _keep_contact(conn, tenant, payload, payload.student(), now) or "recorded"


def _merged(conn: Connection, tenant: str, payload: _Payload, now: float) -> str:
    """The survivor takes over what is remembered of the other, unless it has something of its own."""
    survivor = payload.student()
    away = payload.merged_away(survivor)
    if away == survivor:
        raise _Unclear("both ids of the merge are the same")
    contact = _keep_contact(conn, tenant, payload, survivor, now)
    if not _is_held(conn, tenant, away):
        return ", ".join(["the student merged away is not held: recorded", *([contact] if contact else [])])
    if not merged.keep(conn, tenant, away, survivor, now):
        raise _Unclear("an earlier merge says the reverse")
    last = merged.survivor(conn, tenant, survivor)
    done = [f"student {away} is now {last}"]
    if _hand_over(conn, tenant, "student", away, last, now):
        done.append("with the LMS user")
    if _hand_over(conn, tenant, "contact", away, last, now) or contact:
        done.append("with an address")
    return ", ".join(done)


def _cancelled(conn: Connection, tenant: str, payload: _Payload, now: float) -> str:
    """A cross-check only: RTOPilot's Cancel call is the authority."""
    for place in ("lmsEnrolmentId", "enrolment.lmsEnrolmentId"):
        given = _id_of(_at(payload.data, place))
        stored = enrolments.by_id(conn, tenant, given) if given is not None else None
        if stored is not None and stored.state == "active":
            log.warning(
                "tenant %s: RTOPilot calls enrolment %s cancelled; here it is active", tenant, stored.id
            )
            return f"enrolment {stored.id} is active here"
    return "recorded"


_WORK: dict[str, Callable[[Connection, str, _Payload, float], str]] = {
    "student.created": _created,
    "student.merged": _merged,
    "enrolment.cancelled": _cancelled,
}


def _hand_over(
    conn: Connection, tenant: str, kind: people.Kind, away: str, survivor: str, now: float
) -> bool:
    fields = people.recall(conn, tenant, kind, away)
    if not fields or people.recall(conn, tenant, kind, survivor):
        return False
    if kind == "student":  # a user name at the LMS may be made of the id it was signed up with
        fields = {people.MERGED_FROM: away, **fields}
    people.remember(conn, tenant, kind, survivor, fields, now=now)
    return True


def _keep_contact(conn: Connection, tenant: str, payload: _Payload, student: str, now: float) -> str | None:
    email = payload.contact()
    if email is None:
        return None
    people.remember(conn, tenant, "contact", student, {"email": email}, now=now)
    return f"an address of student {student} is kept"


def _is_held(conn: Connection, tenant: str, student: str) -> bool:
    if people.recall(conn, tenant, "student", student):
        return True
    return conn.execute(_HELD, {"in_tenant": tenant, "student": student}).first() is not None


# -- reading what is not documented ---------------------------------------------------------------------


def _check_name(event: str, body: Any) -> None:
    """The address decides; a body that names another event is nobody's business but an operator's."""
    named = [body.get(key) for key in ("event", "type")] if isinstance(body, dict) else []
    said = next((name for name in named if isinstance(name, str) and name), None)
    if said is not None and _plain(said) != _plain(event):
        raise _Unclear(f"it was sent to the address of {event}, and names another event")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", ".", name.lower())


def _at(data: Mapping[str, Any], path: str) -> Any:
    value: Any = data
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _id_of(value: Any) -> str | None:
    """RTOPilot's ids are texts or whole numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip() if isinstance(value, str) or abs(value) < 10**18 else ""
    return text if 0 < len(text) <= MAX_ID and text.isprintable() else None


def _email(value: Any) -> str | None:
    """An address that can receive; example ones are those of test deliveries."""
    if not isinstance(value, str) or len(value) > MAX_EMAIL:
        return None
    text = value.strip()
    return text if _EMAIL.fullmatch(text) and not _NOBODYS.search(text) else None


def _leaves(data: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Dotted paths of what is not an object, with the id that stands there, if it can be one."""
    return list(islice(_walk(data, "", 1), MAX_KEYS))


def _walk(data: Mapping[str, Any], before: str, depth: int) -> Iterator[tuple[str, str | None]]:
    for key, value in data.items():
        path = f"{before}{key}"
        if isinstance(value, dict) and depth < MAX_DEPTH:
            yield from _walk(value, f"{path}.", depth + 1)
        else:
            yield path, _id_of(value[0] if isinstance(value, list) and len(value) == 1 else value)


def _names_merged_away(path: str) -> bool:
    """Whether a path such as `mergedStudentId`, `previous_id` or `from.id` is of the id merged away."""
    words = [word.lower() for word in _WORD.findall(path)]
    ends_in_id = bool(words) and words[-1] in ("id", "ids")
    return ends_in_id and bool(_AWAY_WORDS & set(words)) and not _OTHER_WORDS & set(words)
