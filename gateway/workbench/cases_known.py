"""What a case knows: its request, its settings, and the value each step came to when it was played."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from gateway import ids
from gateway.contract import Operation
from gateway.errors import RequestError
from gateway.store.tables import step
from gateway.workbench import cases_play
from gateway.workbench.cases import Case
from gateway.workbench.cases_stage import Bench


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """`steps` holds the values of steps that write; what only reads left is not kept by a run."""

    operation: Operation
    given: Mapping[str, Any]
    settings: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]


def known_of(path: Path, name: str, mapping_file: Path | None = None) -> Known:
    """Play one case of a file, by its name or a part of it. Raises RequestError when it cannot be played."""
    cases, mapping = cases_play.read(path, mapping_file)
    found = next((case for wanted in _ways(name) for case in cases if wanted(case.name)), None)
    if found is None:
        listed = "\n".join(f"  {case.name}" for case in cases)
        raise RequestError(f"{path} has no case like that. It has:\n{listed}")
    if not isinstance(found.run, Operation):
        raise RequestError(f"That case is a {found.run}, and no operation of RTOPilot.")
    with Bench() as bench:
        failure = cases_play.run(bench, next(cases_play.plays_of(bench, found, mapping)))
        if failure is not None:
            raise RequestError(f"The case does not hold, so it knows nothing:\n{failure}")
        steps = asyncio.run(bench.reads.run(_values))
    return Known(operation=found.run, given=_given(found), settings=found.settings, steps=steps)


def _ways(name: str) -> tuple[Any, ...]:
    return (lambda full: full == name), (lambda full: name.lower() in full.lower())


def _given(case: Case) -> dict[str, Any]:
    given = dict(case.given)
    if isinstance(given.get("enrolmentId"), list):
        given["enrolmentId"] = ids.encode([str(part) for part in given["enrolmentId"]])
    return given


def _values(conn: Connection) -> dict[str, dict[str, Any]]:
    rows = conn.execute(select(step.c.name, step.c.value).where(step.c.state == "done"))
    return {row.name.partition("/")[0]: row.value for row in rows if isinstance(row.value, dict)}
