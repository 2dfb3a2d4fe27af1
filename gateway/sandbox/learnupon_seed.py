"""The portal every stand-in begins with: made-up people and courses that exercise the known traps.

Source: vendors/learnupon.md 3, 4.1 and 7.

Courses: 3310 "Certificate III in Testing" (version 2 of source 3300; version 1 is 3300, superseded),
3320 "R&D Methods", 3330 "First Aid Basics" (legacy live module 512), 3340 "Forklift Evening" (its session is
full), 3350 "Forklift Draft" (draft), 3360 "Reading Room" (no modules), 3370 "Ladder Safety" (licensed),
3380 "WHS Induction" (shares module 405, sessions 9001 and 9002 of training 61). Groups: 701 "WHS 2026"
(course 3380), 702 "Evening class".
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from gateway.sandbox.learnupon_state import (
    LIVE,
    Course,
    Enrolment,
    Group,
    Mark,
    Module,
    ModuleState,
    Portal,
    Session,
    User,
)

ADMIN = 5500
REALM = "petra.sister@example.org"
CREATED = datetime(2025, 11, 2, 3, tzinfo=UTC)

# id, e-mail, username, first name, last name
PEOPLE = [
    (ADMIN, "ada.portal@example.edu.au", None, "Ada", "Portal"),
    (5501, "mia.tan@example.org", None, "Mia", "Tan"),  # 880231: 3310 in progress, 2 of 6 modules
    (5502, "Liam.Nguyen@Example.ORG", "liam.nguyen", "Liam", "Nguyen"),  # e-mail in mixed case
    (5503, None, "rto-204", "Zoë", "Brown"),  # no e-mail; 880232: 3320 not started
    (5504, "carl.early@example.org", "rto-211", "Carl", "Early"),  # 880233: 3380 passed at 80
    (5505, "ines.idle@example.org", "rto-210", "Ines", "Idle"),  # disabled
    (5506, "nora.nearly@example.org", "rto-212", "Nora", "Nearly"),  # 880234 unenrolled, 880235: 3320 again
    (5507, "pia.pending@example.org", None, "Pia", "Pending"),  # invited, not accepted
    (5508, "sean.oneil+lms@example.org", "rto-215", "Sean", "O'Neil"),  # 880236: completed by hand in the UI
]


def seeded(now: datetime) -> Portal:
    """A fresh portal; its enrolments were made 30 days before `now`."""
    portal = Portal(
        users={user.id: user for user in _users()},
        courses={course.id: course for course in _courses()},
        groups={
            701: Group(id=701, title="WHS 2026", created=CREATED, course_ids=[3380]),
            702: Group(id=702, title="Evening class", created=CREATED),
        },
        realm=[REALM],
        numbers=Counter(
            user=5600, course=3500, enrolment=880300, mark=4100, group=800, membership=8800, module=600,
            session=9100, training=70, trail=6600,
        ),
    )  # fmt: skip
    _enrol(portal, now.replace(microsecond=0) - timedelta(days=30))
    for course in portal.courses.values():
        course.counted = sum(each.course_id == course.id for each in portal.enrolments.values())
    return portal


def _users() -> list[User]:
    users = [
        User(
            id=id,
            email=email,
            username=username,
            first_name=first,
            last_name=last,
            created=CREATED,
            updated=CREATED,
        )
        for id, email, username, first, last in PEOPLE
    ]
    for user in users:
        user.enabled = user.id != 5505
        user.pending = user.id == 5507
        user.user_type = "admin" if user.id == ADMIN else "learner"
    return users


def _courses() -> list[Course]:
    practice, legacy, evening = _live_modules()
    certificate = [
        _module(71, "Prepare to test", "scorm"),
        _module(72, "TSTABC302 Run a test", "exam"),
        _module(73, "TSTABC303 Record results", "assignment"),
        _module(74, "TSTABC304 Report results", "assignment"),
        _module(75, "Welcome", "page"),
    ]
    rows: list[tuple[int, str, str, list[Module]]] = [
        (3300, "Certificate III in Testing", "TST30126", certificate[:3]),
        (3310, "Certificate III in Testing", "TST30126", [*certificate, practice]),
        (
            3320,
            "R&D Methods",
            "",
            [_module(81, "Plan research", "page"), _module(82, "Do research", "tincan")],
        ),
        (3330, "First Aid Basics", "FA1", [_module(91, "TSTAID111 Give first aid", "exam"), legacy]),
        (3340, "Forklift Evening", "", [evening]),
        (3350, "Forklift Draft", "", [_module(95, "Lift", "page")]),
        (3360, "Reading Room", "", []),
        (3370, "Ladder Safety", "LS1", [_module(97, "Climb", "e signature")]),
        (3380, "WHS Induction", "WHS1", [_module(98, "TSTWHS101 Work safely", "page"), practice]),
    ]
    courses = [
        Course(id=id, name=name, code=code, source=id, modules=modules, created=CREATED)
        for id, name, code, modules in rows
    ]
    for course in courses:
        if course.id == 3310:
            course.source, course.version = 3300, 2
        course.licensed = course.id == 3370
    courses[0].status, courses[5].status = "superseded", "draft"
    return courses


def _module(id: int, title: str, type: str) -> Module:
    return Module(id=id, title=title, type=type, created=CREATED)


def _live_modules() -> tuple[Module, Module, Module]:
    """An ILT Center module with two sessions, the later one first; a legacy one; one that is full."""
    practice = Module(id=405, title="Practice day", type=LIVE, created=CREATED, training=61)
    practice.sessions = [
        _session(9001, "2026-04-02T01:00", 10, 3, made="2026-01-10", tutor=(77, "Tom", "Tutor")),
        _session(9002, "2026-03-05T01:00", 10, 10, made="2026-01-12", tutor=(78, "Tess", "Tutor")),
    ]
    legacy = Module(id=512, title="Practice day", type=LIVE, created=CREATED)
    legacy.sessions = [_session(9003, "2026-04-09T22:00", 5, 0, made="2026-01-15", zone="Sydney")]
    evening = Module(id=406, title="Evening on the forklift", type=LIVE, created=CREATED, training=62)
    evening.sessions = [
        _session(9004, "2026-05-07T10:00", 8, 8, made="2026-01-20", tutor=(77, "Tom", "Tutor"))
    ]
    return practice, legacy, evening


def _session(
    id: int,
    starts: str,
    seats: int,
    taken: int,
    *,
    made: str,
    tutor: tuple[int, str, str] | None = None,
    zone: str = "Perth",
) -> Session:
    at = datetime.fromisoformat(starts).replace(tzinfo=UTC)
    return Session(
        id=id,
        starts=at,
        ends=at + timedelta(hours=4),
        created=datetime.fromisoformat(made).replace(tzinfo=UTC),
        seats=seats,
        taken=taken,
        tutor=tutor,
        timezone=zone,
    )


def _enrol(portal: Portal, then: datetime) -> None:
    done = then + timedelta(days=2)
    for id, user_id, course_id in (
        (880231, 5501, 3310),
        (880232, 5503, 3320),
        (880233, 5504, 3380),
        (880234, 5506, 3320),
        (880235, 5506, 3320),
        (880236, 5508, 3320),
    ):
        portal.enrolments[id] = Enrolment(
            id=id, user_id=user_id, course_id=course_id, enrolled=then, updated=then
        )
    mia, carl, nora, sean = (portal.enrolments[id] for id in (880231, 880233, 880234, 880236))
    mia.status, mia.started, mia.accessed, mia.updated = "in_progress", then, done, done
    mia.module_states = {
        71: ModuleState(status="completed", started=then, completed=done),
        72: ModuleState(status="passed", started=then, completed=done, score=90.0),
    }
    carl.status, carl.score, carl.started, carl.completed, carl.updated = "passed", 80, then, done, done
    nora.status, nora.started, nora.unenrolled, nora.updated = "in_progress", then, True, done
    sean.status, sean.completed, sean.updated, sean.percent_from = "completed", done, done, "nothing"
    portal.marks[4001] = Mark(
        id=4001, enrolment_id=sean.id, status="completed", completed=done, created=done, percentage=None,
        notes="seen on the day", by=ADMIN,
    )  # fmt: skip
