"""Everything about the Learning Assistant stand-in that reality has not settled yet, as switches.

Each switch stands for an open question of vendors/learning-assistant.md; its default is the sheet's
provisional answer, or the reading that shows a client's mistakes soonest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningAssistantSwitches:
    """One tenant's stand-in: its credentials, and how it behaves where the vendor's documents are silent."""

    username: str = "ws-demo-college"
    password: str = field(default="not-a-real-secret", repr=False)

    # Logging in (3.1, 3.3)
    session_minutes: int = 30
    bad_login: Literal["loggedin_no", "fault"] = "loggedin_no"
    lockout_after: int = 0  # failed log-ins in a row until the account is locked; 0 = never
    new_login_ends_old: bool = False
    rotation: Literal["off", "old_valid", "old_dead"] = "off"
    expiry: Literal["loggedin_no", "fault"] = "loggedin_no"
    expired_body: Literal["nil", "no", "empty_response", "empty_result"] = "nil"
    expiry_fault_text: str = "Your session has expired. Please log in again."

    # The envelope (1.2, 2)
    header_namespace: Literal["lax", "strict"] = "lax"
    parameter_namespace: Literal["lax", "strict"] = "lax"
    soap_action_required: bool = True
    check_xsi_type: bool = True
    unknown_accessor: Literal["fault", "ignore"] = "fault"
    require_all_accessors: bool = False  # GroupEnrolment: an absent text accessor is a fault (5.4)
    reply_form: Literal["nested", "multiref", "multiref_all"] = "nested"
    array_count: Literal["zero", "right", "one_more"] = "zero"
    empty_array: Literal["array", "nil"] = "array"
    padding: Literal["none", "candidates", "all"] = "candidates"

    # Candidates (4)
    false_flag: Literal["no_filter", "only_others"] = "no_filter"
    empty_qan: Literal["all", "none"] = "all"
    candidate_rows: Literal["enrolment", "candidate"] = "enrolment"

    # Enrolling and updating (5, 6)
    also_required: tuple[str, ...] = ()  # further accessors of User that must have text, such as EmailAddress
    trainer_place: Literal["course", "user"] = "course"
    message_form: Literal["strings", "structures"] = "strings"
    duplicate: Literal["refused", "repeated", "same"] = "refused"
    candidate_uuid_per: Literal["person", "enrolment"] = "person"
    unique_email: bool = False
    # Such as "Status": UpdateEnrolment then takes Active, Suspended, Withdrawn or Completed there.
    status_accessor: str = ""

    # Trainers and progress (8)
    third_trainer: Literal["both", "two_rows", "no_role"] = "both"
    percent_scale: Literal[100, 1] = 100
    unknown_progress: Literal["fault", "nil"] = "fault"

    # Provisional wire names to change, old -> new: a service file ("course.cfc"), a method, a type,
    # a namespace, an accessor or parameter everywhere ("CourseName") or in one type or method only
    # ("Type_enrolmentResponse.CandidateUUID", "GetProgress.CourseUUID").
    rename: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            _check(name, hint, getattr(self, name))


def _check(name: str, hint: Any, value: object) -> None:
    if get_origin(hint) is Literal:
        good = value in get_args(hint) and not isinstance(value, bool)
    elif get_origin(hint) is tuple:
        good = isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    elif get_origin(hint) is Mapping:
        good = isinstance(value, Mapping) and all(isinstance(t, str) for pair in value.items() for t in pair)
    else:
        good = type(value) is hint
    if not good:
        raise ValueError(f"{name}: {value!r} is not one of the values this switch takes")
