"""RTOPilot's events: merged students, contact addresses, and everything that must change nothing."""

import logging
import shutil
from typing import Any

import pytest

from gateway.mapping.expressions import compile_expression
from gateway.progress.students import Handled, MergedRule, handle
from gateway.store import enrolments, merged, people
from gateway.store.database import Database, upgrade

NOW = 1_780_000_000.0
TENANT = "acme"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: Any) -> Any:
    """A store with its tables, to copy: making them takes longer than a test."""
    file = tmp_path_factory.mktemp("store") / "gateway.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
async def store(empty: Any, tmp_path: Any) -> Any:
    shutil.copy(empty, tmp_path / "gateway.db")
    database = Database.open(f"sqlite:///{tmp_path}/gateway.db")
    yield database
    await database.close()


async def knows(store: Database, student: str, kind: Any = "student", **fields: Any) -> None:
    await store.write(lambda conn: people.remember(conn, TENANT, kind, student, fields, now=NOW))


async def recalled(store: Database, student: str, kind: Any = "student", tenant: str = TENANT) -> Any:
    return await store.read(lambda conn: people.recall(conn, tenant, kind, student))


async def survivor(store: Database, student: str, tenant: str = TENANT) -> str:
    return await store.read(lambda conn: merged.survivor(conn, tenant, student))


async def enrolled(store: Database, student: str, id: str = "7-126") -> None:
    await store.write(
        lambda conn: enrolments.adopt(
            conn,
            tenant=TENANT,
            id=id,
            vendor_account="demo https://lms.example",
            alias="",
            key=f'["{id}"]',
            generation=1,
            record={"user": "7"},
            now=NOW,
            course_id="126",
            student_id=student,
        )
    )


def merge(**data: Any) -> dict[str, Any]:
    return {"event": "student.merged", "data": data}


# -- merged --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {"id": "2", "mergedStudentId": "1"},
        {"id": 2, "mergedStudentId": 1},
        {"id": "2", "merged_student_id": "1"},
        {"studentId": "2", "mergedFromId": "1"},
        {"student": {"id": "2"}, "duplicateId": "1"},
        {"id": "2", "studentId": "2", "previousStudentID": "1"},
        {"id": "2", "merged": {"id": "1", "firstName": "Joana"}},
        {"id": "2", "from": {"student": {"id": "1"}}},
        {"id": "2", "mergedStudentIds": ["1"]},
        {"id": "2", "sourceId": "1", "mergedAt": "2026-01-01", "mergedById": "9", "mergedIntoId": "2"},
        {"id": "2", "oldId": "1", "previousEnrolmentId": "e-1", "organisationId": "5", "goldId": "3"},
        {"id": "2", "mergedStudentId": "1", "sourceId": "2"},
    ],
)
async def test_a_merge_moves_the_lms_user_to_the_survivor(store: Database, data: dict[str, Any]) -> None:
    await knows(store, "1", userId="77")
    handled = await handle(TENANT, "student.merged", merge(**data), store, NOW)
    assert handled == Handled(summary="student 1 is now 2, with the LMS user")
    assert await survivor(store, "1") == "2"
    assert await recalled(store, "2") == {"userId": "77", "mergedFrom": "1"}


async def test_a_merge_leaves_a_survivors_own_lms_user(store: Database) -> None:
    await knows(store, "1", userId="77")
    await knows(store, "2", userId="88")
    handled = await handle(TENANT, "student.merged", merge(id="2", oldId="1"), store, NOW)
    assert handled.summary == "student 1 is now 2"
    assert await recalled(store, "2") == {"userId": "88"}
    assert await survivor(store, "1") == "2"


async def test_the_same_merge_twice_changes_nothing_more(store: Database) -> None:
    await knows(store, "1", userId="77")
    for _ in range(2):
        assert (
            await handle(TENANT, "student.merged", merge(id="2", oldId="1"), store, NOW)
        ).quarantine is None
    assert await recalled(store, "2") == {"userId": "77", "mergedFrom": "1"}


