"""When a poll is due: never drifting, never twice, whatever the clocks of a zone do."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from gateway.mapping.progress_spec import Timing
from gateway.progress.timing import AT_JITTER_S, SLICE_CALLS, Override, Rhythm, back_off_s

NOW = 1_780_000_000.0
TEN_MINUTES = Rhythm(timing=Timing(every_s=600.0), key="acme/poll")
SPREAD = Rhythm(timing=Timing(every_s=600.0, spread=True), key="acme/poll")


def nightly(*at: str, zone: str = "Australia/Sydney", spread: bool = False) -> Rhythm:
    return Rhythm(timing=Timing(at=at, spread=spread), key="acme/poll", zone=zone)


def at(text: str, zone: str = "Australia/Sydney") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def due_after(rhythm: Rhythm, began: float, times: int) -> list[float]:
    found = []
    for _ in range(times):
        began = rhythm.following(began)
        found.append(began)
    return found


# -- every so often


def test_a_new_plan_begins_within_five_minutes():
    firsts = [Rhythm(timing=Timing(every_s=3600.0), key=f"t{n}/poll").first(NOW) - NOW for n in range(200)]
    assert 0 <= min(firsts) < 30
    assert 270 < max(firsts) <= 300


def test_a_new_plan_of_a_short_interval_begins_within_it():
    firsts = [Rhythm(timing=Timing(every_s=60.0), key=f"t{n}/poll").first(NOW) - NOW for n in range(200)]
    assert max(firsts) <= 60


def test_the_interval_jitters_by_a_tenth_and_never_drifts():
    due = due_after(TEN_MINUTES, NOW, 1000)
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert 480 <= min(gaps) < 560
    assert 640 < max(gaps) <= 720
    assert abs((due[-1] - due[0]) / 999 - 600) < 1


def test_a_plan_that_ran_late_is_back_in_step_with_the_next():
    due = due_after(TEN_MINUTES, NOW, 3)
    assert TEN_MINUTES.following(due[0] + 200) == due[1]


def test_a_plan_that_was_away_for_hours_runs_once_for_all_it_missed():
    assert 240 <= TEN_MINUTES.following(NOW + 5 * 3600) - (NOW + 5 * 3600) <= 960


def test_tenants_are_not_due_at_the_same_moment():
    due = {round(Rhythm(timing=Timing(every_s=600.0), key=f"t{n}/poll").following(NOW)) for n in range(100)}
    assert len(due) > 80


# -- at times of the day


def test_a_nightly_poll_runs_at_its_time_in_the_tenants_zone():
    due = nightly("02:00").first(at("2026-06-10T12:00"))
    assert at("2026-06-11T02:00") <= due <= at("2026-06-11T02:00") + AT_JITTER_S


def test_a_poll_that_began_within_its_jitter_is_not_due_again_the_same_night():
    began = nightly("02:00").first(at("2026-06-10T12:00"))
    assert nightly("02:00").following(began) >= at("2026-06-12T02:00")


def test_several_times_of_the_day_come_in_their_order():
    due = due_after(nightly("17:30", "06:00", zone="UTC"), at("2026-06-10T07:00", "UTC"), 4)
    hours = [datetime.fromtimestamp(moment, UTC).strftime("%d %H") for moment in due]
    assert hours == ["10 17", "11 06", "11 17", "12 06"]


def test_a_rails_name_of_a_zone_will_do():
    due = nightly("02:00", zone="Perth").first(at("2026-06-10T12:00", "Australia/Perth"))
    assert 0 <= due - at("2026-06-11T02:00", "Australia/Perth") <= AT_JITTER_S


def test_an_unknown_zone_is_utc():
    due = nightly("02:00", zone="Nowhere/Atall").first(at("2026-06-10T12:00", "UTC"))
    assert 0 <= due - at("2026-06-11T02:00", "UTC") <= AT_JITTER_S


def test_a_time_that_the_clock_leaps_over_runs_once_an_hour_later():
    # Sydney, 4 October 2026: 02:00 to 03:00 does not exist
    due = due_after(nightly("02:30"), at("2026-10-03T12:00"), 2)
    assert at("2026-10-04T03:30") <= due[0] <= at("2026-10-04T03:30") + AT_JITTER_S
    assert at("2026-10-05T02:30") <= due[1]


def test_two_times_that_become_one_in_the_leap_run_once():
    due = due_after(nightly("02:30", "03:30"), at("2026-10-03T12:00"), 2)
    assert due[1] >= at("2026-10-05T02:30")


def test_a_time_that_the_clock_shows_twice_runs_once():
    # Sydney, 5 April 2026: 02:00 to 03:00 comes twice
    due = due_after(nightly("02:30"), at("2026-04-04T12:00"), 2)
    assert 0 <= due[0] - at("2026-04-05T02:30") <= AT_JITTER_S
    assert due[1] >= at("2026-04-06T02:30")


@pytest.mark.parametrize("zone", ["Australia/Sydney", "Australia/Lord_Howe", "America/St_Johns", "UTC"])
def test_a_nightly_poll_runs_once_a_day_all_year(zone):
    due = due_after(nightly("02:00", zone=zone), at("2026-01-01T12:00", zone), 365)
    days = [datetime.fromtimestamp(moment, ZoneInfo(zone)).date() for moment in due]
    assert len(set(days)) == 365


# -- what a tenant says


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        pytest.param(Override(), (600.0, ()), id="nothing"),
        pytest.param(Override(every_s=3600.0), (3600.0, ()), id="another interval"),
        pytest.param(Override(at=("02:00",)), (None, ("02:00",)), id="once a night"),
        pytest.param(Override(audit_at=("03:00",)), (600.0, ()), id="only the audit"),
    ],
)
def test_a_tenant_may_say_when_its_polls_run(override, expected):
    timing = override.of_poll(Timing(every_s=600.0, spread=True))
    assert (timing.every_s, timing.at) == expected
    assert timing.spread


def test_a_tenant_may_say_when_its_audits_run():
    audit = Timing(at=("02:00",))
    assert Override(every_s=60.0).of_audit(audit) == audit
    assert Override(audit_at=("04:00",)).of_audit(audit).at == ("04:00",)


# -- slices


def test_spread_calls_fill_the_interval_and_leave_some_of_it():
    began, end = SPREAD.following(NOW), SPREAD.following(SPREAD.following(NOW))
    due = [SPREAD.slice_due(began, done, 40) for done in range(41)]
    assert due[0] == began
    assert due[-1] == pytest.approx(began + 0.9 * (end - began))
    assert {round(later - earlier, 3) for earlier, later in pairwise(due)} == {
        round(0.9 * (end - began) / 40, 3)
    }


def test_more_calls_than_were_counted_wait_no_longer():
    assert SPREAD.slice_due(NOW, 50, 40) == SPREAD.slice_due(NOW, 40, 40)


def test_without_spread_slices_run_back_to_back():
    assert TEN_MINUTES.slice_due(NOW, 5, 40) == NOW
    assert TEN_MINUTES.slice_size(NOW, 40) == SLICE_CALLS


@pytest.mark.parametrize(
    ("total", "low", "high"),
    [
        pytest.param(1, 1, 1, id="one"),
        pytest.param(40, 2, 4, id="forty"),
        pytest.param(5000, 20, 20, id="many"),
    ],
)
def test_a_slice_holds_as_many_calls_as_half_a_minute_wants(total, low, high):
    assert low <= SPREAD.slice_size(SPREAD.following(NOW), total) <= high


def test_a_nightly_poll_is_spread_over_an_hour_not_over_the_day():
    rhythm = nightly("02:00", spread=True)
    began = rhythm.first(NOW)
    assert rhythm.slice_due(began, 10, 10) == began + 3600


# -- backing off


def test_a_failing_vendor_is_left_alone_for_longer_and_longer():
    waits = [back_off_s(failures, Random(1)) for failures in range(1, 12)]
    assert 12 <= waits[0] <= 15
    assert 24 <= waits[1] <= 30
    assert all(720 <= wait <= 900 for wait in waits[6:])
    assert back_off_s(10_000, Random(1)) <= 900
