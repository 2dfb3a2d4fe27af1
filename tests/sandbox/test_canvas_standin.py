"""The Canvas stand-in against its fact sheet (vendors/canvas.md 1 to 3 and 5): everything but live events."""

import http.client
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.sandbox import canvas
from gateway.sandbox.canvas import create_canvas
from gateway.sandbox.canvas_grades import graded
from gateway.sandbox.canvas_login import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TOKEN
from gateway.sandbox.canvas_params import params_of
from gateway.sandbox.canvas_seed import LIAM, MIA, SHARED, TEACHER, ZOE
from gateway.sandbox.canvas_state import SHARD, Assignment
from gateway.sandbox.canvas_switches import Switches
from gateway.sandbox.faults import Fault
from gateway.sandbox.serve import running

ROOT = Path(canvas.__file__).parents[2]
START = datetime(2026, 3, 2, 1, 10, tzinfo=UTC)
STRING_IDS = "application/json+canvas-string-ids"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
NEW = {"user": {"name": "Ann New"}, "pseudonym": {"unique_id": "rtop-300", "sis_user_id": "rtop-300"}}
NOT_FOUND = {"errors": [{"message": "The specified resource does not exist."}]}
FORBIDDEN = {
    "status": "unauthorized",
    "errors": [{"message": "user not authorized to perform that action"}],
}


@pytest.fixture
def lms():
    return create_canvas(start=START)


@pytest.fixture
async def api(lms):
    async with client_of(lms) as client:
        yield client


def client_of(lms, **headers):
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(lms), base_url="http://lms.test/api/v1/", headers=headers or BEARER
    )


def switch(lms, **changes):
    lms.vendor.switches = replace(lms.vendor.switches, **changes)


def act(lms, action, /, **arguments):
    return lms.vendor.actions[action](**arguments)


def effects(lms):
    return [(effect.kind, effect.what) for effect in lms.journal.effects]


def refusal(answer):
    return answer.status_code, answer.json()


def ids(answer):
    return [row["id"] for row in answer.json()]


async def enrol(api, course=3571, **enrolment):
    return await api.post(f"courses/{course}/enrollments", json={"enrollment": enrolment})


async def state_of(api, id):
    return (await api.get(f"accounts/self/enrollments/{id}")).json()["enrollment_state"]


def links(answer):
    """The Link header by relation."""
    parts = [part.split("; ") for part in answer.headers.get("link", "").split(",") if part]
    return {rel.removeprefix('rel="').rstrip('"'): url.strip("<>") for url, rel in parts}


async def all_rows(api, path):
    """Following `next` as it is given."""
    answer = await api.get(path)
    rows = answer.json()
    while "next" in links(answer):
        answer = await api.get(links(answer)["next"])
        rows += answer.json()
    return rows


# tokens


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}"])
async def test_a_wrong_token_is_401_with_the_header_that_says_so(lms, header):
    async with client_of(lms, Authorization=header) as api:
        answer = await api.get("courses/3571")
    assert refusal(answer) == (401, {"errors": [{"message": "Invalid access token."}]})
    assert answer.headers["www-authenticate"] == 'Bearer realm="canvas-lms"'


async def test_a_token_in_the_query_or_body_works_but_is_in_no_link(lms):
    async with client_of(lms, Accept="*/*") as api:
        answer = await api.get(f"accounts/self/courses?access_token={TOKEN}")
        made = await api.post(
            "courses/3571/enrollments", json={"access_token": TOKEN, "enrollment": {"user_id": ZOE}}
        )
    assert (answer.status_code, made.status_code) == (200, 200)
    assert TOKEN not in answer.headers["link"]


async def test_a_hand_made_token_can_come_to_its_end(lms, api):
    act(lms, "end_token")
    assert (await api.get("users/self")).status_code == 401


async def test_an_expired_token_by_fault_is_401_once_and_changes_nothing(lms, api):
    lms.faults.arm(Fault(kind="expired_token"))
    assert (await enrol(api, user_id=ZOE)).status_code == 401
    assert effects(lms) == []
    assert (await api.get("users/self")).status_code == 200


# OAuth


async def token(lms, **given):
    key = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    async with client_of(lms, Accept="*/*") as client:
        return await client.post("http://lms.test/login/oauth2/token", data={**key, **given})


async def refreshed(lms, refresh=REFRESH_TOKEN):
    return (await token(lms, grant_type="refresh_token", refresh_token=refresh)).json()


async def status_with(lms, access):
    async with client_of(lms, Authorization=f"Bearer {access}") as client:
        return (await client.get("users/self")).status_code


async def test_a_refresh_gives_a_token_for_an_hour_and_no_new_refresh_token(lms):
    answer = await refreshed(lms)
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    assert "refresh_token" not in answer
    assert effects(lms) == [("token_issued", "refresh_token")]
    lms.clock.advance(3599)
    assert await status_with(lms, answer["access_token"]) == 200
    lms.clock.advance(1)
    assert await status_with(lms, answer["access_token"]) == 401


@pytest.mark.parametrize(("voids", "status"), [(True, 401), (False, 200)])
async def test_a_refresh_ends_the_token_before_it_unless_switched(lms, voids, status):
    switch(lms, refresh_voids_older=voids)
    first = (await refreshed(lms))["access_token"]
    second = (await refreshed(lms))["access_token"]
    assert (await status_with(lms, first), await status_with(lms, second)) == (status, 200)


async def test_refresh_tokens_may_rotate(lms):
    switch(lms, refresh_rotates=True)
    newer = (await refreshed(lms))["refresh_token"]
    assert "error" in await refreshed(lms)
    assert "access_token" in await refreshed(lms, newer)


async def test_tokens_expire_and_consents_end_on_demand(lms):
    access = (await refreshed(lms))["access_token"]
    act(lms, "expire_tokens")
    assert await status_with(lms, access) == 401
    access = (await refreshed(lms))["access_token"]
    act(lms, "end_consent")
    assert await status_with(lms, access) == 401
    assert (await refreshed(lms))["error"] == "invalid_grant"


async def test_a_code_from_the_consent_page_is_good_once_for_its_own_address(lms):
    back = "https://gateway.example/back"
    asked = {"client_id": CLIENT_ID, "response_type": "code", "redirect_uri": back, "state": "xyz"}
    async with client_of(lms, Accept="*/*") as client:
        page = await client.get("http://lms.test/login/oauth2/auth", params=asked)
    to = urlsplit(page.headers["location"])
    found = parse_qs(to.query)
    assert (page.status_code, to.netloc, found["state"]) == (302, "gateway.example", ["xyz"])
    grant = {"grant_type": "authorization_code", "code": found["code"][0]}
    assert (await token(lms, **grant, redirect_uri="https://other.example")).status_code == 400
    answer = (await token(lms, **grant, redirect_uri=back)).json()
    assert answer["user"] == {"id": 8001, "name": "Ada Admin"}
    assert "access_token" in await refreshed(lms, answer["refresh_token"])
    assert (await token(lms, **grant, redirect_uri=back)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("given", "status", "error"),
    [
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "no"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "client_secret": "no"}, 401, "invalid_client"),
    ],
)
async def test_a_grant_that_is_not_there_is_refused(lms, given, status, error):
    answer = await token(lms, **given)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert effects(lms) == []


