"""The scripted vendor of a case: answers from the script, remembers what was done to it, and has mishaps.

It stands where the pool would: requests reach it as bytes, and it outlives the gateway processes of a play.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from gateway.engine.calls import Call, Reply
from gateway.errors import AnswerLost, NotSent
from gateway.outbound import Answer, Pool
from gateway.vendor.client import Client
from gateway.workbench.cases import Line, Scripted
from gateway.workbench.cases_answers import content_of, headers_of
from gateway.workbench.cases_match import Request, differences, explain

Kind = Literal["die_before", "die_after", "die_commit", "lose", "answer", "chatty"]

_CALL: ContextVar[Call | None] = ContextVar("call", default=None)
"""The call on its way, so that the edge knows what the bytes are for."""


class Died(BaseException):
    """The process stops here; nothing may catch it, and nothing of it works afterwards."""


class OffScript(BaseException):
    """A request the script has no answer for; the play ends with this text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """One thing that goes wrong once, at the `at`-th call or commit of a play, counted from 1.

    lose: the answer does not arrive, `how` says how (timeout, reset, not_sent) · answer: another arrives ·
    chatty: its sentences repeat the request. `done` says whether the vendor did what was asked, `late_s`
    that it did so only that many seconds later. `lasting`: so it is with every call from then on.
    """

    kind: Kind
    at: int
    how: str = ""
    answer: Scripted | None = None
    done: bool = True
    late_s: float = 0.0
    lasting: bool = False


