"""A receiver of webhooks, to be served beside a stand-in that sends them."""

from __future__ import annotations

import json
import threading
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse


class Receiver:
    """Takes webhooks as (path, headers, body); `statuses` are the answers to come, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.queries: list[str] = []
        self.statuses: list[int] = []
        self.lock = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = await request.body()
        with self.lock:
            self.got.append((request.url.path, dict(request.headers), body))
            self.queries.append(request.url.query)
            status = self.statuses.pop(0) if self.statuses else 200
        await JSONResponse({"received": True}, status)(scope, receive, send)

    def clear(self) -> None:
        self.got, self.queries, self.statuses = [], [], []

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, _, body in self.got]
