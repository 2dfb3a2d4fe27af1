"""`explain`: a value, or why there is none."""

import pytest

from gateway.errors import RequestError
from gateway.workbench.explain import explain, read_scope

SCOPE = {"student": {"firstName": "Ana", "id": "204"}, "reply": {"body": {"courses": [{"id": 1}], "n": "x"}}}


def test_a_value_is_shown_as_json():
    assert explain("reply.body.courses[0]", SCOPE) == '{\n  "id": 1\n}'


def test_a_pasted_placeholder_is_read_as_its_expression():
    assert explain("${student.id}", SCOPE) == '"204"'


def test_null_says_where_the_path_ends_and_what_was_meant():
    text = explain("student.fristName", SCOPE)
    assert text.startswith("null\n")
    assert "Did you mean `firstName`?" in text


def test_a_syntax_error_has_a_caret_under_its_place():
    lines = explain("student.id == ", SCOPE).splitlines()
    assert lines[0] == "  student.id == "
    assert lines[1].strip() == "^"
    assert lines[1].index("^") >= len("  student.id ==")


def test_an_error_in_a_later_line_shows_that_line():
    lines = explain("student.id\n  == )", SCOPE).splitlines()
    assert lines[0] == "    == )"
    assert lines[0][lines[1].index("^")] == ")"


def test_a_wrong_type_is_told_without_the_value():
    text = explain("lower(reply.body.courses)", SCOPE)
    assert "lower" in text.splitlines()[0]
    assert "^" in text.splitlines()[1]


def test_unreadable_vendor_text_is_null_and_a_vendor_fault():
    assert "vendor fault: " in explain("number(reply.body.n)", SCOPE)


def test_warnings_stand_below_the_value():
    text = explain("student.id ?? '' == 'x'", SCOPE)
    assert text.startswith('"204"')
    assert "warning: This is read as" in text


def test_a_scope_file_is_one_json_object(tmp_path):
    file = tmp_path / "scope.json"
    file.write_text('{"a": 1}')
    assert read_scope(file) == {"a": 1}


@pytest.mark.parametrize("text", ["[1]", "{", "\xff"], ids=["a list", "broken", "no JSON"])
def test_any_other_file_is_refused(tmp_path, text):
    file = tmp_path / "scope.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(RequestError):
        read_scope(file)