@pytest.mark.parametrize(
    "asked", [{"client_id": "no", "redirect_uri": "https://x.example"}, {"client_id": CLIENT_ID}]
)
async def test_no_code_goes_to_an_unknown_client_or_to_nowhere(lms, asked):
    async with client_of(lms, Accept="*/*") as client:
        assert (await client.get("http://lms.test/login/oauth2/auth", params=asked)).status_code == 400


# two kinds of 403, and what the token may


RIGHTS = [
    ("may_read_courses", "GET", "accounts/self/courses"),
    ("may_read_courses", "GET", "courses/3571"),
    ("may_manage_users", "GET", "accounts/self/users"),
    ("may_manage_users", "GET", f"users/{MIA}"),
    ("may_manage_users", "POST", "accounts/self/users"),
    ("may_manage_users", "PUT", f"users/{MIA}"),
    ("may_manage_users", "GET", f"users/{MIA}/courses"),
    ("may_manage_enrolments", "POST", "courses/3571/enrollments"),
    ("may_manage_enrolments", "POST", "sections/4100/enrollments"),
    ("may_manage_enrolments", "DELETE", "courses/3571/enrollments/91240"),
    ("may_manage_enrolments", "PUT", "courses/3571/enrollments/91240/reactivate"),
    ("may_manage_enrolments", "POST", "accounts/self/bulk_enrollment"),
    ("may_view_grades", "GET", "courses/3571/bulk_user_progress"),
    ("may_view_grades", "GET", f"courses/3571/users/{MIA}/progress"),
    ("may_view_grades", "PUT", f"courses/3571/assignments/7710/submissions/{MIA}"),
]


@pytest.mark.parametrize(("right", "method", "path"), RIGHTS)
async def test_what_the_token_may_not_is_403_or_401_without_the_bearer_header(lms, api, right, method, path):
    switch(lms, **{right: False})
    answer = await api.request(method, path)
    assert refusal(answer) == (403, FORBIDDEN)
    switch(lms, forbidden_status=401)
    answer = await api.request(method, path)
    assert refusal(answer) == (401, FORBIDDEN)
    assert "www-authenticate" not in answer.headers
    assert effects(lms) == []


async def test_throttling_is_a_403_in_plain_text_with_nothing_left(lms, api):
    act(lms, "throttle", times=1)
    answer = await enrol(api, user_id=ZOE)
    assert (answer.status_code, answer.text) == (403, "403 Forbidden (Rate Limit Exceeded)")
    assert answer.headers["content-type"].startswith("text/plain")
    assert float(answer.headers["x-rate-limit-remaining"]) <= 0
    assert effects(lms) == []
    assert (await api.get("users/self")).status_code == 200
    switch(lms, throttled_status=429)
    act(lms, "throttle", times=1)
    assert (await api.get("users/self")).status_code == 429


async def test_every_answer_tells_its_cost_and_what_is_left_in_the_bucket(lms, api):
    switch(lms, quota=2.0, request_cost=1.0, refill_per_s=0.5)
    answers = [await api.get("users/self"), await api.get("users/99"), await api.get("users/self")]
    assert [answer.status_code for answer in answers] == [200, 404, 403]
    assert [float(answer.headers["x-request-cost"]) for answer in answers] == [1.0] * 3
    assert [float(answer.headers["x-rate-limit-remaining"]) for answer in answers] == [1.0, 0.0, 0.0]
    lms.clock.advance(2)
    assert (await api.get("users/self")).status_code == 200


async def test_buckets_belong_to_tokens(lms, api):
    switch(lms, quota=1.0, request_cost=1.0)
    assert [(await api.get("users/self")).status_code for _ in "12"] == [200, 403]
    assert await status_with(lms, (await refreshed(lms))["access_token"]) == 200


async def test_without_throttling_no_remainder_is_told(lms, api):
    switch(lms, quota=0.0)
    answer = await api.get("users/self")
    assert "x-rate-limit-remaining" not in answer.headers
    assert answer.headers["x-request-cost"] == "0.5"


async def test_a_call_outside_the_scopes_is_401(lms, api):
    switch(lms, scopes=("url:GET|/api/v1/courses/:id",))
    assert (await api.get("courses/3571")).status_code == 200
    assert (await api.get("courses/3571/enrollments")).status_code == 401
    assert (await enrol(api, user_id=ZOE)).status_code == 401


# ids and paths


async def test_ids_are_texts_when_the_accept_header_asks_for_it(lms, api):
    plain = (await api.get("accounts/self/enrollments/91240")).json()
    texts = (await api.get("accounts/self/enrollments/91240", headers={"Accept": STRING_IDS})).json()
    assert (plain["id"], plain["user"]["id"], plain["role_id"]) == (91240, MIA, 3)
    assert (texts["id"], texts["user"]["id"], texts["role_id"]) == ("91240", str(MIA), "3")
    assert texts["course_id"] == "3571"
    assert (texts["total_activity_time"], texts["associated_user_id"]) == (0, None)
    listed = await api.get("accounts/self/courses", headers={"Accept": f"{STRING_IDS}, */*"})
    assert all(isinstance(row["id"], str) for row in listed.json())


async def test_an_id_beyond_the_doubles_keeps_its_digits(api):
    assert SHARED > 2**53 and int(float(SHARED)) != SHARED
    answer = await api.get(f"courses/{SHARED}")
    assert f'"id":{SHARED},' in answer.text
    answer = await api.get(f"courses/{SHARED}", headers={"Accept": STRING_IDS})
    assert answer.json()["id"] == str(SHARED)


