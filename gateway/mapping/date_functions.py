"""`date` and `epoch`."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from gateway.errors import ExpressionError
from gateway.mapping.closures import Unreadable
from gateway.mapping.dates import DateFormat, instant, read_time
from gateway.mapping.limits import Run
from gateway.mapping.signatures import function
from gateway.mapping.zones import find_zone


@function("date", "number|text|null", "format", "text|null?", nulls="own")
def _date(run: Run, when: float | str | None, to: str, zone: str | None = None) -> str | None:
    time = _time(when, zone)
    if time is None:
        return None
    try:
        form = DateFormat.read(to)
    except ValueError as problem:
        raise ExpressionError(str(problem), kind="value") from None
    if form.name == "iso":
        return form.write(time, UTC)
    return form.write(time, _zone(zone, f"`date()` to '{form.name}'"))


@function("epoch", "number|text|null", "text|null?", nulls="own")
def _epoch(run: Run, when: float | str | None, zone: str | None = None) -> int | None:
    time = _time(when, zone)
    return None if time is None else int(time.timestamp() // 1)


def _time(when: float | str | None, zone: str | None) -> datetime | None:
    text = when.strip() if isinstance(when, str) else when
    if text is None or text in ("", "0", 0):
        return None
    time = read_time(text) if isinstance(text, str) else instant(text)
    if time is None:
        raise Unreadable("the text is not a time" if isinstance(text, str) else "the number is not a time")
    if time.tzinfo is None:
        time = time.replace(tzinfo=_zone(zone, "a text without a zone"))
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise Unreadable("the time is outside the years 1 to 9999") from None


def _zone(name: str | None, what: str) -> tzinfo:
    if not name:
        fix = "Add one at the end, such as `settings.zone` or 'Australia/Perth'."
        raise ExpressionError(f"{what} needs a zone.", kind="value", fix=fix)
    zone = find_zone(name)
    if zone is None:
        fix = "Zones are IANA names such as Australia/Perth, or names such as Perth."
        raise ExpressionError("This is not a time zone.", kind="value", fix=fix)
    return zone
