"""`lms-gateway demo`: a day at an RTO, over real HTTP between real processes of this machine.

    RTOPilot stand-in (this process)  ->  gateway (`serve`, a process)  ->  vendor stand-ins (a process each)
    RTOPilot's API (this process)     <-  gateway: progress

Everything listens on free loopback ports and lives in a temporary folder, so several demos run side by side.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.sandbox.demo_day import Day, Happened
from gateway.sandbox.demo_processes import Child, ChildDied, Children
from gateway.sandbox.demo_show import Show
from gateway.sandbox.demo_vendors import VENDORS, Play
from gateway.sandbox.rtopilot_office import Organisation
from gateway.sandbox.rtopilot_progress import ProgressServer, progress_stand_in
from gateway.sandbox.serve import running

POLL_EVERY = "1s"


def expected_steps(each: Play) -> int:
    """How long this vendor's day is."""
    return 13 - (each.completing is None) - each.full_is_complete + each.opens


def play(names: Sequence[str], *, once: bool) -> int:
    """Play the day with these vendors; the exit code. Without `once` it stays up until Ctrl-C."""
    show = Show()
    plays = [VENDORS[name] for name in names]
    with tempfile.TemporaryDirectory(prefix="lms-gateway-demo-") as name, _interruptible() as interrupt:
        try:
            with _Rtopilot.running() as rtopilot, Children(Path(name)) as children:
                good = _play(plays, children, Path(name), show, rtopilot, stay=not once)
                while not once:
                    if interrupt.asked:
                        raise KeyboardInterrupt
                    children.check()
                    time.sleep(0.5)
                return 0 if good else 1
        except ChildDied as died:
            show.lines(str(died), "red")
            return 1
        except KeyboardInterrupt:
            show.line()
            show.line("The demo is over.")
            return 0 if not once else 1


@dataclass(slots=True)
class _Rtopilot:
    """RTOPilot's API in a thread of this process, and a college in it for each vendor."""

    url: str
    server: ProgressServer
    colleges: dict[str, Organisation] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[_Rtopilot]:
        server = ProgressServer()
        with running(progress_stand_in(server)) as url:
            yield cls(url, server)

    def tenant(self, each: Play) -> dict[str, Any]:
        """A new college for this vendor, and what its tenant needs to push progress there."""
        college = self.colleges[each.name] = Organisation(name=f"{each.title} College")
        key = self.server.admit(college)
        return {
            "rtopilot": {"base_url": f"{self.url}/api", "api_key": key},
            "progress": {"every": POLL_EVERY},
        }


def _play(
    plays: Sequence[Play],
    children: Children,
    folder: Path,
    show: Show,
    rtopilot: _Rtopilot,
    *,
    stay: bool,
) -> bool:
    """The day with each vendor; whether all went as expected. With `stay` it says what can be looked at."""
    show.line("Starting the stand-ins and the gateway …", "dim")
    started = [
        children.start(f"{each.title} stand-in", each.module, "--port", "0", *each.arguments)
        for each in plays
    ]
    standins = {each.name: child.url() for each, child in zip(plays, started, strict=True)}
    token = secrets.token_urlsafe(32)
    config = folder / "config.yaml"
    config.write_text(_config(plays, standins, token, rtopilot), encoding="utf-8")
    gateway = children.start("the gateway", "gateway.cli", "serve", "--config", str(config))
    url = gateway.url()
    show.line(f"RTOPilot's stand-in calls the gateway at {url}")
    day: list[Happened] = []
    for each in plays:
        show.vendor(each.title, standins[each.name])
        college = rtopilot.colleges[each.name]
        played = Day(each, url, standins[each.name], token, college, config)
        day += asyncio.run(_day(played, show))
    show.summary(day)
    children.check()
    good = len(day) == sum(map(expected_steps, plays)) and all(each.wrong is None for each in day)
    if not good:
        show.lines("\n    ".join(["The gateway's last log lines:", *gateway.said()]), "dim")
    if stay:
        _tell(gateway, [*standins.values(), rtopilot.url], list(standins), config, show)
    return good


async def _day(day: Day, show: Show) -> list[Happened]:
    happened: list[Happened] = []
    async for each in day.steps():
        happened.append(each)
        show.step(len(happened), each)
    return happened


def _tell(gateway: Child, journals: Sequence[str], tenants: Sequence[str], config: Path, show: Show) -> None:
    show.line()
    show.line("Everything stays up; Ctrl-C ends it.", "bold")
    for name in tenants:
        show.line(f"  RTOPilot's routes   {gateway.url()}/t/{name}/courses")
    show.line(f"  gateway health      {gateway.url('admin')}/health")
    for url in journals:
        show.line(f"  stand-in's journal  {url}/_control/journal")
    show.line(f"  what happened       lms-gateway runs list --config {config}")


def _config(plays: Sequence[Play], standins: Mapping[str, str], token: str, rtopilot: _Rtopilot) -> str:
    """A config.yaml; JSON is YAML too."""
    return json.dumps(
        {
            "listen": {"host": "127.0.0.1", "port": 0},
            "admin": {"host": "127.0.0.1", "port": 0},
            "store": "sqlite:///demo.db",
            "tenants": {
                each.name: {
                    **_tenant(each, standins[each.name], token),
                    **rtopilot.tenant(each),
                }
                for each in plays
            },
        },
        indent=2,
    )


def _tenant(each: Play, standin: str, token: str) -> dict[str, Any]:
    return {
        "mapping": each.mapping,
        "base_url": f"{standin}{each.api}",
        "settings": dict(each.settings),
        "secrets": dict(each.secrets),
        "inbound": {"auth": {"kind": "bearer", "token": token}},
        "grace": "0s",
    }


@dataclass(slots=True)
class _Interrupt:
    """Whether the end was asked for: an exception raised while Python is in a destructor is lost."""

    asked: bool = False

    def __call__(self, _number: int, _frame: object) -> None:
        self.asked = True
        raise KeyboardInterrupt


@contextmanager
def _interruptible() -> Iterator[_Interrupt]:
    """SIGTERM ends the demo as Ctrl-C does, so that its processes and its folder go with it."""
    interrupt = _Interrupt()
    before = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
