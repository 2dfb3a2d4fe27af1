"""When a vendor is given a rest, and when it is tried again."""

from __future__ import annotations

import pytest

from gateway.vendor.breaker import Breaker


@pytest.fixture
def breaker(clock):
    return Breaker(clock)


def note(breaker, faults: str) -> None:
    for sign in faults:
        breaker.note(fault=sign == "x")


@pytest.mark.parametrize(
    ("faults", "opens"),
    [
        pytest.param("xxxx", False, id="four in a row"),
        pytest.param("xxxxx", True, id="five in a row"),
        pytest.param("xxxx.xxxx", False, id="a good one between"),
        pytest.param("x." * 9, False, id="half of 18"),
        pytest.param(".x" * 10, True, id="half of 20"),
        pytest.param("..x" * 10, False, id="a third of 30"),
    ],
)
def test_it_opens_after_five_in_a_row_or_half_of_twenty(breaker, faults, opens):
    note(breaker, faults)
    assert (breaker.is_open, breaker.allows(), breaker.wait_s()) == (opens, not opens, 15.0 if opens else 0.0)


def test_faults_of_more_than_a_minute_ago_do_not_count_as_a_share(breaker, clock):
    note(breaker, ".x" * 9)
    clock.at += 61
    note(breaker, ".x")
    assert not breaker.is_open


def test_after_the_rest_one_call_is_let_through_at_a_time(breaker, clock):
    note(breaker, "xxxxx")
    clock.at += 15
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.release()
    assert breaker.allows()
    breaker.note(fault=False)
    assert not breaker.is_open
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_each_failed_try_doubles_the_rest_up_to_five_minutes(breaker, clock):
    note(breaker, "xxxxx")
    rests = []
    for _ in range(6):
        clock.at += breaker.wait_s()
        assert breaker.allows()
        breaker.note(fault=True)
        rests.append(breaker.wait_s())
    assert rests == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
    clock.at += 300
    note(breaker, ".xxxxx")
    assert breaker.wait_s() == 15.0


def test_calls_that_left_before_it_opened_do_not_lengthen_the_rest(breaker):
    note(breaker, "x" * 20)
    assert breaker.wait_s() == 15.0
