"""Two gateways on one store, everything at once: one winner each, nothing twice."""

import asyncio
from collections import Counter

import pytest

from gateway.store import enrolments, leases, runs, tasks, tokens
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
