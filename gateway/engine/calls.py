"""What engine, vendor and perform share: a call to make, its reply, and a step to store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.mapping.styles import BodyKind as BodyKind
from gateway.mapping.styles import Effect as Effect
from gateway.mapping.styles import FormStyle as FormStyle
from gateway.mapping.styles import Outcome as Outcome
from gateway.mapping.styles import XmlStyle as XmlStyle


@dataclass(frozen=True, slots=True, kw_only=True)
class SoapStyle:
    """How a SOAP request is written: `server.soap` of the mapping, with the call's own overrides."""

    action: str = ""
    encoded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A request body as data; codecs turn it into bytes.

    `data` is plain JSON-like data. For xml and soap, keys that begin with `$` are structural.
    `header` is only for soap: the children of the SOAP header.
    """

    kind: BodyKind
    data: Any = None
    soap: SoapStyle = SoapStyle()
    header: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the mapping's reply rules made of a reply.

    `say` is the mapping's own sentence; `texts` the vendor's, not yet shortened or scrubbed.
    `wait_s` is how long the vendor asked us to wait, when it did. `rule` names the rule that fired.
    """

    outcome: Outcome
    say: str | None = None
    texts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    wait_s: float | None = None
    rule: str = "default"
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of the vendor, decoded, or the reason there is none.

    `lost` is None when an answer came; else `not_sent` (certainly never arrived), `timeout`, `reset`
    or `too_large`. `body` is the decoded value (None when undecodable or empty), `text` the first 2 kB.
    `undecodable` is why the body is not in the declared form, else None.
    `left_at` is when the request left, in Unix seconds of the gateway's clock.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    text: str = ""
    xml: Any = None
    soap: Any = None
    undecodable: str | None = None
    lost: Literal["not_sent", "timeout", "reset", "too_large"] | None = None
    left_at: float = 0.0
    verdict: Verdict | None = None

    def judged(self, verdict: Verdict) -> Reply:
        """The same reply with its verdict. Written out: `replace` is three times slower, on every call."""
        return Reply(
            status=self.status,
            headers=self.headers,
            body=self.body,
            text=self.text,
            xml=self.xml,
            soap=self.soap,
            undecodable=self.undecodable,
            lost=self.lost,
            left_at=self.left_at,
            verdict=verdict,
        )

    def scope(self) -> dict[str, Any]:
        """The reply as expressions see it, under the root `reply`."""
        return {
            "status": self.status,
            "headers": self.headers,
            "body": self.body,
            "text": self.text,
            "xml": self.xml,
            "soap": self.soap,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthPlace:
    """Where a session token goes in one request, already filled in by the auth room."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    field: tuple[tuple[str, str], ...] = ()
    soap_header: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request the engine wants made. Everything in it is final but the credentials.

    `step` names the place in the mapping (`createEnrolment.user.by username`), for traces and journals.
    `target` is the absolute path, already encoded; it is sent byte for byte.
    `place` renders the token into the request where the step overrides the server's auth place.
    `judge` applies the mapping's reply rules: pure, may be called once for each try.
    `journal` names a write in the run's journal: `step`, or `step/branch`. With `again` the same write has
    left before and may leave again: twice equals once, or it is proven that nothing happened.
    `sensitive` holds the secrets a trace must mask, `personal` what is known about people, each with the
    label to show instead.
    """

    step: str
    method: str
    base: str
    target: str
    effect: Effect
    judge: Callable[[Reply], Verdict]
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = Body(kind="none")
    timeout_s: float | None = None
    place: Callable[[Mapping[str, Any]], AuthPlace] | None = None
    journal: str | None = None
    again: bool = False
    sensitive: Mapping[str, str] = field(default_factory=dict)
    personal: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A finished step: stored before anything else leaves.

    `value` is what later steps see; `remember` is kept for this student or course beyond the run.
    `undo`: this run did it itself, and the mapping says how to take it back.
    """

    step: str
    value: Any
    effect: Effect
    remember: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    outcome: Outcome = "ok"
    undo: bool = False
