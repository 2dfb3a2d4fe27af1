"""The record of each exchange with a vendor, masked when it is shown or stored.

What is hidden: every secret, session token and personal value that is known by value, also base64 and
percent-encoded; headers and fields that are secret by name are never kept at all.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from gateway.engine.calls import Call, Reply

MAX_SHOWN = 4000
HIDDEN_HEADERS = frozenset({"authorization", "cookie", "set_cookie", "set-cookie", "x-api-key", "proxy-authorization"})
SECRET_NAMES = re.compile(
    r'("?(?:password|passwd|pwd|secret|token|wstoken|api_?key|login_key|goto_url|uuid)"?\s*[:=]\s*"?)([^"&,}\s]+)', re.IGNORECASE
)


class Masker:
    """Replaces known values in text. `whole_words` values (names) are only replaced between word boundaries."""

    def __init__(self, secrets: Mapping[str, str], whole_words: Mapping[str, str] | None = None) -> None:
        self._labels: dict[str, str] = {}
        for value, label in secrets.items():
            for form in _forms(value):
                self._labels.setdefault(form, label)
        self._words = {value: label for value, label in (whole_words or {}).items() if len(value) > 1}
        self._pattern = _alternatives(self._labels)
        self._word_pattern = _alternatives(self._words, boundaries=True)

    def __call__(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(lambda match: self._labels[match.group(0)], text)
        if self._word_pattern is not None:
            text = self._word_pattern.sub(lambda match: self._words[match.group(0)], text)
        return text

    def value(self, data: Any) -> Any:
        """The same all the way through JSON-like data."""
        if isinstance(data, str):
            return self(data)
        if isinstance(data, Mapping):
            return {str(key): self.value(item) for key, item in data.items()}
        if isinstance(data, list):
            return [self.value(item) for item in data]
        return data


def _forms(value: str) -> list[str]:
    """A secret as it may appear: plain, percent-encoded, base64 (alone and inside Basic credentials)."""
    if not value:
        return []
    raw = value.encode()
    encoded = [base64.b64encode(part).decode() for part in (raw, raw + b":", b":" + raw)]
    return [value, quote(value, safe=""), quote_plus(value), *encoded, *(text.rstrip("=") for text in encoded)]


def _alternatives(labels: Mapping[str, str], *, boundaries: bool = False) -> re.Pattern[str] | None:
    if not labels:
        return None
    listed = "|".join(re.escape(value) for value in sorted(labels, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{listed})(?!\w)" if boundaries else listed)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and what came of it, kept raw in memory only until it is masked."""

    call: Call
    reply: Reply
    tries: int
    elapsed_s: float
    sensitive: Mapping[str, str]

    def shown(self, personal: Mapping[str, str]) -> dict[str, Any]:
        """The masked record: what logs, the store, `try` and the operator may see."""
        call, reply = self.call, self.reply
        secrets = {value: label for value, label in {**call.sensitive, **self.sensitive}.items() if value not in personal}
        mask = Masker(secrets, personal)
        query = "&".join(f"{name}={value}" for name, value in call.query)
        verdict = reply.verdict
        return {
            "step": call.step,
            "effect": call.effect,
            "request": mask(f"{call.method} {call.base}{call.target}" + (f"?{query}" if query else "")),
            "headers": {name: mask(value) for name, value in call.headers.items() if name.lower() not in HIDDEN_HEADERS},
            "body": None if call.body.kind == "none" else mask.value(call.body.data),
            "status": reply.status or None,
            "lost": reply.lost,
            "reply": _named(mask(reply.text[:MAX_SHOWN])),
            "outcome": verdict.outcome if verdict else None,
            "rule": verdict.rule if verdict else None,
            "undecodable": reply.undecodable,
            "tries": self.tries,
            "ms": round(self.elapsed_s * 1000, 1),
            "left_at": reply.left_at,
        }


def _named(text: str) -> str:
    """Values that are secret by their name, such as a sign-in link in a user record."""
    return SECRET_NAMES.sub(r"\1‹hidden›", text)


@dataclass(slots=True, kw_only=True)
class Trace:
    """The exchanges of one operation, in order. `watch` is called with each as it happens."""

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
        return [exchange.shown(self.personal) for exchange in self.exchanges]
