"""kill -9 at random moments under load, a restart, staff who repeat what failed; then the vendor is counted.

25 kills for each vendor (ten times as many with LMS_GATEWAY_LONG=1), always on the same SQLite file. Each
restart finds a clock 100 s ahead, as if somebody had taken that long: leases of the killed process are over;
the last one finds the next morning.
The seed is in the assertion's message; LMS_GATEWAY_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.sandbox.rtopilot_caller import ServerError
from gateway.sandbox.rtopilot_office import Enrolment, Office
from tests.support.deployment import (
    Kind,
    ended,
    enrolled,
    free_port,
    sign_ups,
    tenant,
    write_config,
)
from tests.support.gateway_process import GatewayProcess
from tests.support.offices import office_at
from tests.support.vendor_process import VendorProcess
from tests.support.waiting import soon

pytestmark = pytest.mark.xdist_group("kill")

KILLS = 25
ROUNDS = 10 if os.environ.get("LMS_GATEWAY_LONG") == "1" else 1
STAFF = 6
AWAY_S = 100.0
"""How far the clock is on when the gateway is back; longer than a lease."""
LIVES_S = (0.05, 0.9)
"""How long a gateway is left alive, at least and at most."""
NIGHT_S = 40_000.0
"""How far it is on at the last start: what waits for its next try, as it may for minutes, is due by then."""
REST_S = 10.0
"""How long everything may take to come to rest after the last kill, before another night passes."""
NIGHTS = 6
"""How many nights may pass until then."""


@dataclass(slots=True)
class Day:
    """What staff do all day long, each with students of their own; every failed action is repeated."""

    office: Office
    kind: Kind
    over: bool = False
    kept: list[Enrolment] = field(default_factory=list)
    cancelled: list[Enrolment] = field(default_factory=list)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    ended: set[tuple[str, str]] = field(default_factory=set)
    failures: int = 0

    async def work(self, desk: int) -> None:
        number = 0
        while not self.over:
            number += 1
            await self.one_case(f"stu-{desk}-{number}")

    async def one_case(self, student: str) -> None:
        """Two enrolments; every other student then hands one over, and the successor's is cancelled."""
        one, two, *_ = self.kind.courses
        first = await self.enrol(student, one)
        second = await self.enrol(student, two)
        self.kept.append(first)
        if len(self.pairs) % 4 == 0:
            self.kept.append(second)
            return
        successor = f"{student}-b"
        self.office.organisation.add_student(successor, "Bo", "Example")
        self.pairs.add((successor, two))
        await self.until_done(lambda: self.office.transfer(second.rto_id, successor))
        self.ended.add((student, two))
        await self.until_done(lambda: self.office.cancel(second.rto_id))
        self.ended.add((successor, two))
        self.cancelled.append(second)

    async def enrol(self, student: str, course: str) -> Enrolment:
        self.office.organisation.add_student(student, "Ana", "Citizen")
        self.pairs.add((student, course))
        made: Enrolment = await self.until_done(lambda: self.office.enrol(student, course))
        return made

    async def until_done(self, action: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            try:
                return await action()
            except ServerError as error:
                self.failures += 1
                assert (
                    error.status is None or error.status > 500 or code_of(self.office, error) == "interrupted"
                )
                await asyncio.sleep(0.05)  # staff do not hammer


def code_of(office: Office, error: ServerError) -> str:
    """The code in the answer this error is about."""
    answers = [each.answer for each in office.caller.journal if each.error is error]
    return str(json.loads(answers[0].body)["error"]["code"]) if answers and answers[0] else ""


async def kill_again_and_again(config: Path, random: Random, gateways: list[GatewayProcess]) -> None:
    """Start and kill the gateway; the last one is left alive."""
    for number in range(KILLS + 1):
        gateways.append(await asyncio.to_thread(start, config, number))
        if number < KILLS:
            await asyncio.sleep(random.uniform(*LIVES_S))  # the moment of the kill is the point
            await asyncio.to_thread(gateways[-1].kill)


def start(config: Path, number: int) -> GatewayProcess:
    moved_s = number * AWAY_S + (NIGHT_S if number == KILLS else 0)
    return GatewayProcess(config, output=config.parent / "gateway.log", moved_s=moved_s)


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_after_many_kills_every_enrolment_was_made_exactly_once(
    kind: Kind, vendor: VendorProcess, tmp_path: Path, round_: int
) -> None:
    seed = int(os.environ.get("LMS_GATEWAY_SEED") or secrets.randbits(32))
    port = free_port()
    config = write_config(tmp_path, {"acme": tenant(kind, vendor.url)}, port=port)
    vendor.arm({"kind": "slow_answer", "seconds": 0.03, "count": None})  # so that kills hit calls under way
    async with office_at(f"http://127.0.0.1:{port}", kind) as office:
        day = Day(office, kind)
        gateways: list[GatewayProcess] = []
        try:
            async with asyncio.timeout(KILLS * 3 + 60), asyncio.TaskGroup() as staff:
                for desk in range(STAFF):
                    staff.create_task(day.work(desk))
                await kill_again_and_again(config, Random(seed), gateways)
                day.over = True
            told = f"seed {seed}, {KILLS} kills"
            await all_ended(day, kind, vendor, lambda: gateways[-1].move(NIGHT_S), told)
            await expect_exactly_once(day, kind, vendor, told)
        finally:
            for gateway in gateways:
                gateway.kill()
    assert day.failures >= KILLS / 5, "the kills hit nothing"


async def all_ended(
    day: Day, kind: Kind, vendor: VendorProcess, night: Callable[[], None], told: str
) -> None:
    """Wait for the end of every old enrolment. What failed waits for its next try, for hours: nights pass."""

    def left() -> set[tuple[str, str]]:
        return day.ended - set(ended(kind, vendor.effects(), vendor.state()))

    for _ in range(NIGHTS):
        with contextlib.suppress(AssertionError):
            await soon(lambda: not left(), within_s=REST_S)
            return
        await asyncio.to_thread(night)
    raise AssertionError(f"{left()} were not ended ({told})")


async def expect_exactly_once(day: Day, kind: Kind, vendor: VendorProcess, told: str) -> None:
    effects, state = vendor.effects(), vendor.state()
    made, accounts = enrolled(kind, effects, state), sign_ups(kind, effects, state)
    students = {student for student, _ in day.pairs}
    assert made == dict.fromkeys(day.pairs, 1), told
    assert {name: accounts.get(name) for name in students} == dict.fromkeys(students, 1), told
    assert ended(kind, effects, state) == dict.fromkeys(day.ended, 1), told
    held = [each.lms_enrolment_id for each in (*day.kept, *day.cancelled)]
    assert len(set(held)) == len(held), told
    for each in day.kept:
        shown = await day.office.read_enrolment(each.rto_id)
        assert (shown["id"], shown["studentId"]) == (each.lms_enrolment_id, each.student_id), told
    for each in day.cancelled:
        with pytest.raises(ServerError) as gone:
            await day.office.read_enrolment(each.rto_id)
        assert gone.value.status == 404, told
