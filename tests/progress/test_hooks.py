"""Webhooks over ASGI: every refusal, what is stored, and that nothing of what is inside gets out."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging

import httpx
import jsonschema
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from starlette.applications import Starlette

from gateway.errors import StoreError
from gateway.mapping.expressions import compile_expression
from gateway.mapping.progress_spec import ProgressSpec, Verify, Webhook
from gateway.mapping.schema import load_schema
from gateway.mapping.templates import compile_template
from gateway.outbound import Pool
from gateway.progress import hooks as hooks_module
from gateway.progress.hooks import Hook, Reception, hook_routes, kept_headers, rtopilot_hook, vendor_hooks
from gateway.progress.signatures import HookRules, HookScheme
from gateway.progress.verify import Delivery, Verdict
from gateway.rtopilot.credentials import bearer, custom_header
from gateway.rtopilot.routes import EXCEPTION_HANDLERS, routes
from gateway.secret import Secret
from gateway.store import inbox
from gateway.store.database import Database

SECRET = "MARKER-secret-7261"
PATH = "MARKER-path-7261aaaaaaaaa"
RAW = b'{"data":[{"enrollmentId":880231}],"name":"MARKER-body"}'
MARKERS = (SECRET, PATH, "MARKER-body", "MARKER-header")
RECEIVED = {"received": True}


def template(text):
    return compile_template(
        text, ("x",), lambda source, _path, _offset: compile_expression(source), lambda _: None
    )


def webhook(kind, *, find="${headers.x_webhook_id}", trust="hint", **more):
    for name in ("token", "signature"):
        more[name] = compile_expression(more[name]) if name in more else None
    if kind == "shared-token":
        more["tokens"] = (more.pop("token"),)
    for name in ("user", "keys"):
        more[name] = template(more[name]) if name in more else None
    return Webhook(
        place="progress.webhook", line=1, verify=Verify(kind=kind, **{"secrets": ("webhook",), **more}),
        find={"enrolment": template(find)}, keep=compile_expression("$.headers.x_kind != 'test'"), trust=trust,
    )  # fmt: skip


def vendor(tenant, *webhooks, pool=None, settings=None):
    pool = pool or Pool(hosts=(), transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    progress, scope = ProgressSpec(webhooks=webhooks), {"settings": settings or {}}
    return vendor_hooks(tenant, progress, secrets={"webhook": SECRET}, scope=scope, pool=pool)


SCHEME = HookScheme(header="X-Signature")
SECRETS = {"student.merged": (Secret(SECRET),)}
TOKEN = "MARKER-secret-token-1"
LMS = {
    "signed": vendor("acme", webhook("hmac", signature="headers.x_webhook_signature")),
    "by-path": vendor("bee", webhook("secret-path")),
    "by-basic": vendor("cee", webhook("basic", user="lms")),
    "nothing": vendor("dee", webhook("none-quarantine", secrets=())),
    "trusted": vendor("eff", webhook("bearer", trust="value")),
    "by-token": vendor("gee", webhook("shared-token", token="headers.x_webhook_id")),
}
RTOPILOT = {
    "signed": rtopilot_hook("acme", HookRules(accepted=(bearer(TOKEN),), scheme=SCHEME, secrets=SECRETS)),
    "unsigned": rtopilot_hook("bee", HookRules(accepted=(custom_header("X-Key", TOKEN),))),
}


class House:
    """An application over a real store, and what it was kicked."""

    def __init__(self, database):
        self.database, self.kicks, self.lms, self.rtopilot = database, 0, dict(LMS), dict(RTOPILOT)
        app = Starlette(
            routes=[*hook_routes(self.reception), *routes({}, None)],
            exception_handlers=dict(EXCEPTION_HANDLERS),
        )
        app.router.redirect_slashes = False
        self.app = app

    def reception(self):
        return Reception(lms=self.lms, rtopilot=self.rtopilot, database=self.database, kick=self.kick)

    def kick(self):
        self.kicks += 1

    async def stored(self):
        return await self.database.read(lambda conn: inbox.list_items(conn))

    def client(self):
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://gateway.test")


@pytest.fixture
async def house(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/gateway.db")
    yield House(database)
    await database.close()


@pytest.fixture
async def client(house):
    async with house.client() as client:
        yield client


def signature(raw=RAW, secret=SECRET):
    return hmac.new(secret.encode(), raw, "sha256").hexdigest()


def sign(raw=RAW, secret=SECRET, **more):
    return {"X-Webhook-Signature": signature(raw, secret), **more}


def assert_refused(response, status, code, *, says=None):
    """The one shape of errors, and nothing in it of what was sent or is known."""
    assert response.status_code == status
    jsonschema.validate(response.json(), load_schema("rtopilot/error.json"))
    error = response.json()["error"]
    assert error["code"] == code and error["reference"] == response.headers["x-reference"]
    assert says is None or error["message"] == says
    assert not any(marker in response.text or marker in str(response.headers) for marker in MARKERS)


# -- the LMS


async def test_a_verified_delivery_is_stored_as_it_came_then_answered_then_told(house, client):
    response = await client.post("/t/signed/lms-events", content=RAW, headers=sign(**{"X-Webhook-ID": "w-1"}))
    assert (response.status_code, response.json()) == (200, RECEIVED)
    (kept,) = await house.stored()
    assert (kept.tenant, kept.source, kept.state, kept.raw, kept.reason) == (
        "acme",
        "lms:webhook:",
        "new",
        RAW,
        None,
    )
    assert kept.headers["x_webhook_id"] == "w-1" and house.kicks == 1


@pytest.mark.parametrize("end", ["", "/"])
async def test_a_closing_slash_changes_nothing(house, client, end):
    assert (await client.post("/t/signed/lms-events" + end, content=RAW, headers=sign())).status_code == 200
    assert (await client.post(f"/t/by-path/lms-events/{SECRET}{end}", content=RAW)).status_code == 200
    assert len(await house.stored()) == 2


@pytest.mark.parametrize(
    ("path", "headers", "raw"),
    [
        pytest.param("/t/signed/lms-events", {}, RAW, id="no-signature"),
        pytest.param("/t/signed/lms-events", sign(secret="other"), RAW, id="forged"),
        pytest.param("/t/signed/lms-events", sign(), RAW[:-1], id="truncated"),
        pytest.param("/t/signed/lms-events/" + PATH, sign(secret=PATH), RAW, id="path-instead-of-signature"),
        pytest.param("/t/by-path/lms-events", {}, RAW, id="no-path"),
        pytest.param("/t/by-path/lms-events/" + PATH, {}, RAW, id="other-path"),
        pytest.param("/t/by-basic/lms-events", {"Authorization": "Basic !"}, RAW, id="basic"),
        pytest.param("/t/trusted/lms-events", {"Authorization": f"Bearer {PATH}"}, RAW, id="bearer"),
        pytest.param("/t/by-token/lms-events", {"X-Webhook-ID": "MARKER-header"}, b"\xff", id="token"),
    ],
)
async def test_what_cannot_be_verified_is_refused_and_leaves_no_trace(
    house, client, caplog, path, headers, raw
):
    caplog.set_level(logging.DEBUG)
    response = await client.post(path, content=raw, headers=headers)
    assert_refused(response, 401, "unauthorised", says="This delivery could not be verified.")
    scheme = "Basic" if "basic" in path else "Bearer"
    assert response.headers["www-authenticate"].startswith(scheme)
    assert await house.stored() == [] and house.kicks == 0
    assert not any(marker in caplog.text for marker in MARKERS)


async def test_the_log_has_a_line_for_each_delivery_without_address_or_body(client, caplog):
    caplog.set_level(logging.DEBUG)
    await client.post(
        f"/t/by-path/lms-events/{SECRET}", content=RAW, headers={"X-Webhook-ID": "MARKER-header"}
    )
    await client.post(f"/t/by-path/lms-events/{PATH}?token={SECRET}", content=RAW)
    (first, second) = [record.getMessage() for record in caplog.records if record.name == "gateway.hooks"]
    assert first.startswith("POST webhook from lms tenant=bee 200 ") and first.endswith(": received")
    assert second.startswith("POST webhook from lms tenant=bee 401 ") and second.endswith(": mismatch")
    assert not any(marker in caplog.text for marker in MARKERS)


async def test_a_verified_body_that_is_no_json_is_stored_for_a_person_to_look_at(house, client):
    raw = b'{"modules":[{"id":71},],}'
    assert (await client.post("/t/signed/lms-events", content=raw, headers=sign(raw))).json() == RECEIVED
    assert [kept.raw for kept in await house.stored()] == [raw]


async def test_what_can_never_be_verified_is_kept_aside_and_nobody_is_told(house, client):
    assert (await client.post("/t/nothing/lms-events", content=RAW)).json() == RECEIVED
    (kept,) = await house.stored()
    assert (kept.state, kept.reason, house.kicks) == ("quarantined", "unverifiable", 0)


async def test_only_so_much_is_kept_aside_in_an_hour(house, client, monkeypatch):
    monkeypatch.setattr(hooks_module, "MAX_ASIDE_BYTES", 4000)
    answers = [await client.post("/t/nothing/lms-events", content=b"x" * 900) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 503, 503]
    assert_refused(answers[-1], 503, "vendor_unavailable")
    assert (
        await client.post("/t/unsigned/hooks/x.y", content=b"{}", headers={"X-Key": TOKEN})
    ).status_code == 200
    house.database.clock.move(3600)
    assert (await client.post("/t/nothing/lms-events", content=b"x" * 900)).status_code == 200
    assert len(await house.stored()) == 4


async def test_the_same_hint_twice_while_it_waits_is_stored_once_and_a_value_twice(house, client):
    for _ in range(3):
        await client.post("/t/signed/lms-events", content=RAW, headers=sign())
        await client.post("/t/trusted/lms-events", content=RAW, headers={"Authorization": f"Bearer {SECRET}"})
    assert sorted(kept.tenant for kept in await house.stored()) == ["acme", "eff", "eff", "eff"]
    (claimed,) = [
        one
        for one in await house.database.write(lambda conn: inbox.claim(conn, "me", 9e9, 60))
        if one.tenant == "acme"
    ]
    await house.database.write(lambda conn: inbox.finish(conn, claimed.id, "me", 1.0))
    await client.post("/t/signed/lms-events", content=RAW, headers=sign())
    assert sorted(kept.tenant for kept in await house.stored()) == ["acme", "acme", "eff", "eff", "eff"]


@pytest.mark.parametrize(
    "path",
    [
        "/t/none/lms-events",
        "/t/none/lms-events/x",
        "/t/none/hooks/student.merged",
        "/t/by-path/hooks/student.merged",
    ],
)
async def test_a_tenant_without_webhooks_has_no_such_address(house, client, path):
    for method in ("POST", "GET"):
        assert_refused(await client.request(method, path, content=RAW), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_only_post_is_taken(client, method):
    response = await client.request(method, "/t/signed/lms-events", content=RAW, headers=sign())
    assert response.status_code == 405 and response.headers["allow"] == "POST"


# -- size, time, store


async def test_one_megabyte_is_taken_and_one_byte_more_is_not(house, client):
    raw = b"x" * 1_000_000
    assert (await client.post("/t/signed/lms-events", content=raw, headers=sign(raw))).status_code == 200
    larger = raw + b"x"
    assert_refused(
        await client.post("/t/signed/lms-events", content=larger, headers=sign(larger)), 413, "body_too_large"
    )

    async def unannounced():
        for _ in range(11):
            yield b"x" * 100_000

    assert_refused(await client.post("/t/signed/lms-events", content=unannounced()), 413, "body_too_large")
    assert len(await house.stored()) == 1


async def test_a_body_that_dribbles_is_refused(house, monkeypatch):
    monkeypatch.setattr("gateway.rtopilot.routes.BODY_TIMEOUT_S", 0.01)
    sent = []

    async def receive():
        await asyncio.sleep(0.002)
        return {"type": "http.request", "body": b"x", "more_body": True}

    await house.app(_scope(), receive, _collect(sent))
    assert sent[0]["status"] == 400 and json.loads(sent[1]["body"])["error"]["code"] == "slow_body"


async def test_a_sender_that_hangs_up_gets_no_answer_and_leaves_nothing(house):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    await house.app(_scope(), receive, _collect(sent))
    assert sent == [] and await house.stored() == []


def _scope():
    return {
        "type": "http",
        "method": "POST",
        "path": "/t/signed/lms-events",
        "query_string": b"",
        "headers": [],
        "app": None,
    }


def _collect(sent):
    async def send(message):
        sent.append(message)

    return send


async def test_what_cannot_be_stored_is_to_be_sent_again(house, client, caplog):
    class Full:
        clock = house.database.clock

        async def write(self, fn):
            raise StoreError("the disk is full: /var/MARKER-path-7261aaaaaaaaa")

    house.database, kept = Full(), house.database
    response = await client.post("/t/signed/lms-events", content=RAW, headers=sign())
    assert_refused(
        response,
        503,
        "vendor_unavailable",
        says="This delivery cannot be taken just now. Please send it again.",
    )
    assert response.headers["retry-after"] == "60" and house.kicks == 0
    assert "the disk is full" in caplog.text
    house.database = kept


async def test_a_mistake_of_ours_is_a_fixed_sentence(house, client, caplog):
    class Broken:
        async def check(self, delivery, now):
            raise RuntimeError(SECRET)

    house.lms["broken"] = [Hook(tenant="acme", source="lms", gate=Broken())]
    assert_refused(await client.post("/t/broken/lms-events", content=RAW), 500, "internal_error")
    assert SECRET not in caplog.text and "RuntimeError" in caplog.text
    assert await house.stored() == []


async def test_keys_that_cannot_be_fetched_make_the_sender_try_again(house, client):
    """Not 401: some vendors give up on an address that refuses what they signed."""
    state = {"status": 500}
    key = ec.generate_private_key(ec.SECP256R1())
    document = {"keys": [{**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": "k1"}]}
    answer = httpx.MockTransport(lambda _: httpx.Response(state["status"], json=document))
    spec = webhook("jwt", algorithms=("ES256",), keys="https://keys.example/jwks", secrets=())
    (hook,) = vendor("acme", spec, pool=Pool(hosts=["keys.example"], transport=answer))
    token = jwt.encode({"n": 1}, key, "ES256", headers={"kid": "k1"})
    house.lms["tokens"] = [hook]
    response = await client.post("/t/tokens/lms-events", content=token)
    assert_refused(
        response,
        503,
        "vendor_unavailable",
        says="This delivery cannot be taken just now. Please send it again.",
    )
    hook.gate.keys._tried_at = None  # a minute later
    state["status"] = 200
    assert (await client.post("/t/tokens/lms-events", content=token)).json() == RECEIVED
    assert (await client.post("/t/tokens/lms-events", content=token[:-4] + "AAAA")).status_code == 401
    assert (await client.post("/t/tokens/lms-events", content=b"x")).status_code == 401


@pytest.mark.parametrize("keys", ["nonsense", "${settings.gone}"])
def test_keys_that_are_neither_document_nor_address_are_told_of_at_once(keys):
    with pytest.raises(ValueError):
        vendor("acme", webhook("jwt", algorithms=("ES256",), keys=keys))


# -- which headers are kept


def test_few_headers_are_kept_and_none_with_a_credential():
    delivery = Delivery(
        raw=b"",
        headers=(
            (b"authorization", b"Bearer x"), (b"cookie", b"x"), (b"x-webhook-signature", b"x"), (b"x-other", b"x"),
            (b"x-webhook-id", b"a\xff"), (b"x-webhook-id", b"b"), (b"x-kind", b"k" * 5000), (b"content-type", b"application/json"),
        ),
    )  # fmt: skip
    assert kept_headers(LMS["signed"][0], delivery) == {
        "x_webhook_id": "a\ufffd, b",
        "x_kind": "k" * 2000,
        "content_type": "application/json",
    }
    assert "x_webhook_id" not in kept_headers(LMS["by-token"][0], delivery)


def test_all_headers_of_rtopilot_but_its_credentials_are_kept_for_finding_its_scheme():
    delivery = Delivery(
        raw=b"",
        headers=(
            (b"authorization", b"x"),
            (b"x-key", b"x"),
            (b"x-hub-signature-256", b"abc"),
            (b"cookie", b"x"),
        ),
    )
    assert kept_headers(RTOPILOT["unsigned"], delivery) == {"x_hub_signature_256": "abc"}


# -- RTOPilot

MERGED = b'{"event":"student.merged","data":{"id":"stu-104"}}'
BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def test_rtopilots_webhook_is_stored_under_the_event_of_its_address(house, client):
    headers = {**BEARER, "X-Signature": signature(MERGED)}
    assert (
        await client.post("/t/signed/hooks/student.merged", content=MERGED, headers=headers)
    ).json() == RECEIVED
    (kept,) = await house.stored()
    assert (kept.tenant, kept.source, kept.state, kept.raw) == (
        "acme",
        "rtopilot:student.merged",
        "new",
        MERGED,
    )
    assert TOKEN not in str(kept.headers) and house.kicks == 1


@pytest.mark.parametrize(
    "headers",
    [{}, BEARER, {"X-Signature": signature(MERGED)}, {**BEARER, "X-Signature": signature(MERGED + b" ")}, {"Authorization": "Bearer x", "X-Signature": signature(MERGED)}],
    ids=["nothing", "no-signature", "no-credential", "other-body", "other-credential"],
)  # fmt: skip
async def test_rtopilots_webhook_with_a_bad_credential_or_signature_is_refused(house, client, headers):
    response = await client.post("/t/signed/hooks/student.merged", content=MERGED, headers=headers)
    assert_refused(response, 401, "unauthorised")
    assert await house.stored() == []


async def test_rtopilots_webhook_that_is_no_json_is_refused(house, client):
    raw = b"{MARKER-body"
    response = await client.post(
        "/t/signed/hooks/student.merged", content=raw, headers={**BEARER, "X-Signature": signature(raw)}
    )
    assert_refused(response, 400, "not_json")
    assert_refused(
        await client.post("/t/unsigned/hooks/x", content=raw, headers={"X-Key": TOKEN}), 400, "not_json"
    )


@pytest.mark.parametrize("event", ["student.merged", "enrolment.cancelled", "something.new", "X_y-1"])
async def test_unsigned_and_unknown_events_are_kept_aside_and_answered_200(house, client, event):
    response = await client.post(f"/t/unsigned/hooks/{event}", content=MERGED, headers={"X-Key": TOKEN})
    assert (response.status_code, response.json()) == (200, RECEIVED)
    (kept,) = await house.stored()
    assert (kept.state, kept.source, house.kicks) == ("quarantined", f"rtopilot:{event}", 0)


@pytest.mark.parametrize("event", ["a b", "é", "x" * 65, "a%2Fb"])
async def test_what_is_no_name_of_an_event_has_no_address(client, event):
    response = await client.post(f"/t/unsigned/hooks/{event}", content=MERGED, headers={"X-Key": TOKEN})
    assert response.status_code == 404


async def test_any_gatekeeper_can_be_put_before_the_store(house, client):
    class Open:
        async def check(self, delivery, now):
            return Verdict(kind="verified" if delivery.event == "a" else "refused", reason="x")

    house.rtopilot["own"] = Hook(tenant="acme", source="rtopilot", gate=Open())
    assert (await client.post("/t/own/hooks/a", content=b"x")).status_code == 200
    assert (await client.post("/t/own/hooks/b", content=b"x")).status_code == 401


def test_secrets_do_not_show_in_the_receivers_themselves():
    basic = base64.b64encode(f"lms:{SECRET}".encode()).decode()
    assert not any(marker in repr([LMS, RTOPILOT]) for marker in (*MARKERS, TOKEN, basic))
