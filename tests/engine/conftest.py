"""A small mapping, a frame over it, and a player that feeds canned replies to the engine's generators."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.contract import Operation
from gateway.engine import operations, steps
from gateway.engine.calls import Call, Commit, Reply
from gateway.engine.doubt import Resume
from gateway.engine.frame import Frame
from gateway.mapping.expressions import Runtime
from gateway.mapping.load import load_mapping, parse_mapping
from gateway.mapping.spec import MappingSpec

MAPPINGS = Path(__file__).parents[2] / "mappings"

HEAD = """
format: 1
mapping: demo
version: 1.0.0
vendor: {name: Demo}
settings:
  email: {type: text, default: ana@x.example}
  word: {type: text, default: one}
  list: {type: list, item: {id: text}, default: []}
secrets: {apiKey: {help: key}}
"""
SERVER = 'server: {base: "https://lms.example/api", hosts: [lms.example, other.example]}'
DEFAULTS = {
    "getCourses": '{each: settings.list, as: course, give: {id: "${course.id}", name: "${course.id}"}}',
    "createEnrolment": '{steps: [{id: go, call: GET /go}], record: {id: "${courseId}"}, key: [id]}',
    "transferEnrolment": '{refuse: "no"}',
    "cancelEnrolment": '{refuse: "no"}',
}


def _mapping(*, server: str = SERVER, extra: str = "", **forms: str) -> MappingSpec:
    text = HEAD + textwrap.dedent(server).strip() + "\n" + textwrap.dedent(extra).strip() + "\noperations:\n"
    for name, form in {**DEFAULTS, **forms}.items():
        text += f"  {name}:\n" + textwrap.indent(textwrap.dedent(form).strip(), "    ") + "\n"
    return parse_mapping(text).mapping


def _frame(
    mapping: MappingSpec,
    operation: str = "createEnrolment",
    *,
    base: str = "https://lms.example/api",
    **more: Any,
) -> Frame:
    root = {
        "settings": {"email": "ana@x.example", "word": "one", "list": []},
        "bundle": {},
        "probe": {},
        "courseId": "126",
        "student": {"id": "204", "firstName": "Ana", "lastName": "Diaz"},
        "to": {"id": "205", "firstName": "Bo", "lastName": "Lee"},
        "enrolment": {"userId": "7", "courseId": "126"},
        "known": {"student": None, "course": None},
        "quizResults": [],
        "searchTerm": None,
        **more.pop("root", {}),
    }  # fmt: skip
    return Frame(
        mapping=mapping,
        operation=Operation(operation),
        base=base,
        hosts=frozenset({"lms.example", "other.example"}),
        runtime=Runtime(now=1000.0, random=Random(1)),
        root=root,
        **{
            "secrets": {"apiKey": "KEY-123456"},
            "personal": {"Ana": "‹first name›", "Diaz": "‹last name›"},
            **more,
        },
    )


@dataclass
class Played:
    """What a generator did: its calls, commits and result, or the error it ended with."""

    result: Any = None
    error: BaseException | None = None
    calls: list[Call] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    unused: list[Any] = field(default_factory=list)

    @property
    def asked(self) -> list[str]:
        return [f"{call.method} {call.target}" for call in self.calls]


def _play(work: Any, *replies: Any) -> Played:
    """Feed replies, or errors to throw, until the generator ends; leftover replies are kept in `unused`."""
    played, waiting = Played(), list(replies)
    answer: Any = None
    try:
        while True:
            item = work.throw(answer) if isinstance(answer, BaseException) else work.send(answer)
            answer = None
            if isinstance(item, Commit):
                played.commits.append(item)
                continue
            played.calls.append(item)
            assert waiting, f"no reply left for {item.method} {item.target}"
            answer = waiting.pop(0)
            if isinstance(answer, Reply):
                answer = replace(answer, verdict=item.judge(answer))
    except StopIteration as end:
        played.result = end.value
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001 - what it ends with is the point
        played.error = error
    played.unused = waiting
    return played


def _steps(frame: Frame, *replies: Any, resume: Resume | None = None) -> Played:
    spec = operations.form(frame, frame.operation)
    assert spec is not None
    return _play(steps.run(frame, spec.steps, resume or Resume()), *replies)


@pytest.fixture
def make_mapping():
    return _mapping


@pytest.fixture
def make_frame():
    """(operation's form as YAML, operation name) -> a frame."""

    def make(
        form: str | None = None,
        operation: str = "createEnrolment",
        *,
        server: str = SERVER,
        extra: str = "",
        **more: Any,
    ) -> Frame:
        forms = {} if form is None else {operation: form}
        return _frame(_mapping(server=server, extra=extra, **forms), operation, **more)

    return make


@pytest.fixture
def play():
    return _play


@pytest.fixture
def run_steps():
    return _steps


@pytest.fixture
def real_frame():
    """A frame over one of the shipped mappings."""

    def make(name: str, operation: str, *, settings: dict[str, Any], base: str, **more: Any) -> Frame:
        loaded = load_mapping(MAPPINGS / f"{name}.yaml").mapping
        values = {key: setting.default for key, setting in loaded.settings.items()}
        frame = _frame(loaded, operation, base=base, **more)
        frame.root["settings"] = values | settings
        return frame

    return make
