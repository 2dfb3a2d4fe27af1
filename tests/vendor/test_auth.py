"""Credentials into calls, and logins that everybody shares."""

from __future__ import annotations

import asyncio
import base64

import orjson
import pytest

from gateway.engine.calls import AuthPlace, Body, Reply
from gateway.errors import InternalError, StoreError, VendorFault, VendorUnavailable
from gateway.vendor.auth import Credentials, MemoryKeeper, Token, fingerprint, placed

SESSION = """
auth:
  kind: session
  login: {call: POST /login, form: {u: "${secrets.user}", p: "${secrets.pass}"}, good: reply.body.good, token: {id: "${reply.body.id}"}}
  place: {headers: {X-Session: "${token.id}"}}
"""
OAUTH = """
auth: {kind: oauth2, grant: GRANT, token_url: "https://lms.example/token?x=1", client_id: "${secrets.user}", client_secret: "${secrets.pass}", client_in: PLACE, scope: api MORE}
"""


def oauth(grant="client_credentials", place="form", more="") -> str:
    return OAUTH.replace("GRANT", grant).replace("PLACE", place).replace(" MORE", more)


class Vendor:
    """Gives a new session at each login, or what `script` says, after `gate` opens."""

    def __init__(self, *script) -> None:
        self.script, self.logins, self.gate = list(script), [], asyncio.Event()
        self.gate.set()

    async def __call__(self, call) -> Reply:
        self.logins.append(call)
        await self.gate.wait()
        if self.script:
            reply = self.script.pop(0)
            if isinstance(reply, Exception):
                raise reply
            return reply
        return Reply(
            status=200,
            body={
                "good": True,
                "id": f"S{len(self.logins)}",
                "access_token": f"T{len(self.logins)}",
                "expires_in": 3600,
            },
        )


@pytest.fixture
def open_door(make_frame, clock):
    def make(server=SESSION, *script, keeper=None, **more):
        frame = make_frame(server, **more)
        vendor = Vendor(*script)
        keeper = keeper or MemoryKeeper(clock)
        return (
            Credentials(frame.mapping.server.auth, frame, keeper, vendor, clock, pause=clock.pause),
            vendor,
            keeper,
        )

    return make


# ---- static


PAIR = base64.b64encode("ws-user:p:ss wörd".encode()).decode()


@pytest.mark.parametrize(
    ("auth", "headers", "query", "body"),
    [
        pytest.param("{kind: none}", {}, (), None, id="none"),
        pytest.param('{kind: basic, user: "${secrets.user}", password: "${secrets.pass}"}', {"authorization": f"Basic {PAIR}"}, (), None, id="basic"),
        pytest.param('{kind: bearer, token: "${secrets.user}"}', {"authorization": "Bearer ws-user"}, (), None, id="bearer"),
        pytest.param('{kind: header, name: X-Key, value: "${secrets.user}"}', {"X-Key": "ws-user"}, (), None, id="header"),
        pytest.param('{kind: field, in: query, name: k, value: "${secrets.user}"}', {}, (("k", "ws-user"),), None, id="query"),
        pytest.param('{kind: field, in: form, name: k, value: "${secrets.user}"}', {}, (), Body(kind="form", data={"k": "ws-user"}), id="form"),
        pytest.param('{kind: field, in: json, name: k, value: "${secrets.user}"}', {}, (), Body(kind="json", data={"k": "ws-user"}), id="json"),
    ],
)  # fmt: skip
async def test_static_credentials_go_where_the_mapping_says(open_door, make_call, auth, headers, query, body):
    credentials, vendor, _ = open_door(f"auth: {auth}")
    assert not credentials.has_login
    assert await credentials.token() is None
    call = credentials.place(make_call(headers={"a": "b"}), None)
    assert (call.headers, call.query) == ({"a": "b", **headers}, query)
    assert call.body == (body or Body(kind="none"))
    assert vendor.logins == []
    for value in (*headers.values(), *(value for _, value in query)):
        assert value.rpartition(" ")[2] in call.sensitive
    assert credentials.place(make_call(anonymous=True), None) == make_call(anonymous=True)


def test_a_credential_joins_the_body_that_is_there(make_call):
    call = make_call(body=Body(kind="json", data={"a": 1}))
    assert placed(call, AuthPlace(field=(("k", "v"),)), {}).body == Body(kind="json", data={"k": "v", "a": 1})
    assert placed(call, AuthPlace(soap_header={"h": 1}), {}).body.header == {"h": 1}
    with pytest.raises(InternalError):
        placed(make_call(body=Body(kind="json", data=[1])), AuthPlace(field=(("k", "v"),)), {})


