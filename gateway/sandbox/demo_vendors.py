"""The vendors the demo can play with: how their stand-in is started, and what a learner does there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.sandbox import learning_assistant_seed as la
from gateway.sandbox import learnupon as lu
from gateway.sandbox import media77_switches as media77
from gateway.sandbox.canvas_login import TOKEN as HAND_MADE_TOKEN
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.moodle import TOKEN as MOODLE_TOKEN
from gateway.sandbox.talentlms import API_KEY

_SOAP_METHOD = re.compile(r"<(?:[\w.-]+:)?Body\b[^>]*>\s*<(?:[\w.-]+:)?([A-Za-z]+)")
_FUNCTION = re.compile(r"(?:^|&)wsfunction=([a-z_]+)")
Action = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One vendor of the demo.

    `module` is its stand-in, started with `arguments`; `api` is the path of its API; `term` finds `course`
    in the picker. `progressing` turns the parts of an enrolment id and a percentage into an action of the
    stand-in, `completing` the parts into that of completion, None when the API never tells of it. `polled`
    are parts of the calls that ask for progress; `ended` is the effect that ending an enrolment has there,
    None where the vendor is not told. `full_is_complete`: whoever has done all is complete at once.
    `opens`: learners come in by a page of the gateway's.
    """

    name: str
    title: str
    mapping: str
    module: str
    api: str
    term: str
    course: str
    ended: str | None
    progressing: Callable[[Sequence[str], int], Action]
    polled: tuple[str, ...]
    completing: Callable[[Sequence[str]], Action] | None = None
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    full_is_complete: bool = False
    opens: bool = False


def call_shown(request: Mapping[str, Any]) -> str:
    """A request of a stand-in's journal: its path, and the method or function where its body names one."""
    path, body = str(request["raw_path"]), str(request["body"])
    named = _SOAP_METHOD.search(body) if path.endswith(".cfc") else _FUNCTION.search(body)
    return f"{path.partition('?')[0]} {named[1]}" if named else path


def _talentlms_progress(parts: Sequence[str], percent: int) -> Action:
    user_id, course_id = parts
    return "set_progress", {"user_id": user_id, "course_id": course_id, "percentage": str(percent)}


def _talentlms_completion(parts: Sequence[str]) -> Action:
    user_id, course_id = parts
    return "complete_course", {"user_id": user_id, "course_id": course_id}


def _learning_assistant_progress(parts: Sequence[str], percent: int) -> Action:
    candidate, course = parts
    return "set_progress", {"candidate_uuid": candidate, "course_uuid": course, "percent": percent}


def _learnupon_progress(parts: Sequence[str], percent: int) -> Action:
    return "set_progress", {"enrolment_id": parts[0], "percent": percent}


def _learnupon_completion(parts: Sequence[str]) -> Action:
    return "complete", {"enrolment_id": parts[0]}


def _media77_progress(parts: Sequence[str], percent: int) -> Action:
    return "progress", {"reg": parts[0], "progress": percent}


def _media77_completion(parts: Sequence[str]) -> Action:
    return "complete", {"reg": parts[0]}


def _moodle_progress(parts: Sequence[str], percent: int) -> Action:
    user_id, course_id = parts
    return "show_progress", {"user_id": user_id, "course_id": course_id, "value": percent}


def _moodle_completion(parts: Sequence[str]) -> Action:
    user_id, course_id = parts
    return "complete", {"user_id": user_id, "course_id": course_id}


