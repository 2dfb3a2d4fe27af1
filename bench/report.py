"""Tables of what was measured beside the goals, as text or Markdown, and the list of what was missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Cell = str | float | None


@dataclass(slots=True, kw_only=True)
class Report:
    """Prints one table after the other; `missed` gathers a line for each goal that was not reached."""

    markdown: bool
    missed: list[str] = field(default_factory=list)

    def verdict(self, name: str, value: float, goal: float | None) -> str:
        if goal is None or value <= goal:
            return ""
        self.missed.append(f"{name}: {value:.2f} > {goal:.2f}")
        return "missed"

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """The first column is text and to the left, the others are figures and to the right."""
        lines = [list(columns), *([_shown(cell) for cell in row] for row in rows)]
        print()
        if self.markdown:
            lines.insert(1, ["---", *["---:"] * (len(columns) - 1)])
            print("\n".join(f"| {' | '.join(line)} |" for line in lines))
            return
        widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
        for first, *rest in lines:
            figures = (f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
            print("  ".join([f"{first:{widths[0]}}", *figures]))


def _shown(cell: Cell) -> str:
    return "–" if cell is None else cell if isinstance(cell, str) else f"{cell:.2f}"
