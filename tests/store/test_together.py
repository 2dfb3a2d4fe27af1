"""Two gateways on one store, everything at once: one winner each, nothing twice."""

import asyncio
from collections import Counter

import pytest

from gateway.store import enrolments, inbox, leases, outbox, runs, schedules, tasks, tokens
from gateway.store.database import Database


@pytest.fixture
async def both(database, store_url):
    other = Database.open(store_url)
    yield [database, other]
    await other.close()


async def at_once(databases, closure, times=20):
    """The results of `closure(conn, n)` from both gateways, all running at the same time."""
    return await asyncio.gather(
        *(each.write(lambda conn, n=n: closure(conn, n)) for n in range(times) for each in databases)
    )


def begin(conn, owner, fingerprint="same"):
    return runs.begin(
        conn,
        tenant="acme",
        operation="createEnrolment",
        fingerprint=fingerprint,
        input={},
        owner=owner,
        now=0.0,
        lease_s=90.0,
        mapping_hash="h",
    )


async def test_one_request_arriving_everywhere_at_once_is_one_run(both):
    begun = await at_once(both, lambda conn, n: begin(conn, f"gateway {n}"))
    assert Counter(each.kind for each in begun) == {"new": 1, "joined": 39}
    assert len({each.run.id for each in begun}) == 1


async def test_one_request_begun_and_finished_everywhere_at_once_is_done_once(both):
    def whole(conn, n):
        begun = begin(conn, "me")
        if begun.kind == "new":
            runs.finish(conn, begun.run.id, "me", {"n": 1}, now=0.0)
        return begun.kind

    assert Counter(await at_once(both, whole)) == {"new": 1, "answered": 39}


async def test_enrolments_added_everywhere_at_once_get_different_ids(both):
    added = await at_once(
        both,
        lambda conn, n: enrolments.add(
            conn,
            tenant="acme",
            vendor_account="a",
            key="7-126",
            make_id=lambda generation: f"7-126_{generation}",
            record={},
            now=0.0,
        ),
        times=5,
    )
    assert sorted(each.generation for each in added) == list(range(1, 11))


async def test_due_work_is_claimed_once(both):
    for n in range(30):
        await both[0].write(lambda conn, n=n: begin(conn, "gone", f"run {n}"))
        await both[0].write(
            lambda conn: tasks.add(conn, tenant="t", kind="undo", payload={}, sentence="s", now=0.0)
        )

    def claim(conn, n):
        found = runs.claim_due(conn, f"settler {n}", 100.0, 90.0, limit=4)
        return [item.id for item in [*found, *tasks.claim_due(conn, f"settler {n}", 100.0, 90.0, limit=4)]]

    claimed = [item for some in await at_once(both, claim) for item in some]
    assert len(claimed) == len(set(claimed)) == 60


async def test_lease_and_renewal_have_one_holder(both):
    numbers = iter(range(1000))

    def acquire(conn, n):
        return leases.acquire(conn, "acme", "S1", f"gateway {next(numbers)}", 0.0, 60.0)

    def renew(conn, n):
        return tokens.claim_renewal(conn, "acme", "auth", 0, f"gateway {next(numbers)}", 0.0, 30.0)

    assert Counter(await at_once(both, acquire))[True] == 1
    assert Counter(await at_once(both, renew)) == {"yours": 1, "wait": 39}


async def test_progress_is_claimed_once_and_no_more_than_asked(both):
    def fill(conn):
        for n in range(60):
            enrolments.add(
                conn,
                tenant="acme",
                vendor_account="a",
                key=f"{n}",
                make_id=lambda _, n=n: f"{n}",
                record={},
                now=0.0,
                push_from=0.0,
            )
            outbox.put(conn, "acme", f"{n}", 40, float(n))
            inbox.store(conn, tenant="acme", source="lms", raw=b"", headers={}, now=float(n))
            schedules.ensure(conn, f"t{n}", "poll", float(n))

    await both[0].write(fill)

    def claim(conn, n):
        owner = f"gateway {n}"
        sent = {("out", item.id) for item in outbox.claim(conn, "acme", owner, 100.0, 90.0, 3)}
        received = {("in", item.id) for item in inbox.claim(conn, owner, 100.0, 90.0, 3)}
        polled = {("poll", turn.tenant) for turn in schedules.claim(conn, owner, 100.0, 90.0, 3)}
        assert max(map(len, (sent, received, polled))) <= 3
        return sent | received | polled

    claimed = [item for some in await at_once(both, claim) for item in some]
    assert len(claimed) == len(set(claimed))
    assert Counter(kind for kind, _ in claimed) == {"out": 60, "in": 60, "poll": 60}


async def test_values_put_everywhere_at_once_are_counted_each(both):
    def put(conn, n):
        return outbox.put(conn, "acme", "7", n + 1, 0.0)

    news = Counter(await at_once(both, put))[True]
    item = await both[0].read(lambda conn: outbox.get(conn, "acme", "7"))
    assert item.version == news


async def test_identical_hints_arriving_everywhere_at_once_are_one(both):
    def store(conn, n):
        return inbox.store(conn, tenant="acme", source="lms", raw=b"", headers={}, now=0.0, dedupe="7")

    stored = await at_once(both, store)
    assert len([id for id in stored if id is not None]) == 1
