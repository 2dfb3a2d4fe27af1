"""A mapping's case files (`tests/mappings/<vendor>.yaml`) as data, with every problem in a file at once.

    cases.py          this: the file format
    cases_answers.py  a scripted answer as bytes
    cases_match.py    a request against a script, difference by difference
    cases_vendor.py   the scripted vendor: answers, effects, mishaps
    cases_stored.py   what a case has in the store before it begins
    cases_event.py    a webhook as the vendor would post it
    cases_back.py     polls and webhooks at work in one process
    cases_stage.py    one gateway process over it all, and the office that repeats itself
    cases_verdict.py  what must hold at the end
    cases_told.py     the same for what came of a poll or webhook
    cases_hard.py     the hard cases made from each case of an operation
    cases_swept.py    those made from polls and webhooks
    cases_forged.py   deliveries that prove nothing
    cases_secrets.py  looking for planted secrets in every output
    cases_play.py     playing a file, and the report

Source: docs/case-files.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from gateway.contract import Operation
from gateway.errors import ProblemsFound
from gateway.mapping.schema import check_schema
from gateway.mapping.source import Source
from gateway.workbench.cases_cassette import read_cassette
from gateway.yamlfile import Document, read_yaml

SCHEMA = "cases-1.json"
START = 1_790_000_000.0
"""When a case begins, in Unix seconds, unless it says otherwise."""
BODIES = ("json", "text", "html", "xml", "soap")

Hard = Literal[
    "crash_everywhere",
    "repeat_everywhere",
    "time_out_everywhere",
    "malformed_everywhere",
    "no_secret_in_output",
    "forge_everywhere",
]
Lost = Literal["timeout", "reset", "not_sent"]


class Signal(StrEnum):
    """What a case may run besides an operation: the two ways in which the vendor's news come in."""

    POLL = "poll"
    WEBHOOK = "webhook"


Run = Operation | Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """One scripted answer. `kind` says what `data` is: json, text, html, xml, soap, or None for no body.

    `header` is the SOAP header of a soap answer; with `lost` no answer arrives (the write was done unless
    it was `not_sent`).
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str | None = None
    data: Any = None
    header: Any = None
    namespace: str | None = None
    lost: Lost | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Line:
    """One request the vendor expects, and what it answers.

    `body` is what the request must carry under `form`, `json` or `soap`; `makes` are lines that hold once
    this write was applied. `maybe`: need not be asked; `again`: may be asked more than once;
    `harmless`: applied twice equals once; `changes`: whether applying it changes anything at the vendor.
    """

    place: str
    method: str
    target: str
    answer: Scripted
    query: Mapping[str, Any] | None = None
    headers: Mapping[str, Any] | None = None
    body_kind: Literal["form", "json", "soap"] | None = None
    body: Any = None
    makes: tuple[Line, ...] = ()
    maybe: bool = False
    again: bool = False
    harmless: bool = False
    changes: bool = True

    @property
    def ask(self) -> str:
        return f"{self.method} {self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An enrolment the store has before the case begins; `course` is the vendor's own id.

    `progress` is what is known of it; a `new` one is too young to be missed in a list.
    """

    record: Mapping[str, Any]
    course: str | None = None
    student: str | None = None
    state: Literal["active", "cancelled"] = "active"
    progress: int | None = None
    new: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Case:
    """One case: what RTOPilot asks, or the vendor posts, what the vendor says, what must come of it.

    `may_lack` names record fields that a lost answer may cost in the hard cases; `at` is when it begins,
    `tenant` what the tenant chooses of progress.
    """

    name: str
    place: str
    run: Run
    given: Mapping[str, Any]
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    known: Mapping[str, Mapping[str, Any]]
    stored: tuple[Stored, ...]
    vendor: tuple[Line, ...]
    cancel_vendor: tuple[Line, ...]
    expect: Mapping[str, Any]
    also: tuple[Hard, ...]
    may_lack: tuple[str, ...] = ()
    at: float = START
    tenant: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    path: Path
    mapping: str
    written: str
    cases: tuple[Case, ...]


def load_cases(path: Path, *, cassettes: Path | None = None) -> CaseFile:
    """Read a case file. Raises ProblemsFound with everything wrong in it.

    `cassettes` is the folder recorded conversations lie in; left out, `cassettes` beside the file's folder.
    """
    document = read_yaml(path)
    source = Source(document)
    check_schema(source, SCHEMA)
    if source.problems:
        raise ProblemsFound(sorted(source.problems, key=lambda problem: (problem.line, problem.column)))
    reader = _Reader(document, cassettes if cassettes is not None else path.parent.parent / "cassettes")
    data = document.data
    cases = tuple(reader.case(index, test) for index, test in enumerate(data["tests"]))
    if reader.problems:
        raise ProblemsFound(reader.problems)
    return CaseFile(path=path, mapping=data["mapping"], written=data.get("written", ""), cases=cases)


