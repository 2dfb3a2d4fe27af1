"""RTOPilot's shapes from `schemas/rtopilot/`: a fast check, and a slow one that says what is wrong.

Explanations name places and rules, never values: bodies hold names.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import jsonschema_rs
from jsonschema.exceptions import ValidationError, best_match

from gateway.mapping.schema import load_schema

_TYPES = {"object": "an object", "array": "a list", "string": "text", "integer": "a whole number"}


def fits(schema: str, instance: Any) -> bool:
    """Whether decoded JSON fits the schema of that name, such as `rtopilot/getCourse.reply.json`."""
    return _fast(schema).is_valid(instance)


def explain(schema: str, instance: Any) -> str:
    """What does not fit, as words that follow a full stop or a colon; without any value of the instance."""
    validator = jsonschema.Draft202012Validator(load_schema(schema))
    error = best_match(validator.iter_errors(instance))
    return "it does not fit the schema" if error is None else _words(error)


@cache
def _fast(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(load_schema(schema))


def _words(error: ValidationError) -> str:
    place = _place(error)
    rule: Any = error.validator_value
    instance: Any = error.instance
    match error.validator:
        case "required":
            missing = next(key for key in rule if key not in instance)
            return f"`{_join(error, missing)}` is missing"
        case "type":
            return f"{place} should be {_TYPES.get(rule, rule)}"
        case "anyOf":
            return f"{place} should be text or a whole number"
        case "maxLength" | "minLength":
            too = "long" if error.validator == "maxLength" else "short"
            return f"{place} is too {too}: {len(instance)} characters"
        case _:
            return f"{place} breaks the rule `{error.validator}`"


def _place(error: ValidationError) -> str:
    path = ".".join(map(str, error.absolute_path))
    return f"`{path}`" if path else "the body"


def _join(error: ValidationError, key: str) -> str:
    return ".".join([*map(str, error.absolute_path), key])
