"""The LearnUpon stand-in's API against its fact sheet (vendors/learnupon.md, behaviour list of section 7)."""

import base64
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gateway.sandbox import learnupon
from gateway.sandbox.faults import AnswerLost, Fault
from gateway.sandbox.learnupon import PASSWORD, USERNAME, create_learnupon
from gateway.sandbox.learnupon_switches import Switches

ROOT = Path(learnupon.__file__).parents[2]
START = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)
BAD_JSON = {"error": "There was a problem in the JSON you submitted."}
NEW = {"username": "rto-300", "first_name": "Ann", "last_name": "New", "password": "Kite-Ladder-9"}
MIA, ZOE, CARL, NORA_OLD, NORA, SEAN = 880231, 880232, 880233, 880234, 880235, 880236


@pytest.fixture
def portal():
    return create_learnupon(start=START)


@pytest.fixture
async def api(portal):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(portal), base_url="http://lms.test/api/v1/", auth=(USERNAME, PASSWORD)
    ) as client:
        yield client


def switch(portal, **changes):
    portal.vendor.switches = replace(portal.vendor.switches, **changes)


def act(portal, action, /, **arguments):
    return portal.vendor.actions[action](**arguments)


def refusal(answer):
    body = answer.json()
    assert (body["response_type"], body["response_code"]) == ("ERROR", answer.status_code)
    return answer.status_code, body["message"]


def effects(portal):
    return [(effect.kind, effect.what) for effect in portal.journal.effects]


def ids(answer, key):
    assert answer.status_code == 200
    return [row["id"] for row in answer.json()[key]]


async def enrol(api, **given):
    return await api.post("enrollments", json={"Enrollment": given})


async def record(api, id):
    answer = await api.get(f"enrollments/{id}")
    (shown,) = answer.json()["enrollments"]
    return shown


async def end(api, id, body=None):
    return await api.request("DELETE", f"enrollments/{id}", json=body)


async def mark(api, id, **given):
    return await api.post("markcompletes", json={"Markcomplete": {"enrollment_id": id, **given}})


# 1, 2: credentials, JSON, paths


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param(f"{USERNAME}:wrong", id="wrong password"),
        pytest.param(f"wrong:{PASSWORD}", id="wrong name"),
        pytest.param(USERNAME, id="no colon"),
    ],
)
async def test_wrong_credentials_are_401(portal, header):
    given = {} if header is None else {"authorization": "Basic " + base64.b64encode(header.encode()).decode()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(portal), base_url="http://lms.test") as client:
        answer = await client.get("/api/v1/portals", headers=given)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "header", ["Basic %%%", "Bearer " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()]
)
async def test_another_scheme_or_no_base64_is_401(api, header):
    assert (await api.get("portals", headers={"authorization": header}, auth=httpx.Auth())).status_code == 401


async def test_the_pair_of_the_sheet_reads_as_it_says():
    portal = create_learnupon(username="lu_user_abc", password="lu_pass_xyz")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(portal), base_url="http://lms.test") as client:
        answer = await client.get(
            "/api/v1/portals", headers={"authorization": "Basic bHVfdXNlcl9hYmM6bHVfcGFzc194eXo="}
        )
    assert len(answer.json()["portals"]) == 1


async def test_expired_credentials_by_fault_are_401_and_change_nothing(portal, api):
    portal.faults.arm(Fault(kind="expired_token"))
    assert (await enrol(api, username="rto-204", course_id=3310)).status_code == 401
    assert effects(portal) == []


@pytest.mark.parametrize("query", ["", "?user_id=5501"])
async def test_a_list_of_all_enrolments_is_401_although_the_key_is_right(api, query):
    assert refusal(await api.get(f"enrollments{query}"))[0] == 401


async def test_json_content_type_without_a_body_is_malformed_on_a_get_only(portal, api):
    said = {"content-type": "application/json"}
    answer = await api.get("portals", headers=said)
    assert (answer.status_code, answer.json()) == (400, BAD_JSON)
    assert (await api.delete(f"enrollments/{ZOE}", headers=said)).status_code == 200
    switch(portal, empty_json_refused=("GET", "DELETE"))
    assert (await api.delete(f"enrollments/{NORA}", headers=said)).json() == BAD_JSON


async def test_a_body_that_is_no_json_is_malformed(api):
    answer = await api.post("users", content=b'{"User":{},}', headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, BAD_JSON)