def _canvas_progress(parts: Sequence[str], percent: int) -> Action:
    """The course of the demo has ten requirements."""
    user_id, course_id = parts
    return "set_progress", {"user_id": user_id, "course_id": course_id, "completed": percent // 10}


def _canvas_completion(parts: Sequence[str]) -> Action:
    user_id, course_id = parts
    return "complete", {"user_id": user_id, "course_id": course_id}


_PLAYS = (
    Play(
        name="talentlms",
        title="TalentLMS",
        mapping="talentlms",
        module="gateway.sandbox.talentlms",
        api="/api/v1",
        term="certificate",
        course="Certificate III in Testing",
        ended="user_unenrolled",
        progressing=_talentlms_progress,
        polled=("/courses/id:", "/getuserstatusincourse/", "/siteinfo"),
        completing=_talentlms_completion,
        settings={"domain": "demo.talentlms.example"},
        secrets={"apiKey": API_KEY},
    ),
    Play(
        name="learning-assistant",
        title="Learning Assistant",
        mapping="learning-assistant",
        module="gateway.sandbox.learning_assistant",
        api="/webservices/soap",
        term="customer",
        course="Certificate in Customer Service",
        ended="withdrawn",
        progressing=_learning_assistant_progress,
        polled=("GetProgress",),
        arguments=("--switches", json.dumps({"status_accessor": "Status"})),
        settings={
            "company": la.COMPANY_UUID,
            "assessor": la.ASSESSOR_UUID,
            "verifier": la.VERIFIER_UUID,
            "transfer": "create",
            "cancel": "update",
        },
        secrets={
            "username": LearningAssistantSwitches().username,
            "password": LearningAssistantSwitches().password,
        },
    ),
    Play(
        name="learnupon",
        title="LearnUpon",
        mapping="learnupon",
        module="gateway.sandbox.learnupon",
        api="/api/v1",
        term="certificate",
        course="Certificate III in Testing",
        ended="unenrolled",
        progressing=_learnupon_progress,
        polled=("GET /api/v1/enrollments/", "/portals"),
        completing=_learnupon_completion,
        arguments=("--switches", json.dumps({"minute_limit": 0})),
        settings={"domain": "demo.learnupon.example", "callsPerMinute": 10_000},
        secrets={"username": lu.USERNAME, "password": lu.PASSWORD},
    ),
    Play(
        name="77media",
        title="77media",
        mapping="77media",
        module="gateway.sandbox.media77",
        api="",
        term="hygiene",
        course="Food & Hygiene Basics",
        ended=None,
        progressing=_media77_progress,
        polled=("/api/reports/progress", "/c/"),
        completing=_media77_completion,
        settings={
            "courses": [
                {
                    "id": "hygiene",
                    "name": "Food & Hygiene Basics",
                    "staging": f"https://{media77.STAGING_HOST}/c/hygiene-staging/",
                }
            ],
            "stagingLmsId": media77.STAGING_LMS_ID,
            "launchedFrom": "learn.demo.example",
            "email": "s-${student.id}@learners.demo.example",
        },
        secrets={"token": media77.TOKEN},
        opens=True,
    ),
    Play(
        name="moodle",
        title="Moodle",
        mapping="moodle",
        module="gateway.sandbox.moodle",
        api="",
        term="certificate",
        course="Certificate III in Testing",
        ended="suspended",
        progressing=_moodle_progress,
        polled=("core_enrol_get_users_courses", "core_webservice_get_site_info"),
        completing=_moodle_completion,
        settings={"site": "https://moodle.demo.example"},
        secrets={"token": MOODLE_TOKEN},
    ),
    Play(
        name="canvas",
        title="Canvas",
        mapping="canvas",
        module="gateway.sandbox.canvas",
        api="/api/v1",
        term="business",
        course="Certificate III in Business",
        ended="enrolment_deactivated",
        progressing=_canvas_progress,
        polled=("progress", "GET /api/v1/courses/3571/enrollments"),
        completing=_canvas_completion,
        settings={"domain": "demo.canvas.example"},
        secrets={"token": HAND_MADE_TOKEN},
        full_is_complete=True,
    ),
)

VENDORS: Mapping[str, Play] = {play.name: play for play in _PLAYS}
FIRST = ("talentlms", "learning-assistant")
"""Those of a demo that nobody has chosen others for."""
