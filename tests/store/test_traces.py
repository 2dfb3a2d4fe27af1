"""Traces: exchanges under a reference, in the store or in memory."""

from gateway.store import traces
from gateway.store.traces import MAX_PER_REFERENCE, Ring, Traced


def traced(n):
    return Traced(tenant="acme", operation="getCourse", at=float(n), exchange={"n": n})


def test_exchanges_come_back_in_the_order_they_were_added(conn):
    assert traces.add(conn, "ref1", [traced(2), traced(1)]) == 2
    assert traces.add(conn, "ref1", [traced(0)]) == 1
    traces.add(conn, "ref2", [traced(9)])
    assert [item.exchange["n"] for item in traces.by_reference(conn, "ref1")] == [2, 1, 0]
    assert traces.by_reference(conn, "unknown") == []


def test_reference_takes_a_bounded_number_of_exchanges(conn):
    assert traces.add(conn, "ref1", []) == 0
    assert traces.add(conn, "ref1", [traced(n) for n in range(MAX_PER_REFERENCE + 5)]) == MAX_PER_REFERENCE
    assert traces.add(conn, "ref1", [traced(0)]) == 0


def test_ring_forgets_the_oldest_reference():
    ring = Ring(size=2)
    for reference in ("a", "b", "a", "c"):
        ring.add(reference, traced(1))
    assert [len(ring.get(reference)) for reference in "abc"] == [0, 1, 1]


def test_ring_keeps_a_bounded_number_for_each_reference():
    ring = Ring(each=2)
    for n in range(5):
        ring.add("a", traced(n))
    assert ring.get("a") == [traced(0), traced(1)]


def test_popped_exchanges_leave_the_ring():
    ring = Ring()
    ring.add("a", traced(1))
    assert ring.pop("a") == [traced(1)]
    assert ring.pop("a") == []