@pytest.mark.parametrize(
    ("path", "id"),
    [
        pytest.param("users/8121", MIA, id="id"),
        pytest.param(f"users/{SHARD + MIA}", MIA, id="global id"),
        pytest.param("users/self", 8001, id="self"),
        pytest.param("users/sis_user_id:rtop-204", MIA, id="sis id"),
        pytest.param("users/sis_user_id%3Artop-204", MIA, id="colon encoded"),
        pytest.param("users/sis_user_id:rtop%2F2%2E5", ZOE, id="slash and dot encoded"),
        pytest.param("users/sis_user_id:rtop%2f2.5", ZOE, id="lower case, dot as it is"),
        pytest.param("users/sis_login_id:liam%2Eoneil%40example%2Eorg", LIAM, id="login encoded"),
        pytest.param("users/sis_login_id:Liam.ONeil@example.org", LIAM, id="login by case, not encoded"),
        pytest.param("users/sis_login_id:zoe+lms@example.org", ZOE, id="plus is a plus"),
        pytest.param("users/8121.json", MIA, id="with its format"),
        pytest.param("courses/sis_course_id:BSB30120-2026", 3571, id="course"),
        pytest.param("courses/sis_course_id:AID-11", 3581, id="another course"),
    ],
)
async def test_a_key_in_the_path_finds_its_object(api, path, id):
    answer = await api.get(path)
    assert (answer.status_code, answer.json()["id"]) == (200, id)


@pytest.mark.parametrize(
    "path",
    [
        "users/99",
        "users/sis_user_id:",
        "users/sis_user_id:rtop/2.5",
        "users/sis_user_id:rtop%252F2%252E5",
        "users/sis_user_id:%ff",
        "users/sis_user_id:RTOP-204",
        "users/sis_user_id:rtop-214",
        "users/sis_user_id:rtop-299",
        "users/8124",
        "users/8125",
        "users/sis_shoe_size:42",
        "users/99999999999999999999",
        "courses/99",
        "courses/3577",
        "courses/x",
        "courses/",
        "accounts/99/courses",
        "sections/99/enrollments",
        "courses/3571/enrollments/91240",
        "courses/3571/nothing",
        "accounts/self/enrollments/99",
        "progress/99",
    ],
)
async def test_what_there_is_not_is_404(api, path):
    assert refusal(await api.get(path)) == (404, NOT_FOUND)


def test_encoded_slash_and_dot_arrive_on_the_wire_and_are_decoded_once(lms):
    status, _, body = wire(lms, "/api/v1/users/sis_user_id:rtop%2F2%2E5")
    assert (status, json.loads(body)["id"]) == (200, ZOE)
    assert lms.journal.entries[-1].raw_path == "/api/v1/users/sis_user_id:rtop%2F2%2E5"


def wire(lms, path):
    with running(lms) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
        connection.request("GET", path, headers=BEARER)
        answer = connection.getresponse()
        try:
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


async def test_bare_dots_may_lead_nowhere(lms, api):
    switch(lms, raw_dots_refused=True)
    assert (await api.get("users/sis_login_id:liam.oneil@example.org")).status_code == 404
    assert (await api.get("users/sis_login_id:liam%2Eoneil@example%2Eorg")).status_code == 200


async def test_logins_may_be_told_apart_by_case(lms, api):
    switch(lms, login_case_sensitive=True)
    assert (await api.get("users/sis_login_id:RTOP-204")).status_code == 404
    assert (await api.get("users/sis_login_id:rtop-204")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/api/v1/users/8121"), ("POST", "/api/v1/courses/3571")]
)
async def test_a_method_that_there_is_not_is_404(api, method, path):
    assert refusal(await api.request(method, path)) == (404, NOT_FOUND)


async def test_a_path_outside_the_api_is_a_web_page(api):
    answer = await api.get("http://lms.test/courses/3571")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_without_sis_rights_nothing_of_it_is_shown_or_found(lms, api):
    switch(lms, sis_rights="none")
    for path in (
        "users/sis_user_id:rtop-204",
        "courses/sis_course_id:AID-11",
        "accounts/sis_account_id:HOSP/courses",
    ):
        assert (await api.get(path)).status_code == 404
    assert "sis_user_id" not in (await api.get("users/sis_login_id:rtop-204")).json()
    assert "sis_user_id" not in (await api.get("accounts/self/enrollments/91240")).text
    assert (await api.get("courses/3571")).json()["sis_course_id"] is None


@pytest.mark.parametrize("rights", ["read", "none"])
async def test_a_sis_id_that_may_not_be_set_is_ignored_or_refused(lms, api, rights):
    switch(lms, sis_rights=rights, sis_without_right="refused")
    assert refusal(await api.post("accounts/self/users", json=NEW)) == (403, FORBIDDEN)
    switch(lms, sis_without_right="ignored")
    made = await api.post("accounts/self/users", json=NEW)
    assert made.status_code == 200
    assert lms.vendor.school.users[made.json()["id"]].sis_user_id is None


# bodies


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, "enrollment[user_id]=8123&enrollment[notify]=yes&user_ids[]=1&user_ids[]=2"),
        (FORM, "enrollment%5Buser_id%5D=8123&enrollment%5Bnotify%5D=1&user_ids%5B%5D=1&user_ids%5B%5D=2"),
        ("application/json", '{"enrollment":{"user_id":8123,"notify":true},"user_ids":[1,"2"]}'),
        (
            "application/json; charset=utf-8",
            '{"enrollment":{"user_id":"8123","notify":"on"},"user_ids":["1",2]}',
        ),
    ],
)
def test_form_and_json_say_the_same(content_type, body):
    params = params_of("", content_type, body.encode())
    assert params.text("enrollment", "user_id") == "8123"
    assert params.truth("enrollment", "notify") is True
    assert params.texts("user_ids") == ["1", "2"]
    assert params.text("enrollment", "no") is None


@pytest.mark.parametrize(
    ("word", "truth"),
    [(word, True) for word in ("true", "T", "yes", "y", "on", "1")]
    + [(word, False) for word in ("false", "f", "no", "N", "off", "0")],
)
def test_truth_has_many_words(word, truth):
    assert params_of(f"a={word}", "", b"").truth("a", default=not truth) is truth


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/json", b"{"), ("application/json", b"[]"), (FORM, b"a=1&a[b]=2"), (FORM, b"a[]=1&a[b]=2")],
)
async def test_a_body_that_cannot_be_read_is_400(api, content_type, body):
    answer = await api.post("courses/3571/enrollments", content=body, headers={"content-type": content_type})
    assert (answer.status_code, list(answer.json())) == (400, ["errors"])


async def test_a_body_of_no_known_type_has_no_parameters(api):
    answer = await api.post("courses/3571/enrollments", content=b'{"enrollment": {"user_id": 8123}}')
    assert answer.status_code == 400


# courses and pages


async def test_courses_of_the_account_come_ten_at_a_time_and_links_lead_to_the_rest(api):
    first = await api.get("accounts/self/courses")
    assert len(first.json()) == 10
    assert list(links(first)) == ["current", "next", "first", "last"]
    assert links(first)["next"] == "http://lms.test/api/v1/accounts/self/courses?page=2&per_page=10"
    second = await api.get(links(first)["next"])
    assert list(links(second)) == ["current", "prev", "first", "last"]
    found = ids(first) + ids(second)
    assert len(found) == 12 and SHARED in found and 3577 not in found


