"""Remembered fields of students and courses."""

from gateway.store import people


def test_remembered_fields_are_merged_by_name(conn):
    people.remember(conn, "acme", "student", "S1", {"userId": "7", "login": "old"}, now=1.0)
    people.remember(conn, "acme", "student", "S1", {"login": "new", "extra": None}, now=2.0)
    assert people.recall(conn, "acme", "student", "S1") == {"userId": "7", "login": "new", "extra": None}


def test_nothing_remembered_is_none(conn):
    people.remember(conn, "acme", "student", "1", {"a": 1}, now=1.0)
    assert people.recall(conn, "acme", "course", "1") is None
    assert people.recall(conn, "beta", "student", "1") is None


def test_course_list_writes_only_what_changed(conn):
    courses = {str(n): {"code": f"C{n}"} for n in range(1201)}
    assert people.remember_many(conn, "acme", "course", courses, now=1.0) == 1201
    assert people.remember_many(conn, "acme", "course", courses | {"7": {"code": "X"}}, now=2.0) == 1
    found = people.recall_many(conn, "acme", "course", [*courses, "unknown"])
    assert found == courses | {"7": {"code": "X"}}


def test_empty_course_list_is_fine(conn):
    assert people.remember_many(conn, "acme", "course", {}, now=1.0) == 0
    assert people.recall_many(conn, "acme", "course", []) == {}
