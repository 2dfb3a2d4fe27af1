"""What a mapping file says, as frozen data: everything defaulted, every expression compiled.

`load.py` builds these; the engine reads them and never has to ask "text or object?".
Keywords are those of the mapping language (docs/mapping-language.md).
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.contract import Operation
from gateway.mapping.expressions import Expression
from gateway.mapping.styles import BodyKind, Effect, FormStyle, Outcome, PathStyle, XmlStyle
from gateway.mapping.templates import Template

SettingType = Literal["text", "number", "switch", "host", "url", "zone", "choice", "map", "list", "template"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing a tenant chooses. `source` is set for a choice whose values are read from the vendor."""

    name: str
    type: SettingType
    required: bool = False
    default: Any = None
    help: str = ""
    example: Any = None
    pattern: str | None = None
    secret: bool = False
    of: tuple[str, ...] = ()
    of_type: str = "text"
    item: MappingType[str, str] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    source: ChoiceSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceSource:
    """Where a setting's possible values are listed at the vendor."""

    call: CallSpec
    name: str
    give: MappingType[str, Template]


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    name: str
    help: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One choice that switches several values: `by` names the setting, `of` holds each choice's values."""

    by: str
    of: MappingType[str, MappingType[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Call allowances: rates as (calls, seconds); `reserve` is the share kept for staff actions."""

    rates: tuple[Template, ...] = ()
    reserve: float = 0.0
    remaining: Template | None = None
    cost: Template | None = None
    floor: float = 0.0


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
    """How a list is read page by page. `where` is the request part and key, such as ("query", "page")."""

    kind: Literal["none", "page", "offset", "cursor", "link", "next-url", "until-empty"]
    where: tuple[str, str] | None = None
    first: int = 1
    size_where: tuple[str, str] | None = None
    per: int | None = None
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
class Step:
    """One step of an operation: one action, branches tried in order, or values minted once."""

    id: str
    place: str
    line: int
    when: Expression | None = None
    action: Action | None = None
    first: tuple[Action, ...] = ()
    mint: tuple[str, ...] = ()
    remember: MappingType[str, Template] = field(default_factory=dict)
    undo: Action | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    mode: Literal["local", "sent"]
    within: tuple[Template, ...] = ()
    min: int = 0
    strip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec:
    """One of RTOPilot's operations, in one of its forms (`kind`).

    `course_field` names the record field that holds the vendor's course id.
    """

    operation: Operation
    kind: Literal["steps", "acknowledge", "refuse", "manual", "create-then-cancel", "choose", "constant"]
    place: str
    line: int
    sentence: Template | None = None
    steps: tuple[Step, ...] = ()
    serialise: tuple[Template, ...] = ()
    record: Template | None = None
    personal: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    course_field: str | None = None
    each: Expression | None = None
    name: str = "course"
    give: MappingType[str, Template] = field(default_factory=dict)
    remember_course: Template | None = None
    search: Search | None = None
    cache_s: float = 0.0
    choose: Expression | None = None
    of: MappingType[str, OperationSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`auth.kind: session`: how to log in, how long a token lives, how its end is recognised."""

    login: CallSpec
    good: Expression | None
    token: Template
    idle_s: float | None = None
    fixed_s: float | None = None
    until: Expression | None = None
    rotate: Template | None = None
    place: AuthPlaceSpec = AuthPlaceSpec()
    expired_sure: Expression | None = None
    expired_maybe: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2:
    grant: Literal["client_credentials", "password", "refresh_token"]
    token_url: Template
    client_id: Template
    client_secret: Template
    scope: Template | None = None
    username: Template | None = None
    password: Template | None = None
    refresh_token: Template | None = None
    client_in: Literal["basic", "form"] = "basic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How credentials reach the vendor."""

    kind: Literal["none", "basic", "bearer", "header", "field", "oauth2", "session"] = "none"
    user: Template | None = None
    password: Template | None = None
    token: Template | None = None
    name: str = ""
    value: Template | None = None
    field_in: Literal["form", "json", "query"] = "form"
    oauth2: OAuth2 | None = None
    session: Session | None = None

    @property
    def has_login(self) -> bool:
        return self.kind in ("oauth2", "session")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    base: Template
    hosts: tuple[Template, ...]
    timeout_s: float = 5.0
    headers: Template | None = None
    query: Template | None = None
    path: PathStyle = PathStyle()
    form: FormStyle = FormStyle()
    json_omit_empty: bool = False
    xml: XmlStyle = XmlStyle()
    soap_action: str = ""
    soap_encoded: bool = False
    unwrap: str | None = None
    auth: Auth = Auth()
    budget: Budget = Budget()
    replies: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be told of a percentage, the same however it was learnt."""

    whole: Literal["floor"] = "floor"
    below_completed: int = 99
    fall: Literal["hold", "push"] = "hold"
    outside: Literal["drop", "clamp"] = "drop"
    of: Literal["percent", "units"] = "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressSpec:
    """How progress is read, and what may be told of it. `brief` reads the per cent without the units."""

    policy: Policy = Policy()
    read: tuple[Step, ...] = ()
    brief: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    url: Template
    query: Template | None = None
    fragment_path: str | None = None
    fragment_query: Template | None = None
    call: Action | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    call: CallSpec
    every_s: float = 21600.0
    facts: MappingType[str, Template] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSpec:
    """A whole mapping file. `provisional` are the wire names a tenant may rename."""

    name: str
    version: str
    vendor: MappingType[str, str]
    file: str
    digest: str
    settings: MappingType[str, Setting]
    secrets: MappingType[str, Secret]
    bundles: MappingType[str, Bundle]
    server: Server
    operations: MappingType[Operation, OperationSpec]
    progress: ProgressSpec | None = None
    launch: Launch | None = None
    probe: Probe | None = None
    provisional: tuple[str, ...] = ()

    @property
    def remembers_courses(self) -> bool:
        return self.operations[Operation.GET_COURSES].remember_course is not None