@pytest.mark.parametrize(("needed", "status"), [(True, 404), (False, 200)])
async def test_json_under_another_content_type_has_no_wrapper(portal, api, needed, status):
    switch(portal, json_type_needed=needed)
    answer = await api.post(
        "users", content=json.dumps({"User": NEW}), headers={"content-type": "text/plain"}
    )
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "courses/3310"),
        ("GET", "enrolments/search"),
        ("POST", "enrollments/880231"),
        ("GET", "users/5501/"),
        ("GET", "http://lms.test/api/v2/users"),
        ("GET", "http://lms.test/"),
    ],
)
@pytest.mark.parametrize("html", [False, True])
async def test_what_is_not_there_is_404_as_json_or_html(portal, api, method, path, html):
    switch(portal, unknown_path_html=html)
    answer = await api.request(method, path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html") is html


async def test_every_answer_has_a_request_id(api):
    answers = [await api.get("portals"), await api.get("courses/1"), await api.get("enrollments")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


# 12: pages and rates


async def test_a_list_says_where_it_is(portal, api):
    switch(portal, page_size=3)
    pages = [await api.get("users", params={"page": page}) for page in (1, 2, 3, 4)]
    assert [ids(page, "user") for page in pages] == [[5500, 5501, 5502], [5503, 5504, 5505], [5506, 5508], []]
    names = ("lu-current-page", "lu-records-per-page", "lu-has-next-page")
    assert [[page.headers[name] for name in names] for page in pages] == [
        ["1", "3", "true"],
        ["2", "3", "true"],
        ["3", "3", "false"],
        ["4", "3", "false"],
    ]


@pytest.mark.parametrize(
    ("changes", "query", "sizes"),
    [
        ({}, "per_page=500", 8),
        ({}, "per_page=2", 8),
        ({"per_page_followed": True}, "per_page=2", 2),
        ({"per_page_followed": True}, "per_page=501", 8),
        ({"per_page_followed": True}, "per_page=none", 8),
        ({}, "page=none", 8),
        ({}, "page=0", 8),
    ],
)
async def test_how_much_a_page_holds(portal, api, changes, query, sizes):
    switch(portal, **changes)
    assert len(ids(await api.get(f"users?{query}"), "user")) == sizes


async def test_past_the_end_may_be_404_or_the_last_page_for_ever(portal, api):
    switch(portal, page_size=5, past_end="not_found")
    assert (await api.get("users?page=3")).status_code == 404
    switch(portal, past_end="repeat")
    for page in (2, 3, 9):
        answer = await api.get(f"users?page={page}")
        assert (ids(answer, "user"), answer.headers["lu-has-next-page"]) == ([5505, 5506, 5508], "true")


@pytest.mark.parametrize(
    ("when", "short", "long"), [("always", True, True), ("long", False, True), ("never", False, False)]
)
async def test_paging_headers_may_be_missing(portal, api, when, short, long):
    switch(portal, paging_headers=when)
    assert ("lu-has-next-page" in (await api.get("users")).headers) is short
    switch(portal, page_size=2, next_page_word="TRUE")
    assert ((await api.get("users")).headers.get("lu-has-next-page") == "TRUE") is long


async def test_what_remains_stands_on_successes_only(api):
    assert (await api.get("portals")).headers["x-lu-rate-limit-remaining-minute"] == "299"
    refused = await api.get("courses/3310")
    assert not [name for name in refused.headers if "rate-limit" in name]
    answer = await api.get("portals")
    assert answer.headers["x-lu-rate-limit-remaining-minute"] == "297"
    assert answer.headers["x-lu-rate-limit-remaining-week"] == "499997"


async def test_a_minute_used_up_is_429_until_it_has_passed(portal, api):
    switch(portal, minute_limit=2)
    assert [(await api.get("portals")).status_code for _ in range(3)] == [200, 200, 429]
    switch(portal, retry_after_s=7)
    answer = await enrol(api, username="rto-204", course_id=3310)
    assert (answer.status_code, answer.headers["retry-after"], effects(portal)) == (429, "7", [])
    portal.clock.advance(60)
    assert (await api.get("portals")).status_code == 200


async def test_a_week_used_up_is_429_without_retry_after(portal, api):
    switch(portal, week_limit=1, minute_limit=0)
    first = await api.get("portals")
    assert first.headers["x-lu-rate-limit-remaining-week"] == "0"
    assert "x-lu-rate-limit-remaining-minute" not in first.headers
    portal.clock.advance(3600)
    answer = await api.get("portals")
    assert answer.status_code == 429 and "retry-after" not in answer.headers
    portal.clock.advance(7 * 86400)
    assert (await api.get("portals")).status_code == 200


# 5, 13: users


async def test_users_stand_under_the_singular_key_without_those_invited(api):
    listed = (await api.get("users")).json()
    assert list(listed) == ["user"]
    assert "pia.pending@example.org" not in [row["email"] for row in listed["user"]]


@pytest.mark.parametrize(
    ("version", "extra"), [("", set()), ("1.1", {"updated_at"}), ("1.2", {"updated_at", "timezone_id"})]
)
async def test_a_version_adds_members_to_users(api, version, extra):
    row = (await api.get("users", params={"version_id": version})).json()["user"][0]
    assert {"updated_at", "timezone_id"} & row.keys() == extra


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"email": "mia.tan@example.org"}, [5501]),
        ({"email": "LIAM.nguyen@example.org"}, [5502]),
        ({"email": "sean.oneil+lms@example.org"}, [5508]),
        ({"username": "rto-204"}, [5503]),
        ({"username": "rto-210"}, [5505]),
        ({"mail": "mia.tan@example.org"}, [5500, 5501, 5502, 5503, 5504, 5505, 5506, 5508]),
    ],
    ids=str,
)
async def test_a_user_is_found_exactly_and_a_mistyped_filter_finds_everybody(api, query, found):
    assert ids(await api.get("users/search", params=query), "user") == found


@pytest.mark.parametrize(
    "query",
    [{"email": "no@example.org"}, {"username": "rto-2"}, {"email": "pia.pending@example.org"}],
    ids=str,
)
async def test_a_search_without_a_hit_is_404_or_an_empty_list(portal, api, query):
    assert refusal(await api.get("users/search", params=query))[0] == 404
    switch(portal, search_miss_empty=True)
    assert (await api.get("users/search", params=query)).json() == {"user": []}


async def test_case_of_an_email_may_matter(portal, api):
    switch(portal, email_case_sensitive=True)
    assert (await api.get("users/search?email=liam.nguyen@example.org")).status_code == 404


async def test_one_user_stands_beside_the_misspelt_field_list(api):
    shown = (await api.get("users/5503")).json()
    assert list(shown) == ["customDataFieldDefintions", "user"]
    assert [(row["username"], row["email"]) for row in shown["user"]] == [("rto-204", None)]
    assert refusal(await api.get("users/5507"))[0] == 404


@pytest.mark.parametrize(
    "body", [NEW, {"user": NEW}, {"User": [NEW]}, [NEW]], ids=["bare", "case", "list", "array"]
)
async def test_a_user_without_the_exact_wrapper_is_404(portal, api, body):
    assert refusal(await api.post("users", json=body)) == (404, "Invalid user parameters provided")
    assert refusal(await api.put("users/5501", json=body)) == (404, "Invalid user parameters provided")
    assert effects(portal) == []


@pytest.mark.parametrize("status", [200, 201])
async def test_a_new_user_is_answered_by_the_id_and_can_be_found(portal, api, status):
    switch(portal, created_status=status)
    answer = await api.post(
        "users", json={"User": {**NEW, "unheard_of": 1, "CustomData": {"USI": "X", "Shoe": 9}}}
    )
    assert (answer.status_code, answer.json()) == (status, {"id": 5601})
    (row,) = (await api.get("users/search?username=rto-300")).json()["user"]
    assert (row["id"], row["email"], row["first_name"]) == (5601, None, "Ann")
    assert (row["CustomData"], row["enabled"]) == ({"USI": "X"}, True)
    assert effects(portal) == [("user_created", "5601")]


@pytest.mark.parametrize(
    ("changes", "given", "text"),
    [
        ({}, {"username": None}, "email or username"),
        ({}, {"username": " "}, "email or username"),
        ({"email_needed": True}, {}, "email: can't be blank"),
        ({}, {"username": "rto-204"}, "username: has already been taken"),
        ({}, {"email": "Mia.Tan@example.org"}, "email: has already been taken"),
        ({}, {"email": "pia.pending@example.org"}, "email: has already been taken"),
        ({}, {"email": "petra.sister@example.org"}, "realm"),
        ({}, {"email": "nobody"}, "email: is not valid"),
        ({}, {"password": "five5"}, "password: is too short"),
        ({}, {"password": None}, "password: is too short"),
        ({"user_limit": 8}, {}, "user limit"),
    ],
    ids=str,
)
async def test_a_user_the_portal_would_not_take_is_400(portal, api, changes, given, text):
    switch(portal, **changes)
    status, message = refusal(await api.post("users", json={"User": {**NEW, **given}}))
    assert status == 400 and text in message
    assert effects(portal) == []


