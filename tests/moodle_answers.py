"""A real Moodle's recorded answers, given in turn: what cassettes of Moodle are recorded against.

Each request must call the function whose answer is next; what a whole site answers (`proto-…`, `site-…`), it
answers to every function. Answers leave as they were recorded, but for the
headers of the connection. The recordings are in tests/data/moodle-4.3.0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).parent / "data" / "moodle-4.3.0"
RELEASE = "Moodle 4.3 (Build: 20231009)"
RECORDED_ON = "2026-11-21"
_HOP = frozenset({"host", "connection", "date", "content-length", "transfer-encoding"})


def recording(name: str) -> dict[str, Any]:
    """One recorded call: `name` is that of its file, such as `080-enrol`."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return found


class Answers:
    """The ASGI app. Raises AssertionError for a request that asks something else than was recorded."""

    def __init__(self, names: Sequence[str]) -> None:
        self._waiting = [recording(name) for name in names]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = dict(parse_qsl((await Request(scope, receive).body()).decode()))
        assert self._waiting, f"no answer is left for {asked.get('wsfunction')}"
        call = self._waiting.pop(0)
        if not call["name"].startswith(("proto-", "site-")):
            assert asked.get("wsfunction") == call["function"], (
                f"{asked.get('wsfunction')}, not {call['name']}"
            )
        answer = call["response"]
        headers = {name: value for name, value in answer["headers"] if name.lower() not in _HOP}
        await Response(answer["body"], answer["status"], headers)(scope, receive, send)
