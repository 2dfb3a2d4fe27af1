"""The Moodle stand-in's functions and actions (vendors/moodle.md 4, 6 and 7), beside what the recordings show."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.sandbox import moodle as moodle_module
from gateway.sandbox.moodle import LOGIN, SERVER, create_moodle
from gateway.sandbox.moodle_seed import DAY
from gateway.sandbox.moodle_switches import Switches
from tests.support.moodle_client import (
    ACTIVITIES,
    COURSES,
    CREATE,
    ENROL,
    ENROLLED,
    FIND,
    GRADE,
    GRADES,
    INFO,
    METHODS,
    SEARCH,
    START,
    STATUS,
    UNENROL,
    UPDATE,
    USERS_COURSES,
    Moodle,
    talking,
)

ROOT = Path(moodle_module.__file__).parents[2]
NOW = int(START.timestamp())
NEW = {
    "username": "rtop-300",
    "firstname": "Ann",
    "lastname": "New",
    "email": "ann.new@example.org",
    "idnumber": "rtop-300",
    "password": "Str0ng!pass",
}


@pytest.fixture
async def moodle() -> AsyncIterator[Moodle]:
    async with talking(create_moodle(start=START)) as found:
        yield found


async def ids(moodle: Moodle, term: str) -> list[int]:
    found = await moodle.call(SEARCH, criterianame="search", criteriavalue=term)
    return [each["id"] for each in found["courses"]]


def option(name: str, value: object) -> dict[str, object]:
    return {"name": name, "value": value}


# courses


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("", [9, 8, 7, 6, 5, 4, 3, 2]),
        ("SAFETY", [3, 2]),
        ("safety work", [3, 2]),
        ("safety -workplace", [3]),
        ("+work", [3]),
        ("work", [3, 2]),
        ("ext-onb300", [4]),
        ("cpc30220", [9]),
        ("zzz", []),
        ("sandbox", []),
    ],
)
async def test_search_finds_words_anywhere_newest_first_without_the_front_page(moodle, term, found):
    assert await ids(moodle, term) == found


async def test_search_comes_in_pages_with_the_total(moodle):
    pages = [
        await moodle.call(SEARCH, criterianame="search", criteriavalue="", page=page, perpage=3)
        for page in range(4)
    ]
    assert [each["total"] for each in pages] == [8, 8, 8, 8]
    assert [[c["id"] for c in each["courses"]] for each in pages] == [[9, 8, 7], [6, 5, 4], [3, 2], []]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"criterianame": "modulelist", "criteriavalue": "quiz"}, [3, 2]),
        ({"criterianame": "tagid", "criteriavalue": "1"}, []),
        ({"criterianame": "search", "criteriavalue": "", "onlywithcompletion": 1}, [9, 8, 7, 5, 4, 3, 2]),
        ({"criterianame": "search", "criteriavalue": "", "limittoenrolled": 1}, []),
    ],
)
async def test_search_by_other_things_is_narrower(moodle, arguments, found):
    assert [each["id"] for each in (await moodle.call(SEARCH, **arguments))["courses"]] == found


async def test_search_does_not_tell_what_is_hidden_and_shows_it_to_who_may_see_it(moodle):
    assert 7 in await ids(moodle, "")
    found = await moodle.call(SEARCH, criterianame="search", criteriavalue="draft")
    assert "visible" not in found["courses"][0] and "idnumber" not in found["courses"][0]
    moodle.switch(lacks=("moodle/course:viewhiddencourses",))
    assert 7 not in await ids(moodle, "")
    assert (await moodle.call(COURSES, field="id", value=7))["courses"] == []


async def test_new_course_shows_late_in_searches_when_results_are_cached(moodle):
    moodle.switch(search_lag_s=600)
    id = moodle.act("add_course", fullname="Brand new")["course_id"]
    assert await ids(moodle, "brand") == []
    assert len((await moodle.call(COURSES, field="id", value=id))["courses"]) == 1
    moodle.app.clock.advance(600)
    assert await ids(moodle, "brand") == [id]


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("", "", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("id", "3", [3]),
        ("id", "99", []),
        ("ids", "9,2,99", [2, 9]),
        ("shortname", "WS1", [3]),
        ("idnumber", "EXT-ONB300", [4]),
        ("category", "2", [4, 5, 6]),
    ],
)
async def test_courses_by_field_are_in_order_of_id_and_have_the_front_page(moodle, field, value, found):
    courses = (await moodle.call(COURSES, field=field, value=value))["courses"]
    assert [each["id"] for each in courses] == found


async def test_ampersand_is_an_entity_unless_texts_are_raw(moodle):
    async def name(**more: object) -> str:
        return (await moodle.call(COURSES, field="id", value=3, **more))["courses"][0]["fullname"]

    assert await name() == "Work &amp; Safety"
    assert await name(moodlewssettingraw=1) == "Work & Safety"
    moodle.act("change_course", course_id=3, fullname="R&amp;D <1>")
    assert await name() == "R&amp;D &lt;1&gt;"


@pytest.mark.parametrize("how", ["lacks", "closed"])
async def test_course_without_rights_is_shown_with_public_members_only(moodle, how):
    if how == "lacks":
        moodle.switch(lacks=("moodle/course:update",))
    else:
        moodle.act("change_course", course_id=2, closed=True)
    course = (await moodle.call(COURSES, field="id", value=2))["courses"][0]
    assert "fullname" in course and not {"visible", "idnumber", "startdate"} & set(course)


async def test_enrolment_methods_leave_out_the_manual_one_unless_switched(moodle):
    assert await moodle.call(METHODS, courseid=2) == []
    assert [each["type"] for each in await moodle.call(METHODS, courseid=8)] == ["self"]
    moodle.switch(methods_show_manual=True)
    found = await moodle.call(METHODS, courseid=2)
    assert [(each["courseid"], each["type"], each["status"]) for each in found] == [(2, "manual", "true")]
    assert await moodle.code(METHODS, courseid=99) == "invalidrecord"


# users


@pytest.mark.parametrize(
    ("field", "values", "found"),
    [
        ("username", ["mia.tan", "nobody", "liam.nguyen"], [5, 6]),
        ("id", ["7"], [7]),
        ("id", ["8"], [8]),
        ("idnumber", ["rtop-201"], [5]),
        ("idnumber", [""], []),
        ("email", ["Mia.Tan@Example.org"], [5]),
        ("email", ["mia.tan@example.org"], []),
        ("email", ["rto-gateway@example.org"], [3]),
    ],
)
async def test_users_are_found_by_exact_value(moodle, field, values, found):
    assert [each["id"] for each in await moodle.call(FIND, field=field, values=values)] == found


async def test_users_are_found_by_email_of_any_case_when_the_database_does_not_care(moodle):
    moodle.switch(email_search_exact=False)
    assert len(await moodle.call(FIND, field="email", values=["MIA.TAN@example.org"])) == 1


@pytest.mark.parametrize(("field", "value"), [("email", "Mia.Tan@Example.org"), ("idnumber", "rtop-201")])
async def test_user_is_left_out_when_the_searched_field_is_hidden(moodle, field, value):
    assert len(await moodle.call(FIND, field=field, values=[value])) == 1
    moodle.switch(hidden_fields=(field,))
    assert await moodle.call(FIND, field=field, values=[value]) == []
    by_name = await moodle.call(FIND, field="username", values=["mia.tan"])
    assert len(by_name) == 1 and field not in by_name[0]


async def test_service_user_sees_its_own_hidden_fields_unless_switched(moodle):
    moodle.switch(hidden_fields=("idnumber",))
    assert len(await moodle.call(FIND, field="idnumber", values=["svc-1"])) == 1
    moodle.switch(hidden_from_itself=True)
    assert await moodle.call(FIND, field="idnumber", values=["svc-1"]) == []


async def test_nobody_is_seen_without_the_right_to_see_details(moodle):
    moodle.switch(lacks=("moodle/user:viewdetails",))
    assert await moodle.call(FIND, field="username", values=["mia.tan"]) == []


async def test_administrator_sees_first_and_last_names(moodle):
    moodle.switch(site_admin=True)
    found = (await moodle.call(FIND, field="username", values=["mia.tan"]))[0]
    assert (found["firstname"], found["lastname"]) == ("Mia", "Tan")


async def test_new_user_has_an_id_and_is_found(moodle):
    more = {"customfields": [{"type": "usi", "value": "ABC"}, {"type": "no", "value": "x"}], "city": "Perth"}
    made = await moodle.call(CREATE, users=[{**NEW, **more}])
    assert made == [{"id": 57, "username": "rtop-300"}]
    assert moodle.effects == [("user_created", "57")]
    found = (await moodle.call(FIND, field="idnumber", values=["rtop-300"]))[0]
    assert (found["city"], found["lang"], found["auth"], found["suspended"]) == (
        "Perth",
        "en",
        "manual",
        False,
    )
    assert [(each["shortname"], each["value"]) for each in found["customfields"]] == [("usi", "ABC")]


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"firstname": "  "}, "The field firstname cannot be blank"),
        ({"lastname": ""}, "The field lastname cannot be blank"),
        ({"username": "mia.tan"}, "Username already exists: mia.tan"),
        ({"username": "Rtop-300"}, '"username" type'),
        ({"username": "a b"}, '"username" type'),
        ({"firstname": "A<b>n</b>n"}, '"notags" type'),
        ({"email": "ann"}, "Email address is invalid: ann"),
        ({"email": "mia.tan@EXAMPLE.org"}, "Email address already exists"),
        ({"auth": "oidc"}, "Invalid authentication type: oidc"),
        ({"lang": "de"}, "Invalid language code: de"),
        ({"password": ""}, "you must provide a password"),
        ({"suspended": "1"}, "Unexpected keys (suspended)"),
    ],
)
async def test_user_who_will_not_do_is_not_created(moodle, changes, detail):
    moodle.switch(debug="on")
    error = await moodle.call(CREATE, users=[{**NEW, **changes}])
    assert error["errorcode"] == "invalidparameter" and detail in error["debuginfo"]
    assert moodle.effects == []


@pytest.mark.parametrize("field", ["username", "firstname", "lastname", "email"])
async def test_text_that_is_too_long_fails_in_the_database(moodle, field):
    value = f"{'x' * 100}@example.org" if field == "email" else "x" * 101
    assert await moodle.code(CREATE, users=[{**NEW, field: value}]) == "dmlwriteexception"
    assert moodle.effects == []


@pytest.mark.parametrize(
    ("second", "code"),
    [
        ({"username": "rtop-300"}, "invalidparameter"),
        ({"email": "ANN.new@example.org", "username": "rtop-301"}, "invalidparameter"),
        ({"lastname": "", "username": "rtop-301"}, "invalidparameter"),
    ],
)
async def test_one_bad_user_keeps_all_of_the_call_from_being_created(moodle, second, code):
    other = {**NEW, "email": "other@example.org", **second}
    assert await moodle.code(CREATE, users=[NEW, other]) == code
    assert await moodle.call(FIND, field="username", values=["rtop-300"]) == []
    assert moodle.effects == []


async def test_idnumber_may_be_given_twice(moodle):
    made = await moodle.call(CREATE, users=[{**NEW, "idnumber": "rtop-201"}])
    found = await moodle.call(FIND, field="idnumber", values=["rtop-201"])
    assert [each["id"] for each in found] == [5, made[0]["id"]]


@pytest.mark.parametrize(
    ("changes", "switches"),
    [
        ({"email": "mia.tan@example.org"}, {"shared_email": True}),
        ({"username": "ann+new"}, {"extended_usernames": True}),
        ({"password": "weak"}, {"password_policy": False}),
        ({"auth": "oidc", "password": ""}, {"auth_types": ("manual", "oidc")}),
        ({"auth": "nologin", "password": ""}, {}),
        ({"password": "", "createpassword": 1}, {}),
        ({"country": "XXX"}, {}),
        ({"lastname": 'O\'Neil & "q" 1 < 2'}, {}),
    ],
)
async def test_user_who_will_do_on_this_site_is_created(moodle, changes, switches):
    moodle.switch(**switches)
    assert len(await moodle.call(CREATE, users=[{**NEW, **changes}])) == 1


async def test_weak_password_is_refused_with_advice_for_a_code(moodle):
    error = await moodle.call(CREATE, users=[{**NEW, "password": "Weakweak"}])
    assert error["exception"] == "moodle_exception" and error["message"] == f"error/{error['errorcode']}"
    assert error["errorcode"].startswith("<div>Passwords must have at least 1 digit(s).</div><div>")
    assert moodle.effects == []


@pytest.mark.parametrize("end", ["dmlwriteexception", "invalidparameter"])
async def test_lost_race_fails_once_and_leaves_the_rivals_user(moodle, end):
    moodle.switch(user_race=end)
    assert await moodle.code(CREATE, users=[NEW]) == end
    found = await moodle.call(FIND, field="username", values=["rtop-300"])
    assert [each["idnumber"] for each in found] == ["rtop-300"]
    assert moodle.effects == []
    assert await moodle.code(CREATE, users=[NEW]) == "invalidparameter"


@pytest.mark.parametrize("window", [0.0, 0.02])
async def test_same_user_created_at_a_time_is_created_once(moodle, window):
    moodle.switch(race_window_s=window)
    found = await asyncio.gather(*(moodle.call(CREATE, users=[NEW]) for _ in range(3)))
    codes = sorted(each["errorcode"] if isinstance(each, dict) else "made" for each in found)
    assert codes == ["dmlwriteexception" if window else "invalidparameter"] * 2 + ["made"]
    assert moodle.effects == [("user_created", "57")]


# updating users


@pytest.mark.parametrize(
    ("changes", "effects"),
    [
        ({"firstname": "Mia"}, []),
        ({"firstname": "Maria", "city": "Perth"}, [("user_updated", "5")]),
        ({"suspended": 1}, [("user_suspended", "5")]),
        ({"suspended": 0}, []),
        ({"suspended": 1, "city": "Perth"}, [("user_updated", "5"), ("user_suspended", "5")]),
        ({"password": "Str0ng!pass"}, [("user_updated", "5")]),
        ({"email": "mia.TAN@example.org"}, [("user_updated", "5")]),
    ],
)
async def test_update_counts_what_it_changes(moodle, changes, effects):
    assert await moodle.call(UPDATE, users=[{"id": 5, **changes}]) == {"warnings": []}
    assert moodle.effects == effects


async def test_suspended_user_can_be_brought_back(moodle):
    await moodle.call(UPDATE, users=[{"id": 7, "suspended": 0}])
    assert moodle.effects == [("user_unsuspended", "7")]
    assert (await moodle.call(FIND, field="id", values=["7"]))[0]["suspended"] is False


@pytest.mark.parametrize(
    ("user", "code"),
    [
        ({"id": 99}, "invaliduserid"),
        ({"id": 2, "city": "x"}, "usernotupdatedadmin"),
        ({"id": 1, "city": "x"}, "usernotupdatedguest"),
        ({"id": 8, "city": "x"}, "usernotupdateddeleted"),
        ({"id": 5, "email": "nope"}, "useremailinvalid"),
        ({"id": 5, "email": "LIAM.nguyen@example.org"}, "useremailduplicate"),
        ({"id": 5, "username": "liam.nguyen"}, "dmlwriteexception"),
        ({"id": 5, "firstname": "x" * 101}, "dmlwriteexception"),
    ],
)
async def test_update_that_cannot_be_is_a_warning_and_the_others_are_done(moodle, user, code):
    found = await moodle.call(UPDATE, users=[user, {"id": 6, "city": "Perth"}])
    assert [(each["item"], each["itemid"], each["warningcode"]) for each in found["warnings"]] == [
        ("user", user["id"], code)
    ]
    assert moodle.effects == [("user_updated", "6")]


async def test_old_release_passes_over_what_cannot_be_updated(moodle):
    moodle.switch(version="3.8")
    assert await moodle.call(UPDATE, users=[{"id": 99}, {"id": 6, "city": "Perth"}]) is None
    assert moodle.effects == [("user_updated", "6")]


async def test_update_with_a_weak_password_is_a_warning(moodle):
    found = await moodle.call(UPDATE, users=[{"id": 5, "password": "weak"}])
    assert len(found["warnings"]) == 1 and moodle.effects == []


async def test_administrator_may_update_administrators_and_addresses_may_be_shared(moodle):
    moodle.switch(site_admin=True, shared_email=True)
    email = "liam.nguyen@example.org"
    assert await moodle.call(UPDATE, users=[{"id": 2, "email": email}]) == {"warnings": []}


# enrolling


async def test_enrolling_answers_null_and_is_one_effect_however_often(moodle):
    assert [await moodle.enrol(6, 2) for _ in range(3)] == [None, None, None]
    assert moodle.effects == [("enrolled", "2,6")]
    assert (await moodle.course(6, 2))["progress"] == 0


async def test_suspending_and_reviving_count_each_once(moodle):
    await moodle.enrol(6, 2)
    for suspend in (1, 1, None, None):
        await moodle.enrol(6, 2, **({} if suspend is None else {"suspend": suspend}))
    assert moodle.effects == [("enrolled", "2,6"), ("suspended", "2,6"), ("unsuspended", "2,6")]


async def test_enrolling_suspended_is_one_effect_and_not_active(moodle):
    await moodle.enrol(6, 2, suspend=1)
    assert moodle.effects == [("enrolled", "2,6")]
    assert await moodle.course(6, 2) is None


async def test_dates_left_out_overwrite_earlier_ones(moodle):
    await moodle.enrol(6, 2, timestart=NOW - DAY, timeend=NOW + DAY)
    await moodle.enrol(6, 2)
    assert moodle.effects == [("enrolled", "2,6"), ("dates_changed", "2,6")]
    found = moodle.app.vendor.site.manual(2, 6)
    assert (found.start, found.end) == (0, 0)


@pytest.mark.parametrize(
    ("more", "active"),
    [
        ({}, True),
        ({"timestart": NOW + 1}, False),
        ({"timestart": NOW}, True),
        ({"timeend": NOW}, False),
        ({"timeend": NOW + 1}, True),
        ({"suspend": 1}, False),
    ],
)
async def test_only_active_enrolments_are_among_a_users_courses(moodle, more, active):
    await moodle.enrol(6, 2, **more)
    assert (await moodle.course(6, 2) is not None) == active
    code = await moodle.code(STATUS, courseid=2, userid=6)
    assert code == (None if active else "usernotenroled")


@pytest.mark.parametrize(
    ("user", "course", "role", "code"),
    [
        (6, 99, 5, "invalidparameter"),
        (99, 2, 5, "codingerror"),
        (8, 2, 5, "codingerror"),
        (6, 2, 3, "wsusercannotassign"),
        (6, 8, 5, "wsnoinstance"),
        (6, 1, 5, "wsnoinstance"),
        (99, 8, 3, "wsusercannotassign"),
        (99, 8, 5, "wsnoinstance"),
    ],
)
async def test_enrolment_that_cannot_be_undoes_the_whole_call(moodle, user, course, role, code):
    good = {"roleid": 5, "userid": 6, "courseid": 4}
    bad = {"roleid": role, "userid": user, "courseid": course}
    assert await moodle.code(ENROL, enrolments=[good, bad]) == code
    assert moodle.effects == []


async def test_hidden_course_takes_enrolments_and_does_not_show_among_the_users(moodle):
    assert await moodle.enrol(6, 7) is None
    assert await moodle.course(6, 7) is None
    assert [each["id"] for each in await moodle.call(ENROLLED, courseid=7)] == [6]
    moodle.act("change_course", course_id=7, visible=True)
    assert await moodle.course(6, 7) is not None
    moodle.act("change_course", course_id=7, visible=False)
    moodle.switch(lacks=("moodle/course:viewhiddencourses",))
    assert (await moodle.enrol(6, 7))["errorcode"] == "requireloginerror"


async def test_student_role_is_a_setting_and_another_role_is_added(moodle):
    moodle.switch(student_role=11)
    assert (await moodle.enrol(5, 9))["errorcode"] == "wsusercannotassign"
    assert await moodle.enrol(5, 9, role=11) is None
    assert moodle.effects == [("role_assigned", "9,5,11")]


@pytest.mark.parametrize("user", [7, 9])
async def test_suspended_or_unconfirmed_account_can_be_enrolled(moodle, user):
    assert await moodle.enrol(user, 4) is None
    assert moodle.effects == [("enrolled", f"4,{user}")]


async def test_suspended_account_keeps_its_courses_and_completion(moodle):
    assert (await moodle.course(7, 2))["completed"] is False
    assert await moodle.code(STATUS, courseid=2, userid=7) is None
    moodle.act("suspend_user", user_id=5)
    assert (await moodle.course(5, 9))["progress"] == pytest.approx(100 / 3)


async def test_lost_race_for_an_enrolment_fails_once(moodle):
    moodle.switch(enrol_race=True)
    assert (await moodle.enrol(6, 2))["errorcode"] == "dmlwriteexception"
    assert await moodle.course(6, 2) is not None
    assert await moodle.enrol(6, 2) is None
    assert moodle.effects == []


async def test_unenrolling_is_silent_and_counts_once(moodle):
    assert [await moodle.unenrol(5, 9) for _ in range(2)] == [None, None]
    assert moodle.effects == [("unenrolled", "9,5")]
    assert await moodle.code(STATUS, courseid=9, userid=5) == "usernotenroled"


async def test_unenrolling_ends_the_manual_enrolment_only(moodle):
    moodle.act("enrol", user_id=5, course_id=9, method="cohort")
    await moodle.unenrol(5, 9)
    assert (await moodle.course(5, 9))["progress"] == pytest.approx(100 / 3)
    await moodle.unenrol(5, 9)
    assert moodle.effects == [("unenrolled", "9,5")]


@pytest.mark.parametrize(
    ("user", "course", "code"),
    [(99, 9, "invalidparameter"), (5, 99, "invalidrecord"), (6, 8, "wsnoinstance")],
)
async def test_unenrolment_that_cannot_be_undoes_the_whole_call(moodle, user, course, code):
    good, bad = {"userid": 5, "courseid": 9}, {"userid": user, "courseid": course}
    assert await moodle.code(UNENROL, enrolments=[good, bad]) == code
    assert moodle.effects == []


@pytest.mark.parametrize("recovered", [False, True])
async def test_grades_are_lost_on_unenrolling_and_completion_stays(moodle, recovered):
    moodle.switch(grades_recovered=recovered)
    moodle.act("set_grade", user_id=5, course_id=9, cmid=33, grade=70)
    await moodle.unenrol(5, 9)
    await moodle.enrol(5, 9)
    assert (await moodle.course(5, 9))["progress"] == pytest.approx(100 / 3)
    found = await moodle.call(GRADES, courseid=9, userid=5)
    assert found["usergrades"][0]["gradeitems"][0]["graderaw"] == (70 if recovered else None)


# reading enrolments


async def test_enrolled_users_are_everybody_unless_asked_for_some(moodle):
    await moodle.enrol(6, 9, suspend=1)
    await moodle.enrol(7, 9)

    async def found(**options: object) -> list[int]:
        given = [option(name, value) for name, value in options.items()]
        return [each["id"] for each in await moodle.call(ENROLLED, courseid=9, options=given)]

    assert await found() == [5, 6, 7]
    assert await found(onlyactive=1) == [5, 7]
    assert await found(onlysuspended=1) == [6]
    assert await found(onlyactive=0) == [5, 6, 7]
    assert await found(limitfrom=1, limitnumber=1) == [6]
    assert await found(limitfrom=1) == [6, 7]
    assert await found(sortby="lastname") == [7, 6, 5]
    assert await found(sortby="lastname", sortdirection="DESC") == [5, 6, 7]
    assert await found(sortby="firstname") == [6, 5, 7]
    assert await found(madeup=1) == [5, 6, 7]


async def test_old_release_passes_over_the_option_for_suspended_ones(moodle):
    moodle.switch(version="3.8")
    options = [option("onlysuspended", 1)]
    assert len(await moodle.call(ENROLLED, courseid=9, options=options)) == 1
    moodle.switch(unknown_options_refused=True)
    assert await moodle.code(ENROLLED, courseid=9, options=options) == "invalidparameter"


async def test_active_and_suspended_exclude_each_other(moodle):
    options = [option("onlyactive", 1), option("onlysuspended", 1)]
    assert await moodle.code(ENROLLED, courseid=9, options=options) == "codingerror"


async def test_enrolled_user_has_roles_and_courses_and_no_completion(moodle):
    found = (await moodle.call(ENROLLED, courseid=9))[0]
    assert [(each["roleid"], each["shortname"]) for each in found["roles"]] == [(5, "student")]
    assert [each["id"] for each in found["enrolledcourses"]] == [9]
    assert not {"progress", "completed", "suspended"} & set(found)
    fields = [option("userfields", "id, email")]
    few = (await moodle.call(ENROLLED, courseid=9, options=fields))[0]
    assert set(few) == {"id", "fullname", "email"}


async def test_courses_of_a_user_are_missing_where_participants_may_not_be_seen(moodle):
    await moodle.enrol(5, 2)
    moodle.act("change_course", course_id=2, closed=True)
    found = await moodle.call(USERS_COURSES, userid=5)
    assert [each["id"] for each in found] == [9]
    moodle.switch(lacks=("moodle/course:viewparticipants",))
    assert await moodle.call(USERS_COURSES, userid=5) == []


# progress and completion


@pytest.mark.parametrize(
    ("course", "done", "progress", "completed"),
    [
        (9, 0, 0, False),
        (9, 1, pytest.approx(100 / 3), False),
        (9, 2, pytest.approx(200 / 3), False),
        (9, 3, 100, True),
        (2, 1, 25, False),
        (2, 2, 100, True),  # complete by its criteria, whatever is left
        (3, 2, 100, False),  # all activities done, and the grade is missing
        (4, 2, 100, False),
        (5, 1, 100, False),  # nothing to complete it
    ],
)
async def test_progress_is_the_share_of_activities_until_the_course_is_complete(
    moodle, course, done, progress, completed
):
    await moodle.enrol(6, course)
    shown = moodle.act("set_progress", user_id=6, course_id=course, done=done)
    found = await moodle.course(6, course)
    assert (found["progress"], found["completed"]) == (progress, completed)
    assert (shown["progress"], shown["completed"]) == (progress, completed)


async def test_progress_is_null_where_nothing_is_tracked(moodle):
    await moodle.enrol(6, 6)
    found = await moodle.course(6, 6)
    assert (found["progress"], found["completed"], found["enablecompletion"]) == (None, None, False)
    id = moodle.act("add_course", fullname="Empty", activities=0)["course_id"]
    await moodle.enrol(6, id)
    assert (await moodle.course(6, id))["progress"] is None


@pytest.mark.parametrize(("state", "counts"), [(0, False), (1, True), (2, True), (3, False), (4, False)])
async def test_failed_activity_does_not_count(moodle, state, counts):
    moodle.act("set_activity", user_id=5, course_id=9, cmid="32", state=state, by=2)
    assert (await moodle.course(5, 9))["progress"] == pytest.approx(200 / 3 if counts else 100 / 3)
    statuses = (await moodle.call(ACTIVITIES, courseid=9, userid=5))["statuses"]
    assert [(each["cmid"], each["state"], each["overrideby"]) for each in statuses] == [
        (31, 1, None),
        (32, state, 2),
        (33, 0, None),
    ]


async def test_completed_course_stays_complete_when_activities_fall_back_until_it_is_reset(moodle):
    moodle.act("set_progress", user_id=5, course_id=9, done=3)
    moodle.act("set_progress", user_id=5, course_id=9, done=0)
    found = await moodle.course(5, 9)
    assert (found["progress"], found["completed"]) == (100, True)
    moodle.act("reset_progress", user_id=5, course_id=9)
    found = await moodle.course(5, 9)
    assert (found["progress"], found["completed"]) == (0, False)


async def test_progress_falls_when_content_is_added_and_rises_when_it_goes(moodle):
    cmid = moodle.act("add_activity", course_id=9)["cmid"]
    assert (await moodle.course(5, 9))["progress"] == 25
    moodle.act("remove_activity", course_id=9, cmid=cmid)
    moodle.act("remove_activity", course_id=9, cmid=33)
    assert (await moodle.course(5, 9))["progress"] == 50
    moodle.act("set_activity", user_id=5, course_id=9, cmid=32)
    assert (await moodle.course(5, 9))["completed"] is True


async def test_any_value_can_be_shown_as_progress(moodle):
    for value in (None, 62.5, "half"):
        moodle.act("show_progress", user_id=5, course_id=9, value=value)
        assert (await moodle.course(5, 9))["progress"] == value
    moodle.act("show_progress", user_id=5, course_id=9, own=True)
    assert (await moodle.course(5, 9))["progress"] == pytest.approx(100 / 3)


async def test_course_can_be_complete_whatever_its_activities_say(moodle):
    moodle.act("complete", user_id=5, course_id=9)
    found = await moodle.course(5, 9)
    assert (found["progress"], found["completed"]) == (100, True)
    status = (await moodle.call(STATUS, courseid=9, userid=5))["completionstatus"]
    assert status["completed"] and all(each["complete"] for each in status["completions"])


async def test_completion_may_wait_for_cron(moodle):
    moodle.switch(completion_by_cron=True)
    moodle.act("set_progress", user_id=5, course_id=9, done=3)
    found = await moodle.course(5, 9)
    assert (found["progress"], found["completed"]) == (100, False)
    assert moodle.act("cron") == {"completed": [[9, 5]]}
    assert (await moodle.course(5, 9))["completed"] is True
    assert moodle.act("cron") == {"completed": []}


async def test_own_mark_and_grade_complete_a_course_with_cron_only(moodle):
    await moodle.enrol(6, 4)
    await moodle.enrol(6, 3)
    moodle.act("complete_self", user_id=6, course_id=4)
    moodle.act("set_grade", user_id=6, course_id=3, cmid=6, grade=5)
    for course in (3, 4):
        assert (await moodle.course(6, course))["completed"] is False
    assert moodle.act("cron") == {"completed": [[3, 6], [4, 6]]}


async def test_one_criterion_of_several_can_be_enough(moodle):
    moodle.act("change_course", course_id=9, all_needed=False)
    moodle.act("set_activity", user_id=5, course_id=9, cmid=33)
    status = (await moodle.call(STATUS, courseid=9, userid=5))["completionstatus"]
    assert (status["aggregation"], status["completed"]) == (2, True)
    assert [each["status"] for each in status["completions"]] == ["Yes", "No", "Yes"]


@pytest.mark.parametrize(
    ("user", "course", "code"),
    [
        (5, 99, "invalidrecord"),
        (99, 9, "invaliduser"),
        (8, 9, "userdeleted"),
        (9, 9, "usernotconfirmed"),
        (6, 9, "usernotenroled"),
        (5, 3, "usernotenroled"),
        (6, 6, "cannotviewreport"),
        (6, 8, "nocriteriaset"),
    ],
)
async def test_completion_that_cannot_be_told_has_a_code(moodle, user, course, code):
    assert await moodle.code(STATUS, courseid=course, userid=user) == code


async def test_activities_that_may_not_be_seen_are_missing(moodle):
    moodle.switch(lacks=("mod/assign:view",))
    statuses = (await moodle.call(ACTIVITIES, courseid=9, userid=5))["statuses"]
    assert [each["cmid"] for each in statuses] == [31, 32]
    moodle.app.vendor.site.courses[9].activities[0].tracking = 0
    statuses = (await moodle.call(ACTIVITIES, courseid=9, userid=5))["statuses"]
    assert [each["cmid"] for each in statuses] == [32]


# grades


def grade(value: object, student: int = 5, **more: object) -> dict[str, object]:
    fields = {"source": "test", "courseid": 9, "component": "mod_assign", "activityid": 33, "itemnumber": 0}
    given = {"studentid": student, "grade": value, "str_feedback": "Well done"}
    return {**fields, "grades": [given], **more}


async def test_grade_is_set_once_and_cut_at_the_most(moodle):
    for value in (80, 80, "250.5", -3):
        assert await moodle.call(GRADE, **grade(value)) == 0
    assert moodle.effects == [("grade_set", "9,5,33")] * 3
    item, course = (await moodle.call(GRADES, courseid=9, userid=5))["usergrades"][0]["gradeitems"]
    assert (item["graderaw"], item["feedback"], course["itemtype"], course["graderaw"]) == (
        0,
        "",
        "course",
        0,
    )


@pytest.mark.parametrize("answer", [1, 2, 4])
async def test_grade_item_can_answer_otherwise_and_nothing_changes(moodle, answer):
    moodle.act("answer_grades", cmid=33, answer=answer)
    assert await moodle.call(GRADE, **grade(80)) == answer
    assert moodle.effects == []
    item = (await moodle.call(GRADES, courseid=9, userid=5))["usergrades"][0]["gradeitems"][0]
    assert (item["graderaw"], item["percentageformatted"], item["locked"]) == (None, "-", answer == 4)


async def test_grades_of_everybody_are_of_active_learners(moodle):
    await moodle.enrol(6, 9, suspend=1)
    found = await moodle.call(GRADES, courseid=9)
    assert [each["userid"] for each in found["usergrades"]] == [5]
    assert await moodle.code(GRADES, courseid=99) == "invalidrecord"
    assert await moodle.code(GRADES, courseid=9, userid=99) == "invaliduser"


async def test_activity_without_a_grade_item_gets_one(moodle):
    assert await moodle.call(GRADE, **grade(50, component="mod_page", activityid=32)) == 0
    items = (await moodle.call(GRADES, courseid=9, userid=5))["usergrades"][0]["gradeitems"]
    assert [(each["cmid"], each["percentageformatted"]) for each in items[:2]] == [(32, "50.00 %"), (33, "-")]


async def test_grade_completes_an_activity_that_waits_for_one(moodle):
    await moodle.enrol(6, 3)
    await moodle.call(GRADE, **grade(4, 6, courseid=3, component="mod_quiz", activityid=6))
    assert (await moodle.course(6, 3))["progress"] == 50
    assert moodle.act("cron") == {"completed": []}  # 5 are needed


# actions, control and process


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_activity", {"user_id": 99, "course_id": 9, "cmid": 31}),
        ("set_activity", {"user_id": 5, "course_id": 99, "cmid": 31}),
        ("set_activity", {"user_id": 5, "course_id": 9, "cmid": 1}),
        ("set_activity", {"user_id": 5, "course_id": 9, "cmid": 31, "state": 9}),
        ("set_progress", {"user_id": 5, "course_id": 9, "done": 4}),
        ("set_grade", {"user_id": 5, "course_id": 9, "cmid": 33, "grade": 101}),
        ("complete_self", {"user_id": 5, "course_id": 9}),
        ("suspend", {"user_id": 6, "course_id": 9}),
        ("enrol", {"user_id": 5, "course_id": 9}),
        ("enrol", {"user_id": 6, "course_id": 9, "method": "magic"}),
        ("add_user", {"username": "mia.tan", "email": "x@example.org"}),
        ("add_user", {"username": "x", "email": "x@example.org", "shoe": "9"}),
        ("add_learners", {"course_id": 9, "count": 0}),
        ("change_course", {"course_id": 9, "visible": "no"}),
        ("change_course", {"course_id": 9, "id": 5}),
        ("answer_grades", {"cmid": 33, "answer": 3}),
        ("answer_grades", {"cmid": 999, "answer": 1}),
        ("delete_user", {"user_id": "x"}),
    ],
)
async def test_action_that_makes_no_sense_is_refused_over_http(moodle, name, arguments):
    assert (await moodle.client.post(f"/_control/act/{name}", json=arguments)).status_code == 400


async def test_staff_end_enrolments_without_an_effect(moodle):
    moodle.act("suspend", user_id=5, course_id=9)
    assert await moodle.course(5, 9) is None
    moodle.act("suspend", user_id=5, course_id=9, suspended=False)
    moodle.act("end", user_id=5, course_id=9)
    assert await moodle.course(5, 9) is None
    moodle.act("unenrol", user_id=5, course_id=9)
    assert await moodle.call(ENROLLED, courseid=9) == []
    assert moodle.effects == []


async def test_deleted_user_is_still_found_by_id_and_cannot_be_enrolled(moodle):
    moodle.act("delete_user", user_id=5)
    assert await moodle.call(FIND, field="username", values=["mia.tan"]) == []
    found = (await moodle.call(FIND, field="id", values=["5"]))[0]
    assert found["username"].startswith("Mia.Tan@Example.org.") and "idnumber" not in found
    assert await moodle.call(USERS_COURSES, userid=5) == []
    assert (await moodle.enrol(5, 2))["errorcode"] == "codingerror"


async def test_users_and_courses_come_and_go(moodle):
    id = moodle.act("add_user", username="O'Neil", email="o@example.org", idnumber="rtop-9")["user_id"]
    assert (await moodle.call(FIND, field="idnumber", values=["rtop-9"]))[0]["id"] == id
    learners = moodle.act("add_learners", course_id=9, count=3)["user_ids"]
    assert [each["id"] for each in await moodle.call(ENROLLED, courseid=9)] == [5, *learners]
    moodle.act("delete_course", course_id=9)
    assert await moodle.call(USERS_COURSES, userid=5) == []
    assert (await moodle.enrol(5, 9))["errorcode"] == "invalidparameter"


async def test_state_tells_who_is_enrolled_where_and_how(moodle):
    made = (await moodle.call(CREATE, users=[NEW]))[0]["id"]
    await moodle.enrol(made, 9, suspend=1)
    state = (await moodle.client.get("/_control/state")).json()
    expected = {
        "user_id": made,
        "username": "rtop-300",
        "idnumber": "rtop-300",
        "email": "ann.new@example.org",
        "course_id": 9,
        "shortname": "CPC30220",
        "method": "manual",
        "suspended": True,
        "active": False,
        "completed": False,
        "roles": [5],
    }
    assert expected.items() <= state["enrolments"][-1].items()
    first = state["enrolments"][0]
    assert (first["user_id"], first["active"], first["progress"]) == (5, True, pytest.approx(100 / 3))


async def test_reset_brings_back_the_seed_and_the_first_switches(moodle):
    await moodle.enrol(6, 2)
    moodle.switch(token_trouble="expired")
    assert await moodle.code(INFO) == "accessexception"
    moodle.app.reset()
    assert moodle.app.vendor.switches == Switches()
    assert await moodle.course(6, 2) is None and moodle.effects == []


async def test_switches_are_changed_over_http(moodle):
    changed = await moodle.client.post(
        "/_control/switches", json={"version": "5.1", "left_out": [UPDATE], "race_window_s": 0.5}
    )
    assert (changed.json()["version"], changed.json()["left_out"]) == ("5.1", [UPDATE])
    refused = await moodle.client.post("/_control/switches", json={"lacks": ["everything"]})
    assert refused.status_code == 400


def test_process_says_where_it_listens_and_knows_its_token_and_switches():
    command = [
        sys.executable,
        "-m",
        "gateway.sandbox.moodle",
        "--port",
        "0",
        "--token",
        "T1",
        "--password",
        "P1",
    ]
    with subprocess.Popen(
        [*command, "--switches", '{"version": "4.5"}'], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        try:
            line = child.stdout.readline()
            assert line.startswith("listening on http://127.0.0.1:")
            url = line.split()[-1]
            form = {"wstoken": "T1", "wsfunction": INFO, "moodlewsrestformat": "json"}
            found = httpx.post(f"{url}{SERVER}", data=form, trust_env=False).json()
            assert found["release"].startswith("4.5") and found["siteurl"] == url
            login = {"username": "rto-gateway", "password": "P1", "service": "rto_gateway"}
            assert httpx.post(f"{url}{LOGIN}", data=login, trust_env=False).json()["token"] == "T1"
        finally:
            child.terminate()
