"""HTTP clients of the stand-ins and of the demo."""

from __future__ import annotations

import functools
import ssl
from typing import Any

import httpx


def new_client(**options: Any) -> httpx.AsyncClient:
    """A client with httpx's options that no proxy and no .netrc credential of this machine may join."""
    return httpx.AsyncClient(trust_env=False, verify=_trusted(), **options)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The usual certificates, read once: it takes longer than many a call to a stand-in."""
    return httpx.create_ssl_context(trust_env=False)
