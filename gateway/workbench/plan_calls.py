"""One call of a plan: the request as production would build it, with names where nothing is known yet."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gateway.engine.ask import question
from gateway.engine.calls import Call, Reply
from gateway.engine.frame import Frame
from gateway.engine.pages import Pager
from gateway.errors import ExpressionError, GatewayError
from gateway.mapping.expressions import Expression, truthy
from gateway.mapping.spec import Action, CallSpec
from gateway.vendor.auth import Credentials, MemoryKeeper, Token
from gateway.vendor.client import renamed
from gateway.workbench.unknowns import Known, Markers, Unknown, value_of
from gateway.workbench.words import lost_words, page_words, rule_words

State = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it would leave; `body` is data, `kind` how it is written."""

    method: str
    url: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    kind: str
    body: Any
    soap_header: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """One call. `state` says whether `when` lets it happen; `problem` why it cannot be made."""

    name: str
    place: str
    line: int
    effect: str
    state: State
    when: str | None = None
    request: Request | None = None
    problem: str | None = None
    pages: str | None = None
    rules: list[str] = field(default_factory=list)
    lost: str | None = None
    look_up: PlannedCall | None = None


def state_of(when: Expression | None, scope: Known) -> State:
    """Whether a condition lets a call happen, as far as that is known."""
    if when is None:
        return "yes"
    try:
        return "yes" if truthy(value_of(when, scope)) else "no"
    except (Unknown, ExpressionError):
        return "unknown"


@dataclass(slots=True)
class Maker:
    """Makes planned calls of one substituted mapping."""

    frame: Frame
    scope: Known
    markers: Markers
    lines: Mapping[str, int]

    def action(self, action: Action) -> PlannedCall:
        state = state_of(action.when, self.scope)
        if state == "no":
            return PlannedCall(
                name=action.name,
                place=action.place,
                line=self.lines.get(action.place, 0),
                effect=action.call.request.effect,
                state=state,
                when=None if action.when is None else action.when.text,
            )
        confirm = action.confirm
        look_up = None if confirm is None or confirm.call is None else self.call("look-up", confirm.call)
        return replace(
            self.call(action.name, action.call),
            state=state,
            when=None if action.when is None else action.when.text,
            lost=lost_words(action),
            look_up=look_up,
        )

    def call(self, name: str, spec: CallSpec, *, anonymous: bool = False) -> PlannedCall:
        request, problem = None, None
        try:
            request = self._request(spec, anonymous)
        except GatewayError as error:
            problem = error.detail or error.message
        return PlannedCall(
            name=name,
            place=spec.place,
            line=self.lines.get(spec.place, 0),
            effect=spec.request.effect,
            state="yes",
            request=request,
            problem=problem,
            pages=page_words(spec.pages),
            rules=[rule_words(rule) for rule in spec.replies],
        )

    def _request(self, spec: CallSpec, anonymous: bool) -> Request:
        call = question(self.frame, spec, step=spec.place).call
        call = Pager(spec.pages, self.frame).start(call)
        if not anonymous:
            call = self._with_credentials(call)
        return self._shown(call)

    def _with_credentials(self, call: Call) -> Call:
        auth = self.frame.mapping.server.auth

        async def nobody(_: Call) -> Reply:
            raise AssertionError("a plan sends nothing")

        credentials = Credentials(auth, self.frame, MemoryKeeper(float), nobody, float)
        parts = {"access_token": self.markers.mark("token")} if auth.kind == "oauth2" else {}
        token = Token(version=0, parts=parts, saved_at=0.0, used_at=0.0) if auth.has_login else None
        return credentials.place(call, token)

    def _shown(self, call: Call) -> Request:
        names, shown = self.frame.wire_names, self.markers.shown
        headers = {name: _readable(value) for name, value in call.headers.items()}
        body = call.body
        if body.kind == "soap":
            headers["soapaction"] = f'"{body.soap.action}"'
        return Request(
            method=call.method,
            url=shown(f"{call.base}{call.target}"),
            query=[(shown(name), shown(value)) for name, value in call.query],
            headers=shown(headers),
            kind=body.kind,
            body=shown(renamed(body.data, names) if body.kind in ("xml", "soap") else body.data),
            soap_header=shown(renamed(body.header, names)),
        )


def _readable(value: str) -> str:
    """Basic credentials as what they are made of; in a plan these are names, not secrets."""
    if not value.startswith("Basic "):
        return value
    return f"Basic {base64.b64decode(value[6:]).decode()}"
