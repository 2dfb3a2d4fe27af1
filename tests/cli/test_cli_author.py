"""`lint`, `plan`, `try`, `explain`, `test`, `docs`, `schema`, `wsdl-diff`: the shell around the workbench."""

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from gateway.sandbox.learning_assistant import create_learning_assistant
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.serve import running

ROOT = Path(__file__).parents[2]
MAPPING = ROOT / "mappings" / "talentlms.yaml"


def test_lint_is_0_for_a_good_file_and_1_for_a_broken_one(bare: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("format: 1\nmapping: x\n")
    assert bare("lint", str(MAPPING)).code == 0
    ran = bare("lint", str(MAPPING), str(broken), "--json")
    assert ran.code == 1
    assert {Path(problem["file"]).name for problem in ran.json if problem["severity"] == "error"} == {
        "broken.yaml"
    }


def test_plan_of_a_tenant_shows_its_requests(deployment: Any) -> None:
    ran = deployment.run("plan", "college", "cancelEnrolment", "--with", "enrolmentId=7-126")
    assert (
        ran.code == 0
        and f"GET {deployment.url}/api/v1/removeuserfromcourse/course_id:126,user_id:7" in ran.out
    )
    assert deployment.standin.journal.entries == type(deployment.standin.journal.entries)(maxlen=5000)


def test_plan_of_a_poll_shows_its_calls_and_takes_no_case(deployment: Any) -> None:
    ran = deployment.run("plan", "college", "poll")
    assert ran.code == 0 and f"GET {deployment.url}/api/v1/courses/id:‹courseId›" in ran.out
    assert "--with" in deployment.run("plan", "college", "poll", "--case", "x").err


def test_plan_takes_what_a_case_knows(deployment: Any, bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = ["createEnrolment", "--case", "a new learner is made, enrolled"]
    of_file = bare("plan", *words, "--mapping", str(MAPPING))
    assert of_file.code == 0
    assert '"user_id": "7"' in of_file.out and "group_key:WHS-2026" in of_file.out
    of_tenant = deployment.run("plan", "college", *words, "--with", "courseId=127")
    assert '"user_id": "7"' in of_tenant.out and '"course_id": "127"' in of_tenant.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["createEnrolment", "--case", "no such case"], 1, "has no case like that. It has:"),
        (["cancelEnrolment", "--case", "a new learner is made"], 2, "That case is about createEnrolment"),
    ],
)
def test_plan_says_why_a_case_cannot_fill_it(
    bare: Any, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(ROOT)
    ran = bare("plan", *words, "--mapping", str(MAPPING))
    assert ran.code == code
    assert said in " ".join((ran.out + ran.err).split())


def test_plan_of_a_file_takes_its_settings(bare: Any) -> None:
    ran = bare(
        "plan", "cancelEnrolment", "--mapping", str(MAPPING), "--settings", "domain=a.example.com",
        "--with", "enrolmentId=7-126", "--json",
    )  # fmt: skip
    assert ran.code == 0 and ran.json["hosts"] == ["a.example.com"]


def test_an_unknown_operation_gets_the_likeliest(deployment: Any) -> None:
    ran = deployment.run("plan", "college", "createEnrollment")
    assert ran.code == 2 and "Did you mean `createEnrolment`?" in " ".join(ran.err.split())


def test_try_stops_before_the_first_write(deployment: Any) -> None:
    given = ("--with", "courseId=126", "--with", "student.id=5", "--with", "student.firstName=Jo")
    ran = deployment.run("try", "college", "createEnrolment", *given)
    assert ran.code == 0 and "Stopped before the first write" in ran.out
    assert not deployment.standin.journal.effect_counts


def test_try_writes_when_told_to(deployment: Any) -> None:
    given = ("--with", "courseId=126", "--with", "student.id=5", "--with", "student.firstName=Jo")
    ran = deployment.run("try", "college", "createEnrolment", *given, "--really-write", "--json")
    assert ran.code == 0 and json.loads(ran.out)["answer"]["id"].endswith("-126")
    assert deployment.standin.journal.effect_counts["user_enrolled"] == 1


def test_explain_says_why_something_is_null(bare: Any, tmp_path: Path) -> None:
    (tmp_path / "scope.json").write_text('{"a": {"b": 3}}')
    assert bare("explain", "a.b", "--scope", str(tmp_path / "scope.json")).out == "3\n"
    assert bare("explain", "a.b").out.startswith("null\n")
    assert bare("explain", "a", "--scope", str(tmp_path / "no.json")).code == 1


def test_cases_are_played_by_name_or_file(bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    one = bare("test", "talentlms", "--only", "cancel")
    assert one.code == 0 and "no failed" in one.out
    file = ROOT / "tests" / "mappings" / "talentlms.yaml"
    assert bare("test", str(file), "--only", "cancel", "--json").json[0]["mapping"] == "talentlms"
    assert bare("test", "talentlmz").code == 2


def test_cases_that_do_not_hold_exit_with_1(
    bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "tests" / "mappings" / "talentlms.yaml").read_text()
    assert "status: 200" in text or "json:" in text
    broken = tmp_path / "tests" / "mappings"
    broken.mkdir(parents=True)
    (broken / "talentlms.yaml").write_text(text.replace("enrolmentId: 7-126", "enrolmentId: 8-126"))
    monkeypatch.chdir(tmp_path)
    ran = bare("test", "--only", "cancel", "--json")
    assert ran.code == 1 and ran.json[0]["failures"]


def test_without_case_files_test_says_so(bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bare("test").code == 2


def test_docs_prints_the_page_of_a_mapping(
    bare: Any, deployment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_file = bare("docs", str(MAPPING))
    assert by_file.code == 0 and by_file.out.startswith("# ")
    monkeypatch.chdir(deployment.folder)
    assert bare("docs", "talentlms").out == by_file.out
    assert bare("docs", "talentlmz").code == 2
    assert bare("docs", "talentlms", "--config", "/nowhere.yaml").code == 1
    monkeypatch.chdir("/")
    assert bare("docs", "talentlms").out == by_file.out


@pytest.mark.parametrize("which", ["mapping", "config", "cases"])
def test_schema_prints_a_schema(bare: Any, which: str) -> None:
    assert bare("schema", which).json["$schema"].startswith("https://json-schema.org/")


def test_wsdls_are_compared_with_the_mapping(deployment: Any, tmp_path: Path) -> None:
    switches = LearningAssistantSwitches(rename={"CourseName": "FrameworkName"})
    with running(create_learning_assistant(switches)) as url:
        portfolio(deployment, url)
        ran = deployment.run("wsdl-diff", "college")
        assert ran.code == 1 and '"CourseName": "FrameworkName"' in ran.out
        listed = deployment.run("wsdl-diff", "college", "--json").json
        assert any(each["name"] == "CourseName" for each in listed)
        folder = tmp_path / "wsdls"
        folder.mkdir()
        for service in ("user", "course"):
            with urlopen(f"{url}/webservices/soap/{service}.cfc?wsdl") as page:
                (folder / f"{service}.wsdl").write_bytes(page.read())
        ran = deployment.run("wsdl-diff", "college", "--folder", str(folder))
        assert '"CourseName": "FrameworkName"' in ran.out and "company.cfc" in ran.out


def test_without_differences_the_exit_code_is_0(deployment: Any) -> None:
    ran = deployment.run("wsdl-diff", "college")  # its vendor has no WSDLs
    assert (ran.code, ran.out) == (0, "No differences.\n")


def portfolio(deployment: Any, url: str) -> None:
    config = json.loads(deployment.config.read_bytes())
    config["tenants"]["college"] |= {
        "mapping": "learning-assistant",
        "base_url": f"{url}/webservices/soap",
        "settings": {"company": "c", "assessor": "a", "verifier": "v", "cancel": "update"},
        "secrets": {"username": "u", "password": "p"},
    }
    deployment.config.write_text(json.dumps(config))
