"""Plays a scene through the gateway's own stack (perform, engine, vendor client, outbound pool), and keeps
what leaves: against a stand-in while recording, against the scene's cassette afterwards.

Nothing depends on the hour, on chance or on a port, and no credential is written down.
"""

from __future__ import annotations

import contextlib
import functools
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import vcr
import yaml

from gateway import ids
from gateway.contract import Course, Done, Enrolment, Inputs, Operation, Person
from gateway.engine.calls import Call, Reply
from gateway.errors import GatewayError
from gateway.mapping.load import load_mapping
from gateway.mapping.settings import parse_settings
from gateway.mapping.spec import MappingSpec
from gateway.outbound import Pool
from gateway.outbound.transport import AiohttpTransport
from gateway.perform import Perform, Tenant, TenantSpec, open_tenant
from gateway.perform.background import Background
from gateway.perform.runs import Runs
from gateway.sandbox.faults import Fault
from gateway.sandbox.learning_assistant_seed import ASSESSOR_UUID, COMPANY_UUID, VERIFIER_UUID
from gateway.store import tokens
from gateway.store.database import Database
from gateway.store.traces import Ring
from gateway.workbench.choices import choices
from tests.support.kinds import ALL_KINDS

ROOT = Path(__file__).parent.parent
CASSETTES = ROOT / "tests" / "cassettes"
TENANT = "acme"

TALENTLMS, LEARNING_ASSISTANT = "talentlms", "learning-assistant"
LEARNUPON, CANVAS, MOODLE = "learnupon", "canvas", "moodle"
ORIGINS = {vendor: f"https://{vendor}.sandbox.test" for vendor in ALL_KINDS}
PATHS = {vendor: kind.api for vendor, kind in ALL_KINDS.items()}
SECRETS: Mapping[str, Mapping[str, str]] = {vendor: kind.secrets for vendor, kind in ALL_KINDS.items()}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    **{vendor: kind.settings for vendor, kind in ALL_KINDS.items()},
    TALENTLMS: {
        "domain": "acme.talentlms.com",
        "firstPassword": "Welcome-${student.id}",
        "groupKeys": {"128": "WHS-2026"},
    },
    LEARNING_ASSISTANT: {"company": COMPANY_UUID, "assessor": ASSESSOR_UUID, "verifier": VERIFIER_UUID},
}


