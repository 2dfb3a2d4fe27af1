"""Enrolments whose course is not known, page by page."""

from gateway.store import courseless, enrolments


def add(conn, id, *, tenant="acme", course=None):
    enrolments.add(
        conn,
        tenant=tenant,
        vendor_account="v",
        key=id,
        make_id=lambda _: id,
        record={},
        now=1.0,
        course_id=course,
    )


def test_only_active_ones_of_the_tenant_without_a_course_are_given(conn):
    for id in ("c", "a", "b", "ended"):
        add(conn, id)
    add(conn, "elsewhere", tenant="beta")
    add(conn, "known", course="crs_7")
    enrolments.cancel(conn, "acme", "ended", 2.0)
    assert [one.id for one in courseless.active(conn, "acme")] == ["a", "b", "c"]
    assert [one.id for one in courseless.active(conn, "acme", limit=2)] == ["a", "b"]
    assert [one.id for one in courseless.active(conn, "acme", after_id="b")] == ["c"]
    assert (courseless.count(conn, "acme"), courseless.count(conn, "beta")) == (3, 1)
    assert courseless.count(conn, "nobody") == 0
