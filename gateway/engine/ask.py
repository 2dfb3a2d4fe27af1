"""One question to the vendor: a call, or all pages of a list, and what the mapping takes out of it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.engine import requests
from gateway.engine.calls import Call, Outcome, Reply, Verdict
from gateway.engine.frame import Frame, mismade
from gateway.engine.pages import Pager, step_of
from gateway.errors import ExpressionError, VendorFault
from gateway.mapping.expressions import truthy
from gateway.mapping.spec import CallSpec

YIELDS = ("ok", "already")
MAX_ITEMS = 500_000

Asking = Generator[Call, Reply, "Answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One call of the mapping with its values filled in; `scope` holds a shared call's `args`."""

    spec: CallSpec
    call: Call
    scope: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The reply that settled a question and what it means; `scope` is what expressions after it see.

    `value` is what later steps see of it, once it has been taken out.
    """

    reply: Reply
    verdict: Verdict
    scope: Mapping[str, Any] = field(default_factory=dict)
    value: dict[str, Any] | None = None

    @property
    def outcome(self) -> Outcome:
        return self.verdict.outcome

    def turned(self, outcome: Outcome, rule: str) -> Answer:
        """The same answer, judged otherwise."""
        return replace(self, verdict=replace(self.verdict, outcome=outcome, rule=rule))


def question(frame: Frame, spec: CallSpec, *, step: str, journal: str | None = None) -> Question:
    """Fill in a call. Raises Refused for a value that cannot be sent, InternalError where one is missing."""
    try:
        scope = {} if spec.args is None else {"args": spec.args.render(frame.context())}
        call = requests.build(frame, spec, step=step, scope=scope, journal=journal)
    except ExpressionError as error:
        raise mismade(error, spec.place) from error
    return Question(spec=spec, call=call, scope=scope)


def ask(frame: Frame, asked: Question, *, again: bool = False) -> Asking:
    """Make the call, or read all pages of the list; apply `items`, `keep` and `pick`.

    An answer that has not the shape the mapping needs is `fail`, after a write `unknown`.
    Raises InternalError before anything is sent when `pages.step` is no number.
    """
    call = replace(asked.call, again=True) if again else asked.call
    if asked.spec.items is not None:
        return (yield from _listed(frame, asked, call))
    reply = yield call
    return Answer(reply=reply, verdict=_verdict(reply), scope={**asked.scope, "reply": reply.scope()})


def _verdict(reply: Reply) -> Verdict:
    assert reply.verdict is not None  # whoever drives the engine judges each reply
    return reply.verdict


def _listed(frame: Frame, asked: Question, call: Call) -> Asking:
    spec, step = asked.spec, step_of(asked.spec.pages, frame, **asked.scope)
    pager = Pager(spec.pages, frame, step=step)
    collected: list[Any] = []
    following: Call | None = pager.start(call)
    while following is not None:
        call = following
        reply = yield call
        answer = Answer(reply=reply, verdict=_verdict(reply), scope={**asked.scope, "reply": reply.scope()})
        if answer.outcome not in YIELDS:
            # an "absent" page is not an absent list: part of it has been read
            lost = answer.outcome == "absent" and call is not asked.call and pager.count > 0
            return (
                answer.turned("fail", f"{spec.place}: page {pager.count + 1} is absent") if lost else answer
            )
        try:
            items = _items(frame, spec, answer)
            collected += _kept(frame, spec, items, answer)
            if len(collected) > MAX_ITEMS:
                raise VendorFault(detail=f"the list has more than {MAX_ITEMS} items")
            following = pager.next(call, reply, items, frame.context(**answer.scope, items=items).scope)
        except (ExpressionError, VendorFault) as error:
            return unusable(spec, answer, error)
    return _picked(frame, spec, answer, collected)


def unusable(spec: CallSpec, answer: Answer, error: ExpressionError | VendorFault) -> Answer:
    """An answer that cannot be used. A write may have been done all the same, so it must be looked up."""
    why = error.detail if isinstance(error, VendorFault) else str(error)
    return answer.turned("unknown" if spec.request.effect == "write" else "fail", f"{spec.place}: {why}")


def _items(frame: Frame, spec: CallSpec, answer: Answer) -> list[Any]:
    assert spec.items is not None
    found = spec.items.evaluate(frame.context(**answer.scope).scope, frame.runtime)
    if not isinstance(found, list):
        raise VendorFault(detail=f"items: `{spec.items.text}` is not a list")
    return found


def _kept(frame: Frame, spec: CallSpec, items: list[Any], answer: Answer) -> list[Any]:
    if spec.keep is None:
        return items
    seen, runtime, keep = frame.context(**answer.scope).scope, frame.runtime, spec.keep
    return [item for item in items if truthy(keep.evaluate(seen, runtime, item=item))]


def _picked(frame: Frame, spec: CallSpec, answer: Answer, items: list[Any]) -> Answer:
    scope = {**answer.scope, "items": items, "item": None}
    if spec.pick is None:
        return replace(answer, scope=scope)
    seen = frame.context(**answer.scope, items=items).scope
    try:
        for item in items:
            if truthy(spec.pick.evaluate(seen, frame.runtime, item=item)):
                return replace(answer, scope={**scope, "item": item})
    except ExpressionError as error:
        return unusable(spec, answer, error)
    return replace(answer, scope=scope).turned(spec.none, f"{spec.place}: nothing picked")


def valued(frame: Frame, spec: CallSpec, answer: Answer, *, listed: bool = True) -> Answer:
    """The answer with what later steps see of it. A null where one is needed makes it unusable.

    Without `listed` a list's `items` and `item` are left out: a look-up gives what the step would have.
    """
    if answer.outcome not in YIELDS:
        return answer
    value: dict[str, Any] = {}
    if listed and spec.items is not None:
        value["items"] = answer.scope["items"]
        if spec.pick is not None:
            value["item"] = answer.scope["item"]
    if spec.value is not None:
        try:
            value |= spec.value.render(frame.context(**answer.scope))
        except ExpressionError as error:
            return unusable(spec, answer, error)
    return Answer(reply=answer.reply, verdict=answer.verdict, scope=answer.scope, value=value)
