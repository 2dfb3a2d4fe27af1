"""`make bench`: the gateway beside a hand-written adapter, on the same machine, in the same minutes.

    run.py         what is asked, in which order; the goals    servers.py    the processes, what they use
    conditions.py  memory, start-up, a long list               report.py     the tables
    load.py        the load client                             vendor.py, adapter.py   the other servers

    progress.py    progress on its way back, its tables        polls.py      polls of 1,000 enrolments
    webhooks.py    webhooks at rest, under load; the outbox    hooked.py     their gateway and their senders
    by_hand.py     the endpoint and the script beside it       learners.py   what the vendor says of whom
    rtopilot.py    who is told in the end                      postgres.py   a server that syncs

Starts a vendor, the adapter and the gateway as processes, drives them in turns with the same requests, and
prints CPU per request, latencies, and each ratio beside its goal (docs/performance.md). Ratios of one run
can be trusted, milliseconds cannot: other work on the machine slows everything alike.

Five minutes with the default `--rounds 3 --seconds 1`; `--only progress` does that part alone. `--check`
exits 1 when a goal is missed; 2 means that a server failed, and its last words are shown.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import conditions
import progress
import uvloop
from conditions import Condition
from load import Measured, burst, opened, ordered, request
from report import Report
from servers import TOKEN, Server, ServerFailed, adapter_command, free_port, gateway_command, vendor_command

CALLERS = (1, 16, 64)
DELAY_MS = 50
SPARE_S = 20.0
"""How much longer than planned a burst may take before its server is given up."""
_run = secrets.token_hex(3)
_students = itertools.count(1)


# Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One kind of request. `goals` is the highest ratio of CPU, gateway to adapter, by callers."""

    name: str
    gateway: Callable[[list[str]], Iterator[bytes]]
    adapter: Callable[[list[str]], Iterator[bytes]]
    goals: dict[int, float]


def course_list(tenant: str) -> Callable[[list[str]], Iterator[bytes]]:
    terms = ("", "?q=safety", "?q=weld", "?q=Certificate%203")
    return lambda _: itertools.cycle(request("GET", f"/t/{tenant}/courses{term}", TOKEN) for term in terms)


def course(_: list[str]) -> Iterator[bytes]:
    return itertools.cycle(
        [request("GET", f"/t/bench/courses/{number}", TOKEN) for number in range(1, 500, 7)]
    )


def enrolment(ids: list[str]) -> Iterator[bytes]:
    return itertools.cycle([request("GET", f"/t/bench/enrolments/{each}", TOKEN) for each in ids])


def create(_: list[str]) -> Iterator[bytes]:
    for number in _students:
        student = {"id": f"{_run}{number}", "firstName": "Mia", "lastName": "Tan"}
        body = json.dumps({"courseId": str(number % 500 + 1), "student": student}).encode()
        yield request("POST", "/t/bench/enrolments", TOKEN, body)


WORKS = (
    Work(
        name="course list, adapter asks each time",
        gateway=course_list("bench"),
        adapter=course_list("plain"),
        goals=dict.fromkeys(CALLERS, 0.10),
    ),
    Work(
        name="course list, adapter caches too",
        gateway=course_list("bench"),
        adapter=course_list("bench"),
        goals={},
    ),
    Work(name="GET course", gateway=course, adapter=course, goals={1: 1.0, 16: 0.4, 64: 0.4}),
    Work(name="GET enrolment", gateway=enrolment, adapter=enrolment, goals={1: 1.0, 16: 0.4, 64: 0.4}),
    Work(name="create", gateway=create, adapter=create, goals={1: 1.6, 16: 0.7, 64: 0.7}),
)
SLOW_GOALS = {"GET course": 1.15, "create": 1.20}  # of the median of calling the vendor directly


@dataclass(slots=True, kw_only=True)
class Cell:
    """One work at one number of callers on one server, over all rounds."""

    measured: Measured
    cpu_s: float = 0.0

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s * 1000 / max(1, self.measured.requests)