async def test_a_password_may_be_left_out_if_switched_so(portal, api):
    switch(portal, password_needed=False)
    assert (await api.post("users", json={"User": {"username": "rto-301"}})).status_code == 200
    assert (
        await api.post("users", json={"User": {"username": "rto-302", "password": "x"}})
    ).status_code == 400


async def test_a_rule_enrols_every_new_user(portal, api):
    switch(portal, auto_enrol=(3380,))
    await api.post("users", json={"User": NEW})
    (row,) = (await api.get("enrollments/search?username=rto-300")).json()["enrollments"]
    assert (row["course_id"], row["status"]) == (3380, "not_started")
    assert effects(portal) == [("user_created", "5601"), ("enrolled", "3380,5601")]


async def test_a_user_is_changed_by_id_or_by_email(portal, api):
    by_id = await api.put(
        "users/5503",
        json={"User": {"last_name": "Green", "email": "zoe@example.org", "new_email": "zoe2@example.org"}},
    )
    assert by_id.json() == {"id": 5503}
    by_email = await api.put("users/0", json={"User": {"email": "MIA.tan@example.org", "enabled": False}})
    assert by_email.json() == {"id": 5501}
    zoe, mia = [(await api.get(f"users/{id}")).json()["user"][0] for id in (5503, 5501)]
    assert (zoe["last_name"], zoe["email"], mia["enabled"]) == ("Green", "zoe2@example.org", False)
    assert effects(portal) == [("user_changed", "5503"), ("user_changed", "5501")]


@pytest.mark.parametrize(
    ("id", "given", "status"),
    [
        (5503, {"new_email": "mia.tan@example.org"}, 400),
        (5503, {"new_email": "nobody"}, 400),
        (5503, {"username": "rto-211"}, 400),
        (5503, {"password": "x"}, 400),
        (5999, {"last_name": "X"}, 404),
        (0, {"email": "no@example.org"}, 404),
        (0, {"username": "rto-204"}, 404),
    ],
    ids=str,
)
async def test_a_change_that_cannot_be_is_refused(portal, api, id, given, status):
    assert refusal(await api.put(f"users/{id}", json={"User": given}))[0] == status
    assert effects(portal) == []


# 4: courses


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [3310, 3320, 3330, 3340, 3360, 3380]),
        ("name=CERTIFICATE", [3310]),
        ("name=r%26d", [3320]),
        ("name=i%25basics", [3330]),
        ("name=R_D", [3320]),
        ("name=^First", []),
        ("name=Forklift&include_draft=true", [3340, 3350]),
        ("name=Forklift&include_draft=false", [3340]),
        ("name=Certificate&include_all_versions=true", [3300, 3310]),
        ("name=ladder&include_licensed_courses=true", [3370]),
        ("course_id=3310", [3310]),
        ("course_id=3300", []),
        ("course_id=3300&include_all_versions=true", [3300]),
        ("course_id=nonsense", []),
        ("courseid=3310", [3310, 3320, 3330, 3340, 3360, 3380]),
        ("course_id=3310&name=first", []),
    ],
)
async def test_which_courses_are_listed(api, query, found):
    assert ids(await api.get(f"courses?{query}"), "courses") == found


@pytest.mark.parametrize(
    ("kind", "query", "found"),
    [("regex", "name=^first|ladder", [3330]), ("plain", "name=R_D", []), ("plain", "name=r%26d", [3320])],
)
async def test_a_name_may_be_another_kind_of_pattern(portal, api, kind, query, found):
    switch(portal, name_pattern=kind)
    assert ids(await api.get(f"courses?{query}"), "courses") == found


async def test_a_broken_expression_is_400(portal, api):
    switch(portal, name_pattern="regex")
    assert (await api.get("courses?name=(")).status_code == 400


async def test_a_hidden_course_may_be_found_by_its_id(portal, api):
    switch(portal, course_id_finds_hidden=True)
    assert ids(await api.get("courses?course_id=3350"), "courses") == [3350]


async def test_versions_share_a_source_and_the_rest_is_as_switched(portal, api):
    old, new = (await api.get("courses?name=cert&include_all_versions=true")).json()["courses"]
    assert [(row["version"], row["source_id"]) for row in (old, new)] == [(1, 3300), (2, 3300)]
    assert (new["reference_code"], new["number_of_modules"], new["published_status_id"]) == (
        "TST30126",
        6,
        "published",
    )
    switch(portal, status_as_number=True, first_version_has_source=False)
    old, new = (await api.get("courses?name=cert&include_all_versions=true")).json()["courses"]
    assert (old["source_id"], new["source_id"], new["published_status_id"]) == (None, 3300, 2)


async def test_counters_lag_behind(portal, api):
    async def counted():
        return (await api.get("courses?course_id=3310")).json()["courses"][0]["num_enrolled"]

    await enrol(api, username="rto-204", course_id=3310)
    assert await counted() == 1
    switch(portal, counters_lag=False)
    assert await counted() == 2
    switch(portal, counters_lag=True)
    act(portal, "refresh_counters")
    assert await counted() == 2


# 11: modules and live sessions


async def test_a_live_module_has_a_row_for_each_session_in_no_order_of_time(api):
    rows = (await api.get("modules?course_id=3310")).json()["modules"]
    assert len(rows) == 7 and len({row["id"] for row in rows}) == 6
    live = [row for row in rows if row["id"] == 405]
    assert [(row["training_id"], row["session_id"]) for row in live] == [(61, 9001), (61, 9002)]
    assert live[0]["start_at"] == "2026-04-02T01:00:00Z" > live[1]["start_at"]
    assert [(row["number_enrolled_on_session"], row["max_capacity"]) for row in live] == [(3, 10), (10, 10)]
    assert {row["number_of_linked_courses"] for row in live} == {2}


async def test_a_legacy_module_has_one_row_and_empties_in_other_places(api):
    (legacy,) = [
        row for row in (await api.get("modules?course_id=3330")).json()["modules"] if row["id"] == 512
    ]
    (center, _) = [
        row for row in (await api.get("modules?course_id=3380")).json()["modules"] if row["id"] == 405
    ]
    names = ("training_id", "session_id", "location_id", "address_2", "description_text", "session_tutor_id")
    assert [legacy[name] for name in names] == [None, None, None, "", None, None]
    assert [center[name] for name in names] == [61, 9001, -1, None, "About Practice day", 77]
    assert (legacy["assignment_question_text"], center["assignment_question_text"]) == (
        "About Practice day",
        "",
    )
    assert (legacy["title"], legacy["assignment_passing_percentage"]) == (center["title"], "")
    assert legacy.keys() == center.keys()


