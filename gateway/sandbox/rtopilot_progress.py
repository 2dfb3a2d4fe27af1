"""RTOPilot's progress endpoint, `PUT /api/enrolments/lms-progress`: the server that the gateway pushes to.

Run it as a process with `python -m gateway.sandbox.rtopilot_progress --port 0 --key rtop_...`.
Faults (429, 500, 503, hanging, dropped connections) are those of `gateway.sandbox.faults`.
Source: vendors/rtopilot.md 4 and 7.2.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.sandbox.control import Clock, StandIn
from gateway.sandbox.journal import MAX_ENTRIES, Entry, Journal
from gateway.sandbox.rtopilot_office import Organisation
from gateway.sandbox.rtopilot_validators import parse_json
from gateway.sandbox.serve import add_port_options, serve

PATH = "/api/enrolments/lms-progress"
MAX_BODY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressSwitches:
    """What is not known about the endpoint; the defaults are the likeliest."""

    errors: Literal["empty", "json", "html"] = "json"
    """The body of every error."""
    success: Literal["json", "empty", "no_content"] = "json"
    """200 with JSON, 200 with nothing, or 204."""
    invalid_status: Literal[400, 422] = 400
    unknown_id: Literal[404, 200] = 404
    """The answer when nobody holds the id; 200 changes nothing."""
    strict: bool = False
    """Refuse unknown keys, fractions, numeric ids, and a Content-Type other than JSON."""
    batch: bool = False
    """Take an array, or `{"enrolments": [...]}`, beside single objects."""
    unauthorised_from: int = 0
    """From this PUT on, counted from 1, every key is refused; 0 is never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One progress value for one LMS enrolment id."""

    id: str
    progress: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the server decided: a status, and how many enrolments changed or why none did."""

    status: int
    message: str = ""
    updated: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


