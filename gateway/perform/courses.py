"""Course lists: read once for everybody, kept for a while, served stale when the vendor fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cachetools import LRUCache

from gateway import ids
from gateway.contract import Course
from gateway.engine import shape
from gateway.errors import VendorError, VendorTimeout
from gateway.futures import looked_at

log = logging.getLogger("gateway.courses")

FRESH_S = 30.0
"""An unknown course id asks for a fresh list at most this often."""
PATIENCE_S = 3.0
"""How long somebody waits for a fresh list while an old one is at hand."""
REST_S = 10.0
"""After a failure an old list is served at once for so long."""
MAX_LISTS = 64
MAX_TERMS = 256


@dataclass(slots=True)
class CourseList:
    """One list as read: rows in the vendor's words and courses in RTOPilot's, at the same index."""

    rows: tuple[shape.CourseRow, ...]
    dropped: tuple[str, ...]
    read_at: float
    by_vendor_id: dict[str, Course] = field(default_factory=dict)
    _matches: LRUCache[str, list[Course]] = field(default_factory=lambda: LRUCache(MAX_TERMS))

    @classmethod
    def of(
        cls, found: shape.CourseRows, read_at: float, course_id: Callable[[str], str] = ids.encode_course
    ) -> CourseList:
        """`course_id` makes the id RTOPilot is given of the vendor's."""
        rows: list[shape.CourseRow] = []
        dropped = list(found.dropped)
        by_vendor_id: dict[str, Course] = {}
        for row in found.rows:
            try:
                course = Course(id=course_id(row.vendor_id), name=row.name)
            except ValueError:
                dropped.append("a course id that does not fit into an RTOPilot id")
                continue
            if row.vendor_id not in by_vendor_id:
                by_vendor_id[row.vendor_id] = course
                rows.append(row)
        return cls(tuple(rows), tuple(dropped), read_at, by_vendor_id)

    def matching(self, term: str) -> list[Course]:
        """The courses a term finds; the same list object for the same term, so that replies can be kept."""
        key = term.lower()[:200]
        found = self._matches.get(key)
        if found is None:
            found = [self.by_vendor_id[row.vendor_id] for row in shape.found(self.rows, key)]
            self._matches[key] = found
        return found


Read = Callable[[], Awaitable[CourseList]]


class Catalogue:
    """The lists of one tenant, by the term that was sent to the vendor (None: the whole list)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lists: LRUCache[str | None, CourseList] = LRUCache(MAX_LISTS)
        self._reading: dict[str | None, asyncio.Task[CourseList]] = {}
        self._failed: LRUCache[str | None, tuple[float, VendorError]] = LRUCache(MAX_LISTS)

    async def get(self, sent: str | None, life_s: float, read: Read) -> CourseList:
        """The list for a term, no older than `life_s`; an older one when the vendor fails or is slow."""
        kept = self._lists.get(sent)
        if kept is None:
            return await self._single(sent, read)
        if self._now() - kept.read_at < life_s:
            return kept
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._fresh(sent, read)
        except TimeoutError:  # it goes on: whoever asks after it has come gets it
            self._failed[sent] = (self._now(), VendorTimeout())
            why = VendorTimeout.code
        except VendorError as error:
            why = error.code
        log.warning("the course list is served from %.0f s ago: %s", self._now() - kept.read_at, why)
        return kept

    async def course(self, vendor_id: str, life_s: float, read: Read) -> Course | None:
        """One course by the vendor's id; an unknown one asks for a fresh list now and then.

        Raises VendorError when that fails: then nobody knows whether there is such a course.
        """
        kept = await self.get(None, life_s, read)
        found = kept.by_vendor_id.get(vendor_id)
        if found is None and self._now() - kept.read_at >= FRESH_S:
            kept = await self._fresh(None, read)
            found = kept.by_vendor_id.get(vendor_id)
        return found

    def at_hand(self, vendor_id: str) -> Course | None:
        """A course of the whole list as it was read last, however old: nobody is asked."""
        kept = self._lists.get(None)
        return None if kept is None else kept.by_vendor_id.get(vendor_id)

    @property
    def trouble(self) -> str | None:
        """The code of the error with which the whole list failed last; None when it did not."""
        failed = self._failed.get(None)
        return None if failed is None else failed[1].code

    async def close(self) -> None:
        """Stop reading: the process ends."""
        reading = list(self._reading.values())
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def _fresh(self, sent: str | None, read: Read) -> CourseList:
        """A fresh list. Raises VendorError; for a while after a failure the same one at once."""
        failed = self._failed.get(sent)
        if failed is not None and self._now() - failed[0] < REST_S:
            raise failed[1].with_traceback(None)
        return await self._single(sent, read)

    async def _single(self, sent: str | None, read: Read) -> CourseList:
        """One read for all who wait; a caller who goes away does not stop it."""
        task = self._reading.get(sent)
        if task is None or task.done():
            task = asyncio.ensure_future(self._store(sent, read))
            self._reading[sent] = task
            task.add_done_callback(lambda done: self._forget(sent, done))
        return await asyncio.shield(task)

    async def _store(self, sent: str | None, read: Read) -> CourseList:
        try:
            found = await read()
        except VendorError as error:
            self._failed[sent] = (self._now(), error)
            raise
        self._failed.pop(sent, None)
        self._lists[sent] = found
        if found.dropped:
            log.warning(
                "%d courses cannot be given to RTOPilot: %s", len(found.dropped), found.dropped[0][:200]
            )
        return found

    def _forget(self, sent: str | None, done: asyncio.Task[CourseList]) -> None:
        if self._reading.get(sent) is done:
            del self._reading[sent]
        looked_at(done)