# -- what a scene says --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One call of RTOPilot; `of_last` puts in the enrolment id answered last."""

    operation: Operation
    inputs: Inputs
    of_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """`lms-gateway choices` for one setting."""

    setting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One cassette: what is asked in order, and every answer as one line of text.

    `settings` and `secrets` add to the vendor's usual ones; `faults`, `switches` and `acts`, what has
    happened there before, are the stand-in's. `captures` are recorded answers of a real vendor, in turn.
    """

    vendor: str
    name: str
    asks: tuple[Ask | Choose, ...]
    answers: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    switches: Mapping[str, Any] = field(default_factory=dict)
    acts: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    captures: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.vendor}/{self.name}"

    @property
    def path(self) -> Path:
        return CASSETTES / self.vendor / f"{self.name}.yaml"

    @property
    def all_secrets(self) -> dict[str, str]:
        return {**SECRETS[self.vendor], **self.secrets}


def courses(term: str = "") -> Ask:
    return Ask(operation=Operation.GET_COURSES, inputs=Inputs(search_term=term))


def course(course_id: str) -> Ask:
    return Ask(operation=Operation.GET_COURSE, inputs=Inputs(course_id=ids.encode_course(course_id)))


def create(course_id: str, person: Person) -> Ask:
    inputs = Inputs(course_id=ids.encode_course(course_id), person=person)
    return Ask(operation=Operation.CREATE_ENROLMENT, inputs=inputs)


def read(enrolment_id: str | None = None) -> Ask:
    return _about(Operation.GET_ENROLMENT, enrolment_id)


def transfer(person: Person, enrolment_id: str | None = None) -> Ask:
    return _about(Operation.TRANSFER_ENROLMENT, enrolment_id, person=person)


def cancel(enrolment_id: str | None = None) -> Ask:
    return _about(Operation.CANCEL_ENROLMENT, enrolment_id)


def mark(enrolment_id: str | None = None) -> Ask:
    return _about(Operation.UPDATE_MARKING, enrolment_id, quiz_results=[{"score": 7}])


def _about(operation: Operation, enrolment_id: str | None, **more: Any) -> Ask:
    inputs = Inputs(enrolment_id=enrolment_id, **more)
    return Ask(operation=operation, inputs=inputs, of_last=enrolment_id is None)


# -- playing it ---------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Played:
    """What came of a scene so far: an answer for each ask, and the step of each call made."""

    answers: list[str] = field(default_factory=list)
    steps: set[str] = field(default_factory=set)


async def play(scene: Scene, played: Played, pool: Pool, origin: str) -> None:
    """Play a scene against whoever answers at `origin`, in a store of its own."""
    async with _gateway(scene, played, pool, origin) as perform:
        last = ""
        for number, ask in enumerate(scene.asks):
            try:
                result = await _ask(perform, ask, last, f"ref-{number}")
                played.answers.append(_line(result))
                last = result.id if isinstance(result, Done) else last
            except GatewayError as error:
                played.answers.append(f"{error.status} {error.code}")
            while await perform.background.round():
                pass


async def _ask(perform: Perform, ask: Ask | Choose, last: str, reference: str) -> Any:
    if isinstance(ask, Choose):
        return await choices(perform.tenants[TENANT], ask.setting)
    inputs = ask.inputs
    if ask.of_last:
        inputs = Inputs(enrolment_id=last, person=inputs.person, quiz_results=inputs.quiz_results)
    return await perform(TENANT, ask.operation, inputs, reference=reference)


def _line(result: Any) -> str:
    if isinstance(result, list):
        return ", ".join(_line(each) for each in result)
    if isinstance(result, Course):
        return f"{result.id} {result.name}"
    if isinstance(result, Enrolment):
        return f"{result.id} {result.progress} %"
    return str(result.id if isinstance(result, Done) else result["name"])


class _Watch:
    """Stands before the vendor client and notes which step each call is for."""

    def __init__(self, tenant: Tenant, played: Played) -> None:
        self._client = tenant.vendor.client
        self._played = played

    async def exchange(self, call: Call, timeout_s: float) -> Reply:
        self._played.steps.add(call.step)
        return await self._client.exchange(call, timeout_s)


@contextlib.asynccontextmanager
async def _gateway(scene: Scene, played: Played, pool: Pool, origin: str) -> AsyncIterator[Perform]:
    spec = _spec(scene, origin)
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(f"sqlite:///{folder}/gateway.db")
        key = tokens.derive_key("sandbox")
        tenant = open_tenant(
            spec,
            database,
            owner="test",
            session_key=key,
            pool=pool,
            pause=_passing(database),
            random=Random(7),
        )
        tenant.vendor.client = _Watch(tenant, played)  # type: ignore[assignment]
        tenants, runs = {TENANT: tenant}, Runs("test")
        background = Background(database, tenants, runs, "test")
        try:
            yield Perform(database=database, tenants=tenants, runs=runs, background=background, ring=Ring())
        finally:
            await tenant.close()
            await database.close()


def _spec(scene: Scene, origin: str) -> TenantSpec:
    mapping = _mapping(scene.vendor)
    given = json.dumps({**SETTINGS[scene.vendor], **scene.settings}, ensure_ascii=False)
    return TenantSpec(
        name=TENANT,
        mapping=mapping,
        settings=parse_settings(mapping, given),
        secrets=scene.all_secrets,
        base=origin + PATHS[scene.vendor],
        hosts=frozenset({_host(origin)}),
    )


@functools.cache
def _mapping(vendor: str) -> MappingSpec:
    return load_mapping(ROOT / "mappings" / f"{vendor}.yaml").mapping


def _host(origin: str) -> str:
    return str(urlsplit(origin).hostname)


def _passing(database: Database) -> Callable[[float], Awaitable[None]]:
    """A pause that nobody waits for: the gateway's clock moves on instead."""

    async def pause(seconds: float) -> None:
        database.clock.move(seconds)

    return pause


