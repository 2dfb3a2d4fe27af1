"""Unit results by PowerPro's rules: vendors/talentlms.md 6.3."""

import pytest

from gateway.progress.units import COMPETENT, code_of, results

CODES = [
    ("TSTABC301 Prepare to test", "TSTABC301"),
    ("  tstabc301: Prepare", "TSTABC301"),
    ("TSTABC301&nbsp;Prepare", "TSTABC301"),
    ("TSTABC301\u00a0Prepare", "TSTABC301"),
    ("TSTABC301-Prepare", "TSTABC301"),
    ("TSTABC301, part two", "TSTABC301"),
    ("TSTABC301 – Prepare", "TSTABC301"),
    ("BSBWHS332X Apply", "BSBWHS332X"),
    ("Unit 1 TSTABC301", None),
    ("Welcome", None),
    ("", None),
    ("   ", None),
    ("AB12 too short", None),
    ("ABCDEFGHI301 too long", None),
]


@pytest.mark.parametrize(("name", "code"), CODES, ids=[name or "empty" for name, _ in CODES])
def test_national_code_is_the_first_word_of_a_units_name(name, code):
    assert code_of(name) == code


def unit(name, completed=True, date=None, **more):
    return {"name": name, "completed": completed, **({"date": date} if date else {}), **more}


def got(read, keep="coded", need="all"):
    found = results(read, keep=keep, need=need, source="demo", source_at=5.0)
    return [(each.code, each.unit_id, each.date) for each in found]


def test_completed_unit_becomes_a_competent_result_with_its_date_and_source():
    [found] = results(
        [unit("TSTABC301 Prepare to test", date="2026-03-04")],
        keep="coded",
        need="all",
        source="demo",
        source_at=5.0,
    )
    assert (found.code, found.name, found.outcome, found.date) == (
        "TSTABC301",
        "TSTABC301 Prepare to test",
        COMPETENT,
        "2026-03-04",
    )
    assert (found.source, found.source_at) == ("demo", 5.0)


@pytest.mark.parametrize("completed", [False, None, "true", 1])
def test_unit_that_is_not_declared_completed_is_left_out(completed):
    assert got([unit("TSTABC301 Prepare", completed)]) == []


def test_units_without_a_code_are_skipped_unless_all_are_kept():
    read = [unit("Welcome"), unit("TSTABC301 Prepare"), unit("Health and safety", id="U-1")]
    assert got(read) == [("TSTABC301", "", None)]
    assert got(read, keep="all") == [("", "Welcome", None), ("TSTABC301", "", None), ("", "U-1", None)]


def test_two_units_of_one_code_are_one_result_when_both_are_completed():
    theory, practice = (
        unit("TSTABC301 Theory", date="2026-03-01"),
        unit("TSTABC301 Practice", date="2026-03-09"),
    )
    assert got([theory, practice]) == [("TSTABC301", "", "2026-03-09")]
    open_practice = unit("TSTABC301 Practice", False)
    assert got([theory, open_practice]) == []
    assert got([theory, open_practice], need="any") == [("TSTABC301", "", "2026-03-01")]


@pytest.mark.parametrize(
    "read", [None, {}, "units", [None, 3, "x"], [{}], [{"name": None, "completed": True}]]
)
def test_nonsense_instead_of_units_gives_no_results(read):
    assert got(read) == []


@pytest.mark.parametrize("date", ["04/03/2026", "soon", 20260304, None, ""])
def test_date_that_is_none_is_left_empty(date):
    assert got([{"name": "TSTABC301 x", "completed": True, "date": date}]) == [("TSTABC301", "", None)]


def test_time_of_day_is_cut_from_a_date():
    assert got([unit("TSTABC301 x", date="2026-03-04T23:59:00")]) == [("TSTABC301", "", "2026-03-04")]


def test_no_more_than_a_thousand_units_are_looked_at():
    assert len(got([unit(f"TSTABC{number:03d} x") for number in range(1000)] * 2, need="any")) == 1000