@pytest.mark.parametrize(
    ("kind", "having"), [("mixed", {72, 74}), ("null", {71, 72, 73, 74, 75}), ("absent", set())]
)
async def test_other_modules_have_null_sessions_or_none(portal, api, kind, having):
    switch(portal, session_keys=kind)
    rows = [row for row in (await api.get("modules?course_id=3310")).json()["modules"] if row["id"] != 405]
    assert {row["id"] for row in rows if "session_id" in row} == having
    assert {row.get("session_id") for row in rows} == {None}


async def test_pages_can_split_the_sessions_of_one_module(portal, api):
    switch(portal, page_size=6)
    first, second = [await api.get(f"modules?course_id=3310&page={page}") for page in (1, 2)]
    assert (ids(first, "modules")[-1], ids(second, "modules")) == (405, [405])


async def test_without_a_course_every_module_is_listed_once(api):
    found = ids(await api.get("modules"), "modules")
    assert (found.count(405), found.count(71), found.count(98)) == (2, 1, 1)
    assert ids(await api.get("modules?course_id=1"), "modules") == []


async def test_sessions_come_and_go(portal, api):
    made = act(portal, "add_session", module_id=405, starts="2026-06-01T09:00:00+08:00")["session_id"]
    act(portal, "drop_session", session_id=9002)
    found = (await api.get("live-learnings/sessions/search?course_id=3310")).json()["sessions"]
    assert [(row["id"], row["start_at"], row["max_capacity"]) for row in found] == [
        (9001, "2026-04-02T01:00:00Z", 10),
        (made, "2026-06-01T01:00:00Z", None),
    ]
    assert len(ids(await api.get("live-learnings/sessions/search"), "sessions")) == 4


@pytest.mark.parametrize(
    ("session", "user", "course", "status"),
    [
        (9001, 5501, 3310, 200),
        (9002, 5501, 3310, 400),
        (9001, 5503, 3310, 400),
        (9003, 5501, 3310, 404),
        (9009, 5501, 3310, 404),
    ],
    ids=["room", "full", "not enrolled", "other course", "unknown"],
)
async def test_a_session_takes_enrolled_learners_while_there_is_room(
    portal, api, session, user, course, status
):
    async def add():
        given = {"course_id": course, "user_id": user}
        return (await api.post(f"live-learnings/sessions/{session}/add_to_session", json=given)).status_code

    assert await add() == status
    assert effects(portal) == ([("session_joined", "9001,5501")] if status == 200 else [])
    assert await add() != 200


# 6: enrolling


@pytest.mark.parametrize(
    "given",
    [
        {"email": "ADA.portal@example.edu.au", "course_id": 3310},
        {"email": "ada.portal@example.edu.au", "course_id": "3310"},
        {"email": "ada.portal@example.edu.au", "course_name": "Certificate III in Testing"},
        {"user_id": 5500, "course_id": 3310},
    ],
    ids=str,
)
async def test_an_enrolment_is_made_and_answered_by_its_id(portal, api, given):
    answer = await enrol(
        api, **given, due_date="2026-04-30", expires_at="2026-05-30", created_at="2020-01-01"
    )
    assert answer.json() == {"id": 880301, "created_at": "2026-03-04T01:00:00Z", "user_id": 5500}
    row = await record(api, 880301)
    assert (row["course_id"], row["course_source_id"], row["version"]) == (3310, 3300, 2)
    assert (row["status"], row["percentage"], row["percentage_complete"]) == ("not_started", None, 0)
    assert (row["due_date"], row["course_access_expires_at"]) == ("2026-04-30", "2026-05-30")
    assert effects(portal) == [("enrolled", "3310,5500")]


@pytest.mark.parametrize(
    "body",
    [{"username": "rto-204", "course_id": 3310}, {"enrollment": {"username": "rto-204", "course_id": 3310}}],
    ids=["bare", "case"],
)
async def test_an_enrolment_without_the_exact_wrapper_is_400(portal, api, body):
    assert refusal(await api.post("enrollments", json=body))[0] == 400
    assert effects(portal) == []


@pytest.mark.parametrize(
    ("changes", "given", "status", "text"),
    [
        ({}, {"course_id": 3320}, 422, "already enrolled"),
        ({"duplicate_status": 400}, {"course_id": 3320}, 400, "already enrolled"),
        ({}, {"username": "rto-211", "course_id": 3380}, 422, "already completed"),
        ({}, {"course_id": 3350}, 400, "try again"),
        ({}, {"course_id": 3360}, 400, "try again"),
        ({}, {"course_id": 3340}, 400, "course capacity reached"),
        ({}, {"course_id": 3300}, 400, "version"),
        ({}, {"course_id": 1}, 404, "No course"),
        ({}, {"course_name": "Certificate"}, 404, "No course"),
        ({}, {}, 404, "No course"),
        ({}, {"username": "rto-999", "course_id": 3310}, 404, "No user"),
        ({"not_found_status": 400}, {"username": "rto-999", "course_id": 3310}, 400, "No user"),
        ({}, {"username": None, "email": "pia.pending@example.org", "course_id": 3310}, 404, "No user"),
        ({"user_id_accepted": False}, {"username": None, "user_id": 5500, "course_id": 3310}, 404, "No user"),
        ({}, {"username": None, "user_id": 5507, "course_id": 3310}, 404, "No user"),
        ({"disabled_refused": True}, {"username": "rto-210", "course_id": 3310}, 400, "not enabled"),
        ({"enrolment_limit": 3}, {"course_id": 3310}, 400, "license limit"),
    ],
    ids=str,
)
async def test_an_enrolment_that_cannot_be_is_refused(portal, api, changes, given, status, text):
    switch(portal, **changes)
    code, message = refusal(await enrol(api, **{"username": "rto-204", **given}))
    assert code == status and text in message
    assert effects(portal) == []


async def test_a_second_session_with_room_lets_learners_in(portal, api):
    act(portal, "set_taken", session_id=9001, taken=10)
    assert refusal(await enrol(api, username="rto-204", course_id=3310)) == (400, "course capacity reached")
    act(portal, "set_taken", session_id=9001, taken=9)
    assert (await enrol(api, username="rto-204", course_id=3310)).status_code == 200


@pytest.mark.parametrize(("wish", "course"), [("accept", 3300), ("newest", 3310)])
async def test_an_old_version_may_be_enrolled_in(portal, api, wish, course):
    switch(portal, old_version=wish)
    made = (await enrol(api, username="rto-204", course_id=3300)).json()["id"]
    assert (await record(api, made))["course_id"] == course


async def test_a_learner_of_an_old_version_is_enrolled_already(portal, api):
    made = act(portal, "new_version", course_id=3320)
    status, _ = refusal(await enrol(api, username="rto-204", course_id=made["id"]))
    assert status == 422


