"""From a `CallSpec` and a scope to a `Call`: every expression filled in, every value escaped by its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from gateway.engine import faults
from gateway.engine.calls import AuthPlace, Body, Call, Reply, SoapStyle, Verdict
from gateway.engine.frame import Frame
from gateway.errors import Refused
from gateway.mapping.spec import AuthPlaceSpec, CallSpec, PathTemplate, RequestSpec
from gateway.mapping.styles import PathStyle
from gateway.mapping.templates import Context, as_text

MAX_PATH_VALUE = 500
# A segment that some server, once it has decoded it, takes for "here" or "one up"; `%2F`, `\` and `;` end a
# segment too. The outbound room checks again: by then a write has been noted as leaving.
DOT_SEGMENT = re.compile(r"(?:^|/|%2F|%5C)(?:\.|%2E){1,2}(?:/|%2F|%5C|;|%3B|\?|$)", re.IGNORECASE)
HEADER_VALUE = re.compile(r"[\t -~]*")
UNSENDABLE = "A value of this request cannot be sent to the LMS."


def build(
    frame: Frame, spec: CallSpec, *, step: str, scope: Mapping[str, Any], journal: str | None = None
) -> Call:
    """One request of the mapping, final but for the credentials.

    `scope` adds names to the frame's. Raises Refused when a value cannot stand where it should,
    ExpressionError when something needed is null.
    """
    context = frame.request_context(**scope)
    request, server = spec.request, frame.mapping.server
    return Call(
        step=step,
        method=request.method,
        base=frame.base,
        target=target(frame, request.target, context),
        effect=request.effect,
        judge=_judge(frame, spec, scope),
        query=pairs(_both(server.query, request.query, context)),
        headers=headers(_both(server.headers, request.headers, context)),
        body=_body(request, context),
        timeout_s=request.timeout_s or server.timeout_s,
        place=place_renderer(request.place, frame) if request.place else None,
        journal=journal,
        sensitive=context.sensitive,  # filled while rendering
        personal=frame.personal,
    )


def _judge(frame: Frame, spec: CallSpec, scope: Mapping[str, Any]) -> Callable[[Reply], Verdict]:
    server = frame.mapping.server
    context = frame.context(**scope)

    def judged(reply: Reply) -> Verdict:
        rules = (*spec.replies, *server.replies)
        return faults.judge(reply, rules=rules, auth=server.auth, effect=spec.request.effect, context=context)

    return judged


def target(frame: Frame, template: PathTemplate, context: Context) -> str:
    """The encoded absolute path. Raises Refused for a value that would leave its segment."""
    text = "".join(
        _renamed(part, frame.wire_names)
        if isinstance(part, str)
        else _path_value(part.render(context), template.style)
        for part in template.parts
    )
    if DOT_SEGMENT.search(text):
        raise unsendable("a dot segment in the path")
    return text


def unsendable(why: str) -> Refused:
    """What RTOPilot hears of a value that must not be sent; `why` names the place, never the value."""
    return Refused(UNSENDABLE, code="unsendable_value", detail=why)


def _renamed(text: str, wire_names: Mapping[str, str]) -> str:
    if not wire_names:
        return text
    return "/".join(wire_names.get(segment, segment) for segment in text.split("/"))


def _path_value(value: Any, style: PathStyle) -> str:
    if isinstance(value, list | dict):
        raise unsendable("a list or object in the path")
    text = as_text(value)
    if not text or len(text) > MAX_PATH_VALUE:
        raise unsendable(f"a path value that is empty or longer than {MAX_PATH_VALUE} characters")
    if any(letter in style.refuse or letter < " " or letter == "\x7f" for letter in text):
        raise unsendable("a character that this path cannot hold")
    encoded = quote(_encodable(text, "the path"), safe=style.keep)
    for letter in style.encode:
        encoded = encoded.replace(letter, f"%{ord(letter):02X}")
    return encoded


def _encodable(text: str, where: str) -> str:
    """The text, unless it holds half a character (a lone surrogate), which no encoding can carry."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        raise unsendable(f"half a character in {where}") from None
    return text


def _both(shared: Any, own: Any, context: Context) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for template in (shared, own):
        if template is not None:
            filled.update(template.render(context))
    return filled


def pairs(data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Query arguments as pairs; a list repeats its key."""
    found: list[tuple[str, str]] = []
    for name, value in data.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, list | dict):
                raise unsendable(f"an object in the query argument {name}")
            found.append((name, _encodable(as_text(item), f"the query argument {name}")))
    return tuple(found)


def headers(data: Mapping[str, Any]) -> dict[str, str]:
    """Header values as text. A line break, control character or character outside ASCII is refused."""
    found = {name: as_text(value) for name, value in data.items()}
    for name, value in found.items():
        if not HEADER_VALUE.fullmatch(value):
            raise unsendable(f"a character in the header {name} that HTTP cannot carry")
    return found


def _body(request: RequestSpec, context: Context) -> Body:
    if request.body is None:
        return Body(kind="none")
    data = request.body.render(context)
    if request.omit_empty:
        data = without_empty(data)
    if request.body_kind == "soap":
        action = "" if request.soap_action is None else as_text(request.soap_action.render(context))
        return Body(kind="soap", data=data, soap=SoapStyle(action=action, encoded=request.soap_encoded))
    return Body(kind=request.body_kind, data=data)


def without_empty(value: Any) -> Any:
    """Data without keys whose value is empty text, an empty list or an empty object."""
    if isinstance(value, dict):
        slim = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in slim.items() if item not in ("", [], {})}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value


def place_renderer(spec: AuthPlaceSpec, frame: Frame) -> Callable[[Mapping[str, Any]], AuthPlace]:
    """How a session token goes into a request: called by the auth room with the token's parts."""

    def render(token: Mapping[str, Any]) -> AuthPlace:
        context = frame.request_context(token=token)
        return AuthPlace(
            headers=headers(spec.headers.render(context)) if spec.headers else {},
            query=pairs(spec.query.render(context)) if spec.query else (),
            field=pairs(spec.field.render(context)) if spec.field else (),
            soap_header=spec.soap_header.render(context) if spec.soap_header else None,
        )

    return render
