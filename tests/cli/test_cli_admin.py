"""`check`, `settings`, `choices` and `token` against a vendor stand-in on a real socket."""

import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.faults import Fault
from gateway.sandbox.learning_assistant import create_learning_assistant
from gateway.sandbox.learning_assistant_seed import ASSESSOR_UUID, COMPANY_UUID, VERIFIER_UUID
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.serve import running

TOKEN = "inbound-token-of-these-tests-0123456789"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def rows(ran: Any, tenant: str = "college") -> dict[str, dict[str, str]]:
    return {row["what"]: row for row in ran.json[tenant]}


def check(deployment: Any, *words: str) -> Any:
    return deployment.run("check", "college", "--json", *words)


def test_check_of_a_good_tenant_is_all_green(deployment: Any) -> None:
    ran = check(deployment)
    assert ran.code == 0
    found = rows(ran)
    assert {row["verdict"] for row in found.values()} <= {"ok", "warning", "skipped"}
    for what in ("Mapping", "Learners can sign in", "The LMS answers", "The LMS's clock", "Credentials"):
        assert found[what]["verdict"] == "ok", found[what]
    for slot in ("Courses", "Course", "Enrolment"):
        assert found[f"Slot Get LMS {slot}"]["verdict"] == "ok"
    assert found["RTOPilot can reach the gateway"]["verdict"] == "warning"
    assert TOKEN not in ran.out


def test_check_without_a_tenant_takes_all_and_prints_lines(deployment: Any) -> None:
    ran = deployment.run("check")
    assert ran.code == 0
    assert ran.out.startswith("Tenant college\n")
    assert "Everything that must hold, holds." in ran.out
    assert ["what", "", "found", "what to do"] in ran.rows()


def test_nobody_can_sign_in_without_address_and_password(deployment: Any) -> None:
    deployment.write(settings={"email": "${student.id}@learners.invalid"})
    ran = deployment.run("check", "college")
    assert ran.code == 1
    row = next(row for row in ran.rows() if row[0] == "Learners can sign in")
    assert row[1] == "RED" and "Nobody can" in row[2] and "firstPassword" in row[3]
    assert "1 thing must be put right." in ran.err


def test_a_first_password_is_a_way_to_sign_in(deployment: Any) -> None:
    deployment.write(
        settings={"email": "${student.id}@learners.invalid", "firstPassword": "Hello-${student.id}"}
    )
    assert rows(check(deployment))["Learners can sign in"]["verdict"] == "ok"


def test_a_refused_vendor_key_is_red_and_the_secret_is_not_told(deployment: Any) -> None:
    deployment.write(secrets={"apiKey": "a-wrong-key-of-these-tests"})
    ran = check(deployment)
    assert ran.code == 1
    found = rows(ran)
    assert found["The LMS answers"]["verdict"] == "red"
    assert "secrets" in found["The LMS answers"]["todo"]
    assert found["Slot Get LMS Courses"]["verdict"] == "red"
    assert "a-wrong-key-of-these-tests" not in ran.out + ran.err


def test_an_empty_account_is_a_warning(deployment: Any) -> None:
    for course in deployment.standin.vendor.portal.courses.values():
        course.active = False
    found = rows(check(deployment))
    assert found["The LMS answers"]["verdict"] == "warning"
    assert found["Slot Get LMS Course"]["verdict"] == "skipped"


def test_a_vendor_that_is_down_is_red_but_the_rest_is_checked(deployment: Any) -> None:
    deployment.standin.faults.arm(Fault(kind="error", status=500, count=None))
    found = rows(check(deployment))
    assert found["The LMS answers"]["verdict"] == "red"
    assert found["Credentials"]["what"] == "Credentials"


def test_two_credentials_at_once_and_open_slots_are_warnings(deployment: Any) -> None:
    both = [{"kind": "bearer", "token": TOKEN}, {"kind": "basic", "user": "rto", "password": "p" * 20}]
    deployment.write(inbound={"auth": both})
    assert rows(check(deployment))["Credentials"]["verdict"] == "warning"
    deployment.write(inbound={"auth": {"kind": "none"}, "path": "p" * 30})
    found = rows(check(deployment))
    assert found["Credentials"]["verdict"] == "warning" and found["Slot Get LMS Courses"]["verdict"] == "ok"
    deployment.write(inbound={"auth": {"kind": "header", "name": "X-Key", "value": "v" * 30}})
    assert rows(check(deployment))["Credentials"]["verdict"] == "ok"