Cells = dict[tuple[str, int, str], Cell]


async def measure(
    cells: Cells, work: Work, server: Server, ids: list[str], callers: int, seconds: float
) -> None:
    make = work.gateway if server.name == "gateway" else work.adapter
    before = server.cpu_s
    try:
        async with asyncio.timeout(seconds + SPARE_S):
            measured = await burst(server.port, make(ids), callers=callers, seconds=seconds)
    except (OSError, TimeoutError) as error:
        raise server.failed(f"broke off “{work.name}” ({error or 'no answer in time'})") from error
    cell = cells.setdefault((work.name, callers, server.name), Cell(measured=Measured()))
    cell.cpu_s += server.cpu_s - before
    cell.measured.add(measured)


async def enrolments(server: Server, count: int) -> list[str]:
    """Ids of enrolments made through this server; also its warm-up."""
    caller = await opened(server.port)
    ids: list[str] = []
    for made in itertools.islice(create([]), count):
        status, body = await caller.call(made)
        if status != 200:
            raise server.failed(f"answered {status} to a create: {body[:300].decode(errors='replace')}")
        ids.append(json.loads(body)["id"])
    caller.close()
    return ids


# The run


async def fast_rounds(servers: list[Server], rounds: int, seconds: float) -> Cells:
    cells: Cells = {}
    ids = {server.name: await enrolments(server, 50) for server in servers}
    for number in range(rounds + 1):
        share = seconds if number else seconds / 5  # the first round warms up and is thrown away
        for work, callers in itertools.product(WORKS, CALLERS):
            for server in servers if number % 2 else reversed(servers):
                await measure(cells, work, server, ids[server.name], callers, share)
        if not number:
            cells.clear()
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return cells


async def slow_rounds(vendor: Server, servers: list[Server], rounds: int, seconds: float) -> Cells:
    """64 callers at once and a vendor that takes 50 ms; `vendor` in the result is calling it directly."""
    cells: Cells = {}
    direct = Work(
        name="GET course",
        adapter=lambda _: itertools.repeat(request("GET", "/api/v1/courses/id:1", TOKEN)),
        gateway=course,
        goals={},
    )
    works = [work for work in WORKS if work.name in SLOW_GOALS]
    await ordered(vendor.url, f"delay/{DELAY_MS}")
    for _ in range(rounds):
        await measure(cells, direct, vendor, [], CALLERS[-1], seconds)
        for work, server in itertools.product(works, servers):
            await measure(cells, work, server, [], CALLERS[-1], seconds)
    await ordered(vendor.url, "delay/0")
    return cells


def show(report: Report, cells: Cells, slow: Cells) -> None:
    report.missed += [
        f"{name} at {callers}: {server} failed, by status: {cell.measured.failures}"
        for (name, callers, server), cell in [*slow.items(), *cells.items()]
        if cell.measured.failures
    ]
    latencies = ("adapter p50", "p99", "gateway p50", "p99")
    columns = ("CPU in ms per request", "callers", "adapter", "gateway", "ratio", "goal", "", *latencies)
    report.table(columns, (_cpu_row(report, cells, *each) for each in itertools.product(WORKS, CALLERS)))
    columns = (f"{DELAY_MS} ms vendor, {CALLERS[-1]} at once", "of", "median ms", "times direct", "goal", "")
    report.table(columns, [_slow_row(report, slow, name, server) for name, _, server in slow])


def show_held(report: Report, held: list[Condition]) -> None:
    columns = ("besides", "measured", "goal", "unit", "")
    report.table(columns, [_held_row(report, each) for each in held])


