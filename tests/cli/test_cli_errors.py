"""The mistakes everybody makes first, and how they are told."""

import io
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from gateway.cli import main
from gateway.cli import report as cli_report
from gateway.cli.options import values_of
from gateway.errors import InternalError, Problem, ProblemsFound, StoreError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_missing_configuration_names_all_three_places(
    bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LMS_GATEWAY_CONFIG", raising=False)
    ran = bare("settings", "college")
    assert ran.code == 1
    for part in ("--config: not given", "LMS_GATEWAY_CONFIG: not set", "./config.yaml: not there"):
        assert part in ran.err
    assert ":0:0" not in ran.err and ran.out == ""


def test_the_configuration_is_taken_from_the_environment(
    bare: Any, deployment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMS_GATEWAY_CONFIG", str(deployment.config))
    assert bare("settings", "college", "--json").code == 0


def test_an_unknown_tenant_gets_the_likeliest_name(deployment: Any) -> None:
    ran = deployment.run("settings", "colege")
    assert ran.code == 2
    assert "There is no tenant `colege`. Did you mean `college`?" in " ".join(ran.err.split())


def test_an_unknown_tenant_far_from_all_gets_the_list(deployment: Any) -> None:
    assert "There is: college." in " ".join(deployment.run("settings", "zzz").err.split())


def test_a_missing_secret_names_the_variable_its_place_and_the_line_to_type(
    deployment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLLEGE_KEY", raising=False)
    deployment.write(secrets={"apiKey": "${env:COLLEGE_KEY}"})
    ran = deployment.run("settings", "college")
    assert ran.code == 1
    assert "The environment variable `COLLEGE_KEY` is not set." in ran.err
    assert "tenants.college.secrets.apiKey" in ran.err
    assert "export COLLEGE_KEY=" in ran.err
    assert "1 problem found." in ran.err


def test_a_store_of_a_newer_gateway_is_a_sentence(deployment: Any) -> None:
    from sqlalchemy import text

    assert deployment.run("db", "upgrade").code == 0
    deployment.store(lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    ran = deployment.run("runs", "list")
    assert ran.code == 1
    assert "The store cannot be used. The database was upgraded by a newer gateway" in ran.err


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(StoreError("The disk is full."), "The disk is full.", id="store"),
        pytest.param(InternalError("Oh.", code="oh", detail="deep"), "Oh. (oh)\n    deep", id="ours"),
        pytest.param(InternalError("Oh.", code="oh"), "Oh. (oh)", id="ours without detail"),
        pytest.param(ValueError("plain"), "plain", id="other"),
        pytest.param(ProblemsFound([]), "0 problems found.", id="nothing said"),
    ],
)
def test_an_error_of_ours_becomes_sentences_and_exit_1(
    error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli_report.failed(error) == 1
    assert told in capsys.readouterr().err


def test_a_problem_in_a_line_keeps_its_place() -> None:
    problem = Problem(file="c.yaml", line=3, column=5, place="a.b", message="No.", fix="Yes.")
    assert cli_report.problem_text(problem).startswith("c.yaml:3:5  a.b")


def test_a_table_on_a_terminal_is_drawn_and_off_it_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    head, rows = ("what", "found"), [("a", "one\ntwo"), ("b", "[red]three")]
    for out, expected in ((io.StringIO(), "a\tone two\n"), (Terminal(), "[red]three")):
        monkeypatch.setattr(sys, "stdout", out)
        cli_report.table(head, rows, styles=["red"])
        assert expected in out.getvalue()


def test_a_bar_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for out in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stdout", out)
        with cli_report.progress("Looking", 2) as step:
            step()
        assert bool(out.getvalue()) is out.isatty()


def test_a_closed_stream_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    assert not cli_report.on_terminal()


def test_values_are_nested_typed_only_as_json_and_merged_with_files(tmp_path: Path) -> None:
    file = tmp_path / "more.json"
    file.write_bytes(orjson.dumps({"student": {"lastName": "Silva"}, "n": 3}))
    given = ["courseId=0126", "student.id=5", 'quizResults=[{"a": 1}]', "odd={not json", f"@{file}"]
    assert values_of(given) == {
        "courseId": "0126",
        "student": {"id": "5", "lastName": "Silva"},
        "quizResults": [{"a": 1}],
        "odd": "{not json",
        "n": 3,
    }


@pytest.mark.parametrize("word", ["nothing", "=x", "@/nowhere.json"])
def test_a_value_that_cannot_be_read_is_a_usage_mistake(word: str) -> None:
    with pytest.raises(typer.BadParameter):
        values_of([word])


def test_a_value_cannot_be_text_and_object_at_once() -> None:
    with pytest.raises(typer.BadParameter, match="has a value already"):
        values_of(["a=1", "a.b=2"])


def test_a_value_file_must_hold_an_object(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(typer.BadParameter, match="JSON object"):
        values_of([f"@{tmp_path / 'list.json'}"])


@pytest.mark.parametrize(("argv", "code"), [(["token"], 0), (["nonsense"], 2)])
def test_the_entry_point_exits_with_the_commands_code(
    argv: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["lms-gateway", *argv])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
