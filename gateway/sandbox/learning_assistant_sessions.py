"""Log-ins and tokens of the Learning Assistant stand-in.

Source: vendors/learning-assistant.md 3: a token lives 30 minutes from the last successful call.
"""

from __future__ import annotations

import hmac
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches

_MAX_TOKENS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    id: str
    uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    at: datetime
    ok: bool


def coldfusion_uuid() -> str:
    """A random UUID as ColdFusion writes it: 8-4-4-16, 35 characters."""
    digits = uuid.uuid4().hex.upper()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:]}"


class Sessions:
    """Open tokens and every log-in tried; `now` is a clock that tests can move."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._last_used: dict[Token, datetime] = {}
        self._next_id = 40721
        self.logins: deque[Login] = deque(maxlen=_MAX_TOKENS)
        self.failures = 0

    def log_in(self, switches: LearningAssistantSwitches, username: str, password: str) -> Token | None:
        """A new token, or None for wrong credentials or a locked account."""
        ok = not self.locked(switches) and _same(switches, username, password)
        self.logins.append(Login(at=self._now(), ok=ok))
        if not ok:
            self.failures += 1
            return None
        self.failures = 0
        if switches.new_login_ends_old:
            self.expire_all()
        self._next_id += 1
        return self._open(str(self._next_id - 1))

    def locked(self, switches: LearningAssistantSwitches) -> bool:
        return 0 < switches.lockout_after <= self.failures

    def is_open(self, switches: LearningAssistantSwitches, token: Token) -> bool:
        used = self._last_used.get(token)
        return used is not None and self._now() - used <= timedelta(minutes=switches.session_minutes)

    def succeeded(self, switches: LearningAssistantSwitches, token: Token) -> Token:
        """Note a successful call: the 30 minutes start again, and the token to hand back is returned."""
        if switches.rotation == "off":
            self._last_used[token] = self._now()
            return token
        if switches.rotation == "old_dead":
            self._last_used.pop(token, None)
        return self._open(token.id)

    def expire_all(self) -> int:
        count = len(self._last_used)
        self._last_used.clear()
        return count

    def _open(self, id_: str) -> Token:
        token = Token(id=id_, uuid=coldfusion_uuid())
        while len(self._last_used) >= _MAX_TOKENS:
            del self._last_used[next(iter(self._last_used))]
        self._last_used[token] = self._now()
        return token


def _same(switches: LearningAssistantSwitches, username: str, password: str) -> bool:
    right = hmac.compare_digest(switches.username.encode(), username.encode())
    return hmac.compare_digest(switches.password.encode(), password.encode()) and right
