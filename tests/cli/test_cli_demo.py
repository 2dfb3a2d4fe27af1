"""`lms-gateway demo` as a newcomer runs it."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import ids
from gateway.sandbox import demo as demo_module
from gateway.sandbox import demo_day
from gateway.sandbox.demo import expected_steps, play
from gateway.sandbox.demo_day import Day, Happened, VendorCall
from gateway.sandbox.demo_processes import Child, ChildDied, Children
from gateway.sandbox.demo_show import Show
from gateway.sandbox.demo_vendors import FIRST, VENDORS
from gateway.sandbox.faults import Fault
from gateway.sandbox.rtopilot_office import Organisation
from gateway.sandbox.talentlms_state import Portal

WAIT_S = 120.0
START = datetime(2026, 3, 4, tzinfo=UTC)


def demo(folder: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "demo", *options],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: "subprocess.Popen[str]") -> tuple[int, str]:
    out, _ = process.communicate(timeout=WAIT_S)
    return process.returncode, out


def test_two_demos_at_once_both_go_as_expected_and_leave_nothing(tmp_path: Path) -> None:
    both = [demo(tmp_path, "--once"), demo(tmp_path, "--once")]
    for code, out in map(finished, both):
        assert code == 0, out
        assert f"All {sum(expected_steps(VENDORS[name]) for name in FIRST)} steps went as expected." in out
        for part in (
            "POST /api/v1/usersignup -> 200",
            "GroupEnrolment -> 200",
            "progress 60",
            "RTOPilot stores",
        ):
            assert part in out
        assert max(map(len, out.splitlines())) <= 100
        assert not re.search(r"k3y-of-the-sandbox|not-a-real-secret|[Bb]earer", out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(set(VENDORS) - set(FIRST)))
def test_a_day_with_each_of_the_other_vendors_goes_as_expected(tmp_path: Path, name: str) -> None:
    code, out = finished(demo(tmp_path, "--once", "--vendor", name))
    assert code == 0, out
    assert f"All {expected_steps(VENDORS[name])} steps went as expected." in out
    assert max(map(len, out.splitlines())) <= 100
    assert not [secret for secret in VENDORS[name].secrets.values() if secret in out]


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_stays_up_until_it_is_told_to_end(tmp_path: Path, name: signal.Signals) -> None:
    process = demo(tmp_path, "--vendor", "talentlms")
    assert process.stdout is not None
    lines: list[str] = []
    while "what happened" not in (lines[-1] if lines else ""):
        lines.append(process.stdout.readline())
        assert lines[-1], "".join(lines)
    children = _children(process.pid)
    assert len(children) == 2
    process.send_signal(name)
    code, out = finished(process)
    assert code == 0 and "The demo is over." in out
    assert list(tmp_path.iterdir()) == []
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_whose_exception_is_lost_is_kept(name: signal.Signals) -> None:
    before = signal.getsignal(name)
    with demo_module._interruptible() as interrupt:
        assert not interrupt.asked
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(name)
        assert interrupt.asked
    assert signal.getsignal(name) is before


def test_a_demo_whose_gateway_dies_says_so_and_cleans_up(tmp_path: Path) -> None:
    process = demo(tmp_path, "--vendor", "talentlms")
    assert process.stdout is not None
    for line in process.stdout:
        if "what happened" in line:
            break
    gateway = next(child for child in _children(process.pid) if "serve" in _command(child))
    os.kill(gateway, signal.SIGKILL)
    code, out = finished(process)
    assert code == 1 and "the gateway ended with exit code -9. Its last output:" in out
    assert list(tmp_path.iterdir()) == []


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def test_a_child_that_ends_at_once_gives_its_last_words(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.start("the broken one", "gateway.sandbox.no_such_module")
        with pytest.raises(ChildDied, match="ended with exit code 1") as died:
            child.url()
        assert "No module named" in str(died.value)
        with pytest.raises(ChildDied):
            children.check()


def test_a_child_that_stays_silent_is_given_up(tmp_path: Path) -> None:
    child = Child("the silent one", ["http.server", "--help"], folder=tmp_path)
    with pytest.raises(ChildDied):
        child.url("nothing", within_s=0.01 if child.ended else 5.0)
    child.stop()


def test_a_child_that_does_not_start_in_time_is_told_from_one_that_ended(tmp_path: Path) -> None:
    child = Child("the slow one", ["asyncio"], folder=tmp_path)
    try:
        with pytest.raises(ChildDied, match=r"did not start in time|ended"):
            child.url("nothing", within_s=0.0)
    finally:
        child.stop()


def happened(**changed: Any) -> Happened:
    usual: dict[str, Any] = {
        "vendor": "X",
        "title": "Enrol",
        "asked": "POST /x",
        "calls": (),
        "answer": "fine",
        "ms": 3.0,
    }
    return Happened(**usual | changed)


def test_a_step_is_shown_with_its_calls_and_what_was_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    lost = VendorCall(method="GET", what="/" + "long" * 50, status=None)
    Show().step(3, happened(calls=(lost,), wrong="another id"))
    Show().step(4, happened())
    out = capsys.readouterr().out
    assert "no answer" in out and "WRONG     another id" in out and "no call" in out
    assert max(map(len, out.splitlines())) <= 100


def test_a_day_that_did_not_go_as_expected_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    Show().summary([happened(), happened(wrong="another id")])
    out = capsys.readouterr().out
    assert "1 of 2 steps did not go as expected." in out and "NO: another id" in out


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"error": {"message": "Gone."}}', "Gone."),
        (b'{"id": "1"}', '{"id": "1"}'),
        (b"<html>", "<html>"),
    ],
)
def test_an_answer_is_shown_short(body: bytes, shown: str) -> None:
    assert demo_day._body(body) == shown


def test_a_day_is_played_in_this_process_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert play(["talentlms"], once=True) == 0
    out = capsys.readouterr().out
    assert f"All {expected_steps(VENDORS['talentlms'])} steps went as expected." in out
    assert "issues the certificate" in out


def test_a_gateway_that_does_not_start_is_told_with_its_last_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(VENDORS["learning-assistant"], settings={})
    monkeypatch.setattr(demo_module, "VENDORS", {"broken": broken})
    assert play(["broken"], once=True) == 1
    assert "the gateway ended with exit code 1" in capsys.readouterr().out


def test_a_day_that_goes_wrong_exits_with_1_and_shows_the_gateways_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = replace(VENDORS["talentlms"], course="No Such Course")
    monkeypatch.setattr(demo_module, "VENDORS", {"odd": unknown})
    assert play(["odd"], once=True) == 1
    out = capsys.readouterr().out
    assert "the course No Such Course was not found" in out and "The gateway's last log lines:" in out


@pytest.fixture
def gateway_url(deployment: Any) -> Iterator[str]:
    from gateway.app import create_app
    from gateway.config import load_config
    from gateway.listen import listening

    urls: list[str] = []
    ready, stop = threading.Event(), threading.Event()

    async def run() -> None:
        app = create_app(load_config(deployment.config))
        async with app.router.lifespan_context(app), listening(app, "127.0.0.1", 0) as url:
            urls.append(url)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(WAIT_S)
    yield urls[0]
    stop.set()
    thread.join(WAIT_S)


def day(deployment: Any, gateway_url: str, **changed: Any) -> dict[str, Happened]:
    async def played() -> list[Happened]:
        one = Day(
            replace(VENDORS["talentlms"], name="college"),
            gateway_url,
            deployment.url,
            changed.get("token", "inbound-token-of-these-tests-0123456789"),
            changed.get("college"),
        )
        return [happened async for happened in one.steps()]

    return {each.title: each for each in asyncio.run(played())}


def test_a_day_with_a_wrong_token_ends_at_once(deployment: Any, gateway_url: str) -> None:
    (only,) = day(deployment, gateway_url, token="wrong").values()
    assert only.wrong == "RTOPilot saw an error" and only.answer.startswith("401")


def test_a_day_without_an_enrolment_ends_there(deployment: Any, gateway_url: str) -> None:
    deployment.standin.faults.arm(Fault(kind="error", status=400, path="/usersignup", count=None))
    assert list(day(deployment, gateway_url)) == ["Search the course picker", "Enrol Joana"]


def test_an_old_enrolment_that_is_never_ended_is_noticed(
    deployment: Any, gateway_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_day, "AFTERWARDS_LOOKS", 3)
    deployment.standin.faults.arm(Fault(kind="error", status=400, path="/removeuserfromcourse", count=None))
    found = day(deployment, gateway_url)
    assert found["Transfer it to Mei"].wrong == "the enrolment was not ended at the vendor"
    assert found["Cancel it"].wrong == "RTOPilot saw an error"
    assert found["Read it once more"].wrong == "a cancelled enrolment was still there"


def test_an_answer_other_than_404_for_a_cancelled_one_is_noticed(deployment: Any, gateway_url: str) -> None:
    path = "/getuserstatusincourse"
    deployment.standin.faults.arm(Fault(kind="error", status=400, path="/removeuserfromcourse", count=None))
    deployment.standin.faults.arm(Fault(kind="html", status=404, path=path, count=None))
    found = day(deployment, gateway_url)
    assert found["Read it once more"].wrong == "404 was expected, not 502"


@contextmanager
def told(college: Organisation, portal: Portal, *, hundred: int = 99) -> Iterator[None]:
    """RTOPilot hears at once what the portal shows, as from a gateway; `hundred` stands for 100 not completed."""
    stop = threading.Event()

    def tell() -> None:
        while not stop.wait(0.01):
            for each in list(college.enrolments.values()):
                user, course = map(int, ids.decode(each.lms_enrolment_id or "").parts)
                place = portal.enrolments.get((user, course))
                if place is not None and place.percentage is not None:
                    full = 100 if place.completed else hundred
                    each.progress = full if place.percentage == "100" else int(place.percentage)
                    each.certificate_at = START if each.progress == 100 else None

    thread = threading.Thread(target=tell)
    thread.start()
    yield
    stop.set()
    thread.join(WAIT_S)


def test_a_day_waits_until_rtopilot_has_heard(deployment: Any, gateway_url: str) -> None:
    college = Organisation(name="College")
    with told(college, deployment.standin.vendor.portal):
        found = day(deployment, gateway_url, college=college)
    assert [each.wrong for each in found.values()] == [None] * len(found)
    assert found["Joana learns: 60 %"].answer == "RTOPilot hears 60 %, no certificate"
    assert found["Joana reaches 100 %, not completed"].answer == "RTOPilot hears 99 %, no certificate"
    assert found["The LMS completes her course"].answer == "RTOPilot hears 100 % and issues the certificate"


def test_a_hundred_that_was_told_too_early_is_noticed(
    deployment: Any, gateway_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_day, "AFTERWARDS_LOOKS", 3)
    college = Organisation(name="College")
    with told(college, deployment.standin.vendor.portal, hundred=100):
        found = day(deployment, gateway_url, college=college)
    wrong = found["Joana reaches 100 %, not completed"].wrong
    assert wrong is not None and wrong.startswith("RTOPilot heard ")


def test_progress_that_never_arrives_is_noticed(
    deployment: Any, gateway_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_day, "AFTERWARDS_LOOKS", 3)
    found = day(deployment, gateway_url, college=Organisation(name="College"))
    assert found["Joana learns: 60 %"].wrong == "RTOPilot heard 0 % and not 60 %"


def test_what_stays_up_is_named_until_it_is_interrupted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_module, "time", SimpleNamespace(sleep=interrupt))
    assert play(["learning-assistant"], once=False) == 0
    out = capsys.readouterr().out
    for part in ("/t/learning-assistant/courses", "/health", "/_control/journal", "The demo is over."):
        assert part in out
