"""What a JSON Schema error means for the author, and what to write instead."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gateway.mapping.expressions import nearest
from gateway.mapping.pruning import Refusal
from gateway.mapping.source import Source
from gateway.mapping.templates import Path

MAX_LISTED = 30
MAX_SHOWN = 300
_EXPRESSION = ["string", "boolean", "number"]
_KINDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "`true` or `false`",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}
_FORMS = {
    "^(GET|POST|PUT|PATCH|DELETE) /": "A call is a method and a path that begins with `/`.",
    "^[0-9]{1,6}(ms|s|m|h|d)$": "A duration is a whole number with ms, s, m, h or d.",
    "^[0-9]{1,6}(kB|MB)$": "A size is a whole number with kB or MB.",
    "^[-._~]{1,4}$": "Only `-`, `.`, `_` and `~` stand unencoded otherwise, so only they may stand here.",
    "^[0-9]{1,2}%$": "A share is a whole number with a per cent sign.",
    "^[^/]*/[^/]*$": "Two words with a `/` between them: the one for true, the one for false.",
    "^(query|form|json)\\.[^.]+$": "A place in the request is `query.`, `form.` or `json.` and a name.",
    "^[a-z0-9][a-z0-9-]{0,40}$": "A mapping's name has lower-case letters, digits and hyphens.",
    "^[a-zA-Z][A-Za-z0-9]*$": "A name has letters and digits, and begins with a letter.",
    "^(GET|POST|PUT|PATCH|DELETE) /\\S*$": "A method and a path that begins with `/`, without spaces.",
    "^[A-Za-z0-9_][A-Za-z0-9_./-]*\\.yaml$": "A file name ends in `.yaml`.",
    "^([01][0-9]|2[0-3]):[0-5][0-9]$": "A time of the day is written such as `02:00`.",
    "^[a-z][A-Za-z0-9]*$": "A step's id has letters and digits, and begins with a lower-case letter.",
}
_LIMITS = {
    "minimum": "This must be {} or more.",
    "maximum": "This must be {} or less.",
    "minItems": "This list is empty.",
    "minLength": "This text is empty.",
    "maxLength": "This text may have {} characters at most.",
    "uniqueItems": "Something stands here twice.",
    "minProperties": "Nothing stands here.",
    "maxItems": "This list may have {} items at most.",
    "maxProperties": "Only {} of the keys may stand here.",
}


def note(source: Source, refusal: Refusal) -> None:
    """Add the problem to the source."""
    path = refusal.path
    match refusal.rule:
        case "additionalProperties":
            _unknown_keys(source, refusal)
        case "required":
            _missing(source, refusal)
        case "type":
            _wrong_kind(source, refusal)
        case "enum":
            _wrong_word(source, refusal)
        case "const":
            wanted = _shown(refusal.wanted)
            source.problem(path, f"This must be {wanted}.", fix=f"Write {wanted}.")
        case "pattern" if refusal.is_name:
            name = (*path, str(refusal.given))
            source.problem(
                name,
                _FORMS.get(refusal.wanted, "This is not in the form it must have."),
                fix="Choose another name.",
                key=True,
            )
        case "pattern":
            source.problem(
                path,
                _FORMS.get(refusal.wanted, "This is not in the form it must have."),
                fix=_example(refusal),
            )
        case rule:
            source.problem(
                path,
                _LIMITS.get(rule, "This cannot stand here.").format(refusal.wanted),
                fix=_example(refusal),
            )


def _unknown_keys(source: Source, refusal: Refusal) -> None:
    known = refusal.schema.get("properties", {})
    for key in refusal.unknown_keys():
        near = nearest(key, known)
        fix = f"Write `{near}`." if near else f"Known here: {_listed(known)}."
        source.problem((*refusal.path, key), f"`{key}` is not a keyword here.", fix=fix, key=True)


def _missing(source: Source, refusal: Refusal) -> None:
    path, kind = refusal.path, refusal.given.get("kind")
    named = bool(path) and isinstance(path[-1], str)
    because = f" of kind `{kind}`" if isinstance(kind, str) else ""
    for key in refusal.missing_keys():
        where = f"`{path[-1]}`{because} needs" if named else "This needs"
        source.problem(path, f"{where} `{key}`.", fix=f"Add `{key}:`.", key=named)


def _wrong_kind(source: Source, refusal: Refusal) -> None:
    path, wanted, given = refusal.path, refusal.wanted, refusal.given
    if wanted == _EXPRESSION and isinstance(given, list | dict):
        _unquoted(source, path)
        return
    if given is None:
        source.problem(path, "Nothing stands here.", fix=_example(refusal) or "Remove the line.", key=True)
        return
    kinds = [wanted] if isinstance(wanted, str) else wanted
    fix = _example(refusal)
    if kinds == ["string"] and not isinstance(given, list | dict) and "pattern" not in refusal.schema:
        fix = f'Put it in double quotes: "{source.document.text_of(path)}".'
    source.problem(path, f"This must be {' or '.join(_KINDS[kind] for kind in kinds)}.", fix=fix)


def _unquoted(source: Source, path: Path) -> None:
    """YAML took the bracket that begins an expression: print the line as it should be."""
    mark = source.document.place(path)
    line, start = source.document.source_line(mark.line), mark.column - 1
    end, first = _closing(line, start), line[start : start + 1]
    if end is None or first not in ("[", "{") or len(line) > MAX_SHOWN:
        source.problem(path, "This must be an expression.", fix="Put the expression in double quotes.")
        return
    quoted = '"' + line[start:end].replace("\\", "\\\\").replace('"', '\\"') + '"'
    source.problem(
        path,
        f"YAML reads `{first}` itself. Put the expression in double quotes:",
        fix=line[:start] + quoted + line[end:],
        offset=0,
    )


def _closing(line: str, start: int) -> int | None:
    """The end of the bracket that opens at `start`, if it closes in the same line."""
    depth = 0
    for at, letter in enumerate(line[start:], start):
        depth += (letter in "[{") - (letter in "]}")
        if depth <= 0:
            return at + 1
    return None


def _wrong_word(source: Source, refusal: Refusal) -> None:
    given, words = refusal.given, [str(word) for word in refusal.wanted]
    near = nearest(str(given)[:100], words)
    fix = f"Write `{near}`." if near else f"One of: {_listed(words)}."
    shown = "This" if isinstance(given, list | dict) else _shown(given)
    source.problem(refusal.path, f"{shown} cannot stand here.", fix=fix)


def _shown(value: Any) -> str:
    return f"`{value[:100] if isinstance(value, str) else json.dumps(value)}`"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(list(words)[:MAX_LISTED])


def _example(refusal: Refusal) -> str | None:
    examples = refusal.schema.get("examples")
    return f"For example: {json.dumps(examples[0], ensure_ascii=False)}" if examples else None
