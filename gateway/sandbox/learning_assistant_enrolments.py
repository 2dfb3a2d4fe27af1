"""GroupEnrolment and UpdateEnrolment of the Learning Assistant stand-in: all problems at once, or one effect.

Source: vendors/learning-assistant.md 5 and 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.learning_assistant_soap import application_fault
from gateway.sandbox.learning_assistant_state import (
    MAX_ENROLMENTS,
    STATUSES,
    Centre,
    Course,
    Enrolment,
    new_candidate,
)
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.learning_assistant_wire import Wire

_TRAINERS = {"PrimaryAssessorUUID": "Assessor", "PrimaryVerifierUUID": "Verifier"}
_IDENTIFIERS = frozenset({"CandidateUUID", "CourseUUID", "SourceSystemLearnerUUID"})

Accessors = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A method's result; only a call that was not refused extends its session.

    `effect` says what was stored, if anything: enrolled, updated or withdrawn; `what` is "candidate,course".
    """

    value: Any
    refused: bool = False
    effect: str = ""
    what: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    field: str
    text: str


def group_enrolment(
    centre: Centre, arguments: Accessors, switches: LearningAssistantSwitches, wire: Wire
) -> Outcome:
    """Enrol one learner on one course, or say everything that is wrong with the request."""
    user = _user(arguments)
    if switches.require_all_accessors:
        _refuse_absent_accessors(user, wire)
    course_part = user.get("Course") or {}
    course, problems = _course(centre, course_part)
    problems += _missing_text(user, ("CompanyUUID", "Forename", "Surname", *switches.also_required))
    problems += _company(centre, user)
    problems += _trainers(centre, _trainer_holder(user, switches), required=True)
    problems += _units(course, course_part.get("Units"))
    problems += _email(centre, user, switches)
    earlier = course and centre.open_enrolment_of_learner(_text(user, "SourceSystemLearnerUUID"), course)
    if earlier and switches.duplicate == "refused":
        problems.append(Problem("Course", "The learner is already enrolled on this course."))
    if problems or course is None:
        return _refusal(user, problems, switches)
    if earlier and switches.duplicate == "same":
        return Outcome(value=_success(earlier))
    enrolment = _enrolled(centre, user, course, switches)
    if arguments.get("blnSendLoginDetailsOnEnroll"):
        centre.welcome_emails.append(_text(user, "EmailAddress"))
    return _stored(enrolment, "enrolled")


def update_enrolment(
    centre: Centre, arguments: Accessors, switches: LearningAssistantSwitches, wire: Wire
) -> Outcome:
    """Change one enrolment; what is absent or nil stays as it is."""
    user = {name: value for name, value in _user(arguments).items() if value is not None}
    course_part = user.get("Course") or {}
    enrolment = centre.enrolment(_text(user, "CandidateUUID"), _text(user, "CourseUUID"))
    if enrolment is None:
        problem = Problem("CandidateUUID", "There is no enrolment with this CandidateUUID and CourseUUID.")
        return _refusal(user, [problem], switches)
    problems = [*_identity_changes(enrolment, user, course_part)]
    problems += _company(centre, user)
    problems += _trainers(centre, _trainer_holder(user, switches), required=False)
    problems += _units(enrolment.course, course_part.get("Units"))
    problems += _status(user, switches)
    if problems:
        return _refusal(user, problems, switches)
    was_withdrawn = enrolment.status == "Withdrawn"
    _store(enrolment, user, course_part, switches)
    withdrawn = enrolment.status == "Withdrawn" and not was_withdrawn
    return _stored(enrolment, "withdrawn" if withdrawn else "updated")


def _user(arguments: Accessors) -> Accessors:
    user = arguments["User"]
    if not isinstance(user, dict):
        raise application_fault(
            "coldfusion.runtime.UDFMethod$InvalidArgumentTypeException",
            "The User argument is not a structure.",
        )
    return user


def _refuse_absent_accessors(user: Accessors, wire: Wire) -> None:
    for part in wire.structs["Type_enrolmentUser"].parts:
        if part.type == "string" and part.name not in user:
            raise application_fault(
                "coldfusion.runtime.UndefinedElementException",
                f"Element {part.name.upper()} is undefined in USER.",
            )


def _course(centre: Centre, part: Accessors) -> tuple[Course | None, list[Problem]]:
    """By UUID, else by QAN; a QAN that two courses share names neither."""
    uuid, qan = _text(part, "CourseUUID"), _text(part, "CourseQAN")
    if not uuid and not qan:
        return None, [Problem("Course", "Either CourseUUID or CourseQAN is required.")]
    found = [each for each in centre.courses if each.uuid == uuid] if uuid else centre.courses_with_qan(qan)
    if not found:
        return None, [Problem("Course", "The course is not known.")]
    if len(found) > 1:
        return None, [Problem("CourseQAN", "More than one course has this QAN.")]
    if qan and found[0].qan != qan:
        return None, [Problem("CourseQAN", "CourseUUID and CourseQAN name different courses.")]
    return found[0], []


def _missing_text(user: Accessors, names: tuple[str, ...]) -> Iterator[Problem]:
    return (Problem(name, f"{name} is required.") for name in names if not _text(user, name))


def _company(centre: Centre, user: Accessors) -> Iterator[Problem]:
    uuid = _text(user, "CompanyUUID")
    if uuid and all(each.uuid != uuid for each in centre.companies):
        yield Problem("CompanyUUID", "The company is not known.")


def _trainer_holder(user: Accessors, switches: LearningAssistantSwitches) -> Accessors:
    return user.get("Course") or {} if switches.trainer_place == "course" else user


