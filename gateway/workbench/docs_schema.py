"""The keyword tables of docs/mapping-keywords.md and docs/mapping-progress.md, made from the schema.

`python -m gateway.workbench.docs_schema` writes them anew; a test fails while they are out of date.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.mapping.schema import data_folder, load_schema

PAGE, PROGRESS_PAGE = "mapping-keywords.md", "mapping-progress.md"
BEGIN, END = "<!-- keywords: made from the schema -->", "<!-- end of keywords -->"
_SHARED = "keyword-"
_MAX_EXAMPLE = 70
_SECTIONS = (
    ("The top of the file", ""),
    ("`settings`: one setting", "setting"),
    ("`item`: one field of a list", "settingField"),
    ("`server`", "server"),
    ("`server.auth`", "auth"),
    ("A call", "call"),
    ("`pages`", "pages"),
    ("`replies`: one rule", "rule"),
    ("`soap`", "soap"),
    ("`place`", "place"),
    ("A step", "step"),
    ("`first`: one branch", "branch"),
    ("`check`: one rule", "checkRule"),
    ("`confirm`", "confirm"),
    ("`checks` of the probe: one rule", "probeCheck"),
    ("An operation", "operation"),
)
_PROGRESS_SECTIONS = (
    ("`progress`", "progress"),
    ("`poll`: one plan", "poll"),
    ("`webhook`", "webhook"),
    ("`verify`", "verify"),
)
_PAGES = {PAGE: _SECTIONS, PROGRESS_PAGE: _PROGRESS_SECTIONS}
_IN_CALL = ("soap", "pages", "replies")
_OPERATIONS = ("plainOperation", "getCourse", "getCourses", "transferEnrolment", "createEnrolment")

Schema = dict[str, Any]


def keyword_tables(name: str = PAGE) -> str:
    """All tables of a page, as Markdown."""
    schema = load_schema("mapping-1.json")
    return "\n".join(line for title, part in _PAGES[name] for line in _table(schema, title, part))


def refreshed(page: str, name: str = PAGE) -> str:
    """The page with its tables made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{keyword_tables(name)}\n{END}{after}"


def _table(schema: Schema, title: str, name: str) -> Iterator[str]:
    properties = _properties(schema, name)
    shared = [key for key in properties if _is_shared(properties[key], key) and name != "call"]
    rows = [row for key, part in properties.items() if key not in shared for row in _rows(schema, key, part)]
    yield f"\n### {title}\n"
    if rows:
        yield "| Keyword | Meaning | Example |\n|---|---|---|"
        yield from rows
    if shared:
        words = ", ".join(f"`{key}`" for key in shared)
        yield f"\nAnd of a call: {words}." if rows else f"Of a call: {words}."


def _properties(schema: Schema, name: str) -> Schema:
    defs = schema["$defs"]
    match name:
        case "":
            found = schema
        case "call":  # what calls have in common stands in the schema once for each keyword
            words = {key.removeprefix(_SHARED): defs[key] for key in defs if key.startswith(_SHARED)}
            return {**words, **{key: {"$ref": f"#/$defs/{key}"} for key in _IN_CALL}}
        case "operation":
            return {key: part for each in _OPERATIONS for key, part in defs[each]["properties"].items()}
        case "rule":
            found = defs["replies"]["items"]
        case _:
            found = defs[name]
    properties: Schema = found["properties"]
    return properties


def _is_shared(part: Schema, key: str) -> bool:
    reference = part.get("$ref", "")
    return reference.endswith(f"/{_SHARED}{key}") or (key in _IN_CALL and reference.endswith(f"/{key}"))


def _rows(schema: Schema, key: str, part: Schema, around: str = "") -> Iterator[str]:
    """One row, or one for each keyword inside that has no table of its own."""
    own_table = "$ref" in part and part["$ref"].rpartition("/")[2] not in ("expression", "duration", "size")
    found, name = _resolved(schema, part), f"{around}{key}"
    inside = {} if own_table or key == "operations" else found.get("properties", {})
    if not inside or "examples" in found:
        yield f"| `{name}` | {_cell(found['description'])}{_words(found)} | {_example(found)} |"
    for inner, value in inside.items():
        if not _is_shared(value, inner):
            yield from _rows(schema, inner, value, f"{name}.")


def _resolved(schema: Schema, part: Schema) -> Schema:
    while "$ref" in part:
        own = {key: value for key, value in part.items() if key != "$ref"}
        part = {**schema["$defs"][part["$ref"].rpartition("/")[2]], **own}
    return part


def _words(part: Schema) -> str:
    words = part.get("enum")
    return f" One of: {', '.join(f'`{word}`' for word in words)}." if words else ""


def _example(part: Schema) -> str:
    for example in part.get("examples", ()):
        text = example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)
        if len(text) <= _MAX_EXAMPLE:
            return f"`{_cell(text)}`" if text else '`""`'
    return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def page_file(name: str = PAGE) -> Path:
    return data_folder("schemas").parent / "docs" / name


if __name__ == "__main__":
    for each in _PAGES:
        page_file(each).write_text(
            refreshed(page_file(each).read_text(encoding="utf-8"), each), encoding="utf-8"
        )
