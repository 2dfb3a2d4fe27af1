"""Everything that leaves this process over HTTP leaves here: the only room that imports httpx and aiohttp.

addresses.py   which addresses may be called, and that targets are harmless
transport.py   an httpx transport on aiohttp's connector: bytes on the wire, errors into ours
pool.py        one pool per tenant and vendor: deadline, size cap, `Answer`
"""

from gateway.outbound.pool import Answer, Pool

__all__ = ["Answer", "Pool"]
