"""A balancer before several gateways: each connection goes to any that takes it, as behind one address."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from random import Random
from urllib.parse import urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def balancing(urls: Callable[[], Sequence[str]], random: Random) -> AsyncIterator[str]:
    """The address for the block; `urls` says for each connection which gateways there are just then."""
    joins: set[asyncio.Task[None]] = set()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        joins.add(task)
        task.add_done_callback(joins.discard)
        async with _closing(writer):
            behind = await _connect(random.sample(found := list(urls()), len(found)))
            if behind is not None:
                async with _closing(behind[1]), asyncio.TaskGroup() as both:
                    both.create_task(_pump(reader, behind[1]))
                    both.create_task(_pump(behind[0], writer))

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in joins:
            task.cancel()
        await asyncio.gather(*joins, return_exceptions=True)


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _connect(urls: Sequence[str]) -> Streams | None:
    for url in urls:
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until one side ends."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