class ProgressServer:
    """The endpoint with its organisations and keys: the vendor's half of a stand-in (`control.Vendor`).

    `violations` must stay empty: it has a line for each push whose id more than one enrolment held, since
    the gateway promises ids that are unique. `keep` is the length of the journal: promises can only be
    checked over what is still in it.
    """

    def __init__(
        self,
        *,
        switches: ProgressSwitches | None = None,
        clock: Clock | None = None,
        keep: int = MAX_ENTRIES,
    ) -> None:
        self.first_switches = switches if switches is not None else ProgressSwitches()
        self.switches = self.first_switches
        self.clock = clock if clock is not None else Clock()
        self.journal = Journal(keep)
        self.violations: list[str] = []
        self.actions: Mapping[str, Callable[..., Any]] = {
            "admit": self.admit_named,
            "hold": self.hold,
            "hold_all": self.hold_all,
            "release": self.release,
            "rotate": self._rotate_named,
        }
        self._puts = 0
        self._organisations: dict[str, Organisation] = {}
        self._keys: dict[str, str] = {}
        self._dead_keys: dict[str, str] = {}
        self._by_digest: dict[bytes, str] = {}

    def admit(self, organisation: Organisation, key: str | None = None) -> str:
        """Give an organisation its one key, and return it; a key it had before is dead at once."""
        name = organisation.name
        if name in self._keys:
            self._dead_keys[self._keys[name]] = name
        self._organisations[name] = organisation
        self._keys[name] = key if key is not None else new_key()
        self._by_digest[digest(self._keys[name])] = name
        return self._keys[name]

    def rotate(self, organisation: Organisation) -> str:
        """A new key for an organisation; the old one is dead at once."""
        return self.admit(organisation)

    def _rotate_named(self, organisation: str) -> str:
        return self.rotate(self._named(organisation))

    def hold(self, organisation: str, id: str) -> str:
        """Let an organisation have an enrolment with this LMS id, and return RTOPilot's id of it."""
        owner = self._named(organisation)
        enrolment = owner.keep(owner.new_enrolment("student", "course"))
        enrolment.hold(id, self.clock.now())
        return enrolment.rto_id

    def admit_named(self, organisation: str, key: str | None = None) -> str:
        """A new organisation, or a new key for one that is known; the key."""
        return self.admit(self._organisations.get(organisation, Organisation(name=organisation)), key)

    def hold_all(self, organisation: str, ids: Sequence[str]) -> int:
        """Let an organisation have an enrolment with each of these LMS ids."""
        return len([self.hold(organisation, id) for id in ids])

    def release(self, organisation: str, id: str) -> int:
        """RTOPilot has cancelled the enrolment with this id: nothing may be pushed to it any more."""
        held = self._named(organisation).holding(id)
        for each in held:
            each.status = "cancelled"
            each.release(self.clock.now())
        return len(held)

    def _named(self, organisation: str) -> Organisation:
        if organisation not in self._organisations:
            raise ValueError(f"no organisation {organisation!r}")
        return self._organisations[organisation]

    def assert_no_violations(self) -> None:
        """Raises AssertionError with every violation."""
        if self.violations:
            raise AssertionError("\n".join(self.violations))

    def arrivals(self, organisation: Organisation) -> list[Entry]:
        """The PUTs that came with a key of this organisation, dead ones too, in order of arrival."""
        return self.arrivals_by_organisation().get(organisation.name, [])

    def arrivals_by_organisation(self) -> dict[str, list[Entry]]:
        """The same for every organisation that anything came for, by its name, in one pass."""
        known = {**self._dead_keys, **{key: name for name, key in self._keys.items()}}
        found: dict[str, list[Entry]] = {}
        for entry in list(self.journal.entries):
            name = known.get(bearer(dict(entry.headers))) if entry.method == "PUT" else None
            if name is not None:
                found.setdefault(name, []).append(entry)
        return found

    @property
    def organisations(self) -> Mapping[str, Organisation]:
        return self._organisations

    def state(self) -> Any:
        """Progress and certificates by LMS enrolment id, for each organisation, and the violations."""
        progress = {
            name: {each.lms_enrolment_id: each.progress for each in owner.enrolments.values()}
            for name, owner in self._organisations.items()
        }
        certificates = {
            name: {
                each.lms_enrolment_id: each.certificate_at.isoformat()
                for each in owner.enrolments.values()
                if each.certificate_at is not None
            }
            for name, owner in self._organisations.items()
        }
        return {"progress": progress, "certificates": certificates, "violations": self.violations}

    def reset(self) -> None:
        """First switches; no progress, certificates, violations. Organisations, enrolments, keys stay."""
        self.switches = self.first_switches
        self.violations.clear()
        self._puts = 0
        for organisation in self._organisations.values():
            for enrolment in organisation.enrolments.values():
                enrolment.progress, enrolment.certificate_at = 0, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        outcome = self._take(request, await request.body())
        await self._response(outcome)(scope, receive, send)

    def _take(self, request: Request, body: bytes) -> Outcome:
        if request.url.path != PATH:
            return Outcome(404, "There is nothing here.")
        if request.method != "PUT":
            return Outcome(405, "Use PUT.", headers={"Allow": "PUT"})
        self._puts += 1
        owner = self._owner(bearer(request.headers))
        if owner is None or 0 < self.switches.unauthorised_from <= self._puts:
            return Outcome(401, "Missing or unknown key.")
        if len(body) > MAX_BODY_BYTES:
            return Outcome(413, "Too large.")
        if self.switches.strict and not is_json(request.headers.get("content-type", "")):
            return Outcome(self.switches.invalid_status, "Content-Type is not application/json.")
        return self._apply(owner, body)

    def _apply(self, owner: Organisation, body: bytes) -> Outcome:
        try:
            pushes = read_pushes(body, strict=self.switches.strict, batch=self.switches.batch)
        except ValueError as exc:
            return Outcome(self.switches.invalid_status, str(exc))
        updated = sum(self._store(owner, push) for push in pushes)
        if updated == 0 and self.switches.unknown_id == 404:
            return Outcome(404, "No such enrolment.")
        return Outcome(200, updated=updated)

    def _owner(self, key: str) -> Organisation | None:
        name = self._by_digest.get(digest(key))
        return None if name is None or digest(self._keys[name]) != digest(key) else self._organisations[name]

    def _store(self, owner: Organisation, push: Push) -> int:
        holders = owner.holding(push.id)
        if len(holders) > 1:
            names = ", ".join(each.rto_id for each in holders)
            self.violations.append(f"{owner.name}: {push.id} is held by {names}")
        for each in holders:
            each.progress = push.progress
            if push.progress == 100 and each.certificate_at is None:
                each.certificate_at = self.clock.now()
            self.journal.effect("progress", f"{push.id}={push.progress:g}")
        return len(holders)

    def _response(self, outcome: Outcome) -> Response:
        if outcome.status == 200:
            return self._success(outcome.updated)
        content_type, content = self.error_body(outcome.status, outcome.message)
        headers = {**outcome.headers, **({"Content-Type": content_type} if content else {})}
        return Response(content, outcome.status, headers=headers)

    def _success(self, updated: int) -> Response:
        if self.switches.success == "no_content":
            return Response(status_code=204)
        if self.switches.success == "empty":
            return Response(status_code=200)
        return Response(json.dumps({"updated": updated}), media_type="application/json")

    def error_body(self, status: int, message: str = "Something went wrong.") -> tuple[str, bytes]:
        """Content type and body of an error, as the switch says."""
        if self.switches.errors == "json":
            return "application/json", json.dumps({"message": message}).encode()
        if self.switches.errors == "html":
            return "text/html", f"<!doctype html><title>{status}</title><p>{message}".encode()
        return "text/plain", b""