@pytest.mark.parametrize("flag", [True, "true"])
async def test_a_completed_learner_is_enrolled_again_beside_the_old_record(portal, api, flag):
    again = await enrol(api, username="rto-211", course_id=3380, re_enroll_if_completed=flag)
    found = ids(await api.get("enrollments/search?username=rto-211"), "enrollments")
    assert found == [CARL, again.json()["id"]]
    assert (await record(api, CARL))["status"] == "passed"


async def test_after_unenrolment_there_is_a_new_id(portal, api):
    act(portal, "unenrol", enrolment_id=NORA)
    made = (await enrol(api, username="rto-212", course_id=3320)).json()["id"]
    rows = (await api.get("enrollments/search?user_id=5506")).json()["enrollments"]
    assert [(row["id"], row["unenrolled"]) for row in rows] == [(NORA_OLD, True), (NORA, True), (made, False)]


async def test_a_disabled_user_can_be_enrolled_by_default(api):
    assert (await enrol(api, username="rto-210", course_id=3310)).status_code == 200


# reading enrolments


async def test_one_enrolment_is_an_array_of_one_with_its_modules(portal, api):
    row = await record(api, MIA)
    assert (row["status"], row["percentage_complete"], row["email"], row["username"]) == (
        "in_progress",
        33.3,
        "mia.tan@example.org",
        None,
    )
    assert [(each["id"], each["sequence"], each["status"]) for each in row["modules"]] == [
        (71, 1, "completed"),
        (72, 2, "passed"),
        (73, 3, "not_started"),
        (74, 4, "not_started"),
        (75, 5, "not_started"),
        (405, 6, "not_started"),
    ]
    switch(portal, one_in_array=False)
    assert (await api.get(f"enrollments/{MIA}")).json()["enrollment"] == row


@pytest.mark.parametrize(
    ("shown", "one", "searched"), [("always", True, True), ("one", True, False), ("never", False, False)]
)
async def test_modules_may_be_left_out(portal, api, shown, one, searched):
    switch(portal, modules_shown=shown)
    assert ("modules" in await record(api, MIA)) is one
    (row,) = (await api.get("enrollments/search?user_id=5501")).json()["enrollments"]
    assert ("modules" in row) is searched


async def test_module_states_have_a_read_of_their_own(portal, api):
    rows = (await api.get(f"enrollments/{MIA}/modules")).json()["modules"]
    assert rows == (await record(api, MIA))["modules"]
    switch(portal, modules_bare=True, rows_per_session=True)
    assert [row["id"] for row in (await api.get(f"enrollments/{MIA}/modules")).json()] == [
        71,
        72,
        73,
        74,
        75,
        405,
        405,
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user_id=5506", [NORA_OLD, NORA]),
        ("email=MIA.TAN@example.org", [MIA]),
        ("username=rto-204", [ZOE]),
        ("course_id=3320", [ZOE, NORA_OLD, NORA, SEAN]),
        ("course_id=3300", []),
        ("course_name=r%26d methods", [ZOE, NORA_OLD, NORA, SEAN]),
        ("user_id=5506&course_id=3310", []),
        ("user=5506", [MIA, ZOE, CARL, NORA_OLD, NORA, SEAN]),
        ("course_id=3320&group_id=701", [ZOE, NORA_OLD, NORA, SEAN]),
        ("course_id=3320&date_from=2026-02-02", [ZOE, NORA_OLD, NORA, SEAN]),
        ("course_id=3320&date_from=2026-02-03", []),
        ("course_id=3320&date_to=2026-02-01T00:00:00Z", []),
        ("course_id=3320&date_from=x", [ZOE, NORA_OLD, NORA, SEAN]),
    ],
)
async def test_which_enrolments_are_found(api, query, found):
    assert ids(await api.get(f"enrollments/search?{query}"), "enrollments") == found


@pytest.mark.parametrize(("which", "found"), [("completed", [SEAN]), ("updated", [NORA_OLD, SEAN])])
async def test_dates_of_a_search_may_be_others(portal, api, which, found):
    switch(portal, dates_look_at=which)
    assert (
        ids(await api.get("enrollments/search?course_id=3320&date_from=2026-02-03"), "enrollments") == found
    )


async def test_a_search_without_a_hit_may_be_404(portal, api):
    switch(portal, search_miss_status=404)
    assert refusal(await api.get("enrollments/search?user_id=1"))[0] == 404


@pytest.mark.parametrize("path", ["enrollments/1", "enrollments/1/modules"])
async def test_an_unknown_enrolment_is_404(api, path):
    assert refusal(await api.get(path))[0] == 404


@pytest.mark.parametrize(("readable", "status"), [(True, 200), (False, 404)])
async def test_an_unenrolled_record_may_be_readable(portal, api, readable, status):
    switch(portal, unenrolled_readable=readable)
    assert (await api.get(f"enrollments/{NORA_OLD}")).status_code == status


# 10: percentage_complete


async def test_percentage_complete_is_null_for_bulk_and_by_hand(portal, api):
    (bulk,) = act(portal, "bulk_enrol", course_id=3310, user_ids=[5503])
    act(portal, "mark_complete", enrolment_id=NORA, status="passed", percentage=75)
    rows = [await record(api, id) for id in (bulk, SEAN, NORA)]
    assert [row["percentage_complete"] for row in rows] == [None] * 3
    assert [(row["status"], row["percentage"]) for row in rows] == [
        ("not_started", None),
        ("completed", None),
        ("passed", 75),
    ]


@pytest.mark.parametrize("percent", [40, 66.7, 100, None, "abc"])
async def test_a_percentage_is_shown_as_it_is_set(portal, api, percent):
    act(portal, "set_progress", enrolment_id=str(ZOE), percent=percent)
    row = await record(api, ZOE)
    assert (row["status"], row["percentage_complete"]) == ("in_progress", percent)


async def test_progress_counts_modules_and_completes_with_the_last(portal, api):
    shown = act(portal, "complete_module", enrolment_id=ZOE, module_id=81, at="2026-03-03T23:30:00+08:00")
    assert (shown["status"], shown["percentage_complete"], shown["date_started"]) == (
        "in_progress",
        50,
        "2026-03-03T15:30:00Z",
    )
    act(portal, "complete_module", enrolment_id=ZOE, module_id=82, status="failed")
    assert (await record(api, ZOE))["percentage_complete"] == 50
    act(portal, "add_module", course_id=3320, title="Write it up")
    assert (await record(api, ZOE))["percentage_complete"] == 33.3
    for module in (82, 601):
        act(portal, "complete_module", enrolment_id=ZOE, module_id=module)
    row = await record(api, ZOE)
    assert (row["status"], row["percentage_complete"], row["date_completed"]) == (
        "completed",
        100,
        "2026-03-04T01:00:00Z",
    )


