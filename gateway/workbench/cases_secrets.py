"""Marker secrets and names are planted in a case, and every output is searched for them.

Searched: logs, error messages, traces in the store and in memory, what a run keeps of its outcome, the
manual list and queued work. Plain, base64 and percent-encoded.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import Connection, select

from gateway.mapping.spec import MappingSpec
from gateway.store.tables import metadata
from gateway.workbench.cases import Case, Line, Scripted
from gateway.workbench.cases_hard import Play
from gateway.workbench.cases_stage import Bench, Heard, Stage
from gateway.workbench.cases_vendor import Mishap
from gateway.workbench.cases_verdict import CaseFailed, Undisturbed

SECRET = "Zq7+marker/{}=K9"
"""Characters that percent-encoding and base64 change, so that an encoded leak is not missed."""
SHOWN: Mapping[str, tuple[str, ...]] = {
    "trace": ("exchange",),
    "run": ("error", "output"),
    "manual": ("sentence",),
    "task": ("last_error", "sentence"),
    "step": ("warnings",),
}
"""What people get to see of the store, by table: no names of students may stand there."""
VENDORS: Mapping[str, str] = {"unit_result": "name"}
"""What the vendor calls its own things is kept as it is, whatever a talkative one puts there."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Marked:
    """A case with markers in it."""

    case: Case
    secrets: tuple[str, ...]
    names: tuple[str, ...]


def plays(case: Case, mapping: MappingSpec, normal: Undisturbed) -> Iterator[Play]:
    if "no_secret_in_output" not in case.also:
        return
    marked = mark(case, mapping)

    def play(what: str, mishap: Mishap | None) -> Play:
        async def run(bench: Bench) -> None:
            await _search(bench, marked, mapping, mishap)

        return Play(name=f"{case.name}: {what}", case=case, run=run)

    yield play("no secret in any output", None)
    for sent in normal.sent:
        nowhere, answer = "no secret in any output when", f"answer {sent.number} ({sent.line.ask})"
        for status in (200, 400, 500):
            page = Scripted(status=status, kind="html", data="echo")
            mishap = Mishap(kind="answer", at=sent.number, answer=page)
            yield play(f"{nowhere} {answer} is a {status} page that shows the request", mishap)
        chatty = Mishap(kind="chatty", at=sent.number)
        yield play(f"{nowhere} the sentences of {answer} repeat the request", chatty)
        lost = Mishap(kind="lose", at=sent.number, how="timeout")
        yield play(f"{nowhere} {answer} is lost", lost)


def mark(case: Case, mapping: MappingSpec) -> Marked:
    """The case with its secrets and its students' names replaced by markers, wherever they stand."""
    swap: dict[str, str] = {}
    secrets = {name: SECRET.format(name) for name in mapping.secrets}
    for name, marker in secrets.items():
        swap[case.secrets.get(name, f"secret-{name}")] = marker
    for index, text in enumerate(sorted(_tokens(case))):
        swap[text] = f"Zq7token{index}K9"
    people = [case.given[part] for part in ("student", "to") if part in case.given]
    names = {text for person in people for text in (person.get("firstName"), person.get("lastName")) if text}
    named = {text: f"Zq7name{index}K9" for index, text in enumerate(sorted(names))}
    swap |= named
    marked = replace(
        case,
        given=_swapped(case.given, swap),
        secrets=secrets,
        vendor=tuple(_line(line, swap) for line in case.vendor),
    )
    tokens = tuple(value for value in swap.values() if value.startswith("Zq7token"))
    return Marked(case=marked, secrets=(*secrets.values(), *tokens), names=tuple(named.values()))


def _tokens(case: Case) -> set[str]:
    """Session tokens the scripted vendor gives out in SOAP headers; short numbers say nothing."""
    headers = [line.answer.header for line in case.vendor if line.answer.header]
    return {text for header in headers for text in _leaves(header) if len(text) >= 12}


