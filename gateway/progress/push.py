"""One push: `PUT {base_url}/enrolments/lms-progress`, one enrolment each, and what its answer means.

| Answer | Verdict | Then |
|---|---|---|
| 2xx, whatever its body | accepted | the value is delivered |
| 401, 403 | pause | the tenant waits for another key; the queue is kept |
| 404 | not_found | perhaps too early: again for an hour, then a dead letter |
| 408, 409, 425, 429, 5xx, no whole answer | retry | again, as the value is absolute; Retry-After is heeded |
| other 4xx | refused | a dead letter; another value may try again |
| 1xx, 3xx, an address that may not be called | config | not followed, the key would go along; queue kept |

Source: vendors/rtopilot.md 4.1 to 4.4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import orjson

from gateway.errors import AnswerLost, HostRefused, NotSent, ReplyTooLarge
from gateway.outbound import Answer, Pool
from gateway.progress.rtopilot_key import KeySource
from gateway.secret import Secret
from gateway.vendor.masking import Masker
from gateway.vendor.retry import retry_after_s

PRODUCTION_HOST = "v2.rtopilot.com.au"
PATH = "/enrolments/lms-progress"
CONNECT_S = 2.0
READ_S = 8.0
MAX_REPLY_BYTES = 262_144
"""Above the 64 kB that a reply should have: its status counts, and a larger answer gives us none."""
SAMPLE_CHARS = 2_000
REASON_CHARS = 300
AGAIN = frozenset({408, 409, 425, 429})

Kind = Literal["accepted", "retry", "pause", "not_found", "refused", "config"]

_EMAIL = re.compile(r"[^\s@<>\"',;:()\[\]{}]{1,64}@[^\s@<>\"',;:()\[\]{}]{1,255}")
_KEY = re.compile(r"rtop_[0-9A-Za-z]+")
_PERSON = re.compile(
    r'("[\w-]{0,40}(?:name|phone|mobile|birth|dob|address|usi)[\w-]{0,40}"\s*:\s*)"(?:[^"\\]|\\.)*"?',
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one tenant's progress goes, such as `https://v2.rtopilot.com.au/api`.

    `share`: how many tenants push to the same organisation of RTOPilot, each taking its part of the pace.
    Raises ValueError for RTOPilot's production without `production`: progress sent there can issue
    certificates, and costs the RTO money.
    """

    base_url: str
    key: KeySource
    pool: Pool = field(repr=False)
    production: bool = False
    share: int = 1

    def __post_init__(self) -> None:
        host = (urlsplit(self.base_url).hostname or "").rstrip(".")
        if host == PRODUCTION_HOST and not self.production:
            raise ValueError("progress may not be pushed into RTOPilot's production: `production` is false")


def open_target(base_url: str, key: KeySource, *, production: bool, share: int = 1) -> Target:
    """The target with a pool of its own, which whoever opened it closes. Raises ValueError as Target does."""
    host = urlsplit(base_url).hostname or ""
    pool = Pool(
        hosts=[host], connect_s=CONNECT_S, read_s=READ_S, max_bytes=MAX_REPLY_BYTES, max_connections=4
    )
    return Target(base_url=base_url, key=key, pool=pool, production=production, share=share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an answer means. `status` is None where none came; `wait_s` is its Retry-After."""

    kind: Kind
    status: int | None
    wait_s: float | None = None

    @property
    def is_fault(self) -> bool:
        """Whether RTOPilot seems to be away, rather than to answer something about this one value."""
        if self.kind == "config":
            return True
        return self.kind == "retry" and (self.status is None or self.status == 408 or self.status >= 500)

    @property
    def is_throttle(self) -> bool:
        """Whether everything else for this tenant has to wait, too."""
        return self.kind == "retry" and (self.status == 429 or self.wait_s is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One push that has left. `reason` is a scrubbed line for operators; `body` the answer's, as it came."""

    verdict: Verdict
    reason: str = ""
    body: bytes = field(default=b"", repr=False)


def verdict(status: int | None, headers: Mapping[str, str], now: float) -> Verdict:
    """What an answer means; `status` None is an answer that never came, whole.

    `headers` have lower-case names with "_"; `now` is in Unix seconds.
    """
    if status is None:
        return Verdict(kind="retry", status=None)
    if status in AGAIN or status >= 500:
        return Verdict(kind="retry", status=status, wait_s=retry_after_s(headers.get("retry_after"), now))
    if status in (401, 403):
        return Verdict(kind="pause", status=status)
    if status == 404:
        return Verdict(kind="not_found", status=status)
    if status >= 400:
        return Verdict(kind="refused", status=status)
    return Verdict(kind="accepted" if 200 <= status < 300 else "config", status=status)


async def send(target: Target, key: Secret, id: str, value: int, *, timeout_s: float, now: float) -> Tried:
    """Push one value, once. Everything that can go wrong on the way is a verdict."""
    body = orjson.dumps({"lmsEnrolmentId": id, "progress": value})
    headers = {
        "authorization": f"Bearer {key.reveal()}",
        "content-type": "application/json",
        "accept": "application/json",
    }
    try:
        answer = await target.pool.send(
            "PUT",
            target.base_url,
            PATH,
            headers=headers,
            content=body,
            timeout_s=timeout_s,
            max_bytes=MAX_REPLY_BYTES,
        )
    except (NotSent, AnswerLost, ReplyTooLarge) as lost:
        return Tried(verdict=verdict(None, {}, now), reason=f"No usable answer came: {lost}.")
    except HostRefused as refused:
        return Tried(verdict=Verdict(kind="config", status=None), reason=f"{refused}.")
    return _judged(answer, key, id, now)


def scrubbed(raw: bytes, *, key: Secret, id: str) -> str:
    """An answer's body that may be kept: cut at 2,000 characters, without keys, ids, addresses and names.

    What no pattern can know stays in: read it before passing it on.
    """
    text = _CONTROL.sub(" ", raw[: SAMPLE_CHARS * 4].decode("utf-8", "replace"))
    masker = Masker({key.reveal(): "‹key›"}, {id: "‹id›"})
    text = _KEY.sub("‹key›", masker.cut(text, SAMPLE_CHARS))
    return _PERSON.sub(r'\1"‹hidden›"', _EMAIL.sub("‹email›", text))[:SAMPLE_CHARS]


def _judged(answer: Answer, key: Secret, id: str, now: float) -> Tried:
    found = verdict(answer.status, answer.headers, now)
    return Tried(verdict=found, body=answer.content, reason=_reason(found, answer.content, key, id))


def _reason(found: Verdict, body: bytes, key: Secret, id: str) -> str:
    if found.kind == "accepted":
        return ""
    if found.kind == "config":
        return f"RTOPilot answered {found.status}, which is not followed: is `base_url` right?"
    said = " ".join(scrubbed(body, key=key, id=id).split())[:REASON_CHARS]
    return f"RTOPilot answered {found.status}" + (f": {said}" if said else ".")