@pytest.mark.parametrize(
    ("status", "completed"),
    [("completed", True), ("passed", True), ("failed", True), ("pending_review", False)],
)
async def test_a_learner_comes_to_one_end_or_another(portal, api, status, completed):
    act(portal, "complete", enrolment_id=ZOE, status=status, score=55)
    row = await record(api, ZOE)
    assert (row["status"], row["percentage"], row["percentage_complete"]) == (status, 55, 100)
    assert (row["date_completed"] is not None) is completed


async def test_null_everywhere_by_switch(portal, api):
    switch(portal, percent_null=True)
    assert (await record(api, MIA))["percentage_complete"] is None


async def test_progress_can_be_lost(portal, api):
    act(portal, "set_progress", enrolment_id=MIA, percent=90)
    act(portal, "set_progress", enrolment_id=MIA, percent=20)
    assert (await record(api, MIA))["percentage_complete"] == 20
    act(portal, "reset_progress", enrolment_id=MIA)
    row = await record(api, MIA)
    assert (row["status"], row["percentage_complete"], row["date_started"]) == ("not_started", 0, None)


# 8: dates


@pytest.mark.parametrize(
    ("body", "due", "ends", "counted"),
    [
        ({"due_date": "2026-04-30"}, "2026-04-30", None, 1),
        ({"expires_at": "2026-05-01"}, None, "2026-05-01", 1),
        ({"expiry_date": "2026-05-02"}, None, "2026-05-02", 1),
        ({"Enrollment": {"due_date": "2026-04-30"}}, None, None, 0),
        ({"status": "completed", "percentage": 100}, None, None, 0),
        ({"due_date": 7}, None, None, 0),
        ([], None, None, 0),
    ],
    ids=str,
)
async def test_a_patch_changes_dates_only_and_says_ok_to_everything(portal, api, body, due, ends, counted):
    answer = await api.patch(f"enrollments/{MIA}", json=body)
    assert (answer.status_code, answer.json()) == (200, {"success": "ok"})
    row = await record(api, MIA)
    assert (row["due_date"], row["course_access_expires_at"], row["status"]) == (due, ends, "in_progress")
    assert portal.journal.effect_counts["dates_changed"] == counted


async def test_a_patch_of_nothing_is_404(api):
    assert (await api.patch("enrollments/1", json={})).status_code == 404


# 7: deleting

TRUE = {"remove_from_history": "true"}


@pytest.mark.parametrize(
    ("id", "body", "left", "effect"),
    [
        pytest.param(ZOE, None, None, "unenrolled", id="not started"),
        pytest.param(MIA, None, True, "unenrolled", id="in progress"),
        pytest.param(CARL, None, False, None, id="completed"),
        pytest.param(CARL, {"remove_from_history": "yes"}, False, None, id="completed, other text"),
        pytest.param(CARL, {"Enrollment": TRUE}, False, None, id="completed, wrapped"),
        pytest.param(CARL, TRUE, None, "history_removed", id="completed, erased"),
        pytest.param(MIA, TRUE, None, "unenrolled", id="in progress, erased"),
        pytest.param(NORA_OLD, None, True, None, id="unenrolled"),
        pytest.param(NORA_OLD, TRUE, None, "history_removed", id="unenrolled, erased"),
    ],
)
async def test_what_a_delete_leaves(portal, api, id, body, left, effect):
    was = portal.vendor.portal.enrolments[id]
    answer = await end(api, id, body)
    assert (answer.status_code, answer.json()) == (200, {"success": "ok"})
    assert effects(portal) == ([] if effect is None else [(effect, f"{was.course_id},{was.user_id}")])
    read = await api.get(f"enrollments/{id}")
    found = ids(await api.get("enrollments/search"), "enrollments")
    assert (read.status_code == 404, id in found) == (left is None, left is not None)
    if left is not None:
        assert (await record(api, id))["unenrolled"] is left


@pytest.mark.parametrize("id", [CARL, MIA])
@pytest.mark.parametrize("flag", [True, False])
async def test_a_delete_with_a_boolean_flag_is_400(portal, api, id, flag):
    answer = await end(api, id, {"remove_from_history": flag})
    assert refusal(answer) == (400, "invalid deletion request, failed to find the enrollment")
    assert effects(portal) == []


async def test_deleting_what_is_not_there_is_404(api):
    await end(api, ZOE)
    assert (await end(api, ZOE)).status_code == 404


@pytest.mark.parametrize("status", [400, 404])
async def test_deleting_an_unenrolled_record_may_be_refused(portal, api, status):
    switch(portal, unenrolled_delete_status=status)
    assert (await end(api, NORA_OLD)).status_code == status


async def test_the_answer_to_a_delete_may_be_empty(portal, api):
    switch(portal, delete_body_empty=True)
    answer = await end(api, ZOE)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_an_enrolment_in_progress_may_be_gone_and_a_removed_one_readable(portal, api):
    switch(portal, in_progress_deleted="gone", removed_readable=True)
    await end(api, MIA)
    assert (await record(api, MIA))["unenrolled"] is True
    assert MIA not in ids(await api.get("enrollments/search"), "enrollments")


async def test_the_audit_trail_shows_unenrolments_of_thirty_days(portal, api):
    await end(api, MIA)
    act(portal, "unenrol", enrolment_id=NORA)
    rows = (await api.get("audit-trails?action=2")).json()["audit_trails"]
    assert [(row["enrollment_id"], row["user_id"]) for row in rows] == [(MIA, 5501), (NORA, 5506)]
    assert (await api.get("audit-trails?action=1")).json()["audit_trails"] == []
    portal.clock.advance(31 * 86400)
    assert (await api.get("audit-trails?action=2")).json()["audit_trails"] == []


# 9: results by hand


@pytest.mark.parametrize(
    ("given", "score"),
    [
        ({"status": "passed", "percentage": 85}, 85),
        ({"status": "failed", "percentage": 0}, 0),
        ({"status": "completed"}, None),
    ],
    ids=str,
)
async def test_a_result_is_set_for_the_whole_enrolment(portal, api, given, score):
    answer = await mark(api, MIA, **given, date_completed="2026-02-20T00:00:00Z", award_certs=True)
    assert answer.json() == {"id": 4101}
    row = await record(api, MIA)
    assert (row["status"], row["percentage"], row["percentage_complete"]) == (given["status"], score, None)
    assert (row["date_completed"], row["certificate_name"]) == (
        "2026-02-20T00:00:00Z",
        "Certificate III in Testing",
    )
    assert effects(portal) == [("result_set", "3310,5501")]


