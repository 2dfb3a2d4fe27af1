"""Several LMSs behind one RTOPilot: their courses in one list, everything else goes home by its id."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from cachetools import LRUCache

from gateway import ids
from gateway.contract import Course, Inputs, Operation
from gateway.errors import GatewayError, NotFound
from gateway.perform.enrolments import unknown
from gateway.perform.reads import unknown_course

log = logging.getLogger("gateway.courses")

BY_COURSE = frozenset({Operation.GET_COURSE, Operation.CREATE_ENROLMENT})
MAX_MERGED = 64

Lists = tuple[list[Course], ...]


@dataclass(slots=True, kw_only=True)
class Joined:
    """The LMSs of one organisation: the tenant's name of each by the alias its ids begin with.

    The alias None is that of the LMS whose ids carry none.
    """

    name: str
    members: Mapping[str | None, str]
    _merged: LRUCache[tuple[int, ...], tuple[Lists, list[Course]]] = field(
        default_factory=lambda: LRUCache(MAX_MERGED)
    )

    @property
    def tenants(self) -> tuple[str, ...]:
        return tuple(self.members.values())

    def home(self, operation: Operation, inputs: Inputs) -> str:
        """The tenant a request is about. Raises NotFound for an id that none of them can have."""
        by_course = operation in BY_COURSE
        named = (inputs.course_id if by_course else inputs.enrolment_id) or ""
        home = self.members.get(ids.alias_of(named))
        if home is None:
            raise _nobodys(by_course)
        return home

    async def courses(self, read: Callable[[str], Awaitable[list[Course]]]) -> list[Course]:
        """The courses of all of them; of those that answer, where some fail.

        Raises the first failure when all fail. `read` gives those of one tenant, or raises GatewayError.
        """
        names = self.tenants
        ended = await asyncio.gather(*map(read, names), return_exceptions=True)
        lists: Lists = tuple(each for each in ended if not isinstance(each, BaseException))
        failed = {
            name: each for name, each in zip(names, ended, strict=True) if isinstance(each, BaseException)
        }
        for error in failed.values():
            if not lists or not isinstance(error, GatewayError):
                raise error
        if failed:
            without = ", ".join(f"{name} ({_code(error)})" for name, error in failed.items())
            log.warning("tenant %s: the course list is without those of %s", self.name, without)
        return self._together(lists)

    def _together(self, lists: Lists) -> list[Course]:
        """One list of several; the same list object for the same ones, so that replies can be kept."""
        key = tuple(map(id, lists))
        kept = self._merged.get(key)
        if kept is None:  # holds the lists too, so that no identity passes to another one
            kept = self._merged[key] = (lists, [course for some in lists for course in some])
        return kept[1]


def _nobodys(course: bool) -> NotFound:
    return unknown_course() if course else unknown()


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, GatewayError) else type(error).__name__
