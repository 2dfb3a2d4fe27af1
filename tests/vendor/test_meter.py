"""What the vendor says is left of its allowance, and who waits for it."""

from random import Random

import pytest

from gateway.engine.calls import Reply
from gateway.errors import VendorUnavailable
from gateway.vendor.auth import Credentials, MemoryKeeper
from gateway.vendor.breaker import Breaker
from gateway.vendor.client import Client
from gateway.vendor.drive import Vendor
from gateway.vendor.meter import Meter
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

BUDGET = """
budget:
  remaining: "${number(reply.headers.x_left)}"
  cost: "${number(reply.headers.x_cost)}"
  floor: 100
"""


@pytest.fixture
def meter(make_frame, clock):
    frame = make_frame(BUDGET)
    return Meter(frame.mapping.server.budget, frame, clock)


def said(left=None, cost=None) -> Reply:
    headers = {"x_left": left, "x_cost": cost}
    return Reply(status=200, headers={name: value for name, value in headers.items() if value is not None})


@pytest.mark.parametrize(
    ("left", "cost", "background", "staff"),
    [
        pytest.param("700", "1.5", False, False, id="plenty"),
        pytest.param("99.9", "1.5", True, False, id="below the floor only background work waits"),
        pytest.param("1", "1.5", True, True, id="less than a call costs"),
        pytest.param("0", None, True, True, id="nothing, and no cost said"),
        pytest.param(None, "9", False, False, id="nothing said"),
        pytest.param("many", "9", False, False, id="not a number"),
    ],
)
def test_who_waits_for_what_is_left(meter, left, cost, background, staff):
    meter.note(said(left, cost))
    assert (meter.wait_s(staff=False) > 0, meter.wait_s(staff=True) > 0) == (background, staff)


def test_what_was_said_a_minute_ago_is_not_believed_any_more(meter, clock):
    meter.note(said("0"))
    clock.at += 59
    assert meter.wait_s(staff=False) > 0
    clock.at += 1
    assert meter.wait_s(staff=False) == 0


@pytest.mark.parametrize(
    ("staff", "pauses"),
    [pytest.param(True, 1, id="staff wait once"), pytest.param(False, 60, id="the rest until it is old")],
)
async def test_a_call_waits_while_the_vendor_says_that_nothing_is_left(
    make_frame, make_call, clock, pool, answer, staff, pauses
):
    vendor = vendor_of(make_frame(BUDGET), pool(answer(200, {}, X_Left="0"), answer(200, {})), clock)
    await vendor.send(make_call(), Deadline(100), Trace())
    await vendor.send(make_call(), Deadline(100), Trace(), staff=staff)
    assert len(clock.pauses) == pauses


async def test_a_call_that_would_wait_beyond_its_deadline_is_not_sent(
    make_frame, make_call, clock, pool, answer
):
    vendor = vendor_of(make_frame(BUDGET), pool(answer(200, {}, X_Left="0")), clock)
    await vendor.send(make_call(), Deadline(100), Trace())
    with pytest.raises(VendorUnavailable) as caught:
        await vendor.send(make_call(), Deadline(0.5), Trace(), staff=False)
    assert caught.value.code == "budget_spent"


def vendor_of(frame, scripted, clock) -> Vendor:
    server = frame.mapping.server
    return Vendor(
        client=Client(scripted, server, clock),
        credentials=Credentials(server.auth, frame, MemoryKeeper(clock), None, clock),
        breaker=Breaker(clock),
        allowance=None,
        now=clock,
        random=Random(1),
        pause=clock.pause,
        meter=Meter(server.budget, frame, clock),
    )
