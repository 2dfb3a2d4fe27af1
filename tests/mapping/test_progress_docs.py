"""The page on progress: its examples load, its error is what is said, its tables are those of the schema."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from gateway.errors import ProblemsFound
from gateway.mapping.compile_rows import VALUES
from gateway.mapping.load import parse_mapping
from gateway.mapping.schema import load_schema
from gateway.workbench.docs_schema import PROGRESS_PAGE, page_file, refreshed

TEXT = page_file(PROGRESS_PAGE).read_text(encoding="utf-8")
FIRST_FILE = (
    page_file("mapping-language.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
)
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def whole(example: str) -> str:
    """The first file of the other page with an example; the first example is there in all of them."""
    first, part = yaml.safe_load(EXAMPLES[0]), yaml.safe_load(example)
    data: dict[str, Any] = {**yaml.safe_load(FIRST_FILE), **part}
    data["progress"] = {**first["progress"], **part["progress"]}
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: str(EXAMPLES.index(text) + 1))
def test_an_example_loads_without_a_word(example: str) -> None:
    assert parse_mapping(whole(example)).warnings == ()


def test_the_page_has_an_example_of_polls_and_of_webhooks() -> None:
    keys = {key for example in EXAMPLES for key in yaml.safe_load(example)["progress"]}
    assert keys == {"read", "poll", "webhook"}


def test_the_error_on_the_page_reads_as_it_does_in_truth() -> None:
    webhook = next(example for example in EXAMPLES if "kind: hmac" in example)
    with pytest.raises(ProblemsFound) as found:
        parse_mapping(whole(webhook.replace("find: {userId", "find: {userid")))
    for line in str(found.value).splitlines()[-2:]:
        assert line in TEXT


def test_the_tables_of_the_page_are_up_to_date() -> None:
    assert refreshed(TEXT, PROGRESS_PAGE) == TEXT, "run: python -m gateway.workbench.docs_schema"


def test_the_page_is_short_enough_to_be_read() -> None:
    assert len(TEXT.splitlines()) <= 500


@pytest.mark.parametrize(
    "kind", load_schema("mapping-1.json")["$defs"]["verify"]["properties"]["kind"]["enum"]
)
def test_each_kind_of_proof_has_its_row(kind: str) -> None:
    assert f"\n| `{kind}` |" in TEXT


@pytest.mark.parametrize("plan", load_schema("mapping-1.json")["$defs"]["poll"]["properties"]["plan"]["enum"])
def test_each_plan_has_its_row(plan: str) -> None:
    assert f"\n| `{plan}` |" in TEXT


@pytest.mark.parametrize("name", VALUES)
def test_each_part_of_a_reading_has_its_row(name: str) -> None:
    assert f"\n| `{name}" in TEXT
