"""Progress on its way back: webhooks, polls and the outbox, beside what one writes by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polls
import postgres
import webhooks
from polls import Polled
from report import Cell, Report
from rtopilot import open_office
from webhooks import SENDERS, AtRest, Figures

SQLITE, POSTGRES, BY_HAND = "gateway, SQLite", "gateway, PostgreSQL", "by hand, SQLite"


@dataclass(slots=True, kw_only=True)
class Progress:
    """All that was measured; `servers` by what the tables call them, `by hand` first."""

    servers: dict[str, Figures] = field(default_factory=dict)
    polls: list[Polled] = field(default_factory=list)


async def measure(vendor: str, folder: Path, template: str, rounds: int, seconds: float) -> Progress:
    """`vendor` is the vendor's origin. Without PostgreSQL its rows are left out, with a line that says so."""
    found = Progress()
    async with open_office() as office:
        found.servers[BY_HAND] = await webhooks.by_hand(office, folder, rounds, seconds)
        _said("webhooks by hand")
        (ours := folder / "webhooks").mkdir()
        store = f"sqlite:///{ours / 'gateway.db'}"
        found.servers[SQLITE] = await webhooks.gateway(office, vendor, store, ours, template, rounds, seconds)
        _said("webhooks on SQLite")
        with postgres.database() as url:
            if url is not None:
                (ours := folder / "postgres").mkdir()
                found.servers[POSTGRES] = await webhooks.gateway(
                    office, vendor, url, ours, template, rounds, seconds
                )
                _said("webhooks on PostgreSQL")
    found.polls = await polls.measure(vendor, folder)
    _said("polls")
    return found


def _said(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def show(report: Report, found: Progress) -> None:
    columns = ("webhook to RTOPilot at rest", "median ms", "p95 ms", "CPU ms per event", "ratio")
    report.table(columns, _at_rest_rows(found))
    columns = (
        "webhooks, 200 after the commit",
        "senders",
        "per second",
        "p99 ms",
        "CPU ms per event",
        "ratio",
    )
    report.table(columns, _accepted_rows(report, found))
    columns = ("full outbox, 200 tenants", "values", "per second", "CPU ms per push")
    report.table(columns, _drained_rows(found))
    columns = ("poll of 1,000 enrolments", "vendor calls", "CPU ms", "by hand", "ratio")
    report.table(columns, [_poll_row(each) for each in found.polls])


def _at_rest_rows(found: Progress) -> Iterator[Sequence[Cell]]:
    yard = found.servers[BY_HAND].value.cpu_ms
    for name, figures in found.servers.items():
        kinds: list[tuple[str, AtRest | None]] = [("value", figures.value), ("hint, one read", figures.hint)]
        for kind, one in kinds:
            if one is not None:
                yield [f"{name}, {kind}", one.median_ms, one.p95_ms, one.cpu_ms, one.cpu_ms / yard]


def _accepted_rows(report: Report, found: Progress) -> Iterator[Sequence[Cell]]:
    for name, figures in found.servers.items():
        for senders in SENDERS:
            one, yard = figures.accepted[senders], found.servers[BY_HAND].accepted[senders]
            if one.measured.failures:
                report.missed.append(f"webhooks, {name}, at {senders}: failed, {one.measured.failures}")
            if one.told != one.measured.requests:
                said = f"{one.told} of {one.measured.requests} events told"
                report.missed.append(f"webhooks, {name}, at {senders}: {said}")
            p99 = one.measured.quantile_ms(0.99)
            yield [name, str(senders), one.per_s, p99, one.cpu_ms, one.cpu_ms / yard.cpu_ms]


def _drained_rows(found: Progress) -> Iterator[Sequence[Cell]]:
    for name, figures in found.servers.items():
        if (one := figures.drained) is not None:
            yield [name, str(one.values), one.per_s, one.cpu_ms]


def _poll_row(each: Polled) -> list[Cell]:
    ratio = None if each.by_hand_ms is None else each.cpu_ms / each.by_hand_ms
    return [each.name, str(each.calls), each.cpu_ms, each.by_hand_ms, ratio]
