"""`plan` of a poll: what is asked of the vendor again and again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from gateway.mapping.load import compile_document
from gateway.mapping.settings import parse_settings
from gateway.mapping.spec import MappingSpec
from gateway.workbench.plan import Plan, plan
from gateway.workbench.plan_text import print_plan
from gateway.yamlfile import parse_yaml
from tests.workbench.stand_ins import SETTINGS, mapping

HOOKED = Path(__file__).resolve().parents[1] / "data" / "hooked.yaml"
BULK = {
    "plan": "chunks",
    "of": 25,
    "every": "1h",
    "call": "POST /v1/bulk",
    "effect": "read",
    "json": {"ids": {"$each": "enrolments", "$as": "one", "$give": "${one.enrolment}"}},
    "items": "reply.body.data",
    "find": {"enrolment": "${row.id}"},
    "value": {"completed": "${row.done == true}"},
}


def invented(**progress: Any) -> Plan:
    """The plan of the invented vendor's polls, with parts of its `progress` replaced (None: left out)."""
    data = yaml.safe_load(HOOKED.read_text())
    changed = {**data["progress"], **progress}
    data["progress"] = {name: value for name, value in changed.items() if value is not None}
    document = parse_yaml(json.dumps(data), file="hooked.yaml")
    spec: MappingSpec = compile_document(document).mapping
    return plan(spec, parse_settings(spec, "{}"), "poll", {}, document=document)


def shown(made: Plan) -> str:
    out = io.StringIO()
    print_plan(made, Console(file=out, width=200))
    return out.getvalue()


def test_plan_of_a_poll_per_course_shows_its_call_for_a_course_that_is_given_or_not():
    spec = mapping("talentlms")
    settings = parse_settings(spec, json.dumps(SETTINGS["talentlms"]))
    for given, course in (({"courseId": "126"}, "126"), ({}, "‹courseId›")):
        text = shown(plan(spec, settings, "poll", given))
        assert "talentlms poll  (nothing is sent)" in text
        assert (
            "poll: once for each course with active enrolments, every 600 s, spread over the interval" in text
        )
        assert f"GET https://acme.talentlms.com/api/v1/courses/id:{course}\n" in text


def test_plan_of_a_poll_without_a_call_shows_how_an_enrolment_is_read():
    spec = mapping("learning-assistant")
    made = plan(spec, parse_settings(spec, json.dumps(SETTINGS["learning-assistant"])), "poll", {})
    text = shown(made)
    assert "as progress.read reads it" in text
    assert '"CandidateUUID": "‹enrolment.candidate›"' in text
    assert made.log_in is not None


def test_plan_of_a_delta_list_shows_its_window_by_name():
    text = shown(invented())
    assert "poll: what has changed since the last time, every 600 s, with a longer look back at 02:00" in text
    assert "changed_since=‹date(window.from, 'iso')›" in text
    assert "page by page" in text


def test_plan_of_several_polls_shows_each():
    text = shown(invented(poll=[BULK, {"plan": "per-enrolment", "at": ["02:00"]}], webhook=None))
    assert "poll: active enrolments, 25 at a time, every 3600 s" in text
    assert "‹for each `one` of enrolments›" in text
    assert "poll-2: once for each active enrolment, at 02:00, as progress.read reads it" in text


def test_plan_without_a_poll_says_that_nothing_is_sent():
    made = invented(poll=None, webhook=None)
    assert [section.note for section in made.sections] == ["The mapping has no poll; nothing is sent."]
    assert made.log_in is None
