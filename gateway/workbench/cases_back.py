"""How a case's progress comes back in one process: the production poller, receiver and intake, by hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from gateway.contract import Operation
from gateway.mapping.progress_spec import Webhook
from gateway.perform import Tenant
from gateway.progress.hooks import Hook, Receiver, Reception, vendor_hooks
from gateway.progress.intake import Intake
from gateway.progress.plans import Plan, plans_of
from gateway.progress.poll import Poller
from gateway.progress.refresh import refresh
from gateway.progress.timing import Override
from gateway.progress.verify import Delivery
from gateway.progress.webhooks import switched_on
from gateway.store import schedules
from gateway.store.clock import Clock
from gateway.store.database import Database
from gateway.store.schedules import Turn
from gateway.workbench.cases_vendor import OffScript

SLICES = 200
"""After so many looks a sweep counts as one that never ends."""
DOOR = "door"


@dataclass(slots=True, kw_only=True)
class _OnePlan(Poller):
    """The production poller, which leaves every plan but one alone."""

    only: str = ""

    def _begin(self, turn: Turn) -> asyncio.Task[None] | None:
        return Poller._begin(self, turn) if turn.name == self.only else None


@dataclass(slots=True, kw_only=True)
class Back:
    """The workers of one process; `clock` is moved to when the next slice of a poll is due."""

    tenant: Tenant
    database: Database
    clock: Clock
    poller: _OnePlan
    intake: Intake
    _hooks: tuple[Hook, ...] = ()

    @classmethod
    def open(cls, tenant: Tenant, database: Database, owner: str) -> Back:
        tenants = {tenant.name: tenant}
        poller = _OnePlan(database=database, tenants=tenants, owner=owner, units=refresh)
        intake = Intake(database, tenants, owner, lambda: None)
        return cls(tenant=tenant, database=database, clock=database.clock, poller=poller, intake=intake)

    # -- polls

    def plan(self, name: str) -> Plan:
        """A plan of the mapping. Raises OffScript when there is none of this name."""
        plans = {plan.name: plan for plan in plans_of(self.tenant, Override())}
        if name not in plans:
            listed = ", ".join(plans) or "none"
            raise OffScript(f"The mapping has no poll `{name}`; it has: {listed}.")
        return plans[name]

    async def sweep(self, name: str) -> str | None:
        """One whole sweep, or as much of it as the vendor lets; the code of what failed, None for nothing."""
        self.plan(name)
        self.poller.only = name
        before = turn = await self._turn(name)
        failed: str | None = None
        for _ in range(SLICES):
            self.clock.move(max(turn.next_due - self.clock.now(), 0.0))
            if not await self.poller.round():
                await asyncio.sleep(0.001)  # another process is at it
            turn = await self._turn(name)
            failed = turn.last_error or failed
            if turn.owner is None and _has_ended(turn, before):
                return failed
        raise OffScript(f"The poll did not come to an end in {SLICES} slices.")

    async def _turn(self, name: str) -> Turn:
        turns = await self.database.read(lambda conn: schedules.list_items(conn, self.tenant.name))
        return next(turn for turn in turns if turn.name == name)

    # -- webhooks

    @property
    def webhooks(self) -> tuple[Webhook, ...]:
        """Those that the tenant has. Raises OffScript when it has none."""
        found = switched_on(self.tenant.mapping.progress, self.scope)
        if not found:
            raise OffScript("The mapping has no webhook for this tenant.")
        return found

    @property
    def scope(self) -> Any:
        """What the expressions of a webhook's proof see, besides the delivery."""
        return self.tenant.frame(Operation.GET_ENROLMENT).root

    async def deliver(self, delivery: Delivery) -> int:
        """Post a delivery to the production receiver; the status the vendor hears."""
        if not self._hooks:
            tenant = self.tenant
            self._hooks = vendor_hooks(
                tenant.name,
                tenant.mapping.progress,
                secrets=tenant.spec.secrets,
                scope=self.scope,
                pool=tenant.pool,
            )
        reception = Reception(
            lms={DOOR: self._hooks}, rtopilot={}, database=self.database, kick=self.intake.kick
        )
        path = (
            {"door": DOOR} if delivery.path_secret is None else {"door": DOOR, "secret": delivery.path_secret}
        )
        scope = {
            "type": "http",
            "method": "POST",
            "path_params": path,
            "headers": list(delivery.headers),
            "query_string": delivery.query,
        }
        heard: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": delivery.raw, "more_body": False}

        async def send(message: Any) -> None:
            heard.append(message)

        await Receiver("lms", lambda: reception, lambda: "case")(scope, receive, send)
        return int(heard[0]["status"])


def _has_ended(turn: Turn, before: Turn) -> bool:
    whole = turn.cursor is None and turn.started_at != before.started_at
    return whole or turn.failures > before.failures
