"""`try`: real reads, every exchange shown, no write unless it is really meant, nothing stored."""

import io
import json

import pytest
from rich.console import Console
from sqlalchemy import select

from gateway.contract import Operation
from gateway.errors import NotFound, RequestError
from gateway.sandbox import learning_assistant_seed as la
from gateway.sandbox.learning_assistant import create_learning_assistant
from gateway.sandbox.serve import running
from gateway.sandbox.talentlms import API_KEY, create_talentlms
from gateway.store import tables
from gateway.workbench.plan import plan
from gateway.workbench.trial import Tried, print_exchange, print_tried, trial
from tests.workbench.stand_ins import at_work

ANA = {"id": "204", "firstName": "Ana", "lastName": "Diaz"}
NEW = {"courseId": "128", "student": ANA}
STORED = (tables.enrolment, tables.run, tables.step, tables.known, tables.task, tables.trace)


@pytest.fixture
def talentlms():
    stand_in = create_talentlms()
    with running(stand_in) as url:
        stand_in.url = url
        yield stand_in


@pytest.fixture
def learning_assistant():
    stand_in = create_learning_assistant()
    with running(stand_in) as url:
        stand_in.url = url
        yield stand_in


async def stored(perform):
    def count(conn):
        return sum(len(conn.execute(select(table)).all()) for table in STORED)

    return await perform.database.read(count)


async def test_a_read_is_real_and_each_exchange_is_shown(talentlms, tmp_path):
    seen = []
    async with at_work("talentlms", talentlms.url, tmp_path) as perform:
        tried = await trial(perform, "acme", Operation.GET_COURSES, {}, watch=seen.append)
        assert await stored(perform) == 0
    assert {"128"} <= {course["id"] for course in tried.answer}
    assert [(shown["step"], shown["status"]) for shown in seen] == [("getCourses.all", 200)]
    assert API_KEY not in json.dumps(seen)


async def test_a_search_term_is_applied(talentlms, tmp_path):
    async with at_work("talentlms", talentlms.url, tmp_path) as perform:
        everything = (await trial(perform, "acme", Operation.GET_COURSES, {})).answer
        name = everything[0]["name"]
        found = (await trial(perform, "acme", Operation.GET_COURSES, {"searchTerm": name})).answer
    assert 0 < len(found) <= len(everything)
    assert all(name.lower() in course["name"].lower() for course in found)


async def test_one_course_is_found_or_not(talentlms, tmp_path):
    async with at_work("talentlms", talentlms.url, tmp_path) as perform:
        assert (await trial(perform, "acme", Operation.GET_COURSE, {"courseId": "128"})).answer["id"] == "128"
        with pytest.raises(NotFound):
            await trial(perform, "acme", Operation.GET_COURSE, {"courseId": "999999"})


async def test_a_write_stops_before_it_is_sent_and_shows_it(talentlms, tmp_path):
    seen = []
    async with at_work("talentlms", talentlms.url, tmp_path) as perform:
        tried = await trial(perform, "acme", Operation.CREATE_ENROLMENT, NEW, watch=seen.append)
        assert await stored(perform) == 0
    assert [shown["effect"] for shown in seen] == ["read"]
    assert tried.not_sent["request"].endswith("/usersignup")
    assert tried.not_sent["body"]["login"] == "rto-204"
    assert "Diaz" not in json.dumps(tried.not_sent)
    assert not talentlms.journal.effect_counts


async def test_a_write_that_is_really_meant_is_done_and_stored(talentlms, tmp_path):
    seen = []
    async with at_work("talentlms", talentlms.url, tmp_path) as perform:
        tried = await trial(
            perform, "acme", Operation.CREATE_ENROLMENT, NEW, really_write=True, watch=seen.append
        )
        assert await stored(perform) > 0
        enrolment = {"enrolmentId": tried.answer["id"]}
        read = await trial(perform, "acme", Operation.GET_ENROLMENT, enrolment)
        cancel = await trial(perform, "acme", Operation.CANCEL_ENROLMENT, enrolment)
    assert [shown["effect"] for shown in seen].count("write") == 2
    assert read.answer["progress"] == {"percent": 0, "completed": False, "fault": None}
    assert "removeuserfromcourse" in cancel.not_sent["request"]


async def test_an_enrolment_the_store_has_lost_is_read_by_its_id_and_not_adopted(talentlms, tmp_path):
    (tmp_path / "other").mkdir()
    async with at_work("talentlms", talentlms.url, tmp_path / "other") as perform:
        made = await trial(perform, "acme", Operation.CREATE_ENROLMENT, NEW, really_write=True)
    async with at_work("talentlms", talentlms.url, tmp_path) as perform:
        read = await trial(perform, "acme", Operation.GET_ENROLMENT, {"enrolmentId": made.answer["id"]})
        assert await stored(perform) == 0
    assert read.answer["progress"]["percent"] == 0


async def test_a_transfer_is_tried_as_the_new_enrolment(talentlms, tmp_path):
    given = {"enrolmentId": "7-128", "to": ANA}
    async with at_work("talentlms", talentlms.url, tmp_path) as perform:
        tried = await trial(perform, "acme", Operation.TRANSFER_ENROLMENT, given)
    assert tried.not_sent["request"].endswith("/usersignup")


