"""The outbox as a person looks at it: counts, causes, dead letters put back, what ended enrolments leave."""

import pytest

from gateway.store import enrolments, outbox


def enrol(conn, tenant, id):
    enrolments.add(
        conn,
        tenant=tenant,
        vendor_account="a",
        key=id,
        make_id=lambda n: id,
        record={},
        now=0.0,
        push_from=0.0,
    )


def put(conn, tenant, id, now=10.0):
    enrol(conn, tenant, id)
    outbox.put(conn, tenant, id, 40, now)


def dead(conn, tenant, id, cause="refused", status=422):
    put(conn, tenant, id)
    outbox.claim(conn, tenant, "me", 10.0, 60.0, 99)
    outbox.dead(conn, tenant, id, "me", status=status, error=f"{status} {id}", cause=cause, now=11.0)


@pytest.fixture
def filled(conn):
    """acme: 1 to 3 refused, 4 not found; beta: 1 done, 2 and 3 pending, 4 dead."""
    for id in ("1", "2", "3"):
        dead(conn, "acme", id, status=400 if id == "1" else 422)
    dead(conn, "acme", "4", "not_found", 404)
    dead(conn, "beta", "4", "config", 301)
    put(conn, "beta", "1")
    outbox.claim(conn, "beta", "me", 10.0, 60.0, 99)
    outbox.sent(conn, "beta", "1", "me", version=1, value=40, status=200, now=11.0)
    put(conn, "beta", "2", 30.0)
    put(conn, "beta", "3", 20.0)
    return conn


def test_counts_are_by_tenant_and_state(filled):
    assert outbox.counts(filled) == {
        "acme": {"pending": 0, "dead": 4, "done": 0},
        "beta": {"pending": 2, "dead": 1, "done": 1},
    }


def test_oldest_undelivered_change_of_each_tenant_is_known(filled):
    assert outbox.oldest(filled) == {"beta": 20.0}


def test_causes_of_dead_letters_are_counted_with_an_example(filled):
    def found(tenant=None):
        return [(c.tenant, c.cause, c.status, c.n, c.example) for c in outbox.causes(filled, tenant)]

    acme = [
        ("acme", "refused", 422, 2, "422 2"),
        ("acme", "not_found", 404, 1, "404 4"),
        ("acme", "refused", 400, 1, "400 1"),
    ]
    assert found("acme") == acme
    assert found() == [*acme, ("beta", "config", 301, 1, "301 4")]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        pytest.param({}, "a1 a2 a3 a4 b1 b2 b3 b4", id="all"),
        pytest.param({"tenant": "beta"}, "b1 b2 b3 b4", id="a tenant's"),
        pytest.param({"state": "dead"}, "a1 a2 a3 a4 b4", id="dead"),
        pytest.param({"state": "pending"}, "b2 b3", id="pending"),
        pytest.param({"state": "done"}, "b1", id="done"),
        pytest.param({"cause": "refused"}, "a1 a2 a3", id="one cause"),
        pytest.param({"limit": 2}, "a1 a2", id="a page"),
        pytest.param({"limit": 3, "after": ("acme", "3")}, "a4 b1 b2", id="the next page"),
    ],
)
def test_rows_are_listed_by_tenant_and_id(filled, wanted, ids):
    assert " ".join(item.tenant[0] + item.id for item in outbox.list_items(filled, **wanted)) == ids


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        pytest.param({}, ["1", "2", "3", "4"], id="all"),
        pytest.param({"id": "2"}, ["2"], id="one"),
        pytest.param({"cause": "refused"}, ["1", "2", "3"], id="one cause"),
        pytest.param({"cause": "refused", "status": 400}, ["1"], id="one status"),
        pytest.param({"id": "unknown"}, [], id="none"),
    ],
)
def test_dead_letters_are_tried_again_one_all_or_all_of_a_cause(filled, wanted, ids):
    assert outbox.replay(filled, tenant="acme", now=50.0, dry=True, **wanted) == ids
    assert outbox.counts(filled)["acme"]["dead"] == 4
    assert outbox.replay(filled, tenant="acme", now=50.0, **wanted) == ids
    claimed = outbox.claim(filled, "acme", "me", 50.0, 60.0, 99)
    assert [item.id for item in claimed] == ids
    assert all((item.tries, item.cause, item.since) == (0, None, 10.0) for item in claimed)
    assert outbox.counts(filled)["beta"]["dead"] == 1


def test_dead_letter_of_an_ended_enrolment_is_not_tried_again(filled):
    enrolments.cancel(filled, "acme", "1", 40.0)
    assert outbox.replay(filled, tenant="acme", status=400, now=50.0) == []


def test_ended_enrolments_leave_nothing_to_tell_but_what_is_on_its_way(filled):
    for tenant, id in (("acme", "1"), ("acme", "2"), ("beta", "1"), ("beta", "2"), ("beta", "3")):
        enrolments.cancel(filled, tenant, id, 40.0)
    put(filled, "gamma", "way")
    outbox.claim(filled, "gamma", "me", 50.0, 60.0, 1)
    enrolments.cancel(filled, "gamma", "way", 51.0)
    assert [outbox.ended(filled, 60.0, limit=3) for _ in range(3)] == [3, 1, 0]
    assert outbox.counts(filled) == {
        "acme": {"pending": 0, "dead": 2, "done": 2},
        "beta": {"pending": 0, "dead": 1, "done": 3},
        "gamma": {"pending": 1, "dead": 0, "done": 0},
    }
    assert outbox.ended(filled, 110.0, limit=3) == 1


def test_first_reply_of_each_status_is_kept(conn):
    for tenant, status, body in (
        ("b", 200, "{}"),
        ("a", 422, "first"),
        ("a", 422, "second"),
        ("a", 200, "x" * 9999),
    ):
        outbox.keep_reply(conn, tenant, status, body, 10.0)
    found = [(reply.tenant, reply.status, reply.body) for reply in outbox.replies(conn)]
    assert found == [("a", 200, "x" * 2000), ("a", 422, "first"), ("b", 200, "{}")]
    assert [reply.tenant for reply in outbox.replies(conn, "b")] == ["b"]
