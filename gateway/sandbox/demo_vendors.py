"""The vendors the demo can play with: how their stand-in is started, and what a learner does there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.sandbox import learning_assistant_seed as la
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.talentlms import API_KEY

_SOAP_METHOD = re.compile(r"<(?:[\w.-]+:)?Body\b[^>]*>\s*<(?:[\w.-]+:)?([A-Za-z]+)")
Action = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One vendor of the demo.

    `module` is its stand-in, started with `arguments`; `api` is the path of its API; `term` finds `course`
    in the picker. `progressing` turns the parts of an enrolment id and a percentage into an action of the
    stand-in, `completing` the parts into that of completion, None when the API never tells of it. `polled`
    are parts of the calls that ask for progress; `ended` is the effect that ending an enrolment has there.
    """

    name: str
    title: str
    mapping: str
    module: str
    api: str
    term: str
    course: str
    ended: str
    progressing: Callable[[Sequence[str], int], Action]
    polled: tuple[str, ...]
    completing: Callable[[Sequence[str]], Action] | None = None
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def call_shown(request: Mapping[str, Any]) -> str:
    """A request of a stand-in's journal: its path, and for SOAP the method in it."""
    method = _SOAP_METHOD.search(str(request["body"])) if request["raw_path"].endswith(".cfc") else None
    return f"{request['raw_path']} {method[1]}" if method else str(request["raw_path"])


def _talentlms_progress(parts: Sequence[str], percent: int) -> Action:
    user_id, course_id = parts
    return "set_progress", {"user_id": user_id, "course_id": course_id, "percentage": str(percent)}


def _talentlms_completion(parts: Sequence[str]) -> Action:
    user_id, course_id = parts
    return "complete_course", {"user_id": user_id, "course_id": course_id}


def _learning_assistant_progress(parts: Sequence[str], percent: int) -> Action:
    candidate, course = parts
    return "set_progress", {"candidate_uuid": candidate, "course_uuid": course, "percent": percent}


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
)

VENDORS: Mapping[str, Play] = {play.name: play for play in _PLAYS}
