"""The schema files, and a document checked against one of them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any

import jsonschema

from gateway.mapping.pruning import prune, refusals
from gateway.mapping.schema_messages import note
from gateway.mapping.source import Source
from gateway.mapping.templates import Path


def data_folder(name: str) -> FilePath:
    """Where `schemas` or `mappings` lie: inside the package in a wheel, beside it in a checkout."""
    inside = FilePath(str(files("gateway"))) / "_data" / name
    return inside if inside.is_dir() else FilePath(__file__).resolve().parents[2] / name


@cache
def load_schema(name: str) -> dict[str, Any]:
    """One of the schema files, such as `mapping-1.json`."""
    schema: dict[str, Any] = json.loads((data_folder("schemas") / name).read_text(encoding="utf-8"))
    return schema


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(load_schema(name))


def check_schema(source: Source, name: str) -> tuple[Any, set[Path]]:
    """Note every schema problem; gives what can still be compiled, and the places that were taken out."""
    validator, data = _validator(name), source.document.data
    refused = list(refusals(data, validator))
    for refusal in refused:
        note(source, refusal)
    return prune(data, validator) if refused else (data, set())
