"""The record of each exchange with a vendor, masked when it is shown or stored.

What is hidden: every secret, session token and personal value that is known by value, in whatever form;
headers and fields that are secret by name; SOAP headers are never shown at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.engine.calls import Call, Reply
from gateway.vendor.masking import SECRET_NAME, Masker, unnamed

MAX_SHOWN = 2048


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and what came of it, kept raw in memory only until it is masked.

    `sensitive` holds what the reply brought beyond `call.sensitive`, such as a new session token.
    """

    call: Call
    reply: Reply
    tries: int
    elapsed_s: float
    sensitive: Mapping[str, str] = field(default_factory=dict)

    def shown(self, personal: Mapping[str, str], mask: Masker | None = None) -> dict[str, Any]:
        """The masked record: what logs, the store, `try` and the operator may see."""
        call, reply, verdict = self.call, self.reply, self.reply.verdict
        mask = mask or Masker({**call.sensitive, **self.sensitive}, {**call.personal, **personal})
        query = "&".join(f"{name}={value}" for name, value in call.query)
        address = f"{call.method} {call.base}{call.target}" + (f"?{query}" if query else "")
        return {
            "step": call.step,
            "effect": call.effect,
            "request": unnamed(mask(address)),
            "headers": {
                name: mask(value) for name, value in call.headers.items() if not SECRET_NAME.fullmatch(name)
            },
            "body": None if call.body.kind == "none" else _capped(mask.value(call.body.data)),
            "status": reply.status or None,
            "lost": reply.lost,
            "reply": mask.cut(reply.text, MAX_SHOWN),
            "outcome": verdict.outcome if verdict else None,
            "rule": verdict.rule if verdict else None,
            "undecodable": reply.undecodable,
            "tries": self.tries,
            "ms": round(self.elapsed_s * 1000, 1),
            "left_at": reply.left_at,
        }


def _capped(data: Any) -> Any:
    """A request body, or the beginning of its text when it is large."""
    text = json.dumps(data, ensure_ascii=False, default=str)
    return data if len(text) <= MAX_SHOWN else text[:MAX_SHOWN]


@dataclass(slots=True, kw_only=True)
class Trace:
    """The exchanges of one operation, in order. `watch` is called with each as it happens.

    Each `Call` brings the personal values of its operation; `personal` adds to them.
    """

    personal: Mapping[str, str] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    watch: Callable[[Exchange], None] | None = None
    limit: int = 200

    def add(self, exchange: Exchange) -> None:
        if len(self.exchanges) < self.limit:
            self.exchanges.append(exchange)
        if self.watch is not None:
            self.watch(exchange)

    def shown(self) -> list[dict[str, Any]]:
        """All exchanges, each masked by what is known of any of them."""
        secrets: dict[str, str] = {}
        personal = dict(self.personal)
        for exchange in self.exchanges:
            secrets |= {**exchange.call.sensitive, **exchange.sensitive}
            personal |= exchange.call.personal
        mask = Masker(secrets, personal)
        return [exchange.shown(personal, mask) for exchange in self.exchanges]