def progress_stand_in(server: ProgressServer) -> StandIn:
    """The ASGI app to serve: the endpoint behind fault switches, beside its control surface."""
    return StandIn(server, journal=server.journal, clock=server.clock)


def new_key() -> str:
    """`rtop_` and 64 hexadecimal digits. Source: vendors/rtopilot.md 4.2."""
    return "rtop_" + secrets.token_hex(32)


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def bearer(headers: Mapping[str, str]) -> str:
    """The bearer value of an Authorization header, empty without one."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key if scheme.lower() == "bearer" else ""


def is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def read_pushes(body: bytes, *, strict: bool = False, batch: bool = False) -> list[Push]:
    """The pushes of a body. Raises ValueError, with a sentence, unless all of them are valid."""
    value = parse_json(body)
    inner = value.get("enrolments") if isinstance(value, dict) else value
    items = inner if batch and isinstance(inner, list) else [value]
    return [read_push(item, strict=strict) for item in items]


def read_push(value: Any, *, strict: bool) -> Push:
    """One push. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("Not an object.")
    held, progress = value.get("lmsEnrolmentId"), value.get("progress")
    if not isinstance(held, str) and (strict or isinstance(held, bool) or not isinstance(held, int)):
        raise ValueError("lmsEnrolmentId is not text.")
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        raise ValueError("progress is not a number.")
    if not 0 <= progress <= 100:
        raise ValueError("progress is not within 0 to 100.")
    if strict and (not isinstance(progress, int) or set(value) != {"lmsEnrolmentId", "progress"}):
        raise ValueError("progress is not a whole number, or there are unknown keys.")
    return Push(id=str(held), progress=progress)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rtopilot_progress", description="RTOPilot's progress endpoint.")
    add_port_options(parser)
    parser.add_argument("--key", required=True, help="the API key of its one organisation, rtop_...")
    parser.add_argument("--enrolment", action="append", default=[], help="an LMS enrolment id it holds")
    parser.add_argument("--keep", type=int, default=MAX_ENTRIES, help="length of the journal")
    parser.add_argument("--accept-unknown", action="store_true", help="answer 200 for ids it does not hold")
    return parser.parse_args(words)


def from_arguments(options: argparse.Namespace) -> StandIn:
    """A stand-in with one organisation, called `sandbox`, that holds the given ids."""
    switches = ProgressSwitches(unknown_id=200 if options.accept_unknown else 404)
    server = ProgressServer(switches=switches, keep=options.keep)
    server.admit(Organisation(name="sandbox"), options.key)
    for id in options.enrolment:
        server.hold("sandbox", id)
    return progress_stand_in(server)


def main() -> None:
    options = arguments()
    serve(from_arguments(options), port=options.port, host=options.host)


if __name__ == "__main__":
    main()
