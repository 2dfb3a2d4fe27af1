"""Moodle's scenes: the answers are a real Moodle's (`captures`), or the stand-in's where none was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import ids
from gateway.contract import Person
from tests.cassette_stage import MOODLE, Ask, Scene, cancel, course, courses, create, mark, read, transfer

LEA = Person(id="EMP-1001", first_name="Léa", last_name="Berger")
TOM = Person(id="EMP-1002", first_name="Tom", last_name="Okafor")
MIA = Person(id="EMP-1003", first_name="Mia", last_name="Santos")
SORA = Person(id="EMP-1004", first_name="空", last_name='田中 & O\'Neil "q" 1 < 2')
MAIL = Person(id="lea.berger", first_name="Léa", last_name="Berger")
SHARED = Person(id="other", first_name="Zoe", last_name="Other")
BY_MAIL = {"email": "lea.berger@example.org"}
PLAIN = {"prefix": "", "firstPassword": "Str0ng!Passw0rd"}
NOBODY = "055-users-by-field-unknown"
TOMS = (NOBODY, "049-users-by-field-idnumber")
"""Not by user name; by ID number user 7."""
LISTED = "101-users-courses"
"""An enrolment that is only known by its id is read first: user 6 is in courses 2 to 6."""
MADE = (NOBODY, NOBODY, "017-user-create")
GRADES = {"marking": "grade", "gradeItems": [{"course": "3", "activity": "6", "kind": "mod_quiz"}]}
PAGES = {"courseList": "pages"}
UNENROL = {"cancel": "unenrol"}
LEA_IN = {course: ids.encode(("6", course)) for course in ("2", "3", "4", "5", "6", "8")}


def captured(
    name: str,
    *captures: str,
    asks: tuple[Ask, ...],
    answers: tuple[str, ...] = (),
    settings: Mapping[str, Any] | None = None,
) -> Scene:
    return Scene(
        vendor=MOODLE,
        name=name,
        asks=asks,
        captures=captures,
        settings={**PLAIN, **(settings or {})},
        answers=answers,
    )


SCENES: tuple[Scene, ...] = (
    # Courses
    captured("getCourses", "182-proto-json-body", answers=('2 Workplace Safety, 3 Data Protection & “Privacy” — Größe, 4 Onboarding, 5 Course with tracking but no criteria, 6 Course without completion tracking, 8 Course without manual enrolment',), asks=(courses(),)),
    captured("getCourses-in-pages", "005-courses-search", "007-courses-search-none", answers=('3 Data Protection & “Privacy” — Größe',), asks=(courses(),), settings=PAGES),
    captured("getCourses-unknown-token", "170-proto-bad-token", answers=('502 vendor_fault',), asks=(courses(),)),
    captured("getCourses-expired-token", "202-proto-expired-token", answers=('502 vendor_fault',), asks=(courses(),)),
    captured("getCourses-protocol-off", "206-site-rest-protocol-off", answers=('502 vendor_fault',), asks=(courses(),)),
    captured("getCourses-wrong-address", "208-proto-wrong-path", answers=('502 vendor_fault',), asks=(courses(),)),
    captured("getCourses-maintenance", "205-site-maintenance-mode", answers=('503 vendor_throttled',), asks=(courses(),)),
    captured("getCourses-database-back", "209-site-database-down", "182-proto-json-body", answers=('2 Workplace Safety, 3 Data Protection & “Privacy” — Größe, 4 Onboarding, 5 Course with tracking but no criteria, 6 Course without completion tracking, 8 Course without manual enrolment',), asks=(courses(),)),
    captured("getCourse", "009-courses-by-field-id", answers=('2 Workplace Safety',), asks=(course("2"),)),
    captured("getCourse-unknown", "013-courses-by-field-unknown-value", answers=('404 unknown_course',), asks=(course("99"),)),
    # Who is it?
    captured("createEnrolment-new-learner", *MADE, "080-enrol", answers=('6-2',), asks=(create("2", LEA),)),
    captured("createEnrolment-two-courses", *TOMS, "080-enrol", "079-user-read-after-updates", "081-enrol-again", answers=('7-2', '7-3'), asks=(create("2", TOM), create("3", TOM))),
    captured("createEnrolment-found-by-id-number", *TOMS, "081-enrol-again", answers=('7-2',), asks=(create("2", TOM),)),
    captured("createEnrolment-suspended-user", "071-user-read-suspended", "196-enrol-suspended-user", answers=('8-2',), asks=(create("2", MIA),)),
    captured("createEnrolment-user-name-has-another-id-number", "044-users-by-field-username", answers=('422 vendor_refused',), asks=(create("2", MAIL),)),
    captured("createEnrolment-found-by-email", NOBODY, NOBODY, "048-users-by-field-email-as-admin", "080-enrol", answers=('6-2',), asks=(create("2", MAIL),), settings=BY_MAIL),
    captured("createEnrolment-email-under-another-name", NOBODY, NOBODY, "048-users-by-field-email-as-admin", answers=('422 vendor_refused',), asks=(create("2", SHARED),), settings=BY_MAIL | {"nameMismatch": "refuse"}),
    captured("createEnrolment-id-number-on-two-users", NOBODY, "053-users-by-field-idnumber-duplicate", answers=('422 vendor_refused',), asks=(create("2", LEA),)),
    captured(
        "createEnrolment-the-linked-user-was-deleted",
        NOBODY, NOBODY, "020-user-create-unicode", "080-enrol",
        "200-user-read-deleted", NOBODY, NOBODY, "017-user-create", "080-enrol",
        answers=('9-2', '6-3'), asks=(create("2", SORA), create("3", SORA)),
    ),
    captured("createEnrolment-nobody-and-none-made", NOBODY, NOBODY, answers=('422 vendor_refused',), asks=(create("2", LEA),), settings={"createUsers": False}),
    # Making a user
    captured("createEnrolment-taken-meanwhile", NOBODY, NOBODY, "024-user-create-duplicate-username", *TOMS, "080-enrol", answers=('7-2',), asks=(create("2", TOM),)),
    captured(
        "createEnrolment-hidden-from-the-token",
        NOBODY, NOBODY, "025-user-create-duplicate-email", NOBODY, NOBODY, "025-user-create-duplicate-email",
        answers=('422 vendor_refused',), asks=(create("2", LEA),),
    ),
    captured(
        "createEnrolment-hidden-from-the-token-and-debugging",
        NOBODY, NOBODY, "212-debug-user-create-duplicate-email", NOBODY, NOBODY, "212-debug-user-create-duplicate-email",
        answers=('422 vendor_refused',), asks=(create("2", LEA),),
    ),
    captured("createEnrolment-lost-a-race", NOBODY, NOBODY, "039-user-create-long-firstname", *TOMS, "080-enrol", answers=('7-2',), asks=(create("2", TOM),)),
    captured("createEnrolment-weak-password", NOBODY, NOBODY, "031-user-create-weak-password", answers=('422 vendor_refused',), asks=(create("2", LEA),)),
    captured("createEnrolment-not-permitted", NOBODY, NOBODY, "043-user-create-as-weak", answers=('502 vendor_fault',), asks=(create("2", LEA),)),
    # Enrolling
    captured("createEnrolment-hidden-course", *TOMS, "093-enrol-hidden-course", answers=('7-7',), asks=(create("7", TOM),)),
    captured("createEnrolment-no-manual-enrolment", *TOMS, "089-enrol-no-manual-instance", answers=('422 vendor_refused',), asks=(create("8", TOM),)),
    captured("createEnrolment-unknown-course", *TOMS, "086-enrol-unknown-course", answers=('422 vendor_refused',), asks=(create("999", TOM),)),
    captured("createEnrolment-role-not-assignable", *TOMS, "088-enrol-role-not-assignable", answers=('502 vendor_fault',), asks=(create("2", TOM),)),
    captured("createEnrolment-course-closed-to-the-token", *TOMS, "095-enrol-as-weak", answers=('502 vendor_fault',), asks=(create("2", TOM),)),
    captured("createEnrolment-user-deleted-meanwhile", *TOMS, "201-enrol-deleted-user", answers=('422 vendor_refused',), asks=(create("2", TOM),)),
    # Progress, which is read for Get Enrolment and for polls alike
    captured("getEnrolment", LISTED, answers=('6-2 0 %',), asks=(read(LEA_IN["2"]),)),
    captured("getEnrolment-not-tracked", LISTED, answers=('6-6 0 %',), asks=(read(LEA_IN["6"]),)),
    captured("getEnrolment-in-progress", "131-users-courses-in-progress", answers=('6-2 99 %',), asks=(read(LEA_IN["2"]),)),
    captured("getEnrolment-before-cron", "131-users-courses-in-progress", answers=('6-4 0 %',), asks=(read(LEA_IN["4"]),)),
    captured("getEnrolment-after-cron", "156-users-courses-after-cron", answers=('6-4 99 %',), asks=(read(LEA_IN["4"]),)),
    captured("getEnrolment-taken-back", "163-users-courses-after-revert", answers=('6-2 99 %',), asks=(read(LEA_IN["2"]),)),
    captured("getEnrolment-suspended", "102-users-courses-suspended-enrolment", answers=('404 unknown_enrolment',), asks=(read(ids.encode(("8", "2"))),)),
    captured("getEnrolment-not-in-this-course", LISTED, answers=('404 unknown_enrolment',), asks=(read(LEA_IN["8"]),)),
    # Transfer and cancel
    captured("transferEnrolment", LISTED, *TOMS, "080-enrol", "083-enrol-suspended", answers=('7-2',), asks=(transfer(TOM, LEA_IN["2"]),)),
    captured("cancelEnrolment", LISTED, "083-enrol-suspended", answers=('6-2',), asks=(cancel(LEA_IN["2"]),)),
    captured("cancelEnrolment-user-deleted", LISTED, "201-enrol-deleted-user", answers=('6-2',), asks=(cancel(LEA_IN["2"]),)),
    captured("cancelEnrolment-course-deleted", LISTED, "086-enrol-unknown-course", answers=('6-2',), asks=(cancel(LEA_IN["2"]),)),
    captured("cancelEnrolment-unenrolled", LISTED, "164-unenrol", answers=('6-2',), asks=(cancel(LEA_IN["2"]),), settings=UNENROL),
    captured("cancelEnrolment-unenrolled-already", LISTED, "165-unenrol-again", answers=('6-2',), asks=(cancel(LEA_IN["2"]),), settings=UNENROL),
    captured("cancelEnrolment-unenrolled-user-deleted", LISTED, "166-unenrol-unknown-user", answers=('6-2',), asks=(cancel(LEA_IN["2"]),), settings=UNENROL),
    captured("cancelEnrolment-unenrolled-course-deleted", LISTED, "167-unenrol-unknown-course", answers=('6-2',), asks=(cancel(LEA_IN["2"]),), settings=UNENROL),
    captured("cancelEnrolment-unenrolled-no-manual-enrolment", LISTED, "168-unenrol-no-manual-instance", answers=('422 vendor_refused',), asks=(cancel(LEA_IN["2"]),), settings=UNENROL),
    # Marks
    captured("updateMarking", LISTED, answers=('6-3',), asks=(mark(LEA_IN["3"]),)),
    captured("updateMarking-graded", LISTED, "139-grade-update", answers=('6-3',), asks=(mark(LEA_IN["3"]),), settings=GRADES),
    captured("updateMarking-over-the-highest", LISTED, "143-grade-update-over-max", answers=('6-3',), asks=(mark(LEA_IN["3"]),), settings=GRADES),
    captured("updateMarking-learner-not-in-the-course", LISTED, "148-grade-update-not-enrolled", answers=('6-3',), asks=(mark(LEA_IN["3"]),), settings=GRADES),
    captured("updateMarking-unknown-activity", LISTED, "145-grade-update-unknown-activity", answers=('422 vendor_refused',), asks=(mark(LEA_IN["3"]),), settings=GRADES),
    captured("updateMarking-activity-of-another-kind", LISTED, "146-grade-update-wrong-component", answers=('422 vendor_refused',), asks=(mark(LEA_IN["3"]),), settings=GRADES),
    captured("updateMarking-not-permitted", LISTED, "150-grade-update-as-weak", answers=('502 vendor_fault',), asks=(mark(LEA_IN["3"]),), settings=GRADES),
    # The stand-in's, for no old site was recorded
    Scene(vendor=MOODLE, name="getEnrolment-of-an-old-site", asks=(read(ids.encode(("5", "9"))),), switches={"version": "3.5"}, answers=("5-9 33 %",)),
)  # fmt: skip
