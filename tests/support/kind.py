"""One vendor of whole-system tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One vendor: how its stand-in is started, and what a tenant joined to it needs.

    `courses` are course ids at the vendor. `write` is a part of the path or body by which a fault finds the
    request that enrols, None where the vendor is not asked.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    switches: Mapping[str, Any] = field(default_factory=dict)
    api: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    courses: tuple[str, ...]
    write: Mapping[str, str] | None = None
