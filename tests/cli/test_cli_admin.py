"""`check`, `settings`, `choices` and `token` against a vendor stand-in on a real socket."""

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.progress.rtopilot_key import fingerprint
from gateway.sandbox.faults import Fault
from gateway.sandbox.learning_assistant import create_learning_assistant
from gateway.sandbox.learning_assistant_seed import ASSESSOR_UUID, COMPANY_UUID, VERIFIER_UUID
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.rtopilot_office import Organisation
from gateway.sandbox.rtopilot_progress import ProgressServer, progress_stand_in
from gateway.sandbox.serve import running
from gateway.secret import Secret
from gateway.store import enrolments, inbox, pauses
from tests.support.hooked import VARIANTS, mapping, tenant_changes, write_mapping

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


def test_learners_may_sign_in_elsewhere(deployment: Any) -> None:
    deployment.write(settings={"email": "${student.id}@learners.invalid"}, sign_in="elsewhere")
    found = rows(check(deployment))["Learners can sign in"]
    assert found["verdict"] == "ok" and "elsewhere" in found["found"]


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
        slots = {
            slot["operation"]: slot for slot in deployment.run("settings", "college", "--json").json["slots"]
        }
        assert "refused" in slots["transferEnrolment"]["leave_blank"]
        assert "refused" in slots["cancelEnrolment"]["leave_blank"]
        portfolio(deployment, url, cancel="list")
        slots = {
            slot["operation"]: slot for slot in deployment.run("settings", "college", "--json").json["slots"]
        }
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
    slots = {
        slot["operation"]: slot for slot in deployment.run("settings", "college", "--json").json["slots"]
    }
    assert slots["updateMarking"]["leave_blank"] == "The LMS takes no marks."


def test_a_choice_the_vendor_does_not_list_now_is_red(deployment: Any) -> None:
    standin = create_learning_assistant()
    with running(standin) as url:
        portfolio(deployment, url)
        standin.faults.arm(Fault(kind="error", status=400, path="/company.cfc", count=None))
        assert "does not list its values" in rows(check(deployment))["Setting company"]["found"]


# -- progress


KEY = "rtop_" + "0a" * 32
HOOK = "hook-secret-of-these-tests-0123456789"


@pytest.fixture
def rtopilot() -> Iterator[tuple[ProgressServer, str]]:
    server = ProgressServer()
    server.admit(Organisation(name="college"), KEY)
    with running(progress_stand_in(server)) as url:
        yield server, f"{url}/api"


def enrol(deployment: Any, courses: int) -> None:
    """Active enrolments, each in a course of its own."""

    def seed(conn: Any) -> None:
        for number in range(courses):
            enrolments.adopt(
                conn,
                tenant="college",
                vendor_account="seeded",
                key=f"7-{number}",
                generation=1,
                id=f"7-{number}",
                record={},
                now=0.0,
                course_id=str(number),
            )

    deployment.store(seed)


def test_check_without_rtopilot_says_that_nothing_is_pushed(deployment: Any) -> None:
    found = rows(check(deployment))
    assert found["Progress reaches RTOPilot"]["verdict"] == "warning"
    assert "rtopilot: {base_url: https://v2.rtopilot.com.au/api" in found["Progress reaches RTOPilot"]["todo"]
    assert found["Poll"]["found"] == "Every 10m: nobody is enrolled yet. It begins when a gateway serves."
    assert "RTOPilot can be reached" not in found and "Queue for RTOPilot" not in found


def test_check_with_progress_off_says_so_and_no_more(deployment: Any) -> None:
    deployment.write(progress="off")
    found = rows(check(deployment))
    assert found["Progress reaches RTOPilot"]["verdict"] == "skipped"
    assert "Poll" not in found and "Time zone" not in found


def test_check_with_rtopilot_connects_and_pushes_nothing(deployment: Any, rtopilot: Any) -> None:
    server, url = rtopilot
    deployment.write(rtopilot={"base_url": url, "api_key": KEY}, progress={"zone": "Perth"})
    enrol(deployment, 3)
    ran = check(deployment)
    found = rows(ran)
    assert found["Progress reaches RTOPilot"]["found"].startswith("A rehearsal: it goes to ")
    assert "Australia/Perth" in found["Time zone"]["found"]
    assert "one call for each of 3 courses, 18 an hour" in found["Poll"]["found"]
    assert "18 of the 1,600" in found["Call budget"]["found"]
    assert found["Queue for RTOPilot"]["verdict"] == "ok"
    assert found["RTOPilot can be reached"]["verdict"] == "ok"
    assert "RTOPilot takes the API key" not in found
    assert [entry for entry in server.journal.entries if entry.method == "PUT"] == []
    assert KEY not in ran.out + ran.err


