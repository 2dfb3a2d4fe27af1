"""The gateway as a process of its own, started quickly, with time that can be simulated, and killed at will.

A fork server has everything imported and all mappings compiled already (gateway_ready.py), so that a start
takes a quarter of a second: a test may kill it fifty times. The child serves exactly what `lms-gateway serve`
serves (create_app behind listening); besides, its clock may be moved, and its waits may be shortened while the
clock moves on as if they had been waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

import gateway

START_S = 90.0
STOP_S = 15.0
WAITED = 0.02
"""The share of a wait that is really waited for, where waits are simulated."""

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.support.gateway_ready"])


class GatewayProcess:
    """One gateway process. `output` is everything it ever wrote: its log, at DEBUG, and whatever else."""

    def __init__(
        self, config: Path, *, output: Path, moved_s: float = 0.0, simulated_waits: bool = False
    ) -> None:
        os.environ.setdefault("PYTHONPATH", str(Path(gateway.__file__).parent.parent))
        self.output = output
        self._ours, theirs = CONTEXT.Pipe()
        arguments = (str(config), str(output), moved_s, simulated_waits, theirs)
        self._process = CONTEXT.Process(target=child, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self.url = self._hear()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def move(self, seconds: float) -> None:
        """Let its clock jump ahead."""
        self._ours.send(seconds)
        self._hear()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.join(STOP_S)

    def stop(self) -> None:
        """SIGTERM; waits until it has gone."""
        self._process.terminate()
        self._process.join(STOP_S)
        if self._process.is_alive():
            self.kill()

    def _hear(self) -> str:
        if not self._ours.poll(START_S):
            self.kill()
            raise AssertionError(f"the gateway did not answer:\n{_tail(self.output)}")
        try:
            return str(self._ours.recv())
        except EOFError:
            raise AssertionError(f"the gateway ended:\n{_tail(self.output)}") from None


@contextlib.contextmanager
def gateway_running(
    config: Path, *, output: Path | None = None, moved_s: float = 0.0, simulated_waits: bool = False
) -> Iterator[GatewayProcess]:
    """A gateway for the length of the block; it ends by kill -9, as nothing may depend on a gentle end."""
    process = GatewayProcess(
        config,
        output=output or config.parent / "gateway.log",
        moved_s=moved_s,
        simulated_waits=simulated_waits,
    )
    try:
        yield process
    finally:
        process.kill()


def child(config: str, output: str, moved_s: float, simulated_waits: bool, pipe: Connection) -> None:
    """The child's whole life."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(Path(config), moved_s, simulated_waits, pipe))


async def _serve(config: Path, moved_s: float, simulated_waits: bool, pipe: Connection) -> None:
    from gateway import logs
    from gateway.app import create_app
    from gateway.config import load_config
    from gateway.listen import listening

    logs.set_up("debug")
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    settings = load_config(config)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        clock, progress = app.state.gateway.database.clock, app.state.gateway.progress
        clock.move(moved_s)
        if simulated_waits:
            _simulate_waits(app.state.gateway)

        def move() -> None:
            try:
                clock.move(pipe.recv())
                for worker in (progress.deliveries, progress.intake, progress.poller):
                    worker.kick()  # it would have been awake long since
                pipe.send("moved")
            except EOFError:  # the test has gone
                loop.remove_reader(pipe.fileno())
                stop.set()

        async with listening(app, settings.listen.host, settings.listen.port) as url:
            loop.add_reader(pipe.fileno(), move)
            pipe.send(url)
            await stop.wait()


def _simulate_waits(gateway_: object) -> None:
    database, tenants = gateway_.database, gateway_.tenants  # type: ignore[attr-defined]

    async def pause(seconds: float) -> None:
        database.clock.move(seconds * (1 - WAITED))
        await asyncio.sleep(seconds * WAITED)

    for tenant in tenants.values():
        tenant.vendor.pause = pause


def _tail(output: Path) -> str:
    with contextlib.suppress(OSError):
        return output.read_text(errors="replace")[-4000:]
    return "(no output)"
