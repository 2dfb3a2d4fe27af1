"""`lms-gateway check`: what holds of one tenant's configuration, and what to do about the rest.

    check_settings.py   without a network: can learners sign in, can RTOPilot reach us, do hosts resolve
    check_vendor.py     real reads at the vendor: credentials, courses, clock, choices
    check_rtopilot.py   RTOPilot's part, played over HTTP with exactly what is pasted into its slots
    check_write.py      one test enrolment, made and cancelled

RTOPilot tests nothing when its settings are saved (vendors/rtopilot.md 1), so this does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warning", "red", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing looked at: what was found, and what to do about it where that is not well."""

    what: str
    verdict: Verdict
    found: str
    todo: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def ok(what: str, found: str, todo: str = "") -> Row:
    return Row(what=what, verdict="ok", found=found, todo=todo)


def warning(what: str, found: str, todo: str) -> Row:
    return Row(what=what, verdict="warning", found=found, todo=todo)


def red(what: str, found: str, todo: str) -> Row:
    return Row(what=what, verdict="red", found=found, todo=todo)


def skipped(what: str, why: str) -> Row:
    return Row(what=what, verdict="skipped", found=why)


def good(rows: Sequence[Row]) -> bool:
    """Whether nothing is red."""
    return all(row.verdict != "red" for row in rows)
