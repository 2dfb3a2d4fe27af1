"""Unit results: written when date or outcome differ, never taken back."""

from dataclasses import replace

import pytest

from gateway.store import units
from gateway.store.units import UnitResult

UNIT = UnitResult(
    code="TSTABC301",
    unit_id="",
    name="TSTABC301 Test",
    outcome="20",
    date="2026-03-01",
    source="poll",
    source_at=9.0,
)


def keep(conn, *results, now=10.0, id="7-126", tenant="acme"):
    return units.keep(conn, tenant, id, results, now)


@pytest.mark.parametrize(
    ("change", "written"),
    [
        pytest.param({}, False, id="the same"),
        pytest.param({"source_at": 99.0, "source": "webhook"}, False, id="read again"),
        pytest.param({"name": "TSTABC301 Renamed"}, False, id="renamed"),
        pytest.param({"date": "2026-03-02"}, True, id="another date"),
        pytest.param({"date": None}, True, id="no date any more"),
        pytest.param({"outcome": "30"}, True, id="another outcome"),
    ],
)
def test_result_is_written_only_when_date_or_outcome_differ(conn, change, written):
    keep(conn, UNIT)
    assert keep(conn, replace(UNIT, **change), now=20.0) == int(written)
    (found,) = units.of_tenant(conn, "acme")
    assert found.changed_at == (20.0 if written else 10.0)
    assert found.name == (UNIT.name if not written else replace(UNIT, **change).name)


def test_date_that_came_later_is_written(conn):
    keep(conn, replace(UNIT, date=None))
    assert keep(conn, replace(UNIT, date=None)) == 0
    assert keep(conn, UNIT) == 1


def test_results_missing_from_a_later_reading_stay(conn):
    assert keep(conn, UNIT, replace(UNIT, code="TSTABC302"), replace(UNIT, code="", unit_id="9")) == 3
    assert keep(conn, UNIT) == 0
    assert keep(conn) == 0
    assert len(units.of_tenant(conn, "acme")) == 3


def test_results_of_a_tenant_come_in_pages(conn):
    for id in ("8", "7"):
        keep(conn, replace(UNIT, code="B"), replace(UNIT, code="A"), id=id)
    keep(conn, UNIT, tenant="beta")

    def page(after=None):
        return [(u.enrolment_id, u.code, u.unit_id) for u in units.of_tenant(conn, "acme", after, limit=3)]

    assert page() == [("7", "A", ""), ("7", "B", ""), ("8", "A", "")]
    assert page(page()[-1]) == [("8", "B", "")]