@pytest.mark.parametrize(
    ("id", "given", "status", "text"),
    [
        (MIA, {"status": "in_progress"}, 400, "failed to process the completion"),
        (MIA, {}, 400, "failed to process the completion"),
        (
            MIA,
            {"status": "completed", "percentage": 100},
            400,
            "percentage: should not be present for completed status",
        ),
        (MIA, {"status": "passed"}, 400, "percentage"),
        (MIA, {"status": "failed", "percentage": 101}, 400, "percentage"),
        (MIA, {"status": "passed", "percentage": "85"}, 400, "percentage"),
        (MIA, {"status": "completed", "notes": "n" * 2001}, 400, "notes"),
        (CARL, {"status": "completed"}, 400, "failed to process the completion"),
        (NORA_OLD, {"status": "completed"}, 400, "failed to process the completion"),
        (SEAN, {"status": "completed"}, 400, "already exists"),
        (1, {"status": "completed"}, 404, "No enrollment"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_result_that_cannot_be_is_refused(portal, api, id, given, status, text):
    code, message = refusal(await mark(api, id, **given))
    assert code == status and text in message
    assert effects(portal) == []


@pytest.mark.parametrize("wrapper", ["MarkComplete", "markcomplete"])
async def test_a_result_without_the_exact_wrapper_is_400(portal, api, wrapper):
    answer = await api.post("markcompletes", json={wrapper: {"enrollment_id": MIA, "status": "completed"}})
    assert refusal(answer)[0] == 400 and effects(portal) == []


async def test_a_relaunch_takes_the_completion_back_and_the_result_still_exists(portal, api):
    await mark(api, MIA, status="completed")
    act(portal, "relaunch", enrolment_id=MIA)
    row = await record(api, MIA)
    assert (row["status"], row["date_completed"], row["percentage_complete"]) == ("in_progress", None, None)
    assert "already exists" in refusal(await mark(api, MIA, status="completed"))[1]


async def test_a_relaunch_after_a_learners_own_completion_counts_the_modules(portal, api):
    act(portal, "complete", enrolment_id=MIA)
    act(portal, "relaunch", enrolment_id=MIA)
    assert (await record(api, MIA))["percentage_complete"] == 33.3


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [4001, 4101]),
        ("user_id=5508", [4001]),
        (f"enrollment_id={MIA}", [4101]),
        ("course_id=3320", [4001]),
        ("id=4101", [4101]),
        ("user=1", [4001, 4101]),
    ],
)
async def test_results_are_listed_with_who_set_them(api, query, found):
    await mark(api, MIA, status="completed", notes="entered by RTO")
    rows = (await api.get(f"markcompletes?{query}")).json()["markcompletes"]
    assert [row["id"] for row in rows] == found
    who = {4001: ("UI", 5500), 4101: ("API", None)}
    assert [(row["action_source_type"], row["user_id"]) for row in rows] == [who[id] for id in found]


# groups


async def test_a_group_is_made_and_found_by_its_title(portal, api):
    assert (await api.post("groups", json={"Group": {"title": "Night class"}})).json() == {"id": 801}
    assert ids(await api.get("groups?title=NIGHT class"), "groups") == [801]
    assert ids(await api.get("groups?name=Night class"), "groups") == [701, 702, 801]
    for body in ({"title": "X"}, {"Group": {"title": " "}}, {"Group": {"title": "whs 2026"}}):
        assert refusal(await api.post("groups", json=body))[0] == 400
    assert effects(portal) == [("group_created", "801")]


async def join(api, **given):
    return await api.post("group_memberships", json={"GroupMembership": given})


@pytest.mark.parametrize("leaving", ["by id", "by pair", "by pair, wrapped"])
async def test_joining_and_leaving_a_group_can_enrol_and_unenrol(portal, api, leaving):
    joined = (await join(api, group_id=701, user_id=5503, process_enrollments=True)).json()["id"]
    flags = {"process_unenrollments": "true"}
    pair = {"group_id": 701, "user_id": 5503, **flags}
    path, body = {
        "by id": (joined, flags),
        "by pair": (0, pair),
        "by pair, wrapped": (0, {"GroupMembership": pair}),
    }[leaving]
    answer = await api.request("DELETE", f"group_memberships/{path}", json=body)
    assert answer.json() == {"success": "ok"}
    assert effects(portal) == [
        ("group_joined", "701,5503"),
        ("enrolled", "3380,5503"),
        ("group_left", "701,5503"),
        ("unenrolled", "3380,5503"),
    ]


async def test_memberships_are_listed_under_what_was_not_asked_for(portal, api):
    joined = (await join(api, group_id=701, user_id=5503)).json()["id"]
    (member,) = (await api.get("group_memberships?group_id=701")).json()["user"]
    (group,) = (await api.get("group_memberships?user_id=5503")).json()["group"]
    assert (member["user_id"], member["username"]) == (5503, "rto-204")
    assert (group["group_membership_id"], group["title"]) == (joined, "WHS 2026")
    assert effects(portal) == [("group_joined", "701,5503")]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"group_id": 999, "user_id": 5503}, 404),
        ({"group_id": 701, "user_id": 5507}, 404),
        ({"group_id": 701, "user_id": 5501}, 400),
    ],
    ids=["no group", "invited only", "member already"],
)
async def test_a_membership_that_cannot_be_is_refused(api, given, status):
    await join(api, group_id=701, user_id=5501)
    assert (await join(api, **given)).status_code == status
    assert (await api.post("group_memberships", json=given)).status_code == 400
    assert (await api.delete("group_memberships/1")).status_code == 404


async def test_a_group_enrols_only_where_that_is_possible(portal, api):
    portal.vendor.portal.groups[702].course_ids = [3340, 3380]
    await join(api, group_id=702, user_id=5504, process_enrollments=True)  # 3340 is full, 3380 completed
    assert effects(portal) == [("group_joined", "702,5504")]


# what administrators do


async def test_an_invited_person_appears_on_accepting(portal, api):
    act(portal, "invite", email="ivy@example.org")
    assert (await api.get("users/search?email=ivy@example.org")).status_code == 404
    act(portal, "accept_invite", email="ivy@example.org")
    assert (await enrol(api, email="ivy@example.org", course_id=3310)).status_code == 200


@pytest.mark.parametrize(
    ("learners", "courses"), [("stay", [3310]), ("move", [3501]), ("new_record", [3310, 3501])]
)
async def test_a_new_version_does_one_thing_or_another_with_its_learners(portal, api, learners, courses):
    made = act(portal, "new_version", course_id=3310, learners=learners)
    assert (made["id"], made["version"], made["source_id"]) == (3501, 3, 3300)
    rows = (await api.get("enrollments/search?user_id=5501")).json()["enrollments"]
    assert [row["course_id"] for row in rows] == courses
    assert {row["course_source_id"] for row in rows} == {3300}
    assert ids(await api.get("courses?name=certificate"), "courses") == [3501]


