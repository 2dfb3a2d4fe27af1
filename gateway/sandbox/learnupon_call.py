"""One call as an endpoint sees it, and what an endpoint can answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.sandbox.journal import Journal
from gateway.sandbox.learnupon_show import Show
from gateway.sandbox.learnupon_state import Enrolment, Module, Portal
from gateway.sandbox.learnupon_switches import Switches


class Tell(Protocol):
    """Sends a webhook of this type about an enrolment as it stands."""

    def __call__(self, type: str, enrolment: Enrolment, module: Module | None = None) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Everything an endpoint may look at. `id` is the number in the path; `body` is None without JSON."""

    query: Mapping[str, str]
    body: Any
    id: int
    portal: Portal
    switches: Switches
    journal: Journal
    now: datetime
    tell: Tell

    @property
    def show(self) -> Show:
        return Show(self.portal, self.switches)

    @property
    def plain(self) -> Mapping[str, Any]:
        """The members of a body that takes no wrapper; none if there is no body."""
        return self.body if isinstance(self.body, dict) else {}

    def wrapped(self, name: str) -> Mapping[str, Any] | None:
        """What stands under exactly this key; None when nothing does."""
        inner = self.plain.get(name)
        return inner if isinstance(inner, dict) else None


@dataclass(frozen=True, slots=True)
class Listed:
    """A list answer, `{key: rows}` or with key None the bare array; cut into pages by whoever sends it."""

    key: str | None
    rows: list[Any]


@dataclass(frozen=True, slots=True)
class Made:
    """The answer to a successful POST."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Nothing:
    """An answer without a body."""


Endpoint = Callable[[Call], "Listed | Made | Nothing | dict[str, Any]"]
