"""The gateway as a process: its two listeners, until SIGTERM or SIGINT.

A first signal stops accepting, lets requests and runs come to their end (10 s each at most) and leaves;
a second one leaves at once. What is left then is settled by the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Callable

from gateway.app import create_admin_app, create_app
from gateway.config import Settings
from gateway.listen import listening

log = logging.getLogger("gateway.serve")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GC_THRESHOLD = 50_000
"""Objects made since the last collection; Python's own 700 are gathered by three requests."""


def serve(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve until told to stop; `announce` gets one line for each listener, with its real port.

    Raises CannotListen, StoreError and ProblemsFound before anything is served.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(_serve(settings, announce))
        except BaseExceptionGroup as group:  # the application's workers run in a task group
            raise _only(group) from None


async def _serve(settings: Settings, announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    _on_signals(stop)
    for warning in settings.warnings:
        log.warning("%s:%d %s: %s", warning.file, warning.line, warning.place, warning.message)
    app = create_app(settings)
    async with contextlib.AsyncExitStack() as open_:
        # Opened here and not by the server, so that a store that cannot be used is reported, not logged.
        await open_.enter_async_context(app.router.lifespan_context(app))
        if settings.admin is not None:
            admin = listening(create_admin_app(app), settings.admin.host, settings.admin.port)
            announce(f"admin on {await open_.enter_async_context(admin)}")
        public = listening(app, settings.listen.host, settings.listen.port)
        announce(f"listening on {await open_.enter_async_context(public)}")
        spare_the_collector()
        await stop.wait()
        log.info("stopping: requests and runs under way may end")
    log.info("stopped")


def spare_the_collector() -> None:
    """Keep what start-up made (90 MB that stays) out of every collection, and collect less often.

    Measured: an eighth of the CPU of every request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def stopping() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for name in SIGNALS:
        loop.add_signal_handler(name, stopping)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for every platform
        return None
    return uvloop.new_event_loop


def _only(error: BaseException) -> BaseException:
    """What is inside a group of one, of one, …"""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
