"""Courses, users, enrolments and progress as the API shows them. Source: vendors/canvas.md 3.

What needs a right the token lacks is left out: `sis_*` keys, and grades.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.sandbox import canvas_errors as say
from gateway.sandbox.canvas_state import STUDENT, Course, Enrolment, School, Submission, User
from gateway.sandbox.canvas_switches import Switches
from gateway.sandbox.canvas_wire import iso

PROGRESS_STATES = ("active", "invited", "creation_pending", "completed")
GRADE_STEPS = ((90, "A"), (80, "B"), (70, "C"), (60, "D"), (0, "F"))
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Show:
    """Answers about one school under the switches of the moment; `base` is scheme and host."""

    school: School
    switches: Switches
    base: str

    @property
    def _sis(self) -> bool:
        return self.switches.sis_rights != "none"

    def course(self, course: Course) -> Row:
        return {
            "id": course.id,
            "name": course.name,
            "course_code": course.code,
            "sis_course_id": course.sis_course_id if self._sis else None,
            "workflow_state": course.state,
            "account_id": course.account_id,
            "start_at": iso(course.start),
            "end_at": iso(course.end),
            "enrollment_term_id": course.term_id,
        }

    def user(self, user: User) -> Row:
        """A user as found or made."""
        row: Row = {
            "id": user.id,
            "name": user.name,
            "created_at": iso(user.created),
            "sortable_name": user.sortable_name,
            "short_name": user.short_name,
        }
        sis = {"sis_user_id": user.sis_user_id, "integration_id": user.integration_id} if self._sis else {}
        return row | sis | {"login_id": user.login, "email": user.email}

    def enrolment(self, enrolment: Enrolment) -> Row:
        user, course = self.school.users[enrolment.user_id], self.school.courses[enrolment.course_id]
        row: Row = {
            "id": enrolment.id,
            "user_id": user.id,
            "course_id": course.id,
            "type": enrolment.type,
            "created_at": iso(enrolment.created),
            "updated_at": iso(enrolment.updated),
            "associated_user_id": None,
            "start_at": iso(enrolment.start),
            "end_at": iso(enrolment.end),
            "course_section_id": enrolment.section_id,
            "root_account_id": user.account_id,
            "limit_privileges_to_course_section": enrolment.limited,
            "enrollment_state": enrolment.state,
            "role": enrolment.role.label,
            "role_id": enrolment.role.id,
            "last_activity_at": None,
            "last_attended_at": None,
            "total_activity_time": 0,
            "html_url": self._page(course, user),
        }
        if self._sis:
            row |= {"sis_course_id": course.sis_course_id, "sis_user_id": user.sis_user_id}
        if enrolment.type == STUDENT and self.switches.may_view_grades:
            row["grades"] = self._grades(course, user)
        return row | {"user": self._inner_user(user)}

    def _inner_user(self, user: User) -> Row:
        kept = ("id", "name", "created_at", "sortable_name", "short_name", "sis_user_id", "login_id")
        return {name: value for name, value in self.user(user).items() if name in kept}

    def _grades(self, course: Course, user: User) -> Row:
        score = self.school.scores.get((course.id, user.id))
        grade = None if score is None else next(word for step, word in GRADE_STEPS if score >= step)
        page = f"{self.base}/courses/{course.id}/grades/{user.id}"
        scores = {"current_score": score, "final_score": score}
        return {"html_url": page, **scores, "current_grade": grade, "final_grade": grade}

    def _page(self, course: Course, user: User) -> str:
        return f"{self.base}/courses/{course.id}/users/{user.id}"

    def progress(self, course: Course, user: User) -> Row:
        """Counts, or the error object when there are none."""
        if course.requirements is None:
            return say.no_progress(say.NO_MODULES)
        if not self.is_student(course, user):
            return say.no_progress(say.NO_STUDENT)
        return self.counts(course, user)

    def is_student(self, course: Course, user: User) -> bool:
        wanted = (*PROGRESS_STATES, "inactive") if self.switches.inactive_has_progress else PROGRESS_STATES
        return not self.school.student_states(course.id, user.id).isdisjoint(wanted)

    def counts(self, course: Course, user: User) -> Row:
        met, wanted = self.school.met(course, user.id), course.requirements or []
        open_ones = [id for id in wanted if id not in met]
        page = f"{self.base}/courses/{course.id}/modules/items"
        return {
            "requirement_count": len(wanted),
            "requirement_completed_count": len(met),
            "next_requirement_url": f"{page}/{open_ones[0]}" if open_ones else None,
            "completed_at": iso(self.school.completed_at(course, user.id)),
        }

    def bulk_row(self, course: Course, user: User) -> Row:
        return {
            "id": user.id,
            "display_name": user.short_name,
            "avatar_image_url": f"{self.base}/images/messages/avatar-50.png",
            "html_url": self._page(course, user),
            "pronouns": None,
            "progress": self.counts(course, user),
        }

    def submission(self, assignment_id: int, user: User, found: Submission) -> Row:
        row: Row = {
            "id": found.id,
            "assignment_id": assignment_id,
            "user_id": user.id,
            "grade": found.grade,
            "score": found.score,
            "entered_grade": found.grade,
            "entered_score": found.score,
            "workflow_state": "unsubmitted" if found.graded is None else "graded",
            "graded_at": iso(found.graded),
            "grader_id": None if found.graded is None else self.school.admin_id,
        }
        author = self.school.admin_id
        comments = [{"author_id": author, "comment": comment} for comment in found.comments]
        return row | {"submission_comments": comments}