@dataclass(slots=True)
class Life:
    """Whether one gateway process is alive; everything it touches asks here first."""

    dead: bool = False

    def check(self) -> None:
        if self.dead:
            raise Died

    def end(self) -> None:
        self.dead = True
        raise Died


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request that reached the vendor, or would have. `applied`: the vendor did what it says.

    `journal` is the name of the write (`enrol`, `user/make`); None for a read. `sure` is false when nobody
    could know at that moment whether it was done.
    """

    number: int
    at: float
    line: Line
    step: str
    write: bool
    journal: str | None
    request: Request
    applied: bool
    not_sent: bool = False
    sure: bool = True


@dataclass(slots=True, kw_only=True)
class ScriptedVendor:
    """The vendor of one play. `strict`: a line may be asked once only, unless it says `again`.

    `on_call` hears the number of each call as it comes in, before it is answered.
    """

    lines: Sequence[Line]
    now: Callable[[], float]
    mishap: Mishap | None = None
    strict: bool = False
    echo: bool = False
    on_call: Callable[[int], None] = lambda number: None
    sent: list[Sent] = field(default_factory=list)
    used: Counter[Line] = field(default_factory=Counter)
    effects: Counter[Line] = field(default_factory=Counter)
    made: list[Line] = field(default_factory=list)
    _calls: int = 0
    _pending: tuple[float, Request, Line] | None = None

    def answer(self, request: Request, call: Call | None, life: Life) -> Answer:
        """Answer one request. Raises AnswerLost, NotSent, Died or OffScript."""
        self._calls += 1
        self._catch_up()
        mishap = self._mishap()
        line, overridden = self._line(request)
        write = call is not None and call.effect == "write" and not call.anonymous
        changing = (write or bool(line.makes)) and not overridden
        does = (
            mishap.done and mishap.kind != "die_before"
            if mishap is not None
            else line.answer.lost != "not_sent"
        )
        late = mishap is not None and mishap.late_s > 0
        self._note(request, call, line, write=write, applied=does, mishap=mishap)
        self.on_call(self._calls)
        if does and late and mishap is not None:
            self._pending = (self.now() + mishap.late_s, request, line)
        elif does:
            self.used[line] += 1
            self._apply(line, changing)
        return self._given(line, request, mishap, life)

    def _apply(self, line: Line, changing: bool) -> None:
        if changing and line.changes:
            self.effects[line] += 1
            self.made[:0] = line.makes

    def _catch_up(self) -> None:
        """Do what arrived late, unless something has taken its place meanwhile."""
        if self._pending is None or self.now() < self._pending[0]:
            return
        _, request, line = self._pending
        self._pending = None
        if not any(not differences(made, request) for made in self.made):
            self._apply(line, True)

    def unused(self) -> list[Line]:
        return [line for line in self.lines if not line.maybe and not self.used[line]]

    def _mishap(self) -> Mishap | None:
        mishap = self.mishap
        if mishap is None or mishap.kind == "die_commit":
            return None
        now = mishap.at <= self._calls if mishap.lasting else mishap.at == self._calls
        return mishap if now else None

    def _line(self, request: Request) -> tuple[Line, bool]:
        for line in self.made:
            if not differences(line, request):
                return line, not line.makes
        fitting = [line for line in self.lines if not differences(line, request)]
        for line in fitting:
            if line.again or not self.used[line]:
                return line, False
        if not fitting or self.strict:
            raise OffScript(explain([*self.made, *self.lines], request))
        return fitting[-1], False

    def _note(
        self,
        request: Request,
        call: Call | None,
        line: Line,
        *,
        write: bool,
        applied: bool,
        mishap: Mishap | None,
    ) -> None:
        self.sent.append(
            Sent(
                number=self._calls,
                at=self.now(),
                line=line,
                step="login" if call is None else call.step,
                write=write,
                journal=None if call is None else call.journal,
                request=request,
                applied=applied,
                not_sent=(mishap.how if mishap is not None else line.answer.lost) == "not_sent",
                sure=mishap is None and line.answer.lost is None,
            )
        )

    def _given(self, line: Line, request: Request, mishap: Mishap | None, life: Life) -> Answer:
        answer = line.answer
        if mishap is not None:
            if mishap.kind in ("die_before", "die_after"):
                life.end()
            how: Any = mishap.how if mishap.kind == "lose" else None
            answer = replace(mishap.answer or answer, lost=how)
        if answer.lost == "not_sent":
            raise NotSent("scripted")
        if answer.lost is not None:
            raise AnswerLost("scripted") from (TimeoutError() if answer.lost == "timeout" else None)
        if mishap is not None and mishap.kind == "chatty":
            answer = replace(answer, data=_chatty(answer.data, _told(request)))
        content = (
            _echo(request)
            if self.echo and mishap is not None and mishap.kind == "answer"
            else content_of(answer)
        )
        return Answer(status=answer.status, headers=headers_of(answer), content=content, elapsed_s=0.001)


def _echo(request: Request) -> bytes:
    """An error page that shows the whole request, as debug pages do."""
    rows = [request.ask, *(f"{name}: {value}" for name, value in request.headers.items())]
    return ("<html>" + "\n".join(rows) + "\n").encode() + request.content + b"</html>"


def _told(request: Request) -> str:
    """What a talkative vendor repeats in its messages: the credentials first, since messages are cut."""
    headers = [f"{name}: {value}" for name, value in request.headers.items()]
    headers.sort(key=lambda row: not row.lower().startswith(("authorization", "x-")))
    return " ".join([headers[0], request.target, request.content.decode("utf-8", "replace")[-100:]])


def _chatty(data: Any, told: str) -> Any:
    """Data whose sentences go on with what was told."""
    if isinstance(data, Mapping):
        return {name: _chatty(value, told) for name, value in data.items()}
    if isinstance(data, list):
        return [_chatty(value, told) for value in data]
    return f"{data} {told}" if isinstance(data, str) and " " in data else data


class EdgePool(Pool):
    """The pool of one process: hands every request to the scripted vendor."""

    def __init__(self, vendor: ScriptedVendor, life: Life) -> None:
        self._vendor, self._life = vendor, life

    async def send(
        self,
        method: str,
        base: str,
        target: str,
        *,
        query: Any = (),
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        timeout_s: float,
        max_bytes: int | None = None,
    ) -> Answer:
        self._life.check()
        request = Request(
            method=method,
            target=target,
            path=urlsplit(base).path.rstrip("/") + target,
            query=tuple(query),
            headers=dict(headers or {}),
            content=content,
        )
        return self._vendor.answer(request, _CALL.get(), self._life)

    async def aclose(self) -> None:
        pass


class NamedClient(Client):
    """The production client, which also lets the edge know what it is sending."""

    @classmethod
    def over(cls, client: Client) -> NamedClient:
        named = cls.__new__(cls)
        named.__dict__.update(client.__dict__)
        return named

    async def exchange(self, call: Call, timeout_s: float) -> Reply:
        token = _CALL.set(call)
        try:
            return await super().exchange(call, timeout_s)
        finally:
            _CALL.reset(token)
