"""The scenes that the cassettes hold: every operation of every mapping, and vendors on a bad day."""

from __future__ import annotations

from gateway import ids
from gateway.contract import Person
from gateway.sandbox.faults import Fault
from gateway.sandbox.learning_assistant_seed import (
    CANDIDATE_UUID,
    COURSE_UUID,
    NO_QAN_COURSE_UUID,
    SHARED_QAN_COURSE_UUIDS,
    THIRD_TRAINER_UUID,
)
from tests import cassette_scenes_canvas, cassette_scenes_learnupon, cassette_scenes_moodle
from tests.cassette_stage import (
    LEARNING_ASSISTANT,
    TALENTLMS,
    Choose,
    Scene,
    cancel,
    course,
    courses,
    create,
    mark,
    read,
    transfer,
)

ANA = Person(id="5204", first_name="Ana", last_name="Díaz & Söhne")
BO = Person(id="5205", first_name="Bo", last_name="")
MIA = Person(id="204", first_name="Mia", last_name="Tan")  # with prefix `rtop-`, user 7 of the portal
_CANDIDATE = ids.encode((CANDIDATE_UUID, COURSE_UUID))
_ELSEWHERE = ids.encode((CANDIDATE_UUID, NO_QAN_COURSE_UUID))
_BY_EMAIL = Person(id="mia.tan", first_name="Mia", last_name="Tan")
_SEEDED = Person(id="stu-1001", first_name="Robin", last_name="Sample")

