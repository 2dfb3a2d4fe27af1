"""What a stand-in saw and did: every request in arrival order, and every change of its state.

Tests read it in process (`stand_in.journal`) or over `GET /_control/journal`. Nothing is masked: a stand-in
holds made-up data only.
"""

import base64
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MAX_ENTRIES = 5000
MAX_LABELS = 1000
OTHER = "(others)"

Label = Callable[[str, str, bytes], str]
"""Method, raw path and body -> the name of the endpoint, under which a request is counted."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request as it arrived, and what became of it.

    raw_path is the path exactly as on the wire, without the query; status is None while unanswered and
    stays None when no complete answer was sent; fault names the fault that was applied, if any. began and
    ended are readings of this machine's monotonic clock: ended when the answer went out, or the client
    was seen to have gone.
    """

    number: int
    time: datetime
    method: str
    raw_path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    status: int | None = None
    fault: str | None = None
    began: float = 0.0
    ended: float | None = None

    def end(self) -> None:
        if self.ended is None:
            self.ended = time.monotonic()

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "time": self.time.isoformat(),
            "method": self.method,
            "raw_path": self.raw_path,
            "query": self.query,
            "headers": [list(pair) for pair in self.headers],
            "body": self.body.decode("utf-8", "replace"),
            "body_base64": base64.b64encode(self.body).decode("ascii"),
            "status": self.status,
            "fault": self.fault,
            "began": self.began,
            "ended": self.ended,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One change of the stand-in's state: its kind ("enrolled") and what it touched ("126,7")."""

    kind: str
    what: str


class Journal:
    """The last `keep` requests and effects; the counts cover everything since the last clear.

    `calls` counts requests by endpoint, as `label` names it; beyond 1,000 names the rest count together.
    """

    def __init__(self, keep: int = MAX_ENTRIES, *, label: Label | None = None) -> None:
        self._keep = keep
        self._label = label if label is not None else method_and_path
        self.clear()

    def clear(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=self._keep)
        self.effects: deque[Effect] = deque(maxlen=self._keep)
        self.effect_counts: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._arrived = 0

    def arrived(self, scope: Mapping[str, Any], body: bytes, now: datetime) -> Entry:
        """Note an ASGI request; the returned entry is completed by whoever answers it."""
        self._arrived += 1
        entry = Entry(
            number=self._arrived,
            time=now,
            method=scope["method"],
            raw_path=raw_path(scope),
            query=scope["query_string"].decode("latin-1"),
            headers=tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
            ),
            body=body,
            began=time.monotonic(),
        )
        self.entries.append(entry)
        self._count(self._label(entry.method, entry.raw_path, body))
        return entry

    def _count(self, label: str) -> None:
        known = label in self.calls or len(self.calls) < MAX_LABELS
        self.calls[label if known else OTHER] += 1

    def effect(self, kind: str, what: str = "") -> None:
        """Note one change of state; a stand-in calls this exactly where it changes something."""
        self.effect_counts[kind] += 1
        self.effects.append(Effect(kind=kind, what=what))

    def as_json(self) -> dict[str, Any]:
        return {
            "requests": [entry.as_json() for entry in self.entries],
            "effects": [{"kind": effect.kind, "what": effect.what} for effect in self.effects],
            "effect_counts": dict(self.effect_counts),
            "calls": dict(self.calls),
        }


def method_and_path(method: str, path: str, _: bytes) -> str:
    return f"{method} {path}"


def raw_path(scope: Mapping[str, Any]) -> str:
    """The undecoded path of an ASGI request, without its query."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.split(b"?", 1)[0].decode("latin-1")
