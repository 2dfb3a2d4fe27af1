"""Moodle's scenes: the answers are a real Moodle's (`captures`), or the stand-in's where none was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import ids
from gateway.contract import Person
from tests.cassette_stage import MOODLE, Ask, Scene, cancel, course, courses, create, mark, read, transfer

LEA = Person(id="EMP-1001", first_name="Léa", last_name="Berger")
TOM = Person(id="EMP-1002", first_name="Tom", last_name="Okafor")
SORA = Person(id="EMP-1004", first_name="空", last_name='田中 & O\'Neil "q" 1 < 2')
MAIL = Person(id="lea.berger", first_name="Léa", last_name="Berger")
PLAIN = {"prefix": "", "firstPassword": "Str0ng!Passw0rd"}
NOBODY = "055-users-by-field-unknown"
TOMS = (NOBODY, "049-users-by-field-idnumber")
"""Not by user name; by ID number user 7."""
MADE = (NOBODY, NOBODY, "017-user-create")
GRADES = {"marking": "grade", "gradeModules": {"3": "6"}, "gradeComponent": "mod_quiz"}
LEA_IN = {course: ids.encode(("6", course)) for course in ("2", "3", "5", "6")}


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
    captured("getCourses", "005-courses-search", "007-courses-search-none", answers=('3 Data Protection & “Privacy” — Größe',), asks=(courses(),)),
    captured("getCourses-unknown-token", "170-proto-bad-token", answers=('502 vendor_fault',), asks=(courses(),)),
    captured("getCourses-protocol-off", "206-site-rest-protocol-off", answers=('502 vendor_fault',), asks=(courses(),)),
    captured("getCourse", "009-courses-by-field-id", "013-courses-by-field-unknown-value", answers=('2 Workplace Safety', '404 unknown_course'), asks=(course("2"), course("99"))),
    captured("createEnrolment-new-learner", *MADE, "080-enrol", answers=('6-2',), asks=(create("2", LEA),)),
    captured(
        "createEnrolment-by-id-number-then-by-the-stored-link",
        *TOMS, "080-enrol", "079-user-read-after-updates", "081-enrol-again",
        answers=('7-2', '7-3'), asks=(create("2", TOM), create("3", TOM)),
    ),
    captured(
        "createEnrolment-found-by-email",
        NOBODY, NOBODY, "048-users-by-field-email-as-admin", "080-enrol",
        answers=('6-2',), asks=(create("2", MAIL),), settings={"email": "${student.id}@example.org"},
    ),
    captured("createEnrolment-id-number-on-two-users", NOBODY, "053-users-by-field-idnumber-duplicate", answers=('422 vendor_refused',), asks=(create("2", LEA),)),
    captured(
        "createEnrolment-the-linked-user-was-deleted",
        NOBODY, NOBODY, "020-user-create-unicode", "080-enrol",
        "200-user-read-deleted", NOBODY, NOBODY, "017-user-create", "080-enrol",
        answers=('9-2', '6-3'), asks=(create("2", SORA), create("3", SORA)),
    ),
    captured(
        "createEnrolment-taken-meanwhile",
        NOBODY, NOBODY, "024-user-create-duplicate-username", *TOMS, "080-enrol",
        answers=('7-2',), asks=(create("2", TOM),),
    ),
    captured(
        "createEnrolment-hidden-from-the-token",
        NOBODY, NOBODY, "025-user-create-duplicate-email", NOBODY, NOBODY, "025-user-create-duplicate-email",
        answers=('422 vendor_refused',), asks=(create("2", LEA),),
    ),
    captured(
        "createEnrolment-lost-a-race",
        NOBODY, NOBODY, "039-user-create-long-firstname", *TOMS, "080-enrol",
        answers=('7-2',), asks=(create("2", TOM),),
    ),
    captured("createEnrolment-weak-password", NOBODY, NOBODY, "031-user-create-weak-password", answers=('422 vendor_refused',), asks=(create("2", LEA),)),
    captured("createEnrolment-not-permitted", NOBODY, NOBODY, "043-user-create-as-weak", answers=('502 vendor_fault',), asks=(create("2", LEA),)),
    captured("createEnrolment-no-manual-enrolment", *TOMS, "089-enrol-no-manual-instance", answers=('422 vendor_refused',), asks=(create("8", TOM),)),
    captured("createEnrolment-unknown-course", *TOMS, "086-enrol-unknown-course", answers=('422 vendor_refused',), asks=(create("999", TOM),)),
    captured("createEnrolment-role-not-assignable", *TOMS, "088-enrol-role-not-assignable", answers=('502 vendor_fault',), asks=(create("2", TOM),)),
    captured(
        "getEnrolment",
        "101-users-courses", "131-users-courses-in-progress", "101-users-courses", "102-users-courses-suspended-enrolment",
        answers=('6-2 0 %', '6-2 100 %', '6-6 0 %', '404 unknown_enrolment'), asks=(read(LEA_IN["2"]), read(LEA_IN["2"]), read(LEA_IN["6"]), read(ids.encode(("8", "2")))),
    ),
    captured(
        "getEnrolment-before-and-after-cron",
        "131-users-courses-in-progress", "156-users-courses-after-cron", "163-users-courses-after-revert",
        answers=('6-3 0 %', '6-3 100 %', '6-3 100 %'), asks=(read(LEA_IN["3"]), read(LEA_IN["3"]), read(LEA_IN["3"])),
    ),
    captured(
        "transferEnrolment",
        *TOMS, "080-enrol", *MADE, "080-enrol", "083-enrol-suspended",
        answers=('7-2', '6-2'), asks=(create("2", TOM), transfer(LEA)),
    ),
    captured("cancelEnrolment", *TOMS, "080-enrol", "083-enrol-suspended", answers=('7-2', '7-2'), asks=(create("2", TOM), cancel())),
    captured(
        "cancelEnrolment-unenrolled",
        *TOMS, "080-enrol", "164-unenrol",
        answers=('7-2', '7-2'), asks=(create("2", TOM), cancel()), settings={"cancel": "unenrol"},
    ),
    captured("updateMarking", "101-users-courses", answers=('6-3',), asks=(mark(LEA_IN["3"]),)),
    captured(
        "updateMarking-graded", "101-users-courses", "139-grade-update", answers=('6-3',), asks=(mark(LEA_IN["3"]),), settings=GRADES
    ),
    captured(
        "updateMarking-unknown-activity",
        "101-users-courses", "145-grade-update-unknown-activity",
        answers=('422 vendor_refused',), asks=(mark(LEA_IN["3"]),), settings=GRADES,
    ),
    Scene(
        vendor=MOODLE,
        name="getEnrolment-of-an-old-site",
        asks=(read(ids.encode(("5", "9"))),),
        switches={"version": "3.5"},
        answers=("5-9 33 %",),
    ),
)  # fmt: skip