def test_a_known_enrolment_is_read(deployment: Any, tmp_path: Any) -> None:
    (tmp_path / "ids.csv").write_text("7-126\n")
    assert deployment.run("adopt", "college", "--csv", str(tmp_path / "ids.csv")).code == 0
    assert rows(check(deployment))["Slot Get LMS Enrolment"]["found"].startswith("progress 11")


def test_check_of_a_gateway_that_is_not_there_is_red(deployment: Any) -> None:
    ran = check(deployment, "--url", "http://127.0.0.1:9")
    assert ran.code == 1
    assert rows(ran)["Slot Get LMS Courses"]["found"].startswith("no answer")


def test_check_writes_one_enrolment_and_ends_it(deployment: Any) -> None:
    ran = check(deployment, "--write", "--course", "126")
    assert ran.code == 0
    found = rows(ran)
    assert [found[f"Test enrolment: {step}"]["verdict"] for step in ("create", "read", "cancel")] == [
        "ok"
    ] * 3
    assert re.search(r"test-[0-9a-f]{8} stays", found["Left behind"]["found"])
    counts = deployment.standin.journal.effect_counts
    assert counts["user_enrolled"] == counts["user_unenrolled"] == 1


@pytest.mark.parametrize(
    ("fault", "row"),
    [
        pytest.param(Fault(kind="error", status=400, path="/usersignup", count=None), "create", id="create"),
        pytest.param(
            Fault(kind="error", status=400, path="/getuserstatusincourse", count=None), "read", id="read"
        ),
        pytest.param(
            Fault(kind="error", status=404, path="/removeuserfromcourse", count=None), "cancel", id="cancel"
        ),
    ],
)
def test_a_test_enrolment_that_fails_says_what_stays(deployment: Any, fault: Fault, row: str) -> None:
    deployment.standin.faults.arm(fault)
    ran = check(deployment, "--write", "--course", "126")
    assert ran.code == 1
    found = rows(ran)[f"Test enrolment: {row}"]
    assert found["verdict"] == "red" and found["todo"]


def test_no_test_enrolment_where_cancel_is_off(deployment: Any) -> None:
    deployment.write(operations={"cancelEnrolment": "off"})
    found = rows(check(deployment, "--write", "--course", "126"))
    assert (
        found["Test enrolment"]["verdict"] == "skipped" and "switched off" in found["Test enrolment"]["found"]
    )
    assert deployment.standin.journal.effect_counts["user_enrolled"] == 0


def portfolio(deployment: Any, url: str, **settings: Any) -> None:
    deployment.write(
        mapping="learning-assistant",
        base_url=f"{url}/webservices/soap",
        secrets={
            "username": LearningAssistantSwitches().username,
            "password": LearningAssistantSwitches().password,
        },
    )
    import orjson

    data = orjson.loads(deployment.config.read_bytes())
    data["tenants"]["college"]["settings"] = {
        "company": COMPANY_UUID,
        "assessor": ASSESSOR_UUID,
        "verifier": VERIFIER_UUID,
        "email": "${student.id}@learn.example.org",
        **settings,
    }
    deployment.config.write_bytes(orjson.dumps(data))


def test_choices_are_read_from_the_vendor_and_checked(deployment: Any) -> None:
    with running(create_learning_assistant()) as url:
        portfolio(deployment, url)
        listed = deployment.run("choices", "college", "company")
        assert [COMPANY_UUID, "Demo College"] in listed.rows()
        assert deployment.run("choices", "college", "company", "--json").json[0]["id"] == COMPANY_UUID
        assert rows(check(deployment))["Setting company"]["found"] == "Demo College"
        portfolio(deployment, url, company="00000000-0000-0000-0000000000000000")
        assert rows(check(deployment))["Setting company"]["verdict"] == "red"


