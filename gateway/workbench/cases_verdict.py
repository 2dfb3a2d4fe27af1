"""What must hold at the end of a play: what was heard, what is stored, what was done at the vendor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gateway import ids
from gateway.contract import Course, Done, Enrolment
from gateway.mapping.spec import Action, MappingSpec, OperationSpec, Step
from gateway.store import manual, people, runs
from gateway.workbench import cases_told
from gateway.workbench.cases import Case, Signal
from gateway.workbench.cases_stage import NAME, Heard, Stage
from gateway.workbench.cases_stored import student_of
from gateway.workbench.cases_vendor import Sent

OURS = frozenset({"internal_error", "mapping_failed"})


class CaseFailed(Exception):
    """A play did not go as it must; the text has one difference a line."""

    @classmethod
    def when(cls, problems: Sequence[str]) -> None:
        if problems:
            raise cls("\n".join(dict.fromkeys(problems)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Undisturbed:
    """What came of a case when nothing went wrong; `before` is what was known when it began."""

    heard: Heard
    record: Any
    sent: tuple[Sent, ...]
    effects: Mapping[Any, int]
    commits: int
    before: cases_told.Told
    told: cases_told.Told


# -- the case itself --------------------------------------------------------------------------------


async def expected(stage: Stage, heard: Heard, case: Case) -> list[str]:
    """The differences between what came of a case and what its `expect` says."""
    wanted, found = case.expect, await _findings(stage, heard, case)
    if isinstance(case.run, Signal):
        found |= await cases_told.findings(stage, heard)
    elif "units" in wanted:
        await cases_told.refreshed(stage, heard)
    found["units"] = (await cases_told.told(stage)).units
    problems: list[str] = []
    if {"error", "code", "verified"}.isdisjoint(wanted) and not heard.ok:
        problems.append(f"RTOPilot heard {heard}")
    for name, value in wanted.items():
        if name in ("say", "not_say"):
            problems += _said(name, value, heard)
        elif name in found:
            problems += _differs(name, value, found[name])
        else:
            problems.append(f"expect.{name}: there is no such thing after `run: {case.run}`")
    for line in stage.vendor.unused():
        problems.append(f"never asked: {line.ask} ({line.place})")
    return [*problems, *_detail(stage, heard, problems)]


def _differs(name: str, wanted: Any, found: Any) -> list[str]:
    if name in ("warnings", "manual"):
        return _listed(name, wanted, found)
    if name == "aside" and wanted is not None:
        return _listed(name, [wanted], [found or ""])
    if name in ("units", "events"):
        return cases_told.wrong_parts(name, wanted, found or ())
    if isinstance(found, cases_told.Told):
        return cases_told.wrong_progress(wanted, found)
    return [] if found == wanted else [f"expect.{name}: {wanted!r} was expected, it is {found!r}"]


async def _findings(stage: Stage, heard: Heard, case: Case) -> dict[str, Any]:
    stored = await stage.stored(heard)
    result = heard.result

    def look(conn: Connection) -> tuple[Any, Any, Any]:
        student = student_of(case)
        known = people.recall(conn, NAME, "student", student) if student is not None else None
        return runs.list_runs(conn), manual.list_items(conn), known

    listed, items, known = await stage.bench.reads.run(look)
    wanted_id = case.expect.get("id")
    outputs = [run.output for run in listed if run.output]
    return {
        "id": _id_as(wanted_id, result) if isinstance(result, Done | Enrolment) else None,
        "record": None if stored is None else stored.record,
        "error": heard.status,
        "code": heard.code,
        "progress": result.progress if isinstance(result, Enrolment) else None,
        "course": _course(result) if isinstance(result, Course) else None,
        "courses": [_course(course) for course in result] if isinstance(result, list) else None,
        "sent": len(stage.vendor.sent),
        "sent_writes": sum(sent.write for sent in stage.vendor.sent),
        "warnings": [warning for output in outputs for warning in output.get("warnings", ())],
        "manual": [item.sentence for item in items],
        "remembered": known,
        "state": await _state(stage, case),
        "vendor_faults": stage.process.tenant.vendor_faults,
    }


def _id_as(wanted: Any, result: Done | Enrolment) -> Any:
    return list(ids.decode(result.id).parts) if isinstance(wanted, list) else result.id


def _course(course: Course) -> dict[str, str]:
    return {"id": ids.decode_course(course.id), "name": course.name}


async def _state(stage: Stage, case: Case) -> str | None:
    enrolment = case.given.get("enrolmentId")
    if enrolment is None:
        return None
    wanted = ids.encode(enrolment) if isinstance(enrolment, list) else enrolment
    stored = await stage.stored(Heard(result=Done(id=wanted)))
    return None if stored is None else stored.state


def _said(name: str, words: str | list[str], heard: Heard) -> list[str]:
    texts = [words] if isinstance(words, str) else words
    wrong = [text for text in texts if (text in heard.say) is (name == "not_say")]
    return [f"expect.{name}: {text!r}, but RTOPilot heard: {heard.say}" for text in wrong]


def _listed(name: str, words: list[str], found: list[str]) -> list[str]:
    if len(words) == len(found) and all(word in text for word, text in zip(words, found, strict=True)):
        return []
    return [f"expect.{name}: {words!r} was expected, it is {found!r}"]


def _detail(stage: Stage, heard: Heard, problems: list[str]) -> Iterator[str]:
    """For a reader who wonders why: what was sent and answered, masked as the trace has it."""
    if not problems:
        return
    for reference in stage.references:
        for traced in stage.process.perform.ring.get(reference):
            shown = traced.exchange
            answer = f"{shown['status'] or shown['lost']}, {shown['outcome']} by {shown['rule']}"
            yield f"  {shown['request']} -> {answer}"


# -- the hard cases ---------------------------------------------------------------------------------


async def compare(stage: Stage, heard: Heard, normal: Undisturbed, *, effects: bool) -> list[str]:
    """What differs from the undisturbed run; with `effects` also what was lost at the vendor."""
    problems: list[str] = []
    if (heard.status, heard.code) != (
        normal.heard.status,
        normal.heard.code,
    ) or heard.result != normal.heard.result:
        problems.append(f"RTOPilot heard {heard}; undisturbed it hears {normal.heard}")
    stored = await stage.stored(heard)
    if (
        heard.ok
        and stored is not None
        and not _same_record(stored.record, normal.record, stage.case.may_lack)
    ):
        problems.append(f"the record is {stored.record}; undisturbed it is {normal.record}")
    if effects:
        for line in normal.effects:
            if not stage.vendor.effects[line] and not _overridden(stage, line):
                problems.append(f"lost: {line.ask} ({line.place}) was never done")
    return problems


def _same_record(record: Any, normal: Any, may_lack: tuple[str, ...]) -> bool:
    return all(
        record.get(name) == value or (name in may_lack and name not in record)
        for name, value in normal.items()
    ) and all(name in normal for name in record)


def _overridden(stage: Stage, line: Any) -> bool:
    """Whether another line of the script has taken its place, such as `already a member`."""
    return any(made.ask == line.ask and stage.vendor.used[made] for made in stage.vendor.made)


def clean(*heard: Heard) -> list[str]:
    """Failures that are the gateway's or the mapping's own, and no clean answer to what went wrong."""
    return [f"RTOPilot heard {one}" for one in heard if one.status == 500 or one.code in OURS]


def twice(stage: Stage, mapping: MappingSpec) -> list[str]:
    """Writes done twice at the vendor, and writes sent again that must not have been."""
    problems = [
        f"done {count} times: {line.ask} ({line.place})"
        for line, count in stage.vendor.effects.items()
        if count > 1 and not line.harmless
    ]
    actions = dict(_actions(mapping))
    writes: dict[tuple[str, str], list[Sent]] = {}
    for sent in stage.vendor.sent:
        if sent.write and sent.journal is not None and not sent.not_sent:
            writes.setdefault((sent.step, sent.request.ask), []).append(sent)
    for (step, _), row in writes.items():
        action = actions.get(step)
        if action is None or action.repeat == "safe":
            continue
        after_s = action.confirm.after_s if action.confirm is not None else 0.0
        for earlier, later in zip(row, row[1:], strict=False):
            problems += _sent_again(step, earlier, later, after_s)
    return problems


def _sent_again(step: str, earlier: Sent, later: Sent, after_s: float) -> list[str]:
    if not earlier.line.changes:
        return []
    if earlier.applied:
        return [f"sent again although it had been done: {later.request.ask} ({step})"]
    waited = later.at - earlier.at
    if not earlier.sure and waited < after_s:
        return [
            f"sent again after {waited:.1f} s, before it was proven not done: {later.request.ask} ({step})"
        ]
    return []


def _actions(mapping: MappingSpec) -> Iterator[tuple[str, Action]]:
    """Every action by the name its calls carry."""
    for operation, spec in mapping.operations.items():
        for form in _forms(spec):
            for step in form.steps:
                yield from _named(operation, step)
                if spec.operation.value == "createEnrolment":
                    yield from _named("transferEnrolment", step)


def _forms(spec: OperationSpec) -> Iterator[OperationSpec]:
    yield spec
    for form in spec.of.values():
        yield from _forms(form)


def _named(operation: str, step: Step) -> Iterator[tuple[str, Action]]:
    if step.action is not None:
        yield f"{operation}.{step.id}", step.action
    for branch in step.first:
        yield f"{operation}.{step.id}/{branch.name}", branch


__all__ = ["CaseFailed", "Undisturbed", "clean", "compare", "expected", "twice"]
