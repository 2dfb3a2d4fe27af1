"""Playing a case file: every case, the hard cases made from it, and a report that people can read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import GatewayError
from gateway.mapping.load import load_mapping
from gateway.mapping.schema import data_folder
from gateway.mapping.spec import MappingSpec
from gateway.workbench import cases_secrets, cases_swept, cases_told
from gateway.workbench.cases import Case, Signal, load_cases
from gateway.workbench.cases_hard import Hardship, Play
from gateway.workbench.cases_stage import Bench, Heard, Stage
from gateway.workbench.cases_vendor import Died, OffScript
from gateway.workbench.cases_verdict import CaseFailed, Undisturbed, expected

LIMIT_S = 60.0
"""One play may take this long in real time before it counts as stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One play that failed: where its case is written, and the differences, one a line."""

    name: str
    place: str
    text: str

    def __str__(self) -> str:
        rows = "\n".join(f"    {row}" for row in self.text.splitlines())
        return f"{self.place}: {self.name}\n{rows}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of one file. `cases` counts the written ones, `hard` those made from them."""

    path: Path
    mapping: str
    cases: int
    hard: int
    failures: tuple[Failure, ...]

    @property
    def ok(self) -> bool:
        return not self.failures

    def __str__(self) -> str:
        rows = [str(failure) for failure in self.failures]
        made = f"{self.cases} cases and {self.hard} hard ones made from them"
        rows.append(f"{self.path}: {made}, {len(self.failures) or 'no'} failed")
        return "\n\n".join(rows)


Progress = Callable[[str, bool], None]
"""Called after each play with its name and whether it held."""


def play(
    path: Path,
    *,
    mapping_file: Path | None = None,
    only: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Play a case file through the production engine. Raises ProblemsFound for a file that cannot be used.

    `mapping_file` stands in for the mapping the file names; `only` is a word the names played must contain.
    """
    found, mapping = read(path, mapping_file)
    failures: list[Failure] = []
    counts = {"cases": 0, "hard": 0}
    with Bench() as bench:
        for each in found:
            for index, one in enumerate(plays_of(bench, each, mapping)):
                if only is not None and only not in one.name:
                    continue
                counts["hard" if index else "cases"] += 1
                failed = run(bench, one)
                failures += [failed] if failed is not None else []
                if progress is not None:
                    progress(one.name, failed is None)
    return Report(path=path, mapping=mapping.name, failures=tuple(failures), **counts)


def read(path: Path, mapping_file: Path | None = None) -> tuple[Sequence[Case], MappingSpec]:
    """A case file and its mapping. Raises ProblemsFound."""
    file = load_cases(path)
    mapping = load_mapping(mapping_file or data_folder("mappings") / f"{file.mapping}.yaml").mapping
    return file.cases, mapping


def plays_of(bench: Bench, case: Case, mapping: MappingSpec) -> Iterator[Play]:
    """The case itself, then its hard cases; those need the undisturbed run, so a case that fails has none."""
    yield Play(name=case.name, case=case, run=lambda bench: _plain(bench, case, mapping))
    if not case.also:
        return
    try:
        normal = _finished(_undisturbed(bench, case, mapping))
    except CaseFailed:
        return
    hardship = cases_swept.Hardship if isinstance(case.run, Signal) else Hardship
    yield from hardship(case=case, mapping=mapping, normal=normal).plays()
    yield from cases_secrets.plays(case, mapping, normal)


def run(bench: Bench, one: Play) -> Failure | None:
    """Play one; its failure, or None when it held."""
    try:
        _finished(one.run(bench))
    except CaseFailed as failed:
        return Failure(name=one.name, place=one.case.place, text=str(failed))
    return None


def shown_id(name: str) -> str:
    """A play's name as pytest shows it."""
    return re.sub(r"[^\w.,:()/-]+", " ", name).strip()


def _finished(work: Any) -> Any:
    """Run one play in an event loop of its own. Raises CaseFailed."""
    try:
        return asyncio.run(_limited(work))
    except OffScript as off:
        raise CaseFailed(str(off)) from None
    except TimeoutError:
        raise CaseFailed(f"It did not end within {LIMIT_S:.0f} s.") from None


async def _limited(work: Any) -> Any:
    # what a dead process leaves behind is nobody's to look at
    asyncio.get_running_loop().set_exception_handler(_quiet)
    async with asyncio.timeout(LIMIT_S):
        return await work


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), Died | OffScript | GatewayError):
        loop.default_exception_handler(context)


async def _plain(bench: Bench, case: Case, mapping: MappingSpec) -> None:
    stage, heard, _ = await _once(bench, case, mapping)
    CaseFailed.when(await expected(stage, heard, case))


async def _undisturbed(bench: Bench, case: Case, mapping: MappingSpec) -> Undisturbed:
    stage, heard, before = await _once(bench, case, mapping)
    CaseFailed.when(await expected(stage, heard, case))
    stored = await stage.stored(heard)
    return Undisturbed(
        heard=heard,
        record=None if stored is None else stored.record,
        sent=tuple(stage.vendor.sent),
        effects=dict(stage.vendor.effects),
        commits=stage.commits,
        before=before,
        told=await cases_told.told(stage),
    )


async def _once(bench: Bench, case: Case, mapping: MappingSpec) -> tuple[Stage, Heard, cases_told.Told]:
    stage = await Stage.set_up(bench, case, mapping, strict=True)
    before = await cases_told.told(stage)
    heard = await stage.act()
    await stage.settle()
    return stage, heard, before