def _cpu_row(report: Report, cells: Cells, work: Work, callers: int) -> list[str | float | None]:
    adapter = cells[work.name, callers, "adapter"]
    gateway = cells.get((work.name, callers, "gateway"))
    if gateway is None:
        return [work.name, str(callers), adapter.cpu_ms, *[None] * 4, *_latencies(adapter), None, None]
    ratio, goal = gateway.cpu_ms / adapter.cpu_ms, work.goals.get(callers)
    verdict = report.verdict(f"{work.name} at {callers}", ratio, goal)
    shown = [work.name, str(callers), adapter.cpu_ms, gateway.cpu_ms, ratio, goal, verdict]
    return [*shown, *_latencies(adapter), *_latencies(gateway)]


def _latencies(cell: Cell) -> tuple[float, float]:
    return cell.measured.quantile_ms(0.5), cell.measured.quantile_ms(0.99)


def _slow_row(report: Report, slow: Cells, name: str, server: str) -> list[str | float | None]:
    calls = 3 if name == "create" else 1  # one after the other
    direct = slow["GET course", CALLERS[-1], "vendor"].measured.quantile_ms(0.5) * calls
    median = slow[name, CALLERS[-1], server].measured.quantile_ms(0.5)
    goal = SLOW_GOALS[name] if server == "gateway" else None
    verdict = report.verdict(f"{name} with a slow vendor", median / direct, goal)
    return [name, server, median, median / direct, goal, verdict]


def _held_row(report: Report, each: Condition) -> list[str | float | None]:
    return [each.name, each.value, each.goal, each.unit, report.verdict(each.name, each.value, each.goal)]


async def main(given: argparse.Namespace) -> int:
    report = Report(markdown=given.markdown)
    with tempfile.TemporaryDirectory() as name:
        try:
            await run(report, given, Path(name))
        except ServerFailed as failed:
            print(failed, file=sys.stderr)
            return 2
    print()
    for line in report.missed:
        print("missed:", line)
    return 1 if report.missed and given.check else 0


async def run(report: Report, given: argparse.Namespace, folder: Path) -> None:
    """Each part in turn; its tables follow it, so that a part that fails costs no other's."""
    port = free_port()
    vendor = Server("vendor", vendor_command(port), port, folder)
    try:
        await vendor.ready()
        if "operations" in given.only:
            await operations(report, given, folder, vendor)
        if "conditions" in given.only and not given.without_gateway:
            show_held(report, await held(given, folder, vendor))
        if "progress" in given.only and not given.without_gateway:
            (own := folder / "progress").mkdir()
            found = await progress.measure(
                vendor.url, own, given.gateway_command, given.rounds, given.seconds
            )
            progress.show(report, found)
    finally:
        vendor.stop()


async def operations(report: Report, given: argparse.Namespace, folder: Path, vendor: Server) -> None:
    base, servers = f"{vendor.url}/api/v1", list[Server]()
    try:
        port = free_port()
        servers.append(Server("adapter", adapter_command(port, base), port, folder))
        if not given.without_gateway:
            port = free_port()
            command = gateway_command(port, base, folder, given.gateway_command)
            servers.append(Server("gateway", command, port, folder))
        for server in servers:
            await server.ready()
        cells = await fast_rounds(servers, given.rounds, given.seconds)
        slow = await slow_rounds(vendor, servers, given.rounds, given.seconds)
    finally:
        for server in servers:
            server.stop()
    show(report, cells, slow)


async def held(given: argparse.Namespace, folder: Path, vendor: Server) -> list[Condition]:
    (laden := folder / "laden").mkdir()
    found = await conditions.laden(vendor.url, laden, given.gateway_command)
    return [*found, conditions.course_list()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="per work, number of callers and server")
    parser.add_argument("--gateway-command", default="{python} -m gateway.cli serve --config {config}")
    parser.add_argument(
        "--without-gateway", action="store_true", help="only the adapter, to look at the bench itself"
    )
    parts = ("operations", "conditions", "progress")
    parser.add_argument("--only", action="append", choices=parts, help="this part, or these")
    parser.add_argument("--markdown", action="store_true", help="tables for docs/performance.md")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    asked = parser.parse_args()
    asked.only = asked.only or parts
    sys.exit(uvloop.run(main(asked)))