@pytest.mark.parametrize(("asked", "size"), [("5", 5), ("1000", 100), ("0", 10), ("x", 10), ("-1", 10)])
async def test_the_size_of_a_page_can_be_asked_for_up_to_the_cap(lms, api, asked, size):
    act(lms, "add_learners", course_id=3572, count=120)
    assert len((await api.get(f"accounts/self/users?per_page={asked}")).json()) == size


async def test_enrolments_have_bookmarks_that_cannot_be_computed_and_no_last(lms, api):
    act(lms, "add_learners", course_id=3572, count=25)
    answer = await api.get("courses/3572/enrollments")
    assert list(links(answer)) == ["current", "next", "first"]
    assert parse_qs(urlsplit(links(answer)["next"]).query)["page"][0].startswith("bookmark:")
    rows = await all_rows(api, "courses/3572/enrollments")
    assert len(rows) == len({row["id"] for row in rows}) == 26
    for page in ("2", "bookmark:x", "bookmark:WzFd", "bookmark:MQ==", "bookmark:WzEsMl0="):
        assert (await api.get(f"courses/3572/enrollments?page={page}")).status_code == 404


async def test_a_bookmark_stands_though_rows_before_it_go(lms, api):
    made = act(lms, "add_learners", course_id=3572, count=15)
    first = await api.get("courses/3572/enrollments?per_page=5")
    for id in ids(first):
        act(lms, "end_enrolment", enrolment_id=id)
    second = await api.get(links(first)["next"])
    assert (
        len(second.json()) == 5 and not set(ids(first)) & set(ids(second)) and set(ids(second)) <= set(made)
    )


async def test_filters_stay_in_the_links(lms, api):
    act(lms, "add_learners", course_id=3571, count=15)
    asked = "courses/3571/enrollments?type[]=StudentEnrollment&state[]=active&per_page=4"
    rows = await all_rows(api, asked)
    assert len(rows) == 17 and {row["type"] for row in rows} == {"StudentEnrollment"}


async def test_every_list_may_have_bookmarks(lms, api):
    switch(lms, bookmarks="all")
    answer = await api.get("accounts/self/courses?sort=course_name&per_page=5")
    assert "bookmark" in links(answer)["next"] and "last" not in links(answer)
    rows = await all_rows(api, "accounts/self/courses?sort=course_name&per_page=5")
    assert [row["name"] for row in rows] == sorted((row["name"] for row in rows), key=str.casefold)
    assert len(rows) == 12


async def test_last_may_be_missing_from_numbered_lists_too(lms, api):
    switch(lms, last_left_out=True)
    assert list(links(await api.get("accounts/self/courses"))) == ["current", "next", "first"]


@pytest.mark.parametrize("page", ["0", "x", "-1"])
async def test_a_page_that_is_no_number_is_404(api, page):
    assert (await api.get(f"accounts/self/courses?page={page}")).status_code == 404


async def test_next_may_point_to_another_host(lms, api):
    switch(lms, foreign_next="https://elsewhere.example")
    found = links(await api.get("accounts/self/courses"))
    assert found["next"].startswith("https://elsewhere.example/api/v1/accounts/self/courses?")
    assert found["first"].startswith("http://lms.test/")


@pytest.mark.parametrize(("lower", "name"), [(False, b"Link"), (True, b"link")])
async def test_the_case_of_the_link_header_varies(lms, api, lower, name):
    switch(lms, lower_case_link=lower)
    raw = (await api.get("accounts/self/courses")).headers.raw
    assert [key for key, _ in raw if key.lower() == b"link"] == [name]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("search_term=tourism", [3572]),
        ("search_term=BSB", [3571]),
        ("search_term=3571", [3571]),
        ("search_term=nothing", []),
        ("state[]=unpublished", [3574]),
        ("state[]=completed", [3573]),
        ("state[]=deleted", [3577]),
        ("state[]=completed&state[]=created", [3573, 3574]),
        ("completed=true", [3573]),
        ("published=false", [3574]),
        ("enrollment_term_id=2", []),
        ("search_term=certificate&sort=course_name", [3571, SHARED]),
    ],
)
async def test_courses_are_filtered(api, query, expected):
    assert ids(await api.get(f"accounts/self/courses?{query}")) == expected


async def test_every_course_there_ever_was_can_be_asked_for(api):
    assert len((await api.get("accounts/1/courses?state[]=all&per_page=100")).json()) == 13


@pytest.mark.parametrize("account", ["12", "sis_account_id:HOSP"])
async def test_a_sub_account_has_its_own_courses(api, account):
    assert ids(await api.get(f"accounts/{account}/courses")) == [3572]


@pytest.mark.parametrize("what", ["courses", "users"])
async def test_a_short_search_term_is_refused(lms, api, what):
    expected = [{"field": "search_term", "code": "invalid", "message": "3 or more characters is required"}]
    assert refusal(await api.get(f"accounts/self/{what}?search_term=ca")) == (400, {"errors": expected})
    switch(lms, search_minimum=2)
    assert (await api.get(f"accounts/self/{what}?search_term=ca")).status_code == 200


async def test_a_course_has_the_documented_keys(api):
    assert (await api.get("courses/3572")).json() == {
        "id": 3572,
        "name": "Hospitality & Tourism Basics",
        "course_code": "SIT20",
        "sis_course_id": None,
        "workflow_state": "available",
        "account_id": 12,
        "start_at": "2026-01-31T01:10:00Z",
        "end_at": None,
        "enrollment_term_id": 1,
    }


async def test_courses_without_an_account_are_only_the_tokens_own(api):
    assert ids(await api.get("courses")) == [3575]


# users


async def test_a_user_is_made_with_login_sis_id_and_names(lms, api):
    more = {
        "user": {"name": "Kim Tran", "sortable_name": "Tran, Kim"},
        "communication_channel": {"address": "kim@example.org"},
    }
    made = (await api.post("accounts/self/users", json=NEW | more)).json()
    assert made == {
        "id": made["id"],
        "name": "Kim Tran",
        "created_at": "2026-03-02T01:10:00Z",
        "sortable_name": "Tran, Kim",
        "short_name": "Kim Tran",
        "sis_user_id": "rtop-300",
        "integration_id": None,
        "login_id": "rtop-300",
        "email": "kim@example.org",
    }
    assert (await api.get("users/sis_user_id:rtop-300")).json() == made
    assert effects(lms) == [("user_created", str(made["id"]))]


