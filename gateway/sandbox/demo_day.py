"""A day at an RTO: what staff do in RTOPilot, the vendor calls it became, and whether it went as expected."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from gateway import ids
from gateway.sandbox.client import new_client
from gateway.sandbox.demo_vendors import Action, Play, call_shown
from gateway.sandbox.rtopilot_caller import Caller, ServerError
from gateway.sandbox.rtopilot_office import Enrolment, Office, Organisation
from gateway.sandbox.rtopilot_slots import Auth, Slots

PERCENT = 60
AFTERWARDS_LOOKS, AFTERWARDS_EACH_S = 600, 0.05
"""How long follow-up work at the vendor, or progress on its way to RTOPilot, may take."""
_LINK = re.compile(r'<a class="open" href="([^"]+)"')
_LONG_ID = re.compile(r"[a-z0-9_-]{30,}")
MARKS = [{"quiz": "Final assessment", "score": 90}]


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorCall:
    """One call the vendor got; `status` None when it was not answered."""

    method: str
    what: str
    status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One step of the day. `asked` is RTOPilot's request line, `answer` what came back, short.

    `wrong` says what was not as expected; None when all was.
    """

    vendor: str
    title: str
    asked: str
    calls: tuple[VendorCall, ...]
    answer: str
    ms: float
    wrong: str | None = None


class NotAsExpected(Exception):
    """A step gave something else than it should have."""


@dataclass(slots=True)
class Day:
    """One vendor's day. `gateway` is the public URL, `standin` the vendor's origin.

    `college` is the organisation whose enrolments progress is pushed to; without one nobody waits for it.
    `config` is the gateway's, by which learners' pages are listed.
    """

    play: Play
    gateway: str
    standin: str
    token: str = field(repr=False)
    college: Organisation | None = None
    config: Path | None = None
    _seen: int = 0

    async def steps(self) -> AsyncIterator[Happened]:
        """Play it, step by step; what needs an enrolment that could not be made is left out."""
        slots = Slots.published(self.gateway, self.play.name, Auth(kind="BEARER", token=self.token))
        async with (
            Caller(slots) as caller,
            new_client(base_url=self.standin) as vendor,
        ):
            college = self.college if self.college is not None else Organisation(name="College")
            office = Office(college, caller)
            person = f"stu-{time.time_ns() % 10**9}"  # new each day, as a stand-in may be used again
            college.add_student(person, "Joana", "Silva")
            college.add_student(f"{person}b", "Ravi", "O'Neil")
            college.add_student(f"{person}c", "Mei", "Chen")
            async for happened in self._played(office, vendor, person):
                yield happened

    async def _played(
        self, office: Office, vendor: httpx.AsyncClient, person: str
    ) -> AsyncIterator[Happened]:
        day = _Steps(self, office, vendor)
        yield await day.take("Search the course picker", day.search)
        if day.course is None:
            return
        yield await day.take("Enrol Joana", lambda: day.enrol(person))
        if day.enrolment is None:
            return
        yield await day.take("Enrol Joana again (repeat)", lambda: day.enrol_again(person))
        yield await day.take("Read the enrolment", lambda: day.read(0), reads=True)
        if self.play.opens:
            yield await day.take("Joana opens her page and the course", day.open_page)
        yield await day.take(f"Joana learns: {PERCENT} %", lambda: day.learn(PERCENT, PERCENT), reads=True)
        yield await day.take("Read the enrolment", lambda: day.read(PERCENT), reads=True)
        if self.college is not None:
            if not self.play.full_is_complete:
                full = "Joana reaches 100 %, not completed"
                yield await day.take(full, lambda: day.learn(100, 99), reads=True)
            if self.play.completing is not None:
                yield await day.take("The LMS completes her course", day.complete, reads=True)
        yield await day.take("Enrol Ravi", lambda: day.enrol(f"{person}b"))
        yield await day.take("Transfer it to Mei", lambda: day.transfer(f"{person}c"))
        yield await day.take("Send Mei's marks", day.mark)
        yield await day.take("Cancel it", day.cancel)
        yield await day.take("Read it once more", day.read_cancelled, reads=True)

    async def calls_since(self, vendor: httpx.AsyncClient, *, reads: bool) -> tuple[VendorCall, ...]:
        """The calls the vendor got since this was last asked, each once; polls only with `reads`."""
        requests = (await _journal(vendor))["requests"]
        new = [each for each in requests if each["number"] > self._seen]
        self._seen = max([self._seen, *(each["number"] for each in new)])
        calls = [
            VendorCall(method=each["method"], what=call_shown(each), status=each["status"]) for each in new
        ]
        polled = self.play.polled
        shown = [
            each
            for each in calls
            if reads or not any(part in f"{each.method} {each.what}" for part in polled)
        ]
        return tuple(dict.fromkeys(shown))


