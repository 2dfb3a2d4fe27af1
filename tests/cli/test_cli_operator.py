"""`runs`, `adopt` and `db` over a real store."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.contract import Operation
from gateway.operator import run_report
from gateway.operator.adopt import MAX_IDS, read_ids
from gateway.operator.settle import value_names
from gateway.perform.runs import fingerprint
from gateway.sandbox.faults import Fault
from gateway.store import manual, runs, steps, traces
from gateway.store.traces import Traced

STUDENT = {"id": "204", "firstName": "Joana", "lastName": "Silva"}
NOT_THERE = "There is no run"


def stored_run(
    deployment: Any, run_id: str, fill: Callable[[Connection], None] | None = None, *, tenant: str = "college"
) -> None:
    """A run as a gateway that is gone has left it: its enrol step in doubt, for a person to settle."""

    def work(conn: Connection) -> None:
        now = time.time()
        runs.begin(
            conn,
            tenant=tenant,
            operation="createEnrolment",
            fingerprint=fingerprint(tenant, Operation.CREATE_ENROLMENT, run_id),
            input={"courseId": "126", "student": STUDENT},
            owner="gone",
            now=now,
            lease_s=60,
            mapping_hash="f" * 64,
            student_id="204",
            run_id=run_id,
        )
        (fill or in_doubt(run_id))(conn)

    deployment.store(work)


def in_doubt(
    run_id: str, *, step: str = "enrol", seq: int = 1, due: float | None = None
) -> Callable[[Connection], None]:
    def fill(conn: Connection) -> None:
        now = time.time()
        if seq:
            steps.step_done(conn, run_id, "gone", 0, "user", {"userId": "8"})
        steps.step_started(conn, run_id, "gone", seq, step, now)
        exchange = {
            "step": "createEnrolment.enrol",
            "request": "POST /addusertocourse",
            "lost": "timeout",
            "reply": "x",
        }
        traces.add(
            conn, run_id, [Traced(tenant="college", operation="createEnrolment", at=now, exchange=exchange)]
        )
        runs.in_doubt(conn, run_id, "gone", due, error={"code": "outcome_unknown", "step": step})
        manual.add(
            conn,
            tenant="college",
            enrolment_id=None,
            reason="in_doubt",
            sentence="Look.",
            now=now,
            run_id=run_id,
        )

    return fill


def ended(run_id: str, *, failed: bool = False, told: bool = False) -> Callable[[Connection], None]:
    def fill(conn: Connection) -> None:
        now = time.time()
        if told:
            runs.told_error(conn, run_id, now)
        if failed:
            runs.fail(conn, run_id, "gone", {"code": "refused", "message": "No."}, now=now)
        else:
            runs.finish(conn, run_id, "gone", {"id": "8-126"}, now=now, enrolment_id="8-126")

    return fill


def nothing(_: Connection) -> None:
    """Left running."""


def test_runs_are_listed_and_filtered(deployment: Any) -> None:
    stored_run(deployment, "r1")
    stored_run(deployment, "r2", ended("r2"))
    assert {row[0] for row in deployment.run("runs", "list").rows()} == {"run", "r1", "r2"}
    only = deployment.run(
        "runs", "list", "--state", "in_doubt", "--operation", "createEnrolment", "--tenant", "college"
    )
    assert [row[0] for row in only.rows()] == ["run", "r1"]
    listed = deployment.run("runs", "list", "--json").json
    assert {(each["run"], each["error"]) for each in listed} == {("r1", "outcome_unknown"), ("r2", None)}
    assert "Joana" not in str(listed)


def test_an_unknown_state_or_operation_is_a_usage_mistake(deployment: Any) -> None:
    assert deployment.run("runs", "list", "--state", "in-doubt").code == 2
    assert deployment.run("runs", "list", "--operation", "enrol").code == 2


def test_a_run_in_doubt_is_shown_with_its_steps_and_what_to_do(deployment: Any) -> None:
    stored_run(deployment, "r1")
    ran = deployment.run("runs", "show", "r1")
    assert ran.code == 0
    for part in (
        "state      in_doubt",
        "step       user: done",
        "step       enrol: in doubt, left ",
        "error      outcome_unknown",
        "POST /addusertocourse -> timeout",
        "lms-gateway runs settle r1 --done",
    ):
        assert part in ran.out, ran.out
    assert "Joana" not in ran.out and "Silva" not in ran.out
    assert deployment.run("runs", "show", "r1", "--json").json["steps"][1]["state"] == "in doubt"


@pytest.mark.parametrize(
    ("fill", "state", "todo"),
    [
        pytest.param(nothing, "running", "A gateway is at work", id="running"),
        pytest.param(in_doubt("r1", due=4e9), "in_doubt", "looks it up again at 2096", id="looked up later"),
        pytest.param(ended("r1"), "done", "Nothing.", id="done"),
        pytest.param(ended("r1", told=True), "done", "Repeat the action there", id="RTOPilot not told"),
        pytest.param(ended("r1", failed=True), "failed", "Repeat the action in RTOPilot", id="failed"),
    ],
)
def test_what_to_do_about_a_run(deployment: Any, fill: Any, state: str, todo: str) -> None:
    stored_run(deployment, "r1", fill)
    shown = deployment.run("runs", "show", "r1", "--json").json
    assert shown["state"] == state and todo in shown["todo"]


def test_a_run_whose_gateway_is_gone_is_left(deployment: Any) -> None:
    stored_run(deployment, "r1", nothing)
    report = deployment.store(lambda conn: run_report.load(conn, "r1"))
    later = time.time() + 3600
    assert report.state(later) == "left" and "takes it up" in report.advice(later)


def test_a_step_shows_its_warnings(deployment: Any) -> None:
    stored_run(
        deployment,
        "r1",
        lambda conn: steps.step_done(conn, "r1", "gone", 0, "user", None, ["Other surname."]),
    )
    assert "             Other surname." in deployment.run("runs", "show", "r1").out


def test_the_bundle_for_a_support_desk_has_no_people_in_it(deployment: Any, tmp_path: Path) -> None:
    stored_run(deployment, "r1")
    file = tmp_path / "bundle.json"
    assert deployment.run("runs", "show", "r1", "--export", str(file)).code == 0
    text = file.read_text()
    bundle = json.loads(text)
    assert (
        bundle["exchanges"][0]["request"] == "POST /addusertocourse" and bundle["error"] == "outcome_unknown"
    )
    assert not {"student", "tenant", "todo"} & bundle.keys()
    for person in ("Joana", "Silva", "204"):
        assert person not in text


def test_a_run_that_is_not_there_is_a_sentence(deployment: Any) -> None:
    ran = deployment.run("runs", "show", "nope")
    assert ran.code == 1 and NOT_THERE in ran.err
    assert deployment.run("runs", "settle", "nope", "--done").code == 1


def test_settled_as_done_the_rest_is_carried_on(deployment: Any) -> None:
    stored_run(deployment, "r1")
    ran = deployment.run("runs", "settle", "r1", "--done")
    assert (ran.code, ran.out) == (0, "The run is done. RTOPilot is given 8-126.\n")
    assert "user_enrolled" not in deployment.standin.journal.effect_counts, "the write in doubt is not sent"
    assert deployment.run("runs", "manual", "list", "--json").json == []


def test_settled_as_not_done_it_has_failed_and_may_be_repeated(deployment: Any) -> None:
    stored_run(deployment, "r1")
    assert deployment.run("runs", "settle", "r1", "--not-done").out == "The run is failed.\n"
    shown = deployment.run("runs", "show", "r1", "--json").json
    assert shown["error"]["code"] == "not_done" and shown["steps"][1]["state"] == "failed"


def test_a_step_with_values_needs_them(deployment: Any) -> None:
    stored_run(deployment, "r1", in_doubt("r1", step="user/make", seq=0))
    assert "--value userId=…" in deployment.run("runs", "settle", "r1", "--done").err
    assert (
        "gives no nothing"
        in deployment.run("runs", "settle", "r1", "--done", "--value", "userId=8", "--value", "nothing=1").err
    )
    ran = deployment.run("runs", "settle", "r1", "--done", "--value", "userId=8")
    assert "RTOPilot is given 8-126" in ran.out
    assert deployment.standin.journal.effect_counts["user_enrolled"] == 1, "the step after it is done"


@pytest.mark.parametrize(
    ("fill", "told"),
    [
        pytest.param(ended("r1"), "Nothing of this run is in doubt", id="done already"),
        pytest.param(
            lambda conn: steps.step_started(conn, "r1", "gone", 1, "enrol", 1.0),
            "A gateway is at work",
            id="busy",
        ),
    ],
)
def test_what_cannot_be_settled_is_said(deployment: Any, fill: Any, told: str) -> None:
    stored_run(deployment, "r1", fill)
    ran = deployment.run("runs", "settle", "r1", "--not-done")
    assert ran.code == 1 and told in ran.err


def test_a_run_of_a_tenant_that_is_gone_can_only_be_settled_as_not_done(deployment: Any) -> None:
    stored_run(deployment, "r1", tenant="closed")
    assert "no longer configured" in deployment.run("runs", "settle", "r1", "--done").err
    assert deployment.run("runs", "settle", "r1", "--not-done").code == 0


def test_a_run_that_cannot_be_carried_on_now_stays_for_a_gateway(deployment: Any) -> None:
    stored_run(deployment, "r1", in_doubt("r1", step="user/make", seq=0))
    deployment.standin.faults.arm(Fault(kind="lost_answer", path="/addusertocourse", count=None))
    deployment.standin.faults.arm(Fault(kind="error", path="/getuserstatusincourse", count=None))
    config = json.loads(deployment.config.read_bytes()) | {"deadlines": {"answer": "1s", "work": "2s"}}
    deployment.config.write_text(json.dumps(config))
    ran = deployment.run("runs", "settle", "r1", "--done", "--value", "userId=8")
    assert (ran.code, ran.out) == (1, "The run is in_doubt.\n")


def test_value_names_of_plain_steps_branches_and_unknown_ones() -> None:
    mapping = str(Path(__file__).parents[2] / "mappings" / "talentlms.yaml")
    assert value_names(mapping, "createEnrolment", "user/make").needed == ("userId",)
    assert value_names(mapping, "createEnrolment", "group").optional == ("groupId",)
    assert value_names(mapping, "createEnrolment", "enrol").needed == ()
    assert value_names(mapping, "getCourse", "nothing/there").needed == ()


def test_the_manual_list_is_shown_and_worked_off(deployment: Any) -> None:
    stored_run(deployment, "r1")
    (head, row) = deployment.run("runs", "manual", "list").rows()
    assert head[0] == "item" and row[3] == "Look."
    assert deployment.run("runs", "manual", "done", row[0]).out == "Done.\n"
    assert deployment.run("runs", "manual", "done", row[0]).code == 1
    assert deployment.run("runs", "manual", "list").rows() == [head]


def test_adopting_reports_each_id(deployment: Any, tmp_path: Path) -> None:
    deployment.write(adopt_unknown_ids="off")  # holds for RTOPilot's calls, not for this command
    file = tmp_path / "ids.csv"
    file.write_text("name,lmsEnrolmentId\nMia,7-126\nCarl,11-126\nNobody,999-126\nOdd,zz!\n,\nMia,7-126\n")
    ran = deployment.run("adopt", "college", "--csv", str(file))
    assert ran.code == 1
    assert ["7-126", "adopted", ""] in ran.rows() and [
        "999-126",
        "not found",
        "unknown_enrolment",
    ] in ran.rows()
    assert "2 adopted, 0 known, 2 not found, 0 failed" in ran.out
    again = deployment.run("adopt", "college", "--csv", str(file), "--json").json
    assert [each["state"] for each in again] == ["known", "known", "not found", "not found"]


def test_adopting_with_a_vendor_that_is_down_fails_each(deployment: Any, tmp_path: Path) -> None:
    deployment.standin.faults.arm(Fault(kind="html", status=404, count=None))
    (tmp_path / "ids.csv").write_text("7-126\n")
    ran = deployment.run("adopt", "college", "--csv", str(tmp_path / "ids.csv"))
    assert ran.code == 1 and ran.rows()[1][:2] == ["7-126", "failed"]


def test_a_missing_csv_is_a_usage_mistake(deployment: Any, tmp_path: Path) -> None:
    assert deployment.run("adopt", "college", "--csv", str(tmp_path / "no.csv")).code == 2


def test_ids_are_bounded_and_read_with_and_without_a_head() -> None:
    assert read_ids("\ufeff1-2\n1-2\n\n 3-4 \n") == ["1-2", "3-4"]
    assert read_ids("") == []
    with pytest.raises(ValueError, match="more than"):
        read_ids("\n".join(str(number) for number in range(MAX_IDS + 1)))


def test_db_upgrade_makes_the_tables(deployment: Any) -> None:
    assert deployment.run("db", "upgrade").out == "The database is up to date.\n"
    assert (deployment.folder / "gateway.db").exists()


def other_run(operation: str, given: dict[str, Any], step: str) -> Callable[[Connection], None]:
    """A run of another operation whose step is in doubt."""

    def fill(conn: Connection) -> None:
        runs.finish(conn, "r1", "gone", {"id": "8-126"}, now=time.time())
        runs.begin(
            conn,
            tenant="college",
            operation=operation,
            fingerprint=operation,
            input=given,
            owner="gone",
            now=time.time(),
            lease_s=60,
            mapping_hash="f" * 64,
            run_id="r2",
        )
        steps.step_started(conn, "r2", "gone", 0, step, time.time())
        runs.in_doubt(conn, "r2", "gone", None)

    return fill


def test_a_run_that_needs_no_vendor_any_more_is_done(deployment: Any, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("7-126\n")
    deployment.run("adopt", "college", "--csv", str(tmp_path / "ids.csv"))
    given = {"enrolmentId": "7-126", "quizResults": []}
    stored_run(deployment, "r1", other_run("updateMarking", given, "mark"))
    assert "The run is done. RTOPilot is given 7-126." in deployment.run("runs", "settle", "r2", "--done").out


def test_a_run_whose_enrolment_is_lost_stays_in_doubt(deployment: Any) -> None:
    stored_run(deployment, "r1", other_run("cancelEnrolment", {"enrolmentId": "5-5"}, "leave"))
    assert deployment.run("runs", "settle", "r2", "--done").code == 1
    assert deployment.run("runs", "show", "r2", "--json").json["state"] == "in_doubt"


def test_a_transfer_asks_for_the_values_of_create(deployment: Any) -> None:
    given = {"enrolmentId": "5-5", "to": STUDENT}
    stored_run(deployment, "r1", other_run("transferEnrolment", given, "user/make"))
    assert "--value userId=…" in deployment.run("runs", "settle", "r2", "--done").err
