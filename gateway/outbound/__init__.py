"""Everything that leaves this process over HTTP leaves here: the only room that imports httpx and aiohttp.

lean.py        httpx without its command
addresses.py   which addresses may be called, and that targets are harmless
transport.py   an httpx transport on aiohttp's connector: bytes on the wire, errors into ours
pool.py        one pool per tenant and vendor: deadline, size cap, `Answer`
"""

import gateway.outbound.lean  # noqa: F401  # isort: skip  (before anything that imports httpx)
from gateway.outbound.pool import Answer, Pool

__all__ = ["Answer", "Pool"]
