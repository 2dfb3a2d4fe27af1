"""What the manual list asks of a person: one or two plain sentences each, ids but no names."""

from __future__ import annotations


def not_told(enrolment_id: str | None, student_id: str | None) -> str:
    return (
        f"Enrolled at the LMS, RTOPilot not told: enrolment {enrolment_id}, student {student_id}. "
        "Repeat the action in RTOPilot, or end it in the LMS."
    )


def in_doubt(operation: str, run_id: str) -> str:
    return (
        f"It is not known whether {operation} was done. Look in the LMS, then run: "
        f"lms-gateway runs settle {run_id}"
    )


def unrecorded(operation: str, run_id: str) -> str:
    return (
        f"The LMS has done {operation}, but the gateway could not make a record of it (run {run_id}). "
        "Correct the mapping or the settings, then repeat the action in RTOPilot: it is not done again."
    )


def step_left(step: str, operation: str, run_id: str, *, undo: bool) -> str:
    words = "taken back" if undo else "done"
    return (
        f"The step {step} of {operation} could not be {words} in the LMS. "
        f"Please look at it there (run {run_id})."
    )


def old_not_ended(old: str, new: str) -> str:
    return (
        f"The enrolment {old} was transferred to {new}. "
        "The old one could not be ended in the LMS; please end it there."
    )
