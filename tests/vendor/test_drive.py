"""A generator run against a vendor: what is stored when, what is repeated, what is let through."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from gateway.engine.calls import Commit
from gateway.errors import HostRefused, InternalError, NotSent, VendorFault, VendorTimeout, VendorUnavailable
from gateway.vendor.auth import Credentials, MemoryKeeper
from gateway.vendor.breaker import Breaker
from gateway.vendor.client import Client
from gateway.vendor.drive import NoJournal, Vendor, drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

SESSION = """
auth:
  kind: session
  login: {call: POST /login, form: {u: "${secrets.user}"}, token: {id: "${reply.body.id}"}}
  place: {headers: {X-Session: "${token.id}"}}
  rotate: {id: "${reply.body.next}"}
"""


class Journal:
    """Writes down in order what drive asks of it."""

    def __init__(self, log) -> None:
        self.log = log

    def commit(self, commit) -> None:
        self.log.append(f"commit {commit.step}")

    async def flush(self, leaving) -> None:
        self.log.append(f"flush {leaving.journal if leaving else None}")

    async def not_sent(self, call) -> None:
        self.log.append(f"not sent {call.journal}")


class Allowance:
    def __init__(self, *waits) -> None:
        self.waits, self.asked = list(waits), []

    async def take(self, *, staff, cost=1):
        self.asked.append(staff)
        return self.waits.pop(0) if self.waits else 0.0


@pytest.fixture
def world(pool, make_frame, clock):
    """(script…) -> vendor, its pool; credentials log in through the vendor itself."""

    def make(*script, server="", allowance=None):
        frame, scripted = make_frame(server), pool(*script)
        client = Client(scripted, frame.mapping.server, clock)

        async def log_in(call):
            return await vendor.log_in_call(call)

        credentials = Credentials(
            frame.mapping.server.auth, frame, MemoryKeeper(clock), log_in, clock, pause=clock.pause
        )
        vendor = Vendor(
            client=client,
            credentials=credentials,
            breaker=Breaker(clock),
            allowance=allowance,
            now=clock,
            random=Random(1),
            pause=clock.pause,
        )
        return vendor, scripted

    return make


@pytest.fixture
def send(clock):
    async def send_one(vendor, call, seconds=8.0, **more):
        trace = Trace()
        return await vendor.send(call, Deadline(seconds, clock), trace, **more), trace

    return send_one


def steps(call, caught=None):
    """A generator of one committed step, one call, and another commit."""
    yield Commit(step="a", value={}, effect="read")
    try:
        reply = yield call
    except Exception as error:
        if caught is None:
            raise
        caught.append(error)
        return "otherwise"
    yield Commit(step="b", value={}, effect="write")
    return reply.status


async def test_what_a_step_left_is_stored_before_the_next_call_leaves(world, clock, make_call, answer):
    log: list[str] = []
    vendor, _ = world(lambda request: log.append("sent") or answer(200))
    result = await drive(
        steps(make_call("write", journal="go")), vendor, Journal(log), Deadline(8, clock), Trace()
    )
    assert (result, log) == (200, ["commit a", "flush go", "sent", "commit b"])
    log.clear()
    await drive(steps(make_call()), vendor, Journal(log), Deadline(8, clock), Trace())
    assert log == ["commit a", "flush None", "sent", "commit b"]


@pytest.mark.parametrize(
    ("reply", "noted"),
    [
        pytest.param({"is": "ok"}, False, id="ok"),
        pytest.param({"is": "unknown"}, False, id="unknown stays in doubt"),
        *[
            pytest.param({"is": word}, True, id=word)
            for word in ("already", "absent", "refused", "restart", "fail", "relogin")
        ],
    ],
)
async def test_a_write_that_certainly_did_not_happen_is_noted(world, clock, make_call, answer, reply, noted):
    for again in (False, True):
        log: list[str] = []
        vendor, _ = world(answer(200, reply))
        call = make_call("write", journal="go", again=again)
        await drive(steps(call), vendor, Journal(log), Deadline(8, clock), Trace())
        assert ("not sent go" in log) == (noted and not again)


@pytest.mark.parametrize(
    ("failure", "error"),
    [(NotSent("x"), None), (HostRefused("x"), InternalError)],
    ids=["never connected", "not allowed"],
)
async def test_a_write_that_never_left_is_noted_and_the_engine_may_go_another_way(
    world, clock, make_call, failure, error
):
    log, caught = [], []
    vendor, _ = world(failure)
    result = await drive(
        steps(make_call("write", journal="go"), caught), vendor, Journal(log), Deadline(8, clock), Trace()
    )
    assert "not sent go" in log
    assert (result, [type(one) for one in caught]) == (("otherwise", [error]) if error else (0, []))


async def test_a_cancelled_write_is_left_in_doubt(world, clock, make_call, answer):
    log: list[str] = []
    vendor, _ = world(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await drive(
            steps(make_call("write", journal="go")), vendor, Journal(log), Deadline(8, clock), Trace()
        )
    assert log == ["commit a", "flush go"]


async def test_reads_need_no_journal(world, clock, make_call, answer):
    vendor, _ = world(answer(204))
    assert await drive(steps(make_call(journal="x")), vendor, NoJournal(), Deadline(8, clock), Trace()) == 204
    vendor, _ = world(answer(400))
    assert await drive(steps(make_call(journal="x")), vendor, NoJournal(), Deadline(8, clock), Trace()) == 400


async def test_a_read_is_tried_three_times_and_each_try_is_traced(world, send, clock, make_call, answer):
    vendor, pool = world(answer(500), NotSent("x"), answer(200))
    reply, trace = await send(vendor, make_call())
    assert (reply.status, len(pool.sent), len(clock.pauses)) == (200, 3, 2)
    assert [(one.tries, one.reply.verdict.outcome) for one in trace.exchanges] == [
        (1, "unknown"),
        (2, "retry"),
        (3, "ok"),
    ]


async def test_a_write_whose_answer_was_lost_is_sent_once(world, send, make_call, answer):
    vendor, pool = world(answer(500))
    assert (await send(vendor, make_call("write")))[0].verdict.outcome == "unknown"
    assert len(pool.sent) == 1


async def test_a_throttled_call_waits_as_long_as_it_is_told(world, send, clock, make_call, answer):
    vendor, _ = world(answer(429, Retry_After="3"), answer(200))
    assert (await send(vendor, make_call("write")))[0].status == 200
    assert clock.pauses == [3.0]
    vendor, _ = world(answer(429, Retry_After="30"))
    assert (await send(vendor, make_call()))[0].status == 429


async def test_each_try_gets_what_is_left_of_the_deadline(world, send, clock, make_call, answer):
    def slow(request):
        clock.at += 4
        return answer(500)

    vendor, pool = world(slow)
    await send(vendor, make_call(timeout_s=6.0), seconds=7)
    assert [round(one["timeout_s"], 1) < 6.1 for one in pool.sent] == [True] * len(pool.sent)
    assert pool.sent[-1]["timeout_s"] < 3
    with pytest.raises(VendorTimeout):
        await send(vendor, make_call(), seconds=0)


async def test_a_session_that_is_over_is_logged_in_again_once(world, send, make_call, answer):
    vendor, pool = world(
        answer(200, {"id": "S1"}), answer(401), answer(200, {"id": "S2"}), answer(200), server=SESSION
    )
    reply, _ = await send(vendor, make_call("write"))
    assert reply.status == 200
    assert [one["headers"].get("X-Session") for one in pool.sent] == [None, "S1", None, "S2"]
    vendor, pool = world(
        answer(200, {"id": "S1"}), answer(401), answer(200, {"id": "S2"}), answer(401), server=SESSION
    )
    assert (await send(vendor, make_call()))[0].verdict.outcome == "relogin"
    assert len(pool.sent) == 4


async def test_a_refused_login_ends_the_call(world, send, make_call, answer):
    vendor, pool = world(answer(403), server=SESSION)
    with pytest.raises(VendorFault):
        await send(vendor, make_call())
    with pytest.raises(VendorUnavailable):
        await send(vendor, make_call())
    assert len(pool.sent) == 1


async def test_a_login_that_takes_too_long_ends_with_the_deadline(world, make_call, answer):
    vendor, _ = world(answer(200, {"id": "S1"}), server=SESSION)
    never = asyncio.Event()

    async def hang(call):
        await never.wait()

    vendor.credentials._exchange = hang
    with pytest.raises(VendorTimeout):
        await vendor.send(make_call(), Deadline(0.01), Trace())
    vendor.credentials._renewing.cancel()
    await asyncio.gather(vendor.credentials._renewing, return_exceptions=True)


async def test_a_rotated_token_is_hidden_in_the_trace(world, send, make_call, answer):
    vendor, _ = world(answer(200, {"id": "S-FIRST"}), answer(200, {"next": "S-SECOND"}), server=SESSION)
    _, trace = await send(vendor, make_call())
    assert "S-" not in str(trace.shown())


async def test_faults_open_the_breaker_and_refusals_do_not(world, send, clock, make_call, answer):
    vendor, pool = world(answer(400))
    for _ in range(10):
        await send(vendor, make_call())
    vendor, pool = world(answer(500, {"is": "refused"}))
    for _ in range(10):
        await send(vendor, make_call())
    assert not vendor.breaker.is_open
    vendor, pool = world(answer(500))
    for _ in range(5):
        await send(vendor, make_call("write"))
    with pytest.raises(VendorUnavailable) as caught:
        await send(vendor, make_call("write"))
    assert (caught.value.code, len(pool.sent)) == ("breaker_open", 5)
    clock.at += 15
    assert (await send(vendor, make_call("write")))[0].status == 500


async def test_a_try_that_came_to_nothing_leaves_the_half_open_breaker_free(
    world, send, clock, make_call, answer
):
    vendor, _ = world(*[answer(500)] * 5, HostRefused("x"), answer(200))
    for _ in range(5):
        await send(vendor, make_call("write"))
    clock.at += 15
    with pytest.raises(InternalError):
        await send(vendor, make_call("write"))
    assert (await send(vendor, make_call("write")))[0].status == 200


async def test_only_one_call_passes_a_half_open_breaker(world, send, clock, make_call, answer):
    vendor, _ = world(*[answer(500)] * 5, answer(200))
    for _ in range(5):
        await send(vendor, make_call("write"))
    clock.at += 15
    results = await asyncio.gather(
        *(send(vendor, make_call("write")) for _ in range(2)), return_exceptions=True
    )
    assert [type(result).__name__ for result in results] == ["tuple", "VendorUnavailable"]


async def test_the_budget_is_waited_for_within_the_deadline(world, send, clock, make_call, answer):
    allowance = Allowance(2.0, 0.0, 9.0)
    vendor, _ = world(answer(200), allowance=allowance)
    await send(vendor, make_call(), staff=False)
    assert (clock.pauses, allowance.asked) == ([2.0], [False, False])
    with pytest.raises(VendorUnavailable) as caught:
        await send(vendor, make_call())
    assert caught.value.code == "budget_spent"


async def test_a_login_counts_against_the_budget(world, send, make_call, answer):
    vendor, pool = world(answer(200, {"id": "S1"}), answer(200), server=SESSION, allowance=Allowance())
    await send(vendor, make_call())
    assert len(vendor.allowance.asked) == 2
    vendor, pool = world(answer(200, {"id": "S1"}), server=SESSION, allowance=Allowance(0.0, 5.0))
    with pytest.raises(VendorUnavailable):
        await send(vendor, make_call())
    assert pool.sent == []
