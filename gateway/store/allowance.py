"""This process's share of a call budget: drawn from the store in small blocks, spent without a commit.

The limit is never passed: calls are counted when a block is drawn, and a block ends with its window. The
error is the other way, and bounded: each process may leave up to one block of a window unused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.store import budgets
from gateway.store.budgets import Grant, Rate
from gateway.store.database import Database

BLOCK_SHARE = 0.02


@dataclass(slots=True)
class _Purse:
    """What is left of a block; worthless from `until` on."""

    left: int = 0
    until: float = 0.0
    drawn_at: float = 0.0

    def pay(self, cost: int, now: float) -> bool:
        if now >= self.until or self.left < cost:
            return False
        self.left -= cost
        return True


@dataclass(slots=True, kw_only=True)
class Allowance:
    """The calls one tenant may make from this process; staff and background work draw separately."""

    database: Database
    tenant: str
    rates: tuple[Rate, ...]
    reserve: float = 0.0
    _staff: _Purse = field(default_factory=_Purse)
    _others: _Purse = field(default_factory=_Purse)
    _drawing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, *, staff: bool, cost: int = 1) -> float:
        """0 when the call may be made now, else how many seconds to wait before asking again."""
        if not self.rates:
            return 0.0
        purse = self._staff if staff else self._others
        if purse.pay(cost, self.database.clock.now()):
            return 0.0
        async with self._drawing:  # one draw for all who wait
            now = self.database.clock.now()
            if purse.pay(cost, now):
                return 0.0
            grant = await self._draw(cost, staff, now)
            if grant.granted:
                purse.left = grant.granted - cost + (purse.left if now < purse.until else 0)
                purse.until, purse.drawn_at = grant.until, now
            return grant.wait_s

    async def close(self) -> None:
        """Return what is left, so that another gateway may use it."""
        for purse in (self._staff, self._others):
            left, purse.left = purse.left, 0
            if left:
                await self._give_back(left, purse.drawn_at)

    async def _draw(self, cost: int, staff: bool, now: float) -> Grant:
        most = max(cost, block(self.rates))
        return await self.database.write(
            lambda conn: budgets.take(
                conn,
                tenant=self.tenant,
                rates=self.rates,
                now=now,
                reserve=self.reserve,
                staff=staff,
                least=cost,
                most=most,
            )
        )

    async def _give_back(self, count: int, drawn_at: float) -> None:
        await self.database.write(
            lambda conn: budgets.give_back(
                conn, tenant=self.tenant, rates=self.rates, drawn_at=drawn_at, count=count
            )
        )


def block(rates: Sequence[Rate]) -> int:
    """Calls to draw at once: 2 % of the smallest limit, at least 1."""
    return max(1, int(min(rate.limit for rate in rates) * BLOCK_SHARE))