def test_credentials_that_are_missing_are_our_own_mistake(open_door):
    with pytest.raises(InternalError):
        open_door('auth: {kind: bearer, token: "${secrets.user}"}', secrets={})


def test_the_fingerprint_changes_with_the_password(make_frame):
    frame, other = make_frame(SESSION), make_frame(SESSION, secrets={"user": "ws-user", "pass": "new"})
    auth = frame.mapping.server.auth
    assert fingerprint(auth, frame) == fingerprint(auth, make_frame(SESSION)) != fingerprint(auth, other)


# ---- sessions


async def test_fifty_callers_make_one_login_and_one_more_after_it_expired(open_door, make_call):
    credentials, vendor, _ = open_door()
    tokens = await asyncio.gather(*(credentials.token() for _ in range(50)))
    assert {token.parts["id"] for token in tokens} == {"S1"}
    renewed = await asyncio.gather(*(credentials.renew(token) for token in tokens))
    assert {token.parts["id"] for token in renewed} == {"S2"}
    assert await credentials.renew(tokens[0]) == renewed[0]
    assert len(vendor.logins) == 2
    placed_call = credentials.place(make_call(), renewed[0])
    assert placed_call.headers == {"X-Session": "S2"}
    assert placed_call.sensitive == {"S2": "‹token›"}
    assert "S2" not in repr(renewed[0])


