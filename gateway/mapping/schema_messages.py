"""What a JSON Schema error means for the author, and what to write instead."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from jsonschema.exceptions import ValidationError

from gateway.mapping.expressions import nearest
from gateway.mapping.pruning import is_name, unknown_keys
from gateway.mapping.source import Source
from gateway.mapping.templates import Path

MAX_LISTED = 30
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
    "^[0-9]{1,2}%$": "A share is a whole number with a per cent sign.",
    "^[^/]*/[^/]*$": "Two words with a `/` between them: the one for true, the one for false.",
    "^(query|form|json)\\.[^.]+$": "A place in the request is `query.`, `form.` or `json.` and a name.",
    "^[a-z0-9][a-z0-9-]{0,40}$": "A mapping's name has lower-case letters, digits and hyphens.",
    "^[a-zA-Z][A-Za-z0-9]*$": "A name has letters and digits, and begins with a letter.",
    "^[a-z][A-Za-z0-9]*$": "A step's id has letters and digits, and begins with a lower-case letter.",
}


def note(source: Source, error: ValidationError) -> None:
    """Add the problem to the source."""
    path: Path = tuple(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            _unknown_keys(source, path, error)
        case "required":
            _missing(source, path, error)
        case "type":
            _wrong_kind(source, path, error)
        case "enum":
            _wrong_word(source, path, error)
        case "const":
            wanted = _shown(error.validator_value)
            source.problem(path, f"This must be {wanted}.", fix=f"Write {wanted}.")
        case "pattern":
            _wrong_form(source, path, error)
        case _:
            source.problem(path, _LIMITS.get(str(error.validator), _limit)(error), fix=_example(error))


def _unknown_keys(source: Source, path: Path, error: ValidationError) -> None:
    known = error.schema.get("properties", {})
    for key in unknown_keys(error):
        near = nearest(key, known)
        fix = f"Write `{near}`." if near else f"Known here: {_listed(known)}."
        source.problem((*path, key), f"`{key}` is not a keyword here.", fix=fix, key=True)


def _missing(source: Source, path: Path, error: ValidationError) -> None:
    named = bool(path) and isinstance(path[-1], str)
    because = f" of kind `{error.instance['kind']}`" if isinstance(error.instance.get("kind"), str) else ""
    for key in error.validator_value:
        # the library reports each missing key by itself; its message begins with the key
        if error.message.startswith(repr(key)):
            where = f"`{path[-1]}`{because} needs" if named else "This needs"
            source.problem(path, f"{where} `{key}`.", fix=f"Add `{key}:`.", key=named)


def _wrong_kind(source: Source, path: Path, error: ValidationError) -> None:
    wanted, given = error.validator_value, error.instance
    if wanted == _EXPRESSION and isinstance(given, list | dict):
        _unquoted(source, path)
        return
    if given is None:
        source.problem(path, "Nothing stands here.", fix=_example(error) or "Remove the line.", key=bool(path))
        return
    kinds = [wanted] if isinstance(wanted, str) else wanted
    words = " or ".join(_KINDS[kind] for kind in kinds)
    fix = _example(error)
    if kinds == ["string"] and not isinstance(given, list | dict):
        fix = f'Put it in double quotes: "{source.document.text_of(path)}".'
    source.problem(path, f"This must be {words}.", fix=fix)


def _unquoted(source: Source, path: Path) -> None:
    """YAML took the bracket that begins an expression: print the line as it should be."""
    mark = source.document.place(path)
    line = source.document.source_line(mark.line)
    start = mark.column - 1
    end = _closing(line, start)
    first = line[start : start + 1]
    if end is None or first not in "[{":
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


def _wrong_word(source: Source, path: Path, error: ValidationError) -> None:
    words = error.validator_value
    near = nearest(str(error.instance), [str(word) for word in words])
    fix = f"Write `{near}`." if near else f"One of: {_listed(map(str, words))}."
    given = "This" if isinstance(error.instance, list | dict) else _shown(error.instance)
    source.problem(path, f"{given} cannot stand here.", fix=fix)


def _wrong_form(source: Source, path: Path, error: ValidationError) -> None:
    message = _FORMS[error.validator_value]
    if is_name(error):
        source.problem((*path, error.instance), message, fix="Choose another name.", key=True)
    else:
        source.problem(path, message, fix=_example(error))


_LIMITS = {
    "minimum": lambda error: f"This must be {error.validator_value} or more.",
    "maximum": lambda error: f"This must be {error.validator_value} or less.",
    "minItems": lambda error: "This list is empty.",
    "minLength": lambda error: "This text is empty.",
    "minProperties": lambda error: "Nothing stands here.",
    "maxItems": lambda error: f"This list may have {error.validator_value} items.",
    "maxProperties": lambda error: f"Only one of {_listed(error.instance)} may stand here.",
}


def _limit(error: ValidationError) -> str:
    return f"{error.schema.get('title', 'This')}: {error.message[:200]}"


def _shown(value: Any) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(list(words)[:MAX_LISTED])


def _example(error: ValidationError) -> str | None:
    examples = error.schema.get("examples")
    return f"For example: {json.dumps(examples[0], ensure_ascii=False)}" if examples else None