async def test_recertification_makes_a_further_record(portal, api):
    made = act(portal, "re_enrol", enrolment_id=CARL, recertified=True, unenrol_old=True)
    rows = (await api.get("enrollments/search?user_id=5504")).json()["enrollments"]
    assert [(row["id"], row["unenrolled"], row["was_recertified"]) for row in rows] == [
        (CARL, True, False),
        (made["id"], False, True),
    ]


async def test_people_and_records_can_vanish(portal, api):
    act(portal, "remove", enrolment_id=NORA)
    assert (await api.get(f"enrollments/{NORA}")).status_code == 404
    assert act(portal, "delete_user", user_id=5508) == {"user_id": 5508, "enrolments": 1}
    assert (await api.get(f"enrollments/{SEAN}")).status_code == 404
    assert (await api.get("markcompletes")).json()["markcompletes"] == []


async def test_courses_and_many_learners_are_added(portal, api):
    made = act(portal, "add_course", name="Bolts & Nuts", modules=["One", "Two"])
    many = act(portal, "add_learners", course_id=made["course_id"], count=3)
    rows = (await api.get("enrollments/search", params={"course_name": "Bolts & Nuts"})).json()["enrollments"]
    assert [(row["id"], row["username"]) for row in rows] == [(id, f"many-{n}") for n, id in enumerate(many)]
    act(portal, "set_enabled", user_id=rows[0]["user_id"], enabled=False)
    switch(portal, disabled_refused=True)
    assert (await enrol(api, username="many-0", course_id=3310)).status_code == 400


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_progress", {"enrolment_id": 1, "percent": 5}),
        ("complete_module", {"enrolment_id": MIA, "module_id": 81}),
        ("complete_module", {"enrolment_id": MIA, "module_id": 71, "status": "not_started"}),
        ("complete", {"enrolment_id": MIA, "status": "in_progress"}),
        ("complete", {"enrolment_id": MIA, "at": "2026-03-04T01:00:00"}),
        ("mark_complete", {"enrolment_id": SEAN}),
        ("bulk_enrol", {"course_id": 3310, "user_ids": [5507]}),
        ("add_learners", {"course_id": 3310, "count": 0}),
        ("accept_invite", {"email": "no@example.org"}),
        ("new_version", {"course_id": 3300}),
        ("new_version", {"course_id": 3310, "learners": "vanish"}),
        ("add_course", {"name": "X", "status": "old"}),
        ("add_session", {"module_id": 71, "starts": "2026-06-01T09:00:00Z"}),
        ("add_session", {"module_id": 512, "starts": "2026-06-01T09:00:00Z"}),
        ("drop_session", {"session_id": 1}),
        ("tell", {"enrolment_id": MIA, "module_id": 81}),
        ("resend", {"event_id": "event-9"}),
        ("replay", {}),
        ("replay", {"version": 3}),
    ],
    ids=str,
)
async def test_an_action_that_makes_no_sense_is_refused(portal, api, name, arguments):
    answer = await api.post(f"http://lms.test/_control/act/{name}", json=arguments)
    assert answer.status_code == 400 and answer.json()["error"]


# 15: faults, and the rest of the shared half


@pytest.mark.parametrize(
    ("fault", "status", "content"),
    [
        (Fault(kind="html", status=502), 502, "<html>"),
        (Fault(kind="answer", body='{"courses":[{"id":1},]}'), 200, '{"courses":[{"id":1},]}'),
        (Fault(kind="empty"), 200, ""),
        (Fault(kind="error"), 500, '"response_code":500'),
        (Fault(kind="too_many", retry_after=3), 429, '"response_type":"ERROR"'),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
async def test_faults_look_as_the_sheet_says(portal, api, fault, status, content):
    portal.faults.arm(fault)
    answer = await api.get("courses")
    assert answer.status_code == status and content in answer.text
    assert (await api.get("courses")).status_code == 200


async def test_an_enrolment_whose_answer_was_lost_is_there(portal, api):
    portal.faults.arm(Fault(kind="lost_answer", method="POST", path="/enrollments"))
    with pytest.raises(AnswerLost):
        await enrol(api, username="rto-204", course_id=3310)
    assert ids(await api.get("enrollments/search?username=rto-204&course_id=3310"), "enrollments") == [880301]


async def test_calls_are_counted_by_endpoint(portal, api):
    for path in (
        f"enrollments/{MIA}",
        f"enrollments/{ZOE}",
        f"enrollments/{MIA}/modules",
        "users/search?email=x",
    ):
        await api.get(path)
    await api.get("http://lms.test/elsewhere")
    assert dict(portal.journal.calls) == {
        "GET enrollments/ID": 2,
        "GET enrollments/ID/modules": 1,
        "GET users/search": 1,
        "GET /elsewhere": 1,
    }


async def test_the_state_shows_each_enrolment_with_its_learner(portal, api):
    await enrol(api, username="rto-204", course_id=3310)
    state = (await api.get("http://lms.test/_control/state")).json()
    (row,) = [each for each in state["enrolments"] if each["id"] == 880301]
    names = (
        "user_id",
        "username",
        "email",
        "course_id",
        "course_source_id",
        "status",
        "active",
        "unenrolled",
    )
    assert [row[name] for name in names] == [5503, "rto-204", None, 3310, 3300, "not_started", True, False]
    assert row["enrolled"] == "2026-03-04T01:00:00+00:00"


async def test_a_reset_brings_the_seed_back(portal, api):
    await end(api, ZOE)
    switch(portal, page_size=1)
    await api.post("http://lms.test/_control/reset")
    assert len(ids(await api.get("enrollments/search"), "enrollments")) == 6
    assert effects(portal) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"past_end": "loop"},
        {"created_status": 204},
        {"page_size": 0},
        {"hook_v2_batch": 11},
        {"hook_v2_batch": 0},
        {"hook_at_once": 0},
        {"hook_duplicates": -1},
        {"hook_v1_as": "xml"},
    ],
    ids=str,
)
def test_a_switch_with_an_odd_value_is_refused(odd):
    with pytest.raises(ValueError):
        Switches(**odd)


async def test_switches_are_turned_over_the_control_surface(api):
    changed = {"auto_enrol": [3310], "old_version": "newest", "hook_retries": [0.01]}
    answer = await api.post("http://lms.test/_control/switches", json=changed)
    assert {name: answer.json()[name] for name in changed} == changed
    assert (
        await api.post("http://lms.test/_control/switches", json={"old_version": "any"})
    ).status_code == 400


def test_it_runs_as_a_process():
    command = [sys.executable, "-m", "gateway.sandbox.learnupon", "--port", "0", "--password", "p"]
    with subprocess.Popen(
        [*command, "--switches", '{"page_size": 2}'], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening on ").strip()
            answer = httpx.get(f"{url}/api/v1/courses", auth=(USERNAME, "p"), trust_env=False)
            assert len(answer.json()["courses"]) == 2
        finally:
            process.terminate()
