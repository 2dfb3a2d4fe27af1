"""What cases cannot say of the mapping `moodle`: what `lms-gateway check` tells of the token's service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import VendorFault
from gateway.perform.findings import findings
from gateway.workbench.cases import Line, Scripted
from gateway.workbench.cases_play import read
from gateway.workbench.cases_stage import Bench, Stage
from tests.moodle_answers import recording

CASES, MAPPING = read(Path(__file__).with_name("moodle.yaml"))
SITE_INFO = str(recording("001-site-info")["response"]["body"])
GRADES = {"marking": "grade", "gradeItems": []}


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as opened:
        yield opened


async def found(bench: Bench, answer: str, **settings: Any) -> list[str]:
    """Each finding in a line, when site info is answered so."""
    line = Line(
        place="here",
        method="POST",
        target="/webservice/rest/server.php",
        answer=Scripted(kind="text", data=answer),
    )
    line = replace(line, query={"moodlewsrestformat": "json", "moodlewssettingraw": "1"})
    case = replace(CASES[0], vendor=(line,), settings={**CASES[0].settings, **settings})
    stage = await Stage.set_up(bench, case, MAPPING)
    return [f"{each.level}: {each.say}" for each in await findings(stage.process.tenant)]


def without(*functions: str, **more: Any) -> str:
    info = json.loads(SITE_INFO)
    info["functions"] = [each for each in info["functions"] if each["name"] not in functions]
    return json.dumps({**info, **more})


@pytest.mark.parametrize(
    "settings", [{}, GRADES, {"cancel": "unenrol"}, {"courseList": "pages"}, {"createUsers": False}]
)
async def test_service_of_the_recorded_site_lacks_nothing(bench: Bench, settings: dict[str, Any]) -> None:
    assert await found(bench, SITE_INFO, **settings) == []


@pytest.mark.parametrize(
    "function",
    [
        "core_course_get_courses_by_field",
        "core_user_get_users_by_field",
        "core_user_create_users",
        "enrol_manual_enrol_users",
        "core_enrol_get_users_courses",
    ],
)
async def test_function_that_every_tenant_needs_is_named_when_it_is_missing(
    bench: Bench, function: str
) -> None:
    (said,) = await found(bench, without(function))
    assert said.startswith(f"problem: The token may not use {function}. Add")


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        ("core_grades_update_grades", GRADES),
        ("enrol_manual_unenrol_users", {"cancel": "unenrol"}),
        ("core_course_search_courses", {"courseList": "pages"}),
    ],
)
async def test_function_is_missed_only_by_a_tenant_whose_settings_need_it(
    bench: Bench, function: str, settings: dict[str, Any]
) -> None:
    assert await found(bench, without(function)) == []
    (said,) = await found(bench, without(function), **settings)
    assert function in said


async def test_tenant_that_makes_no_users_needs_no_function_for_it(bench: Bench) -> None:
    assert await found(bench, without("core_user_create_users"), createUsers=False) == []


async def test_several_missing_functions_stand_in_one_sentence(bench: Bench) -> None:
    (said,) = await found(bench, without("core_user_create_users", "enrol_manual_enrol_users"))
    assert "enrol_manual_enrol_users, core_user_create_users" in said


async def test_old_site_is_noted_and_not_refused(bench: Bench) -> None:
    (said,) = await found(bench, without(version="2019052000", release="3.7 (Build: 20190520)"))
    assert said.startswith("note: This Moodle is 3.7 (Build: 20190520);")


async def test_release_that_is_not_told_is_not_noted(bench: Bench) -> None:
    assert await found(bench, without(version="")) == []


@pytest.mark.parametrize("capture", ["202-proto-expired-token", "203-proto-expired-token-again"])
async def test_expired_token_is_no_finding_but_a_failure(bench: Bench, capture: str) -> None:
    with pytest.raises(VendorFault):
        await found(bench, str(recording(capture)["response"]["body"]))
