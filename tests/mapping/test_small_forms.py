"""The small forms of the mapping language, each a part of a mapping file, load without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.contract import Operation
from gateway.mapping.load import parse_mapping
from gateway.yamlfile import read_yaml

TEXTS = Path(__file__).parents[1] / "data" / "mapping-texts"
WHOLE = read_yaml(TEXTS / "whole.yaml").data
FORMS = read_yaml(TEXTS / "small-forms.yaml").data


def merged(base: Any, part: Any) -> Any:
    """The base with the part's top-level sections, operations and server keys in place of its own."""
    whole = {**base, **part}
    for section in ("server", "operations"):
        whole[section] = {**base[section], **part.get(section, {})}
    return whole


@pytest.mark.parametrize("part", FORMS.values(), ids=FORMS)
def test_a_small_form_loads_without_a_word(part: dict[str, Any]) -> None:
    whole = merged(WHOLE, part)
    loaded = parse_mapping(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True))
    # a catalogue with one field in its key cannot read the others back from an id; lint rightly says so
    warned = [
        warning.message for warning in loaded.warnings if "is lost with the database" not in warning.message
    ]
    assert warned == []
    assert set(loaded.mapping.operations) >= {Operation.GET_COURSES, Operation.CREATE_ENROLMENT}
