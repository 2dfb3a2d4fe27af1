"""GET /launch/{tenant}/{token}: the link, every reason why there is none, and nothing of it in a log."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from gateway.errors import StoreError
from gateway.launch import page, token
from gateway.launch.terms import LaunchConfig
from gateway.perform import reads
from gateway.store import enrolments
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace
from tests.launch.test_page import Read

LINK = (
    "https://courses.lms.example/c1/#/?reg=5f0c0b9e-6d1c-4a55-9a07-2f4b6c1f9d10"
    "&em=kim%40x.example&fn=Kim%20Tran&dom=learn.rto.example"
)
CONTACT = "Acme Training, 08 5550 1234"
DAY_S = 86_400


def link_in(response):
    """Where the page's one link leads; None where it has none."""
    links = Read(response.text).all("a")
    return links[0]["href"] if links else None


def assert_closed(response, status, words):
    assert (response.status_code, link_in(response)) == (status, None)
    assert words.title in Read(response.text).texts
    assert_guarded(response)


def assert_guarded(response):
    for name, value in page.HEADERS.items():
        assert response.headers[name] == value, name
    assert response.headers["x-reference"]


async def test_a_page_shows_the_course_its_link_and_whom_to_ask(house, acme, client):
    house.terms["acme"] = LaunchConfig(contact=CONTACT)
    response = await client.get(house.path(await house.enrol()))
    assert (response.status_code, link_in(response)) == (200, LINK)
    assert {"Working safely & <well>", "Open the course", CONTACT} <= set(Read(response.text).texts)
    assert "The help desk <help@lms.example>, course c1" in Read(response.text).texts
    assert "do not pass it on" in response.text
    assert_guarded(response)
    assert house.lms.asked == []


async def test_the_same_page_comes_again(house, acme, client):
    path = house.path(await house.enrol())
    first = await client.get(path)
    house.clock.move(400 * DAY_S)
    assert (await client.get(f"{path}/")).text == (await client.get(f"{path}?utm=mail")).text == first.text


async def test_a_head_request_is_answered_as_a_get_without_its_body(house, acme, client):
    path = house.path(await house.enrol())
    got, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.content))
    assert_guarded(head)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_nothing_but_reading_is_allowed(house, acme, client, method):
    response = await client.request(method, house.path(await house.enrol()))
    assert_closed(response, 405, page.ONLY_READ)
    assert response.headers["allow"] == "GET, HEAD"


# -- no page


async def test_a_wrong_token_and_an_unknown_enrolment_look_the_same(house, acme, client, key):
    house.terms["acme"] = LaunchConfig(contact=CONTACT)
    stored = await house.enrol()
    wrong = await client.get(f"/launch/acme/{stored.id}.{'A' * 32}")
    unknown = await client.get(f"/launch/acme/{token.make(key, 'acme', '126-7')}")
    for response in (wrong, unknown):
        assert_closed(response, 404, page.UNKNOWN)
        assert CONTACT in response.text
    assert same(wrong) == same(unknown)


def same(response):
    """The answer without what differs between any two: its reference."""
    reference = response.headers["x-reference"]
    return response.text.replace(reference, ""), {**response.headers, "x-reference": ""}


async def test_a_wrong_token_costs_the_store_nothing(house, acme, client, monkeypatch):
    stored = await house.enrol()

    async def read(self, work):
        raise AssertionError("the store was asked")

    monkeypatch.setattr(type(house.database), "read", read)
    response = await client.get(f"/launch/acme/{stored.id}.{'A' * 32}")
    assert_closed(response, 404, page.UNKNOWN)


@pytest.mark.parametrize(
    "path", ["/launch/bee/126.x", "/launch/acme/x", "/launch/acme/%00", "/launch/%F0%9F/126.%ED%A0%80"]
)
async def test_any_other_address_is_404(acme, client, path):
    assert_closed(await client.get(path), 404, page.UNKNOWN)


