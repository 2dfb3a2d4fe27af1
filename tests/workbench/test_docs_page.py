"""`docs`: the administrator's page of a mapping, and that the shipped ones are up to date."""

from pathlib import Path

import pytest

from gateway.mapping.load import compile_document
from gateway.workbench.docs_page import docs
from gateway.yamlfile import parse_yaml
from tests.workbench.stand_ins import MAPPINGS, mapping

PAGES = Path(__file__).resolve().parents[2] / "docs" / "mappings"

PLAIN = """
format: 1
mapping: demo
version: 1.0.0
vendor: {name: Demo}
settings:
  place: {type: choice, of: [a, b], default: a, help: "a | b"}
  rows: {type: list, item: {id: text}, default: [{id: "1"}]}
  note: {type: text, default: ""}
secrets: {key: {required: false}}
server: {base: "https://demo.example", hosts: [demo.example], auth: {kind: bearer, token: "${secrets.key}"}}
operations:
  getCourses: {each: settings.rows, as: r, give: {id: "${r.id}", name: "${settings.place}${settings.note}"}}
  createEnrolment:
    steps:
      - id: enrol
        call: POST /enrol/${courseId}
        repeat: never
        value: {id: "${reply.body.id}"}
        undo: {call: "DELETE /enrol/${steps.enrol.id}", effect: write, repeat: safe}
    record: {id: "${steps.enrol.id}"}
    key: [id]
  transferEnrolment: {refuse: "Not `here`."}
  cancelEnrolment: {manual: "End ${enrolment.id}."}
"""


def page(text):
    document = parse_yaml(text, file="demo.yaml")
    return docs(compile_document(document).mapping, document=document)


@pytest.mark.parametrize("file", sorted(MAPPINGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_page_of_every_shipped_mapping_is_up_to_date(file):
    written = (PAGES / f"{file.stem}.md").read_text(encoding="utf-8")
    assert written == docs(mapping(file.stem)), (
        f"run: lms-gateway docs {file.stem} > docs/mappings/{file.stem}.md"
    )


def test_hosts_come_first():
    text = page(PLAIN)
    assert text.index("## Hosts") < min(
        text.index(f"## {name}") for name in ("The slots", "Settings", "Secrets")
    )
    assert "- `demo.example`\n" in text


@pytest.mark.parametrize(
    "line",
    [
        "| Get courses | answered from the settings | no |",
        "| Get enrolment | the enrolment with the progress that was heard of last | no |",
        "| Transfer enrolment | refused (Not `here`) | yes |",
        "| Cancel enrolment | noted on the manual list (End ${enrolment.id}) | no |",
        "| Update marking | acknowledged, nothing is sent | no |",
        "| `place` | one of `a`, `b` | no | `a` | a \\| b |",
        '| `rows` | a list of objects: `id` (text) | no | `[{"id": "1"}]` |  |',
        "| `note` | text | no | empty |  |",
        "- `key` (optional)",
        "- `POST /enrol/${courseId}` writes",
        "- `DELETE /enrol/${steps.enrol.id}` writes, only to take the step back",
    ],
)
def test_the_page_says(line):
    assert line in page(PLAIN).splitlines()


def test_a_slot_to_leave_blank_depends_on_the_setting_that_refuses_it():
    text = docs(mapping("talentlms"))
    marking = next(line for line in text.splitlines() if line.startswith("| Update marking"))
    assert marking.endswith("| when `settings.marking` is `refuse` |")


def test_look_ups_of_lost_answers_are_calls_too():
    assert "reads, only to look up a lost answer" in docs(mapping("talentlms"))


def test_a_mapping_without_settings_and_secrets_says_so():
    bare = PLAIN.replace("settings.rows", "\"split('1', ',')\"").replace('"${r.id}"', '"${r}"')
    bare = bare.replace('"${settings.place}${settings.note}"', '"${r}"').replace(
        ', auth: {kind: bearer, token: "${secrets.key}"}', ""
    )
    start, end = bare.index("settings:\n"), bare.index("server:")
    assert page(bare[:start] + bare[end:]).count("\nNone.\n") == 2


def test_what_ends_an_operation_before_anything_is_sent_is_told():
    check = (
        "- {id: fit, when: courseId != '7', check: [{if: student.lastName == null, say: No surname.}]}\n"
        "      - {id: gone, check: [{if: courseId == '0', is: absent}], value: {a: b}}\n      - id: enrol"
    )
    text = page(PLAIN.replace("- id: enrol", check))
    assert (
        "- ends when `student.lastName == null` (refused: No surname.), only when `courseId != '7'`\n"
        "- ends when `courseId == '0'` (absent)\n"
    ) in text


def test_the_fields_of_a_list_are_told():
    fields = '{id: text, "seats?": number, link: {type: link, required: false, help: start page}}'
    text = page(PLAIN.replace("item: {id: text}", f"item: {fields}"))
    told = "`id` (text), `seats` (number; may be left out), `link` (link; may be left out; start page)"
    assert f"| `rows` | a list of objects: {told} | no |" in text


def test_what_check_says_of_the_account_is_told():
    probe = 'probe: {call: GET /p, checks: [{if: reply.body.a, say: "Is ${reply.body.a}."}, {if: "true", say: So., level: note}]}'
    text = page(f"{PLAIN}{probe}\n")
    assert (
        "\n\n## What `lms-gateway check` says of the account\n\n"
        "- Is ${reply.body.a}. When `reply.body.a`.\n- So. (only a note) When `true`.\n"
    ) in text
    assert "\n\n\n" not in text
