"""Which failures are repeated, after how long: one row for each promise."""

from __future__ import annotations

from random import Random

import pytest

from gateway.engine.calls import Reply, Verdict
from gateway.vendor import retry
from gateway.vendor.retry import Deadline, Tries, pause_s, retry_after_s

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("5", 5.0, id="seconds"),
        pytest.param(" 5 ", 5.0, id="spaces"),
        pytest.param("0", None, id="zero is absent"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1.5", None, id="not whole"),
        pytest.param("99999", 3600.0, id="at most an hour"),
        pytest.param("9" * 400, 3600.0, id="absurd"),
        pytest.param("٥", None, id="digits outside ASCII"),
        pytest.param("Tue, 14 Nov 2023 22:13:50 GMT", 30.0, id="date"),
        pytest.param("Tue, 14 Nov 2023 22:13:50 -0000", 30.0, id="date without a zone"),
        pytest.param("Tue, 14 Nov 2023 22:13:00 GMT", None, id="past"),
        pytest.param("Thu, 31 Dec 9999 23:59:59 GMT", 3600.0, id="far away"),
        pytest.param("soon", None, id="unreadable"),
        pytest.param("", None, id="empty"),
        pytest.param("Tue, 99 Nov 2023 22:13:50 GMT", None, id="no such day"),
    ],
)
def test_retry_after_is_read_in_both_forms(text, seconds):
    assert retry_after_s(text, NOW) == seconds


def tried(make_call, effect, outcomes, *, lost=None, headers=None, wait_s=None, left=8.0):
    """The pauses after each of these outcomes, until there is none."""
    tries, pauses = Tries(), []
    for outcome in outcomes:
        reply = Reply(lost=lost, headers=headers or {})
        verdict = Verdict(outcome=outcome, wait_s=wait_s)
        pause = pause_s(make_call(effect), reply, verdict, tries, Deadline(left), NOW, Random(3))
        pauses.append(pause)
    return pauses


@pytest.mark.parametrize(
    ("effect", "lost", "outcomes", "again"),
    [
        pytest.param("read", "timeout", ["retry"] * 3, [True, True, False], id="reads: three tries"),
        pytest.param("read", None, ["unknown"] * 3, [True, True, False], id="reads: unknown as retry"),
        pytest.param("read", "not_sent", ["retry"] * 3, [True, True, False], id="reads never sent"),
        pytest.param("write", "timeout", ["unknown"], [False], id="writes: a lost answer is never repeated here"),
        pytest.param("write", None, ["retry"] * 2, [True, False], id="writes: once more when nothing happened"),
        pytest.param("write", "not_sent", ["retry"] * 3, [True, True, False], id="writes never sent"),
        pytest.param("write", None, ["throttled"] * 3, [True, True, False], id="throttled writes wait"),
        pytest.param("read", None, ["throttled"] * 3, [True, True, False], id="throttled reads wait"),
        pytest.param("write", None, ["throttled", "retry", "retry"], [True, True, False], id="one does not count as the other"),
        *[pytest.param(effect, None, [word], [False], id=f"{effect} {word}") for effect in ("read", "write") for word in ("ok", "already", "absent", "refused", "relogin", "restart", "fail")],
    ],
)  # fmt: skip
def test_each_failure_is_repeated_as_often_as_is_safe(make_call, effect, lost, outcomes, again):
    assert [pause is not None for pause in tried(make_call, effect, outcomes, lost=lost)] == again


def test_pauses_are_jittered_and_shorter_when_nothing_was_sent(make_call):
    (pause,) = tried(make_call, "read", ["retry"])
    assert 0.2 <= pause <= 2.0
    (short,) = tried(make_call, "read", ["retry"], lost="not_sent")
    assert short == pytest.approx(pause * 0.2)


@pytest.mark.parametrize("outcome", ["throttled", "retry"])
@pytest.mark.parametrize(
    ("wait_s", "headers", "left", "pause"),
    [
        pytest.param(None, {"retry_after": "5"}, 8.0, 5.0, id="as asked"),
        pytest.param(None, {"retry_after": "9"}, 8.0, None, id="longer than the deadline"),
        pytest.param(3.0, {"retry_after": "5"}, 8.0, 3.0, id="the rule's wait goes first"),
    ],
)
def test_what_the_vendor_asks_for_is_waited_within_the_deadline(
    make_call, outcome, wait_s, headers, left, pause
):
    assert tried(make_call, "read", [outcome], wait_s=wait_s, headers=headers, left=left) == [pause]


def test_no_pause_reaches_past_the_deadline(make_call):
    assert tried(make_call, "read", ["retry"], left=0.1) == [None]


async def test_the_real_pause_waits_for_nothing_when_told_so():
    await retry.wait(0)
