"""Enrolments: generations, ends, and ids that come back after a lost database."""

import pytest

from gateway.errors import StoreError
from gateway.store import enrolments
from gateway.store.enrolments import HeldElsewhere


def make_id(generation):
    return "7-126" if generation == 1 else f"7-126_{generation}"


def add(conn, tenant="acme", key="7-126", **more):
    values = {"vendor_account": "acme.example", "make_id": make_id, "record": {"user": "7"}, "now": 10.0}
    return enrolments.add(conn, tenant=tenant, key=key, **values | more)


def adopt(conn, tenant="acme", generation=1, **more):
    values = {"vendor_account": "acme.example", "key": "7-126", "record": None, "now": 50.0}
    return enrolments.adopt(
        conn, tenant=tenant, generation=generation, id=make_id(generation), **values | more
    )


def test_added_enrolment_comes_back_by_its_id(conn):
    added = add(conn, course_id="126", student_id="S1", completed=True)
    assert enrolments.by_id(conn, "acme", "7-126") == added
    assert (added.state, added.adopted, added.seen_at, added.completed) == ("active", False, None, True)
    assert enrolments.by_id(conn, "other", "7-126") is None


def test_each_enrolment_of_a_key_gets_the_next_generation(conn):
    ids = [add(conn).id for _ in range(3)]
    assert ids == ["7-126", "7-126_2", "7-126_3"]
    enrolments.cancel(conn, "acme", "7-126_3", 20.0)
    assert add(conn).id == "7-126_4"


def test_generations_are_counted_for_each_tenant_alias_and_key(conn):
    add(conn)
    assert add(conn, tenant="beta").id == "7-126"
    assert add(conn, alias="lms2", make_id=lambda n: f"lms2__7-126_{n}").generation == 1
    assert add(conn, key="8-126", make_id=lambda n: f"8-126_{n}").generation == 1


def test_the_newest_active_enrolment_of_a_student_in_a_course_is_found(conn):
    def found():
        stored = enrolments.of_student(conn, "acme", "S1", "126")
        return None if stored is None else stored.id

    study = {"student_id": "S1", "course_id": "126"}
    assert found() is None
    add(conn, **study)
    add(conn, **study)
    add(conn, student_id="S1", course_id="127")
    add(conn, student_id="S2", course_id="126")
    add(conn, tenant="beta", **study)
    assert found() == "7-126_2"
    enrolments.cancel(conn, "acme", "7-126_2", 20.0)
    assert found() == "7-126"
    add(conn, key="8-126", make_id=lambda _: "8-126", now=30.0, **study)
    assert found() == "8-126", "of two keys the later one"
    enrolments.move(conn, "acme", "8-126", "7-126_4", 40.0)
    assert found() == "7-126"


def test_adopted_generation_is_not_given_out_again(conn):
    adopt(conn, generation=3)
    assert add(conn).id == "7-126_4"


def test_taken_id_is_passed_over(conn):
    add(conn, key="other key")
    assert add(conn).id == "7-126_2"


def test_add_gives_up_when_every_id_is_taken(conn):
    add(conn, key="other key")
    with pytest.raises(StoreError, match="No free id"):
        add(conn, make_id=lambda generation: "7-126")


def test_by_key_gives_all_active_ids_of_a_vendor_enrolment(conn):
    for _ in range(3):
        add(conn)
    enrolments.cancel(conn, "acme", "7-126_2", 20.0)
    assert [found.id for found in enrolments.by_key(conn, "acme", None, "7-126")] == ["7-126", "7-126_3"]
    assert enrolments.by_key(conn, "acme", "lms2", "7-126") == []


def test_first_sight_is_kept(conn):
    add(conn)
    enrolments.mark_seen(conn, "acme", "7-126", 30.0)
    enrolments.mark_seen(conn, "acme", "7-126", 40.0)
    assert enrolments.by_id(conn, "acme", "7-126").seen_at == 30.0


def test_cancelled_enrolment_is_ended_once(conn):
    add(conn)
    assert enrolments.cancel(conn, "acme", "7-126", 30.0)
    assert not enrolments.cancel(conn, "acme", "7-126", 40.0)
    found = enrolments.by_id(conn, "acme", "7-126")
    assert (found.state, found.ended_at) == ("cancelled", 30.0)


def test_moved_enrolment_names_its_successor_and_stays_moved(conn):
    add(conn)
    assert enrolments.move(conn, "acme", "7-126", "9-126", 30.0)
    assert not enrolments.cancel(conn, "acme", "7-126", 40.0)
    found = enrolments.by_id(conn, "acme", "7-126")
    assert (found.state, found.moved_to) == ("moved", "9-126")


def test_record_and_progress_are_kept(conn):
    add(conn)
    enrolments.keep_record(conn, "acme", "7-126", {"user": "7", "note": "x"})
    enrolments.keep_progress(conn, "acme", "7-126", 100, completed=True)
    found = enrolments.by_id(conn, "acme", "7-126")
    assert (found.record, found.last_progress, found.completed) == ({"user": "7", "note": "x"}, 100, True)


def test_adopted_enrolment_counts_as_seen(conn):
    found = adopt(conn, generation=2)
    assert (found.adopted, found.seen_at, found.generation) == (True, 50.0, 2)
    assert enrolments.by_id(conn, "acme", "7-126_2") == found


def test_adopting_a_known_id_changes_nothing(conn):
    added = add(conn)
    assert adopt(conn) == added


def test_adoption_is_refused_while_another_tenant_has_that_key_of_the_same_account(conn):
    add(conn, tenant="beta")
    enrolments.cancel(conn, "beta", "7-126", 20.0)
    with pytest.raises(HeldElsewhere):
        adopt(conn)
    assert adopt(conn, vendor_account="another.example").id == "7-126"


def test_adoption_of_a_generation_stored_under_another_id_is_refused(conn):
    add(conn, make_id=lambda generation: "rzzz")
    with pytest.raises(StoreError, match="another id"):
        adopt(conn)
