"""`make bench`: the gateway beside a hand-written adapter, on the same machine, in the same minutes.

Starts a vendor, the adapter and the gateway as processes, drives them in turns with the same requests, and
prints CPU per request, latencies, and each ratio beside its goal (docs/performance.md). Ratios of one run
can be trusted, milliseconds cannot: other work on the machine slows everything alike.

About two minutes with the default `--rounds 3 --seconds 1`. `--check` exits 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop
from load import Measured, burst, opened, request

HERE = Path(__file__).parent
CALLERS = (1, 16, 64)
DELAY_MS = 50
START_S = 20.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
TOKEN = secrets.token_hex(16)
_run = secrets.token_hex(3)
_students = itertools.count(1)


# Processes


class Process:
    """A server of the bench: its port, and what /proc says about it."""

    def __init__(self, name: str, command: list[str], port: int) -> None:
        self.name = name
        self.port = port
        self._popen = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=_environment())

    async def ready(self) -> None:
        """Returns once it answers anything on its port. Raises RuntimeError if it has not within START_S."""
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._popen.poll() is None:
            try:
                (await opened(self.port)).close()
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return
        raise RuntimeError(f"{self.name} does not answer on port {self.port}")

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S  # utime, stime, all threads

    @property
    def memory_mb(self) -> float:
        status = Path(f"/proc/{self._popen.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def stop(self) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(5)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def _environment() -> dict[str, str]:
    return {**os.environ, "BENCH_TOKEN": TOKEN, "BENCH_VENDOR_KEY": "k3yMadeUp"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def vendor_command(port: int) -> list[str]:
    return [sys.executable, str(HERE / "vendor.py"), "--port", str(port)]


def adapter_command(port: int, vendor: str) -> list[str]:
    return [
        sys.executable,
        str(HERE / "adapter.py"),
        "--port",
        str(port),
        "--vendor",
        vendor,
        "--token",
        TOKEN,
    ]


def gateway_command(port: int, vendor: str, folder: Path, template: str) -> list[str]:
    """How the gateway is started: `template` with {python}, {config}, {port}, {vendor}, {token} filled in.

    {config} is a config.yaml written here: one tenant, `bench`, whose vendor is the one of this bench.
    """
    config = folder / "config.yaml"
    mapping = folder / "talentlms.yaml"
    shipped = (HERE.parent / "mappings" / "talentlms.yaml").read_text(encoding="utf-8")
    mapping.write_text(bench_mapping(shipped))
    settings = {
        "listen": {"host": "127.0.0.1", "port": port},
        "admin": {"host": "127.0.0.1", "port": free_port()},
        "store": f"sqlite:///{folder / 'gateway.db'}",
        "tenants": {
            "bench": {
                "mapping": str(mapping),
                "base_url": vendor,
                "settings": {"domain": "bench.talentlms.com", "firstPassword": "Bench-pass-1"},
                "secrets": {"apiKey": "${env:BENCH_VENDOR_KEY}"},
                "inbound": {"auth": {"kind": "bearer", "token": "${env:BENCH_TOKEN}"}},
            }
        },
    }
    config.write_text(json.dumps(settings, indent=2))  # JSON is YAML
    given = {"python": sys.executable, "config": str(config), "port": port, "vendor": vendor, "token": TOKEN}
    return [part.format(**given) for part in shlex.split(template)]


def bench_mapping(text: str) -> str:
    """The shipped mapping, with an allowance no load reaches, and with getCourse as a call of its own.

    The shipped one answers getCourse from the cached list, which would compare a look-up with a vendor call.
    """
    rates = 'rates: ["${settings.callsPerHour}/hour", "200/5s"]'
    assert rates in text and "  createEnrolment:\n" in text
    wide = text.replace(rates, 'rates: ["90000000/hour", "9000000/5s"]')
    return wide.replace("  createEnrolment:\n", GET_COURSE + "  createEnrolment:\n", 1)


GET_COURSE = """  getCourse:
    steps: [{id: one, call: "GET /courses/id:${courseId}", value: {course: "${reply.body}"}}]
    each: "[steps.one.course]"
    as: course
    give: {id: "${text(course.id)}", name: "${unhtml(course.name)}"}
