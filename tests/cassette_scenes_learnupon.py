"""LearnUpon's scenes: every operation and branch, and the portal on a bad day."""

from __future__ import annotations

from gateway import ids
from gateway.contract import Person
from gateway.sandbox.faults import Fault
from tests.cassette_stage import LEARNUPON, Scene, cancel, course, courses, create, mark, read, transfer

ANA = Person(id="5204", first_name="Ana", last_name="Díaz & Söhne")
BO = Person(id="5205", first_name="Bo", last_name="")
KNOWN = Person(id="204", first_name="Zoë", last_name="Brown")  # has the user name rto-204
BY_EMAIL = Person(id="mia.tan", first_name="Mia", last_name="Tan")
CARL = Person(id="211", first_name="Carl", last_name="Early")  # has passed WHS Induction
EMAIL = {"email": "${student.id}@example.org", "firstPassword": "Welcome-${student.id}"}


def held(enrolment: str) -> str:
    return ids.encode((enrolment,))


SCENES: tuple[Scene, ...] = (
    Scene(
        vendor=LEARNUPON,
        name="getCourses",
        asks=(courses(), courses("r&d")),
        answers=(
            "tomztgmbq Certificate III in Testing, tomztgmrq R&D Methods, tomztgmzq First Aid Basics, tomztgnbq Forklift Evening, tomztgnrq Reading Room, tomztgobq WHS Induction",
            "tomztgmrq R&D Methods",
        ),
    ),
    Scene(
        vendor=LEARNUPON,
        name="getCourses-wrong-key",
        asks=(courses(),),
        secrets={"password": "wrong"},
        answers=("502 vendor_fault",),
    ),
    Scene(
        vendor=LEARNUPON,
        name="getCourses-throttled",
        asks=(courses(),),
        faults=(Fault(kind="too_many", retry_after=1),),
        answers=(
            "tomztgmbq Certificate III in Testing, tomztgmrq R&D Methods, tomztgmzq First Aid Basics, tomztgnbq Forklift Evening, tomztgnrq Reading Room, tomztgobq WHS Induction",
        ),
    ),
    Scene(
        vendor=LEARNUPON,
        name="getCourse",
        asks=(course("s3320"), course("s9999")),
        answers=("tomztgmrq R&D Methods", "404 unknown_course"),
    ),
    Scene(
        vendor=LEARNUPON,
        name="createEnrolment-new-learner",
        asks=(create("s3300", ANA),),
        answers=("880301",),
    ),
    Scene(
        vendor=LEARNUPON,
        name="createEnrolment-twice-then-another-course",
        asks=(courses(), create("s3300", ANA), create("s3320", ANA)),
        answers=(
            "tomztgmbq Certificate III in Testing, tomztgmrq R&D Methods, tomztgmzq First Aid Basics, tomztgnbq Forklift Evening, tomztgnrq Reading Room, tomztgobq WHS Induction",
            "880301",
            "880302",
        ),
    ),
    Scene(
        vendor=LEARNUPON,
        name="createEnrolment-known-learner-enrolled-already",
        asks=(create("s3320", KNOWN),),
        answers=("880232",),
    ),
    Scene(
        vendor=LEARNUPON,
        name="createEnrolment-found-by-email",
        asks=(create("s3320", BY_EMAIL),),
        settings=EMAIL,
        answers=("880301",),
    ),
    Scene(
        vendor=LEARNUPON,
        name="createEnrolment-into-a-session",
        asks=(create("s3380", ANA),),
        settings={"sessionByCourse": {"s3380": "9001"}},
        answers=("880301",),
    ),
    Scene(
        vendor=LEARNUPON,
        name="createEnrolment-session-full",
        asks=(create("s3340", ANA),),
        answers=("422 vendor_refused",),
    ),
    Scene(
        vendor=LEARNUPON,
        name="createEnrolment-finished-before-refused",
        asks=(create("s3380", CARL),),
        settings={"completed": "refuse"},
        answers=("422 check_refused",),
    ),
    Scene(
        vendor=LEARNUPON,
        name="createEnrolment-answer-lost",
        asks=(create("s3300", ANA),),
        faults=(Fault(kind="error", status=502, applied=True, method="POST", path="/enrollments"),),
        answers=("880301",),
    ),
    Scene(
        vendor=LEARNUPON,
        name="getEnrolment",
        asks=(read(held("880231")), read(held("880236")), read(held("880234")), read(held("1"))),
        answers=("880231 33 %", "880236 99 %", "404 unknown_enrolment", "404 unknown_enrolment"),
    ),
    Scene(
        vendor=LEARNUPON,
        name="getEnrolment-modules-apart",
        asks=(read(held("880236")),),
        acts=(("relaunch", {"enrolment_id": 880236}),),
        switches={"modules_shown": "never"},
        answers=("880236 0 %",),
    ),
    Scene(
        vendor=LEARNUPON,
        name="getEnrolment-completed-by-hand-modules-apart",
        asks=(read(held("880236")),),
        switches={"modules_shown": "never"},
        answers=("880236 99 %",),
    ),
    Scene(
        vendor=LEARNUPON,
        name="transferEnrolment",
        asks=(create("s3300", ANA), transfer(BO)),
        answers=("880301", "880302"),
    ),
    Scene(
        vendor=LEARNUPON,
        name="cancelEnrolment",
        asks=(create("s3300", ANA), cancel()),
        answers=("880301", "880301"),
    ),
    Scene(
        vendor=LEARNUPON, name="cancelEnrolment-finished", asks=(cancel(held("880233")),), answers=("880233",)
    ),
    Scene(
        vendor=LEARNUPON,
        name="cancelEnrolment-finished-and-erased",
        asks=(cancel(held("880233")),),
        settings={"cancelCompleted": "erase"},
        answers=("880233",),
    ),
    Scene(vendor=LEARNUPON, name="updateMarking", asks=(mark(held("880231")),), answers=("880231",)),
)
