"""The 77media stand-in against its fact sheet: launch links and the report (vendors/77media.md 2, 3 and 7)."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from gateway.sandbox import media77
from gateway.sandbox.faults import Fault
from gateway.sandbox.media77 import create_media77
from gateway.sandbox.media77_rows import FIELDS
from gateway.sandbox.media77_seed import ANA, BOOKED, KIM, PORTAL
from gateway.sandbox.media77_switches import (
    PRODUCTION_HOST,
    PRODUCTION_LMS_ID,
    STAGING_HOST,
    STAGING_LMS_ID,
    TOKEN,
    Switches,
)

ROOT = Path(media77.__file__).parents[2]
START = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)
REG = "7d9f2c60-0a41-4c1e-b1a5-2f0e6d3b9a01"
OTHER_REG = "7d9f2c60-0a41-4c1e-b1a5-2f0e6d3b9a02"
MIA = {"reg": REG, "em": "mia.tan@rto.example", "fn": "Mia Tan", "dom": "learn.rto.example"}
ALWAYS = {"startDate": "2020-01-01T00:00:00", "endDate": "2030-01-01T00:00:00", "number": 1000}


@pytest.fixture
def lms():
    return create_media77(start=START)


@pytest.fixture
async def api(lms):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(lms), base_url="http://lms.test") as client:
        yield client


def switch(lms, **changes):
    lms.vendor.switches = replace(lms.vendor.switches, **changes)


def act(lms, action, /, **arguments):
    return lms.vendor.actions[action](**arguments)


def effects(lms):
    return [(effect.kind, effect.what) for effect in lms.journal.effects]


def query(**changes: Any) -> str:
    """The five parameters in the documented order; None leaves one out."""
    values = {**MIA, "lmsId": PRODUCTION_LMS_ID, **changes}
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items() if value is not None)


def link(base: str = f"https://{PRODUCTION_HOST}/c/hygiene/", **changes: Any) -> str:
    return f"{base}#/?{query(**changes)}"


def staging(**changes: Any) -> str:
    return link(f"https://{STAGING_HOST}/c/hygiene-staging/", **{"lmsId": STAGING_LMS_ID, **changes})


def launch(lms, url: str) -> dict[str, Any]:
    return act(lms, "launch", url=url)


def registration(lms, reg=REG) -> dict[str, Any] | None:
    found = [each for each in lms.vendor.state()["registrations"] if each["reg"] == reg]
    return found[0] if found else None


async def ask(api, path="/api/reports/progress", **changes):
    body = {"token": TOKEN, **ALWAYS, **changes}
    return await api.post(path, json={name: value for name, value in body.items() if value is not None})


async def rows(api, **changes) -> list[dict[str, Any]]:
    answer = await ask(api, **changes)
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


async def row(api, reg) -> dict[str, Any]:
    return next(each for each in await rows(api) if each["registration"].lower() == reg)


# launch links that open the course


def test_a_launch_link_makes_the_registration_it_names(lms):
    said = launch(lms, link())
    assert (said["launched"], said["first"], said["violations"]) == (True, True, [])
    assert said["registration"] == registration(lms)
    assert said["registration"] == {
        "reg": REG,
        "course": "hygiene",
        "title": "Food & Hygiene Basics",
        "environment": "production",
        "email": "mia.tan@rto.example",
        "name": "Mia Tan",
        "domain": "learn.rto.example",
        "lms_id": PRODUCTION_LMS_ID,
        "extra": {},
        "member": None,
        "transaction_id": 50416,
        "progress": 0,
        "started": "2026-03-04T01:00:00.000Z",
        "updated": "2026-03-04T01:00:00.000Z",
        "completed": None,
        "launches": 1,
        "ended": False,
    }
    assert effects(lms) == [("launched", f"{REG},hygiene")]


def test_a_second_launch_resumes_and_keeps_the_progress(lms):
    launch(lms, link())
    act(lms, "progress", reg=REG, progress=40)
    said = launch(lms, link(fn="Mia Tan-Lee", reg=REG.upper(), em="Mia.Tan@RTO.example"))
    assert (said["launched"], said["first"]) == (True, False)
    assert (said["registration"]["progress"], said["registration"]["launches"]) == (40, 2)
    assert said["registration"]["name"] == "Mia Tan-Lee"
    assert effects(lms) == [("launched", f"{REG},hygiene"), ("resumed", f"{REG},hygiene")]


PROD, STAG = f"https://{PRODUCTION_HOST}", f"https://{STAGING_HOST}"


@pytest.mark.parametrize(
    ("url", "course"),
    [
        pytest.param(link(), "hygiene", id="production"),
        pytest.param(staging(), "hygiene-staging", id="staging"),
        pytest.param(link(f"{PROD}/c/hygiene"), "hygiene", id="no slash before the #"),
        pytest.param(link(f"{PROD}/c/hygiene/?v=2"), "hygiene", id="a real query before the #"),
        pytest.param(f"{PROD}/c/hygiene/#/?lang=en&{query()}", "hygiene", id="a parameter more"),
        pytest.param(link(ln="Tan"), "hygiene", id="a last name more"),
        pytest.param(
            f"{PROD}/c/hygiene/#/?{'&'.join(reversed(query().split('&')))}", "hygiene", id="order reversed"
        ),
        pytest.param(link(f"{PROD}:443/c/hygiene/"), "hygiene", id="port 443"),
        pytest.param(
            link(f"HTTPS://{PRODUCTION_HOST.upper()}/c/hygiene/"), "hygiene", id="host in upper case"
        ),
        pytest.param(link("http://127.0.0.1:8123/c/hygiene/"), "hygiene", id="loopback"),
        pytest.param(link("https://localhost/c/hygiene/"), "hygiene", id="localhost"),
        pytest.param(link("http://[::1]:8123/c/hygiene/"), "hygiene", id="loopback, IPv6"),
        pytest.param(
            link("http://127.0.0.1:1/c/white-card-staging/", lmsId=STAGING_LMS_ID),
            "white-card-staging",
            id="staging on loopback",
        ),
        pytest.param(link(dom="localhost"), "hygiene", id="domain without a dot"),
    ],
)
def test_a_link_the_rules_allow_opens_its_course(lms, url, course):
    said = launch(lms, url)
    assert (said["launched"], said["violations"]) == (True, [])
    assert said["registration"]["course"] == course


@pytest.mark.parametrize(
    ("written", "name"),
    [
        pytest.param("Mia%20Tan", "Mia Tan", id="space"),
        pytest.param("Mia+Tan", "Mia+Tan", id="a plus is a plus"),
        pytest.param("Mia%2BTan", "Mia+Tan", id="plus encoded"),
        pytest.param("Tan%20%26%20Co", "Tan & Co", id="ampersand"),
        pytest.param("100%25%20Mia", "100% Mia", id="percent"),
        pytest.param("Mia%20%231", "Mia #1", id="number sign"),
        pytest.param("a%3Db", "a=b", id="equals"),
        pytest.param("Mia%20%22M%22%20O%27Neil", 'Mia "M" O\'Neil', id="quotes"),
        pytest.param("Mia%20O'Neil", "Mia O'Neil", id="apostrophe as it is"),
        pytest.param("Zo%C3%AB%20%F0%9F%8E%93", "Zoë 🎓", id="umlaut and emoji"),
        pytest.param("a/b?c", "a/b?c", id="slash and question mark as they are"),
        pytest.param("%E5%AD%97" * 255, "字" * 255, id="255 characters, 765 bytes"),
    ],
)
def test_a_name_is_read_as_the_page_reads_its_fragment(lms, written, name):
    launch(lms, link().replace("Mia%20Tan", written))
    assert registration(lms)["name"] == name


def test_an_at_sign_may_stand_as_it_is(lms):
    assert launch(lms, link().replace("%40", "@"))["registration"]["email"] == MIA["em"]


def test_parameters_besides_the_five_are_kept_for_the_test_to_see(lms):
    assert launch(lms, link(ln="Tan"))["registration"]["extra"] == {"ln": "Tan"}


# launch links that do not


@pytest.mark.parametrize(
    ("url", "what"),
    [
        *[
            pytest.param(link(**{name: None}), f"{name} is missing", id=f"no {name}")
            for name in ("reg", "em", "fn", "dom", "lmsId")
        ],
        *[
            pytest.param(link(**{name: ""}), f"{name} is missing", id=f"{name} empty")
            for name in ("reg", "em", "fn", "dom", "lmsId")
        ],
        pytest.param(link(fn="   "), "fn is missing", id="a name of spaces"),
        pytest.param(
            link(lmsId=None, lmsid=PRODUCTION_LMS_ID), "lmsId is missing", id="lmsId in another case"
        ),
        pytest.param(link(fn="x" * 256), "fn is longer than 255", id="name too long"),
        pytest.param(link(em="x" * 250 + "@x.org"), "em is longer than 255", id="e-mail too long"),
        pytest.param(link(dom="x" * 256), "dom is longer than 255", id="domain too long"),
        pytest.param(link(reg="123"), "reg is not a UUID", id="no UUID"),
        pytest.param(link(reg=REG.replace("-", "")), "reg is not a UUID", id="UUID without hyphens"),
        pytest.param(link(reg="{" + REG + "}"), "reg is not a UUID", id="UUID in braces"),
        pytest.param(link(em="mia"), "em is not an e-mail", id="no e-mail"),
        pytest.param(link(dom="https://learn.rto.example"), "dom is not a bare", id="domain with scheme"),
        pytest.param(link(dom="learn.rto.example:443"), "dom is not a bare", id="domain with port"),
        pytest.param(link(lmsId="NOBODY"), "lmsId is unknown", id="unknown LMSID"),
        pytest.param(f"{PROD}/c/hygiene/?{query()}#/", "before the # would reach", id="query before the #"),
        pytest.param(
            f"{PROD}/c/hygiene/?em=a#/?{query()}", "em before the #", id="one of the five there too"
        ),
        pytest.param(f"{PROD}/c/hygiene/?{query()}", "one # and its parameters", id="no fragment"),
        pytest.param(f"{PROD}/c/hygiene/#/", "behind #/?", id="no parameters"),
        pytest.param(f"{PROD}/c/hygiene/#?{query()}", "has to begin with /?", id="no slash in the fragment"),
        pytest.param(f"{PROD}/c/hygiene/#//?{query()}", "has to begin with /?", id="slash doubled"),
        pytest.param(f"{PROD}/c/hygiene/#/lesson/1?{query()}", "has to begin with /?", id="deep link"),
        pytest.param(link() + "#x", "one # and its parameters", id="a second #"),
        pytest.param(link() + "&reg=" + REG, "reg is there twice", id="a parameter twice"),
        pytest.param(link() + "&", "a name, = and a value", id="an empty pair"),
        pytest.param(link() + "&ln", "a name, = and a value", id="no equals sign"),
        pytest.param(link(fn="a=b").replace("%3D", "="), "= inside a value", id="equals not encoded"),
        pytest.param(link().replace("Mia%20Tan", "Mia Tan"), "' ' cannot stand", id="space not encoded"),
        pytest.param(link().replace("Mia%20Tan", "Zoë"), "'ë' cannot stand", id="umlaut not encoded"),
        pytest.param(link().replace("Mia%20Tan", '"Mia"'), "cannot stand", id="quote not encoded"),
        pytest.param(link() + "\n", "cannot stand", id="line end"),
        pytest.param(link().replace("Mia%20Tan", "100%"), "percent sign is %25", id="percent not encoded"),
        pytest.param(link().replace("Mia%20Tan", "Zo%EB"), "fn is not UTF-8", id="Latin-1"),
        pytest.param(link(f"http://{PRODUCTION_HOST}/c/hygiene/"), "https addresses", id="not https"),
        pytest.param(link(f"{PROD}:8443/c/hygiene/"), "https addresses", id="a port"),
        pytest.param(link("ftp://127.0.0.1/c/hygiene/"), "not a web address", id="another scheme"),
        pytest.param(link("//127.0.0.1/c/hygiene/"), "not a web address", id="no scheme"),
        pytest.param(link(f"https://u:p@{PRODUCTION_HOST}/c/hygiene/"), "not a web address", id="user info"),
        pytest.param(link(f"{PROD}:x/c/hygiene/"), "Port", id="port is no number"),
        pytest.param(link("https://courses.other.example/c/hygiene/"), "no course at", id="another host"),
        pytest.param(
            staging().replace(STAGING_HOST, PRODUCTION_HOST), "no course at", id="host of production"
        ),
        pytest.param(link(f"{PROD}/c/knitting/"), "no course at", id="no such course"),
        pytest.param(link(f"{PROD}/c/coming-soon/"), "no course at", id="a course only in staging"),
        pytest.param(link(f"{PROD}/c/hygiene//"), "no course at", id="slash doubled before the #"),
        pytest.param(link(f"{PROD}/hygiene/"), "no course at", id="another path"),
        pytest.param(link(fn="x" * 20_000), "too long", id="link too long"),
    ],
)
def test_a_malformed_link_is_refused_and_changes_nothing(lms, url, what):
    with pytest.raises(ValueError, match=what.replace("?", r"\?")):
        launch(lms, url)
    assert effects(lms) == []
    assert registration(lms) is None


async def test_a_malformed_link_is_400_on_the_control_surface(api):
    answer = await api.post("/_control/act/launch", json={"url": link(reg="x")})
    assert (answer.status_code, answer.json()) == (400, {"error": "reg is not a UUID"})
    assert (await api.post("/_control/act/launch", json={"url": 5})).status_code == 400
    good = await api.post("/_control/act/launch", json={"url": link()})
    assert (good.status_code, good.json()["launched"]) == (200, True)


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        pytest.param({"deep_links": True}, f"{PROD}/c/hygiene/#/lesson/1?{query()}", id="deep_links"),
        pytest.param({"email_checked": False}, link(em="mia"), id="email_checked"),
        pytest.param({"bare_domain": False}, link(dom="https://learn.rto.example/"), id="bare_domain"),
        pytest.param({"production_lms_id": "LIVE-7"}, link(lmsId="LIVE-7"), id="production_lms_id"),
        pytest.param({"staging_lms_id": "TEST-7"}, staging(lmsId="TEST-7"), id="staging_lms_id"),
        pytest.param(
            {"production_host": "courses.other.example"},
            link("https://courses.other.example/c/hygiene/"),
            id="production_host",
        ),
        pytest.param(
            {"staging_host": "test.other.example"},
            staging().replace(STAGING_HOST, "test.other.example"),
            id="staging_host",
        ),
    ],
)
def test_a_switch_lets_a_link_in(lms, changes, url):
    with pytest.raises(ValueError):
        launch(lms, url)
    switch(lms, **changes)
    assert launch(lms, url)["launched"] is True


def test_further_parameters_are_refused_if_switched_so(lms):
    switch(lms, extra_parameters=False)
    with pytest.raises(ValueError, match="no parameter ln"):
        launch(lms, link(ln="Tan"))
    assert launch(lms, link())["launched"] is True


# rules that a well-made link can break


@pytest.mark.parametrize(
    ("second", "kinds"),
    [
        pytest.param(link(em="liam@rto.example"), ["uuid_of_two_people"], id="the UUID of somebody else"),
        pytest.param(
            link(f"{PROD}/c/respect/"), ["uuid_of_two_activities"], id="the same UUID in another course"
        ),
        pytest.param(staging(), ["uuid_of_two_activities"], id="the same UUID in staging"),
        pytest.param(link(reg=OTHER_REG), ["second_uuid"], id="a new UUID for the same enrolment"),
        pytest.param(
            link(reg=OTHER_REG, em="MIA.tan@rto.example"), ["second_uuid"], id="e-mail in another case"
        ),
        pytest.param(
            link(lmsId=STAGING_LMS_ID), ["lms_id_of_other_environment"], id="staging LMSID in production"
        ),
        pytest.param(
            staging(lmsId=PRODUCTION_LMS_ID, reg=OTHER_REG),
            ["lms_id_of_other_environment"],
            id="production LMSID in staging",
        ),
        pytest.param(
            link(f"{PROD}/c/respect/", em="liam@rto.example"),
            ["uuid_of_two_people", "uuid_of_two_activities"],
            id="two rules at once",
        ),
    ],
)
def test_a_launch_that_breaks_a_rule_is_recorded_and_opens_nothing(lms, second, kinds):
    launch(lms, link())
    before = lms.vendor.state()["registrations"]
    said = launch(lms, second)
    assert (said["launched"], said["violations"], said["registration"]) == (False, kinds, None)
    assert [each["kind"] for each in lms.vendor.state()["violations"]] == kinds
    assert [kind for kind, _ in effects(lms)] == ["launched", *["violation"] * len(kinds)]
    assert lms.vendor.state()["registrations"] == before


def test_a_violation_says_which_rule_uuid_and_course(lms):
    launch(lms, link())
    launch(lms, link(reg=OTHER_REG))
    assert lms.vendor.state()["violations"] == [
        {"kind": "second_uuid", "reg": OTHER_REG, "course": "hygiene"}
    ]
    assert effects(lms)[-1] == ("violation", f"second_uuid,{OTHER_REG},hygiene")


def test_one_person_in_two_courses_or_environments_breaks_no_rule(lms):
    launch(lms, link())
    assert launch(lms, link(f"{PROD}/c/respect/", reg=OTHER_REG))["violations"] == []
    assert launch(lms, staging(reg=OTHER_REG[:-2] + "03"))["violations"] == []


def test_two_people_in_one_course_break_no_rule(lms):
    launch(lms, link())
    assert launch(lms, link(reg=OTHER_REG, em="liam@rto.example"))["violations"] == []


def test_a_finished_enrolment_is_still_live(lms):
    launch(lms, link())
    act(lms, "complete", reg=REG)
    assert launch(lms, link(reg=OTHER_REG))["violations"] == ["second_uuid"]


def test_after_the_end_a_new_uuid_is_right_and_the_old_link_still_works(lms):
    launch(lms, link())
    assert act(lms, "end", reg=REG)["ended"] is True
    assert launch(lms, link(reg=OTHER_REG))["violations"] == []
    assert launch(lms, link())["launched"] is True
    assert [kind for kind, _ in effects(lms)] == ["launched", "launched", "resumed"]


@pytest.mark.parametrize(
    ("second", "effect"),
    [
        (link(em="liam@rto.example", fn="Liam Ng"), ("resumed", f"{REG},hygiene")),
        (link(f"{PROD}/c/respect/"), ("resumed", f"{REG},hygiene")),
        (link(reg=OTHER_REG), ("launched", f"{OTHER_REG},hygiene")),
        (staging(reg=OTHER_REG, lmsId=PRODUCTION_LMS_ID), ("launched", f"{OTHER_REG},hygiene-staging")),
    ],
)
def test_a_vendor_that_looks_at_no_rule_opens_the_course_all_the_same(lms, second, effect):
    switch(lms, refuse_violations=False)
    launch(lms, link())
    said = launch(lms, second)
    assert said["launched"] is True and len(said["violations"]) == 1
    assert effects(lms)[-1] == effect
    assert len(lms.vendor.state()["violations"]) == 1
    assert registration(lms)["name"] == "Mia Tan"


# the page


@pytest.mark.parametrize("path", ["/c/hygiene/", "/c/hygiene", "/c/hygiene/?v=2"])
async def test_a_course_has_a_page_with_its_title(lms, api, path):
    answer = await api.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Food &amp; Hygiene Basics</title>" in answer.text
    assert "location.href" in answer.text
    assert effects(lms) == []


@pytest.mark.parametrize("path", ["/c/knitting/", "/c/", "/c/hygiene/lesson", "/"])
async def test_where_no_course_is_there_is_404(api, path):
    assert (await api.get(path)).status_code == 404


# the report: who asks


@pytest.mark.parametrize("path", ["/api/reports/progress", "/api/reports/progress/"])
async def test_the_report_answers_with_a_last_slash_and_without(api, path):
    answer = await ask(api, path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["count"] == 4


@pytest.mark.parametrize(
    ("token", "status"),
    [(None, 401), ("", 401), ("wrong", 400), ("wrong", 403), (TOKEN[:-1], 401), (5, 401), ([TOKEN], 401)],
)
async def test_an_unknown_token_is_refused_with_the_switched_status(lms, api, token, status):
    switch(lms, bad_token_status=status)
    answer = await ask(api, token=token)
    assert (answer.status_code, answer.json()) == (status, {"message": "The token is not known"})


async def test_an_unknown_token_may_get_an_empty_report(lms, api):
    switch(lms, bad_token_status=200)
    assert (await ask(api, token="wrong")).json() == {"count": 0, "rows": []}


async def test_the_token_counts_only_in_the_body(api):
    headers = {"Authorization": f"Bearer {TOKEN}", "token": TOKEN}
    answer = await api.post(f"/api/reports/progress?token={TOKEN}", json=ALWAYS, headers=headers)
    assert answer.status_code == 401


async def test_expired_credentials_by_fault_are_refused_once(lms, api):
    lms.faults.arm(Fault(kind="expired_token"))
    assert (await ask(api)).status_code == 401
    assert (await ask(api)).status_code == 200


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"token=1", "application/x-www-form-urlencoded"),
        (json.dumps({"token": TOKEN, **ALWAYS}).encode(), "text/plain"),
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
    ],
)
async def test_what_is_no_json_object_is_400(api, content, content_type):
    answer = await api.post("/api/reports/progress", content=content, headers={"content-type": content_type})
    assert answer.status_code == 400


async def test_json_may_name_its_charset(api):
    content = json.dumps({"token": TOKEN, **ALWAYS}).encode()
    headers = {"content-type": "application/json; charset=utf-8"}
    assert (await api.post("/api/reports/progress", content=content, headers=headers)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_the_report_takes_post_only(api, method):
    answer = await api.request(method, "/api/reports/progress", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# the report: what is asked


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"startDate": None}, id="no start"),
        pytest.param({"endDate": None}, id="no end"),
        pytest.param({"startDate": "2026-03-01"}, id="a day"),
        pytest.param({"startDate": "2026-03-01T00:00:00+08:00"}, id="another offset"),
        pytest.param({"endDate": "2026-13-01T00:00:00Z"}, id="month 13"),
        pytest.param({"endDate": 1767225600}, id="seconds"),
        pytest.param({"completed": "yes"}, id="completed as yes"),
        pytest.param({"completed": 1}, id="completed as 1"),
        pytest.param({"search": 5}, id="search as number"),
        pytest.param({"start": -1}, id="start below 0"),
        pytest.param({"start": "0"}, id="start as text"),
        pytest.param({"number": 0}, id="number 0"),
        pytest.param({"number": True}, id="number true"),
        pytest.param({"sort": "colour"}, id="sort by what is no field"),
        pytest.param({"sort": ["firstName"]}, id="sort as list"),
        pytest.param({"order": "asc"}, id="order in lower case"),
    ],
)
async def test_a_question_that_makes_no_sense_is_400(api, changes):
    answer = await ask(api, **changes)
    assert (answer.status_code, list(answer.json())) == (400, ["message"])


@pytest.mark.parametrize("form", ["2020-01-01T00:00:00", "2020-01-01T00:00:00Z", "2020-01-01T00:00:49.120Z"])
async def test_times_come_in_the_documented_forms(api, form):
    assert len(await rows(api, startDate=form)) == 4


async def test_unknown_fields_are_ignored(api):
    assert len(await rows(api, colour="red")) == 4


@pytest.mark.parametrize(
    ("completed", "regs"),
    [
        (None, {KIM, ANA, PORTAL, BOOKED}),
        (False, {KIM, ANA, PORTAL, BOOKED}),
        ("false", {KIM, ANA, PORTAL, BOOKED}),
        (True, {KIM}),
        ("true", {KIM}),
    ],
)
async def test_completed_takes_booleans_and_their_names(api, completed, regs):
    assert {each["registration"] for each in await rows(api, completed=completed)} == regs


@pytest.mark.parametrize(
    ("search", "regs"),
    [
        ("", {KIM, ANA, PORTAL, BOOKED}),
        ("TRAN", {KIM}),
        ("an", {KIM, ANA}),
        ("noor", {BOOKED}),
        ("haddad", {BOOKED}),
        ("white card", {PORTAL, BOOKED}),
        ("ana diaz", set()),
        ("rto.example", set()),
    ],
)
async def test_search_looks_into_first_name_last_name_and_title(api, search, regs):
    assert {each["registration"] for each in await rows(api, search=search)} == regs


@pytest.mark.parametrize(
    ("asked", "regs"),
    [
        ({}, [ANA, KIM, PORTAL, BOOKED]),
        ({"sort": "firstName", "order": "DESC"}, [BOOKED, PORTAL, KIM, ANA]),
        ({"sort": "lastName"}, [ANA, BOOKED, PORTAL, KIM]),
        ({"sort": "transactionId"}, [KIM, ANA, PORTAL, BOOKED]),
        ({"sort": "progress", "order": "DESC"}, [KIM, PORTAL, BOOKED, ANA]),
        ({"sort": "dateStarted"}, [BOOKED, KIM, ANA, PORTAL]),
    ],
)
async def test_rows_are_sorted_by_first_name_or_as_asked(api, asked, regs):
    assert [each["registration"] for each in await rows(api, **asked)] == regs


async def test_progress_that_is_nonsense_sorts_last(lms, api):
    act(lms, "progress", reg=ANA, progress="soon")
    assert [each["registration"] for each in await rows(api, sort="progress")][-1] == ANA


async def test_ten_rows_come_without_a_number(lms, api):
    act(lms, "strangers", count=20)
    answer = (await ask(api, number=None)).json()
    assert (answer["count"], len(answer["rows"])) == (24, 10)


@pytest.mark.parametrize(
    ("start_is", "start", "numbers"),
    [
        ("offset", 0, [50412, 50413, 50414]),
        ("offset", 1, [50413, 50414, 50415]),
        ("offset", 3, [50415]),
        ("offset", 9, []),
        ("page", 0, [50412, 50413, 50414]),
        ("page", 1, [50415]),
        ("page", 2, []),
    ],
)
async def test_start_is_a_row_or_a_page(lms, api, start_is, start, numbers):
    switch(lms, start_is=start_is)
    found = await rows(api, sort="transactionId", number=3, start=start)
    assert [int(each["transactionId"]) for each in found] == numbers


@pytest.mark.parametrize(("count_is", "count"), [("total", 4), ("page", 3)])
async def test_count_is_of_all_matches_or_of_the_page(lms, api, count_is, count):
    switch(lms, count_is=count_is)
    assert (await ask(api, number=3)).json()["count"] == count


async def test_a_larger_number_than_the_maximum_gives_the_maximum(lms, api):
    switch(lms, max_number=2)
    answer = (await ask(api, number=1000)).json()
    assert (answer["count"], len(answer["rows"])) == (4, 2)


def at(hours: float) -> str:
    """A time so many hours after the seed begins."""
    return (START - timedelta(days=2) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.mark.parametrize(
    ("filtered", "since", "until", "regs"),
    [
        ("updated", 1, 2, {KIM, ANA}),
        ("updated", 0, 0.5, set()),
        ("updated", 4, 5, {BOOKED}),
        ("started", 0, 0.5, {KIM}),
        ("started", 1, 2, {ANA}),
        ("started", 0, 9, {KIM, ANA, PORTAL}),
        ("completed", 0, 0.5, set()),
        ("completed", 1, 1, {KIM}),
        ("completed", 0, 9, {KIM}),
        ("updated", 9, 0, set()),
    ],
)
async def test_the_range_filters_the_switched_date(lms, api, filtered, since, until, regs):
    switch(lms, filtered_date=filtered)
    found = await rows(api, startDate=at(since), endDate=at(until))
    assert {each["registration"] for each in found} == regs


async def test_a_launch_is_reported_at_once_or_from_the_first_progress_on(lms, api):
    launch(lms, link())
    assert (await row(api, REG))["progress"] == "0"
    switch(lms, launch_listed=False)
    assert REG not in {each["registration"] for each in await rows(api)}
    act(lms, "progress", reg=REG, progress=0)
    assert REG in {each["registration"] for each in await rows(api)}


# the report: its rows


async def test_rows_have_the_fields_and_types_of_the_sample(api):
    kim, ana = await row(api, KIM), await row(api, ANA)
    assert tuple(kim) == FIELDS
    assert kim == {
        "transactionId": "50412",
        "firstName": "Kim",
        "lastName": "Tran",
        "email": "kim.tran@rto.example",
        "memberIdentifier": None,
        "activityId": f"https://{PRODUCTION_HOST}/c/working-safely",
        "activityTitle": "Working safely",
        "registration": KIM,
        "dateStarted": "2026-03-02T01:00:00.000Z",
        "progress": "100",
        "dateCompleted": "2026-03-02T02:00:00.000Z",
        "completionCode": kim["completionCode"],
    }
    assert len(kim["completionCode"]) == 36
    assert (ana["progress"], ana["dateCompleted"], ana["completionCode"]) == (0, None, None)


async def test_only_portals_with_accounts_give_an_identifier(lms, api):
    launch(lms, link())
    assert [(await row(api, reg))["memberIdentifier"] for reg in (REG, KIM, PORTAL)] == [None, None, "4567"]


@pytest.mark.parametrize(
    ("progress_as", "shown"),
    [("mixed", ["100", 0, "37.5"]), ("string", ["100", "0", "37.5"]), ("number", [100, 0, 37.5])],
)
async def test_progress_is_text_or_number(lms, api, progress_as, shown):
    switch(lms, progress_as=progress_as)
    assert [(await row(api, reg))["progress"] for reg in (KIM, ANA, PORTAL)] == shown


@pytest.mark.parametrize("value", [None, "12.5", "soon", True, [1], {"of": 100}])
async def test_any_other_progress_is_shown_as_it_was_set(lms, api, value):
    act(lms, "progress", reg=KIM, progress=value)
    assert (await row(api, KIM))["progress"] == value


@pytest.mark.parametrize(
    ("split", "name", "first", "last"),
    [
        ("first_space", "Noor El Haddad", "Noor", "El Haddad"),
        ("last_space", "Noor El Haddad", "Noor El", "Haddad"),
        ("none", "Noor El Haddad", "Noor El Haddad", ""),
        ("first_space", "Noor", "Noor", ""),
        ("last_space", "Noor", "Noor", ""),
    ],
)
async def test_the_full_name_is_split_as_switched(lms, api, split, name, first, last):
    switch(lms, name_split=split)
    launch(lms, link(fn=name))
    found = await row(api, REG)
    assert (found["firstName"], found["lastName"]) == (first, last)


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"registration_upper": True}, "registration", KIM.upper()),
        ({"transaction_id_as": "number"}, "transactionId", 50412),
        ({"activity_id": "slash"}, "activityId", f"https://{PRODUCTION_HOST}/c/working-safely/"),
        ({"activity_id": "other"}, "activityId", f"https://{PRODUCTION_HOST}/activities/working-safely"),
        ({"completion_code": "text"}, "completionCode", "completed-50412"),
    ],
)
async def test_a_switch_changes_a_field(lms, api, changes, field, value):
    switch(lms, **changes)
    assert (await row(api, KIM))[field] == value


# the allowance


@pytest.mark.parametrize("status", [429, 403, 503])
async def test_the_501st_call_of_a_day_is_refused(lms, api, status):
    switch(lms, used_up_status=status)
    for _ in range(499):
        lms.vendor.allowance.spend(START, limit=0, rolling=False)
    assert (await ask(api)).status_code == 200
    answer = await ask(api)
    assert (answer.status_code, list(answer.json())) == (status, ["message"])
    assert lms.vendor.state()["calls_today"] == 500


async def test_a_day_used_up_may_look_like_an_empty_report(lms, api):
    switch(lms, used_up_status=200, daily_limit=1)
    await ask(api)
    assert (await ask(api)).json() == {"count": 0, "rows": []}


@pytest.mark.parametrize(
    ("day", "hours", "status"),
    [("utc", 22, 429), ("utc", 23, 200), ("rolling", 23, 429), ("rolling", 24, 200)],
)
async def test_the_day_rolls_over_at_midnight_in_utc_or_after_24_hours(lms, api, day, hours, status):
    switch(lms, day=day, daily_limit=1)  # it is 01:00 in UTC
    await ask(api)
    lms.clock.advance(hours * 3600)
    assert (await ask(api)).status_code == status


async def test_a_limit_of_0_is_none_and_strangers_spend_nothing(lms, api):
    switch(lms, daily_limit=1)
    await ask(api, token="wrong")
    assert [(await ask(api)).status_code for _ in range(2)] == [200, 429]
    switch(lms, daily_limit=0)
    assert (await ask(api)).status_code == 200


# what learners and staff do


async def test_progress_and_completion_are_two_things(lms, api):
    launch(lms, link())
    lms.clock.advance(60)
    act(lms, "progress", reg=REG.upper(), progress=100)
    assert (await row(api, REG))["dateCompleted"] is None
    done = act(lms, "complete", reg=REG, at="2026-03-04T08:30:00+08:00")
    assert (done["progress"], done["completed"]) == (100, "2026-03-04T00:30:00.000Z")
    assert done["updated"] == "2026-03-04T01:01:00.000Z"
    assert (await row(api, REG))["completionCode"] is not None
    assert act(lms, "progress", reg=REG, progress=80)["completed"] is not None
    back = act(lms, "fall_back", reg=REG, progress=20)
    assert (back["progress"], back["completed"]) == (20, None)
    assert (await row(api, REG))["completionCode"] is None
    assert effects(lms) == [("launched", f"{REG},hygiene")]


async def test_progress_and_completion_may_come_at_once(lms, api):
    assert (
        act(lms, "progress", reg=ANA, progress=90, completed=True)["completed"] == "2026-03-04T01:00:00.000Z"
    )


async def test_a_registration_ended_by_the_caller_is_still_reported(lms, api):
    act(lms, "end", reg=ANA)
    act(lms, "progress", reg=ANA, progress=70)
    assert (await row(api, ANA))["progress"] == 70


async def test_a_registration_removed_by_staff_is_reported_no_more(lms, api):
    assert act(lms, "remove", reg=ANA)["name"] == "Ana Diaz"
    assert ANA not in {each["registration"] for each in await rows(api)}
    with pytest.raises(ValueError, match="no registration"):
        act(lms, "remove", reg=ANA)


async def test_strangers_of_other_systems_fill_the_report(lms, api):
    made = act(lms, "strangers", count=3, course="respect", progress=55)
    found = {each["registration"]: each for each in await rows(api, search="respect")}
    assert sorted(found) == sorted(made)
    assert all(float(each["progress"]) == 55 and each["memberIdentifier"] for each in found.values())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("progress", {"reg": OTHER_REG, "progress": 1}),
        ("progress", {"reg": 5, "progress": 1}),
        ("complete", {"reg": KIM, "at": "2026-03-04T08:00:00"}),
        ("fall_back", {"reg": OTHER_REG}),
        ("end", {"reg": OTHER_REG}),
        ("tell", {"reg": OTHER_REG}),
        ("many", {"values": [[OTHER_REG, 1]]}),
        ("strangers", {"count": 0}),
        ("strangers", {"course": "knitting"}),
        ("resend", {"event_id": "event-9"}),
        ("replay", {}),
        ("launch", {}),
    ],
)
async def test_an_action_that_makes_no_sense_is_400_and_changes_nothing(lms, api, name, arguments):
    before = lms.vendor.state()
    assert (await api.post(f"/_control/act/{name}", json=arguments)).status_code == 400
    assert lms.vendor.state() == before


# the whole


def test_five_courses_stand_in_both_environments_and_one_only_in_staging(lms):
    courses = {each["slug"]: each for each in lms.vendor.state()["courses"]}
    production = [slug for slug, each in courses.items() if each["environment"] == "production"]
    assert len(production) == 5
    assert set(courses) == {*production, *(f"{slug}-staging" for slug in production), "coming-soon-staging"}
    assert courses["hygiene"]["address"] == f"https://{PRODUCTION_HOST}/c/hygiene/"
    assert courses["hygiene-staging"]["address"] == f"https://{STAGING_HOST}/c/hygiene-staging/"


async def test_reset_brings_everything_back(lms, api):
    before = lms.vendor.state()
    launch(lms, link())
    launch(lms, link(reg=OTHER_REG))
    await ask(api)
    switch(lms, daily_limit=3)
    await api.post("/_control/reset")
    assert lms.vendor.state() == before
    assert (effects(lms), lms.vendor.switches) == ([], Switches())


async def test_calls_are_counted_by_endpoint(api):
    for path in ("/api/reports/progress", "/api/reports/progress/"):
        await ask(api, path)
    for path in ("/c/hygiene/", "/c/respect", "/"):
        await api.get(path)
    assert (await api.get("/_control/calls")).json() == {
        "POST /api/reports/progress": 2,
        "GET /c/COURSE": 2,
        "GET /": 1,
    }


@pytest.mark.parametrize(
    ("form", "content_type", "piece"),
    [
        ("json", "application/json", b'{"message": "Something went wrong"}'),
        ("html", "text/html; charset=utf-8", b"<html>"),
        ("empty", "text/plain; charset=utf-8", b""),
    ],
)
async def test_errors_take_the_switched_form(lms, api, form, content_type, piece):
    switch(lms, error_form=form)
    lms.faults.arm(Fault(kind="error", status=500))
    fault, refusal = await ask(api), await ask(api, token="wrong")
    assert (fault.status_code, refusal.status_code) == (500, 401)
    assert fault.headers["content-type"].partition(";")[0] == content_type.partition(";")[0]
    assert refusal.headers["content-type"] == content_type
    assert piece in fault.content and (fault.content == b"") == (form == "empty")


@pytest.mark.parametrize(
    "odd",
    [
        {"bad_token_status": 500},
        {"used_up_status": 500},
        {"start_is": "row"},
        {"count_is": "all"},
        {"filtered_date": "created"},
        {"progress_as": "text"},
        {"day": "monday"},
        {"error_form": "xml"},
        {"hook_body": "form"},
        {"hook_proof": "hmac"},
        {"hook_body": "array", "hook_proof": "body"},
        {"hook_bundle": 0},
        {"hook_key": ""},
        {"daily_limit": -1},
        {"max_number": -1},
        {"duplicates": -1},
        {"at_once": 0},
        {"at_once": 65},
        {"timeout_s": 0.0},
        {"retries": (-1.0,)},
        {"staging_lms_id": ""},
        {"staging_lms_id": PRODUCTION_LMS_ID},
    ],
    ids=str,
)
def test_a_switch_with_an_odd_value_is_refused(odd):
    with pytest.raises(ValueError):
        Switches(**odd)


def test_it_runs_as_a_process():
    command = [sys.executable, "-m", "gateway.sandbox.media77", "--port", "0", "--token", "t"]
    with subprocess.Popen(
        [*command, "--switches", '{"count_is": "page"}'], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening on ").strip()
            with httpx.Client(base_url=url, trust_env=False) as client:
                opened = client.post(
                    "/_control/act/launch",
                    json={"url": link(f"{url}/c/hygiene-staging/", lmsId=STAGING_LMS_ID)},
                )
                assert opened.json()["launched"] is True
                body = {"token": "t", **ALWAYS, "number": 2}
                assert client.post("/api/reports/progress", json=body).json()["count"] == 2
        finally:
            process.terminate()