async def test_a_user_is_made_by_form_just_as_well_without_an_email(lms, api):
    data = {"user[name]": "Ann New", "pseudonym[unique_id]": "ann", "user[skip_registration]": "true"}
    made = (await api.post("accounts/1/users", data=data)).json()
    assert (made["sortable_name"], made["email"], made["sis_user_id"]) == ("New, Ann", None, None)


@pytest.mark.parametrize(
    ("pseudonym", "field", "type", "message"),
    [
        ({}, "unique_id", "blank", "can't be blank"),
        (
            {"unique_id": "rtop-204"},
            "unique_id",
            "taken",
            "ID already in use for this account and authentication provider",
        ),
        (
            {"unique_id": "RTOP-204"},
            "unique_id",
            "taken",
            "ID already in use for this account and authentication provider",
        ),
        (
            {"unique_id": "new", "sis_user_id": "rtop-204"},
            "sis_user_id",
            "taken",
            'SIS ID "rtop-204" is already in use',
        ),
    ],
)
async def test_a_login_that_cannot_be_is_refused_with_nested_errors(
    lms, api, pseudonym, field, type, message
):
    answer = await api.post("accounts/self/users", json={"pseudonym": pseudonym})
    errors = answer.json()["errors"]
    assert answer.status_code == 400
    assert errors["pseudonym"] == {field: [{"attribute": field, "type": type, "message": message}]}
    assert errors["user"]["pseudonyms"][0]["type"] == "invalid" and errors["observee"] == {}
    assert effects(lms) == []


async def test_a_deleted_user_comes_back_only_when_asked_for(lms, api):
    fresh = {"pseudonym": {"unique_id": "rtop-214", "sis_user_id": "rtop-214"}}
    back = await api.post("accounts/self/users", json=fresh | {"enable_sis_reactivation": True})
    assert back.json()["id"] == 8124
    act(lms, "delete_user", user_id=8124)
    made = await api.post("accounts/self/users", json=fresh)
    assert made.json()["id"] != 8124
    assert [kind for kind, _ in effects(lms)] == ["user_reactivated", "user_created"]


async def test_a_user_is_renamed_and_the_same_name_again_is_no_effect(lms, api):
    for _ in "12":
        answer = await api.put(f"users/{MIA}", json={"user": {"name": "Mia Tan-Lee"}})
        assert answer.json()["sortable_name"] == "Tan-Lee, Mia"
    assert effects(lms) == [("user_changed", str(MIA))]


@pytest.mark.parametrize("bare", [False, True])
async def test_model_errors_come_under_errors_or_bare(lms, api, bare):
    switch(lms, model_errors_bare=bare)
    answer = await api.put(f"users/{MIA}", json={"user": {"name": " "}})
    inner = {"name": [{"attribute": "name", "type": "blank", "message": "can't be blank"}]}
    assert refusal(answer) == (400, inner if bare else {"errors": inner})


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("tan", [MIA]),
        ("rtop", [ZOE, MIA]),
        ("oneil@", [LIAM]),
        ("8121", [MIA]),
        ("rtop-214", []),
        ("fay", []),
    ],
)
async def test_users_are_searched_by_name_login_and_sis_id(api, term, expected):
    assert ids(await api.get(f"accounts/self/users?search_term={term}")) == expected


# enrolments


async def test_an_enrolment_is_invited_unless_it_says_active(lms, api):
    invited = (await enrol(api, user_id=ZOE)).json()
    assert (invited["enrollment_state"], invited["type"]) == ("invited", "StudentEnrollment")
    active = (await enrol(api, user_id="sis_user_id:rtop-204", course=3578, enrollment_state="active")).json()
    assert (active["enrollment_state"], active["user_id"], active["role_id"]) == ("active", MIA, 3)
    assert effects(lms) == [("enrolled", f"3571,{ZOE}"), ("enrolled", f"3578,{MIA}")]


async def test_form_and_json_enrol_alike(api):
    by_form = await api.post(
        "courses/3578/enrollments",
        data={"enrollment[user_id]": str(ZOE), "enrollment[enrollment_state]": "active"},
    )
    by_json = await enrol(api, course=3578, user_id=ZOE, enrollment_state="active")
    assert by_form.json() == by_json.json()


async def test_an_enrolment_has_the_documented_keys(lms, api):
    act(lms, "set_score", course_id=3571, user_id=MIA, score=85)
    found = (await api.get("accounts/self/enrollments/91240")).json()
    wanted = {
        "id", "course_id", "sis_course_id", "course_section_id", "user_id", "sis_user_id", "root_account_id", "type",
        "role", "role_id", "enrollment_state", "created_at", "updated_at", "start_at", "end_at", "last_activity_at",
        "last_attended_at", "total_activity_time", "html_url", "grades", "user",
    }  # fmt: skip
    assert wanted <= set(found)
    assert (found["grades"]["final_score"], found["grades"]["final_grade"]) == (85.0, "B")
    assert found["user"]["login_id"] == "rtop-204"
    switch(lms, may_view_grades=False)
    assert "grades" not in (await api.get("accounts/self/enrollments/91240")).json()


@pytest.mark.parametrize(
    ("enrolment", "message"),
    [
        ({"user_id": ZOE, "type": "Learner"}, "Invalid type, "),
        ({"type": "Learner"}, ", enrollment[user_id] is missing"),
        ({}, "enrollment[user_id] is missing"),
        ({"user_id": ZOE, "role_id": 99}, "Invalid role"),
        ({"user_id": ZOE, "role_id": 19, "type": "TeacherEnrollment"}, "Invalid role"),
        ({"user_id": ZOE, "enrollment_state": "asleep"}, "Invalid enrollment_state"),
    ],
)
async def test_a_bad_enrolment_is_refused_with_one_message(lms, api, enrolment, message):
    answer = await enrol(api, **enrolment)
    assert (answer.status_code, list(answer.json())) == (400, ["message"])
    assert message in answer.json()["message"]
    assert effects(lms) == []


@pytest.mark.parametrize("user_id", [99, 8124, 8125, "sis_user_id:rtop-299", "sis_user_id:no"])
async def test_enrolling_nobody_somebody_deleted_or_foreign_is_404(api, user_id):
    assert refusal(await enrol(api, user_id=user_id)) == (404, NOT_FOUND)


async def test_a_concluded_course_takes_nobody(lms, api):
    expected = (400, {"message": "Can't add an enrollment to a concluded course."})
    assert refusal(await enrol(api, course=3573, user_id=ZOE)) == expected
    act(lms, "set_course_state", course_id=3572, state="completed")
    assert refusal(await enrol(api, course=3572, user_id=MIA)) == expected