# -- what left, as text -------------------------------------------------------------------------------


class Noted(httpx.AsyncBaseTransport):
    """The outbound transport, with a note of every request it was given to send."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._inner = AiohttpTransport(
            public_only_hosts=frozenset(), connect_s=2.0, read_s=5.0, max_connections=4
        )
        self.requests: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
        target: bytes = request.extensions["target"]
        uri = origin + target.decode()
        headers = {name.decode(): value.decode() for name, value in request.headers.raw}
        body = await request.aread()
        self.requests.append(shown(request.method, uri, headers, scrubbed(self._scene, body.decode())))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def shown(method: str, uri: str, headers: Mapping[str, str], body: str) -> str:
    """One request, a line for each thing that a change might touch."""
    lines = [f"{method} {uri}"]
    lines += sorted(f"{name.lower()}: {_header(name, value)}" for name, value in headers.items())
    lines += [""]
    lines += body.replace("><", ">\n<").splitlines() if body.startswith("<") else body.split("&")
    return "\n".join(lines)


def recorded(scene: Scene) -> list[str]:
    """The requests of the scene's cassette, shown in the same way."""
    data = yaml.safe_load(scene.path.read_text("utf-8"))
    return [
        shown(
            each["request"]["method"],
            each["request"]["uri"],
            {name: value[0] for name, value in each["request"]["headers"].items()},
            each["request"]["body"] or "",
        )
        for each in data["interactions"]
    ]


def scrubbed(scene: Scene, text: str) -> str:
    for name, value in scene.all_secrets.items():
        text = text.replace(value, f"scrubbed-{name}")
    return text


def _header(name: str, value: str) -> str:
    """A credential's scheme stays: that it is sent, and how, is part of what is pinned."""
    return f"{value.split(' ')[0]} scrubbed" if name.lower() == "authorization" else value


# -- the cassette -------------------------------------------------------------------------------------


@contextlib.contextmanager
def tape(scene: Scene, path: Path, *, mode: str, origin: str | None = None) -> Iterator[None]:
    """vcrpy at work on `path`; `origin` is where the stand-in listens while it is recorded."""

    def outgoing(request: Any) -> Any:
        if origin is not None:
            request.uri = request.uri.replace(origin, ORIGINS[scene.vendor], 1)
        for name in request.headers:
            request.headers[name] = _header(name, request.headers[name])
        if request.body:
            request.body = scrubbed(scene, request.body.decode())
        return request

    def incoming(response: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in response["headers"].items() if name.lower() != "date"}
        return {**response, "headers": kept} if origin is None else elsewhere({**response, "headers": kept})

    def elsewhere(response: dict[str, Any]) -> dict[str, Any]:
        """The answer of a vendor that names itself, at the address that the cassette gives it."""
        assert origin is not None
        there = ORIGINS[scene.vendor]
        body = response["body"]["string"].replace(origin.encode(), there.encode())
        body = body.replace(
            origin.replace("/", "\\/").encode(), there.replace("/", "\\/").encode()
        )  # PHP's JSON
        headers = {
            name: [each.replace(origin, there) for each in values]
            for name, values in response["headers"].items()
        }
        if body != response["body"]["string"]:
            headers = {
                **headers,
                **{name: [str(len(body))] for name in headers if name.lower() == "content-length"},
            }
        return {**response, "headers": headers, "body": {"string": body}}

    with vcr.use_cassette(
        str(path),
        record_mode=mode,
        match_on=("method", "uri", "raw_body"),
        before_record_request=outgoing,
        before_record_response=incoming,
        allow_playback_repeats=False,
    ):
        yield


def pool_for(origin: str, transport: httpx.AsyncBaseTransport | None = None) -> Pool:
    return Pool(hosts={_host(origin)}, transport=transport)
