"""Canvas's scenes: every operation and branch, and Canvas on a bad day."""

from __future__ import annotations

from gateway import ids
from gateway.contract import Person
from gateway.sandbox.faults import Fault
from tests.cassette_stage import CANVAS, Scene, cancel, course, courses, create, mark, read, transfer

ANA = Person(id="5204", first_name="Ana", last_name="Díaz & Söhne")
BO = Person(id="5205", first_name="Bo", last_name="")
MIA = Person(id="204", first_name="Mia", last_name="Tan")  # has the SIS id rtop-204
DOTTED = Person(id="2.5", first_name="Zoë", last_name="Brown")
MIA_IN_BUSINESS = ids.encode(("8121", "3571"))

SCENES: tuple[Scene, ...] = (
    Scene(
        vendor=CANVAS,
        name="getCourses",
        asks=(courses(), courses("hosp")),
        answers=(
            "3571 Certificate III in Business, 3572 Hospitality & Tourism Basics, 3575 Reading Room, 3576 Orientation, 3578 Food Safety Supervisor, 3579 Barista Skills, 3580 Café Français, 3581 First Aid, 3582 Manual Handling, 10420000000000417 Certificate IV in Shared Services",
            "3572 Hospitality & Tourism Basics",
        ),
    ),
    Scene(
        vendor=CANVAS,
        name="getCourses-wrong-token",
        asks=(courses(),),
        secrets={"token": "wrong"},
        answers=("502 vendor_fault",),
    ),
    Scene(
        vendor=CANVAS,
        name="getCourses-throttled",
        asks=(courses(),),
        faults=(Fault(kind="too_many", retry_after=1),),
        answers=(
            "3571 Certificate III in Business, 3572 Hospitality & Tourism Basics, 3575 Reading Room, 3576 Orientation, 3578 Food Safety Supervisor, 3579 Barista Skills, 3580 Café Français, 3581 First Aid, 3582 Manual Handling, 10420000000000417 Certificate IV in Shared Services",
        ),
    ),
    Scene(
        vendor=CANVAS,
        name="getCourse",
        asks=(course("3571"), course("3577"), course("x")),
        answers=("3571 Certificate III in Business", "404 unknown_course", "404 unknown_course"),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-new-learner",
        asks=(create("3571", ANA),),
        answers=("91301-3571",),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-then-another-course",
        asks=(create("3571", ANA), create("3572", ANA)),
        answers=("91301-3571", "91301-3572"),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-known-learner",
        asks=(create("3572", MIA),),
        answers=("8121-3572",),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-sis-id-with-a-dot-and-a-slash",
        asks=(create("3571", DOTTED),),
        settings={"prefix": "rtop."},
        answers=("91301-3571",),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-by-login",
        asks=(create("3571", ANA),),
        settings={
            "identify": "login",
            "email": "${student.id}@example.org",
            "firstPassword": "Welcome-${student.id}",
        },
        answers=("91301-3571",),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-concluded-course",
        asks=(create("3573", ANA),),
        answers=("422 vendor_refused",),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-answer-lost",
        asks=(create("3571", ANA),),
        faults=(Fault(kind="error", status=502, applied=True, method="POST", path_regex="/enrollments$"),),
        answers=("91301-3571",),
    ),
    Scene(
        vendor=CANVAS,
        name="getEnrolment",
        asks=(read(MIA_IN_BUSINESS), read(ids.encode(("8122", "3571"))), read(ids.encode(("1", "3571")))),
        answers=("8121-3571 40 %", "8122-3571 99 %", "404 unknown_enrolment"),
    ),
    Scene(
        vendor=CANVAS,
        name="transferEnrolment",
        asks=(create("3571", ANA), transfer(BO)),
        answers=("91301-3571", "91303-3571"),
    ),
    Scene(
        vendor=CANVAS,
        name="cancelEnrolment",
        asks=(create("3571", ANA), cancel()),
        answers=("91301-3571", "91301-3571"),
    ),
    Scene(
        vendor=CANVAS,
        name="cancelEnrolment-deleted",
        asks=(cancel(MIA_IN_BUSINESS),),
        settings={"cancel": "delete"},
        answers=("8121-3571",),
    ),
    Scene(vendor=CANVAS, name="updateMarking", asks=(mark(MIA_IN_BUSINESS),), answers=("8121-3571",)),
    Scene(
        vendor=CANVAS,
        name="updateMarking-graded",
        asks=(mark(MIA_IN_BUSINESS),),
        settings={"marking": "grade", "gradeAssignments": {"3571": "7710"}},
        answers=("8121-3571",),
    ),
    Scene(
        vendor=CANVAS,
        name="getCourses-in-pages",
        asks=(courses(),),
        switches={"per_page_cap": 4, "bookmarks": "all"},
        answers=(
            "3571 Certificate III in Business, 3572 Hospitality & Tourism Basics, 3575 Reading Room, 3576 Orientation, 3578 Food Safety Supervisor, 3579 Barista Skills, 3580 Café Français, 3581 First Aid, 3582 Manual Handling, 10420000000000417 Certificate IV in Shared Services",
        ),
    ),
    Scene(
        vendor=CANVAS,
        name="getCourses-next-page-elsewhere",
        asks=(courses(),),
        switches={"per_page_cap": 4, "foreign_next": "https://elsewhere.example"},
        answers=("502 vendor_fault",),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-bucket-empty",
        asks=(create("3572", MIA),),
        acts=(("throttle", {"times": 1}),),
        answers=("8121-3572",),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-missing-right",
        asks=(create("3571", ANA),),
        switches={"may_manage_users": False},
        answers=("502 vendor_fault",),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-nobody-is-made",
        asks=(create("3571", ANA),),
        settings={"createUsers": False},
        answers=("422 vendor_refused",),
    ),
    Scene(
        vendor=CANVAS,
        name="createEnrolment-role-of-ones-own",
        asks=(create("3572", MIA),),
        settings={"roleId": "19", "notify": True},
        answers=("8121-3572",),
    ),
    Scene(
        vendor=CANVAS,
        name="getEnrolment-score-as-progress",
        asks=(read(ids.encode(("8123", "3575"))), read(ids.encode(("8123", "3576")))),
        settings={"scoreAsProgress": True},
        answers=("8123-3575 87 %", "404 unknown_enrolment"),
    ),
    Scene(
        vendor=CANVAS,
        name="cancelEnrolment-concluded",
        asks=(cancel(MIA_IN_BUSINESS),),
        settings={"cancel": "conclude"},
        answers=("8121-3571",),
    ),
)
