"""The inputs every run against the stand-in has to include.

Source: vendors/rtopilot.md 7.1, last paragraph. Keys are short names, fit for test ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

NAMES: Mapping[str, tuple[str, str]] = {
    "plain": ("Ana", "Citizen"),
    "double_quotes": ('Ana "Annie"', "Citizen"),
    "backslash": ("back\\slash", "Citizen\\"),
    "apostrophe": ("Sean", "O'Neil"),
    "newline": ("line\nbreak", "Citizen"),
    "tab": ("tab\there", "Citizen"),
    "non_ascii": ("Zoë", "Ngāti Whātua"),
    "emoji": ("Ana 🎓", "👩‍👩‍👧"),
    "empty_first": ("", "Mononym"),
    "two_hundred": ("n" * 200, "ā" * 200),
    "placeholder": ("${student.id}", "Citizen"),
}
"""First and last name. Only `placeholder` may be refused (3.1): it looks like a mistyped template."""

SEARCH_TERMS: Mapping[str, str] = {
    "empty": "",
    "space": "white card",
    "ampersand_and_hash": "R&D #1",
    "ampersand": "first & last",
    "hash": "#1",
    "percent_and_plus": "50% + GST",
    "percent": "100%",
    "plus": "C++",
    "slash": "a/b",
    "macron": "Māori",
    "newline": "line\nbreak",
}

NESTED_RESULT = {
    "quiz": {"id": "q-1", "title": 'The "first"'},
    "answers": [{"n": 1, "marks": [1, 0.5, None]}, []],
}

QUIZ_RESULTS: Mapping[str, list[Any]] = {
    "none": [],
    "one": [{"id": "q-1", "score": 80}],
    "nested": [NESTED_RESULT, [[["deep"]]], "text", 1, None],
    "five_hundred": [{"id": f"q-{number}", "score": number % 101} for number in range(500)],
}

Action = Literal["enrol", "transfer", "cancel"]
Mishap = Literal["failed", "timed_out_but_done"]

REPEATS: tuple[tuple[Action, Mishap], ...] = (
    ("enrol", "failed"),
    ("enrol", "timed_out_but_done"),
    ("transfer", "failed"),
    ("transfer", "timed_out_but_done"),
    ("cancel", "failed"),
    ("cancel", "timed_out_but_done"),
)
"""What office staff do again after an error: the first try failed, or it timed out and in truth succeeded."""


def difficult_inputs() -> Mapping[str, Mapping[str, Any]]:
    """All of the above by kind: `names`, `search_terms`, `quiz_results`, `repeats`."""
    repeats = {f"{action}_{mishap}": (action, mishap) for action, mishap in REPEATS}
    return {"names": NAMES, "search_terms": SEARCH_TERMS, "quiz_results": QUIZ_RESULTS, "repeats": repeats}