async def test_a_page_of_one_tenant_is_none_of_another(house, acme, client):
    house.tenant("bee")
    stored = await house.enrol()
    response = await client.get(house.path(stored).replace("/acme/", "/bee/"))
    assert_closed(response, 404, page.UNKNOWN)


async def test_a_tenant_whose_mapping_has_no_launch_has_no_pages(house, client, plain_mapping):
    house.tenant("acme", plain_mapping, "{}")
    assert_closed(await client.get(house.path(await house.enrol())), 404, page.UNKNOWN)


@pytest.mark.parametrize("end", ["cancel", "move"])
async def test_an_enrolment_that_has_ended_is_410(house, acme, client, end):
    house.terms["acme"] = LaunchConfig(contact=CONTACT)
    stored = await house.enrol()
    more = () if end == "cancel" else ("other",)
    await house.database.write(
        lambda conn: getattr(enrolments, end)(conn, "acme", stored.id, *more, house.clock.now())
    )
    response = await client.get(house.path(stored))
    assert_closed(response, 410, page.ENDED)
    assert CONTACT in response.text


async def test_a_page_expires_so_long_after_the_enrolment(house, acme, client):
    house.terms["acme"] = LaunchConfig(expires_s=365 * DAY_S)
    path = house.path(await house.enrol())
    house.clock.move(365 * DAY_S - 1)
    assert (await client.get(path)).status_code == 200
    house.clock.move(1)
    assert_closed(await client.get(path), 410, page.EXPIRED)
    house.terms["acme"] = LaunchConfig()
    assert (await client.get(path)).status_code == 200


async def test_a_store_that_cannot_be_used_is_503(house, acme, client, monkeypatch):
    path = house.path(await house.enrol())

    async def read(self, work):
        raise StoreError("the disk is full")

    monkeypatch.setattr(type(house.database), "read", read)
    response = await client.get(path)
    assert_closed(response, 503, page.LATER)
    assert response.headers["retry-after"] == "60"


async def test_a_link_that_cannot_be_made_is_500(house, acme, client, caplog):
    path = house.path(await house.enrol(course="c9"))
    with caplog.at_level(logging.WARNING, "gateway.launch"):
        response = await client.get(path)
    assert_closed(response, 500, page.BROKEN)
    assert response.headers["x-reference"] in response.text
    assert "launch" in caplog.records[-1].getMessage()


async def test_a_mistake_of_ours_is_500_and_says_nothing(house, acme, client, monkeypatch, caplog):
    stored = await house.enrol()
    path = house.path(stored)

    async def broken(*args):
        raise ValueError(stored.record["fn"])

    monkeypatch.setattr("gateway.launch.links.link_of", broken)
    response = await client.get(path)
    assert_closed(response, 500, page.BROKEN)
    assert "Kim" not in response.text + caplog.text


async def test_help_that_cannot_be_worked_out_costs_no_link(house, client, catalogue, caplog):
    house.tenant("acme", catalogue.replace("course ${enrolment.course}", "course ${settings.courses}"))
    response = await client.get(house.path(await house.enrol()))
    assert (response.status_code, link_in(response)) == (200, LINK)
    assert "The help inside the course" in Read(response.text).texts
    assert "no help is shown" in caplog.text


# -- the course's name


async def test_the_list_at_hand_names_the_course(house, asking, client):
    house.lms.answers = {
        "/sso/204": {"url": "https://x.example/in"},
        "/courses": [{"id": 7, "name": "First Aid"}],
    }
    stored = await house.enrol(course="7")
    assert "Your course" in Read((await client.get(house.path(stored))).text).texts
    assert house.lms.asked == ["GET /sso/204"]
    await reads.get_courses(asking, None, Deadline(5), Trace())
    house.clock.move(3600)  # a fresh call budget, and an old list
    assert "First Aid" in Read((await client.get(house.path(stored))).text).texts
    assert house.lms.asked.count("GET /courses") == 1


