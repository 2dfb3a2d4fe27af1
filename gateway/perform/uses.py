"""Whether some part of a mapping reads a name such as `probe` or `known.enrolment`, told from its text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from gateway.mapping.expressions import Expression
from gateway.mapping.templates import Template


def reads(part: Any, root: str, name: str | None = None) -> bool:
    """Whether any expression in a part of a mapping reads this root, `name` below it, or the whole scope."""
    if isinstance(part, Expression):
        return part.whole_scope or any(_meets(path.parts, root, name) for path in part.names)
    if isinstance(part, Template):
        return any(reads(one, root, name) for one in part.expressions)
    if isinstance(part, Mapping):
        return any(reads(one, root, name) for one in part.values())
    if isinstance(part, tuple):
        return any(reads(one, root, name) for one in part)
    return is_dataclass(part) and any(reads(getattr(part, one.name), root, name) for one in fields(part))


def _meets(parts: tuple[str, ...], root: str, name: str | None) -> bool:
    return parts[:1] == (root,) and (name is None or len(parts) < 2 or parts[1] == name)