def test_a_tenants_own_times_are_what_is_checked(deployment: Any) -> None:
    deployment.write(progress={"at": ["02:00"], "zone": "Australia/Darwin"})
    enrol(deployment, 2)
    assert "At 02:00 in Australia/Darwin: one call for each of 2" in rows(check(deployment))["Poll"]["found"]


def test_polls_beyond_the_budget_are_red_with_an_interval_that_fits(deployment: Any) -> None:
    enrol(deployment, 300)
    ran = check(deployment)
    row = rows(ran)["Call budget"]
    assert ran.code == 1 and row["verdict"] == "red"
    assert "1,800 of the 1,600" in row["found"] and "progress: {every: 20m}" in row["todo"]
    deployment.write(progress={"every": "20m"})
    assert rows(check(deployment))["Call budget"]["verdict"] == "ok"


def test_the_api_key_is_tried_when_asked_and_never_shown(
    deployment: Any, rtopilot: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server, url = rtopilot
    deployment.write(rtopilot={"base_url": url, "api_key": KEY})
    caplog.set_level("DEBUG")
    ran = check(deployment, "--rtopilot")
    assert rows(ran)["RTOPilot takes the API key"]["verdict"] == "ok"
    server.admit_named("college", "rtop_" + "0b" * 32)
    again = check(deployment, "--rtopilot")
    assert again.code == 1 and rows(again)["RTOPilot takes the API key"]["verdict"] == "red"
    assert KEY not in ran.out + ran.err + again.out + again.err + caplog.text


def test_a_refused_key_and_webhooks_kept_aside_are_told(deployment: Any, rtopilot: Any) -> None:
    _, url = rtopilot
    hooks = {"events": {"student.merged": {"secret": HOOK}}}
    deployment.write(rtopilot={"base_url": url, "api_key": KEY, "hooks": hooks})

    def refused(conn: Any) -> None:
        pauses.pause(conn, "college", fingerprint(Secret(KEY)), "RTOPilot answered 401.", 0.0)
        inbox.store(
            conn,
            tenant="college",
            source="rtopilot:student.merged",
            raw=b"{}",
            headers={},
            now=0.0,
            quarantined="no-scheme",
        )

    deployment.store(refused)
    found = rows(check(deployment))
    assert found["Queue for RTOPilot"]["verdict"] == "red"
    assert "lms-gateway outbox resume college" in found["Queue for RTOPilot"]["todo"]
    assert found["RTOPilot's webhooks"]["verdict"] == "warning"
    assert "lms-gateway hooks list --tenant college" in found["Webhooks kept aside"]["todo"]
    deployment.write(rtopilot={"base_url": url, "api_key": "rtop_" + "0c" * 32})
    assert rows(check(deployment))["Queue for RTOPilot"]["verdict"] == "ok"


def pasted(ran: Any) -> dict[str, dict[str, Any]]:
    return {paste["what"]: paste for paste in ran.json["progress"]}


def hooked(deployment: Any, variant: str = "hmac", **tenant: Any) -> None:
    """A tenant of an LMS with webhooks."""
    path = write_mapping(deployment.folder, mapping(VARIANTS[variant]))
    changes = tenant_changes(VARIANTS[variant], path, deployment.url)
    deployment.write(base_url=deployment.url, **{**changes, **tenant})
    data = orjson.loads(deployment.config.read_bytes())
    data["tenants"]["college"]["settings"] = changes.get("settings", {})
    deployment.config.write_bytes(orjson.dumps(data))


def test_settings_without_rtopilot_say_what_is_missing(deployment: Any) -> None:
    found = pasted(deployment.run("settings", "college", "--json"))
    assert list(found) == ["API key"] and "no `rtopilot:`" in found["API key"]["note"]
    deployment.write(progress="off")
    ran = deployment.run("settings", "college")
    assert "So that progress comes back" not in ran.out


def test_settings_say_where_rtopilots_key_goes_and_never_show_it(
    deployment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (deployment.folder / "key").write_text(KEY)
    deployment.write(rtopilot={"base_url": "https://demo.example/api", "api_key": "${file:key}"})
    ran = deployment.run("settings", "college")
    assert "    goes to   ${file:key}\n" in ran.out and "taken up without a restart" in ran.out
    assert "PUT https://demo.example/api/enrolments/lms-progress" in ran.out
    monkeypatch.setenv("COLLEGE_RTOPILOT", KEY)
    deployment.write(rtopilot={"base_url": "https://demo.example/api", "api_key": "${env:COLLEGE_RTOPILOT}"})
    again = deployment.run("settings", "college")
    assert "${env:COLLEGE_RTOPILOT}" in again.out and "Restart the gateway" in again.out
    assert KEY not in ran.out + again.out


def test_settings_show_rtopilots_webhooks_with_their_credential(deployment: Any) -> None:
    place = {"base_url": "http://127.0.0.1:9/api", "api_key": KEY}
    deployment.write(rtopilot={**place, "hooks": {"events": {"student.merged": {"secret": [HOOK, HOOK]}}}})
    [_, paste] = deployment.run("settings", "college", "--json").json["progress"]
    assert paste["values"]["URL"].endswith("/t/college/hooks/student.merged")
    assert paste["values"]["auth"] == "BEARER" and "written out" in paste["values"]["secret"]
    auth = [{"kind": "header", "name": "X-Hook", "value": HOOK}]
    deployment.write(rtopilot={**place, "hooks": {"auth": auth}})
    ran = deployment.run("settings", "college", "--json")
    assert list(pasted(ran)) == ["API key", "Webhook for student.merged", "Webhook for student.created"]
    values = pasted(ran)["Webhook for student.created"]["values"]
    assert values["header"] == "X-Hook" and "rtopilot.hooks.events.student.created.secret" in values["secret"]
    assert HOOK not in ran.out


@pytest.mark.parametrize(
    ("variant", "end", "fields"),
    [
        pytest.param("hmac", "/t/college/lms-events", {"URL", "secret"}, id="hmac"),
        pytest.param("secret-path", "/t/college/lms-events/‹written out in ", {"URL"}, id="secret-path"),
        pytest.param("basic", "/t/college/lms-events", {"URL", "secret", "user name"}, id="basic"),
        pytest.param("jwt", "/t/college/lms-events", {"URL"}, id="jwt"),
    ],
)
def test_settings_show_the_address_of_the_lmss_webhook(
    deployment: Any, variant: str, end: str, fields: set[str]
) -> None:
    hooked(deployment, variant)
    ran = deployment.run("settings", "college", "--json")
    values = pasted(ran)["Webhook"]["values"]
    assert end in values["URL"] and values.keys() == fields
    assert VARIANTS[variant].secret not in ran.out


def test_a_secret_path_is_revealed_on_a_terminal_only(
    deployment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.cli.admin import settings

    hooked(deployment, "secret-path")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    settings("college", config=deployment.config, reveal=True)
    assert f"/t/college/lms-events/{VARIANTS['secret-path'].secret}" in screen.getvalue()


def test_of_several_webhooks_each_that_the_tenant_has_is_told(deployment: Any) -> None:
    hooked(deployment, secrets={"apiKey": "k" * 20, "webhook": HOOK})
    made = mapping(VARIANTS["hmac"])
    one = made["progress"]["webhook"]
    bearer = {**one, "verify": {"kind": "bearer", "secrets": ["webhookOld"]}}
    made["progress"]["webhook"] = [one, bearer, {**bearer, "when": "false"}]
    write_mapping(deployment.folder, made)
    found = pasted(deployment.run("settings", "college", "--json"))
    first, second = (found[f"Webhook, {name} in the mapping"] for name in ("webhook", "webhook-2"))
    assert first["values"]["URL"].endswith("/t/college/lms-events") and "secret" in first["values"]
    assert second["values"] == {} and "write `webhookOld`" in second["note"]
    assert not any("webhook-3" in what for what in found)
    checked = rows(check(deployment))
    assert checked["The LMS's webhook, `webhook`"]["verdict"] == "ok"
    assert checked["The LMS's webhook, `webhook-2`"]["verdict"] == "skipped"


def test_two_secrets_of_a_webhook_and_none_are_told(deployment: Any) -> None:
    secrets = {"apiKey": "k" * 20, "webhook": HOOK, "webhookOld": HOOK[::-1]}
    hooked(deployment, secrets=secrets)
    assert (
        "the other is still taken"
        in pasted(deployment.run("settings", "college", "--json"))["Webhook"]["note"]
    )
    made = mapping(VARIANTS["hmac"])
    made["secrets"]["webhook"]["required"] = False
    path = write_mapping(deployment.folder, made)
    hooked(deployment, secrets={"apiKey": "k" * 20})
    write_mapping(deployment.folder, made, path.name)
    found = pasted(deployment.run("settings", "college", "--json"))["Webhook"]
    assert found["values"] == {} and "write `webhook`" in found["note"]
    checked = rows(check(deployment))
    assert checked["The LMS's webhook"]["verdict"] == "skipped"
    assert checked["Poll.audit"]["found"].startswith("At 02:00 in Australia/Sydney: ")
