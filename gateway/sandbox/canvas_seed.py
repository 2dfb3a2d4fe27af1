"""The account every stand-in begins with: made-up people and courses that exercise the known traps.

Source: vendors/canvas.md 3 and 5.

Thirteen courses, so that the first page of ten is not all: 3571 with 10 requirements, two sections and
assignments (7710 points, 7711 pass/fail, 7712 letter), 3572 with `&` in its name and in a sub-account, 3573
concluded, 3574 unpublished, 3575 without modules, 3576 with modules but no requirement, 3577 deleted, and
SHARED, whose id is beyond 2**53. Names differ from codes and SIS ids.

People: 8001 the token's own user, 8002 a teacher, 8121 rtop-204 with 4 of 10 in 3571, 8122 without SIS id and
finished in 3571, 8123 whose SIS id has a slash and a dot, 8124 deleted, 8125 of a foreign account.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.sandbox.canvas_state import (
    OTHER_ROOT,
    ROOT_ACCOUNT,
    Account,
    Assignment,
    Course,
    Enrolment,
    Role,
    School,
    Section,
    User,
)

ADMIN, TEACHER, MIA, LIAM, ZOE, DELETED, FOREIGN = 8001, 8002, 8121, 8122, 8123, 8124, 8125
SUB_ACCOUNT = 12
SHARED = 10_420_000_000_000_417
ROLES = (
    Role(id=3, label="StudentEnrollment", type="StudentEnrollment"),
    Role(id=4, label="TeacherEnrollment", type="TeacherEnrollment"),
    Role(id=5, label="TaEnrollment", type="TaEnrollment"),
    Role(id=6, label="DesignerEnrollment", type="DesignerEnrollment"),
    Role(id=7, label="ObserverEnrollment", type="ObserverEnrollment"),
    Role(id=19, label="Apprentice", type="StudentEnrollment"),
)

# id, name, code, SIS id, how many requirements (None: no modules with any)
COURSES: tuple[tuple[int, str, str, str | None, int | None], ...] = (
    (3571, "Certificate III in Business", "BSB30120", "BSB30120-2026", 10),
    (3572, "Hospitality & Tourism Basics", "SIT20", None, 4),
    (3573, "WHS Refresher 2025", "WHS25", "WHS/2025.1", 3),
    (3574, "Cyber Awareness (draft)", "CYB", None, 2),
    (3575, "Reading Room", "READ", None, None),
    (3576, "Orientation", "ORI", None, 0),
    (3577, "Old Forklift Course", "FORK", None, 2),
    (3578, "Food Safety Supervisor", "FSS", None, 3),
    (3579, "Barista Skills", "BAR", None, 3),
    (3580, "Café Français", "FRA", None, 2),
    (3581, "First Aid", "HLTAID011", "AID-11", 5),
    (3582, "Manual Handling", "MH", None, 1),
    (SHARED, "Certificate IV in Shared Services", "SHR40", None, 5),
)
STATES = {3573: "completed", 3574: "unpublished", 3577: "deleted"}

# id, name, sortable name, login, SIS id, e-mail
PEOPLE: tuple[tuple[int, str, str, str, str | None, str | None], ...] = (
    (ADMIN, "Ada Admin", "Admin, Ada", "ada.admin@example.edu.au", None, "ada.admin@example.edu.au"),
    (TEACHER, "Terry Teacher", "Teacher, Terry", "terry", "staff-2", "terry@example.edu.au"),
    (MIA, "Mia Tan", "Tan, Mia", "rtop-204", "rtop-204", "mia.tan@example.org"),
    (LIAM, "Liam O'Neil", "O'Neil, Liam", "liam.oneil@example.org", None, "liam.oneil@example.org"),
    (ZOE, "Zoë Brown", "Brown, Zoë", "zoe+lms@example.org", "rtop/2.5", None),
    (DELETED, "Dee Leted", "Leted, Dee", "rtop-214", "rtop-214", None),
    (FOREIGN, "Fay Foreign", "Foreign, Fay", "fay", "rtop-299", None),
)


def seeded(now: datetime) -> School:
    """A fresh account; everything in it happened 30 days before `now` or later."""
    then = now.replace(microsecond=0) - timedelta(days=30)
    school = School(
        admin_id=ADMIN,
        accounts={each.id: each for each in _accounts()},
        roles={role.id: role for role in ROLES},
        courses={row[0]: _course(index, row, then) for index, row in enumerate(COURSES)},
        users={row[0]: _user(row, then) for row in PEOPLE},
    )
    _enrol(school, then)
    return school


def _accounts() -> tuple[Account, ...]:
    return (
        Account(id=ROOT_ACCOUNT, name="Sandbox Training", sis_account_id="SANDBOX"),
        Account(id=SUB_ACCOUNT, name="Hospitality", parent_id=ROOT_ACCOUNT, sis_account_id="HOSP"),
    )


def _course(index: int, row: tuple[int, str, str, str | None, int | None], then: datetime) -> Course:
    id, name, code, sis_id, count = row
    section = 4100 + 10 * index
    course = Course(
        id=id,
        name=name,
        code=code,
        sis_course_id=sis_id,
        state=STATES.get(id, "available"),
        account_id=SUB_ACCOUNT if id == 3572 else ROOT_ACCOUNT,
        start=then,
        sections=[Section(id=section, name=name)],
        requirements=None if count is None else [60_000 + 100 * index + number for number in range(count)],
        assignments=[Assignment(id=7800 + 10 * index, name="Final assessment")],
    )
    if id == 3571:
        course.sections.append(Section(id=section + 1, name="Evening", sis_section_id="BSB-EVE"))
        course.assignments = [
            Assignment(id=7710, name="Portfolio", points=20.0),
            Assignment(id=7711, name="Observation", points=1.0, grading="pass_fail"),
            Assignment(id=7712, name="Essay", grading="letter_grade"),
        ]
    return course


def _user(row: tuple[int, str, str, str, str | None, str | None], then: datetime) -> User:
    id, name, sortable, login, sis_id, email = row
    return User(
        id=id,
        name=name,
        short_name=name.split()[0],
        sortable_name=sortable,
        login=login,
        sis_user_id=sis_id,
        email=email,
        created=then,
        account_id=OTHER_ROOT if id == FOREIGN else ROOT_ACCOUNT,
        deleted=id == DELETED,
    )


def _enrol(school: School, then: datetime) -> None:
    student, teacher = school.roles[3], school.roles[4]
    rows = (
        (91240, 3571, MIA, student, "active"),
        (91241, 3571, TEACHER, teacher, "active"),
        (91242, 3572, ZOE, student, "invited"),
        (91243, 3571, LIAM, student, "active"),
        (91244, 3575, ADMIN, teacher, "active"),
        (91245, 3575, ZOE, student, "active"),
        (91246, 3573, LIAM, student, "completed"),
    )
    for id, course_id, user_id, role, state in rows:
        school.enrolments[id] = Enrolment(
            id=id,
            course_id=course_id,
            section_id=school.courses[course_id].sections[0].id,
            user_id=user_id,
            type=role.type,
            role=role,
            state=state,
            created=then,
            updated=then,
        )
    requirements = school.courses[3571].requirements or []
    school.done[3571, MIA] = {id: then + timedelta(days=2) for id in requirements[:4]}
    school.done[3571, LIAM] = {id: then + timedelta(days=9) for id in requirements}
    school.scores[3575, ZOE] = 87.5
