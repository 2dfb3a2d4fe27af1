"""What a mapping file says of progress: how it is read, polled and received, and what may be told of it."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Literal

from gateway.mapping.call_spec import CallSpec, Step
from gateway.mapping.expressions import Expression
from gateway.mapping.templates import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be told of a percentage, the same however it was learnt.

    `units` says which unit results are kept: `coded` those whose name begins with a national unit code,
    `all` every one.
    """

    whole: Literal["floor"] = "floor"
    below_completed: int = 99
    fall: Literal["hold", "push"] = "hold"
    outside: Literal["drop", "clamp"] = "drop"
    of: Literal["percent", "units"] = "percent"
    units: Literal["coded", "all"] = "coded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a poll runs: every so many seconds, or at times of the day (`HH:MM`, in the tenant's zone).

    With `spread` its calls are spread over the interval instead of leaving at once.
    """

    every_s: float | None = None
    at: tuple[str, ...] = ()
    spread: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time a `delta` list covers: from the last success less `overlap_s`, or the last `first_s`."""

    overlap_s: float
    first_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The same list over a longer window, at its own times: what a lost webhook or delta left out."""

    timing: Timing
    overlap_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One plan of asking the vendor again and again.

    `name` is stable over restarts (`poll`, `poll-2`, …). Without `call` each enrolment is read by
    `progress.read`; only `per-enrolment` may go without. `find` holds record fields, `value` what a
    `progress.read` value holds; both see the item under `row`. `of` is the number of enrolments in a chunk.
    """

    name: str
    place: str
    line: int
    plan: Literal["per-course", "per-enrolment", "delta", "chunks"]
    timing: Timing
    call: CallSpec | None = None
    row: str = "row"
    find: MappingType[str, Template] = field(default_factory=dict)
    value: Template | None = None
    window: Window | None = None
    audit: Audit | None = None
    missing: Literal["alert", "ignore"] = "ignore"
    of: int = 25


VerifyKind = Literal[
    "secret-path",
    "shared-token",
    "basic",
    "bearer",
    "hmac",
    "digest",
    "standard-webhooks",
    "jwt",
    "none-quarantine",
]
SignedPart = Expression | Literal["raw", "secret"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """How a webhook proves that it comes from the vendor.

    `secrets` are names of the mapping's secrets; any one that has a value may match, so that two are valid
    while one is replaced. Expressions see `headers` (names in lower case with `_` for `-`), `query`, and, for
    `shared-token` and `digest` only, `body`. A part of `signed` is `raw` for the bytes of the body, `secret`
    for those of the secret, else an expression whose text is signed as UTF-8. `signature` gives one candidate
    or a list; `prefix` stands before each and is taken off. `without` names the member of the signed JSON
    that holds the signature and is cut out before the hash. `tokens` are the places of a shared token, of
    which any may match. `keys` is a JWKS document or its address (a host among the mapping's); `token` says
    where a JWT stands, None for the body.
    """

    kind: VerifyKind
    secrets: tuple[str, ...] = ()
    tokens: tuple[Expression, ...] = ()
    token: Expression | None = None
    user: Template | None = None
    hash: Literal["sha256", "sha512", "sha1", "md5"] = "sha256"
    encoding: Literal["hex", "base64", "base64url"] = "hex"
    key: Literal["text", "hex", "base64"] = "text"
    prefix: str = ""
    signed: tuple[SignedPart, ...] = ("raw",)
    signature: Expression | None = None
    without: str | None = None
    fresh_at: Expression | None = None
    fresh_within_s: float = 300.0
    keys: Template | None = None
    algorithms: tuple[str, ...] = ()
    issuer: Template | None = None
    audience: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """What the vendor sends by itself, and what it means.

    `events` gives one event or a list; without it the body is one event, or a list of them. Expressions see
    `body`, `headers` and the event under `row`; `keep` sees the event as the list's item. `id` tells
    deliveries of the same event apart from new ones. `trust: hint` reads the enrolment before anything is
    told; `trust: value` tells what `value` gives, through the policy.

    `name` is stable over restarts (`webhook`, `webhook-2`, …); `mark` changes when what it takes changes, so
    that a delivery stored before is not read by another webhook. `when` sees the tenant's `settings`.
    """

    name: str = "webhook"
    mark: str = ""
    place: str
    line: int
    verify: Verify
    when: Expression | None = None
    body: Literal["json", "form", "jwt"] = "json"
    events: Expression | None = None
    row: str = "event"
    id: Template | None = None
    keep: Expression | None = None
    find: MappingType[str, Template] = field(default_factory=dict)
    value: Template | None = None
    trust: Literal["hint", "value"] = "hint"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressSpec:
    """How progress is read, polled and received, and what may be told of it.

    `brief` reads the per cent without the units; `units`: a reading of one enrolment gives units at all.
    `webhooks` share the tenant's one address: the first whose proof is right takes a delivery.
    """

    policy: Policy = Policy()
    read: tuple[Step, ...] = ()
    brief: tuple[Step, ...] = ()
    units: bool = False
    polls: tuple[Poll, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