class _Reader:
    """Turns one checked document into cases; what the schema cannot say is noted in `problems`."""

    def __init__(self, document: Document, cassettes: Path) -> None:
        self.problems: list[Any] = []
        self._document, self._cassettes = document, cassettes
        self._data = document.data
        self._names: set[str] = set()

    def case(self, index: int, test: Mapping[str, Any]) -> Case:
        here = ("tests", index)
        if test["name"] in self._names:
            self._problem((*here, "name"), "Another case has this name; the name is how a case is chosen.")
        self._names.add(test["name"])
        shared = self._lines(self._data.get("vendor", ()), ("vendor",), shared=True)
        return Case(
            name=test["name"],
            place=self._at(here),
            run=self._run(test, here),
            given=test.get("with", {}),
            settings={**self._data.get("settings", {}), **test.get("settings", {})},
            secrets={**self._data.get("secrets", {}), **test.get("secrets", {})},
            known=test.get("known", {}),
            stored=tuple(Stored(**item) for item in test.get("stored", ())),
            vendor=(*self._conversation(test, here), *shared),
            cancel_vendor=self._lines(test.get("cancel_vendor", ()), (*here, "cancel_vendor")),
            expect=test["expect"],
            also=tuple(test.get("also", ())),
            may_lack=tuple(test.get("may_lack", ())),
            at=test.get("at", START),
            tenant=test.get("tenant", {}),
        )

    def _run(self, test: Mapping[str, Any], here: tuple[str | int, ...]) -> Run:
        run, given = test["run"], test.get("with", {})
        if (run == "webhook") is not ("event" in given):
            self._problem((*here, "run"), "`run: webhook` and `with: {event: …}` need each other.")
        if "forge_everywhere" in test.get("also", ()) and run != "webhook":
            self._problem((*here, "also"), "Only a webhook can be forged.")
        return Signal(run) if run in set(Signal) else Operation(run)

    def _conversation(self, test: Mapping[str, Any], here: tuple[str | int, ...]) -> tuple[Line, ...]:
        inline = self._lines(test.get("vendor", ()), (*here, "vendor"))
        if "cassette" not in test:
            return inline
        try:
            recorded = read_cassette(self._cassettes / test["cassette"])
        except (OSError, ValueError) as error:
            self._problem((*here, "cassette"), f"The cassette cannot be read: {error}")
            return inline
        nodes = self._lines(recorded, (*here, "cassette"))
        return (*inline, *nodes)

    def _lines(
        self, nodes: Sequence[Any], here: tuple[str | int, ...], *, shared: bool = False
    ) -> tuple[Line, ...]:
        return tuple(self._line(node, (*here, index), shared) for index, node in enumerate(nodes))

    def _line(self, node: Mapping[str, Any], here: tuple[str | int, ...], shared: bool) -> Line:
        method, _, target = node["ask"].partition(" ")
        kind: Any = next((kind for kind in ("form", "json", "soap") if kind in node), None)
        return Line(
            place=self._at(here),
            method=method,
            target=target,
            query=node.get("query"),
            headers=node.get("headers"),
            body_kind=kind,
            body=node.get(kind) if kind else None,
            answer=self._answer(node["answer"]),
            makes=self._lines(node.get("makes", ()), (*here, "makes"), shared=True),
            maybe=node.get("maybe", shared),
            again=node.get("again", shared),
            harmless=node.get("harmless", False),
            changes=node.get("changes", True),
        )

    def _answer(self, node: Mapping[str, Any]) -> Scripted:
        kind = next((kind for kind in BODIES if kind in node), None)
        return Scripted(
            status=node.get("status", 200),
            headers=node.get("headers", {}),
            kind=kind,
            data=node[kind] if kind else None,
            header=node.get("soap_header", self._data.get("soap_header")),
            namespace=self._data.get("soap_namespace"),
            lost=node.get("lost"),
        )

    def _at(self, here: tuple[str | int, ...]) -> str:
        return f"{self._document.file}:{self._document.place(here).line}"

    def _problem(self, here: tuple[str | int, ...], message: str) -> None:
        self.problems.append(self._document.problem(here, message, code="cases_error"))
