"""Ids back after a lost database: each is looked up at the vendor, and taken in when it is there."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.errors import GatewayError
from gateway.ids import alias_of
from gateway.perform import enrolments as finding
from gateway.perform.tenant import Tenant
from gateway.store import enrolments
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

COLUMN = "lmsEnrolmentId"
MAX_IDS = 100_000
EACH_S = 20.0

State = Literal["adopted", "known", "not found", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What became of one id; `why` is a code where it was not taken in."""

    id: str
    state: State
    why: str = ""


def read_ids(text: str) -> list[str]:
    """The ids of a CSV text: its column `lmsEnrolmentId`, else the first one; each once, in order.

    Raises ValueError for more than MAX_IDS.
    """
    rows = [row for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"))) if any(row)]
    at = 0
    if rows and COLUMN in (head := [cell.strip() for cell in rows[0]]):
        at, rows = head.index(COLUMN), rows[1:]
    ids = list(dict.fromkeys(row[at].strip() for row in rows if len(row) > at and row[at].strip()))
    if len(ids) > MAX_IDS:
        raise ValueError(f"there are more than {MAX_IDS} ids")
    return ids


async def adopt(tenants: Sequence[Tenant], ids: Sequence[str]) -> AsyncIterator[Adoption]:
    """Take in one id after the other, each at the LMS whose alias it has. They must allow it
    (`adopt_unknown_ids`)."""
    homes = {tenant.alias: tenant for tenant in tenants}
    for enrolment_id in ids:
        home = homes.get(alias_of(enrolment_id))
        if home is None:
            yield Adoption(id=enrolment_id, state="not found", why="unknown_enrolment")
        else:
            yield await _adopt(home, enrolment_id)


async def _adopt(tenant: Tenant, enrolment_id: str) -> Adoption:
    stored = await tenant.database.read(lambda conn: enrolments.by_id(conn, tenant.name, enrolment_id))
    if stored is not None:
        return Adoption(id=enrolment_id, state="known", why="" if stored.state == "active" else stored.state)
    try:
        await finding.find(tenant, enrolment_id, Deadline(EACH_S), Trace())
    except GatewayError as error:
        state: State = "not found" if error.status == 404 else "failed"
        return Adoption(id=enrolment_id, state=state, why=error.code)
    return Adoption(id=enrolment_id, state="adopted")
