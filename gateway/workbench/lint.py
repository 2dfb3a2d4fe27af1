"""All problems of mapping files at once, each with its place and what to write instead."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from gateway.errors import Problem, ProblemsFound
from gateway.mapping.load import load_mapping

OK, FOUND = 0, 1
STYLES = {"error": "red", "warning": "yellow"}


def lint(files: Sequence[Path], console: Console, *, as_json: bool = False) -> int:
    """Print every problem of every file; 1 when there is an error, 0 for warnings alone."""
    problems = [problem for file in files for problem in problems_of(file)]
    errors = sum(problem.severity == "error" for problem in problems)
    if as_json:
        # print_json would wrap and colour; machines read this
        console.out(json.dumps([_data(problem) for problem in problems], ensure_ascii=False), highlight=False)
    else:
        for problem in problems:
            console.print(Text(str(problem), STYLES.get(problem.severity, "")), soft_wrap=True)
            console.print()
        console.print(_summary(len(files), errors, len(problems) - errors), highlight=False)
    return FOUND if errors else OK


def problems_of(file: Path) -> list[Problem]:
    """Everything lint has to say about one file, errors first."""
    try:
        return list(load_mapping(file).warnings)
    except ProblemsFound as found:
        return list(found.problems)


def _data(problem: Problem) -> dict[str, Any]:
    return {
        "file": str(problem.file),
        "line": problem.line,
        "column": problem.column,
        "place": problem.place,
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
        "fix": problem.fix,
    }


def _summary(files: int, errors: int, warnings: int) -> str:
    return f"{_count(files, 'file')}: {_count(errors, 'error')}, {_count(warnings, 'warning')}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
