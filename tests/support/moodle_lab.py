"""The site that the recordings of Moodle 4.3 were made on, as far as they show it."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.sandbox.control import StandIn
from gateway.sandbox.moodle import create_moodle
from gateway.sandbox.moodle_state import User

START = datetime(2026, 11, 21, 8, 31, 40, tzinfo=UTC)
NAMES = {
    2: ("SAFE101", "Workplace Safety"),
    3: ("GDPR200", "Data Protection & “Privacy” — Größe"),
    4: ("ONB300", "Onboarding"),
    5: ("NOCRIT", "Course with tracking but no criteria"),
    6: ("NOTRACK", "Course without completion tracking"),
    7: ("HIDDEN", "Hidden draft course"),
    8: ("NOMANUAL", "Course without manual enrolment"),
}


def laboratory() -> StandIn:
    """A stand-in with that site's courses, and nobody but staff: the first user created has the id 6."""
    stand_in = create_moodle(token="TOKEN", start=START)
    site = stand_in.vendor.site
    site.name, site.categories = "Lab LMS 43", {1: "Category 1"}
    for table in (site.enrolments, site.roles, site.results, site.met, site.completed, site.grades):
        table.clear()
    del site.courses[9]
    for id, (shortname, fullname) in NAMES.items():
        course = site.courses[id]
        course.shortname, course.fullname, course.idnumber = shortname, fullname, f"EXT-{shortname}"
        course.summary, course.category = f"<p>Demo course <b>{shortname}</b>.</p>", 1
    site.courses[8].self_enrol = False
    site.users = {id: user for id, user in site.users.items() if id < 4}
    site.courses[1].shortname, site.courses[1].fullname = "lab43", site.name
    service = site.users[3]
    service.username, service.firstname, service.lastname = "wsbot", "Integration", "Account"
    service.idnumber, service.email = "", "wsbot@example.org"
    for id, username in ((4, "wsweak"), (5, "wsnoidentity")):
        site.users[id] = User(
            id=id, username=username, firstname="W", lastname="S", email=f"{username}@example.org"
        )
    site.numbers["user"] = 5
    return stand_in
