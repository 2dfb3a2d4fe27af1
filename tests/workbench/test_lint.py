"""`lint`: everything wrong with mapping files, for people and for machines."""

import io
import json
from pathlib import Path

from rich.console import Console

from gateway.workbench.lint import lint
from tests.workbench.stand_ins import MAPPINGS

WARNS = """
format: 1
mapping: demo
version: 1.0.0
vendor: {name: Demo}
settings: {unused: {type: text, default: x}}
server: {base: "https://demo.example", hosts: [demo.example]}
operations:
  getCourses:
    steps: [{id: all, call: GET /courses, items: reply.body}]
    each: steps.all.items
    as: c
    give: {id: "${c.id}", name: "${c.name}"}
  createEnrolment:
    steps: [{id: enrol, call: POST /enrol, repeat: never, json: {c: "${courseId}"}, value: {id: "${reply.body.id}"}}]
    record: {id: "${steps.enrol.id}"}
    key: [id]
  transferEnrolment: {refuse: "No."}
  cancelEnrolment: {refuse: "No."}
"""
WRONG = WARNS.replace("reply.body.id", "replay.body.id").replace("repeat: never, ", "")


def linted(*files: Path, as_json: bool = False) -> tuple[int, str]:
    out = io.StringIO()
    code = lint(files, Console(file=out, width=80), as_json=as_json)
    return code, out.getvalue()


def written(folder: Path, text: str, name: str = "demo.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_shipped_mappings_have_no_errors():
    code, out = linted(*sorted(MAPPINGS.glob("*.yaml")))
    assert code == 0
    assert "0 errors" in out


def test_all_problems_of_a_file_are_reported_together(tmp_path):
    code, out = linted(written(tmp_path, WRONG))
    assert code == 1
    assert "when its answer is lost" in out
    assert "`replay` is not known here" in out
    assert "1 file: 2 errors, 1 warning" in out


def test_a_warning_alone_is_no_failure(tmp_path):
    code, out = linted(written(tmp_path, WARNS))
    assert code == 0
    assert "`settings.unused` is never used" in out


def test_every_file_is_linted_even_after_a_broken_one(tmp_path):
    code, out = linted(written(tmp_path, "a: [", "broken.yaml"), written(tmp_path, WARNS))
    assert code == 1
    assert "settings.unused" in out
    assert "2 files" in out


def test_json_gives_each_problem_with_its_place_and_fix(tmp_path):
    code, out = linted(written(tmp_path, WRONG), as_json=True)
    problems = json.loads(out)
    assert code == 1
    assert {problem["severity"] for problem in problems} == {"error", "warning"}
    lost = next(problem for problem in problems if "answer is lost" in problem["message"])
    assert lost["place"] == "operations.createEnrolment.steps.enrol"
    assert lost["line"] == 15
    assert "repeat: safe" in lost["fix"]


def test_markup_in_a_mapping_is_printed_as_it_is(tmp_path):
    _, out = linted(written(tmp_path, WRONG.replace("replay.body.id", "replay.body[0].id")))
    assert "replay.body[0].id" in out


def test_a_missing_file_is_a_problem_not_a_traceback(tmp_path):
    code, out = linted(tmp_path / "nowhere.yaml")
    assert code == 1
    assert "cannot be read" in out