async def test_merges_that_arrive_in_the_wrong_order_end_at_the_last_survivor(store: Database) -> None:
    await knows(store, "1", userId="77")
    await enrolled(store, "2")
    await handle(TENANT, "student.merged", merge(id="3", oldId="2"), store, NOW)
    handled = await handle(TENANT, "student.merged", merge(id="2", oldId="1"), store, NOW)
    assert handled.summary == "student 1 is now 3, with the LMS user"
    assert await survivor(store, "1") == "3"
    assert await recalled(store, "3") == {"userId": "77", "mergedFrom": "1"}


async def test_an_enrolment_is_enough_to_hold_a_student(store: Database) -> None:
    await enrolled(store, "1")
    handled = await handle(TENANT, "student.merged", merge(id="2", oldId="1"), store, NOW)
    assert handled.summary == "student 1 is now 2"
    assert await survivor(store, "1") == "2"


async def test_a_student_who_is_not_held_is_recorded_only(store: Database) -> None:
    await knows(store, "2", userId="88")
    handled = await handle(TENANT, "student.merged", merge(id="2", oldId="1"), store, NOW)
    assert handled == Handled(summary="the student merged away is not held: recorded")
    assert await survivor(store, "1") == "1"
    assert await recalled(store, "1") is None


async def test_a_merge_of_another_tenants_student_stays_there(store: Database) -> None:
    await knows(store, "1", userId="77")
    await handle("other", "student.merged", merge(id="2", oldId="1"), store, NOW)
    assert await survivor(store, "1", "other") == "1"
    assert await recalled(store, "2", tenant="other") is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"mergedStudentId": "1"}, "no student's id in it; keys of `data`: mergedStudentId"),
        ({"id": "2", "studentId": "3", "mergedStudentId": "1"}, "`data.id` and `data.studentId` differ"),
        ({"id": "2"}, "no keys can be the id that was merged away; keys of `data`: id;"),
        ({"id": "2", "oldId": "1", "sourceId": "9"}, "2 keys can be the id that was merged away"),
        ({"id": "2", "mergedStudentIds": ["1", "9"]}, "no keys can be"),
        ({"id": "2", "mergedInto": {"id": "1"}}, "no keys can be"),
        ({"id": "2", "mergedStudentId": "2"}, "no keys can be"),
        ({"id": "2", "mergedStudentId": None}, "no keys can be"),
        ({"id": "2", "mergedStudentId": True}, "no keys can be"),
        ({"id": "2", "mergedStudentId": "x" * 256}, "no keys can be"),
        ({"id": "2", "mergedStudentId": 10**30}, "no keys can be"),
        ({"id": "2", "merged": {"a": {"b": {"id": "1"}}}}, "no keys can be"),
        ({"id": "", "mergedStudentId": "1"}, "no student's id in it"),
        ({"id": {"x": 1}, "mergedStudentId": "1"}, "no student's id in it"),
        ({}, "no student's id in it; keys of `data`: none"),
    ],
)
async def test_a_merge_that_is_not_clear_is_kept_aside(
    store: Database, data: dict[str, Any], why: str
) -> None:
    await knows(store, "1", userId="77")
    handled = await handle(TENANT, "student.merged", merge(name="Joana-marker", **data), store, NOW)
    assert handled.quarantine is not None
    assert (
        handled.quarantine.replace(", name", "")
        .replace("name, ", "")
        .replace(": name", ": none")
        .startswith(why)
    )
    assert "Joana-marker" not in handled.quarantine
    assert await survivor(store, "1") == "1"


async def test_a_merge_that_reverses_an_earlier_one_is_kept_aside(store: Database) -> None:
    await knows(store, "1", userId="77")
    await handle(TENANT, "student.merged", merge(id="2", oldId="1"), store, NOW)
    handled = await handle(TENANT, "student.merged", merge(id="1", oldId="2"), store, NOW)
    assert handled.quarantine == "an earlier merge says the reverse"
    assert await survivor(store, "1") == "2"


# -- merged, when its keys are known -------------------------------------------------------------------

RULE = MergedRule(
    merged_away=compile_expression("data.losers[0].ref"), survivor=compile_expression("data.winner")
)


