"""Several webhooks of one tenant: which there are, which one takes a delivery, and which one reads it later."""

from __future__ import annotations

import hashlib
import hmac
import json

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from starlette.applications import Starlette

from gateway.mapping.load import parse_mapping
from gateway.outbound import Pool
from gateway.progress.hooks import Reception, hook_routes, vendor_hooks
from gateway.progress.intake import Intake
from gateway.progress.webhooks import is_from_lms, reader_of, source_of, switched_on
from gateway.rtopilot.routes import EXCEPTION_HANDLERS
from gateway.store import inbox
from gateway.store.database import Database

SECRET, TOKEN = "not-a-real-secret", "not-a-real-token"
HMAC = (
    "- {verify: {kind: hmac, secret: hook, signature: headers.x_sig}, FIND, keep: $.headers.x_token == null}"
)
DIGEST = "- {verify: {kind: digest, secret: hook, signed: [raw, secret], signature: headers.x_digest}, events: body.rows, FIND}"
TOKENS = "- {verify: {kind: shared-token, secret: token, token: [headers.x_token, body.token]}, as: row, find: {user: '${row.u}', course: '${row.c}'}, value: {completed: false, 'percent?': '${row.p}'}, trust: value}"
BASIC = "- {verify: {kind: basic, secret: hook, user: lms}, FIND}"
NONE = "- {verify: {kind: none-quarantine}, FIND}"
JWT = "- {when: settings.keys != null, verify: {kind: jwt, keys: '${settings.keys}', algorithms: [ES256]}, body: jwt, FIND}"
MORE = "- {when: settings.more, verify: {kind: bearer, secret: hook}, FIND}"
FIND = "find: {user: '${event.user}', course: '${event.course}'}"
HEAD = """
secrets: {hook: {}, token: {}}
settings: {keys: {type: url}, more: {type: switch, default: false}}
"""
RAW = b'{"user":"1","course":"7"}'


@pytest.fixture
def written(text):
    def written(*webhooks, one=False):
        """The demo mapping with these webhooks, in a list or alone."""
        lines = [each.replace("FIND", FIND) for each in webhooks]
        block = lines[0].removeprefix("- ") if one else "\n  ".join(["", *lines])
        mapping = text(f"poll: {{plan: per-enrolment, every: 1d, spread: true}}\nwebhook: {block}\n")
        return HEAD + mapping.replace("hosts: [lms.example]", 'hosts: [lms.example, "${settings.keys}"]')

    return written


@pytest.fixture
def progress(written):
    return lambda *webhooks, one=False: parse_mapping(written(*webhooks, one=one)).mapping.progress


# -- which there are


def test_webhooks_are_named_by_their_places_and_one_alone_like_the_first(progress):
    assert [one.name for one in progress(HMAC, DIGEST, NONE).webhooks] == [
        "webhook",
        "webhook-2",
        "webhook-3",
    ]
    assert [one.place for one in progress(HMAC, DIGEST).webhooks] == [
        "progress.webhook[0]",
        "progress.webhook[1]",
    ]
    [alone], [listed] = progress(HMAC, one=True).webhooks, progress(HMAC).webhooks
    assert (alone.name, alone.mark) == (listed.name, listed.mark)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        pytest.param({"keys": None, "more": False}, ["webhook-3"], id="none"),
        pytest.param({"keys": None, "more": True}, ["webhook-2", "webhook-3"], id="switch"),
        pytest.param({"keys": "https://k.example", "more": True}, ["webhook", "webhook-2", "webhook-3"], id="all"),
    ],
)  # fmt: skip
def test_a_webhook_is_there_only_where_its_condition_holds(progress, settings, names):
    assert [one.name for one in switched_on(progress(JWT, MORE, HMAC), {"settings": settings})] == names


def test_a_condition_that_fails_does_not_hold(progress, caplog):
    found = progress(MORE.replace("settings.more", "\"starts_with(settings.keys, 'x')\""), HMAC)
    assert [one.name for one in switched_on(found, {"settings": {"keys": None}})] == ["webhook-2"]
    assert "progress.webhook[0].when" in caplog.text


def test_without_progress_there_is_no_webhook():
    assert switched_on(None, {}) == ()


# -- which one reads what was stored


def test_a_delivery_is_read_by_the_webhook_that_took_it_wherever_it_stands_now(progress):
    first, second = progress(HMAC, DIGEST).webhooks
    moved = progress(NONE, DIGEST, HMAC).webhooks
    assert reader_of(source_of(first), (first, second)) is first
    assert reader_of(source_of(second), (first, second)) is second
    assert reader_of(source_of(first), moved) is moved[2]
    assert reader_of(source_of(second), moved) is moved[1]


def test_a_delivery_is_read_by_none_when_its_webhook_is_gone_or_verifies_otherwise(progress):
    [first, second] = progress(HMAC, DIGEST).webhooks
    for others in ((), progress(DIGEST).webhooks, progress(HMAC.replace("x_sig", "x_other")).webhooks):
        assert reader_of(source_of(first), others) is None
    assert reader_of(source_of(second), progress("- {when: settings.more, " + DIGEST[3:]).webhooks) is None


