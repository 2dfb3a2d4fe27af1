"""What each answer of RTOPilot means, and one push over a real socket."""

import json
from datetime import UTC, datetime
from random import Random

import pytest

from gateway.progress.pacing import GIVE_UP_S, NOT_FOUND_S, Pace, Rules, next_wait_s
from gateway.progress.push import (
    SAMPLE_CHARS,
    Target,
    Verdict,
    open_target,
    scrubbed,
    send,
    verdict,
)
from gateway.progress.rtopilot_key import KeySource, fingerprint
from gateway.sandbox.faults import Fault
from gateway.sandbox.rtopilot_office import Organisation
from gateway.sandbox.rtopilot_progress import ProgressServer, ProgressSwitches, progress_stand_in
from gateway.sandbox.serve import running
from gateway.secret import Secret, SecretUnreadable

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp()
KEY = Secret("rtop_" + "a1" * 32)


TABLE = [
    *((status, "accepted") for status in (200, 201, 202, 204, 207, 299)),
    *((status, "pause") for status in (401, 403)),
    (404, "not_found"),
    *((status, "retry") for status in (None, 408, 409, 425, 429, 500, 502, 503, 504, 599)),
    *((status, "refused") for status in (400, 402, 405, 410, 413, 415, 418, 422, 451)),
    *((status, "config") for status in (100, 300, 301, 302, 304, 307, 308)),
]


