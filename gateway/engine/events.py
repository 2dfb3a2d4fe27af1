"""The events in one delivery of a webhook: which there are, what they are about, what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.engine.frame import Frame
from gateway.errors import ExpressionError
from gateway.mapping.expressions import truthy
from gateway.mapping.progress_spec import Webhook
from gateway.mapping.templates import Context, Template, as_text

MAX_EVENTS = 10_000
MAX_REASONS = 20
_ALIKE = "more of the same delivery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event: `find` are record fields of the enrolments it is about.

    `id` is the same when the event is sent again; None where the vendor gives none. `value` is as a
    `progress.read` value, None where an event is only a hint.
    """

    id: str | None
    find: Mapping[str, str]
    value: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """The events the mapping keeps; `ignored` counts the others.

    `dropped` has one entry for each event that cannot be used, saying why for the first MAX_REASONS.
    """

    events: tuple[Event, ...] = ()
    dropped: tuple[str, ...] = ()
    ignored: int = 0


def events(frame: Frame, webhook: Webhook, body: Any, headers: Mapping[str, str]) -> Events:
    """Read a delivery. An event that cannot be used is dropped, its neighbours are not.

    At most MAX_EVENTS are taken; the rest count as dropped. Never raises for what was delivered.
    """
    context = frame.context(body=body, headers=headers)
    try:
        items = _items(webhook, body, context)
    except ExpressionError as error:
        return Events(dropped=(f"{webhook.place}.events: {error}",))
    found: list[Event] = []
    dropped: list[str] = []
    ignored = 0
    for item in items[:MAX_EVENTS]:
        try:
            event = _event(webhook, item, context)
        except ExpressionError as error:
            # the reason is looked for in the data, which takes time: not for thousands
            dropped.append(str(error) if len(dropped) < MAX_REASONS else _ALIKE)
            continue
        if event is None:
            ignored += 1
        else:
            found.append(event)
    dropped.extend(f"beyond {MAX_EVENTS} events" for _ in items[MAX_EVENTS:])
    return Events(events=tuple(found), dropped=tuple(dropped), ignored=ignored)


def _items(webhook: Webhook, body: Any, context: Context) -> list[Any]:
    value = body if webhook.events is None else webhook.events.evaluate(context.scope, context.runtime)
    if value is None:
        why = "" if webhook.events is None else webhook.events.reason(context.scope, context.runtime)
        raise ExpressionError(why or "the body is null", kind="null")
    return value if isinstance(value, list) else [value]


def _event(webhook: Webhook, item: Any, context: Context) -> Event | None:
    """One event, None where `keep` does not hold."""
    inside = context.plus(**{webhook.row: item})
    if webhook.keep is not None and not truthy(
        webhook.keep.evaluate(inside.scope, inside.runtime, item=item)
    ):
        return None
    find = {name: _text(f"{webhook.place}.find.{name}", one, inside) for name, one in webhook.find.items()}
    value = None
    if webhook.trust == "value" and webhook.value is not None:
        value = webhook.value.render(inside)
    return Event(id=_id(webhook, inside), find=find, value=value)


def _id(webhook: Webhook, context: Context) -> str | None:
    """None where it cannot be made: the event then counts as new, which does no harm."""
    if webhook.id is None:
        return None
    try:
        return _text(f"{webhook.place}.id", webhook.id, context)
    except ExpressionError:
        return None


def _text(place: str, template: Template, context: Context) -> str:
    """A text the store can look for: not empty, and without NUL."""
    value = template.render(context)
    text = "" if isinstance(value, list | dict) else as_text(value).strip()
    if not text or "\0" in text:
        raise ExpressionError(f"{place}: empty, or not text", kind="type")
    return text