def test_what_is_read_of_an_event_may_be_put_right_meanwhile(progress):
    [first] = progress(HMAC).webhooks
    better = progress(HMAC.replace("FIND", "events: body.rows, FIND")).webhooks
    assert reader_of(source_of(first), better) is better[0]


def test_of_two_with_one_proof_the_place_tells_them_apart(progress):
    both = progress(MORE, MORE).webhooks
    assert both[0].mark == both[1].mark
    assert [reader_of(source_of(one), both) for one in both] == list(both)


def test_rows_of_earlier_versions_are_read_by_the_first(progress):
    webhooks = progress(HMAC, DIGEST).webhooks
    assert reader_of("lms", webhooks) is webhooks[0]
    assert reader_of("lms", ()) is None
    assert [is_from_lms(each) for each in ("lms", source_of(webhooks[1]), "rtopilot:lms")] == [
        True,
        True,
        False,
    ]


# -- which one takes a delivery


class House:
    """An application over a real store, for one tenant with these webhooks."""

    def __init__(self, database, progress, *, settings=None, pool=None, token=TOKEN):
        pool = pool or Pool(hosts=(), transport=httpx.MockTransport(lambda _: httpx.Response(500)))
        scope = {"settings": {"keys": None, "more": False, **(settings or {})}}
        secrets = {"hook": SECRET, "token": token}
        self.hooks = vendor_hooks("acme", progress, secrets=secrets, scope=scope, pool=pool)
        self.database, self.webhooks, self.kicks = database, progress.webhooks, 0
        reception = Reception(lms={"acme": self.hooks}, rtopilot={}, database=database, kick=self.kick)
        self.app = Starlette(
            routes=hook_routes(lambda: reception), exception_handlers=dict(EXCEPTION_HANDLERS)
        )

    def kick(self):
        self.kicks += 1

    async def post(self, raw=RAW, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://gateway.test"
        ) as client:
            return await client.post("/t/acme/lms-events", content=raw, headers=named)

    async def stored(self):
        return await self.database.read(lambda conn: inbox.list_items(conn))

    async def sources(self):
        return sorted(one.source for one in await self.stored())


