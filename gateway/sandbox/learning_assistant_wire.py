"""Every wire name of the Learning Assistant stand-in, in one table, and how a rename changes it.

Behaviour code knows only the sheet's names; reading, writing and the WSDL translate through `Wire`.
Source: vendors/learning-assistant.md 1.1, 1.2, 4 to 6 and 8 (most accessor names are provisional there).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches

METHOD_NS = "https://api.learningassistant.com"
USER_HEADER_NS = "http://api.learningassistant.com"  # page C says http; whether that is a slip is unknown
ENROLMENT_NS = "http://enrolment.types.soap.webservices"
USER_NS = "http://user.types.soap.webservices"
COURSE_NS = "http://course.types.soap.webservices"
COMPANY_NS = "http://company.types.soap.webservices"

SCALARS = frozenset({"string", "boolean", "double"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Part:
    """A parameter or an accessor; `type` is string, boolean, double or a Type_ name, with `[]` for arrays."""

    name: str
    type: str = "string"


@dataclass(frozen=True, slots=True)
class Method:
    name: str
    service: str
    parameters: tuple[Part, ...]
    result: str


@dataclass(frozen=True, slots=True)
class Struct:
    name: str
    namespace: str
    parts: tuple[Part, ...]


def _strings(names: str) -> tuple[Part, ...]:
    return tuple(Part(name) for name in names.split())


_METHODS = (
    Method("Authenticate", "authenticate.cfc", _strings("szUsername szPassword"), "string"),
    Method(
        "GetCandidates",
        "user.cfc",
        (
            Part("CourseQAN"),
            Part("blnActive", "boolean"),
            Part("blnCompleted", "boolean"),
            Part("blnTest", "boolean"),
        ),
        "Type_candidate[]",
    ),
    Method("GetTrainers", "user.cfc", (), "Type_trainer[]"),
    Method("GetNationalities", "user.cfc", (), "Type_reference[]"),
    Method("GetEthnicities", "user.cfc", (), "Type_reference[]"),
    Method("GetProgress", "user.cfc", _strings("CandidateUUID CourseUUID"), "Type_progress"),
    Method(
        "GroupEnrolment",
        "enrolment.cfc",
        (
            Part("User", "Type_enrolmentUser"),
            Part("blnAssignEvaluationOnEnroll", "boolean"),
            Part("blnSendLoginDetailsOnEnroll", "boolean"),
        ),
        "Type_enrolmentResponse",
    ),
    Method(
        "UpdateEnrolment",
        "enrolment_update.cfc",
        (Part("User", "Type_enrolmentUserUpdate"),),
        "Type_enrolmentResponse",
    ),
    Method("GetFrameworks", "course.cfc", (), "Type_framework[]"),
    Method("GetCompanies", "company.cfc", (), "Type_company[]"),
)
_TRAINERS = _strings("PrimaryAssessorUUID PrimaryVerifierUUID")
_ADDRESS = Part("Address", "Type_enrolmentAddress")
_COURSE = Part("Course", "Type_enrolmentCourse")
_USER = (
    *_strings("AwardingBodyRegistrationNo BirthDate CompanyUUID Department EmailAddress"),
    *_strings("EmployeeReferenceNumber EmploymentStatus EthnicityID Forename Gender JobTitle LineManager"),
    *_strings(
        "LineManagerEmailAddress LineManagerPhoneNumber NationalityID SourceSystemLearnerUUID Surname ULN"
    ),
)
# No BirthDate, Forename or Gender: a learner cannot be renamed. CourseUUID beside Course names the enrolment.
_UPDATE = (
    *_strings("AwardingBodyRegistrationNo CandidateUUID CompanyUUID CourseUUID Department EmailAddress"),
    *_strings("EmployeeReferenceNumber EmploymentStatus EthnicityID JobTitle LineManager"),
    *_strings("LineManagerEmailAddress LineManagerPhoneNumber NationalityID SourceSystemLearnerUUID ULN"),
)
_COURSE_PARTS = (*_strings("CourseQAN CourseUUID"), Part("Units", "string[]"))
_STRUCTS = (
    Struct(
        "Type_candidate",
        USER_NS,
        _strings(
            "AnticipatedEndDate CandidateUUID CourseQAN CourseUUID Forename SourceSystemLearnerUUID Surname"
        ),
    ),
    Struct("Type_trainer", USER_NS, _strings("EmailAddress Forename Role Surname TrainerUUID")),
    Struct("Type_reference", USER_NS, _strings("ID Name")),
    Struct(
        "Type_progress",
        USER_NS,
        (
            *_strings("CandidateUUID CourseUUID"),
            Part("PercentComplete", "double"),
            Part("Units", "Type_progressUnit[]"),
        ),
    ),
    Struct("Type_progressUnit", USER_NS, (Part("PercentComplete", "double"), *_strings("UnitName UnitUUID"))),
    Struct(
        "Type_framework",
        COURSE_NS,
        (*_strings("CourseName CourseQAN CourseUUID"), Part("Units", "Type_unit[]")),
    ),
    Struct(
        "Type_unit", COURSE_NS, (Part("Mandatory", "boolean"), *_strings("UnitName UnitReference UnitUUID"))
    ),
    Struct("Type_company", COMPANY_NS, _strings("CompanyName CompanyUUID")),
    Struct("Type_enrolmentAddress", ENROLMENT_NS, _strings("Address1 Address2 County Postcode Town")),
    Struct("Type_message", ENROLMENT_NS, _strings("FieldName Message")),
)


class Wire:
    """The methods and types of one stand-in, with its renames applied.

    Raises ValueError for a rename of something that does not exist, or to something that is no name.
    """

    def __init__(self, switches: LearningAssistantSwitches) -> None:
        self.structs = {struct.name: struct for struct in _structs(switches)}
        self.methods = {method.name: method for method in _METHODS}
        self.services = tuple(dict.fromkeys(method.service for method in _METHODS))
        self._rename = dict(switches.rename)
        _check_renames(self._rename, set(self._known_names()))

    def name(self, original: str, *, scope: str = "") -> str:
        """The name on the wire; `scope` is the method or type that holds a parameter or accessor."""
        return self._rename.get(f"{scope}.{original}", self._rename.get(original, original))

    def result_name(self, method: Method) -> str:
        return f"{self.name(method.name)}Return"

    def methods_of(self, service: str) -> list[Method]:
        return [method for method in self.methods.values() if method.service == service]

    def _known_names(self) -> Iterator[str]:
        yield from self.services
        for method in self.methods.values():
            yield method.name
            yield from _part_names(method.name, method.parameters)
        for struct in self.structs.values():
            yield from (struct.name, struct.namespace)
            yield from _part_names(struct.name, struct.parts)


def header_namespace(service: str) -> str:
    """The namespace of `authToken` on this service's page. Source: vendors/learning-assistant.md 1.2."""
    return USER_HEADER_NS if service == "user.cfc" else METHOD_NS


