"""What a mapping file says, as frozen data: everything defaulted, every expression compiled.

`load.py` builds these; the engine reads them and never has to ask "text or object?".
Keywords are those of the mapping language (docs/mapping-language.md). Calls and steps stand in
`call_spec.py`, polls and webhooks in `progress_spec.py`; their names can be imported from here.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.contract import Operation
from gateway.mapping.call_spec import Action as Action
from gateway.mapping.call_spec import AuthPlaceSpec as AuthPlaceSpec
from gateway.mapping.call_spec import CallSpec as CallSpec
from gateway.mapping.call_spec import Check as Check
from gateway.mapping.call_spec import CheckRule as CheckRule
from gateway.mapping.call_spec import Confirm as Confirm
from gateway.mapping.call_spec import Pages as Pages
from gateway.mapping.call_spec import PathTemplate as PathTemplate
from gateway.mapping.call_spec import RequestSpec as RequestSpec
from gateway.mapping.call_spec import Rule as Rule
from gateway.mapping.call_spec import Step as Step
from gateway.mapping.expressions import Expression
from gateway.mapping.progress_spec import Audit as Audit
from gateway.mapping.progress_spec import Policy as Policy
from gateway.mapping.progress_spec import Poll as Poll
from gateway.mapping.progress_spec import ProgressSpec as ProgressSpec
from gateway.mapping.progress_spec import Timing as Timing
from gateway.mapping.progress_spec import Verify as Verify
from gateway.mapping.progress_spec import Webhook as Webhook
from gateway.mapping.progress_spec import Window as Window
from gateway.mapping.styles import FormStyle, PathStyle, XmlStyle
from gateway.mapping.templates import Template

FindingLevel = Literal["problem", "note"]
SettingType = Literal[
    "text", "number", "switch", "host", "url", "link", "zone", "choice", "map", "list", "template"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing a tenant chooses, or one field of a list's objects.

    `pattern` must be found in the value, `refuse` must not. `source` is set for a choice whose values are
    read from the vendor.
    """

    name: str
    type: SettingType
    required: bool = False
    default: Any = None
    help: str = ""
    example: Any = None
    pattern: str | None = None
    refuse: str | None = None
    secret: bool = False
    of: tuple[str, ...] = ()
    of_type: str = "text"
    item: MappingType[str, Setting] = field(default_factory=dict)
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
class Launch:
    """The link that opens an enrolment's course.

    With `fragment_path` there are arguments inside its fragment; `help`: whom to ask about what is inside.
    """

    url: Template
    query: Template | None = None
    fragment_path: str | None = None
    fragment_query: Template | None = None
    call: Action | None = None
    help: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeCheck:
    """What an administrator is told when `when` holds of the vendor's account."""

    place: str
    when: Expression
    say: Template
    level: FindingLevel = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    call: CallSpec
    every_s: float = 21600.0
    facts: MappingType[str, Template] = field(default_factory=dict)
    checks: tuple[ProbeCheck, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MappingSpec:
    """A whole mapping file. `provisional` are the wire names a tenant may rename.

    Compared by identity, so that what is found out about one may be cached.
    """

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