async def test_expressions_say_where_the_ids_stand(store: Database) -> None:
    await knows(store, "1", userId="77")
    body = {"id": "evt-1", "data": {"id": "m-5", "winner": "2", "oldId": "9", "losers": [{"ref": 1}]}}
    handled = await handle(TENANT, "student.merged", body, store, NOW, RULE)
    assert handled.summary == "student 1 is now 2, with the LMS user"


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"winner": "2"}, "merged.from"),
        ({"losers": [{"ref": 1}]}, "merged.to"),
        ({"winner": "2", "losers": [{"ref": {}}]}, "merged.from"),
    ],
)
async def test_an_expression_that_gives_no_id_is_kept_aside(
    store: Database, data: dict[str, Any], place: str
) -> None:
    handled = await handle(TENANT, "student.merged", {"data": data}, store, NOW, RULE)
    assert handled.quarantine is not None
    assert handled.quarantine.startswith(f"`rtopilot.hooks.{place}` gives no id; keys of `data`: ")


async def test_an_expression_that_fails_is_kept_aside(store: Database) -> None:
    rule = MergedRule(merged_away=compile_expression("sum(data.old)"))
    handled = await handle(TENANT, "student.merged", merge(id="2", old="x"), store, NOW, rule)
    assert handled.quarantine is not None


async def test_both_ids_the_same_is_kept_aside(store: Database) -> None:
    rule = MergedRule(merged_away=compile_expression("data.id"))
    handled = await handle(TENANT, "student.merged", merge(id="2"), store, NOW, rule)
    assert handled.quarantine == "both ids of the merge are the same"