_FIRST: tuple[Scene, ...] = (
    Scene(
        vendor=TALENTLMS,
        name="getCourses",
        asks=(courses(), courses("whs")),
        answers=(
            "126 Certificate III in Testing, 127 R&D Methods, 128 WHS Induction, 129 First Aid Basics, 131 Reading Room",
            "128 WHS Induction",
        ),
    ),
    Scene(
        vendor=TALENTLMS,
        name="getCourses-wrong-key",
        asks=(courses(),),
        secrets={"apiKey": "wrong"},
        answers=("502 vendor_fault",),
    ),
    Scene(
        vendor=TALENTLMS,
        name="getCourses-throttled",
        asks=(courses(),),
        faults=(Fault(kind="too_many", retry_after=1),),
        answers=(
            "126 Certificate III in Testing, 127 R&D Methods, 128 WHS Induction, 129 First Aid Basics, 131 Reading Room",
        ),
    ),
    Scene(
        vendor=TALENTLMS,
        name="getCourse",
        asks=(course("127"), course("999")),
        answers=("127 R&D Methods", "404 unknown_course"),
    ),
    Scene(
        vendor=TALENTLMS,
        name="createEnrolment-new-learner",
        asks=(create("128", ANA),),
        answers=("1001-128",),
    ),
    Scene(
        vendor=TALENTLMS,
        name="createEnrolment-known-learner",
        asks=(create("126", BO), create("129", BO)),
        answers=("1001-126", "1001-129"),
    ),
    Scene(
        vendor=TALENTLMS,
        name="createEnrolment-found-by-email",
        asks=(create("127", _BY_EMAIL),),
        settings={"email": "${student.id}@example.org"},
        answers=("7-127",),
    ),
    Scene(
        vendor=TALENTLMS,
        name="createEnrolment-already-enrolled",
        asks=(create("126", MIA),),
        settings={"loginPrefix": "rtop-"},
        answers=("7-126",),
    ),
    Scene(
        vendor=TALENTLMS,
        name="createEnrolment-refused",
        asks=(create("999", MIA),),
        settings={"loginPrefix": "rtop-"},
        answers=("422 vendor_absent",),
    ),
    Scene(
        vendor=TALENTLMS,
        name="createEnrolment-answer-lost",
        asks=(create("127", ANA),),
        faults=(
            Fault(kind="error", path="/usersignup", status=502, applied=True),
            Fault(kind="error", path="/addusertocourse", status=502, applied=True),
        ),
        answers=("1001-127",),
    ),
    Scene(
        vendor=TALENTLMS,
        name="createEnrolment-page-instead-of-answer",
        asks=(create("127", ANA),),
        faults=(Fault(kind="html", path="/users/", status=404),),
        answers=("502 vendor_fault",),
    ),
    Scene(
        vendor=TALENTLMS,
        name="getEnrolment",
        asks=(read("7-126"), read("12-126")),
        answers=("7-126 11 %", "12-126 99 %"),
    ),
    Scene(vendor=TALENTLMS, name="getEnrolment-completed", asks=(read("11-126"),), answers=("11-126 99 %",)),
    Scene(
        vendor=TALENTLMS,
        name="getEnrolment-unknown",
        asks=(read("7-131"), read("999-126")),
        answers=("404 unknown_enrolment", "404 unknown_enrolment"),
    ),
    Scene(
        vendor=TALENTLMS,
        name="transferEnrolment",
        asks=(transfer(BO, "7-126"), read("7-126")),
        answers=("1001-126", "404 enrolment_cancelled"),
    ),
    Scene(
        vendor=TALENTLMS,
        name="cancelEnrolment",
        asks=(create("128", ANA), cancel(), read()),
        answers=("1001-128", "1001-128", "404 enrolment_cancelled"),
    ),
    Scene(
        vendor=TALENTLMS,
        name="cancelEnrolment-adopted",
        asks=(cancel("7-126"), cancel("7-126")),
        answers=("7-126", "7-126"),
    ),
    Scene(vendor=TALENTLMS, name="updateMarking", asks=(mark("7-126"),), answers=("7-126",)),
    Scene(
        vendor=TALENTLMS,
        name="updateMarking-refused",
        asks=(mark("7-126"),),
        settings={"marking": "refuse"},
        answers=("422 operation_refused",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="getCourses",
        asks=(courses(), courses("600/0000/2")),
        answers=(
            "x4kuuycdx6fgwhef5drkwrlr7ci Certificate in Customer Service, xjdi7nmyksjhfpdb3l5yosfwsuq Diploma in Business Administration (spring intake), xtmd6hroudbfg7mpcmtepawt5he Diploma in Business Administration (autumn intake), xn6rmqhmvhzfxbb6u4czrs3c7fi Workplace induction & safety",
            "xjdi7nmyksjhfpdb3l5yosfwsuq Diploma in Business Administration (spring intake), xtmd6hroudbfg7mpcmtepawt5he Diploma in Business Administration (autumn intake)",
        ),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="getCourses-wrong-password",
        asks=(courses(),),
        secrets={"password": "wrong"},
        answers=("502 vendor_login",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="getCourses-session-expired",
        asks=(read(_CANDIDATE), courses("induction")),
        faults=(Fault(kind="expired_token", path="course.cfc"),),
        answers=(
            "xlupau5z4ijfrtjxq2kmei4n3ay-x4kuuycdx6fgwhef5drkwrlr7ci 40 %",
            "xn6rmqhmvhzfxbb6u4czrs3c7fi Workplace induction & safety",
        ),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="getCourse",
        asks=(course(COURSE_UUID), course("nothing")),
        answers=("x4kuuycdx6fgwhef5drkwrlr7ci Certificate in Customer Service", "404 unknown_course"),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="createEnrolment",
        asks=(create(COURSE_UUID, ANA),),
        answers=("xaaaaaas2jvfqzaaaaaaaaaaaaa-x4kuuycdx6fgwhef5drkwrlr7ci",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="createEnrolment-every-setting",
        asks=(create(SHARED_QAN_COURSE_UUIDS[0], BO),),
        settings={
            "evaluation": True,
            "sendLogin": True,
            "email": "${student.id}@learners.example",
            "assessorByCourse": {SHARED_QAN_COURSE_UUIDS[0]: THIRD_TRAINER_UUID},
        },
        answers=("xaaaaaas2jvfqzaaaaaaaaaaaaa-xjdi7nmyksjhfpdb3l5yosfwsuq",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="createEnrolment-with-units",
        asks=(create(SHARED_QAN_COURSE_UUIDS[0], BO),),
        settings={"sendUnits": "texts"},
        answers=("xaaaaaas2jvfqzaaaaaaaaaaaaa-xjdi7nmyksjhfpdb3l5yosfwsuq",),
    ),
    # Nobody has seen which form units take, and the stand-in knows the other one: it only shows a page here.
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="createEnrolment-with-unit-structures",
        asks=(create(SHARED_QAN_COURSE_UUIDS[0], BO),),
        settings={"sendUnits": "structures"},
        faults=(Fault(kind="html", path="enrolment.cfc", status=404),),
        answers=("502 vendor_fault",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="createEnrolment-refused",
        asks=(create(COURSE_UUID, _SEEDED),),
        answers=("422 vendor_refused",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="createEnrolment-answer-lost",
        asks=(create(COURSE_UUID, ANA),),
        faults=(Fault(kind="error", path="enrolment.cfc", status=502, applied=True),),
        answers=("xaaaaaas2jvfqzaaaaaaaaaaaaa-x4kuuycdx6fgwhef5drkwrlr7ci",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="getEnrolment",
        asks=(read(_CANDIDATE),),
        answers=("xlupau5z4ijfrtjxq2kmei4n3ay-x4kuuycdx6fgwhef5drkwrlr7ci 40 %",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="getEnrolment-unknown",
        asks=(read(_ELSEWHERE),),
        answers=("404 unknown_enrolment",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="transferEnrolment",
        asks=(transfer(BO, _CANDIDATE), read(_CANDIDATE)),
        settings={"transfer": "create", "cancel": "update"},
        switches={"status_accessor": "Status"},
        answers=("xaaaaaas2jvfqzaaaaaaaaaaaaa-x4kuuycdx6fgwhef5drkwrlr7ci", "404 enrolment_cancelled"),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="transferEnrolment-refused",
        asks=(transfer(BO, _CANDIDATE),),
        answers=("422 operation_refused",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="cancelEnrolment",
        asks=(create(COURSE_UUID, ANA), cancel(), read()),
        settings={"cancel": "update"},
        switches={"status_accessor": "Status"},
        answers=(
            "xaaaaaas2jvfqzaaaaaaaaaaaaa-x4kuuycdx6fgwhef5drkwrlr7ci",
            "xaaaaaas2jvfqzaaaaaaaaaaaaa-x4kuuycdx6fgwhef5drkwrlr7ci",
            "404 enrolment_cancelled",
        ),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="cancelEnrolment-listed",
        asks=(cancel(_CANDIDATE),),
        settings={"cancel": "list"},
        answers=("xlupau5z4ijfrtjxq2kmei4n3ay-x4kuuycdx6fgwhef5drkwrlr7ci",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="cancelEnrolment-refused",
        asks=(cancel(_CANDIDATE),),
        answers=("422 operation_refused",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="updateMarking",
        asks=(mark(_CANDIDATE),),
        answers=("xlupau5z4ijfrtjxq2kmei4n3ay-x4kuuycdx6fgwhef5drkwrlr7ci",),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="choices",
        asks=(Choose(setting="company"), Choose(setting="assessor"), Choose(setting="verifier")),
        answers=(
            "Demo College, Sample & Sons Pty Ltd",
            "Ash Assessor, Toni Trainer",
            "Vic Verifier, Toni Trainer",
        ),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="getCourses-session-expired-by-fault",
        asks=(courses(),),
        faults=(Fault(kind="expired_token", path="course.cfc"),),
        switches={"expiry": "fault"},
        answers=(
            "x4kuuycdx6fgwhef5drkwrlr7ci Certificate in Customer Service, xjdi7nmyksjhfpdb3l5yosfwsuq Diploma in Business Administration (spring intake), xtmd6hroudbfg7mpcmtepawt5he Diploma in Business Administration (autumn intake), xn6rmqhmvhzfxbb6u4czrs3c7fi Workplace induction & safety",
        ),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="getEnrolment-token-changes-with-each-call",
        asks=(read(_CANDIDATE), read(_CANDIDATE)),
        switches={"rotation": "old_dead"},
        answers=(
            "xlupau5z4ijfrtjxq2kmei4n3ay-x4kuuycdx6fgwhef5drkwrlr7ci 40 %",
            "xlupau5z4ijfrtjxq2kmei4n3ay-x4kuuycdx6fgwhef5drkwrlr7ci 40 %",
        ),
    ),
    Scene(
        vendor=LEARNING_ASSISTANT,
        name="createEnrolment-answers-by-reference",
        asks=(create(COURSE_UUID, ANA),),
        switches={"reply_form": "multiref_all"},
        answers=("xaaaaaas2jvfqzaaaaaaaaaaaaa-x4kuuycdx6fgwhef5drkwrlr7ci",),
    ),
)

SCENES = (
    *_FIRST,
    *cassette_scenes_learnupon.SCENES,
    *cassette_scenes_canvas.SCENES,
    *cassette_scenes_moodle.SCENES,
)