class _Steps:
    """What staff do, one method each; every method gives what to show as the answer."""

    def __init__(self, day: Day, office: Office, vendor: httpx.AsyncClient) -> None:
        self._day, self._office, self._vendor = day, office, vendor
        self.course: str | None = None
        self.enrolment: Enrolment | None = None

    async def take(self, title: str, step: Callable[[], Awaitable[str]], *, reads: bool = False) -> Happened:
        """One step; `reads`: what asks the vendor for progress belongs to it."""
        before, started, wrong = len(self._office.caller.journal), time.perf_counter(), None
        try:
            answer = await step()
        except ServerError as error:
            answer, wrong = _said(error), "RTOPilot saw an error"
        except NotAsExpected as other:
            answer, wrong = self._last_answer(), str(other)
        elapsed = (time.perf_counter() - started) * 1000
        exchanges = list(self._office.caller.journal)[before:]
        return Happened(
            vendor=self._day.play.title,
            title=title,
            asked=_asked(exchanges[0].sent.method, exchanges[0].sent.url)
            if exchanges
            else "(in the LMS itself)",
            calls=await self._day.calls_since(self._vendor, reads=reads),
            answer=answer,
            ms=elapsed,
            wrong=wrong,
        )

    async def search(self) -> str:
        found = await self._office.list_courses(self._day.play.term)
        chosen = next((each for each in found if each["name"] == self._day.play.course), None)
        _expect(chosen is not None, f"the course {self._day.play.course} was not found")
        assert chosen is not None
        self.course = self._office.organisation.link_course("course", chosen["name"], chosen["id"]).id
        return f"{len(found)} found: {chosen['name']} = {_short(chosen['id'])}"

    async def enrol(self, person: str) -> str:
        assert self.course is not None
        self.enrolment = await self._office.enrol(person, self.course)
        return f"RTOPilot stores {_short(self._id)}"

    async def enrol_again(self, person: str) -> str:
        assert self.course is not None and self.enrolment is not None
        again = await self._office.enrol(person, self.course)
        _expect(again.lms_enrolment_id == self.enrolment.lms_enrolment_id, "the repeat got another id")
        return "the same id: nothing was done twice"

    async def read(self, percent: int) -> str:
        shown = await self._office.read_enrolment(self._held.rto_id)
        _expect(
            shown.get("progress") == percent, f"progress {percent} was expected, not {shown.get('progress')}"
        )
        return f"progress {shown['progress']}"

    async def open_page(self) -> str:
        """What the learner does with the address from `lms-gateway launch`; a browser keeps the fragment."""
        rows = await asyncio.to_thread(_pages, self._day.play.name, self._day.config)
        (address,) = [each["page"] for each in rows if each["enrolmentId"] == self._id]
        here = self._day.gateway + "/launch/" + address.partition("/launch/")[2]
        async with new_client() as browser:
            page = await browser.get(here)
        link = _LINK.search(page.text)
        _expect(page.status_code == 200 and link is not None, f"her page answers {page.status_code}")
        assert link is not None
        await self._act(("launch", {"url": unescape(link[1])}))
        return "the course knows her registration"

    async def learn(self, percent: int, heard: int) -> str:
        """The learner moves on in the LMS, and RTOPilot hears of it."""
        await self._act(self._day.play.progressing(ids.decode(self._id).parts, percent))
        if self._day.college is None:
            return "(RTOPilot does not know yet)"
        await self._hears(heard)
        _expect(self._held.certificate_at is None, "RTOPilot issued a certificate too early")
        return f"RTOPilot hears {heard} %, no certificate"

    async def complete(self) -> str:
        completing = self._day.play.completing
        assert completing is not None
        await self._act(completing(ids.decode(self._id).parts))
        await self._hears(100)
        _expect(self._held.certificate_at is not None, "RTOPilot issued no certificate")
        return "RTOPilot hears 100 % and issues the certificate"

    async def _act(self, action: Action) -> None:
        name, arguments = action
        answer = await self._vendor.post(f"/_control/act/{name}", json=arguments)
        _expect(answer.is_success, f"the stand-in refused: {answer.text[:200]}")

    async def _hears(self, percent: int) -> None:
        for _ in range(AFTERWARDS_LOOKS):
            if self._held.progress == percent:
                return
            await asyncio.sleep(AFTERWARDS_EACH_S)
        raise NotAsExpected(f"RTOPilot heard {self._held.progress:g} % and not {percent} %")

    async def transfer(self, person: str) -> str:
        before, ended = self._id, await self._ended()
        await self._office.transfer(self._held.rto_id, person)
        _expect(self._id != before, "the transfer kept the old id")
        await self._wait_for_end(ended)
        told = "the old one is ended" if self._day.play.ended else "the vendor cannot be told of the old one"
        return f"RTOPilot stores {_short(self._id)}; {told}"

    async def mark(self) -> str:
        await self._office.mark(self._held.rto_id, MARKS)
        return "acknowledged"

    async def cancel(self) -> str:
        ended = await self._ended()
        await self._office.cancel(self._held.rto_id)
        await self._wait_for_end(ended)
        return "cancelled"

    async def read_cancelled(self) -> str:
        try:
            await self._office.read_enrolment(self._held.rto_id)
        except ServerError as error:
            _expect(error.status == 404, f"404 was expected, not {error.status}")
            return self._last_answer()
        raise NotAsExpected("a cancelled enrolment was still there")

    @property
    def _held(self) -> Enrolment:
        assert self.enrolment is not None
        return self.enrolment

    @property
    def _id(self) -> str:
        return self._held.lms_enrolment_id or ""

    async def _ended(self) -> int:
        return int((await _journal(self._vendor))["effect_counts"].get(self._day.play.ended or "", 0))

    async def _wait_for_end(self, before: int) -> None:
        """The vendor's side may be done in the background, after RTOPilot has its answer."""
        if self._day.play.ended is None:
            return
        for _ in range(AFTERWARDS_LOOKS):
            if await self._ended() > before:
                return
            await asyncio.sleep(AFTERWARDS_EACH_S)
        raise NotAsExpected("the enrolment was not ended at the vendor")

    def _last_answer(self) -> str:
        last = self._office.caller.journal[-1].answer if self._office.caller.journal else None
        return "no answer" if last is None else f"{last.status} {_body(last.body)}"