async def test_an_invitation_to_an_unpublished_course_is_pending(lms, api):
    assert (await enrol(api, course=3574, user_id=ZOE)).json()["enrollment_state"] == "creation_pending"
    active = await enrol(api, course=3574, user_id=MIA, enrollment_state="active")
    assert active.json()["enrollment_state"] == "active"


async def test_enrolling_again_answers_the_same_record_and_is_no_effect(lms, api):
    first = (await enrol(api, user_id=ZOE)).json()
    for state in ("active", "active", "invited"):
        again = (await enrol(api, user_id=ZOE, enrollment_state=state)).json()
        assert (again["id"], again["enrollment_state"]) == (first["id"], "active")
    assert [kind for kind, _ in effects(lms)] == ["enrolled", "enrolment_activated"]


async def test_another_section_or_role_is_another_enrolment(lms, api):
    made = [
        (await enrol(api, user_id=ZOE, enrollment_state="active", **more)).json()["id"]
        for more in ({}, {"course_section_id": 4101}, {"role_id": 19}, {"type": "TaEnrollment"})
    ]
    assert len(set(made)) == 4
    by_section = await api.post(
        "sections/sis_section_id:BSB-EVE/enrollments", json={"enrollment": {"user_id": ZOE}}
    )
    assert by_section.json()["id"] == made[1]
    assert ids(await api.get("sections/4101/enrollments")) == [made[1]]
    assert (await enrol(api, user_id=ZOE, course_section_id=4110)).status_code == 404


async def test_further_values_are_kept_and_counted_as_a_change(lms, api):
    made = (await enrol(api, user_id=ZOE, end_at="2026-06-01T00:00:00+08:00", start_at="soon")).json()
    assert (made["start_at"], made["end_at"]) == (None, "2026-05-31T16:00:00Z")
    await enrol(api, user_id=ZOE, limit_privileges_to_course_section=True)
    assert [kind for kind, _ in effects(lms)] == ["enrolled", "enrolment_changed"]


@pytest.mark.parametrize(
    ("task", "state", "kind"),
    [
        ("", "completed", "enrolment_concluded"),
        ("?task=conclude", "completed", "enrolment_concluded"),
        ("?task=delete", "deleted", "enrolment_deleted"),
        ("?task=deactivate", "inactive", "enrolment_deactivated"),
        ("?task=inactivate", "inactive", "enrolment_deactivated"),
    ],
)
async def test_an_enrolment_is_concluded_unless_the_task_says_otherwise(lms, api, task, state, kind):
    answer = await api.delete(f"courses/3571/enrollments/91240{task}")
    assert (answer.status_code, answer.json()["enrollment_state"]) == (200, state)
    assert await state_of(api, 91240) == state
    await api.delete(f"courses/3571/enrollments/91240{task}")
    assert effects(lms) == [(kind, f"3571,{MIA}")]


async def test_a_task_in_the_body_counts_too(api):
    answer = await api.request("DELETE", "courses/3571/enrollments/91240", data={"task": "deactivate"})
    assert answer.json()["enrollment_state"] == "inactive"


async def test_ending_needs_the_right_course(lms, api):
    assert (await api.delete("courses/3572/enrollments/91240")).status_code == 404
    assert (await api.delete("courses/3571/enrollments/99")).status_code == 404
    assert effects(lms) == []


async def test_ending_a_deleted_enrolment_is_404_or_as_it_is(lms, api):
    path = "courses/3571/enrollments/91240?task=delete"
    await api.delete(path)
    assert (await api.delete(path)).status_code == 404
    switch(lms, delete_again_status=200)
    assert (await api.delete(path)).json()["enrollment_state"] == "deleted"
    assert lms.journal.effect_counts["enrolment_deleted"] == 1


async def test_a_deleted_enrolment_is_shown_unless_switched(lms, api):
    await api.delete("courses/3571/enrollments/91240?task=delete")
    assert await state_of(api, 91240) == "deleted"
    switch(lms, deleted_found=False)
    assert (await api.get("accounts/self/enrollments/91240")).status_code == 404


async def test_only_the_inactive_are_reactivated(lms, api):
    path = "courses/3571/enrollments/91240"
    assert refusal(await api.put(f"{path}/reactivate")) == (400, {"error": "enrollment not inactive"})
    await api.delete(f"{path}?task=deactivate")
    assert (await api.put(f"{path}/reactivate")).json()["enrollment_state"] == "active"
    assert [kind for kind, _ in effects(lms)] == ["enrolment_deactivated", "enrolment_reactivated"]
    await api.delete(path)
    assert (await api.put(f"{path}/reactivate")).status_code == 400


@pytest.mark.parametrize(("revived", "same"), [(True, True), (False, False)])
async def test_enrolling_after_a_deletion_revives_the_id_or_not(lms, api, revived, same):
    switch(lms, deleted_revived=revived)
    await api.delete("courses/3571/enrollments/91240?task=delete")
    again = (await enrol(api, user_id=MIA, enrollment_state="active")).json()
    assert ((again["id"] == 91240), again["enrollment_state"]) == (same, "active")
    assert effects(lms)[-1][0] == ("re_enrolled" if revived else "enrolled")


async def test_enrolling_after_a_conclusion_makes_the_record_live_again(lms, api):
    await api.delete("courses/3571/enrollments/91240")
    assert (await enrol(api, user_id=MIA, enrollment_state="active")).json()["id"] == 91240
    assert effects(lms)[-1] == ("re_enrolled", f"3571,{MIA}")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("courses/3571/enrollments", [91243, 91240, 91241]),
        ("courses/3571/enrollments?type[]=StudentEnrollment", [91243, 91240]),
        ("courses/3571/enrollments?type=TeacherEnrollment", [91241]),
        ("courses/3571/enrollments?user_id=8121", [91240]),
        ("courses/3571/enrollments?user_id=sis_user_id:rtop-204", [91240]),
        ("courses/3573/enrollments", []),
        ("courses/3573/enrollments?state[]=completed", [91246]),
        ("courses/3571/enrollments?role[]=Apprentice", []),
        ("users/8123/enrollments", [91242, 91245]),
        ("users/8123/enrollments?state[]=invited", [91242]),
        ("users/sis_user_id:rtop-204/enrollments", [91240]),
        ("users/8122/enrollments", [91243]),
        ("sections/4100/enrollments", [91243, 91240, 91241]),
    ],
)
async def test_enrolments_are_listed_by_course_user_and_section(api, path, expected):
    assert ids(await api.get(path)) == expected


async def test_the_inactive_are_in_a_courses_list_but_not_in_a_users(lms, api):
    await api.delete("courses/3571/enrollments/91240?task=deactivate")
    assert 91240 in ids(await api.get("courses/3571/enrollments"))
    assert ids(await api.get(f"users/{MIA}/enrollments")) == []
    switch(lms, may_manage_enrolments=False)
    assert 91240 not in ids(await api.get("courses/3571/enrollments"))


