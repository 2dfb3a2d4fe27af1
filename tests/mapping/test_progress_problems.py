"""What loading says of polls and webhooks that are wrong, and what hostile ones do."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Problem, ProblemsFound
from gateway.mapping.load import MAX_PROBLEMS, parse_mapping
from gateway.yamlfile import read_yaml

TEXTS = Path(__file__).parents[1] / "data" / "mapping-texts"
WHOLE = (TEXTS / "whole.yaml").read_text()
BASE = read_yaml(TEXTS / "whole.yaml").data
CASES = read_yaml(TEXTS / "progress-problems.yaml").data
FORMS = read_yaml(TEXTS / "progress-forms.yaml").data
READ = """  read: {steps: [{id: status, call: "GET /s/${enrolment.userId}", \
value: {percent: "${reply.body.p}", completed: "${reply.body.d == true}"}}]}
"""


def problems(text: str) -> list[Problem]:
    try:
        return list(parse_mapping(text).warnings)
    except ProblemsFound as found:
        return list(found.problems)


def shown(problem: Problem) -> str:
    warning = "warning: " if problem.severity == "warning" else ""
    where = f"{problem.line}:{problem.column} {problem.place}"
    fix = f" → {problem.fix.strip()}" if problem.fix else ""
    return f"{where} | {warning}{problem.message}{fix}"


def written(case: dict[str, Any]) -> str:
    read = READ if case.get("read", True) else ""
    return f"{WHOLE}{case.get('top', '')}progress:\n{read}{case['progress']}"


@pytest.mark.parametrize("name", CASES)
def test_wrong_progress_is_answered_with_exactly_these_problems(name: str) -> None:
    case = CASES[name]
    assert [shown(problem) for problem in problems(written(case))] == case["problems"]


def test_a_secret_written_in_place_of_its_name_is_not_shown() -> None:
    found = problems(written(CASES["a secret in plain sight"]))
    assert not any("sk9aB3" in str(problem) for problem in found)
    private = problems(written(CASES["keys that are private"]))
    assert [problem.source for problem in private] == [None]


def test_a_field_that_no_record_has_is_underlined_and_corrected() -> None:
    case = CASES["a field that no record has"]
    with pytest.raises(ProblemsFound) as found:
        parse_mapping(written(case), "mappings/small.yaml")
    first = str(found.value).split("\n\n")[0].splitlines()
    assert first[0] == "mappings/small.yaml:19:93  progress.poll.find.userid"
    assert first[2].index("^") - first[1].index("|") == first[2].index("|") - first[1].index("|") + 94
    assert first[3:] == ["    `createEnrolment` keeps no `userid` in its `record`.", "    Write `userId`."]


# What cannot be told is not complained of twice.


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("record: {userId: 5, courseId: x}\n    key: 5", "operations.createEnrolment.key"),
        ("record: 5\n    key: [userId]", "operations.createEnrolment.record"),
    ],
)
def test_fields_are_not_checked_against_a_broken_record(text: str, says: str) -> None:
    whole = WHOLE.replace(
        'record: {userId: "${student.id}", courseId: "${courseId}"}\n    key: [userId, courseId]', text
    )
    assert whole != WHOLE
    places = [problem.place for problem in problems(whole + "progress:\n" + READ + _polled())]
    assert says in places and not any("find" in place for place in places)


def _polled() -> str:
    return (
        '  poll: {plan: per-course, every: 1h, call: "GET /c/${courseId}", items: reply.body, '
        'find: {userId: "${row.u}", courseId: "${row.c}"}, value: {completed: "${row.d == true}"}}\n'
    )


@pytest.mark.parametrize(
    "part",
    [
        "poll: {plan: per-course, every: 1h, call: 5, items: 5, find: 5, value: 5}",
        "poll: {plan: delta, every: 5, window: 5, audit: 5, call: GET /x, items: reply.body}",
        "poll: {plan: per-course, every: soon, at: 5, spread: 5}",
        "read: 5\n  poll: {plan: per-enrolment, every: 1h}",
    ],
)
def test_a_part_that_the_schema_refuses_is_not_missed_as_well(part: str) -> None:
    found = problems(WHOLE + "progress:\n  " + part + "\n")
    refused = {problem.place for problem in found if "must be" in problem.message or "A " in problem.message}
    assert refused
    assert not any("is none" in problem.message or "when it runs" in problem.message for problem in found)


# Hostile files.

JUNK: list[Any] = [
    None, True, 0, -1, 1e308, "", "x", "${", "${secrets.k}", "${a.b.c}", "$x", [], {}, [None], [[]], [{}],
    {"x": None}, {"$each": 1}, {"$each": "x", "$as": []}, "raw", ["raw"], "headers.X-Y", "per-course", "jwt",
    "999999d", "0s", ["02:00"], "https://x", {"keys": [{}]}, {"keys": None}, {"kind": "hmac"}, {"plan": "delta"},
    "9" * 5000, "`", "[?", "(" * 60,
]  # fmt: skip
KEYS = sorted({key for form in FORMS.values() for key in json.dumps(form).split('"') if key.isidentifier()})


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a node."""
    found: list[tuple[Any, Any]] = []
    waiting = [node]
    while waiting:
        part = waiting.pop()
        pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, value in pairs:
            found.append((part, key))
            waiting.append(value)
    return found


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """A mapping in whose `progress` some parts were replaced, taken out, renamed or added."""
    form = copy.deepcopy(draw(st.sampled_from(list(FORMS.values()))))
    for _ in range(draw(st.integers(1, 4))):
        form.setdefault("progress", {})
        container, key = draw(st.sampled_from(places(form["progress"]) or [(form, "progress")]))
        change = draw(st.sampled_from(["replace", "remove", "rename", "add"]))
        if change == "replace":
            container[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        elif change == "remove" or isinstance(container, list):
            del container[key]
        elif change == "rename":
            container[draw(st.sampled_from(KEYS))] = container.pop(key)
        else:
            container[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(st.sampled_from(JUNK)))
    operations = {**BASE["operations"], **form.get("operations", {})}
    return {**BASE, **form, "server": {**BASE["server"], **form.get("server", {})}, "operations": operations}


def loads_or_says_why(text: str) -> list[Problem]:
    found = problems(text)
    assert all(problem.message for problem in found)
    assert len(found) <= MAX_PROBLEMS + 1
    return found


@given(mutants())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_progress_gone_wrong_anywhere_loads_or_says_why(document: Any) -> None:
    loads_or_says_why(json.dumps(document))


@pytest.mark.parametrize(
    "progress",
    [
        {"poll": [{"plan": "per-enrolment", "every": "1h"}] * 500},
        {"poll": {"plan": "per-enrolment", "at": [f"{at % 24:02}:{at // 24 % 60:02}" for at in range(900)]}},
        {"poll": {"plan": "per-course", "every": "1h", "find": {f"f{at}": "x" for at in range(2000)}}},
        {"webhook": {"verify": {"kind": "hmac", "signed": ["raw"] * 5000, "signature": "headers.x"}}},
        {"webhook": {"verify": {"kind": "bearer", "secrets": [f"s{at}" for at in range(2000)]}}},
        {"webhook": {"verify": {"kind": "hmac", "prefix": "x" * 10_000, "signature": "headers.x"}}},
        {"webhook": {"verify": {"kind": "jwt", "algorithms": ["RS256", "none"] * 500}}},
    ],
    ids=["plans", "times", "fields", "signed parts", "secrets", "prefix", "algorithms"],
)
def test_huge_lists_are_refused_in_few_words(progress: dict[str, Any]) -> None:
    found = loads_or_says_why(WHOLE + "progress: " + json.dumps(progress) + "\n")
    assert any(problem.severity == "error" for problem in found)


@pytest.mark.parametrize("depth", [20, 59, 200])
@pytest.mark.parametrize("key", ["value", "keys", "json"])
def test_deep_nesting_is_refused_or_loads_but_never_crashes(key: str, depth: int) -> None:
    deep = "{a: " * depth + "1" + "}" * depth
    part = {
        "value": f"poll: {{plan: per-course, every: 1h, call: GET /x, value: {deep}}}",
        "json": f"poll: {{plan: chunks, every: 1h, call: POST /x, effect: read, json: {deep}}}",
        "keys": f"webhook: {{verify: {{kind: jwt, algorithms: [RS256], keys: {deep}}}, find: {{userId: x}}}}",
    }[key]
    assert loads_or_says_why(WHOLE + "progress:\n" + READ + "  " + part + "\n")