def _leaves(data: Any) -> Iterator[str]:
    if isinstance(data, Mapping):
        for value in data.values():
            yield from _leaves(value)
    elif isinstance(data, str):
        yield data


def _line(line: Line, swap: Mapping[str, str]) -> Line:
    return replace(
        line,
        query=_swapped(line.query, swap),
        headers=_swapped(line.headers, swap),
        body=_swapped(line.body, swap),
        answer=replace(
            line.answer, data=_swapped(line.answer.data, swap), header=_swapped(line.answer.header, swap)
        ),
        makes=tuple(_line(made, swap) for made in line.makes),
    )


def _swapped(data: Any, swap: Mapping[str, str]) -> Any:
    if isinstance(data, Mapping):
        return {key: _swapped(value, swap) for key, value in data.items()}
    if isinstance(data, list):
        return [_swapped(value, swap) for value in data]
    if isinstance(data, str) and swap:
        words = "|".join(re.escape(word) for word in sorted(swap, key=len, reverse=True))
        return re.sub(rf"(?<!\w)(?:{words})(?!\w)", lambda match: swap[match[0]], data)
    return data


async def _search(bench: Bench, marked: Marked, mapping: MappingSpec, mishap: Mishap | None) -> None:
    stage = await Stage.set_up(bench, marked.case, mapping, mishap=mishap)
    stage.vendor.echo = True
    with _Logs() as logs:
        heard = await stage.ask_until_answered()
        await stage.settle(wait_s=400.0)
    found: list[str] = []
    secrets, names = tuple(_forms(marked.secrets)), tuple(_forms(marked.names))
    for place, text in await _outputs(stage, heard, logs):
        found += [f"a secret stands in {place}: {_around(text, form)}" for form in secrets if form in text]
        if not place.startswith("a row of"):
            found += [f"a name stands in {place}: {_around(text, form)}" for form in names if form in text]
    CaseFailed.when(found)


async def _outputs(stage: Stage, heard: Heard, logs: _Logs) -> list[tuple[str, str]]:
    texts = [("what RTOPilot heard", str(heard.say)), *(("the log", row) for row in logs.rows)]
    for reference in stage.references:
        for traced in stage.process.perform.ring.get(reference):
            texts.append(("a trace in memory", _text(traced.exchange)))

    def read(conn: Connection) -> list[tuple[str, str]]:
        rows: list[tuple[str, str]] = []
        for table in metadata.tables.values():
            for row in conn.execute(select(table)).mappings():
                whole = {name: row[name] for name in row if name != VENDORS.get(table.name)}
                shown = {name: row[name] for name in SHOWN.get(table.name, ())}
                rows.append((f"a row of `{table.name}`", _text(whole)))
                rows.append((f"`{table.name}` as it is shown", _text(shown)))
        return rows

    return [*texts, *await stage.bench.reads.run(read)]


def _text(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, default=str)


def _forms(values: tuple[str, ...]) -> Iterator[str]:
    for value in values:
        raw = value.encode()
        yield value
        yield quote(value, safe="")
        yield quote_plus(value)
        yield json.dumps(value)[1:-1]
        for shift in range(3):  # base64 reads differently by where in the text it begins
            whole = base64.b64encode(b"\0" * shift + raw).decode()
            yield whole[4 if shift else 0 : len(whole) - 4]


def _around(text: str, form: str) -> str:
    at = text.index(form)
    return "…" + text[max(0, at - 60) : at + len(form) + 20] + "…"


class _Logs(logging.Handler):
    """Everything that is logged meanwhile, formatted, with its exceptions."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.rows: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.rows.append(self.format(record))

    def __enter__(self) -> _Logs:
        self._root = logging.getLogger()
        self._level = self._root.level
        self._root.addHandler(self)
        self._root.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *exc: object) -> None:
        self._root.removeHandler(self)
        self._root.setLevel(self._level)
