"""Points in time as vendors write them: Unix seconds, ISO text, `/Date(ms)/`; and the formats of `date()`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

_SECONDS = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,12})?")
_JSON_DATE = re.compile(r"/Date\((-?[0-9]{1,18})(?:[+-][0-9]{4})?\)/")
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TOKENS = ("YYYY", "YY", "MMM", "MM", "M", "DD", "D", "HH", "H", "hh", "h", "mm", "ss", "A")
_PART = re.compile("|".join(_TOKENS) + "|T(?=[Hh])|[^A-Za-z]+")


def instant(seconds: float) -> datetime | None:
    """None outside the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(seconds=seconds) if math.isfinite(seconds) else None
    except OverflowError:
        return None


def read_time(text: str) -> datetime | None:
    """The time a text names: with a zone, or without one where the text has none. None when unreadable."""
    if _SECONDS.fullmatch(text):
        return instant(float(text))
    if found := _JSON_DATE.fullmatch(text):
        return instant(int(found[1]) / 1000)
    if _ISO.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DateFormat:
    """`iso`, `iso-local`, `date` or a pattern of `YYYY YY MMM MM M DD D HH H hh h mm ss A` and signs."""

    name: str
    parts: tuple[str, ...] = ()

    @staticmethod
    @lru_cache(maxsize=256)
    def read(text: str) -> DateFormat:
        """Raises ValueError with a sentence for the author."""
        if text in ("iso", "iso-local", "date"):
            return DateFormat(name=text)
        parts, at = [], 0
        while at < len(text):
            found = _PART.match(text, at)
            if found is None:
                raise ValueError(f"`{text[at]}` means nothing in a date; known are {' '.join(_TOKENS)}.")
            parts.append(found.group())
            at = found.end()
        if not any(part in _TOKENS for part in parts):
            raise ValueError("A date needs 'iso', 'iso-local', 'date' or a pattern such as 'DD/MM/YYYY'.")
        return DateFormat(name="pattern", parts=tuple(parts))

    def write(self, time: datetime, zone: tzinfo) -> str:
        """`time` has a zone. `iso` is UTC, the others in `zone`; `iso-local` with its distance from UTC."""
        if self.name == "iso":
            return time.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"
        local = time.astimezone(zone).replace(microsecond=0)
        if self.name == "iso-local":
            return local.isoformat()
        if self.name == "date":
            return local.date().isoformat()
        return "".join(_part(part, local) for part in self.parts)


def _part(part: str, time: datetime) -> str:
    hour = time.hour % 12 or 12
    match part:
        case "YYYY":
            return f"{time.year:04d}"
        case "YY":
            return f"{time.year % 100:02d}"
        case "MMM":
            return _MONTHS[time.month - 1]
        case "MM":
            return f"{time.month:02d}"
        case "M":
            return str(time.month)
        case "DD":
            return f"{time.day:02d}"
        case "D":
            return str(time.day)
        case "HH":
            return f"{time.hour:02d}"
        case "H":
            return str(time.hour)
        case "hh":
            return f"{hour:02d}"
        case "h":
            return str(hour)
        case "mm":
            return f"{time.minute:02d}"
        case "ss":
            return f"{time.second:02d}"
        case "A":
            return "AM" if time.hour < 12 else "PM"
    return part