def _pages(tenant: str, config: Path | None) -> list[dict[str, Any]]:
    """The pages of a tenant's learners, as an office would list them for mailing."""
    command = [sys.executable, "-m", "gateway.cli", "launch", tenant, "--json", "--config", str(config)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise NotAsExpected(f"the pages could not be listed: {listed.stderr.strip()[:200]}")
    found: list[dict[str, Any]] = json.loads(listed.stdout)
    return found


async def _journal(vendor: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await vendor.get("/_control/journal")).raise_for_status().json()
    return found


def _expect(held: bool, otherwise: str) -> None:
    if not held:
        raise NotAsExpected(otherwise)


def _said(error: ServerError) -> str:
    return f"{error.status or 'no answer'}: {'; '.join(error.complaints)}"


def _asked(method: str, url: str) -> str:
    return _short(f"{method} /{url.split('://', 1)[1].partition('/')[2]}")


def _body(body: bytes) -> str:
    try:
        value = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
    if isinstance(value, Mapping) and isinstance(value.get("error"), Mapping):
        return str(value["error"].get("message"))
    return json.dumps(value)


def _short(text: str) -> str:
    """The text with its long ids cut in the middle, so that a line stays readable."""
    return _LONG_ID.sub(lambda found: f"{found[0][:10]}…{found[0][-6:]}", text)
