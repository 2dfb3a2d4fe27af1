"""Merged students: followed to the one who is left, never in a circle."""

import pytest

from gateway.store import merged


@pytest.mark.parametrize(
    ("merges", "asked", "survivor"),
    [
        pytest.param([], "a", "a", id="never merged"),
        pytest.param(["ab"], "a", "b", id="merged"),
        pytest.param(["ab"], "b", "b", id="the one who is left"),
        pytest.param(["ab", "bc"], "a", "c", id="merged twice"),
        pytest.param(["bc", "ab"], "a", "c", id="merged twice, heard in the other order"),
        pytest.param(["ab", "ac"], "a", "c", id="corrected"),
        pytest.param(["ab", "ba"], "a", "b", id="circle is refused"),
        pytest.param(["ab", "bc", "ca"], "c", "c", id="longer circle is refused"),
        pytest.param(["aa"], "a", "a", id="into itself"),
    ],
)
def test_survivor_is_who_the_id_stands_for_after_all_merges(conn, merges, asked, survivor):
    for source, target in merges:
        merged.keep(conn, "acme", source, target, 10.0)
    assert merged.survivor(conn, "acme", asked) == survivor
    assert merged.survivor(conn, "beta", asked) == asked


def test_circle_is_told(conn):
    assert merged.keep(conn, "acme", "a", "b", 10.0)
    assert not merged.keep(conn, "acme", "b", "a", 10.0)


def test_circle_that_two_gateways_made_ends(conn):
    from gateway.store.merged import _KEEP

    for source, target in ("ab", "bc", "ca"):
        conn.execute(_KEEP, {"tenant": "acme", "from_id": source, "to_id": target, "at": 10.0})
    assert merged.survivor(conn, "acme", "a") in {"a", "b", "c"}


def test_no_more_than_twenty_merges_are_followed(conn):
    for n in range(30, 0, -1):
        merged.keep(conn, "acme", str(n - 1), str(n), 10.0)
    assert merged.survivor(conn, "acme", "0") == "20"
