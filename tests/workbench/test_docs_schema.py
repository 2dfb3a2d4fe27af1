"""The keyword tables of the mapping language's pages are those of the schema."""

from __future__ import annotations

import pytest

from gateway.mapping.expressions import FUNCTION_NAMES, compile_expression
from gateway.mapping.load import parse_mapping
from gateway.workbench.docs_schema import keyword_tables, page_file, refreshed

LANGUAGE = "mapping-language.md"
JMESPATH = {
    "abs",
    "avg",
    "ceil",
    "contains",
    "ends_with",
    "floor",
    "join",
    "keys",
    "length",
    "map",
    "max",
    "max_by",
    "merge",
    "min",
    "min_by",
    "not_null",
    "reverse",
    "sort",
    "sort_by",
    "starts_with",
    "sum",
    "to_array",
    "to_number",
    "to_string",
    "type",
    "values",
}


def test_the_tables_of_the_page_are_up_to_date() -> None:
    page = page_file().read_text(encoding="utf-8")
    assert page == refreshed(page), "run: python -m gateway.workbench.docs_schema"


def test_the_page_is_short_enough_to_be_read() -> None:
    assert len(page_file(LANGUAGE).read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("name", sorted(FUNCTION_NAMES - JMESPATH))
def test_a_function_that_jmespath_does_not_have_is_explained(name: str) -> None:
    assert f"`{name}(" in page_file(LANGUAGE).read_text(encoding="utf-8")


def test_tables_have_a_row_for_each_keyword_and_keep_their_columns() -> None:
    tables = keyword_tables()
    assert "| `path.keep` | Characters that stay literal in path values. | `@` |" in tables
    assert "And of a call: `when`, `call`" in tables
    rows = [line for line in tables.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == 4 for line in rows)


def test_what_stands_around_the_tables_stays() -> None:
    page = "before <!-- keywords: made from the schema -->old<!-- end of keywords --> after"
    assert refreshed(page).startswith("before ")
    assert refreshed(page).endswith(" after")
    assert "-->old" not in refreshed(page)


def test_the_first_file_on_the_page_loads_without_a_word() -> None:
    page = page_file(LANGUAGE).read_text(encoding="utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    assert parse_mapping(text).warnings == ()


def test_the_null_on_the_page_reads_as_it_does_in_truth() -> None:
    expression = compile_expression("student.fristName")
    student = {"id": "1", "firstName": "Ana", "lastName": ""}
    reason = expression.reason({"student": student})
    assert reason in page_file(LANGUAGE).read_text(encoding="utf-8")