@pytest.mark.parametrize(("status", "kind"), TABLE, ids=str)
def test_each_status_means_what_the_table_says(status, kind):
    assert verdict(status, {}, NOW).kind == kind


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("7", 7),
        ("0", None),
        ("99999", 3600),
        ("soon", None),
        ("-5", None),
        ("Sat, 21 Nov 2026 12:02:00 GMT", 120),
        ("Sat, 21 Nov 2026 11:00:00 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 500])
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(text, wait_s, status):
    assert verdict(status, {"retry_after": text}, NOW).wait_s == wait_s


@pytest.mark.parametrize(
    ("status", "fault"),
    [(None, True), (500, True), (503, True), (408, True), (302, True), (429, False), (409, False), (404, False), (400, False), (401, False), (200, False)],
    ids=str,
)  # fmt: skip
def test_only_what_looks_like_being_away_counts_as_a_fault(status, fault):
    assert verdict(status, {}, NOW).is_fault is fault


@pytest.mark.parametrize(
    ("status", "headers", "throttle"),
    [
        (429, {}, True),
        (503, {"retry_after": "9"}, True),
        (503, {}, False),
        (404, {"retry_after": "9"}, False),
    ],
)
def test_being_told_to_wait_holds_for_the_whole_tenant(status, headers, throttle):
    assert verdict(status, headers, NOW).is_throttle is throttle


# -- when to try again --------------------------------------------------------------------------------


def waits(cause, tries, *, failing_s=0.0, told_s=None):
    found = {
        next_wait_s(cause, tries, failing_s=failing_s, told_s=told_s, rules=Rules(), random=Random(seed))
        for seed in range(50)
    }
    return (None, None) if found == {None} else (min(found), max(found))


@pytest.mark.parametrize(
    ("cause", "tries", "base"),
    [
        *(
            ("transient", at, base)
            for at, base in enumerate((5, 300, 1800, 7200, 18_000, 36_000, 36_000, 36_000))
        ),
        ("transient", 40, 36_000),
        *(("not_found", at, base) for at, base in enumerate((60, 120, 240, 480, 900, 1800))),
        *(("config", at, base) for at, base in enumerate((60, 300, 900, 3600, 3600))),
    ],
)
def test_waits_follow_the_schedule_with_jitter(cause, tries, base):
    low, high = waits(cause, tries)
    assert base * 0.8 <= low < high <= base * 1.2


def test_an_unknown_id_is_asked_for_an_hour_and_then_no_more():
    assert sum(NOT_FOUND_S) == 3600
    assert waits("not_found", len(NOT_FOUND_S)) == (None, None)


def test_an_absence_is_waited_out_for_a_fortnight():
    assert waits("transient", 30, failing_s=GIVE_UP_S - 1)[0] is not None
    assert waits("transient", 30, failing_s=GIVE_UP_S) == (None, None)
    assert waits("config", 3000, failing_s=GIVE_UP_S * 2)[0] is not None
    assert waits("refused", 0) == (None, None)


def test_a_time_that_was_told_is_never_undercut():
    low, high = waits("transient", 5, told_s=100.0)
    assert 100 <= low < high <= 120


def test_the_pace_allows_so_many_in_any_second():
    pace, at, left = Pace(5), 100.0, []
    for _ in range(40):
        while (wait := pace.wait_s(at)) > 0:
            at += wait
        pace.took(at)
        left.append(at)
        at += 0.05
    assert all(later - earlier >= 1.0 for earlier, later in zip(left, left[5:], strict=False))
    assert left[-1] - left[0] < 8.5
    assert pace.clear_at() == left[-1] + 1


def test_a_lease_shorter_than_a_request_is_refused():
    with pytest.raises(ValueError, match="lease_s"):
        Rules(lease_s=10, timeout_s=10)


# -- one push -----------------------------------------------------------------------------------------


@pytest.fixture
def rtopilot():
    server = ProgressServer(switches=ProgressSwitches(strict=True))
    server.admit(Organisation(name="college"), KEY.reveal())
    server.hold("college", "enr_1")
    app = progress_stand_in(server)
    with running(app) as url:
        yield server, app, url


async def tried(url, id="enr_1", value=40, *, base=None, timeout_s=5.0):
    target = open_target(base or f"{url}/api", KeySource(KEY), production=False)
    async with target.pool:
        return await send(target, KEY, id, value, timeout_s=timeout_s, now=NOW)


async def test_a_push_is_one_object_with_the_key_as_bearer(rtopilot):
    server, _, url = rtopilot
    assert (await tried(url)).verdict == Verdict(kind="accepted", status=200)
    (entry,) = server.journal.entries
    headers = dict(entry.headers)
    assert (entry.method, entry.raw_path) == ("PUT", "/api/enrolments/lms-progress")
    assert json.loads(entry.body) == {"lmsEnrolmentId": "enr_1", "progress": 40}
    assert headers["authorization"] == f"Bearer {KEY.reveal()}"
    assert headers["content-type"] == "application/json"


FAULTS = {
    "empty 204": (Fault(kind="answer", status=204), "accepted", 204),
    "html 200": (Fault(kind="html", applied=True), "accepted", 200),
    "null": (Fault(kind="null"), "accepted", 200),
    "refused": (Fault(kind="error", status=422), "refused", 422),
    "gone": (Fault(kind="error", status=404), "not_found", 404),
    "key": (Fault(kind="error", status=403), "pause", 403),
    "throttled": (Fault(kind="too_many", retry_after=3), "retry", 429),
    "away": (Fault(kind="error", status=503), "retry", 503),
    "lost": (Fault(kind="lost_answer"), "retry", None),
    "reset": (Fault(kind="lost_request", reset=True), "retry", None),
    "cut": (Fault(kind="truncated"), "retry", None),
    "huge": (Fault(kind="answer", status=200, body="x" * 300_000), "retry", None),
    "moved": (Fault(kind="answer", status=302, headers=[("location", "http://127.0.0.1:1/")]), "config", 302),
}


@pytest.mark.parametrize(("fault", "kind", "status"), FAULTS.values(), ids=FAULTS)
async def test_each_mishap_has_its_verdict(rtopilot, fault, kind, status):
    server, app, url = rtopilot
    app.faults.arm(fault)
    found = await tried(url)
    assert (found.verdict.kind, found.verdict.status) == (kind, status)
    assert len(server.journal.entries) == 1, "sent once, and no redirect is followed"
    assert bool(found.reason) is (kind != "accepted")


async def test_a_hanging_rtopilot_is_cut_off(rtopilot):
    _, app, url = rtopilot
    app.faults.arm(Fault(kind="slow_answer", seconds=30))
    found = await tried(url, timeout_s=0.3)
    assert found.verdict == Verdict(kind="retry", status=None)
    app.disarm()


async def test_nobody_listening_is_tried_again():
    assert (await tried("http://127.0.0.1:9")).verdict == Verdict(kind="retry", status=None)


async def test_an_address_that_may_not_be_called_is_a_matter_of_configuration():
    found = await tried("", base="http://rtopilot.example.com/api")
    assert found.verdict.kind == "config" and "https" in found.reason


async def test_a_refusal_keeps_rtopilots_reason_without_the_key_or_the_id(rtopilot):
    _, app, url = rtopilot
    said = {"message": f"enr_1 of ana@example.org is not known to {KEY.reveal()}"}
    app.faults.arm(Fault(kind="answer", status=400, body=json.dumps(said)))
    found = await tried(url)
    assert "is not known to" in found.reason
    assert all(hidden not in found.reason for hidden in ("enr_1", "ana@", KEY.reveal()))


# -- where it may go ----------------------------------------------------------------------------------

PRODUCTION = "https://v2.rtopilot.com.au/api"


@pytest.mark.parametrize(
    "url", [PRODUCTION, "https://V2.RTOPilot.com.au:443/api", "https://v2.rtopilot.com.au./api"]
)
async def test_production_is_refused_unless_it_is_meant(url):
    with pytest.raises(ValueError, match="production"):
        open_target(url, KeySource(KEY), production=False)


async def test_production_that_is_meant_and_other_hosts_are_targets():
    for url, production in ((PRODUCTION, True), ("https://staging.rtopilot.example/api", False)):
        target = open_target(url, KeySource(KEY), production=production)
        assert isinstance(target, Target) and KEY.reveal() not in repr(target)
        await target.pool.aclose()


# -- what is kept of answers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'{"updated": 1}', '{"updated": 1}'),
        (b'{"id": "enr_9"}', '{"id": "\xe2\x80\xb9id\xe2\x80\xba"}'.encode("latin-1").decode()),
        (b'{"firstName": "Ana", "ok": true}', '{"firstName": "‹hidden›", "ok": true}'),
        (b"write to ana.silva@example.org now", "write to ‹email› now"),
        (b"other key rtop_deadbeef", "other key ‹key›"),
        (b"a\x00b\xff", "a b\ufffd"),
        (b"", ""),
    ],
)
def test_kept_answers_are_scrubbed(raw, kept):
    assert scrubbed(raw, key=KEY, id="enr_9") == kept


