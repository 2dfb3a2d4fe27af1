"""Active enrolments, as polls go through them and events are matched; and what a reading leaves on them."""

import pytest
from sqlalchemy.dialects import sqlite

from gateway.store import enrolments
from gateway.store.engines import parse_url, sqlite_engine


def add(conn, id, course="1", tenant="acme", **more):
    values = {"vendor_account": "a", "record": {"userId": id, "courseId": course}, "now": 10.0}
    return enrolments.add(
        conn, tenant=tenant, key=id, make_id=lambda n: id, course_id=course, **values | more
    )


@pytest.fixture
def filled(conn):
    for id, course in (("a", "2"), ("b", "1"), ("c", "2"), ("d", "3"), ("e", None)):
        add(conn, id, course)
    add(conn, "z", "9", tenant="beta")
    enrolments.cancel(conn, "acme", "d", 20.0)
    return conn


def ids(found):
    return "".join(each.id for each in found)


def test_active_enrolments_come_in_pages_by_id(filled):
    assert ids(enrolments.active(filled, "acme")) == "abce"
    assert ids(enrolments.active(filled, "acme", limit=2)) == "ab"
    assert ids(enrolments.active(filled, "acme", after_id="b", limit=2)) == "ce"
    assert ids(enrolments.active(filled, "acme", course_id="2")) == "ac"
    assert ids(enrolments.active(filled, "acme", course_id="2", after_id="a")) == "c"
    assert enrolments.active(filled, "acme", course_id="3") == []


def test_courses_with_active_enrolments_come_in_pages(filled):
    assert enrolments.courses(filled, "acme") == ["1", "2"]
    assert enrolments.courses(filled, "acme", limit=1) == ["1"]
    assert enrolments.courses(filled, "acme", after="1") == ["2"]


def test_active_enrolments_are_counted(filled):
    assert [enrolments.count_active(filled, tenant) for tenant in ("acme", "beta", "none")] == [4, 1, 0]


@pytest.mark.parametrize("name", ["_COURSES", "_ACTIVE_OF_COURSE", "_COUNT_ACTIVE"])
def test_courses_and_their_enrolments_are_found_by_an_index(sqlite_url, name):
    engine = sqlite_engine(parse_url(sqlite_url), writes=True)
    compiled = str(getattr(enrolments, name).compile(dialect=sqlite.dialect()))
    with engine.begin() as conn:
        values = ("x",) * compiled.count("?")
        plan = str(conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values).fetchall())
    engine.dispose()
    assert "ix_enrolment_active" in plan


@pytest.mark.parametrize(
    ("record", "fields", "found"),
    [
        pytest.param({"user": "7", "course": "126"}, {"user": "7"}, True, id="one of its fields"),
        pytest.param({"user": "7", "course": "126"}, {"user": "7", "course": "126"}, True, id="all of them"),
        pytest.param({"user": "7", "course": "126"}, {"user": "7", "course": "1"}, False, id="one differs"),
        pytest.param({"user": 7}, {"user": "7"}, True, id="number in the record"),
        pytest.param({"user": 12345678901234}, {"user": "12345678901234"}, True, id="long number"),
        pytest.param({"user": None}, {"user": ""}, False, id="null"),
        pytest.param({}, {"user": "7"}, False, id="not in the record"),
        pytest.param(None, {"user": "7"}, False, id="no record"),
        pytest.param({"user": "7"}, {}, False, id="nothing to look for"),
        pytest.param({"e mail": "Zoë's"}, {"e mail": "Zoë's"}, True, id="any name, any text"),
    ],
)
def test_enrolments_are_found_by_fields_of_their_record(conn, record, fields, found):
    add(conn, "a", record=record)
    add(conn, "b", record={"user": "other"})
    add(conn, "c", tenant="beta", record=record)
    add(conn, "d", record=record)
    enrolments.cancel(conn, "acme", "d", 20.0)
    assert ids(enrolments.by_fields(conn, "acme", fields)) == ("a" if found else "")


def test_fields_find_no_more_than_asked(conn):
    for id in "cab":
        add(conn, id, record={"user": "7"})
    assert ids(enrolments.by_fields(conn, "acme", {"user": "7"}, limit=2)) == "ab"


def push_from(conn, id="a"):
    return enrolments.by_id(conn, "acme", id).push_from


def test_rtopilot_is_told_an_id_once(conn):
    add(conn, "a")
    assert push_from(conn) is None
    assert enrolments.told(conn, "acme", "a", 40.0)
    assert not enrolments.told(conn, "acme", "a", 90.0)
    assert not enrolments.told(conn, "acme", "unknown", 90.0)
    assert push_from(conn) == 40.0


def test_id_that_rtopilot_used_may_be_pushed_and_an_earlier_time_is_kept(conn):
    add(conn, "a")
    add(conn, "b", push_from=40.0)
    for now in (50.0, 60.0):
        enrolments.mark_seen(conn, "acme", "a", now)
        enrolments.mark_seen(conn, "acme", "b", now)
    assert [(e.seen_at, e.push_from) for e in enrolments.active(conn, "acme")] == [(50.0, 50.0), (50.0, 40.0)]


def test_adopted_enrolment_may_be_pushed_at_once(conn):
    found = enrolments.adopt(
        conn, tenant="acme", vendor_account="a", key="k", generation=1, id="a", record={}, now=50.0
    )
    assert found.push_from == push_from(conn) == 50.0


def test_reading_is_kept_with_its_times(conn):
    add(conn, "a")
    enrolments.keep_reading(conn, "acme", "a", 40, False, 20.0, 19.0)
    enrolments.keep_reading(conn, "acme", "a", 50, True, 30.0, None)
    found = enrolments.locked(conn, "acme", "a")
    assert (found.last_progress, found.completed, found.read_at, found.event_at) == (50, True, 30.0, 19.0)
    assert enrolments.locked(conn, "acme", "unknown") is None
