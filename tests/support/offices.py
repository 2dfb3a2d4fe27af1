"""RTOPilot's office at a gateway of a test, and staff who do again what has failed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from gateway import ids
from gateway.sandbox.rtopilot_caller import Caller, ServerError
from gateway.sandbox.rtopilot_office import Office, Organisation
from gateway.sandbox.rtopilot_switches import Switches
from tests.support.deployment import Kind, slots

T = TypeVar("T")

TRIES = 10


@contextlib.asynccontextmanager
async def office_at(
    url: str, kind: Kind, *, tenant: str = "acme", switches: Switches | None = None
) -> AsyncIterator[Office]:
    """An office whose courses are linked to the vendor's, under the vendor's own course ids."""
    organisation = Organisation(name=f"{tenant} College")
    for course in kind.courses:
        organisation.link_course(course, course, ids.encode_course(course))
    async with Caller(slots(url, tenant), switches=switches) as caller:
        yield Office(organisation, caller)


async def until_done(
    action: Callable[[], Awaitable[T]], *, after_failure: Callable[[], Any] = lambda: None
) -> tuple[T, list[ServerError]]:
    """Do it, and again after each error, as staff do; the result and the errors on the way."""
    errors: list[ServerError] = []
    while True:
        try:
            return await action(), errors
        except ServerError as error:
            errors.append(error)
            assert len(errors) < TRIES, f"still failing after {TRIES} tries: {errors}"
            after_failure()
