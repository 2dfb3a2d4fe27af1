"""One sweep of a poll: only a whole list counts, and one bad row costs nobody else anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from gateway.engine.calls import Reply
from gateway.engine.sweep import AND_MORE, MAX_REASONS, Row, rows
from gateway.engine.sweep import Swept as Listed
from gateway.engine.sweep import sweep as sweeping
from gateway.errors import NotFound, VendorFault, VendorTimeout, VendorUnavailable

READ = 'read: {steps: [{id: one, call: GET /one, value: {percent?: "${reply.body.percent}", completed: "${reply.body.done}"}}]}'
PER_COURSE = """
plan: per-course
every: 10m
call: GET /courses/${courseId}
items: reply.body.users
keep: role != 'instructor'
as: row
find: {id: "${text(row.id)}"}
value: {"percent?": "${row.percent}", completed: "${row.done ?? false}"}
"""
PAGED = PER_COURSE + "pages: {kind: page, number: query.p, per: 2, stop: short}"
DELTA = """
plan: delta
every: 10m
window: {overlap: 1h, first: 30d}
audit: {at: ["02:00"], overlap: 90d}
call: GET /changes
query: {from: "${window.from}", to: "${window.to}"}
items: reply.body.users
find: {id: "${text(row.id)}"}
value: {"percent?": "${row.percent}", completed: false}
"""
CHUNKS = """
plan: chunks
of: 2
every: 1h
call: POST /many
effect: read
json: {$each: enrolments, $as: e, $give: "${e.userId}"}
items: reply.body.users
find: {id: "${text(row.id)}"}
value: {"percent?": "${row.percent}", completed: false}
"""


def user(number, percent=0, **more):
    return {"id": number, "percent": percent, "role": "learner", **more}


def users(*found, left_at=0.0):
    return Reply(status=200, body={"users": list(found)}, left_at=left_at)


def _indented(poll):
    return "\n".join(f"    {line}" for line in poll.strip().splitlines())


@dataclass
class Swept:
    """What was played, and what the list says; without rows when there is no list."""

    played: Any
    rows: tuple[Row, ...] = ()
    dropped: tuple[str, ...] = ()


@pytest.fixture
def sweep(make_frame, play):
    """(poll as YAML, replies, root) -> Swept."""

    def run(poll: str, *replies, **root):
        frame = make_frame(extra=f"progress:\n  {READ}\n  poll:\n{_indented(poll)}")
        form = frame.mapping.progress.polls[0]
        played = play(sweeping(frame, form, **root), *replies)
        found = [] if played.result is None else list(rows(form, played.result))
        told = tuple(each for each in found if isinstance(each, Row))
        return Swept(played, told, tuple(each for each in found if isinstance(each, str)))

    return run


def test_rows_say_whom_they_are_about_and_what_of_them(sweep):
    swept = sweep(PER_COURSE, users(user(7, 40), user(8, done=True)), courseId="126")
    assert swept.played.asked == ["GET /courses/126"]
    assert swept.rows == (
        Row(find={"id": "7"}, value={"percent": 40, "completed": False}),
        Row(find={"id": "8"}, value={"percent": 0, "completed": True}),
    )
    assert swept.dropped == ()


def test_rows_that_are_not_kept_are_no_rows(sweep):
    swept = sweep(PER_COURSE, users(user(7), {"id": 9, "role": "instructor"}), courseId="1")
    assert [row.find["id"] for row in swept.rows] == ["7"]


def test_an_empty_list_is_a_whole_list(sweep):
    swept = sweep(PER_COURSE, users(left_at=5.0), courseId="1")
    assert (swept.rows, swept.dropped, swept.played.result.left_at) == ((), (), 5.0)


def test_a_list_is_as_old_as_its_first_request(sweep):
    swept = sweep(PAGED, users(user(1), user(2), left_at=100.0), users(user(3), left_at=109.0), courseId="1")
    assert len(swept.rows) == 3
    assert swept.played.result.left_at == 100.0


@pytest.mark.parametrize(
    ("second", "error"),
    [
        pytest.param(Reply(status=500), VendorFault, id="500"),
        pytest.param(Reply(lost="timeout"), VendorTimeout, id="no answer"),
        pytest.param(Reply(status=404), VendorFault, id="a page that is not there"),
        pytest.param(Reply(status=200, body={"users": None}), VendorFault, id="no list"),
        pytest.param(VendorUnavailable(code="budget_spent"), VendorUnavailable, id="the budget is spent"),
    ],
)
def test_a_list_without_one_page_is_no_list(sweep, second, error):
    swept = sweep(PAGED, users(user(1), user(2)), second, courseId="1")
    assert isinstance(swept.played.error, error)
    assert swept.played.result is None


def test_a_course_that_is_not_there_is_not_found(sweep):
    server = Reply(status=404)
    poll = PER_COURSE + 'replies: [{if: "reply.status == 404", is: absent}]'
    assert isinstance(sweep(poll, server, courseId="1").played.error, NotFound)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"role": "learner", "percent": 5}, id="no id"),
        pytest.param(user("", 5), id="an empty id"),
        pytest.param(user([1], 5), id="an id that is a list"),
        pytest.param(None, id="no row at all"),
    ],
)
def test_a_row_that_cannot_be_used_is_dropped_and_its_neighbours_are_not(sweep, bad):
    swept = sweep(PER_COURSE, users(user(1), bad, user(3)), courseId="1")
    assert [row.find["id"] for row in swept.rows] == ["1", "3"]
    assert len(swept.dropped) == 1
    assert swept.dropped[0] not in ("", AND_MORE)


def test_a_value_that_cannot_be_worked_out_drops_its_row_only(sweep):
    poll = PER_COURSE.replace("${row.done ?? false}", "${row.done}")
    swept = sweep(poll, users(user(1, done=True), user(2)), courseId="1")
    assert [row.find["id"] for row in swept.rows] == ["1"]
    assert len(swept.dropped) == 1


def test_of_many_dropped_rows_the_first_say_why_and_all_are_counted(sweep):
    swept = sweep(PER_COURSE, users(*({"role": "learner"} for _ in range(50))), courseId="1")
    assert len(swept.dropped) == 50
    assert AND_MORE not in swept.dropped[:MAX_REASONS]
    assert set(swept.dropped[MAX_REASONS:]) == {AND_MORE}


def test_rows_are_worked_out_one_at_a_time_so_that_others_get_their_turn(make_frame):
    read: list[int] = []

    class Items(list):
        def __iter__(self):
            for item in super().__iter__():
                read.append(item["id"])
                yield item

    frame = make_frame(extra=f"progress:\n  {READ}\n  poll:\n" + _indented(PER_COURSE))
    poll = frame.mapping.progress.polls[0]
    swept = Listed(items=Items([user(1), user(2)]), context=frame.context(), left_at=None)
    next(rows(poll, swept))
    assert read == [1]


def test_a_delta_list_is_asked_for_its_window(sweep):
    swept = sweep(DELTA, users(user(1, 5)), window={"from": 100, "to": 200})
    assert swept.played.calls[0].query == (("from", "100"), ("to", "200"))


def test_a_chunk_is_asked_for_its_enrolments(sweep):
    swept = sweep(CHUNKS, users(user(7, 5)), enrolments=[{"userId": "7"}, {"userId": "8"}])
    assert swept.played.calls[0].body.data == ["7", "8"]


def test_a_sweep_leaves_the_frame_as_it_was(make_frame, play):
    frame = make_frame(
        extra=f"progress:\n  {READ}\n  poll: {{plan: per-course, every: 1h, call: 'GET /c/${{courseId}}', items: reply.body, find: {{id: \"${{row.id}}\"}}, value: {{completed: false}}}}"
    )
    play(sweeping(frame, frame.mapping.progress.polls[0], courseId="999"), Reply(status=200, body=[]))
    assert frame.root["courseId"] == "126"
