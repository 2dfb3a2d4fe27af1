"""The reading methods of the Learning Assistant stand-in, and the table of all methods behind a log-in.

Source: vendors/learning-assistant.md 4 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.sandbox.learning_assistant_enrolments import Outcome, group_enrolment, update_enrolment
from gateway.sandbox.learning_assistant_seed import THIRD_TRAINER_UUID
from gateway.sandbox.learning_assistant_soap import application_fault
from gateway.sandbox.learning_assistant_state import Centre, Enrolment, Trainer
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.learning_assistant_wire import Wire

_NATIONALITIES = {"1": "Australian", "2": "British", "3": "New Zealander"}
_ETHNICITIES = {"10": "Not stated", "11": "White & Black Caribbean"}

Handler = Callable[[Centre, Mapping[str, Any], LearningAssistantSwitches, Wire], Outcome]


def _get_candidates(
    centre: Centre, arguments: Mapping[str, Any], switches: LearningAssistantSwitches, wire: Wire
) -> Outcome:
    rows = [each for each in centre.enrolments if _wanted(each, arguments, switches)]
    if switches.candidate_rows == "candidate":
        rows = list({each.candidate.uuid: each for each in reversed(rows)}.values())
    return Outcome(value=[_candidate(each) for each in rows])


def _wanted(enrolment: Enrolment, arguments: Mapping[str, Any], switches: LearningAssistantSwitches) -> bool:
    qan = arguments["CourseQAN"] or ""
    if (qan and qan != enrolment.course.qan) or (not qan and switches.empty_qan == "none"):
        return False
    facts = {
        "blnActive": enrolment.status in ("Active", "Suspended"),
        "blnCompleted": enrolment.status == "Completed",
        "blnTest": enrolment.test,
    }
    if switches.false_flag == "no_filter":
        return all(fact or not arguments[flag] for flag, fact in facts.items())
    return all(fact == bool(arguments[flag]) for flag, fact in facts.items())


def _candidate(enrolment: Enrolment) -> dict[str, Any]:
    values = enrolment.candidate.values
    return {
        "AnticipatedEndDate": enrolment.anticipated_end_date,
        "CandidateUUID": enrolment.candidate.uuid,
        "CourseQAN": enrolment.course.qan,
        "CourseUUID": enrolment.course.uuid,
        "Forename": values.get("Forename", ""),
        "SourceSystemLearnerUUID": enrolment.candidate.source_id,
        "Surname": values.get("Surname", ""),
    }


def _get_frameworks(
    centre: Centre, arguments: Mapping[str, Any], switches: LearningAssistantSwitches, wire: Wire
) -> Outcome:
    return Outcome(
        value=[
            {
                "CourseName": course.name,
                "CourseQAN": course.qan,
                "CourseUUID": course.uuid,
                "Units": [
                    {
                        "Mandatory": unit.mandatory,
                        "UnitName": unit.name,
                        "UnitReference": unit.reference,
                        "UnitUUID": unit.uuid,
                    }
                    for unit in course.units
                ],
            }
            for course in centre.courses
        ]
    )


def _get_trainers(
    centre: Centre, arguments: Mapping[str, Any], switches: LearningAssistantSwitches, wire: Wire
) -> Outcome:
    return Outcome(
        value=[
            {
                "EmailAddress": trainer.email,
                "Forename": trainer.forename,
                "Role": role,
                "Surname": trainer.surname,
                "TrainerUUID": trainer.uuid,
            }
            for trainer in centre.trainers
            for role in _shown_roles(trainer, switches)
        ]
    )


def _shown_roles(trainer: Trainer, switches: LearningAssistantSwitches) -> Iterable[str | None]:
    """How a person with both roles is told is unknown: in one row, in two, or not at all."""
    if trainer.uuid != THIRD_TRAINER_UUID or switches.third_trainer == "two_rows":
        return trainer.roles
    return (None,) if switches.third_trainer == "no_role" else (",".join(trainer.roles),)


def _get_companies(
    centre: Centre, arguments: Mapping[str, Any], switches: LearningAssistantSwitches, wire: Wire
) -> Outcome:
    return Outcome(value=[{"CompanyName": each.name, "CompanyUUID": each.uuid} for each in centre.companies])


def _get_progress(
    centre: Centre, arguments: Mapping[str, Any], switches: LearningAssistantSwitches, wire: Wire
) -> Outcome:
    enrolment = centre.enrolment(arguments["CandidateUUID"] or "", arguments["CourseUUID"] or "")
    if enrolment is None and switches.unknown_progress == "nil":
        return Outcome(value=None)
    if enrolment is None:
        raise application_fault("Application", "The candidate was not found on this course.")
    return Outcome(
        value={
            "CandidateUUID": enrolment.candidate.uuid,
            "CourseUUID": enrolment.course.uuid,
            "PercentComplete": _course_percent(enrolment, switches),
            "Units": [
                {
                    "PercentComplete": _percent(enrolment.unit_percents.get(unit.uuid, 0.0), switches),
                    "UnitName": unit.name,
                    "UnitUUID": unit.uuid,
                }
                for unit in enrolment.course.units
            ],
        }
    )


def _course_percent(enrolment: Enrolment, switches: LearningAssistantSwitches) -> float | str | None:
    return enrolment.odd_percent[0] if enrolment.odd_percent else _percent(enrolment.percent, switches)


def _percent(percent: float, switches: LearningAssistantSwitches) -> float:
    return percent if switches.percent_scale == 100 else percent / 100


def _references(names: Mapping[str, str]) -> Handler:
    def handler(
        centre: Centre, arguments: Mapping[str, Any], switches: LearningAssistantSwitches, wire: Wire
    ) -> Outcome:
        return Outcome(value=[{"ID": id_, "Name": name} for id_, name in names.items()])

    return handler


HANDLERS: Mapping[str, Handler] = {
    "GetCandidates": _get_candidates,
    "GetCompanies": _get_companies,
    "GetEthnicities": _references(_ETHNICITIES),
    "GetFrameworks": _get_frameworks,
    "GetNationalities": _references(_NATIONALITIES),
    "GetProgress": _get_progress,
    "GetTrainers": _get_trainers,
    "GroupEnrolment": group_enrolment,
    "UpdateEnrolment": update_enrolment,
}
