"""Two who look, find nothing and write: on PostgreSQL the second must see what the first has not committed yet."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from gateway.store import enrolments, people
from gateway.store.engines import parse_url, postgres_engine
from gateway.store.enrolments import HeldElsewhere
from gateway.store.locks import one_at_a_time
from gateway.store.threads import transact
from tests.support.waiting import until

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def engine(postgres_url):
    made = postgres_engine(parse_url(postgres_url))
    yield made
    made.dispose()


def one_inside_the_other(engine, first, second):
    """The future of `second`, begun when `first` was done and not committed: it waits, or comes too early."""
    with ThreadPoolExecutor(1) as thread:
        with engine.begin() as conn:
            first(conn)
            future = thread.submit(transact, engine, second)
            until(lambda: future.done() or waiting(engine), what="the second to wait")
        return future


def waiting(engine):
    with engine.connect() as conn:
        return conn.execute(_WAITING).scalar_one()


@pytest.mark.parametrize("known", [False, True], ids=["nothing known yet", "something known"])
def test_fields_that_two_remember_at_once_are_all_kept(engine, known):
    def remember(name):
        return lambda conn: people.remember(conn, "acme", "student", "S1", {name: 1}, now=1.0)

    if known:
        transact(engine, remember("before"))
    one_inside_the_other(engine, remember("one"), remember("two")).result()
    kept = transact(engine, lambda conn: people.recall(conn, "acme", "student", "S1"))
    assert kept == {"one": 1, "two": 1} | ({"before": 1} if known else {})


def test_course_lists_that_two_remember_at_once_are_merged(engine):
    def remember(name):
        courses = {str(n): {name: n} for n in range(5)}
        return lambda conn: people.remember_many(conn, "acme", "course", courses, now=1.0)

    one_inside_the_other(engine, remember("one"), remember("two")).result()
    kept = transact(engine, lambda conn: people.recall_many(conn, "acme", "course", ["0", "4"]))
    assert kept == {"0": {"one": 0, "two": 0}, "4": {"one": 4, "two": 4}}


def test_one_vendor_enrolment_adopted_by_two_tenants_at_once_goes_to_the_first(engine):
    def adopt(tenant):
        return lambda conn: enrolments.adopt(
            conn,
            tenant=tenant,
            vendor_account="the same",
            key="7-126",
            generation=1,
            id="7-126",
            record={},
            now=0.0,
        )

    with pytest.raises(HeldElsewhere):
        one_inside_the_other(engine, adopt("acme"), adopt("beta")).result()
    assert transact(engine, lambda conn: enrolments.by_id(conn, "acme", "7-126")) is not None
    assert transact(engine, lambda conn: enrolments.by_id(conn, "beta", "7-126")) is None


def test_name_is_locked_until_the_transaction_ends_and_others_are_not(engine):
    order = []

    def take(name, note):
        def fn(conn):
            one_at_a_time(conn, "a", name)
            order.append(note)

        return fn

    def first(conn):
        take("same", "first")(conn)
        assert transact(engine, take("other", "other")) is None

    one_inside_the_other(engine, first, take("same", "second")).result()
    assert order == ["first", "other", "second"]
