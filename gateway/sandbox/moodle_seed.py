"""The site every stand-in begins with: made-up people and courses that exercise the known traps.

| course | what is special |
|---|---|
| 2 SAFE101 "Workplace Safety" | complete with the first two of its four activities |
| 3 WS1 "Work & Safety" | `&`; complete by a grade of 5 in its quiz, and only with cron |
| 4 ONB300 "Onboarding" | complete by the learner's own mark, and only with cron |
| 5 NOCRIT "Reading Circle" | tracked without criteria: progress, never complete |
| 6 NOTRACK "Noticeboard" | not tracked: progress is null |
| 7 DRAFT "Forklift Draft" | hidden |
| 8 NOMANUAL "Guest Lectures" | no manual enrolment; by oneself only |
| 9 CPC30220 "Certificate III in Testing" | three activities: 33.333… |

| user | what is special |
|---|---|
| 1, 2, 3 | guest, administrator, service user |
| 5 mia.tan | idnumber `rtop-201`, e-mail in mixed case; in 9 with one of three activities, suspended in 3 |
| 6 liam.nguyen | no idnumber; in 8 by oneself |
| 7 zoe.brown | idnumber `rtop-203`; the account is suspended, the enrolment in 2 is not |
| 8 carl.early | deleted |
| 9 ines.idle | not confirmed |
"""

from __future__ import annotations

from collections import Counter

from gateway.sandbox.moodle_completion_rules import set_state
from gateway.sandbox.moodle_state import (
    ADMIN,
    FRONT_PAGE,
    GUEST,
    SERVICE,
    Activity,
    Course,
    Criterion,
    Result,
    Site,
    User,
)

DAY = 86_400
SERVICE_NAME = "rto_gateway"
PASSWORD = "Not-a-real-passw0rd"


def seeded(now: int) -> Site:
    """A fresh site; its courses were made 60 days before `now`, its enrolments 30."""
    made = now - 60 * DAY
    site = Site(
        courses={course.id: course for course in _courses(made)},
        categories={1: "Construction", 2: "Everyone"},
        users={user.id: user for user in [*_staff(), *_learners()]},
        numbers=Counter(user=56, course=40, cmid=120, item=60, enrolment=700, instance=80),
    )
    then = now - 30 * DAY
    site.enrol(9, 5, then)
    set_state(site, site.courses[9], 31, 5, Result(state=1, time=then), by_cron=True)
    site.enrol(3, 5, then, suspended=True)
    site.enrol(8, 6, then, method="self")
    site.enrol(2, 7, then)
    return site


def _courses(made: int) -> list[Course]:
    front = Course(
        id=FRONT_PAGE, shortname="sandbox", fullname="Sandbox LMS", category=0, tracked=False, manual=False
    )
    courses = [
        Course(
            id=2,
            shortname="SAFE101",
            fullname="Workplace Safety",
            idnumber="EXT-SAFE101",
            activities=[
                Activity(cmid=1, module="page", instance=1, name="Read this first"),
                Activity(cmid=2, module="label", instance=1, name="Acknowledge the rules", tracking=1),
                _graded(Activity(cmid=3, module="assign", instance=1, name="Hazard report"), 2, "submit"),
                _graded(Activity(cmid=4, module="quiz", instance=1, name="Final check"), 3),
            ],
            criteria=(Criterion(kind="activity", cmid=1), Criterion(kind="activity", cmid=2)),
        ),
        Course(
            id=3,
            shortname="WS1",
            fullname="Work & Safety",
            idnumber="EXT-WS1",
            activities=[
                Activity(cmid=5, module="page", instance=2, name="Policy"),
                _graded(Activity(cmid=6, module="quiz", instance=2, name="Policy quiz"), 5, at_most=10.0),
            ],
            criteria=(Criterion(kind="grade", pass_grade=5.0),),
        ),
        Course(
            id=4,
            shortname="ONB300",
            fullname="Onboarding",
            idnumber="EXT-ONB300",
            category=2,
            activities=[
                Activity(cmid=7, module="label", instance=2, name="Welcome", tracking=1),
                Activity(cmid=8, module="url", instance=1, name="Handbook", tracking=1),
            ],
            criteria=(Criterion(kind="self"),),
        ),
        Course(
            id=5,
            shortname="NOCRIT",
            fullname="Reading Circle",
            category=2,
            activities=[Activity(cmid=9, module="page", instance=3, name="A page", tracking=1)],
        ),
        Course(id=6, shortname="NOTRACK", fullname="Noticeboard", category=2, tracked=False),
        Course(id=7, shortname="DRAFT", fullname="Forklift Draft", visible=False),
        Course(id=8, shortname="NOMANUAL", fullname="Guest Lectures", manual=False, self_enrol=True),
        Course(
            id=9,
            shortname="CPC30220",
            fullname="Certificate III in Testing",
            idnumber="CPC30220",
            activities=[
                Activity(cmid=31, module="page", instance=11, name="CPCTST301 Read plans"),
                Activity(cmid=32, module="page", instance=12, name="CPCTST302 Lay out work"),
                _graded(Activity(cmid=33, module="assign", instance=13, name="CPCTST303 Show"), 21, "submit"),
            ],
            criteria=tuple(Criterion(kind="activity", cmid=cmid) for cmid in (31, 32, 33)),
        ),
    ]  # fmt: skip
    for course in courses:
        course.created, course.start = made, made
        course.summary = f"<p>About <b>{course.shortname}</b>.</p>"
    return [front, *courses]


def _graded(activity: Activity, item: int, rule: str = "usegrade", at_most: float = 100.0) -> Activity:
    activity.item_id, activity.rule, activity.grade_max = item, rule, at_most
    return activity


def _staff() -> list[User]:
    return [
        User(id=GUEST, username="guest", firstname="Guest user", lastname=" ", email="root@localhost"),
        User(id=ADMIN, username="admin", firstname="Ada", lastname="Admin", email="admin@example.org"),
        User(
            id=SERVICE,
            username="rto-gateway",
            firstname="Rto",
            lastname="Gateway",
            email="rto-gateway@example.org",
            idnumber="svc-1",
        ),
    ]


def _learners() -> list[User]:
    people = (
        (5, "mia.tan", "Mia", "Tan", "Mia.Tan@Example.org", "rtop-201"),
        (6, "liam.nguyen", "Liam", "Nguyen", "liam.nguyen@example.org", ""),
        (7, "zoe.brown", "Zoë", "Brown", "zoe.brown@example.org", "rtop-203"),
        (8, "carl.early@example.org.1769904000", "Carl", "Early", "0cc175b9c0f1b6a831c399e269772661", ""),
        (9, "ines.idle", "Ines", "Idle", "ines.idle@example.org", ""),
    )
    users = [
        User(id=id, username=username, firstname=first, lastname=last, email=email, idnumber=idnumber)
        for id, username, first, last, email, idnumber in people
    ]
    users[2].suspended, users[3].deleted, users[4].confirmed = True, True, False
    return users
