"""The hard cases made from a case: the same request while something goes wrong once, at every place in turn.

Whatever goes wrong, RTOPilot repeats its request, and in the end hears what it would have heard, with
nothing lost at the vendor and nothing done twice. Source: docs/case-files.md, "Hard cases".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.contract import Done, Inputs, Operation
from gateway.mapping.spec import MappingSpec
from gateway.store import enrolments
from gateway.workbench.cases import Case, Scripted
from gateway.workbench.cases_stage import NAME, Bench, Heard, Stage, inputs_of
from gateway.workbench.cases_vendor import Died, Mishap, Sent
from gateway.workbench.cases_verdict import CaseFailed, Undisturbed, clean, compare, twice

READS = frozenset({Operation.GET_COURSES, Operation.GET_COURSE, Operation.GET_ENROLMENT})
REPEAT_WINDOW_S = 901.0
WRITE_LATE_S = 12.0
"""How late a write may be done whose answer timed out: later than a first look, sooner than proof."""
LATER_S = (31.0, 400.0, 2000.0)
"""How long background work is given: past the first waits of its schedule."""

BROKEN: Mapping[str, Scripted] = {
    "an HTML page with status 200": Scripted(kind="html", data="<html><body>Maintenance</body></html>"),
    "an empty body": Scripted(),
    "null": Scripted(kind="text", data="null"),
    "half of it": Scripted(kind="text", data='{"id": "7", "login": "rt'),
    "half of an envelope": Scripted(
        kind="text", data="<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Bo"
    ),
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Play:
    """Something to play: `name` says what is done, `run` raises CaseFailed when it does not hold."""

    name: str
    case: Case
    run: Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Hardship:
    """One case, its mapping, and what came of it undisturbed: all that the hard cases are made from."""

    case: Case
    mapping: MappingSpec
    normal: Undisturbed

    def plays(self) -> Iterator[Play]:
        makers = {
            "crash_everywhere": self._crashes,
            "repeat_everywhere": self._repeats,
            "time_out_everywhere": self._losses,
            "malformed_everywhere": self._broken,
        }
        for word in self.case.also:
            if word in makers:
                yield from makers[word]()

    def _play(self, what: str, run: Callable[[Bench], Awaitable[None]]) -> Play:
        return Play(name=f"{self.case.name}: {what}", case=self.case, run=run)

    # -- crashes ------------------------------------------------------------------------------------

    def _crashes(self) -> Iterator[Play]:
        for sent in self.normal.sent:
            call = f"call {sent.number} ({sent.line.ask})"
            if sent.write:
                mishap = Mishap(kind="die_before", at=sent.number)
                yield from self._crash(f"stopped just before {call} left", mishap)
            yield from self._crash(f"stopped after {call}", Mishap(kind="die_after", at=sent.number))
        for number in range(1, self.normal.commits + 1):
            yield from self._crash(f"stopped after commit {number}", Mishap(kind="die_commit", at=number))

    def _crash(self, what: str, mishap: Mishap) -> Iterator[Play]:
        yield self._play(f"{what}, then repeated", lambda bench: self._crashed(bench, mishap, settled=False))
        if self.case.run not in READS:
            yield self._play(
                f"{what}, then settled and repeated", lambda bench: self._crashed(bench, mishap, settled=True)
            )

    async def _crashed(self, bench: Bench, mishap: Mishap, *, settled: bool) -> None:
        stage = await self._stage(bench, mishap)
        try:
            await stage.ask()
            await stage.settle()
        except Died:
            await stage.restart()
        if settled:
            await self._later(stage)
        heard = await stage.ask_until_answered()
        await self._later(stage)
        await self._same(stage, heard)

    # -- lost answers -------------------------------------------------------------------------------

    def _losses(self) -> Iterator[Play]:
        for sent in self.normal.sent:
            call = f"answer {sent.number} ({sent.line.ask})"
            for how, mishap in losses_of(sent):
                if not sent.write:
                    yield self._play(f"{call} {how}", self._disturbed(mishap))
                    continue
                yield self._play(f"{call} {how}, with the write done", self._disturbed(mishap))
                if mishap.how == "timeout":
                    late = replace(mishap, late_s=WRITE_LATE_S)
                    yield self._play(f"{call} {how}, with the write done later", self._disturbed(late))
                undone = replace(mishap, done=False)
                yield self._play(f"{call} {how}, with the write not done", self._disturbed(undone))
            never = Mishap(kind="lose", at=sent.number, how="not_sent", done=False)
            yield self._play(
                f"call {sent.number} ({sent.line.ask}) could not be sent", self._disturbed(never)
            )

    def _disturbed(self, mishap: Mishap) -> Callable[[Bench], Awaitable[None]]:
        async def run(bench: Bench) -> None:
            stage = await self._stage(bench, mishap)
            heard = await stage.ask_until_answered()
            await self._later(stage)
            await self._same(stage, heard)

        return run

    # -- malformed answers --------------------------------------------------------------------------

    def _broken(self) -> Iterator[Play]:
        for sent in self.normal.sent:
            for what, answer in BROKEN.items():
                mishap = Mishap(kind="answer", at=sent.number, answer=answer)
                yield self._play(f"answer {sent.number} ({sent.line.ask}) is {what}", self._garbled(mishap))

    def _garbled(self, mishap: Mishap) -> Callable[[Bench], Awaitable[None]]:
        async def run(bench: Bench) -> None:
            stage = await self._stage(bench, mishap)
            first = await stage.ask()
            heard = first if first.status < 500 else await stage.ask_until_answered()
            await self._later(stage)
            problems = [*clean(*stage.heard), *twice(stage, self.mapping)]
            if heard.ok:
                problems += await compare(stage, heard, self.normal, effects=False)
            elif self.normal.heard.ok and heard.status < 500:
                problems.append(f"an answer that cannot be read was taken for a plain no: {heard}")
            CaseFailed.when(problems)

        return run

    # -- repeats ------------------------------------------------------------------------------------

    def _repeats(self) -> Iterator[Play]:
        yield self._play("asked twice at once", self._twice_at_once)
        yield self._play("asked again right after", self._again_after(0.0))
        if self.case.run in READS or not self.normal.heard.ok:
            return
        for sent in self.normal.sent:
            what = f"RTOPilot hangs up after call {sent.number} ({sent.line.ask}), and asks again"
            yield self._play(what, self._hung_up(sent.number))
        yield self._play("asked of two gateways at once", self._two_gateways)
        yield self._play("asked again after the repeat window", self._again_after(REPEAT_WINDOW_S))
        if self.case.run in (Operation.CREATE_ENROLMENT, Operation.TRANSFER_ENROLMENT):
            yield self._play("asked again with the first name corrected", self._corrected)
        if self.case.run is Operation.CREATE_ENROLMENT and self.case.cancel_vendor:
            yield self._play("cancelled, and asked for again", self._cancelled_and_again)

    async def _twice_at_once(self, bench: Bench) -> None:
        stage = await self._stage(bench)
        both = await asyncio.gather(stage.ask(), stage.ask())
        await self._later(stage)
        await self._same(stage, *both)

    def _again_after(self, seconds: float) -> Callable[[Bench], Awaitable[None]]:
        async def run(bench: Bench) -> None:
            stage = await self._stage(bench)
            first = await stage.ask()
            stage.clock.move(seconds)
            second = await stage.ask()
            await self._later(stage)
            await self._same(stage, first, second, effects=self.normal.heard.ok)

        return run

    def _hung_up(self, number: int) -> Callable[[Bench], Awaitable[None]]:
        async def run(bench: Bench) -> None:
            stage = await self._stage(bench)
            asking = asyncio.create_task(stage.ask())

            def hang_up(call: int) -> None:
                if call == number:
                    asking.cancel()  # the handler is gone; the run must not be

            stage.vendor.on_call = hang_up
            await asyncio.gather(asking, return_exceptions=True)
            heard = await stage.ask_until_answered()
            await self._later(stage)
            await self._same(stage, heard)

        return run

    async def _two_gateways(self, bench: Bench) -> None:
        stage = await self._stage(bench)
        first = asyncio.create_task(stage.ask())
        await asyncio.sleep(0)  # it has begun, in the first gateway
        stage.start()
        both = await asyncio.gather(first, stage.ask())
        later = [heard if heard.ok else await stage.ask_until_answered() for heard in both]
        await self._later(stage)
        await self._same(stage, *later)

    async def _corrected(self, bench: Bench) -> None:
        stage = await self._stage(bench)
        first = await stage.ask()
        given = inputs_of(self.case)
        assert given.person is not None
        second = await stage.ask(replace(given, person=replace(given.person, first_name="Corrected")))
        await self._later(stage)
        await self._same(stage, first, second)

    async def _cancelled_and_again(self, bench: Bench) -> None:
        """A student who comes back: the old id stays cancelled and a new one is given."""
        stage = await self._stage(bench)
        first = await stage.ask()
        assert isinstance(first.result, Done)
        stage.vendor.lines = (*self.case.cancel_vendor, *stage.vendor.lines)
        cancelled = await stage.ask(
            Inputs(enrolment_id=first.result.id), operation=Operation.CANCEL_ENROLMENT
        )
        await self._later(stage)
        second = await stage.ask()
        old_id = first.result.id
        old = await bench.reads.run(lambda conn: enrolments.by_id(conn, NAME, old_id))
        new = await stage.stored(second)
        problems = [f"RTOPilot heard {heard}" for heard in (cancelled, second) if not heard.ok]
        if old is None or old.state != "cancelled":
            problems.append(f"the first enrolment is {old.state if old else 'gone'}, not cancelled")
        if new is None or new.state != "active" or new.id == old_id:
            problems.append(f"the second enrolment is {new.state if new else 'not there'} under {second}")
        CaseFailed.when(problems)

    # -- shared -------------------------------------------------------------------------------------

    async def _stage(self, bench: Bench, mishap: Mishap | None = None) -> Stage:
        return await Stage.set_up(bench, self.case, self.mapping, mishap=mishap)

    async def _later(self, stage: Stage) -> None:
        for wait_s in LATER_S:
            await stage.settle(wait_s=wait_s)

    async def _same(self, stage: Stage, *heard: Heard, effects: bool = True) -> None:
        problems: list[str] = []
        for one in heard:
            problems += await compare(stage, one, self.normal, effects=effects)
        if not clean(self.normal.heard):
            problems += clean(*stage.heard)
        CaseFailed.when([*problems, *twice(stage, self.mapping)])


def losses_of(sent: Sent) -> Iterator[tuple[str, Mishap]]:
    """The ways in which one answer may fail to come, with words for each."""
    at = sent.number
    yield "timed out", Mishap(kind="lose", at=at, how="timeout")
    yield "was cut off", Mishap(kind="lose", at=at, how="reset")
    for status in (500, 502, 503, 504) if sent.write else (502,):
        page: Any = Scripted(status=status, kind="html", data="<html><body>Server error</body></html>")
        yield f"was a {status}", Mishap(kind="answer", at=at, answer=page)
