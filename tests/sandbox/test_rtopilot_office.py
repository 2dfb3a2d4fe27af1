"""What staff do in RTOPilot's office, and what stays in its records when a call succeeds or fails."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gateway.contract import Operation
from gateway.sandbox.rtopilot_caller import Caller, ServerError
from gateway.sandbox.rtopilot_inputs import QUIZ_RESULTS, difficult_inputs
from gateway.sandbox.rtopilot_office import Office, Organisation
from gateway.sandbox.rtopilot_slots import Slots
from gateway.sandbox.rtopilot_switches import Switches


class FakeGateway:
    """Answers like the gateway, with ids enr_1, enr_2 ...; `status` other than 200 fails every call."""

    def __init__(self) -> None:
        self.status = 200
        self.made = 0
        self.calls: list[tuple[str, object]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/t/acme")
        self.calls.append((f"{request.method} {path}", json.loads(request.content or b"null")))
        if self.status != 200:
            return httpx.Response(self.status, json={"error": {"code": "x", "message": "x"}})
        return httpx.Response(200, json=self.answer(path, request.method))

    def answer(self, path: str, method: str) -> object:
        if path == "/courses":
            return [{"id": "crs_7", "name": "White card"}]
        if path.startswith("/courses/"):
            return {"id": "crs_7", "name": "White card"}
        if path == "/enrolments" or path.endswith("/transfer"):
            self.made += 1
            return self.ids(f"enr_{self.made}")
        if method == "GET":
            return {**self.ids("enr_1"), "progress": 40}
        return {"success": True}

    def ids(self, id: str) -> dict[str, str]:
        return {"id": id, "enrolmentId": id, "lmsEnrolmentId": id}


class Desk:
    """An office with two students and one course, a gateway that can be told to fail, and a clock."""

    def __init__(self, slots: Slots | None = None, switches: Switches | None = None) -> None:
        self.gateway = FakeGateway()
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.organisation = Organisation(name="Acme Training")
        self.organisation.add_student("204", "Ana", "Citizen")
        self.organisation.add_student(205, "", "Mononym")
        self.organisation.link_course("course-1", "White card", "crs_7")
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.gateway))
        slots = slots if slots is not None else Slots.published("http://gateway.test", "acme")
        self.caller = Caller(slots, switches=switches, client=client, now=self.tick)
        self.office = Office(self.organisation, self.caller)

    def tick(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


async def test_the_courses_and_a_course_are_read():
    desk = Desk()
    assert await desk.office.list_courses("white") == [{"id": "crs_7", "name": "White card"}]
    assert await desk.office.read_course("course-1") == {"id": "crs_7", "name": "White card"}
    assert [call for call, _ in desk.gateway.calls] == ["GET /courses", "GET /courses/crs_7"]


async def test_enrolling_stores_the_id_that_came_back():
    desk = Desk()
    enrolment = await desk.office.enrol("204", "course-1")
    assert desk.organisation.enrolments == {enrolment.rto_id: enrolment}
    assert (enrolment.lms_enrolment_id, enrolment.status) == ("enr_1", "enrolled")
    student = {"id": "204", "firstName": "Ana", "lastName": "Citizen"}
    assert desk.gateway.calls == [("POST /enrolments", {"courseId": "crs_7", "student": student})]


async def test_two_enrolments_have_different_rtopilot_ids():
    desk = Desk()
    assert (await desk.office.enrol("204", "course-1")).rto_id != (
        await desk.office.enrol(205, "course-1")
    ).rto_id


async def test_a_failed_enrolment_is_not_kept():
    desk = Desk()
    desk.gateway.status = 502
    with pytest.raises(ServerError) as caught:
        await desk.office.enrol("204", "course-1")
    assert caught.value.status == 502
    assert desk.organisation.enrolments == {}


async def test_a_failed_enrolment_is_kept_without_an_id_when_switched_on():
    desk = Desk(switches=Switches(keep_enrolment_on_failure=True))
    desk.gateway.status = 502
    with pytest.raises(ServerError):
        await desk.office.enrol("204", "course-1")
    assert [each.lms_enrolment_id for each in desk.organisation.enrolments.values()] == [None]


async def test_transferring_changes_the_student_and_the_id():
    desk = Desk()
    rto_id = (await desk.office.enrol("204", "course-1")).rto_id
    enrolment = await desk.office.transfer(rto_id, 205)
    assert (enrolment.student_id, enrolment.lms_enrolment_id) == (205, "enr_2")
    to = {"to": {"id": "205", "firstName": "", "lastName": "Mononym"}}
    assert desk.gateway.calls[-1] == ("POST /enrolments/enr_1/transfer", to)
    first, second = enrolment.history
    assert (first.id, second.id, second.until) == ("enr_1", "enr_2", None)
    assert first.since < first.until == second.since


async def test_a_transfer_that_keeps_the_id_keeps_its_history():
    desk = Desk()
    enrolment = await desk.office.enrol("204", "course-1")
    desk.gateway.made = 0
    await desk.office.transfer(enrolment.rto_id, 205)
    assert [each.id for each in enrolment.history] == ["enr_1"]
    assert enrolment.history[0].until is None


@pytest.mark.parametrize("action", ["transfer", "cancel", "mark"])
async def test_a_failed_action_changes_nothing(action):
    desk = Desk()
    enrolment = await desk.office.enrol("204", "course-1")
    desk.gateway.status = 500
    arguments = {"transfer": [205], "cancel": [], "mark": [[]]}[action]
    with pytest.raises(ServerError):
        await getattr(desk.office, action)(enrolment.rto_id, *arguments)
    assert (enrolment.student_id, enrolment.lms_enrolment_id, enrolment.status) == (
        "204",
        "enr_1",
        "enrolled",
    )
    assert enrolment.markings == [] and enrolment.history[0].until is None


async def test_cancelling_sets_the_status_and_gives_the_id_up():
    desk = Desk()
    enrolment = await desk.office.enrol("204", "course-1")
    await desk.office.cancel(enrolment.rto_id)
    assert enrolment.status == "cancelled"
    assert enrolment.history[0].until is not None
    given_up = enrolment.history[0].until
    await desk.office.cancel(enrolment.rto_id)  # staff may repeat it
    assert enrolment.history[0].until == given_up


@pytest.mark.parametrize("results", QUIZ_RESULTS.values(), ids=QUIZ_RESULTS)
async def test_marking_keeps_the_raw_answer_and_imports_nothing(results):
    desk = Desk()
    enrolment = await desk.office.enrol("204", "course-1")
    await desk.office.mark(enrolment.rto_id, results)
    assert [json.loads(each) for each in enrolment.markings] == [{"success": True}]
    assert desk.gateway.calls[-1] == ("POST /enrolments/enr_1/marking", {"quizResults": results})
    assert enrolment.progress == 0


async def test_reading_an_enrolment_imports_nothing():
    desk = Desk()
    enrolment = await desk.office.enrol("204", "course-1")
    assert (await desk.office.read_enrolment(enrolment.rto_id))["progress"] == 40
    assert enrolment.progress == 0


async def test_blank_optional_slots_stay_inside_rtopilot():
    published = Slots.published("http://gateway.test", "acme")
    desk = Desk(
        published.without(Operation.TRANSFER_ENROLMENT, Operation.CANCEL_ENROLMENT, Operation.UPDATE_MARKING)
    )
    enrolment = await desk.office.enrol("204", "course-1")
    await desk.office.transfer(enrolment.rto_id, 205)
    await desk.office.mark(enrolment.rto_id, [])
    await desk.office.cancel(enrolment.rto_id)
    assert (enrolment.student_id, enrolment.lms_enrolment_id, enrolment.status) == (205, "enr_1", "cancelled")
    assert len(desk.gateway.calls) == 1


@pytest.mark.parametrize("key", ["id", "enrolmentId", "lmsEnrolmentId"])
async def test_the_id_is_taken_from_the_key_of_the_switch(key):
    desk = Desk(switches=Switches(id_key=key))
    assert (await desk.office.enrol("204", "course-1")).lms_enrolment_id == "enr_1"


def test_the_difficult_inputs_hold_all_that_the_fact_sheet_lists():
    inputs = difficult_inputs()
    names = "".join(first + last for first, last in inputs["names"].values())
    assert all(character in names for character in "\"\\'\nëā🎓")
    assert any(first == "" for first, _ in inputs["names"].values())
    assert any(len(first) == 200 for first, _ in inputs["names"].values())
    terms = inputs["search_terms"].values()
    assert "" in terms and all(any(character in term for term in terms) for character in " &#%+/")
    assert {len(results) for results in inputs["quiz_results"].values()} >= {0, 1, 500}
    assert {action for action, _ in inputs["repeats"].values()} == {"enrol", "transfer", "cancel"}
    assert {mishap for _, mishap in inputs["repeats"].values()} == {"failed", "timed_out_but_done"}
