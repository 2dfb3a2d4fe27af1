"""Whether some part of a mapping reads a root such as `probe` or `known`, told from its compiled text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from gateway.mapping.expressions import Expression
from gateway.mapping.templates import Template


def reads(part: Any, root: str) -> bool:
    """Whether any expression in a part of a mapping reads this root, or the whole scope."""
    if isinstance(part, Expression):
        return root in part.roots or part.whole_scope
    if isinstance(part, Template):
        return any(reads(one, root) for one in part.expressions)
    if isinstance(part, Mapping):
        return any(reads(one, root) for one in part.values())
    if isinstance(part, tuple):
        return any(reads(one, root) for one in part)
    return is_dataclass(part) and any(reads(getattr(part, one.name), root) for one in fields(part))
