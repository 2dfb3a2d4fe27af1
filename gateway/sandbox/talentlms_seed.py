"""The portal every stand-in begins with: made-up people and courses that exercise the known traps.

Source: vendors/talentlms.md 6.3 and 7 (seed data).

Courses: 126 "Certificate III in Testing" (code TST30126; units named as in 6.3, a Section, a Survey, a code
twice), 127 "R&amp;D Methods", 128 "WHS Induction" and 129 "First Aid Basics" (both in group WHS-2026),
130 "Old Forklift Course" (inactive), 131 "Reading Room" (no units). Groups: 31 key WHS-2026 (128, 129),
32 key EVENING-2026 (no course, key good for one use).
"""

from datetime import datetime, timedelta

from gateway.sandbox.talentlms_state import (
    Course,
    CustomField,
    Enrolment,
    Group,
    Portal,
    Unit,
    UnitResult,
    User,
)

ADMIN, TRAINER = 1, 2

# id, login, first name, last name, e-mail
PEOPLE = [
    (ADMIN, "admin", "Ada", "Portal", "admin@example.edu.au"),
    (TRAINER, "trainer", "Terry", "Trainer", "trainer@example.edu.au"),
    (7, "rtop-204", "Mia", "Tan", "mia.tan@example.org"),  # 126 in progress: unit 901 done
    (8, "liam.nguyen", "Liam", "Nguyen", "Liam.Nguyen@Example.ORG"),  # e-mail in mixed case
    (9, "zoë", "Zoë", "Brown", "zoe+lms@example.org"),  # plus sign; login outside ASCII
    (10, "rtop-210", "Ines", "Idle", "ines.idle@example.org"),  # inactive
    (11, "rtop-211", "Carl", "Early", "carl.early@example.org"),  # 126 completed at 80 per cent
    (12, "rtop-212", "Nora", "Nearly", "nora.nearly@example.org"),  # 126 at 100 per cent, not completed
    (13, "bo.blank@example.org", "Bo", "Blank", ""),  # e-mail empty, login holds the address
    (14, "rtop-214", "Dee", "Leted", "dee.leted@example.org"),  # deleted, softly
    (15, "rtop-215", "Sean", "O&#039;Neil", "o'neil@example.org"),  # apostrophe; entity in the name
]

UNITS_126 = [
    Unit(id=901, name="TSTABC301 Prepare to test"),
    Unit(id=902, name="Part two", type="Section"),
    Unit(id=903, name="TSTABC302 Run a test", type="Test"),
    Unit(id=904, name="  tstabc303: Record results"),
    Unit(id=905, name="TSTABC304&nbsp;Report results", type="Assignment"),
    Unit(id=906, name="TSTABC305-Clean up"),
    Unit(id=907, name="TSTABC301 Prepare to test (practical)", type="Assignment"),  # the code of 901 again
    Unit(id=908, name="Unit 1 TSTABC301"),
    Unit(id=909, name="Welcome", type="Presentation | Document"),
    Unit(id=910, name="Tell us what you think", type="Survey"),
]


def seeded(now: datetime) -> Portal:
    """A fresh portal; everything in it happened 30 days before `now` or later."""
    then = now.replace(microsecond=0) - timedelta(days=30)
    portal = Portal(
        users={user.id: user for user in _users(then)},
        courses={course.id: course for course in _courses(then)},
        groups={group.id: group for group in _groups()},
        custom_fields=_custom_fields(),
    )
    for course in portal.courses.values():
        portal.enrolments[TRAINER, course.id] = Enrolment(role="instructor", enrolled=then)
    _enrol_learners(portal, then)
    return portal


def _users(then: datetime) -> list[User]:
    users = [
        User(
            id=number, login=login, first_name=first, last_name=last, email=email, created=then, updated=then
        )
        for number, login, first, last, email in PEOPLE
    ]
    for user in users:
        user.active = user.id != 10
        user.deleted = user.id == 14
        user.user_type = {ADMIN: "SuperAdmin", TRAINER: "Trainer-Type"}.get(user.id, "Learner-Type")
    return users


def _courses(then: datetime) -> list[Course]:
    return [
        Course(
            id=126,
            name="Certificate III in Testing",
            code="TST30126",
            description="<p>Testing, from start to end</p>",
            created=then,
            units=list(UNITS_126),
        ),
        Course(
            id=127,
            name="R&amp;D Methods",
            created=then,
            units=[Unit(id=921, name="TSTRND401 Plan research"), Unit(id=922, name="TSTRND402 Do research")],
        ),
        Course(
            id=128,
            name="WHS Induction",
            code="WHS1",
            created=then,
            units=[Unit(id=931, name="TSTWHS101 Work safely")],
        ),
        Course(
            id=129,
            name="First Aid Basics",
            code="FA1",
            created=then,
            units=[Unit(id=941, name="TSTAID111 Give first aid", type="Test")],
        ),
        Course(
            id=130, name="Old Forklift Course", created=then, active=False, units=[Unit(id=951, name="Lift")]
        ),
        Course(id=131, name="Reading Room", created=then),
    ]


def _groups() -> list[Group]:
    return [
        Group(id=31, name="WHS 2026", key="WHS-2026", course_ids=[128, 129]),
        Group(id=32, name="Evening class", key="EVENING-2026", max_redemptions=1),
    ]


def _custom_fields() -> list[CustomField]:
    return [
        CustomField(key="custom_field_1", type="text", name="USI"),
        CustomField(key="custom_field_2", type="dropdown", name="Campus", values="Perth;Sydney"),
        CustomField(key="custom_field_3", type="checkbox", name="Newsletter"),
    ]


def _enrol_learners(portal: Portal, then: datetime) -> None:
    done = then + timedelta(days=2)
    portal.enrolments[7, 126] = Enrolment(
        role="learner",
        enrolled=then,
        results={901: UnitResult(status="completed", seconds=71, at=done)},
    )
    portal.enrolments[11, 126] = Enrolment(
        role="learner", enrolled=then, percentage="80", completed=done, certificate=done
    )
    portal.enrolments[12, 126] = Enrolment(role="learner", enrolled=then, percentage="100")
    portal.enrolments[10, 127] = Enrolment(role="learner", enrolled=then)
