"""What a fresh 77media stand-in holds: made-up courses in both environments, and a few other people.

A course at `/c/NAME/` is production, at `/c/NAME-staging/` staging. Courses: working-safely, hygiene
("Food & Hygiene Basics"), white-card, first-aid, respect ("Respect at Work: Bystanders"); coming-soon only in
staging. Nobody of this seed came by a launch link of the caller: KIM has finished working-safely and ANA has
only begun it (the sample rows of the sheet), PORTAL came from a portal with accounts and has an identifier,
BOOKED is registered for something that has not begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from gateway.sandbox.media77_state import Course, Platform, completion_code

KIM = "5f0c0b9e-6d1c-4a55-9a07-2f4b6c1f9d10"
ANA = "0d3a7a52-9f52-4a7c-8a1f-5a1a7e7a2c11"
PORTAL = "a2b47f0e-31cc-4d0b-9d55-7be0c6d1f312"
BOOKED = "e9105c3d-84f2-47be-b6a8-03d9f25a6c13"

_TITLES = {
    "working-safely": "Working safely",
    "hygiene": "Food & Hygiene Basics",
    "white-card": "White Card Refresher",
    "first-aid": "First Aid – Theory",
    "respect": "Respect at Work: Bystanders",
}


def seeded(now: datetime) -> Platform:
    """A fresh platform; what is in it happened two days before `now` and later."""
    platform = Platform(courses={course.slug: course for course in _courses()})
    begun = now - timedelta(days=2)
    safely, white_card = platform.courses["working-safely"], platform.courses["white-card"]
    kim = platform.register(KIM, safely, "kim.tran@rto.example", "Kim Tran", begun)
    kim.progress, kim.completed, kim.updated = 100, begun + timedelta(hours=1), begun + timedelta(hours=1)
    kim.code = completion_code(KIM)
    platform.register(ANA, safely, "ana@rto.example", "Ana Diaz", begun + timedelta(hours=2))
    portal = platform.register(
        PORTAL, white_card, "lee.park@portal.example", "Lee Park", begun + timedelta(hours=3), member="4567"
    )
    portal.progress = 37.5
    platform.register(
        BOOKED,
        white_card,
        "noor.haddad@portal.example",
        "Noor El Haddad",
        begun + timedelta(hours=4),
        member="4568",
        started=False,
    )
    for each in platform.registrations.values():
        each.moved = True
    return platform


def _courses() -> Iterator[Course]:
    for slug, title in _TITLES.items():
        yield Course(slug=slug, title=title, environment="production")
        yield Course(slug=f"{slug}-staging", title=title, environment="staging")
    yield Course(slug="coming-soon-staging", title="Coming Soon (draft)", environment="staging")
