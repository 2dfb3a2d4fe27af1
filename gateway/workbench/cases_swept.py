"""The hard cases made from a poll or a webhook: it goes wrong at every place in turn, once or for a while.

Whatever goes wrong, nothing is told that the vendor did not say: each enrolment stands where it stood, or
where it stands undisturbed. Once all is well, the sweep or the sender comes again and all stand where they
should. Source: docs/case-files.md, "Hard cases".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.mapping.spec import MappingSpec
from gateway.workbench import cases_forged
from gateway.workbench.cases import Case, Signal
from gateway.workbench.cases_hard import BROKEN, LATER_S, Play, losses_of
from gateway.workbench.cases_stage import Bench, Heard, Stage
from gateway.workbench.cases_stored import plan_of
from gateway.workbench.cases_told import Told, told
from gateway.workbench.cases_vendor import Died, Mishap
from gateway.workbench.cases_verdict import CaseFailed, Undisturbed, clean

RECOVERY_TRIES = 4
"""How often a poll comes round, or the vendor posts again, until all must be as it should be."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Hardship:
    """One case, its mapping, and what came of it undisturbed."""

    case: Case
    mapping: MappingSpec
    normal: Undisturbed

    def plays(self) -> Iterator[Play]:
        makers: Mapping[str, Callable[[], Iterator[Play]]] = {
            "crash_everywhere": self._crashes,
            "repeat_everywhere": self._repeats,
            "time_out_everywhere": self._losses,
            "malformed_everywhere": self._broken,
            "forge_everywhere": lambda: cases_forged.plays(self.case, self.mapping),
        }
        for word in self.case.also:
            if word in makers:
                yield from makers[word]()

    def _play(self, what: str, run: Callable[[Bench], Awaitable[None]]) -> Play:
        return Play(name=f"{self.case.name}: {what}", case=self.case, run=run)

    # -- crashes

    def _crashes(self) -> Iterator[Play]:
        for sent in self.normal.sent:
            mishap = Mishap(kind="die_after", at=sent.number)
            yield self._play(f"stopped after call {sent.number} ({sent.line.ask})", self._crashed(mishap))
        for number in range(1, self.normal.commits + 1):
            mishap = Mishap(kind="die_commit", at=number)
            yield self._play(f"stopped after commit {number}", self._crashed(mishap))

    def _crashed(self, mishap: Mishap) -> Callable[[Bench], Awaitable[None]]:
        async def run(bench: Bench) -> None:
            stage = await self._stage(bench, mishap)
            try:
                await stage.act()
                await stage.settle()
            except Died:
                await stage.restart()
            problems = await self._nothing_made_up(stage)
            CaseFailed.when(problems + await self._recovered(stage))

        return run

    # -- answers that are lost or cannot be read

    def _losses(self) -> Iterator[Play]:
        for sent in self.normal.sent:
            for how, mishap in losses_of(sent):
                yield from self._once_and_for_long(f"answer {sent.number} ({sent.line.ask}) {how}", mishap)

    def _broken(self) -> Iterator[Play]:
        for sent in self.normal.sent:
            for what, answer in BROKEN.items():
                mishap = Mishap(kind="answer", at=sent.number, answer=answer)
                yield from self._once_and_for_long(
                    f"answer {sent.number} ({sent.line.ask}) is {what}", mishap
                )

    def _once_and_for_long(self, what: str, mishap: Mishap) -> Iterator[Play]:
        yield self._play(what, self._disturbed(mishap))
        lasting = replace(mishap, lasting=True)
        yield self._play(f"{what}, and so is every one after it for a while", self._disturbed(lasting))

    def _disturbed(self, mishap: Mishap) -> Callable[[Bench], Awaitable[None]]:
        async def run(bench: Bench) -> None:
            stage = await self._stage(bench, mishap)
            before = await told(stage)
            heard = await stage.act()
            problems = [*clean(heard), *await self._nothing_made_up(stage)]
            if mishap.lasting and self._is_the_one_list(stage, mishap):
                problems += _same("half a list was taken for a whole one", await told(stage), before)
            stage.vendor.mishap = None
            CaseFailed.when(problems + await self._recovered(stage))

        return run

    def _is_the_one_list(self, stage: Stage, mishap: Mishap) -> bool:
        """Whether it befell the list that holds all there is: one bad page of it must leave all alone."""
        if self.case.run is not Signal.POLL:
            return False
        courses = {item.course for item in self.case.stored}
        poll = stage.process.back.plan(plan_of(self.case, stage.process.tenant)).poll
        if self.normal.sent[mishap.at - 1].step != f"progress.{poll.name}":
            return False  # a login, or the units of one that has moved on
        match poll.plan:
            case "delta":
                return True
            case "per-course":
                return len(courses) == 1
            case "chunks":
                return len(self.case.stored) <= poll.of
        return len(self.case.stored) == 1

    # -- repeats

    def _repeats(self) -> Iterator[Play]:
        who = "two gateways sweep" if self.case.run is Signal.POLL else "posted twice"
        yield self._play(f"{who} at once", self._twice_at_once)
        again = "swept" if self.case.run is Signal.POLL else "posted"
        yield self._play(f"{again} again", self._again)

    async def _twice_at_once(self, bench: Bench) -> None:
        stage = await self._stage(bench)
        first = asyncio.create_task(stage.act())
        if self.case.run is Signal.POLL:
            await asyncio.sleep(0)  # it has begun, in the first gateway
            stage.start()
        heard = await asyncio.gather(first, stage.act())
        await stage.settle()
        problems = _same("they come to something else", await told(stage), self.normal.told)
        if self.case.run is Signal.POLL and len(stage.vendor.sent) != len(self.normal.sent):
            problems.append(
                f"{len(stage.vendor.sent)} calls were sent, one sweep has {len(self.normal.sent)}"
            )
        CaseFailed.when([*_differ(self.normal, *heard), *problems])

    async def _again(self, bench: Bench) -> None:
        stage = await self._stage(bench)
        heard = [await stage.act(), await stage.act()]
        await stage.settle()
        problems = _same("it comes to something else", await told(stage), self.normal.told)
        CaseFailed.when([*_differ(self.normal, *heard), *problems])

    # -- shared

    async def _stage(self, bench: Bench, mishap: Mishap | None = None) -> Stage:
        return await Stage.set_up(bench, self.case, self.mapping, mishap=mishap)

    async def _nothing_made_up(self, stage: Stage) -> list[str]:
        """Each enrolment stands where it stood, or where the vendor's true answers take it."""
        stood = {item.id: item.percent for item in (await told(stage)).known}
        right = self.normal.told.percents
        first = self.normal.before.percents
        return [
            f"{id} stands at {percent}; it stood at {first.get(id)}, and undisturbed at {right.get(id)}"
            for id, percent in stood.items()
            if percent not in (first.get(id), right.get(id))
        ]

    async def _recovered(self, stage: Stage) -> list[str]:
        """After a while everything is as if nothing had happened."""
        for wait_s in LATER_S:
            await stage.settle(wait_s=wait_s)
        for _ in range(RECOVERY_TRIES):
            await stage.act()
            await stage.settle()
            if (await told(stage)) == self.normal.told:
                return []
            stage.clock.move(LATER_S[0])
        return _same("it never recovers", await told(stage), self.normal.told)


def _same(what: str, found: Told, wanted: Told) -> list[str]:
    if found == wanted:
        return []
    parts = (
        ("progress", found.percents, wanted.percents),
        ("queued", dict(found.pushed), dict(wanted.pushed)),
    )
    return [
        f"{what}: {name} {mine!r}, and {theirs!r} was expected"
        for name, mine, theirs in parts
        if mine != theirs
    ] or [f"{what}: units {found.units!r}, and {wanted.units!r} was expected"]


def _differ(normal: Undisturbed, *heard: Heard) -> list[str]:
    return [
        f"it ended with {one}; undisturbed it ends with {normal.heard}"
        for one in heard
        if (one.status, one.code) != (normal.heard.status, normal.heard.code)
    ]
