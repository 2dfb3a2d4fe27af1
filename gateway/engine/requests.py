"""From a `CallSpec` and a scope to a `Call`: every expression filled in, every value escaped by its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from gateway.engine import faults
from gateway.engine.calls import AuthPlace, Body, Call, Reply, SoapStyle, Verdict
from gateway.engine.frame import Frame
from gateway.errors import Refused
from gateway.mapping.spec import AuthPlaceSpec, CallSpec, PathTemplate, RequestSpec
from gateway.mapping.templates import Context, as_text

MAX_PATH_VALUE = 500
UNSENDABLE = "A value of this request cannot be sent to the LMS."


def build(frame: Frame, spec: CallSpec, *, step: str, scope: Mapping[str, Any], journal: str | None = None) -> Call:
    """One request of the mapping, final but for the credentials.

    `scope` adds names to the frame's. Raises Refused when a value cannot stand where it should,
    ExpressionError when something needed is null.
    """
    context = with_args(frame, spec, frame.request_context(**scope))
    request = spec.request
    call = Call(
        step=step,
        method=request.method,
        base=frame.base,
        target=target(frame, request.target, context),
        effect=request.effect,
        judge=_judge(frame, spec, scope, context),
        query=pairs(_both(frame.mapping.server.query, request.query, context)),
        headers=headers(_both(frame.mapping.server.headers, request.headers, context)),
        body=_body(request, context),
        timeout_s=request.timeout_s or frame.mapping.server.timeout_s,
        place=place_renderer(request.place, frame) if request.place else None,
        journal=journal,
        sensitive=context.sensitive,
    )
    # the same dict object was filled while rendering; people's values are masked everywhere
    context.sensitive.update(frame.personal)
    return call


def with_args(frame: Frame, spec: CallSpec, context: Context) -> Context:
    """The scope of a shared call: its arguments are filled in where it is used."""
    return context if spec.args is None else context.plus(args=spec.args.render(context))


def _judge(frame: Frame, spec: CallSpec, scope: Mapping[str, Any], request: Context) -> Callable[[Reply], Verdict]:
    server = frame.mapping.server
    more = dict(scope)
    if spec.args is not None:
        more["args"] = request.scope["args"]
    context = frame.context(**more)
    rules = (*spec.replies, *server.replies)

    def judged(reply: Reply) -> Verdict:
        return faults.judge(reply, rules=rules, auth=server.auth, effect=spec.request.effect, context=context)

    return judged


def target(frame: Frame, template: PathTemplate, context: Context) -> str:
    """The encoded absolute path. Raises Refused for a value that would leave its segment."""
    text = "".join(
        _renamed(part, frame.wire_names) if isinstance(part, str) else _path_value(part.render(context), template)
        for part in template.parts
    )
    if any(segment in (".", "..") for segment in text.split("?")[0].split("/")):
        raise Refused(UNSENDABLE, code="unsendable_value", detail=f"dot segment in {template.parts}")
    return text


def _renamed(text: str, wire_names: Mapping[str, str]) -> str:
    if not wire_names:
        return text
    return "/".join(wire_names.get(segment, segment) for segment in text.split("/"))


def _path_value(value: Any, template: PathTemplate) -> str:
    if isinstance(value, (list, dict)):
        raise Refused(UNSENDABLE, code="unsendable_value", detail="a list or object in a path")
    text = as_text(value)
    if not text or len(text) > MAX_PATH_VALUE or any(letter in template.style.refuse for letter in text):
        raise Refused(UNSENDABLE, code="unsendable_value", detail="empty, too long, or with a character the path cannot hold")
    return quote(text, safe=template.style.keep)


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
            if isinstance(item, (list, dict)):
                raise Refused(UNSENDABLE, code="unsendable_value", detail=f"an object in the query argument {name}")
            found.append((name, as_text(item)))
    return tuple(found)


def headers(data: Mapping[str, Any]) -> dict[str, str]:
    """Header values as text; a line break or control character in one is refused."""
    found = {name: as_text(value) for name, value in data.items()}
    for name, value in found.items():
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
            raise Refused(UNSENDABLE, code="unsendable_value", detail=f"a control character in the header {name}")
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
        return {key: item for key, item in slim.items() if item not in ("", [], {}) or item is False}
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