@pytest.fixture
async def database(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/gateway.db")
    yield database
    await database.close()


def hmac_of(raw=RAW):
    return hmac.new(SECRET.encode(), raw, "sha256").hexdigest()


def digest_of(raw=RAW):
    return hashlib.sha256(raw + SECRET.encode()).hexdigest()


async def test_each_delivery_is_taken_by_the_first_webhook_that_can_prove_it(database, progress):
    house = House(database, progress(NONE, HMAC, DIGEST, TOKENS))
    for proof in ({"x_sig": hmac_of()}, {"x_digest": digest_of()}, {"x_token": TOKEN}):
        assert (await house.post(**proof)).status_code == 200
    assert (await house.post(x_sig=hmac_of(), x_digest=digest_of())).status_code == 200  # waits already
    assert await house.sources() == sorted(source_of(one) for one in house.webhooks[1:])
    assert {one.state for one in await house.stored()} == {"new"}
    assert house.kicks == 4


async def test_what_none_can_prove_is_kept_aside_by_the_one_that_does(database, progress):
    house = House(database, progress(NONE, HMAC))
    assert (await house.post(x_sig=hmac_of(b"other"))).status_code == 200
    [kept] = await house.stored()
    assert (kept.state, kept.reason, kept.source) == (
        "quarantined",
        "unverifiable",
        source_of(house.webhooks[0]),
    )
    assert house.kicks == 0


async def test_what_none_can_prove_is_refused_with_every_reason_in_the_log(database, progress, caplog):
    caplog.set_level("INFO")
    house = House(database, progress(HMAC, BASIC, DIGEST))
    response = await house.post(x_sig=hmac_of(b"other"))
    assert response.status_code == 401
    challenges = [value for name, value in response.headers.multi_items() if name == "www-authenticate"]
    assert challenges == ["Bearer", 'Basic realm="gateway", charset="UTF-8"']
    assert ": mismatch, no-signature" in caplog.text
    assert await house.stored() == []


async def test_a_header_with_a_token_of_one_webhook_is_stored_for_none(database, progress):
    house = House(database, progress(HMAC, TOKENS))
    await house.post(x_sig=hmac_of(), x_token=TOKEN)
    await house.post(b"{}", x_token=TOKEN)
    assert not any("x_token" in one.headers for one in await house.stored())
    assert len(await house.stored()) == 2


@pytest.mark.parametrize(
    ("token", "sent", "kept"),
    [
        (TOKEN, TOKEN, "hidden"),
        ('se"cret-of-16-and', 'se\\"cret-of-16-and', "hidden"),
        ("4071", "4071", "4071"),  # it may be anything else, such as the id of a student
    ],
)
async def test_a_token_in_a_body_is_stored_for_none(database, progress, token, sent, kept):
    house = House(database, progress(HMAC, TOKENS), token=token)
    raw = f'{{"token": "{sent}", "id": "7", "note": "\xe9"}}'.encode("latin-1")
    assert (await house.post(raw, x_sig=hmac_of(raw))).status_code == 200
    [one] = await house.stored()
    assert one.raw == f'{{"token": "{kept}", "id": "7", "note": "\xe9"}}'.encode("latin-1")
    assert (await house.post(f'{{"token": "{sent}"}}'.encode())).status_code == 200
    assert {one.raw for one in await house.stored()} == {
        raw.replace(sent.encode(), kept.encode()),
        f'{{"token": "{kept}"}}'.encode(),
    }


async def test_a_hint_that_waits_is_not_stored_twice_and_a_value_is(database, progress):
    house = House(database, progress(HMAC, TOKENS))
    for _ in range(2):
        await house.post(x_sig=hmac_of())
        await house.post(x_token=TOKEN)
    hint, value = (source_of(one) for one in house.webhooks)
    assert await house.sources() == sorted([hint, value, value])


async def test_where_none_is_on_there_is_no_address(database, progress):
    house = House(database, progress(JWT, MORE))
    assert house.hooks == ()
    response = await house.post(authorization=f"Bearer {SECRET}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


async def test_keys_that_are_needed_and_nowhere_are_told_of_at_once_unless_the_webhook_is_off(
    database, progress
):
    assert [hook.source for hook in House(database, progress(JWT, HMAC)).hooks] == [
        source_of(progress(JWT, HMAC).webhooks[1])
    ]
    with pytest.raises(ValueError, match="keys"):
        House(database, progress(JWT, HMAC), settings={"keys": "nonsense"})


async def test_while_keys_cannot_be_fetched_only_their_own_deliveries_wait(database, progress):
    key = ec.generate_private_key(ec.SECP256R1())
    state, asked = {"status": 500}, []
    document = {"keys": [{**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": "k1"}]}

    def answer(request):
        asked.append(request)
        return httpx.Response(state["status"], json=document)

    pool = Pool(hosts=["keys.example"], transport=httpx.MockTransport(answer))
    settings = {"keys": "https://keys.example/jwks"}
    house = House(database, progress(JWT, HMAC, NONE), settings=settings, pool=pool)
    assert (await house.post(x_sig=hmac_of())).status_code == 200
    assert (await house.post(b"junk")).status_code == 200  # kept aside
    assert asked == []
    token = jwt.encode({"n": 1}, key, "ES256", headers={"kid": "k1"}).encode()
    assert (await house.post(token)).status_code == 503
    house.hooks[0].gate.keys._tried_at = None  # a minute later
    state["status"] = 200
    assert (await house.post(token)).status_code == 200
    assert [one.state for one in await house.stored()].count("new") == 2
    assert source_of(house.webhooks[0]) in await house.sources()


# -- worked off


async def worked_off(world, gateway, source, raw):
    """The delivery after its turn."""
    now = world.clock.now()
    id = await world.database.write(
        lambda conn: inbox.store(conn, tenant="acme", source=source, raw=raw, headers={}, now=now)
    )
    working = Intake(gateway.database, gateway.tenants, gateway.owner, lambda: None)
    while await working.round():
        pass
    return await world.database.read(lambda conn: inbox.get(conn, id))


async def test_each_delivery_is_read_as_the_webhook_that_took_it_says(world, written):
    gateway = world.start(written(HMAC, DIGEST, TOKENS))
    one, two = await world.enrol("7", "1"), await world.enrol("7", "2")
    world.lms.learner("7", "1", 42)
    _, second, third = gateway.tenant.mapping.progress.webhooks
    await worked_off(world, gateway, source_of(second), b'{"rows":[' + RAW + b"]}")
    assert await world.queued() == {one.id: 42}
    await worked_off(world, gateway, source_of(third), b'{"u":"2","c":"7","p":61}')
    assert await world.queued() == {one.id: 42, two.id: 61}


async def test_a_delivery_from_before_there_were_several_is_read_by_the_first(world, written):
    gateway = world.start(written(HMAC, DIGEST))
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    assert (await worked_off(world, gateway, "lms", RAW)).state == "done"
    assert await world.queued() == {one.id: 42}


async def test_a_delivery_whose_webhook_is_another_now_is_kept_aside(world, written):
    before = parse_mapping(written(TOKENS)).mapping.progress.webhooks
    gateway = world.start(written(HMAC, DIGEST))
    await world.enrol("7", "1")
    kept = await worked_off(world, gateway, source_of(before[0]), RAW)
    assert (kept.state, kept.reason) == (
        "quarantined",
        "the webhook that took it is not in the mapping any more",
    )
    assert world.lms.sent == []


async def test_a_webhook_that_is_off_by_now_still_reads_what_it_took(world, written):
    gateway = world.start(written(MORE, HMAC))
    one = await world.enrol("7", "1")
    world.lms.learner("7", "1", 42)
    off = gateway.tenant.mapping.progress.webhooks[0]
    assert (await worked_off(world, gateway, source_of(off), RAW)).state == "done"
    assert await world.queued() == {one.id: 42}
