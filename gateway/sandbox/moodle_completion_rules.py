"""How Moodle works out progress, completion and the grade of a course.

Activities count at once. They alone can complete a course at once; the rest waits for the next run of cron.
What was complete stays so when activities fall back.
Source: vendors/moodle.md 4.5; recordings 120 to 163 of 4.3.
"""

from __future__ import annotations

from gateway.sandbox.moodle_state import DONE_STATES, Course, Criterion, Grade, Result, Site, User


def progress(site: Site, course: Course, user: User, now: int) -> float | None:
    """Per cent, not rounded; None where nothing is tracked."""
    if not course.tracked or not site.is_active(course.id, user.id, now):
        return None
    if (course.id, user.id) in site.completed:
        return 100.0
    activities = course.tracked_activities()
    if not activities:
        return None
    done = sum(state_of(site, each.cmid, user.id) in DONE_STATES for each in activities)
    return done / len(activities) * 100


def state_of(site: Site, cmid: int, user_id: int) -> int:
    result = site.results.get((cmid, user_id))
    return 0 if result is None else result.state


def course_grade(site: Site, course: Course, user_id: int) -> Grade | None:
    """The sum of the grades there are; None without any."""
    found = [
        site.grades[each.cmid, user_id]
        for each in course.activities
        if each.grade_max is not None and (each.cmid, user_id) in site.grades
    ]
    if not found:
        return None
    return Grade(raw=sum(each.raw for each in found), time=max(each.time for each in found))


def set_state(site: Site, course: Course, cmid: int, user_id: int, result: Result, *, by_cron: bool) -> bool:
    """Note a state in an activity; whether the course became complete by it, which `by_cron` never does."""
    site.results[cmid, user_id] = result
    for criterion in course.criteria:
        if criterion.kind == "activity" and criterion.cmid == cmid and result.state in DONE_STATES:
            _meet(site, course, user_id, criterion, result.time)
    return not by_cron and _complete(site, course, user_id, result.time)


def mark_self(site: Site, course: Course, user_id: int, now: int) -> None:
    """The learner's own mark. Raises ValueError when the course asks for none."""
    found = [each for each in course.criteria if each.kind == "self"]
    if not found:
        raise ValueError(f"course {course.id} has no self completion")
    for criterion in found:
        _meet(site, course, user_id, criterion, now)


def cron(site: Site, now: int) -> list[tuple[Course, User]]:
    """One run over all courses and learners; who completed what."""
    found: list[tuple[Course, User]] = []
    for course in site.courses.values():
        for user in site.learners(course.id):
            _meet_grades(site, course, user.id)
            if _complete(site, course, user.id, now):
                found.append((course, user))
    return found


def _meet_grades(site: Site, course: Course, user_id: int) -> None:
    grade = course_grade(site, course, user_id)
    for criterion in course.criteria:
        if criterion.kind == "grade" and grade is not None and grade.raw >= criterion.pass_grade:
            _meet(site, course, user_id, criterion, grade.time)


def _meet(site: Site, course: Course, user_id: int, criterion: Criterion, now: int) -> None:
    site.met.setdefault((course.id, user_id), {}).setdefault(criterion, now)


def _complete(site: Site, course: Course, user_id: int, now: int) -> bool:
    pair = (course.id, user_id)
    met = sum(each in site.met.get(pair, {}) for each in course.criteria)
    needed = len(course.criteria) if course.all_needed else min(1, len(course.criteria))
    if pair in site.completed or not needed or met < needed:
        return False
    site.completed[pair] = now
    return True
