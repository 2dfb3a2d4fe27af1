"""What `check` says of progress: polls against the budget, webhooks, the queue, and RTOPilot itself."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.config.tenants import TenantConfig
from gateway.mapping.expressions import compile_expression
from gateway.mapping.progress_spec import ProgressSpec, Timing, Verify, Webhook
from gateway.operator import check_polls, check_progress, check_push
from gateway.operator.outbox_report import Overview, TenantLine
from gateway.progress.push import open_target
from gateway.progress.rtopilot_key import KeySource
from gateway.sandbox.faults import Fault
from gateway.sandbox.rtopilot_office import Organisation
from gateway.sandbox.rtopilot_progress import ProgressServer, ProgressSwitches, new_key, progress_stand_in
from gateway.sandbox.serve import running
from gateway.secret import Secret
from gateway.store.budgets import Rate
from gateway.store.outbox import DeadCause
from gateway.store.pauses import Pause
from gateway.store.schedules import Turn

NOW = 1_780_000_000.0
HOURLY = (Rate(2000, 3600.0), Rate(200, 5.0))


def plan(
    kind: str = "per-course", *, timing: Timing | None = None, audit: bool = False, paged: bool = False
) -> Any:
    call = SimpleNamespace(pages=object() if paged else None)
    return SimpleNamespace(
        name="poll.audit" if audit else "poll",
        poll=SimpleNamespace(plan=kind, of=25, call=call),
        rhythm=SimpleNamespace(timing=timing or Timing(every_s=600.0), zone="Australia/Perth"),
        audit_s=86_400.0 if audit else None,
    )


def cost(calls: int, **about: Any) -> check_polls.Cost:
    made = plan(**about)
    every = check_polls.interval_s(made.rhythm.timing)
    return check_polls.Cost(plan=made, subjects=calls, calls=calls, interval_s=every)


def tenant(rates: tuple[Rate, ...] | None = HOURLY, reserve: float = 0.2) -> Any:
    return SimpleNamespace(allowance=None if rates is None else SimpleNamespace(rates=rates, reserve=reserve))


def having(given: tuple[str, ...], *, required: bool = True) -> Any:
    """A tenant with values for these secrets of its mapping."""
    secrets = {name: SimpleNamespace(required=required) for name in ("first", "second", "hook", "hookOld")}
    return SimpleNamespace(
        name="acme",
        secrets=dict.fromkeys(given, Secret("x" * 20)),
        mapping=SimpleNamespace(secrets=secrets),
    )


def test_a_webhook_whose_secrets_are_optional_may_be_left_out() -> None:
    webhook: Any = SimpleNamespace(verify=SimpleNamespace(kind="hmac", secrets=("first", "second")))
    row = check_progress.lms_webhook(webhook, having((), required=False))
    assert (row.verdict, row.found) == (
        "skipped",
        "Not set up: `first` and `second` have no value. The polls do the work.",
    )


# -- times and figures


@pytest.mark.parametrize(
    ("timing", "seconds"),
    [
        pytest.param(Timing(every_s=600.0), 600, id="every"),
        pytest.param(Timing(at=("02:00",)), 86_400, id="once a day"),
        pytest.param(Timing(at=("02:00", "14:30")), 11.5 * 3600, id="the shorter gap is over midnight"),
        pytest.param(Timing(at=("02:00", "03:00", "22:00")), 3600, id="the shorter gap is by day"),
        pytest.param(Timing(at=("02:00", "02:00")), 86_400, id="the same time twice"),
    ],
)
def test_the_interval_of_a_poll_is_its_shortest_gap(timing: Timing, seconds: float) -> None:
    assert check_polls.interval_s(timing) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(30.0, "30s"), (90.0, "90s"), (600.0, "10m"), (3600.0, "1h"), (5400.0, "90m"), (86_400.0, "1d")],
)
def test_seconds_are_written_as_config_has_them(seconds: float, text: str) -> None:
    assert check_polls.span(seconds) == text


def test_the_tightest_rate_less_the_share_of_staff_is_what_polls_may_use() -> None:
    assert check_polls.share(HOURLY, 0.2) == 1600
    assert check_polls.share((Rate(5000, 86_400.0), *HOURLY), 0.0) == pytest.approx(208.33, abs=0.01)


@pytest.mark.parametrize(
    ("costs", "verdict", "words"),
    [
        pytest.param([cost(200)], "ok", "1,200 of the 1,600", id="fits"),
        pytest.param([cost(250)], "warning", "one more course", id="nearly full"),
        pytest.param([cost(300)], "red", "1,800 of the 1,600 calls an hour", id="too much"),
        pytest.param([cost(250), cost(250)], "red", "3,000", id="two polls add up"),
    ],
)
def test_what_polls_cost_is_held_against_the_budget(costs: Any, verdict: str, words: str) -> None:
    row = check_polls.budget_row(costs, tenant())
    assert row.verdict == verdict and words in row.found


@pytest.mark.parametrize(
    ("costs", "todo"),
    [
        pytest.param([cost(300)], "Write `progress: {every: 20m}`", id="a longer interval"),
        pytest.param([cost(100_000)], "Not even once a day", id="none is long enough"),
        pytest.param(
            [cost(200), cost(1000, audit=True, timing=Timing(every_s=3600.0))],
            "Write `progress: {every: 2h}`",
            id="audits stay as they are",
        ),
    ],
)
def test_where_polls_do_not_fit_it_says_what_to_write(costs: Any, todo: str) -> None:
    assert todo in check_polls.budget_row(costs, tenant()).todo


def test_the_suggested_interval_fits() -> None:
    fits = check_polls.fitting_s([cost(300)], 1600)
    assert fits is not None
    again = cost(300, timing=Timing(every_s=fits))
    assert check_polls.budget_row([again], tenant()).verdict == "ok"


def test_without_a_limit_the_calls_are_told_all_the_same() -> None:
    assert "about 1,800 calls" in check_polls.budget_row([cost(300)], tenant(None)).found


@pytest.mark.parametrize(
    ("made", "words"),
    [
        pytest.param(cost(3), "Every 10m: one call for each of 3 courses, 18 an hour", id="courses"),
        pytest.param(cost(1), "one call for 1 course, 6 an hour", id="one course"),
        pytest.param(cost(0), "nobody is enrolled yet", id="nobody"),
        pytest.param(
            cost(12, kind="per-enrolment", timing=Timing(at=("02:00", "14:00"))),
            "At 02:00 and 14:00 in Australia/Perth: one call for each of 12 active enrolments, 1 an hour",
            id="enrolments",
        ),
        pytest.param(
            cost(1, kind="delta", paged=True), "at least one call for what has changed, 6", id="delta"
        ),
        pytest.param(
            cost(4, kind="chunks"), "for each 25 active enrolments, 4 in all, 24 an hour", id="chunks"
        ),
        pytest.param(cost(1, timing=Timing(every_s=36_000.0)), "0.1 an hour", id="seldom"),
    ],
)
def test_a_poll_says_when_it_runs_and_what_it_asks(made: Any, words: str) -> None:
    assert words in check_polls._row(made, None, NOW).found


def test_two_calls_for_each_enrolment_are_counted() -> None:
    made = check_polls.Cost(plan=plan("per-enrolment"), subjects=5, calls=10, interval_s=600.0)
    assert "2 calls for each of 5 active enrolments, 60 an hour" in check_polls._row(made, None, NOW).found


def turn(**changes: Any) -> Turn:
    usual: dict[str, Any] = {
        "tenant": "acme",
        "name": "poll",
        "next_due": NOW + 60,
        "owner": None,
        "lease_until": None,
        "started_at": NOW - 500,
        "cursor": None,
        "last_ok_at": NOW - 500,
        "failures": 0,
        "last_error": None,
    }
    return Turn(**{**usual, **changes})


@pytest.mark.parametrize(
    ("kept", "verdict", "words"),
    [
        pytest.param(None, "ok", "begins when a gateway serves", id="never served"),
        pytest.param(turn(), "ok", "The last whole one is of 2026-", id="well"),
        pytest.param(turn(last_ok_at=None), "ok", "No whole one yet", id="begun"),
        pytest.param(
            turn(failures=3, last_error="vendor_timeout"),
            "warning",
            "fails: vendor_timeout; the last",
            id="failing",
        ),
        pytest.param(
            turn(failures=1, last_ok_at=None, last_error="vendor_login"),
            "warning",
            "vendor_login.",
            id="failing from the start",
        ),
        pytest.param(turn(next_due=NOW - 5000), "warning", "nobody has run it", id="no gateway"),
        pytest.param(turn(last_ok_at=NOW - 9000), "warning", "The last whole one", id="parts of it fail"),
    ],
)
def test_a_poll_says_how_it_went(kept: Turn | None, verdict: str, words: str) -> None:
    row = check_polls._row(cost(3), kept, NOW)
    assert row.verdict == verdict and words in row.found
    assert bool(row.todo) == (verdict == "warning")


# -- where it goes, and webhooks


def config(**rtopilot: Any) -> TenantConfig:
    usual = {"base_url": None, "production": False, "hooks": None}
    made: Any = SimpleNamespace(name="acme", secrets={}, rtopilot=SimpleNamespace(**{**usual, **rtopilot}))
    config_: TenantConfig = made
    return config_


@pytest.mark.parametrize(
    ("base_url", "verdict", "words"),
    [
        pytest.param(None, "warning", "It does not", id="nowhere"),
        pytest.param("http://127.0.0.1:9/api", "ok", "A rehearsal", id="rehearsal"),
        pytest.param("https://v2.rtopilot.com.au/api", "ok", "Production", id="production"),
        pytest.param(
            "https://v2.rtopilot.com.au", "warning", "Production, at", id="production without its path"
        ),
    ],
)
def test_whether_it_is_pushed_and_meant(base_url: str | None, verdict: str, words: str) -> None:
    row = check_progress.way(config(base_url=base_url))
    assert row.verdict == verdict and words in row.found


@pytest.mark.parametrize(
    ("kind", "names", "given", "verdict", "words"),
    [
        pytest.param("hmac", ("hook", "hookOld"), ("hook",), "ok", "by hmac, with hook.", id="one secret"),
        pytest.param("hmac", ("hook", "hookOld"), (), "red", "`hook` and `hookOld`", id="no secret"),
        pytest.param("jwt", (), (), "ok", "by jwt.", id="public keys"),
        pytest.param("none-quarantine", (), (), "warning", "kept aside", id="no proof"),
    ],
)
def test_whether_the_lms_webhook_can_be_verified(
    kind: str, names: tuple[str, ...], given: tuple[str, ...], verdict: str, words: str
) -> None:
    webhook: Any = SimpleNamespace(verify=SimpleNamespace(kind=kind, secrets=names))
    row = check_progress.lms_webhook(webhook, having(given))
    assert row.verdict == verdict and words in row.found


@pytest.mark.parametrize(
    ("given", "more", "found"),
    [
        pytest.param((), False, {"The LMS's webhook": "red"}, id="one, without its secret"),
        pytest.param(("first",), False, {"The LMS's webhook": "ok"}, id="one"),
        pytest.param(
            ("first",), True, {"webhook": "ok", "webhook-2": "warning", "webhook-3": "warning"}, id="one of several"
        ),
        pytest.param((), True, {"webhook": "red", "webhook-2": "red", "webhook-3": "warning"}, id="none of several"),
    ],
)  # fmt: skip
def test_of_several_lms_webhooks_each_that_is_on_is_looked_at(
    given: tuple[str, ...], more: bool, found: dict[str, str]
) -> None:
    def webhook(name: str, when: str | None, **how: Any) -> Webhook:
        condition = None if when is None else compile_expression(when)
        return Webhook(name=name, place="progress.webhook", line=1, verify=Verify(**how), when=condition)

    webhooks = (
        webhook("webhook", None, kind="bearer", secrets=("first",)),
        webhook("webhook-2", "settings.more", kind="hmac", secrets=("second",)),
        webhook("webhook-3", "settings.more", kind="none-quarantine"),
    )
    joined: Any = SimpleNamespace(
        mapping=SimpleNamespace(progress=ProgressSpec(webhooks=webhooks)),
        frame=lambda _: SimpleNamespace(root={"settings": {"more": more}}),
    )
    rows = check_progress.lms_webhooks(joined, having(given))
    assert {row.what.removeprefix("The LMS's webhook, ").strip("`"): row.verdict for row in rows} == found


@pytest.mark.parametrize(
    ("rules", "verdict", "words"),
    [
        pytest.param({"allow_unsigned": True}, "warning", "Whoever knows", id="unsigned"),
        pytest.param({}, "warning", "not written", id="no scheme"),
        pytest.param({"scheme": SimpleNamespace(header="x-sig")}, "warning", "No event", id="no secret"),
        pytest.param(
            {"scheme": SimpleNamespace(header="x-sig"), "secrets": {"student.merged": ()}},
            "ok",
            "student.merged; signed in x-sig",
            id="all there",
        ),
    ],
)
def test_whether_rtopilots_webhooks_are_believed(rules: dict[str, Any], verdict: str, words: str) -> None:
    made = SimpleNamespace(**{"allow_unsigned": False, "scheme": None, "secrets": {}, **rules})
    row = check_progress.rtopilot_webhooks(config(hooks=SimpleNamespace(rules=made)))
    assert row.verdict == verdict and words in row.found


PAUSE = Pause(tenant="acme", key_hash="h", reason="RTOPilot answered 401.", at=NOW)
DEAD = DeadCause(tenant="acme", cause="refused", status=422, n=2, example="RTOPilot answered 422: no.")


@pytest.mark.parametrize(
    ("counts", "oldest", "causes", "pause", "verdict", "words"),
    [
        pytest.param(
            {"done": 1200}, None, (), None, "ok", "0 wait, 1,200 delivered so far.", id="nothing waits"
        ),
        pytest.param({"pending": 1}, NOW - 60, (), None, "ok", "1 waits, 0 delivered", id="one waits"),
        pytest.param(
            {"pending": 3}, NOW - 7200, (), None, "warning", "3 wait, the oldest since", id="for long"
        ),
        pytest.param(
            {"dead": 2}, None, (DEAD,), None, "warning", "2 dead, such as: RTOPilot answered 422", id="dead"
        ),
        pytest.param({"dead": 2}, None, (), None, "warning", "2 dead.", id="dead without a word"),
        pytest.param(
            {"pending": 3}, NOW, (), PAUSE, "red", "paused, and 3 wait: RTOPilot answered 401.", id="paused"
        ),
    ],
)
def test_what_waits_for_rtopilot(
    counts: Any, oldest: float | None, causes: Any, pause: Pause | None, verdict: str, words: str
) -> None:
    line = TenantLine(tenant="acme", counts=counts, oldest=oldest, pause=None)
    row = check_progress.queue_row(Overview(tenants=(line,), causes=causes, items=()), pause, NOW)
    assert row.verdict == verdict and words in row.found
    assert bool(row.todo) == (verdict != "ok")


# -- RTOPilot itself


async def tried(switches: ProgressSwitches, *, fault: Fault | None = None, key: str | None = None) -> Any:
    server = ProgressServer(switches=switches)
    office = Organisation(name="college")
    real = server.admit(office, new_key())
    app = progress_stand_in(server)
    if fault is not None:
        app.faults.arm(fault)
    with running(app) as url:
        target = open_target(f"{url}/api", KeySource(Secret(key or real)), production=False)
        try:
            rows = await check_push.push_rows(target, trial=True, now=NOW)
        finally:
            await target.pool.aclose()
    assert (real not in str(rows)) and (key is None or key not in str(rows))
    assert rows[0].verdict == "ok"
    return rows[1], [entry for entry in server.journal.entries if entry.method == "PUT"]


@pytest.mark.parametrize(
    ("switches", "fault", "key", "verdict", "words"),
    [
        pytest.param(ProgressSwitches(), None, None, "ok", "only says 404", id="404"),
        pytest.param(ProgressSwitches(unknown_id=200), None, None, "ok", "Yes: 200", id="2xx"),
        pytest.param(ProgressSwitches(), None, new_key(), "red", "No: RTOPilot answered 401", id="401"),
        pytest.param(
            ProgressSwitches(), Fault(kind="error", status=422, count=None), None, "warning", "422", id="422"
        ),
        pytest.param(
            ProgressSwitches(), Fault(kind="error", status=503, count=None), None, "warning", "503", id="503"
        ),
        pytest.param(
            ProgressSwitches(), Fault(kind="error", status=302, count=None), None, "warning", "302", id="302"
        ),
    ],
)
async def test_the_api_key_is_tried_for_nobody(
    switches: ProgressSwitches, fault: Fault | None, key: str | None, verdict: str, words: str
) -> None:
    row, puts = await tried(switches, fault=fault, key=key)
    assert row.verdict == verdict and words in row.found
    assert len(puts) == 1
    assert puts[0].body == b'{"lmsEnrolmentId":"gateway-check","progress":0}'


async def test_without_a_trial_nothing_is_sent() -> None:
    server = ProgressServer()
    with running(progress_stand_in(server)) as url:
        target = open_target(f"{url}/api", KeySource(Secret(new_key())), production=False)
        rows = await check_push.push_rows(target, trial=False, now=NOW)
        await target.pool.aclose()
    assert [row.verdict for row in rows] == ["ok"]
    assert list(server.journal.entries) == []


async def test_a_closed_port_and_an_unknown_host_cannot_be_reached() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/api"
    assert "no connection" in str(await check_push.unreachable(closed))
    assert "no address" in str(await check_push.unreachable("https://no-such-host.invalid/api"))
    target = open_target(closed, KeySource(Secret(new_key())), production=False)
    rows = await check_push.push_rows(target, trial=True, now=NOW)
    await target.pool.aclose()
    assert [row.verdict for row in rows] == ["red"]


async def test_a_server_without_tls_cannot_be_reached_by_https() -> None:
    with running(progress_stand_in(ProgressServer())) as url:
        assert "no connection" in str(await check_push.unreachable(url.replace("http:", "https:")))