"""


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
    cells: Cells, work: Work, server: Process, ids: list[str], callers: int, seconds: float
) -> None:
    make = work.gateway if server.name == "gateway" else work.adapter
    before = server.cpu_s
    async with asyncio.timeout(seconds + START_S):
        measured = await burst(server.port, make(ids), callers=callers, seconds=seconds)
    cell = cells.setdefault((work.name, callers, server.name), Cell(measured=Measured()))
    cell.cpu_s += server.cpu_s - before
    cell.measured.add(measured)


async def enrolments(server: Process, count: int) -> list[str]:
    """Ids of enrolments made through this server; also its warm-up."""
    caller = await opened(server.port)
    ids: list[str] = []
    for made in itertools.islice(create([]), count):
        status, body = await caller.call(made)
        if status != 200:
            raise RuntimeError(
                f"{server.name} answered {status} to a create: {body[:300].decode(errors='replace')}"
            )
        ids.append(json.loads(body)["id"])
    caller.close()
    return ids


async def set_delay(vendor: Process, delay_ms: int) -> None:
    caller = await opened(vendor.port)
    await caller.call(request("GET", f"/_delay/{delay_ms}", TOKEN))
    caller.close()


# The run


async def fast_rounds(servers: list[Process], rounds: int, seconds: float) -> Cells:
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


async def slow_rounds(vendor: Process, servers: list[Process], rounds: int, seconds: float) -> Cells:
    """64 callers at once and a vendor that takes 50 ms; `vendor` in the result is calling it directly."""
    cells: Cells = {}
    direct = Work(
        name="GET course",
        adapter=lambda _: itertools.repeat(request("GET", "/api/v1/courses/id:1", TOKEN)),
        gateway=course,
        goals={},
    )
    works = [work for work in WORKS if work.name in SLOW_GOALS]
    await set_delay(vendor, DELAY_MS)
    for _ in range(rounds):
        await measure(cells, direct, vendor, [], CALLERS[-1], seconds)
        for work, server in itertools.product(works, servers):
            await measure(cells, work, server, [], CALLERS[-1], seconds)
    await set_delay(vendor, 0)
    return cells


def report(cells: Cells, slow: Cells) -> list[str]:
    """Prints the tables; returns what was missed."""
    missed = [
        f"{name} at {callers}: {server} failed, by status: {cell.measured.failures}"
        for (name, callers, server), cell in [*slow.items(), *cells.items()]
        if cell.measured.failures
    ]
    return missed + _report_cpu(cells) + _report_slow(slow)


def _report_cpu(cells: Cells) -> list[str]:
    missed = []
    columns = ("CPU: adapter", "gateway", "ratio", "goal", "adapter p50", "p99", "gateway p50", "p99")
    print(f"\nms{'callers':>42}" + "".join(f"{column:>13}" for column in columns))
    for work, callers in itertools.product(WORKS, CALLERS):
        adapter = cells[work.name, callers, "adapter"]
        gateway = cells.get((work.name, callers, "gateway"))
        goal = work.goals.get(callers)
        ratio = None if gateway is None else gateway.cpu_ms / adapter.cpu_ms
        shown = [adapter.cpu_ms, gateway and gateway.cpu_ms, ratio, goal]
        shown += [*_latencies(adapter), *_latencies(gateway)]
        late = ratio is not None and goal is not None and ratio > goal
        print(f"{work.name:38}{callers:6}" + "".join(map(_number, shown)) + (" missed" if late else ""))
        if late:
            missed.append(f"{work.name} at {callers}: {ratio:.2f} > {goal:.2f}")
    return missed


def _report_slow(slow: Cells) -> list[str]:
    missed = []
    one = slow["GET course", CALLERS[-1], "vendor"].measured.quantile_ms(0.5)
    print(f"\n{DELAY_MS} ms vendor, {CALLERS[-1]} at once: median ms, times the vendor's own, goal")
    for (name, _, server), cell in slow.items():
        median = cell.measured.quantile_ms(0.5)
        times = median / (
            one * (3 if name == "create" else 1)
        )  # a create is three calls, one after the other
        goal = SLOW_GOALS[name] if server == "gateway" else None
        print(f"{name:38}{server:>6}" + "".join(map(_number, (median, times, goal))))
        if goal is not None and times > goal:
            missed.append(f"{name} with a slow vendor: {times:.2f} > {goal:.2f}")
    return missed


def _latencies(cell: Cell | None) -> tuple[float | None, float | None]:
    return (None, None) if cell is None else (cell.measured.quantile_ms(0.5), cell.measured.quantile_ms(0.99))


def _number(value: float | None) -> str:
    return f"{'-':>13}" if value is None else f"{value:13.2f}"


async def main(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as name:
        vendor_port, adapter_port, gateway_port = free_port(), free_port(), free_port()
        base = f"http://127.0.0.1:{vendor_port}/api/v1"
        vendor = Process("vendor", vendor_command(vendor_port), vendor_port)
        servers = [Process("adapter", adapter_command(adapter_port, base), adapter_port)]
        if not given.without_gateway:
            command = gateway_command(gateway_port, base, Path(name), given.gateway_command)
            servers.append(Process("gateway", command, gateway_port))
        try:
            for server in (vendor, *servers):
                await server.ready()
            started = {server.name: server.cpu_s for server in servers}
            cells = await fast_rounds(servers, given.rounds, given.seconds)
            slow = await slow_rounds(vendor, servers, given.rounds, given.seconds)
            missed = report(cells, slow)
            print()
            for server in servers:
                start, memory = started[server.name], server.memory_mb
                print(
                    f"{server.name:9}CPU until it answered {start:5.2f} s, memory at the end {memory:4.0f} MB"
                )
        finally:
            for server in (vendor, *servers):
                server.stop()
    for line in missed:
        print("missed:", line)
    return 1 if missed and given.check else 0


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
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    sys.exit(uvloop.run(main(parser.parse_args())))