async def test_a_cancelled_caller_does_not_take_the_login_away(open_door):
    credentials, vendor, _ = open_door()
    vendor.gate.clear()
    first, second = (asyncio.create_task(credentials.token()) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    vendor.gate.set()
    assert (await second).parts == {"id": "S1"}
    assert len(vendor.logins) == 1


async def test_a_failed_login_that_nobody_waits_for_is_quiet(open_door, recwarn):
    credentials, vendor, _ = open_door(SESSION, Reply(status=403))
    vendor.gate.clear()
    caller = asyncio.create_task(credentials.token())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    vendor.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    with pytest.raises(VendorUnavailable):
        await credentials.token()


@pytest.mark.parametrize(
    ("reply", "error", "pause"),
    [
        pytest.param(Reply(status=200, body={"good": False, "id": "x"}), VendorFault, 30, id="not good"),
        pytest.param(Reply(status=200, body={"good": True}), VendorFault, 30, id="no token"),
        pytest.param(Reply(status=403), VendorFault, 30, id="403"),
        pytest.param(InternalError(code="host_refused"), InternalError, 30, id="cannot be sent"),
        pytest.param(Reply(status=500), VendorUnavailable, 0.2, id="500"),
        pytest.param(Reply(status=429), VendorUnavailable, 0.2, id="429"),
        pytest.param(Reply(lost="timeout"), VendorUnavailable, 0.2, id="time-out"),
    ],
)
async def test_after_a_failed_login_nobody_tries_again_for_a_while(open_door, clock, reply, error, pause):
    credentials, vendor, keeper = open_door(SESSION, reply)
    with pytest.raises(error):
        await credentials.token()
    with pytest.raises(VendorUnavailable) as caught:
        await credentials.token()
    assert (caught.value.code, len(vendor.logins)) == ("vendor_login_paused", 1)
    clock.at += pause
    assert (await credentials.token()).parts == {"id": "S2"}


async def test_without_a_good_condition_the_status_decides(open_door):
    server = SESSION.replace(" good: reply.body.good,", "")
    credentials, _, _ = open_door(server, Reply(status=400, body={"id": "x"}))
    with pytest.raises(VendorFault):
        await credentials.token()


async def test_a_soap_fault_at_500_is_an_answer(open_door):
    credentials, _, _ = open_door(SESSION, Reply(status=500, soap={"fault": "no"}))
    with pytest.raises(VendorFault):
        await credentials.token()


@pytest.mark.parametrize(
    ("life", "good_until"),
    [
        ("{idle: 25m}", 1500),
        ("{fixed: 4h}", 14400),
        ("{until: reply.body.until}", 500),
        ("{until: reply.body.words}", None),
    ],
)
async def test_a_session_lives_as_long_as_the_mapping_says(open_door, clock, life, good_until):
    body = {"good": True, "id": "S1", "until": "1500", "words": "later"}
    credentials, vendor, _ = open_door(SESSION + f"  life: {life}\n", Reply(status=200, body=body))
    await credentials.token()
    clock.at += (good_until or 1_000_000) - 1
    assert (await credentials.token()).parts == {"id": "S1"}
    clock.at += 1
    await credentials.token()
    assert len(vendor.logins) == (1 if good_until is None else 2)


async def test_an_idle_life_slides_with_each_successful_call_and_other_gateways_learn_of_it(open_door, clock):
    credentials, vendor, keeper = open_door(SESSION + "  life: {idle: 25m}\n")
    for _ in range(5):
        token = await credentials.token()
        clock.at += 1400
        await credentials.note(Reply(status=200), token)
    assert len(vendor.logins) == 1
    assert (await keeper.load()).saved_at == clock.at
    other, _, _ = open_door(SESSION + "  life: {idle: 25m}\n", keeper=keeper)
    assert (await other.token()).parts == {"id": "S1"}


async def test_a_touched_session_that_is_refused_is_not_taken_for_a_new_one(open_door, clock):
    credentials, vendor, keeper = open_door(SESSION + "  life: {idle: 25m}\n")
    token = await credentials.token()
    clock.at += 100
    await credentials.note(Reply(status=200), token)
    assert (await credentials.renew(token)).parts == {"id": "S2"}
    stale, stale_vendor, _ = open_door(SESSION + "  life: {idle: 25m}\n", keeper=keeper)
    held = await stale.token()
    clock.at += 100
    await credentials.note(Reply(status=200), await credentials.token())
    assert (await stale.renew(held)).parts == {"id": "S1"}
    assert len(stale_vendor.logins) == 1


ROTATE = SESSION + '  rotate: {id: "${reply.body.next}"}\n'


@pytest.mark.parametrize(
    ("body", "after", "hidden"),
    [
        pytest.param({"next": "R1"}, "R1", {"R1": "‹token›"}, id="a new one is kept"),
        pytest.param({"next": ""}, "S1", {}, id="an empty one is not"),
        pytest.param({}, "S1", {}, id="none"),
        pytest.param({"next": "S1"}, "S1", {"S1": "‹token›"}, id="the same"),
    ],
)
async def test_a_rotated_token_is_kept_when_all_its_parts_are_there(open_door, body, after, hidden):
    credentials, _, keeper = open_door(ROTATE)
    token = await credentials.token()
    assert await credentials.note(Reply(status=200, body=body), token) == hidden
    assert (await credentials.token()).parts == {"id": after}
    assert (await keeper.load()).parts == {"id": after}
    assert (
        await credentials.note(Reply(status=200, body={"next": "late"}), token) == {"late": "‹token›"}
    ) and True
    assert await credentials.note(Reply(status=200), None) == {}


async def test_a_store_that_fails_does_not_undo_a_call_that_succeeded(open_door):
    credentials, _, keeper = open_door(ROTATE)
    token = await credentials.token()

    async def broken(*_):
        raise StoreError("disk full")

    keeper.save = broken
    await credentials.note(Reply(status=200, body={"next": "R1"}), token)
    assert (await credentials.token()).parts == {"id": "R1"}


class Scripted:
    """A keeper whose `claim` answers from a script, as another gateway would make it."""

    def __init__(self, *claims, loads=()) -> None:
        self.claims, self.loads, self.saved = list(claims), list(loads), []

    async def load(self):
        return self.loads.pop(0) if self.loads else None

    async def version(self):
        return 3

    async def claim(self, failed_version):
        return self.claims.pop(0)

    async def save(self, failed_version, parts, expires_at):
        self.saved.append((failed_version, parts))

    async def pause(self, seconds, reason):
        pass


def stored(name, version=4, **more) -> Token:
    return Token(version=version, parts={"id": name}, saved_at=1000.0, used_at=1000.0, **more)


async def test_another_gateways_login_is_waited_for_and_taken(open_door, clock):
    keeper = Scripted("wait", "wait", "renewed", loads=[None, stored("THEIRS")])
    credentials, vendor, _ = open_door(keeper=keeper)
    assert (await credentials.token()).parts == {"id": "THEIRS"}
    assert (clock.pauses, vendor.logins) == ([0.2, 0.2], [])


async def test_another_gateways_session_that_is_over_or_gone_is_renewed_again(open_door):
    keeper = Scripted(
        "renewed", "renewed", "yours", loads=[None, stored("OLD", expires_at=5.0), None, stored("WON", 6)]
    )
    credentials, vendor, _ = open_door(keeper=keeper)
    assert (await credentials.token()).parts == {"id": "WON"}  # save gave None: somebody saved first
    assert keeper.saved == [(3, {"id": "S1"})]


async def test_a_login_that_is_lost_again_at_once_is_told_as_paused(open_door):
    credentials, _, _ = open_door(keeper=Scripted("yours"))
    with pytest.raises(VendorUnavailable):
        await credentials.token()


async def test_a_login_or_place_that_cannot_be_made_is_our_own_mistake(open_door, make_call):
    credentials, _, _ = open_door(SESSION, secrets={})
    with pytest.raises(InternalError):
        await credentials.token()
    credentials, _, _ = open_door()
    with pytest.raises(InternalError):
        credentials.place(make_call(), Token(version=1, parts={}, saved_at=0, used_at=0))


async def test_a_call_may_place_the_token_elsewhere(open_door, make_call):
    credentials, _, _ = open_door()
    token = await credentials.token()
    call = make_call(place=lambda parts: AuthPlace(query=(("t", parts["id"]),)))
    assert credentials.place(call, token).query == (("t", "S1"),)


# ---- oauth2


@pytest.mark.parametrize(
    ("place", "form", "authorization"),
    [
        ("form", {"client_id": "ws-user", "client_secret": "p:ss wörd"}, None),
        ("basic", {}, "Basic " + base64.b64encode(b"ws-user:p%3Ass+w%C3%B6rd").decode()),
    ],
)
async def test_oauth2_asks_its_token_endpoint(open_door, make_call, place, form, authorization):
    credentials, vendor, _ = open_door(oauth(place=place))
    token = await credentials.token()
    (call,) = vendor.logins
    assert (call.method, call.base, call.target, call.anonymous) == (
        "POST",
        "https://lms.example",
        "/token?x=1",
        True,
    )
    assert call.body.data == {"grant_type": "client_credentials", "scope": "api", **form}
    assert call.headers.get("authorization") == authorization
    assert call.judge(Reply()).outcome == "ok"
    ready = credentials.place(make_call(), token)
    assert (ready.headers, ready.sensitive) == ({"authorization": "Bearer T1"}, {"T1": "‹token›"})
    assert await credentials.note(Reply(), token) == {}


async def test_oauth2_by_password_sends_the_user(open_door):
    more = ', username: "${secrets.user}", password: "${secrets.pass}"'
    credentials, vendor, _ = open_door(oauth("password", more=more))
    await credentials.token()
    assert vendor.logins[0].body.data["username"] == "ws-user"


async def test_oauth2_keeps_a_rotated_refresh_token_for_the_next_time(open_door, clock):
    replies = [
        Reply(status=200, body={"access_token": f"T{n}", "expires_in": 100, **more})
        for n, more in enumerate(({"refresh_token": "NEW"}, {}, {}))
    ]
    credentials, vendor, _ = open_door(
        oauth("refresh_token", more=', refresh_token: "${secrets.pass}"'), *replies
    )
    for _ in range(3):
        await credentials.token()
        clock.at += 100
    assert [call.body.data["refresh_token"] for call in vendor.logins] == ["p:ss wörd", "NEW", "NEW"]


@pytest.mark.parametrize(
    ("life", "good_for"), [(3600, 3540), ("1800", 1740), (60, 30), (None, None), (True, None), ("soon", None)]
)
async def test_an_oauth2_token_is_renewed_a_minute_before_its_end(open_door, clock, life, good_for):
    body = {"access_token": "T1"} | ({} if life is None else {"expires_in": life})
    credentials, _, _ = open_door(oauth(), Reply(status=200, body=body))
    await credentials.token()
    clock.at += (good_for or 1_000_000) - 1
    assert credentials.current() is not None
    clock.at += 1
    assert (credentials.current() is None) == (good_for is not None)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=400, body={"error": "invalid_client"}),
        Reply(status=200, body={}),
        Reply(status=200, body={"access_token": 5}),
        Reply(status=200, text="<html>"),
    ],
)
async def test_oauth2_without_a_token_is_no_access(open_door, reply):
    credentials, _, _ = open_door(oauth(), reply)
    with pytest.raises(VendorFault) as caught:
        await credentials.token()
    assert caught.value.code == "vendor_login"


async def test_oauth2_without_its_secret_is_our_own_mistake(open_door):
    credentials, _, _ = open_door(oauth(), secrets={})
    with pytest.raises(InternalError):
        await credentials.token()


async def test_no_credential_stands_in_an_error(open_door):
    credentials, _, _ = open_door(oauth(), Reply(status=400, body={"error": "no"}))
    with pytest.raises(VendorFault) as caught:
        await credentials.token()
    assert "wörd" not in str(caught.value) and b"p:ss" not in orjson.dumps(str(caught.value))