def _trainers(centre: Centre, holder: Accessors, *, required: bool) -> Iterator[Problem]:
    for name, role in _TRAINERS.items():
        uuid = _text(holder, name)
        trainer = centre.trainer(uuid)
        if not uuid:
            if required:
                yield Problem(name, f"{name} is required.")
        elif trainer is None:
            yield Problem(name, f"The {role.lower()} is not known.")
        elif role not in trainer.roles:
            yield Problem(name, f"{name} names somebody who is no {role.lower()}.")


def _units(course: Course | None, wanted: list[Any] | None) -> Iterator[Problem]:
    """None or an empty list leaves the choice to the application's Unit Selection."""
    if course is None or not wanted:
        return
    known = {unit.uuid for unit in course.units}
    if any(uuid not in known for uuid in wanted):
        yield Problem("Units", "A unit does not belong to the course.")
    if any(unit.mandatory and unit.uuid not in wanted for unit in course.units):
        yield Problem("Units", "A mandatory unit is missing.")


def _email(centre: Centre, user: Accessors, switches: LearningAssistantSwitches) -> Iterator[Problem]:
    email, source_id = _text(user, "EmailAddress").lower(), _text(user, "SourceSystemLearnerUUID")
    if not switches.unique_email or not email:
        return
    for other in centre.candidates():
        if other.values.get("EmailAddress", "").lower() == email and other.source_id != source_id:
            yield Problem("EmailAddress", "The email address belongs to another learner.")
            return


def _enrolled(
    centre: Centre, user: Accessors, course: Course, switches: LearningAssistantSwitches
) -> Enrolment:
    if len(centre.enrolments) >= MAX_ENROLMENTS:
        raise application_fault("Application", "This stand-in holds no further enrolments.")
    trainers = _trainer_holder(user, switches)
    known = centre.learner(_text(user, "SourceSystemLearnerUUID"))
    candidate = known if switches.candidate_uuid_per == "person" else None
    enrolment = Enrolment(
        candidate=candidate or new_candidate(_values(user, switches), _texts(user.get("Address"))),
        course=course,
        assessor_uuid=_text(trainers, "PrimaryAssessorUUID"),
        verifier_uuid=_text(trainers, "PrimaryVerifierUUID"),
        unit_uuids=tuple((user.get("Course") or {}).get("Units") or ()),
    )
    centre.enrolments.append(enrolment)
    return enrolment


def _identity_changes(enrolment: Enrolment, user: Accessors, course_part: Accessors) -> Iterator[Problem]:
    """A course or a learner is not exchanged by an update; naming the present one again is fine."""
    source_id = _text(user, "SourceSystemLearnerUUID")
    if source_id and source_id != enrolment.candidate.source_id:
        yield Problem("SourceSystemLearnerUUID", "SourceSystemLearnerUUID belongs to another learner.")
    if _text(course_part, "CourseUUID") not in ("", enrolment.course.uuid):
        yield Problem("Course", "The course of an enrolment cannot be changed.")
    if _text(course_part, "CourseQAN") not in ("", enrolment.course.qan):
        yield Problem("Course", "The course of an enrolment cannot be changed.")


def _status(user: Accessors, switches: LearningAssistantSwitches) -> Iterator[Problem]:
    name = switches.status_accessor
    if name and name in user and user[name] not in STATUSES:
        yield Problem(name, f"{name} must be one of {', '.join(STATUSES)}.")


def _store(
    enrolment: Enrolment, user: Accessors, course_part: Accessors, switches: LearningAssistantSwitches
) -> None:
    trainers = _trainer_holder(user, switches)
    enrolment.candidate.values.update(
        {name: text for name, text in _values(user, switches).items() if name not in _IDENTIFIERS}
    )
    enrolment.candidate.address.update(_texts(user.get("Address")))
    enrolment.assessor_uuid = _text(trainers, "PrimaryAssessorUUID") or enrolment.assessor_uuid
    enrolment.verifier_uuid = _text(trainers, "PrimaryVerifierUUID") or enrolment.verifier_uuid
    enrolment.unit_uuids = tuple(course_part.get("Units") or enrolment.unit_uuids)
    enrolment.status = _text(user, switches.status_accessor) or enrolment.status


def _values(user: Accessors, switches: LearningAssistantSwitches) -> dict[str, str]:
    kept_elsewhere = {*_TRAINERS, switches.status_accessor}
    return {name: text for name, text in _texts(user).items() if name not in kept_elsewhere}


def _texts(struct: Accessors | None) -> dict[str, str]:
    return {name: value for name, value in (struct or {}).items() if isinstance(value, str)}


def _text(struct: Accessors, name: str) -> str:
    value = struct.get(name)
    return value if isinstance(value, str) else ""


def _stored(enrolment: Enrolment, effect: str) -> Outcome:
    what = f"{enrolment.candidate.uuid},{enrolment.course.uuid}"
    return Outcome(value=_success(enrolment), effect=effect, what=what)


def _success(enrolment: Enrolment) -> dict[str, Any]:
    return {
        "CandidateUUID": enrolment.candidate.uuid,
        "MessageList": [],
        "SourceSystemLearnerUUID": enrolment.candidate.source_id,
        "Success": True,
        "ULN": enrolment.candidate.values.get("ULN", ""),
    }


def _refusal(user: Accessors, problems: list[Problem], switches: LearningAssistantSwitches) -> Outcome:
    messages: list[Any] = [each.text for each in problems]
    if switches.message_form == "structures":
        messages = [{"FieldName": each.field, "Message": each.text} for each in problems]
    value = {
        "CandidateUUID": "",
        "MessageList": messages,
        "SourceSystemLearnerUUID": _text(user, "SourceSystemLearnerUUID"),
        "Success": False,
        "ULN": _text(user, "ULN"),
    }
    return Outcome(value=value, refused=True)