async def test_the_record_names_the_course_where_no_list_is_at_hand(house, asking, client):
    house.lms.answers = {"/sso/204": {"url": "https://x.example/in"}}
    stored = await house.enrol(course="7", courseName="First Aid")
    assert "First Aid" in Read((await client.get(house.path(stored))).text).texts


async def test_a_course_that_has_left_the_list_has_the_records_name(house, client, catalogue):
    house.tenant(
        "acme",
        catalogue.replace('"${settings.courses[?id == $.enrolment.course].url | [0]}"', "https://x.example"),
    )
    stored = await house.enrol(course="c9", courseName="Gone")
    assert "Gone" in Read((await client.get(house.path(stored))).text).texts


# -- a read first


async def test_the_lms_is_asked_for_a_link_where_the_mapping_says_so(house, asking, client):
    house.lms.answers = {"/sso/204": {"url": "https://x.example/in?t=1"}}
    response = await client.get(house.path(await house.enrol(course="7")))
    assert (response.status_code, link_in(response)) == (200, "https://x.example/in?t=1")


@pytest.mark.parametrize("answer", [500, 409, {}, {"url": None}], ids=["500", "409", "no link", "null"])
async def test_a_read_that_fails_is_503_with_the_same_look(house, asking, client, answer):
    house.terms["acme"] = LaunchConfig(contact=CONTACT)
    house.lms.answers = {"/sso/204": answer}
    response = await client.get(house.path(await house.enrol(course="7")))
    assert_closed(response, 503, page.LATER)
    assert response.headers["retry-after"] == "60" and CONTACT in response.text


async def test_a_learner_whom_the_lms_does_not_have_is_404(house, asking, client):
    assert_closed(await client.get(house.path(await house.enrol(course="7"))), 404, page.UNKNOWN)


async def test_a_read_that_takes_too_long_is_503(house, asking, client):
    house.answer_s, house.lms.gate = 1.0, asyncio.Event()
    assert_closed(await client.get(house.path(await house.enrol(course="7"))), 503, page.LATER)
    assert house.lms.asked == ["GET /sso/204"]


async def test_links_leave_the_reserve_of_the_call_budget_alone(house, asking, client):
    house.lms.answers = {"/sso/204": {"url": "https://x.example/in"}}
    path = house.path(await house.enrol(course="7"))
    answers = [(await client.get(path)).status_code for _ in range(4)]
    assert answers == [200, 200, 503, 503] and len(house.lms.asked) == 2


# -- several LMSs


async def test_the_id_says_which_of_several_lmss_a_page_is_of(house, client, asking_mapping):
    house.tenant("acme/media", alias="media")
    house.tenant("acme/other", asking_mapping, "{}", alias="other")
    house.lms.answers = {"/sso/204": {"url": "https://other.example/in"}}
    house.terms = {"acme/other": LaunchConfig(contact="Other"), "acme/media": LaunchConfig(contact="Media")}
    media, other = await house.enrol("acme/media"), await house.enrol("acme/other", course="7")
    assert link_in(await client.get(house.path(media))) == LINK
    shown = await client.get(house.path(other))
    assert (link_in(shown), "Other" in shown.text) == ("https://other.example/in", True)


# -- logs


async def test_the_log_names_neither_address_nor_learner_nor_link(house, acme, client, caplog, key):
    stored = await house.enrol()
    path = house.path(stored)
    with caplog.at_level(logging.DEBUG):
        await client.get(path)
        await client.get(path[:-1] + "!")
        await client.post(path)
        await client.get(house.path(await house.enrol(course="c9", reg="x", em="MARKER@x.example")))
    lines = [each.getMessage() for each in caplog.records if each.name.startswith("gateway")]
    assert re.fullmatch(
        r"GET /launch/\{tenant\}/\{token\} tenant=acme 200 [\d.]+ ms [0-9a-f]{12}: opened", lines[0]
    )
    assert "404" in lines[1] and "405" in lines[2] and "500" in lines[3]
    for secret in (stored.id, path.rpartition(".")[2], "kim", "Kim", "MARKER", "courses.lms.example"):
        assert not any(secret in line for line in lines), secret
