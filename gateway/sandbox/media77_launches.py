"""A browser opens a launch link: the rules are checked, and the registration comes into being.

The rules broken by a well-made link are recorded as violations:

| kind | what happened |
|---|---|
| uuid_of_two_people | the UUID belongs to somebody with another e-mail address |
| uuid_of_two_activities | the UUID belongs to another course, or the same one in the other environment |
| second_uuid | this person is in this activity already, under another UUID that has not been ended |
| lms_id_of_other_environment | a staging LMSID on a production address, or the reverse |

Source: vendors/77media.md 2.2 and 7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from gateway.sandbox.journal import Journal
from gateway.sandbox.media77_links import Link, link_of
from gateway.sandbox.media77_state import Course, Platform, Registration, Violation, same_person
from gateway.sandbox.media77_switches import Switches

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PATH = re.compile(r"/c/([A-Za-z0-9-]+)/?")


def launch(
    url: str, platform: Platform, switches: Switches, journal: Journal, now: datetime
) -> tuple[Registration | None, list[str]]:
    """The registration as it is after the launch, and the kinds of rules broken.

    None, and nothing changed, when a rule was broken and violations are refused. Raises ValueError for a
    malformed link, an address without a course, and an unknown LMSID.
    """
    link = link_of(url, switches)
    course = _course_at(link, platform, switches)
    owners = {switches.staging_lms_id: "staging", switches.production_lms_id: "production"}
    if link.lms_id not in owners:
        raise ValueError("lmsId is unknown")
    kinds = list(_broken(link, course, platform, lms_id_fits=owners[link.lms_id] == course.environment))
    for kind in kinds:
        platform.violations.append(Violation(kind=kind, reg=link.reg, course=course.slug))
        journal.effect("violation", f"{kind},{link.reg},{course.slug}")
    if kinds and switches.refuse_violations:
        return None, kinds
    return _opened(link, course, platform, journal, now), kinds


def _course_at(link: Link, platform: Platform, switches: Switches) -> Course:
    found = _PATH.fullmatch(link.path)
    course = platform.courses.get(found[1]) if found else None
    if course is None:
        raise ValueError("there is no course at this address")
    if link.host in LOOPBACK:
        return course
    host = switches.staging_host if course.environment == "staging" else switches.production_host
    if link.scheme != "https" or link.port not in (None, 443):
        raise ValueError("courses are at https addresses without a port")
    if link.host != host.lower():
        raise ValueError("there is no course at this address")
    return course


def _broken(link: Link, course: Course, platform: Platform, *, lms_id_fits: bool) -> Iterator[str]:
    known = platform.registrations.get(link.reg)
    if not lms_id_fits:
        yield "lms_id_of_other_environment"
    if known is not None and not same_person(known.email, link.email):
        yield "uuid_of_two_people"
    if known is not None and known.course != course:
        yield "uuid_of_two_activities"
    if known is None and platform.live(link.email, course):
        yield "second_uuid"


def _opened(link: Link, course: Course, platform: Platform, journal: Journal, now: datetime) -> Registration:
    """A UUID that is known resumes its own activity, whatever the address said."""
    known = platform.registrations.get(link.reg)
    place = known or platform.register(link.reg, course, link.email, link.name, now)
    if same_person(place.email, link.email):
        place.name, place.domain, place.lms_id, place.extra = link.name, link.domain, link.lms_id, link.extra
    place.started = place.started or now
    place.launches += 1
    journal.effect("resumed" if known else "launched", f"{place.reg},{place.course.slug}")
    return place
