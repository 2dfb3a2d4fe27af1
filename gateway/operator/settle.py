"""Settling a run by hand: a person has looked in the LMS, and says whether the write in doubt was done.

Source: docs/durability.md; the write itself is never sent again from here, the steps after it are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway.contract import Done, Operation
from gateway.errors import GatewayError, NotFound, Refused
from gateway.operator import run_report
from gateway.perform import writes
from gateway.perform.runs import LEASE_S, Runs
from gateway.perform.tenant import Tenant
from gateway.store import manual, runs, steps
from gateway.store.claims import LostLease
from gateway.store.database import Database
from gateway.store.runs import Run
from gateway.store.steps import Step
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace
from gateway.yamlfile import read_yaml

LOOK_S = 30.0
AGAIN_S = 30.0
NOT_DONE = {
    "code": "not_done",
    "status": 504,
    "message": "The LMS did not do this. Please try again.",
    "detail": "settled by hand",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueNames:
    """What a step leaves for later steps, as the mapping's `value` says it."""

    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


async def settle(
    database: Database,
    tenants: Mapping[str, Tenant],
    carrier: Runs,
    run_id: str,
    *,
    done: bool,
    values: Mapping[str, Any],
) -> Run:
    """Settle one run and give it as it stands afterwards.

    A run can be in doubt without a step that is: everything was done, and its record could not be made.
    Then `done` carries it on (the mapping has been corrected), and otherwise it has failed.

    `values` are what the step in doubt would have left. Raises NotFound for an unknown run, Refused when
    there is nothing to settle, somebody is at work on it, or values are missing.
    """
    report = await database.read(lambda conn: run_report.load(conn, run_id))
    if report is None:
        raise NotFound("There is no such run.", code="unknown_run")
    doubt = report.in_doubt
    if report.run.state not in ("running", "in_doubt") or (doubt is None and report.run.state == "running"):
        raise Refused("Nothing of this run is in doubt.", code="nothing_to_settle")
    tenant = tenants.get(report.run.tenant)
    if done:
        if tenant is None:
            raise Refused(f"The tenant {report.run.tenant} is no longer configured.", code="tenant_gone")
        if doubt is not None:
            _check_values(tenant, report.run, doubt, values)
    claimed = await _claim(database, carrier.owner, run_id)
    if not done:
        await database.write(
            lambda conn: _not_done(conn, claimed, doubt, carrier.owner, database.clock.now())
        )
    else:
        assert tenant is not None
        if doubt is not None:
            await database.write(lambda conn: _done(conn, claimed, doubt, carrier.owner, values))
        await _carry_on(tenant, carrier, claimed)
    await _off_the_list(database, claimed)
    after = await database.read(lambda conn: runs.get(conn, run_id))
    assert after is not None
    return after


def value_names(mapping_file: str, operation: str, step: str) -> ValueNames:
    """The names under `value` of a step, or of one branch of it (`user/make`)."""
    name, _, branch = step.partition("/")
    data = read_yaml(Path(mapping_file)).data
    node = _with(data["operations"].get(operation), "id", name) or {}
    if branch:
        node = _with(node.get("first"), "name", branch) or {}
    given = node.get("value")
    names = list(given) if isinstance(given, dict) else []
    return ValueNames(
        needed=tuple(name for name in names if not name.endswith("?")),
        optional=tuple(name.removesuffix("?") for name in names if name.endswith("?")),
    )


def _with(node: Any, key: str, wanted: str) -> dict[str, Any] | None:
    """The first object below `node` whose `key` is `wanted`."""
    if isinstance(node, dict):
        if node.get(key) == wanted:
            return node
        children = list(node.values())
    else:
        children = node if isinstance(node, list) else []
    return next((found for child in children if (found := _with(child, key, wanted)) is not None), None)


def _check_values(tenant: Tenant, run: Run, doubt: Step, values: Mapping[str, Any]) -> None:
    operation = run.operation
    if operation == Operation.TRANSFER_ENROLMENT.value:  # made by the steps of create
        names = value_names(tenant.mapping.file, operation, doubt.name)
        names = (
            names
            if names != ValueNames()
            else value_names(tenant.mapping.file, "createEnrolment", doubt.name)
        )
    else:
        names = value_names(tenant.mapping.file, operation, doubt.name)
    missing = [name for name in names.needed if name not in values]
    if missing:
        given = " ".join(f"--value {name}=…" for name in missing)
        raise Refused(f"Later steps need what {doubt.name} gave: {given}", code="value_missing")
    unknown = [name for name in values if name not in (*names.needed, *names.optional)]
    if unknown:
        raise Refused(f"The step {doubt.name} gives no {', '.join(unknown)}.", code="value_unknown")


async def _claim(database: Database, owner: str, run_id: str) -> Run:
    now = database.clock.now()
    try:
        return await database.write(lambda conn: runs.claim(conn, run_id, owner, now, LEASE_S))
    except LostLease:
        raise Refused("A gateway is at work on this run. Try again in two minutes.", code="busy") from None


def _not_done(conn: Connection, run: Run, doubt: Step | None, owner: str, now: float) -> None:
    if doubt is not None:
        steps.step_not_sent(conn, run.id, owner, doubt.seq)
    runs.fail(conn, run.id, owner, NOT_DONE, now=now)


def _done(conn: Connection, run: Run, doubt: Step, owner: str, values: Mapping[str, Any]) -> None:
    name = doubt.name.partition("/")[0]
    steps.step_done(conn, run.id, owner, doubt.seq, name, dict(values), ["settled by hand"])


async def _carry_on(tenant: Tenant, carrier: Runs, run: Run) -> None:
    """Do the steps that are left. What cannot be done now, a running gateway does later."""
    database = tenant.database
    try:
        work = await writes.again(tenant, Operation(run.operation), run.input, Deadline(LOOK_S), Trace())
    except GatewayError:
        due = database.clock.now() + AGAIN_S
        await database.write(lambda conn: runs.in_doubt(conn, run.id, carrier.owner, due, error=run.error))
        return
    if isinstance(work, Done):
        now = database.clock.now()
        with contextlib.suppress(LostLease):
            await database.write(
                lambda conn: runs.finish(conn, run.id, carrier.owner, {"id": work.id}, now=now)
            )
        return
    await carrier.carry_on(work, run)


async def _off_the_list(database: Database, run: Run) -> None:
    now = database.clock.now()

    def take_off(conn: Connection) -> None:
        for item in manual.list_items(conn, tenant=run.tenant, limit=1000):
            if item.run_id == run.id and item.reason == "in_doubt":
                manual.done(conn, item.id, now)

    await database.write(take_off)