@pytest.mark.parametrize(
    ("marking", "note"),
    [("acknowledge", "Acknowledged"), ("refuse", "Refused with 422: TalentLMS takes no marks")],
)
async def test_an_operation_that_sends_nothing_says_so(talentlms, tmp_path, marking, note):
    async with at_work("talentlms", talentlms.url, tmp_path, marking=marking) as perform:
        tried = await trial(perform, "acme", Operation.UPDATE_MARKING, {"enrolmentId": "7-128"})
    assert tried.note.startswith(note)


async def test_a_course_that_is_not_remembered_is_looked_up_and_not_kept(learning_assistant, tmp_path):
    given = {"courseId": la.COURSE_UUID, "student": ANA}
    seen = []
    async with at_work(
        "learning-assistant", learning_assistant.url, tmp_path, sendUnits="structures"
    ) as perform:
        tried = await trial(perform, "acme", Operation.CREATE_ENROLMENT, given, watch=seen.append)
        assert await stored(perform) == 0
    assert [shown["step"] for shown in seen] == ["getCourses.all"]
    assert la.COURSE_UUID in json.dumps(tried.not_sent)
    assert "Units" in json.dumps(tried.not_sent)


async def test_a_manual_form_is_told_with_its_sentence(learning_assistant, tmp_path):
    from gateway import ids

    enrolment = ids.encode((la.CANDIDATE_UUID, la.COURSE_UUID))
    async with at_work("learning-assistant", learning_assistant.url, tmp_path) as perform:
        tried = await trial(perform, "acme", Operation.CANCEL_ENROLMENT, {"enrolmentId": enrolment})
    assert tried.note.startswith(f"On the manual list: Withdraw candidate {la.CANDIDATE_UUID}")


@pytest.mark.parametrize(
    ("operation", "given", "error"),
    [
        (Operation.CREATE_ENROLMENT, {"courseId": "128"}, RequestError),
        (Operation.CREATE_ENROLMENT, {"student": ANA}, RequestError),
        (Operation.GET_ENROLMENT, {}, RequestError),
        (Operation.GET_ENROLMENT, {"enrolmentId": "no id"}, RequestError),
        (Operation.GET_ENROLMENT, {"enrolmentId": "r" + "a" * 26}, NotFound),
        (Operation.GET_COURSE, {"kourse": "1"}, RequestError),
    ],
    ids=["no student", "no course", "no id", "not an id", "random id", "unknown name"],
)
async def test_inputs_that_cannot_be_used_are_refused_before_a_call(
    talentlms, tmp_path, operation, given, error
):
    async with at_work("talentlms", talentlms.url, tmp_path) as perform:
        with pytest.raises(error):
            await trial(perform, "acme", operation, given)
    assert not talentlms.journal.entries


# -- on a terminal ----------------------------------------------------------------------------------


async def test_exchanges_and_what_would_be_sent_are_printed(talentlms, tmp_path):
    out = io.StringIO()
    console = Console(file=out, width=100)
    async with at_work("talentlms", talentlms.url, tmp_path) as perform:
        tried = await trial(
            perform,
            "acme",
            Operation.CREATE_ENROLMENT,
            NEW,
            watch=lambda shown: print_exchange(shown, console),
        )
    print_tried(tried, console)
    text = out.getvalue()
    assert "404 → absent" in text
    assert "Stopped before the first write" in text
    assert "/usersignup" in text


def test_an_answer_a_note_and_warnings_are_printed():
    out = io.StringIO()
    print_tried(Tried(answer={"id": "[7]"}, note="Note.", warnings=("Careful.",)), Console(file=out))
    assert '"id": "[7]"' in out.getvalue()
    assert "Note." in out.getvalue()
    assert "warning: Careful." in out.getvalue()


def test_json_output_is_what_came_of_it():
    out = io.StringIO()
    print_tried(Tried(answer=[1]), Console(file=out), as_json=True)
    assert json.loads(out.getvalue())["answer"] == [1]


# -- beside the plan --------------------------------------------------------------------------------


async def test_what_is_sent_is_what_the_plan_showed(talentlms, tmp_path):
    """With the values of the steps filled in, each planned request is the one that left."""
    seen = []
    async with at_work("talentlms", talentlms.url, tmp_path) as perform:
        spec = perform.tenants["acme"].spec
        await trial(perform, "acme", Operation.CREATE_ENROLMENT, NEW, really_write=True, watch=seen.append)
    user = next(shown["body"]["user_id"] for shown in seen if shown["request"].endswith("addusertocourse"))
    made = plan(
        spec.mapping,
        spec.settings,
        Operation.CREATE_ENROLMENT,
        NEW,
        base=spec.base,
        steps={"user": {"userId": user}},
    )
    planned = [
        (f"{call.request.method} {call.request.url}", call.request.body)
        for step in made.sections[0].steps
        for call in step.calls
        if call.request is not None
    ]
    sent = [(shown["request"], shown["body"]) for shown in seen]
    assert len(sent) == 3
    by_name, make, enrol = sent
    assert by_name in planned
    assert enrol in planned
    assert make[0] in [request for request, _ in planned]
    shown = dict(planned)[make[0]]
    assert {name for name in shown if shown[name] != make[1][name]} == {
        "first_name",  # masked where it is shown
        "last_name",
        "email",
        "password",
    }