async def test_enrolling_many_is_a_job_done_later(lms, api):
    asked = {"user_ids": [MIA, ZOE], "course_ids": [3578, 3579]}
    job = (await api.post("accounts/self/bulk_enrollment", json=asked)).json()
    assert (job["workflow_state"], lms.journal.effect_counts["enrolled"]) == ("queued", 0)
    done = (await api.get(f"progress/{job['id']}")).json()
    assert (done["workflow_state"], lms.journal.effect_counts["enrolled"]) == ("completed", 4)
    await api.get(f"progress/{job['id']}")
    assert lms.journal.effect_counts["enrolled"] == 4


@pytest.mark.parametrize("count", [0, 501])
async def test_enrolling_too_many_at_once_is_refused(api, count):
    asked = {"user_ids": [MIA] * count, "course_ids": [3578]}
    assert (await api.post("accounts/self/bulk_enrollment", json=asked)).status_code == 400


# progress


async def progress(api, course=3571, user=MIA):
    return await api.get(f"courses/{course}/users/{user}/progress")


async def test_progress_counts_requirements_and_names_the_next(api):
    assert (await progress(api, user="sis_user_id:rtop-204")).json() == {
        "requirement_count": 10,
        "requirement_completed_count": 4,
        "next_requirement_url": "http://lms.test/courses/3571/modules/items/60004",
        "completed_at": None,
    }


@pytest.mark.parametrize(
    ("course", "user"),
    [
        pytest.param(3575, ZOE, id="no modules"),
        pytest.param(3571, ZOE, id="not enrolled"),
        pytest.param(3571, TEACHER, id="teacher"),
    ],
)
async def test_progress_that_is_not_available_is_400_with_a_singular_error(api, course, user):
    answer = await progress(api, course, user)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert answer.json()["error"]["message"].startswith("no progress available because ")


async def test_a_course_of_modules_may_have_no_requirement_at_all(api):
    await enrol(api, course=3576, user_id=MIA, enrollment_state="active")
    found = (await progress(api, 3576)).json()
    assert (found["requirement_count"], found["completed_at"]) == (0, None)


async def test_a_learner_moves_on_completes_and_falls_back(lms, api):
    act(lms, "set_progress", course_id=3571, user_id=MIA, completed=9)
    assert (await progress(api)).json()["completed_at"] is None
    act(lms, "complete", course_id=3571, user_id="sis_user_id:rtop-204")
    done = (await progress(api)).json()
    assert (done["requirement_completed_count"], done["completed_at"]) == (10, "2026-03-02T01:10:00Z")
    assert done["next_requirement_url"] is None
    act(lms, "fall_back", course_id=3571, user_id=MIA, completed=2)
    assert (await progress(api)).json()["requirement_completed_count"] == 2
    assert effects(lms) == []


async def test_requirements_may_grow_and_completion_goes(lms, api):
    assert (await progress(api, user=LIAM)).json()["completed_at"] == "2026-02-09T01:10:00Z"
    act(lms, "add_requirements", course_id=3571, count=5)
    found = (await progress(api, user=LIAM)).json()
    assert (found["requirement_count"], found["requirement_completed_count"]) == (15, 10)
    assert found["completed_at"] is None and found["next_requirement_url"]


async def test_progress_of_the_concluded_stays_and_of_the_inactive_is_up_to_a_switch(lms, api):
    await api.delete("courses/3571/enrollments/91240")
    assert (await progress(api)).status_code == 200
    await api.delete("courses/3571/enrollments/91240?task=deactivate")
    assert (await progress(api)).status_code == 400
    switch(lms, inactive_has_progress=True)
    assert (await progress(api)).json()["requirement_completed_count"] == 4
    await api.delete("courses/3571/enrollments/91240?task=delete")
    assert (await progress(api)).status_code == 400


async def test_progress_of_a_course_comes_in_bulk_and_in_pages(lms, api):
    act(lms, "add_learners", course_id=3571, count=12)
    rows = await all_rows(api, "courses/3571/bulk_user_progress")
    assert len(rows) == 14
    mia = next(row for row in rows if row["id"] == MIA)
    assert set(mia) == {"id", "display_name", "avatar_image_url", "html_url", "pronouns", "progress"}
    assert mia["progress"] == (await progress(api)).json()


async def test_bulk_progress_of_a_course_without_modules_is_400(api):
    answer = await api.get("courses/3575/bulk_user_progress")
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


async def test_bulk_progress_leaves_the_ended_out(api):
    await api.delete("courses/3571/enrollments/91240?task=deactivate")
    assert ids(await api.get("courses/3571/bulk_user_progress")) == [LIAM]


async def test_courses_of_a_user_carry_progress_when_included(api):
    plain = (await api.get(f"users/{ZOE}/courses")).json()
    assert [row["id"] for row in plain] == [3572, 3575] and "course_progress" not in plain[0]
    rows = (await api.get(f"users/{ZOE}/courses?include[]=course_progress")).json()
    assert rows[0]["course_progress"]["requirement_count"] == 4
    assert "message" in rows[1]["course_progress"]["error"]
    assert rows[0]["enrollments"][0]["enrollment_state"] == "invited"
    assert ids(await api.get(f"users/{ZOE}/courses?enrollment_state=active")) == [3575]


# marking


@pytest.mark.parametrize(
    ("posted", "grading", "grade", "score"),
    [
        ("15", "points", "15", 15.0),
        ("85%", "percent", "85%", 17.0),
        ("B", "letter_grade", "B", 17.8),
        ("pass", "pass_fail", "complete", 20.0),
        ("fail", "pass_fail", "incomplete", 0.0),
        ("nan", "points", "nan", None),
        ("well done", "points", "well done", None),
    ],
)
def test_a_grade_is_points_percentage_letter_or_pass(posted, grading, grade, score):
    assert graded(Assignment(id=1, name="A", points=20.0, grading=grading), posted) == (grade, score)


async def test_a_grade_is_put_and_read_and_comments_pile_up(lms, api):
    path = f"courses/3571/assignments/7711/submissions/{MIA}"
    given = {"submission": {"posted_grade": "pass"}, "comment": {"text_comment": "Seen"}}
    for _ in "12":
        answer = await api.put(path, json=given)
    found = (await api.get(path)).json()
    assert found == answer.json()
    assert (found["grade"], found["score"], found["workflow_state"]) == ("complete", 1.0, "graded")
    assert [each["comment"] for each in found["submission_comments"]] == ["Seen", "Seen"]
    what = f"3571,7711,{MIA}"
    assert effects(lms) == [("graded", what), ("commented", what), ("commented", what)]


