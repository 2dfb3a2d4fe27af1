"""What a fresh Learning Assistant stand-in holds, among it the identifiers of the fact sheet's samples.

Two courses share a QAN and one has none, because GetCandidates can single out neither.
"""

from __future__ import annotations

from gateway.sandbox.learning_assistant_state import (
    Candidate,
    Centre,
    Company,
    Course,
    Enrolment,
    Trainer,
    Unit,
)

COMPANY_UUID = "7F30B1C9-0D84-4E2A-B5516CE90A3D1F48"
OTHER_COMPANY_UUID = "2C9E5A17-B640-4F38-9D027E51C8F3A6B4"
ASSESSOR_UUID = "11A0D6F2-5B3E-4C77-82E9F4410B6C9D05"
VERIFIER_UUID = "93C4E815-A2D0-4F6B-BD0877E15A2C4039"
THIRD_TRAINER_UUID = "C50B72E4-1F9A-4D83-A6E2390D7B14F85C"
COURSE_UUID = "E2A94C08-77F1-4D63-90BD1C5568AE3F12"
SHARED_QAN_COURSE_UUIDS = ("48D1F6B3-0A92-4E57-8C3B5F70E916D2A4", "9B07E3C5-D418-4A6F-B1E264C8F05A7D39")
NO_QAN_COURSE_UUID = "6FA2C81D-953E-4B70-87D4E0B3196C5F2A"
COURSE_QAN = "600/0000/1"
SHARED_QAN = "600/0000/2"
CANDIDATE_UUID = "5D1E0A77-3C42-4B19-A6F0D2984471BB06"


def _unit(uuid: str, name: str, reference: str, *, mandatory: bool = True) -> Unit:
    return Unit(uuid=uuid, name=name, reference=reference, mandatory=mandatory)


def _diploma(uuid: str, intake: str, units: tuple[Unit, ...]) -> Course:
    return Course(
        uuid=uuid, name=f"Diploma in Business Administration ({intake} intake)", qan=SHARED_QAN, units=units
    )


_COURSE = Course(
    uuid=COURSE_UUID,
    name="Certificate in Customer Service",
    qan=COURSE_QAN,
    units=(
        _unit("A17C0E52-6B3D-4F81-92E5D084C7B6F130", "Serve customers", "CS-01"),
        _unit("B28D1F63-7C4E-4092-A3F6E195D8C70241", "Solve problems", "CS-02"),
        _unit("C39E2074-8D5F-41A3-B407F2A6E9D81352", "Use social media", "CS-03", mandatory=False),
    ),
)
_SPRING = _diploma(
    SHARED_QAN_COURSE_UUIDS[0],
    "spring",
    (
        _unit("D4AF3185-9E60-42B4-8518A3B7FAE92463", "Write letters", "BA-01"),
        _unit("D5B04296-AF71-43C5-9629B4C80BFA3574", "Run meetings", "BA-02", mandatory=False),
    ),
)
_AUTUMN = _diploma(
    SHARED_QAN_COURSE_UUIDS[1],
    "autumn",
    (
        _unit("E4AF3185-9E60-42B4-8518A3B7FAE92463", "Write letters", "BA-01"),
        _unit("E5B04296-AF71-43C5-9629B4C80BFA3574", "Run meetings", "BA-02", mandatory=False),
    ),
)
_NO_QAN = Course(
    uuid=NO_QAN_COURSE_UUID,
    name="Workplace induction & safety",
    qan="",
    units=(_unit("F6C153A7-B082-44D6-A73AC5D91C0B4685", "Induction", "WI-01"),),
)


def seeded_centre() -> Centre:
    """Two companies, three trainers, four courses, and one candidate enrolled on the first course."""
    return Centre(
        companies=(
            Company(uuid=COMPANY_UUID, name="Demo College"),
            Company(uuid=OTHER_COMPANY_UUID, name="Sample & Sons Pty Ltd"),
        ),
        trainers=(
            _trainer(ASSESSOR_UUID, "Ash", "Assessor", ("Assessor",)),
            _trainer(VERIFIER_UUID, "Vic", "Verifier", ("Verifier",)),
            _trainer(THIRD_TRAINER_UUID, "Toni", "Trainer", ("Assessor", "Verifier")),
        ),
        courses=(_COURSE, _SPRING, _AUTUMN, _NO_QAN),
        enrolments=[_enrolment()],
    )


def _trainer(uuid: str, forename: str, surname: str, roles: tuple[str, ...]) -> Trainer:
    email = f"{forename}.{surname}@college.example".lower()
    return Trainer(uuid=uuid, forename=forename, surname=surname, email=email, roles=roles)


def _enrolment() -> Enrolment:
    values = {
        "CompanyUUID": COMPANY_UUID,
        "EmailAddress": "stu-1001@learners.example",
        "Forename": "Robin",
        "SourceSystemLearnerUUID": "stu-1001",
        "Surname": "Sample",
        "ULN": "",
    }
    return Enrolment(
        candidate=Candidate(uuid=CANDIDATE_UUID, values=values),
        course=_COURSE,
        assessor_uuid=ASSESSOR_UUID,
        verifier_uuid=VERIFIER_UUID,
        percent=40.0,
    )
