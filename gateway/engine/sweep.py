"""One sweep of a poll: a whole list from the vendor, and the progress each of its rows tells."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from gateway.contract import Operation
from gateway.engine.ask import YIELDS, Answer, Asking, ask, question
from gateway.engine.calls import Call, Reply
from gateway.engine.failures import failure
from gateway.engine.frame import Frame
from gateway.engine.steps import Work
from gateway.errors import ExpressionError
from gateway.mapping.progress_spec import Poll
from gateway.mapping.templates import Context, Template, as_text

MAX_REASONS = 20
AND_MORE = "…"
"""Stands for the reasons beyond those that are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the list: the record fields of the enrolment it is about, and what it says of it."""

    find: dict[str, str]
    value: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """A whole list as the vendor gave it; `rows` reads it.

    `left_at` is when the first request left: what changed at the vendor later may be missing.
    """

    items: list[Any]
    context: Context
    left_at: float | None


def sweep(frame: Frame, poll: Poll, **root: Any) -> Work:
    """Read a poll's list to a Swept. `root` adds `courseId`, `enrolment`, `enrolments` or `window`.

    Raises NotFound, Refused or VendorError when any page of the list fails: half a list is none.
    """
    assert poll.call is not None and poll.call.items is not None
    root = {**frame.root, **root}
    seen = replace(frame, operation=Operation.GET_ENROLMENT, root=root, steps={}, warnings=[], results={})
    asked = question(seen, poll.call, step=f"progress.{poll.name}")
    answer, left_at = yield from _timed(ask(seen, asked))
    if answer.outcome not in YIELDS:
        raise failure(seen, answer.reply, answer.verdict)
    return Swept(items=answer.scope["items"], context=seen.context(**answer.scope), left_at=left_at)


def rows(poll: Poll, swept: Swept) -> Iterator[Row | str]:
    """The row each item makes, or why it makes none; each is worked out when it is asked for.

    The first 20 reasons are given. A row whose `find` or `value` cannot be worked out costs no neighbour.
    """
    dropped = 0
    for item in swept.items:
        try:
            yield _row(poll, swept.context.plus(**{poll.row: item}))
        except ExpressionError as error:
            # the reason is looked for in the data, which takes time: not for thousands
            yield str(error) if dropped < MAX_REASONS else AND_MORE
            dropped += 1


def _timed(asking: Asking) -> Generator[Call, Reply, tuple[Answer, float | None]]:
    """The answer of a question, and when its first request left."""
    left_at: float | None = None
    try:
        call = next(asking)
        while True:
            reply = yield call
            left_at = reply.left_at if left_at is None else left_at
            call = asking.send(reply)
    except StopIteration as end:
        return end.value, left_at


def _row(poll: Poll, context: Context) -> Row:
    assert poll.value is not None
    find = {name: _field(template, context) for name, template in poll.find.items()}
    return Row(find=find, value=poll.value.render(context))


def _field(template: Template, context: Context) -> str:
    value = template.render(context)
    text = "" if isinstance(value, list | dict) else as_text(value)
    if not text:
        raise ExpressionError(f"{template.place}: empty, or not text", kind="null")
    return text