@pytest.mark.parametrize(
    "path",
    [
        f"courses/3571/assignments/7711/submissions/{ZOE}",
        f"courses/3571/assignments/99/submissions/{MIA}",
        f"courses/3572/assignments/7711/submissions/{MIA}",
    ],
)
async def test_a_grade_for_no_student_or_no_assignment_is_404(api, path):
    assert (await api.put(path, json={"submission": {"posted_grade": "1"}})).status_code == 404


async def test_many_grades_are_a_job(lms, api):
    data = {f"grade_data[{MIA}][posted_grade]": "12", f"grade_data[{LIAM}][posted_grade]": "50%"}
    job = (await api.post("courses/3571/assignments/7710/submissions/update_grades", data=data)).json()
    assert job["workflow_state"] == "queued" and lms.journal.effect_counts["graded"] == 0
    assert act(lms, "finish_jobs") == 1
    assert lms.journal.effect_counts["graded"] == 2
    assert (await api.get(f"courses/3571/assignments/7710/submissions/{LIAM}")).json()["score"] == 10.0


# what else happens in Canvas, and the control surface


async def test_an_administrator_ends_and_a_student_accepts_without_effect(lms, api):
    act(lms, "accept", enrolment_id=91242)
    assert await state_of(api, 91242) == "active"
    act(lms, "end_enrolment", enrolment_id="91242", state="completed")
    assert await state_of(api, 91242) == "completed"
    act(lms, "end_enrolment", enrolment_id=91242)
    assert await state_of(api, 91242) == "deleted"
    assert effects(lms) == []


async def test_a_deleted_user_is_found_no_more_and_has_no_live_enrolment(lms, api):
    act(lms, "delete_user", user_id=MIA)
    assert (await api.get(f"users/{MIA}")).status_code == 404
    assert await state_of(api, 91240) == "deleted"


async def test_courses_are_added_and_change_their_state(lms, api):
    id = act(lms, "add_course", name="Drawing", requirements=None, state="unpublished")["id"]
    assert (await api.get(f"courses/{id}")).json()["workflow_state"] == "unpublished"
    act(lms, "set_course_state", course_id=id, state="deleted")
    assert (await api.get(f"courses/{id}")).status_code == 404


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_progress", {"course_id": 3571, "user_id": MIA, "completed": 11}),
        ("set_progress", {"course_id": 3575, "user_id": MIA, "completed": 0}),
        ("complete", {"course_id": 99, "user_id": MIA}),
        ("complete", {"course_id": 3571, "user_id": ZOE}),
        ("complete", {"course_id": 3571, "user_id": "sis_user_id:no"}),
        ("end_enrolment", {"enrolment_id": 91240, "state": "asleep"}),
        ("end_enrolment", {"enrolment_id": 99}),
        ("accept", {"enrolment_id": 91240}),
        ("add_learners", {"course_id": 3571, "count": 0}),
        ("add_requirements", {"course_id": 3571, "count": 0}),
        ("set_course_state", {"course_id": 3571, "state": "open"}),
        ("throttle", {"times": -1}),
        ("tell", {"course_id": 3571, "user_id": MIA, "forgery": "ink"}),
        ("resend", {"event_id": "event-9"}),
        ("replay", {"back": 1}),
    ],
)
async def test_an_action_that_cannot_be_is_refused(api, name, arguments):
    answer = await api.post(f"http://lms.test/_control/act/{name}", json=arguments)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


async def test_state_shows_each_enrolment_with_what_was_sent_about_its_learner(lms, api):
    made = (await api.post("accounts/self/users", json=NEW)).json()["id"]
    await enrol(api, user_id=made, enrollment_state="active")
    state = (await api.get("http://lms.test/_control/state")).json()
    found = next(each for each in state["enrolments"] if each["user_id"] == made)
    assert (found["login"], found["sis_user_id"], found["course_id"]) == ("rtop-300", "rtop-300", 3571)
    assert (found["state"], found["requirement_count"]) == ("active", 10)


async def test_calls_are_counted_by_endpoint(api):
    for path in ("courses/3571", "courses/sis_course_id:AID-11", "users/1/nothing"):
        await api.get(path)
    await api.delete("courses/3571/enrollments/91240")
    assert (await api.get("http://lms.test/_control/calls")).json() == {
        "GET /courses/:id": 2,
        "GET /api/v1/users/1/nothing": 1,
        "DELETE /courses/:course_id/enrollments/:id": 1,
    }


async def test_reset_brings_back_seed_tokens_and_switches(lms, api):
    act(lms, "end_token")
    act(lms, "throttle", times=5)
    switch(lms, per_page=1)
    await api.post("http://lms.test/_control/reset")
    assert len((await api.get("accounts/self/courses")).json()) == 10


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (500, {"errors": [{"message": "An error occurred."}]}),
        (401, {"errors": [{"message": "Invalid access token."}]}),
        (403, FORBIDDEN),
        (404, NOT_FOUND),
    ],
)
async def test_faults_speak_the_vendors_language(lms, api, status, expected):
    lms.faults.arm(Fault(kind="error", status=status))
    assert refusal(await api.get("users/self")) == (status, expected)


async def test_too_many_by_fault_is_plain_text(lms, api):
    lms.faults.arm(Fault(kind="too_many"))
    answer = await api.get("users/self")
    assert (answer.status_code, answer.text) == (429, "403 Forbidden (Rate Limit Exceeded)")


@pytest.mark.parametrize(
    "changes",
    [
        {"forbidden_status": 404},
        {"throttled_status": 503},
        {"sis_rights": "some"},
        {"sis_without_right": "maybe"},
        {"bookmarks": "none"},
        {"delete_again_status": 500},
        {"hook_content_type": "text/html"},
        {"hook_layout": "flat"},
        {"hook_forgery": "ink"},
        {"per_page": 0},
        {"search_minimum": 0},
        {"quota": -1.0},
        {"hook_life_s": -1},
        {"at_once": 0},
        {"foreign_next": "elsewhere"},
        {"scopes": ("courses",)},
    ],
)
def test_an_odd_switch_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes)).rstrip("s")):
        Switches(**changes)


def test_the_module_serves_with_the_credentials_it_is_given():
    command = [sys.executable, "-m", "gateway.sandbox.canvas", "--port", "0", "--token", "abc"]
    command += ["--switches", '{"search_minimum": 2}']
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip().removeprefix("listening on ")
            answer = httpx.get(
                f"{url}/api/v1/accounts/self/courses?search_term=ca", headers={"Authorization": "Bearer abc"}
            )
        finally:
            process.terminate()
    assert answer.status_code == 200
