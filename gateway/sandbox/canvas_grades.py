"""Marking: a grade and a comment on a submission, one by one or many later. Source: vendors/canvas.md 3.6."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gateway.sandbox.canvas_call import Call, Endpoint
from gateway.sandbox.canvas_errors import not_found
from gateway.sandbox.canvas_jobs import queued
from gateway.sandbox.canvas_params import Params
from gateway.sandbox.canvas_state import LIVE_STATES, Assignment, Course, Submission, User, whole

NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)
LETTERS = {"A": 100.0, "B": 89.0, "C": 79.0, "D": 69.0, "F": 59.0}
PASSES = {"pass": 1.0, "complete": 1.0, "fail": 0.0, "incomplete": 0.0}
PASS_WORDS = {1.0: "complete", 0.0: "incomplete"}


def one(call: Call) -> dict[str, Any]:
    _, assignment, user = _place(call)
    return call.show.submission(assignment.id, user, _found(call, assignment, user))


def grade(call: Call) -> dict[str, Any]:
    """Give a grade, a comment, or both; a comment is added each time, which is a trap for repeats."""
    course, assignment, user = _place(call)
    text, comment = (
        call.params.text("submission", "posted_grade"),
        call.params.text("comment", "text_comment"),
    )
    _give(call, course, assignment, user, text, comment)
    return call.show.submission(assignment.id, user, _found(call, assignment, user))


def grade_many(call: Call) -> dict[str, Any]:
    """`grade_data[USER][posted_grade]` and `[text_comment]`, done later."""
    course, assignment = _assignment(call)
    rows = call.params.inner("grade_data")
    users = [(_student(call, course, key), row) for key, row in rows.items() if isinstance(row, dict)]
    return queued(call, "submissions_update", partial(_give_all, call, course, assignment, users))


def _give_all(
    call: Call, course: Course, assignment: Assignment, users: Sequence[tuple[User, Mapping[str, Any]]]
) -> None:
    for user, row in users:
        given = Params(row)
        _give(call, course, assignment, user, given.text("posted_grade"), given.text("text_comment"))


def _give(
    call: Call, course: Course, assignment: Assignment, user: User, text: str | None, comment: str | None
) -> None:
    what = f"{course.id},{assignment.id},{user.id}"
    found = _found(call, assignment, user)
    if text is not None:
        new = graded(assignment, text)
        if (found.grade, found.score) != new:
            found.grade, found.score = new
            call.journal.effect("graded", what)
            call.tell.grade(course, assignment.id, user)
        found.graded = call.now
    if comment is not None:
        found.comments.append(comment)
        call.journal.effect("commented", what)


def graded(assignment: Assignment, text: str) -> tuple[str, float | None]:
    """Grade and score of a posted grade: points, a percentage, a letter, or pass and fail.

    A text that is none of these stays as the grade, without a score [I].
    """
    share = PASSES.get(text.lower())
    if text.upper() in LETTERS:
        share = LETTERS[text.upper()] / 100
    elif text.endswith("%") and (per_cent := _number(text[:-1])) is not None:
        share = per_cent / 100
    score = _number(text) if share is None else round(share * assignment.points, 2)
    if assignment.grading == "pass_fail" and score is not None:
        return PASS_WORDS[1.0 if score > 0 else 0.0], score
    return text, score


def _number(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text) else None


def _place(call: Call) -> tuple[Course, Assignment, User]:
    course, assignment = _assignment(call)
    return course, assignment, _student(call, course, call.names["user_id"])


def _assignment(call: Call) -> tuple[Course, Assignment]:
    course = call.course()
    call.may(call.switches.may_view_grades)
    for assignment in course.assignments:
        if assignment.id == whole(call.names["assignment_id"]):
            return course, assignment
    raise not_found()


def _student(call: Call, course: Course, key: str) -> User:
    """Only a student of the course has submissions there."""
    user = call.user(key)
    if call.school.student_states(course.id, user.id).isdisjoint((*LIVE_STATES, "completed")):
        raise not_found()
    return user


def _found(call: Call, assignment: Assignment, user: User) -> Submission:
    found = call.school.submissions.get((assignment.id, user.id))
    if found is None:
        found = Submission(id=call.school.new_id())
        call.school.submissions[assignment.id, user.id] = found
    return found


PLACE = "/courses/:course_id/assignments/:assignment_id/submissions"
ENDPOINTS: dict[str, Endpoint] = {
    f"GET {PLACE}/:user_id": one,
    f"PUT {PLACE}/:user_id": grade,
    f"POST {PLACE}/update_grades": grade_many,
}
