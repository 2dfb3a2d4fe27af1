"""Looking up a write whose outcome is not known: never by sending it again (docs/durability.md)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from gateway.engine.ask import YIELDS, Answer, ask, question, valued
from gateway.engine.calls import Call, Reply
from gateway.engine.doubt import Doubt, InDoubt
from gateway.engine.failures import sentence
from gateway.engine.frame import Frame
from gateway.errors import ExpressionError, GatewayError, Refused, VendorUnavailable
from gateway.mapping.expressions import truthy
from gateway.mapping.spec import Action, Step


def settle(
    frame: Frame, step: Step, action: Action, doubt: Doubt, before: tuple[Action, ...]
) -> Generator[Call, Reply, Answer | None]:
    """Look up a write in doubt: what it would have answered if it was done, None if it surely was not.

    `before` are the branches before it. Raises InDoubt while neither can be known.
    """
    confirm = action.confirm
    if confirm is None:
        raise InDoubt(doubt, None)
    look_again_at = doubt.left_at + confirm.after_s
    try:
        if confirm.earlier:
            look = yield from _earlier(frame, step, before)
        else:
            look = yield from _asked(frame, step, action)
    except (
        GatewayError
    ):  # also a request that cannot be built: still unknown, never an error of the operation
        raise InDoubt(doubt, look_again_at) from None
    if look is None:
        raise InDoubt(doubt, None)
    if look.outcome in YIELDS:
        return look.turned("ok", "looked up")
    # "not there" is proof only when asked long enough after the write left
    if look.outcome == "absent" and look.reply.left_at >= look_again_at:
        return None
    raise InDoubt(doubt, look_again_at)


def already(frame: Frame, step: Step, action: Action, answer: Answer) -> Generator[Call, Reply, Answer]:
    """`already` with a look-up: it supplies the value, and a plain no means that the vendor refused."""
    look = yield from _asked(frame, step, action)
    if look.outcome == "absent":
        detail = f"{action.place}: already there, but not as this request needs it"
        raise Refused(sentence(frame, answer.verdict), code="vendor_refused", detail=detail)
    if look.outcome not in YIELDS:
        raise VendorUnavailable(
            detail=f"{action.place}: already there, and the look-up failed: {look.verdict.rule}"
        )
    return replace(answer, value=look.value)


def _asked(frame: Frame, step: Step, action: Action) -> Generator[Call, Reply, Answer]:
    """Ask the confirming call; `absent` also when its `done` is false."""
    assert action.confirm is not None and action.confirm.call is not None
    spec = action.confirm.call
    look = yield from ask(frame, question(frame, spec, step=f"{frame.operation}.{step.id}.confirm"))
    if look.outcome == "ok":
        done = _done(frame, action, look)
        if done is None:
            return look.turned("fail", f"{action.place}.confirm: `done` cannot be told from this answer")
        if not done:
            return look.turned("absent", f"{action.place}.confirm: `done` is false")
    return valued(frame, spec, look, listed=action.call.items is not None)


def _done(frame: Frame, action: Action, look: Answer) -> bool | None:
    """None when the answer does not say: a null is not a no."""
    assert action.confirm is not None and action.confirm.done is not None
    try:
        value: Any = action.confirm.done.evaluate(frame.context(**look.scope).scope, frame.runtime)
    except ExpressionError:
        return None
    return None if value is None else truthy(value)


def _earlier(frame: Frame, step: Step, before: tuple[Action, ...]) -> Generator[Call, Reply, Answer | None]:
    """`confirm: earlier`: the read branches are run again; the first that yields, else how they missed.

    None when no branch can be run, so that nothing can ever be known.
    """
    first: Answer | None = None
    for branch in before:
        if branch.writes or not frame.holds(branch.when):
            continue
        asked = question(frame, branch.call, step=f"{frame.operation}.{step.id}/{branch.name}")
        look = valued(frame, branch.call, (yield from ask(frame, asked)))
        if look.outcome != "absent":
            return look
        first = first or look  # asked earliest, so the weakest proof
    return first
