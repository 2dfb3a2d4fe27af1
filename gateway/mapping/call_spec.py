"""What a mapping file says of one call and one step, as frozen data.

`spec.py` holds the whole file, `progress_spec.py` what is said of progress.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Literal

from gateway.mapping.expressions import Expression
from gateway.mapping.styles import BodyKind, CheckOutcome, Effect, Outcome, PathStyle
from gateway.mapping.templates import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One reply rule: the first whose `when` holds decides."""

    place: str
    when: Expression
    outcome: Outcome
    say: Template | None = None
    texts: Expression | None = None
    warn: Template | None = None
    wait: Expression | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """How a list is read page by page. `where` is the request part and key, such as ("query", "page").

    `step`: how much the page number or offset grows; None for 1, and for the rows that came of an offset.
    """

    kind: Literal["none", "page", "offset", "cursor", "link", "next-url", "until-empty"]
    where: tuple[str, str] | None = None
    first: int = 1
    size_where: tuple[str, str] | None = None
    per: int | None = None
    step: Template | None = None
    total: Expression | None = None
    stop_short: bool = False
    stop: Expression | None = None
    next: Expression | None = None
    rel: str = "next"
    same_host: bool = False
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSpec:
    """What one call sends. `target` renders to an encoded absolute path."""

    method: str
    target: PathTemplate
    effect: Effect
    query: Template | None = None
    headers: Template | None = None
    body_kind: BodyKind = "none"
    body: Template | None = None
    soap_action: Template | None = None
    soap_encoded: bool = False
    omit_empty: bool = False
    timeout_s: float | None = None
    place: AuthPlaceSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathTemplate:
    """A path: the author's own text as it is, each value encoded as (part of) one segment."""

    parts: tuple[str | Template, ...]
    style: PathStyle


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthPlaceSpec:
    """Where a session token goes: any of a header, a query argument, a body field, a SOAP header."""

    headers: Template | None = None
    query: Template | None = None
    field: Template | None = None
    soap_header: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSpec:
    """A request, what its replies mean, and what is taken out of them."""

    place: str
    request: RequestSpec
    args: Template | None = None
    replies: tuple[Rule, ...] = ()
    items: Expression | None = None
    keep: Expression | None = None
    pick: Expression | None = None
    none: Outcome = "absent"
    pages: Pages | None = None
    value: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """How a write in doubt is looked up. `earlier`: by the read branches before it."""

    call: CallSpec | None = None
    done: Expression | None = None
    after_s: float = 20.0
    earlier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One call inside a step: the step itself, or one branch of `first`."""

    name: str
    place: str
    line: int
    call: CallSpec
    when: Expression | None = None
    confirm: Confirm | None = None
    repeat: Literal["safe", "never"] | None = None

    @property
    def writes(self) -> bool:
        return self.call.request.effect == "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRule:
    """One rule of a check: when `when` holds the step ends with `outcome`."""

    place: str
    when: Expression
    outcome: CheckOutcome = "refused"
    say: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A step that sends nothing: the first rule that holds ends it, otherwise it gives `value`."""

    rules: tuple[CheckRule, ...] = ()
    value: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of an operation: one action, branches tried in order, values minted once, or a check."""

    id: str
    place: str
    line: int
    when: Expression | None = None
    action: Action | None = None
    first: tuple[Action, ...] = ()
    mint: tuple[str, ...] = ()
    check: Check | None = None
    remember: MappingType[str, Template] = field(default_factory=dict)
    undo: Action | None = None
    optional: bool = False
