"""CSV that a spreadsheet may open."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(cell: str) -> str:
    """A text that a spreadsheet would take for a formula stays text."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