def test_a_key_across_the_cut_is_hidden_too():
    raw = b"x" * (SAMPLE_CHARS - 20) + KEY.reveal().encode() + b"y" * 500
    kept = scrubbed(raw, key=KEY, id="enr_9")
    assert len(kept) <= SAMPLE_CHARS and "rtop_" not in kept


# -- the key ------------------------------------------------------------------------------------------


class Ticks:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_key_file_is_read_again_when_it_changes(tmp_path):
    file, ticks = tmp_path / "key", Ticks()
    file.write_text("rtop_one\n")
    source = KeySource(file, clock=ticks)
    before = source.fingerprint
    file.write_text("rtop_second\n")
    assert source.current().reveal() == "rtop_one", "looked at once a second at most"
    ticks.now = 1.0
    assert source.current().reveal() == "rtop_second"
    assert source.fingerprint == fingerprint(Secret("rtop_second")) != before


@pytest.mark.parametrize(
    "content", [None, "", "half", "rtop_two words"], ids=["gone", "empty", "half", "words"]
)
def test_a_key_file_that_is_no_good_leaves_the_last_good_key(tmp_path, content, caplog):
    file, ticks = tmp_path / "key", Ticks()
    file.write_text("rtop_one")
    source = KeySource(file, clock=ticks)
    file.unlink()
    if content is not None:
        file.write_text(content)
    ticks.now = 5.0
    assert source.current().reveal() == "rtop_one"
    assert "rtop_" not in caplog.text.replace("begins with `rtop_`", "")
    file.unlink(missing_ok=True)
    file.write_text("rtop_three")
    ticks.now = 10.0
    assert source.current().reveal() == "rtop_three"


def test_without_a_good_key_there_is_no_source(tmp_path):
    with pytest.raises(SecretUnreadable):
        KeySource(tmp_path / "missing")


def test_a_fixed_key_stays_and_its_fingerprint_gives_nothing_away():
    source = KeySource(KEY)
    assert source.current() == KEY
    assert len(source.fingerprint) == 64 and source.fingerprint not in KEY.reveal()
