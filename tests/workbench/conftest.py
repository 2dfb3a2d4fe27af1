"""A small vendor of our own, so that the player is tested apart from the shipped mappings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

MAPPING = """
format: 1
mapping: small
version: 1.0.0
vendor: {name: Small, api: v1}
settings: {}
secrets: {key: {help: "API key"}}
server:
  base: https://api.small.example/v1
  hosts: [api.small.example]
  auth: {kind: bearer, token: "${secrets.key}"}
  replies:
    - {if: "reply.status == 409", is: already}
    - {if: "reply.status == 404 && reply.body.error != null", is: absent}
    - {if: "reply.status == 422", is: refused, say: "Small refused it.", texts: "[reply.body.error]"}
    - {if: "reply.status == 200 && reply.body == null", is: unknown}
operations:
  getCourses: {steps: [{id: all, call: GET /courses, items: reply.body}], each: steps.all.items, as: course, give: {id: "${text(course.id)}", name: "${course.name}"}}
  createEnrolment:
    steps:
      - id: enrol
        call: POST /enrolments
        effect: write
        json: {course: "${courseId}", student: "${student.id}", name: "${student.firstName}"}
        value: {id: "${text(reply.body.id)}"}
        confirm:
          call: GET /enrolments
          query: {course: "${courseId}"}
          items: reply.body
          pick: student == $.student.id
          done: item.id != null
          value: {id: "${text(item.id)}"}
          after: 20s
      - {id: welcome, call: "POST /enrolments/${steps.enrol.id}/welcome", effect: write, repeat: safe, json: {mail: false}}
    record: {id: "${steps.enrol.id}", course: "${courseId}"}
    key: [id, course]
  transferEnrolment: {refuse: "Small cannot do that."}
  cancelEnrolment: {steps: [{id: leave, call: "DELETE /enrolments/${enrolment.id}", effect: write, repeat: safe}]}
progress:
  policy: {whole: floor, below_completed: 99, fall: hold, outside: drop}
  read:
    steps:
      - {id: status, call: "GET /enrolments/${enrolment.id}", value: {percent?: "${number(reply.body.percent)}", completed: "${reply.body.completed ?? false}"}}
"""

CASES = """
mapping: small
secrets: {key: not-a-real-key}
tests:
  - name: a learner is enrolled
    run: createEnrolment
    with: {courseId: "5", student: {id: s1, firstName: Ana, lastName: Diaz}}
    vendor:
      - ask: POST /enrolments
        json: {course: "5", student: s1, name: Ana}
        headers: {authorization: Bearer not-a-real-key}
        answer: {json: {id: 9}}
        makes: [{ask: GET /enrolments, query: {course: "5"}, answer: {json: [{id: 9, student: s1}]}}]
      - {ask: GET /enrolments, query: {course: "5"}, maybe: true, answer: {json: []}}
      - {ask: POST /enrolments/9/welcome, json: {mail: false}, harmless: true, answer: {json: {sent: false}}}
    cancel_vendor: [{ask: DELETE /enrolments/9, answer: {json: {}}}]
    expect: {id: 9-5, record: {id: "9", course: "5"}, sent_writes: 2}
    also: [crash_everywhere, repeat_everywhere, time_out_everywhere, malformed_everywhere, no_secret_in_output]
  - name: a learner is refused
    run: createEnrolment
    with: {courseId: "5", student: {id: s1, firstName: Ana, lastName: Diaz}}
    vendor:
      - {ask: POST /enrolments, changes: false, answer: {status: 422, json: {error: The course of Ana Diaz is full}}}
      - {ask: GET /enrolments, query: {course: "5"}, maybe: true, again: true, answer: {json: []}}
    expect: {error: 422, say: is full, not_say: Bo}
    also: [no_secret_in_output]
  - name: progress is read
    run: getEnrolment
    with: {enrolmentId: 9-5}
    vendor: [{ask: GET /enrolments/9, answer: {json: {percent: "40", completed: false}}}]
    expect: {progress: 40}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The small vendor's mapping file."""
    file = tmp_path / "small.yaml"
    file.write_text(MAPPING)
    return file


@pytest.fixture
def write_cases(tmp_path: Path) -> Callable[..., Path]:
    """Writes a case file: the small vendor's cases with one text replaced by another."""

    def write(old: str = "", new: str = "", *, text: str = CASES) -> Path:
        assert old in text, f"{old!r} is not in the cases"
        folder = tmp_path / "tests" / "mappings"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "small.yaml"
        file.write_text(text.replace(old, new) if old else text)
        return file

    return write
