"""What cases cannot say of the mapping `learnupon`: the units of a reading, and what `lms-gateway check` tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.perform.enrolments import read as read_enrolment
from gateway.perform.findings import findings
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace
from gateway.workbench.cases import Line, Scripted
from gateway.workbench.cases_play import read
from gateway.workbench.cases_stage import Bench, Stage

CASES, MAPPING = read(Path(__file__).with_name("learnupon.yaml"))
RECORD = {"enrolment": "880231", "userId": "5501", "courseId": "s3300"}
SESSIONS = [
    {"id": 405, "session_id": 9001, "title": "TSTABC301 Practice day", "status": "completed"},
    {"id": 405, "session_id": 9002, "title": "TSTABC301 Practice day", "status": "not_started"},
    {"id": 512, "session_id": None, "title": "TSTABC301 Practice day", "status": "not_started"},
    {"id": 9001, "session_id": 405, "title": "Welcome", "status": "passed"},
]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as opened:
        yield opened


async def stage_with(bench: Bench, path: str, body: Any, headers: dict[str, str] | None = None) -> Stage:
    """A gateway whose vendor answers this one question."""
    answer = Scripted(kind="json", data=body, headers=headers or {})
    line = Line(place="here", method="GET", target=path, answer=answer)
    return await Stage.set_up(bench, replace(CASES[0], vendor=(line,)), MAPPING)


async def found(bench: Bench, body: Any, headers: dict[str, str] | None = None) -> list[str]:
    """Each finding in a line, when the portals are answered so."""
    stage = await stage_with(bench, "/portals", body, headers)
    return [f"{each.level}: {each.say}" for each in await findings(stage.process.tenant)]


async def test_reading_holds_one_unit_for_each_module_however_many_sessions_it_has(bench: Bench) -> None:
    enrolment = {"id": 880231, "status": "in_progress", "percentage_complete": 40, "modules": SESSIONS}
    stage = await stage_with(bench, "/enrollments/880231", {"enrollments": [enrolment]})
    outcome = await read_enrolment(stage.process.tenant, RECORD, Deadline(5.0), Trace(), units=True)
    assert outcome.reading is not None
    assert [(unit["id"], unit["completed"]) for unit in outcome.reading["units"]] == [
        ("m405", True),
        ("m512", False),
        ("m9001", True),
    ]


@pytest.mark.parametrize("body", [{"portals": [{"id": 1201}]}, {"portals": [{"id": 1}, {"id": 2}]}])
async def test_key_that_opens_a_portal_is_no_finding(bench: Bench, body: dict[str, Any]) -> None:
    assert await found(bench, body) == []


@pytest.mark.parametrize("body", [{"portals": []}, {"success": "ok"}])
async def test_key_that_opens_no_portal_is_a_problem(bench: Bench, body: dict[str, Any]) -> None:
    (said,) = await found(bench, body)
    assert said.startswith("problem: The key opens no portal.")


@pytest.mark.parametrize(("left", "noted"), [("9999", True), ("10000", False), ("499999", False)])
async def test_week_that_is_nearly_spent_is_noted(bench: Bench, left: str, noted: bool) -> None:
    said = await found(bench, {"portals": [{"id": 1201}]}, {"X-LU-Rate-Limit-Remaining-Week": left})
    assert [each.startswith("note: Fewer than 10,000 calls") for each in said] == ([True] if noted else [])
