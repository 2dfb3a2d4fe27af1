"""`progress` of a tenant: when it is read, in which zone, and what may be told."""

from typing import Any

import pytest

from gateway.config import ProgressConfig

PERTH = "Australia/Perth"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{}", ProgressConfig(zone=PERTH)),
        ("off", ProgressConfig(on=False, zone=PERTH)),
        ("false", ProgressConfig(on=False, zone=PERTH)),
        ("{every: 1s}", ProgressConfig(every_s=1.0, zone=PERTH)),
        ("{every: 15m}", ProgressConfig(every_s=900.0, zone=PERTH)),
        (
            '{at: ["14:30", "02:00"], zone: Australia/Hobart}',
            ProgressConfig(at=("02:00", "14:30"), zone="Australia/Hobart"),
        ),
        ("{at: [02:00]}", ProgressConfig(at=("02:00",), zone=PERTH)),
        ("{zone: Darwin}", ProgressConfig(zone="Australia/Darwin")),
        ("{fall: push, units: any}", ProgressConfig(fall="push", units="any", zone=PERTH)),
        ("{fall: hold, units: off}", ProgressConfig(fall="hold", units="off", zone=PERTH)),
        ("{units: false}", ProgressConfig(units="off", zone=PERTH)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_form_of_progress_is_read(acme: Any, written: str, expected: ProgressConfig) -> None:
    assert acme(f"progress: {written}").progress == expected


def test_the_zone_is_the_given_one_then_the_mappings_setting_then_sydney(acme: Any, folder: Any) -> None:
    assert acme("settings: {zone: Brisbane}").progress.zone == "Australia/Brisbane"
    assert acme("settings: {zone: Brisbane}", "progress: {zone: Perth}").progress.zone == PERTH
    file = folder / "mappings" / "small.yaml"
    text = file.read_text()
    file.write_text(text.replace(", default: Perth", "").replace("settings.zone}", "settings.zone ?? ''}"))
    assert acme().progress.zone == "Australia/Sydney"
    file.write_text(text.replace("type: zone, default: Perth", "type: text, default: Perth"))
    assert acme().progress.zone == "Australia/Sydney"


@pytest.mark.parametrize(
    ("written", "place", "message", "fix"),
    [
        ("{every: 15m, at: ['02:00']}", ".every", "Either `every` or `at`, not both.", "Leave one out."),
        ("{every: 999ms}", ".every", "This is less than a second.", "Write it such as `15m`."),
        ("{every: 15}", ".every", "`15` has no unit.", "Write it such as `15s`."),
        ("{every: soon}", ".every", "A duration is a whole number", None),
        ("{at: ['2:00']}", ".at[0]", "A time of the day is written such as `02:00`.", "02:00"),
        ("{at: ['24:00']}", ".at[0]", "A time of the day is written such as `02:00`.", "02:00"),
        ("{at: []}", ".at", "This list is empty.", None),
        ("{at: '02:00'}", ".at", "This must be a list.", None),
        ("{zone: Pert}", ".zone", "`Pert` is not a time zone.", "Write `Perth`."),
        ("{zone: 'x!'}", ".zone", "`x!` is not a time zone.", "`Australia/Perth`"),
        ("{fall: maybe}", ".fall", "`maybe` cannot stand here.", None),
        ("{units: some}", ".units", "`some` cannot stand here.", None),
        ("{evry: 15m}", ".evry", "`evry` is not a keyword here.", "Write `every`."),
        ("nightly", "", "`nightly` cannot stand here.", None),
    ],
)
def test_a_mistake_in_progress_is_named_with_a_correction(
    problem_of: Any, written: str, place: str, message: str, fix: str | None
) -> None:
    problem = problem_of(f"progress: {written}")
    assert problem.place == f"tenants.acme.progress{place}"
    assert message in problem.message
    assert fix is None or fix in problem.fix
