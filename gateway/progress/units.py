"""Unit results from a reading: what a student management system would call competent, and when.

RTOPilot's progress call takes one number, so these are kept for `lms-gateway units`.
Source: the rules F1 to F8 of the vendor sheet that tells them (section 6.3).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from gateway.mapping.templates import as_text
from gateway.store.units import UnitResult

COMPETENT = "20 - Competency achieved/pass"
"""The national outcome code with its words, as results are typed into student management systems."""

MAX_UNITS = 1_000
MAX_NAME = 200

_NATIONAL = re.compile(r"[A-Z]{3,8}[0-9]{3,4}[A-Z]?")
_AFTER_CODE = ":-–,."
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def code_of(name: str) -> str | None:
    """The national code a unit's name begins with: `TSTABC301 Prepare to test`; None when it has none."""
    words = html.unescape(name).replace("\u00a0", " ").split(maxsplit=1)
    if not words:
        return None
    first = words[0].rstrip(_AFTER_CODE).upper()
    if _NATIONAL.fullmatch(first):
        return first
    begins = re.split(r"[^A-Z0-9]", first, maxsplit=1)[0]  # `TSTABC301-Prepare`
    return begins if _NATIONAL.fullmatch(begins) else None


def results(
    read: Any, *, keep: Literal["coded", "all"], need: Literal["all", "any"], source: str, source_at: float
) -> list[UnitResult]:
    """The units achieved according to a reading's `units`.

    `coded` keeps units whose name begins with a national code, `all` every one. Where several units carry
    one code (theory, practical), `need` says whether all of them must be completed. Units that are not
    completed are left out, and never taken back from what was kept before.
    """
    found: list[UnitResult] = []
    rows = read[:MAX_UNITS] if isinstance(read, list) else []
    for (code, unit_id), same in _grouped((row for row in rows if isinstance(row, Mapping)), keep).items():
        completed = [unit for unit in same if unit.get("completed") is True]
        if not completed or (need == "all" and len(completed) < len(same)):
            continue
        found.append(
            UnitResult(
                code=code,
                unit_id=unit_id,
                name=_name(completed[0]),
                outcome=COMPETENT,
                date=max(_dates(completed), default=None),
                source=source,
                source_at=source_at,
            )
        )
    return found


def _grouped(
    read: Iterable[Mapping[str, Any]], keep: Literal["coded", "all"]
) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Units by what makes them one result: the code, or, for units without one, themselves."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for unit in read:
        code = code_of(_name(unit))
        if code is not None:
            groups.setdefault((code, ""), []).append(unit)
        elif keep == "all":
            groups.setdefault(("", as_text(unit.get("id") or _name(unit))[:MAX_NAME]), []).append(unit)
    return groups


def _name(unit: Mapping[str, Any]) -> str:
    name = unit.get("name")
    return "" if name is None or isinstance(name, list | dict) else as_text(name)[:MAX_NAME]


def _dates(completed: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for unit in completed:
        date = unit.get("date")
        if isinstance(date, str) and _DATE.fullmatch(date[:10]):
            yield date[:10]