def test_slots_the_mapping_refuses_are_to_be_left_blank(deployment: Any) -> None:
    with running(create_learning_assistant()) as url:
        portfolio(deployment, url)
        slots = {slot["operation"]: slot for slot in deployment.run("settings", "college", "--json").json}
        assert "refused" in slots["transferEnrolment"]["leave_blank"]
        assert "refused" in slots["cancelEnrolment"]["leave_blank"]
        portfolio(deployment, url, cancel="list")
        slots = {slot["operation"]: slot for slot in deployment.run("settings", "college", "--json").json}
        assert "A person does the rest" in slots["cancelEnrolment"]["note"]
        found = rows(check(deployment, "--write", "--course", "x"))
        assert "by hand" in found["Test enrolment"]["found"]


def test_an_unknown_choice_is_a_sentence(deployment: Any) -> None:
    ran = deployment.run("choices", "college", "nothing")
    assert ran.code == 1 and "has no setting `nothing`" in ran.err


def test_settings_name_the_secret_and_never_show_it(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLEGE_TOKEN", TOKEN)
    deployment.write(
        inbound={
            "auth": {"kind": "bearer", "token": "${env:COLLEGE_TOKEN}"},
            "operations": {
                "createEnrolment": {
                    "auth": {"kind": "basic", "user": "rto", "password": "${env:COLLEGE_TOKEN}"}
                },
                "cancelEnrolment": {
                    "auth": [{"kind": "header", "name": "X-Key", "value": "${env:COLLEGE_TOKEN}"}]
                },
            },
        },
        operations={"updateMarking": "off"},
    )
    ran = deployment.run("settings", "college")
    assert ran.code == 0 and TOKEN not in ran.out
    assert "token     ‹the value of ${env:COLLEGE_TOKEN}›" in ran.out
    assert "user name rto" in ran.out and "header    X-Key" in ran.out
    assert '{"courseId":"${courseId}","student":{"id":"${student.id}"' in ran.out
    assert "/t/college/enrolments/${enrolmentId}/cancel" in ran.out
    assert "Update LMS Enrolment Marking (POST)\n    Leave it blank. It is switched off" in ran.out


def test_a_secret_path_is_named_too(deployment: Any) -> None:
    deployment.write(inbound={"auth": {"kind": "none"}, "path": "p" * 30})
    ran = deployment.run("settings", "college")
    assert "p" * 30 not in ran.out and "‹written out in " in ran.out and "auth      NONE" in ran.out


def test_revealing_needs_a_terminal(deployment: Any) -> None:
    ran = deployment.run("settings", "college", "--reveal")
    assert ran.code == 2 and TOKEN not in ran.out + ran.err


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        ({"kind": "bearer", "token": TOKEN}, f"token     {TOKEN}"),
        ({"kind": "basic", "user": "rto", "password": TOKEN}, f"password  {TOKEN}"),
        ({"kind": "header", "name": "X-Key", "value": TOKEN}, f"value     {TOKEN}"),
    ],
    ids=["bearer", "basic", "header"],
)
def test_on_a_terminal_secrets_are_revealed_when_asked(
    deployment: Any, auth: Any, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.cli.admin import settings

    deployment.write(inbound={"auth": auth})
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    settings("college", config=deployment.config, reveal=True)
    assert shown in screen.getvalue()


def test_tokens_are_fresh_and_long_enough(bare: Any) -> None:
    first, second = bare("token").out.strip(), bare("token").out.strip()
    assert first != second
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", first)


def test_the_marking_slot_is_to_be_left_blank_where_the_mapping_leaves_it_out(deployment: Any) -> None:
    text = (Path(__file__).parents[2] / "mappings" / "talentlms.yaml").read_text()
    text = re.sub(r"(?m)^  marking:.*\n|^  updateMarking:.*\n(    .*\n)+", "", text)
    (deployment.folder / "own.yaml").write_text(text)
    deployment.write(mapping="./own.yaml")
    slots = {slot["operation"]: slot for slot in deployment.run("settings", "college", "--json").json}
    assert slots["updateMarking"]["leave_blank"] == "The LMS takes no marks."


def test_a_choice_the_vendor_does_not_list_now_is_red(deployment: Any) -> None:
    standin = create_learning_assistant()
    with running(standin) as url:
        portfolio(deployment, url)
        standin.faults.arm(Fault(kind="error", status=400, path="/company.cfc", count=None))
        assert "does not list its values" in rows(check(deployment))["Setting company"]["found"]