# -- contact addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {"id": "1", "email": "joana@college.edu.au"},
        {"id": 1, "emailAddress": " joana@college.edu.au "},
        {"studentId": "1", "student": {"email": "joana@college.edu.au"}},
        {"student": {"id": "1", "emailAddress": "joana@college.edu.au"}},
        {"id": "1", "contact": {"email": "joana@college.edu.au"}},
        {"id": "1", "email": "not one", "contact": {"email": "joana@college.edu.au"}},
    ],
)
async def test_an_address_of_a_new_student_is_kept_for_later(
    store: Database, data: dict[str, Any], caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    handled = await handle(TENANT, "student.created", {"data": data}, store, NOW)
    assert handled.summary == "an address of student 1 is kept"
    assert await recalled(store, "1", "contact") == {"email": "joana@college.edu.au"}
    assert await recalled(store, "1") is None
    assert "joana" not in caplog.text


@pytest.mark.parametrize(
    "email",
    [
        "joana", "joana@", "@x.au", "a b@x.au", "a@x", "a@@x.au", "a@-", "a@x..au", "a@x.a1", "ü@x.au", "",
        "x" * 250 + "@a.au", "joana@example.com", "joana@mail.example.org", "a@b.example", "a@b.invalid",
        "a@b.test", "a@x.au\nBcc: b@x.au", None, 5, ["a@x.au"], True,
    ],
)  # fmt: skip
async def test_what_cannot_receive_is_not_kept(store: Database, email: Any) -> None:
    handled = await handle(TENANT, "student.created", {"data": {"id": "1", "email": email}}, store, NOW)
    assert handled == Handled(summary="recorded")
    assert await recalled(store, "1", "contact") is None


async def test_the_newest_address_counts(store: Database) -> None:
    for name in ("old", "new"):
        data = {"id": "1", "email": f"{name}@college.edu.au"}
        await handle(TENANT, "student.created", {"data": data}, store, NOW)
    assert await recalled(store, "1", "contact") == {"email": "new@college.edu.au"}


async def test_a_merge_keeps_the_survivors_address(store: Database) -> None:
    await knows(store, "1", userId="77")
    await knows(store, "1", "contact", email="other@college.edu.au")
    body = merge(id="2", oldId="1", email="joana@college.edu.au")
    handled = await handle(TENANT, "student.merged", body, store, NOW)
    assert handled.summary == "student 1 is now 2, with the LMS user, with an address"
    assert await recalled(store, "2", "contact") == {"email": "joana@college.edu.au"}


async def test_a_merge_hands_an_address_over_when_there_is_no_other(store: Database) -> None:
    await knows(store, "1", userId="77")
    await knows(store, "1", "contact", email="joana@college.edu.au")
    await handle(TENANT, "student.merged", merge(id="2", oldId="1"), store, NOW)
    assert await recalled(store, "2", "contact") == {"email": "joana@college.edu.au"}


async def test_an_unheld_merge_may_still_bring_an_address(store: Database) -> None:
    body = merge(id="2", oldId="1", email="joana@college.edu.au")
    handled = await handle(TENANT, "student.merged", body, store, NOW)
    assert handled.summary == (
        "the student merged away is not held: recorded, an address of student 2 is kept"
    )


# -- the others ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [{"lmsEnrolmentId": "7-126"}, {"enrolment": {"lmsEnrolmentId": "7-126"}}])
async def test_a_cancellation_is_compared_and_changes_nothing(
    store: Database, data: dict[str, Any], caplog: Any
) -> None:
    await enrolled(store, "1")
    handled = await handle(TENANT, "enrolment.cancelled", {"data": data}, store, NOW)
    assert handled.summary == "enrolment 7-126 is active here"
    assert "RTOPilot calls enrolment 7-126 cancelled; here it is active" in caplog.text
    stored = await store.read(lambda conn: enrolments.by_id(conn, TENANT, "7-126"))
    assert stored is not None and stored.state == "active"


@pytest.mark.parametrize("data", [{"lmsEnrolmentId": "8-126"}, {"id": "e-5"}, {}])
async def test_a_cancellation_of_what_is_not_active_here_is_recorded(
    store: Database, data: dict[str, Any]
) -> None:
    handled = await handle(TENANT, "enrolment.cancelled", {"data": data}, store, NOW)
    assert handled == Handled(summary="recorded")


@pytest.mark.parametrize("event", ["enrolment.created", "enrolment.status_changed", "trainer.retired"])
@pytest.mark.parametrize("body", [{"data": {"id": "1"}}, {}, [], None, "text"])
async def test_every_other_event_is_recorded(store: Database, event: str, body: Any) -> None:
    assert await handle(TENANT, event, body, store, NOW) == Handled(summary="recorded")


@pytest.mark.parametrize(
    "named",
    [
        {"event": "student.created"},
        {"type": "student.created"},
        {"event": "STUDENT_CREATED"},
        {"event": "student.created", "type": "webhook"},
        {"event": {"name": "other"}},
        {"event": ""},
    ],
)
async def test_a_body_may_name_its_event(store: Database, named: dict[str, Any]) -> None:
    body = {**named, "data": {"id": "1"}}
    assert await handle(TENANT, "student.created", body, store, NOW) == Handled(summary="recorded")


@pytest.mark.parametrize("named", [{"event": "student.merged"}, {"type": "other"}])
@pytest.mark.parametrize("event", ["student.created", "enrolment.created"])
async def test_a_body_that_names_another_event_is_kept_aside(
    store: Database, named: dict[str, Any], event: str
) -> None:
    body = {**named, "data": {"id": "1", "email": "joana@college.edu.au"}}
    handled = await handle(TENANT, event, body, store, NOW)
    assert handled.quarantine == f"it was sent to the address of {event}, and names another event"
    assert await recalled(store, "1", "contact") is None


@pytest.mark.parametrize("event", ["student.created", "student.merged", "enrolment.cancelled"])
@pytest.mark.parametrize("body", [{}, {"data": []}, {"data": None}, [], None, "text", 5])
async def test_an_envelope_without_data_is_kept_aside(store: Database, event: str, body: Any) -> None:
    handled = await handle(TENANT, event, body, store, NOW)
    assert handled.quarantine == "there is no object `data` in it"


async def test_a_huge_payload_is_looked_through_with_a_bound(store: Database) -> None:
    await knows(store, "1", userId="77")
    body = merge(id="2", **{f"key{at}": at for at in range(500)}, oldId="1")
    handled = await handle(TENANT, "student.merged", body, store, NOW)
    assert handled.quarantine is not None and len(handled.quarantine) < 500
