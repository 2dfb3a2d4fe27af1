"""The parts of `check` that real deployments of the tests cannot show."""

import time
from dataclasses import dataclass
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.engine.calls import Call, Reply, Verdict
from gateway.errors import ExpressionError, GatewayError, VendorFault, VendorTimeout, VendorUnavailable
from gateway.operator import check_rtopilot, check_settings, check_vendor, check_write
from gateway.operator.check import Row, good, ok, red, skipped
from gateway.operator.check_rtopilot import Outcome
from gateway.vendor.trace import Exchange


@dataclass(frozen=True)
class Config:
    base: str = "https://lms.example.com/api"
    hosts: frozenset[str] = frozenset({"lms.example.com"})
    public_only_hosts: frozenset[str] = frozenset({"lms.example.com"})


def tenant(settings: dict[str, Any], values: Any, *, launch: Any = None) -> Any:
    def frame(*_: Any, **__: Any) -> Any:
        if isinstance(values, Exception):
            raise values
        return SimpleNamespace(root={"settings": values})

    return SimpleNamespace(mapping=SimpleNamespace(settings=settings, launch=launch), frame=frame)


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        pytest.param(tenant({}, {}), "skipped", id="a mapping without addresses"),
        pytest.param(
            tenant({"email": 1}, ExpressionError("no")), "red", id="settings that cannot be filled in"
        ),
        pytest.param(tenant({"email": 1}, {"email": "a@b.example"}), "ok", id="a real address"),
        pytest.param(tenant({"email": 1}, {"email": "a@b.invalid"}), "red", id="nothing"),
        pytest.param(tenant({"email": 1}, {"email": None}), "red", id="no address at all"),
        pytest.param(tenant({"email": 1}, {"email": "a@b.invalid"}, launch=1), "ok", id="launch link"),
        pytest.param(
            tenant({"email": 1}, {"email": "a@b.invalid", "firstPassword": "x"}), "ok", id="first password"
        ),
    ],
)
def test_whether_learners_can_sign_in(made: Any, verdict: str) -> None:
    assert check_settings.sign_in(made).verdict == verdict


def test_who_signs_in_elsewhere_needs_no_address_and_no_password() -> None:
    nothing = tenant({"email": 1}, {"email": "a@b.invalid"})
    assert check_settings.sign_in(nothing, elsewhere=True).verdict == "ok"
    assert "`sign_in: elsewhere`" in check_settings.sign_in(nothing).todo


@pytest.mark.parametrize(
    ("courses", "asked", "verdict"),
    [(3, True, "ok"), (3, False, "skipped"), (0, True, "warning"), (0, False, "warning")],
)
def test_credentials_are_taken_only_where_the_vendor_was_asked(
    courses: int, asked: bool, verdict: str
) -> None:
    assert check_vendor._answers(courses, asked=asked).verdict == verdict


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("https://gw.example.net", "ok"),
        ("http://gw.example.net", "red"),
        ("http://127.0.0.1:8080", "warning"),
        ("https://localhost", "warning"),
    ],
)
def test_whether_rtopilot_can_reach_us(url: str, verdict: str) -> None:
    assert check_settings._reachable(url).verdict == verdict


@pytest.mark.parametrize(
    ("host", "found", "verdict"),
    [
        pytest.param("lms.example.com", ["93.184.216.34"], "ok", id="public"),
        pytest.param("lms.example.com", ["10.0.0.7"], "red", id="private"),
        pytest.param("lms.example.com", [], "red", id="own host, no address"),
        pytest.param("other.example.com", [], "warning", id="another host, no address"),
    ],
)
async def test_whether_a_host_may_be_called(host: str, found: list[str], verdict: str) -> None:
    async def resolve(_: str) -> list[str]:
        return found

    row = await check_settings._host(Config(), host, resolve)  # type: ignore[arg-type]
    assert row.verdict == verdict


async def test_names_are_resolved_and_unknown_ones_have_no_address() -> None:
    assert "127.0.0.1" in await check_settings.resolved("127.0.0.1")
    assert await check_settings.resolved("no-such-host.invalid") == []


@pytest.mark.parametrize(
    ("error", "words"),
    [(VendorUnavailable(), "Wait"), (VendorTimeout(), "address"), (VendorFault(detail="x"), "secrets")],
    ids=["503", "504", "502"],
)
def test_what_to_do_about_a_vendor_that_fails(error: GatewayError, words: str) -> None:
    assert words in check_vendor._todo(error)
    assert error.code in check_vendor._told(error)


def exchange(headers: dict[str, str]) -> Exchange:
    call = Call(
        step="x", method="GET", base="", target="/", effect="read", judge=lambda _: Verdict(outcome="ok")
    )
    reply = Reply(status=200, headers=headers, left_at=time.time())
    return Exchange(call=call, reply=reply, tries=1, elapsed_s=0.0, sensitive={})


@pytest.mark.parametrize(
    ("ahead_s", "verdict"),
    [
        pytest.param(-3600, "red", id="an hour behind"),
        pytest.param(100, "warning", id="minutes ahead"),
        pytest.param(4, "ok", id="seconds"),
    ],
)
def test_the_vendors_clock(ahead_s: int, verdict: str) -> None:
    date = formatdate(time.time() + ahead_s, usegmt=True)
    assert check_vendor._clock([exchange({"date": date})]).verdict == verdict


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}], ids=["none", "no date"])
def test_without_a_date_header_the_clock_is_not_judged(headers: dict[str, str]) -> None:
    assert check_vendor._clock([exchange(headers)]).verdict == "skipped"


class Catalogue:
    def __init__(self, dropped: tuple[str, ...] | None) -> None:
        self._dropped = dropped

    async def get(self, sent: str | None, life_s: float, read: Any) -> Any:
        return await read() if self._dropped is None else SimpleNamespace(dropped=self._dropped)


@pytest.mark.parametrize(
    ("dropped", "count"),
    [(None, 0), ((), 0), (("a course without a name",), 1)],
    ids=["not kept", "none", "one"],
)
async def test_courses_that_are_left_out_are_told(dropped: tuple[str, ...] | None, count: int) -> None:
    rows = await check_vendor._dropped(SimpleNamespace(catalogue=Catalogue(dropped)))  # type: ignore[arg-type]
    assert len(rows) == count


def test_a_slow_answer_is_a_warning() -> None:
    slow = Outcome(answer=None, ms=6000.0)
    assert check_rtopilot._took("Slot", "1 course", slow).verdict == "warning"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": "text"}'])
def test_an_error_in_another_shape_has_no_message(body: bytes) -> None:
    assert check_rtopilot._public_message(body) is None


@pytest.mark.parametrize(
    ("status", "words"), [(504, "may have been made"), (None, "may have been"), (422, "Nothing")]
)
def test_a_test_enrolment_that_failed_says_whether_something_may_be_there(
    status: int | None, words: str
) -> None:
    assert words in check_write._unsure("test-1", Outcome(answer=None, ms=1.0, status=status))


def test_only_red_is_bad() -> None:
    rows: list[Row] = [ok("a", "b"), skipped("c", "d")]
    assert good(rows) and not good([*rows, red("e", "f", "g")])