def _structs(switches: LearningAssistantSwitches) -> Iterator[Struct]:
    trainers_in_course = switches.trainer_place == "course"
    user = (_ADDRESS, _COURSE, *_USER, *(() if trainers_in_course else _TRAINERS))
    update = (_ADDRESS, _COURSE, *_UPDATE, *(() if trainers_in_course else _TRAINERS))
    if switches.status_accessor:
        update += (Part(switches.status_accessor),)
    course = (*_COURSE_PARTS, *(_TRAINERS if trainers_in_course else ()))
    message = "string" if switches.message_form == "strings" else "Type_message"
    response = (
        *_strings("CandidateUUID SourceSystemLearnerUUID ULN"),
        Part("MessageList", f"{message}[]"),
        Part("Success", "boolean"),
    )
    yield from (struct for struct in _STRUCTS if struct.name != "Type_message" or message != "string")
    for name, parts in {
        "Type_enrolmentUser": user,
        "Type_enrolmentUserUpdate": update,
        "Type_enrolmentCourse": course,
        "Type_enrolmentResponse": response,
    }.items():
        yield _alphabetical(Struct(name, ENROLMENT_NS, parts))


def _alphabetical(struct: Struct) -> Struct:
    return replace(struct, parts=tuple(sorted(struct.parts, key=lambda part: part.name)))


def _part_names(scope: str, parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        yield from (part.name, f"{scope}.{part.name}")


def _check_renames(rename: dict[str, str], known: set[str]) -> None:
    for old, new in rename.items():
        if old not in known:
            raise ValueError(f"rename: there is no wire name {old!r}")
        if not _NAME.fullmatch(new) and "://" not in old:
            raise ValueError(f"rename: {new!r} is not a name")
