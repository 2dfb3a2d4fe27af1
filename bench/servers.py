"""The servers of the bench as processes: how each is started, and what it has used."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from load import opened

HERE = Path(__file__).parent
MAPPING = HERE.parent / "mappings" / "talentlms.yaml"
START_S = 20.0
LAST_WORDS = 15
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
TOKEN = secrets.token_hex(16)
HOOK_SECRET = "a-made-up-secret-of-the-bench"
RTOPILOT_KEY = f"rtop_{'5eed' * 16}"
ENVIRONMENT = {
    "BENCH_TOKEN": TOKEN,
    "BENCH_VENDOR_KEY": "k3yMadeUp",
    "BENCH_HOOK_SECRET": HOOK_SECRET,
    "BENCH_RTOPILOT_KEY": RTOPILOT_KEY,
    "BENCH_SECRET": TOKEN * 2,
}
"""Where the servers' secrets are read from."""


class ServerFailed(Exception):
    """A server of the bench did not start, or died; `str` has its last words."""


class Server:
    """A server of the bench: its port, and what /proc says about it. Its log goes to a file, as it would."""

    def __init__(self, name: str, command: list[str], port: int, folder: Path) -> None:
        self.name = name
        self.port = port
        self._log = folder / f"{name}-{port}.log"
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **ENVIRONMENT})

    async def ready(self) -> None:
        """Returns once it answers anything on its port. Raises ServerFailed if it has not within START_S."""
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._popen.poll() is None:
            try:
                (await opened(self.port)).close()
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return
        raise self.failed(f"does not answer on port {self.port}")

    def failed(self, what: str) -> ServerFailed:
        code = self._popen.poll()
        state = "still runs" if code is None else f"has ended with code {code}"
        words = self._log.read_text(errors="replace").splitlines()[-LAST_WORDS:]
        return ServerFailed("\n  ".join([f"{self.name} {what}; it {state}. Its log ends with:", *words]))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S  # utime, stime, all threads

    @property
    def memory_mb(self) -> float:
        status = Path(f"/proc/{self._popen.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def stop(self) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(5)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def vendor_command(port: int) -> list[str]:
    return [sys.executable, str(HERE / "vendor.py"), "--port", str(port)]


def adapter_command(port: int, vendor: str) -> list[str]:
    return [
        sys.executable,
        str(HERE / "adapter.py"),
        "--port",
        str(port),
        "--vendor",
        vendor,
        "--token",
        TOKEN,
    ]


def gateway_command(
    port: int,
    vendor: str,
    folder: Path,
    template: str,
    tenants: Sequence[str] = ("bench",),
    more: Mapping[str, object] = MappingProxyType({}),
) -> list[str]:
    """How the gateway is started: `template` with {python}, {config}, {port}, {vendor}, {token} filled in.

    {config} is a config.yaml written here. Each tenant has a mapping file of its own, and the one vendor;
    `more` is said of each besides.
    """
    config = folder / "config.yaml"
    text = bench_mapping(MAPPING.read_text(encoding="utf-8"))
    for name in tenants:
        (folder / f"{name}.yaml").write_text(text)
    settings = {
        "listen": {"host": "127.0.0.1", "port": port},
        "admin": {"host": "127.0.0.1", "port": free_port()},
        "store": f"sqlite:///{folder / 'gateway.db'}",
        "tenants": {name: {**_tenant(name, vendor, folder), **more} for name in tenants},
    }
    config.write_text(json.dumps(settings, indent=2))  # JSON is YAML
    return command_for(template, config, port, vendor)


def command_for(template: str, config: Path, port: int, vendor: str) -> list[str]:
    given = {"python": sys.executable, "config": str(config), "port": port, "vendor": vendor, "token": TOKEN}
    return [part.format(**given) for part in shlex.split(template)]


def _tenant(name: str, vendor: str, folder: Path) -> dict[str, object]:
    return {
        "mapping": str(folder / f"{name}.yaml"),
        "base_url": vendor,
        "settings": {"domain": f"{name}.talentlms.com", "firstPassword": "Bench-pass-1"},
        "secrets": {"apiKey": "${env:BENCH_VENDOR_KEY}"},
        "inbound": {"auth": {"kind": "bearer", "token": "${env:BENCH_TOKEN}"}},
    }


def bench_mapping(text: str) -> str:
    """The shipped mapping, with an allowance no load reaches, and with getCourse as a call of its own.

    The shipped one answers getCourse from the cached list, which would compare a look-up with a vendor call.
    """
    rates = 'rates: ["${settings.callsPerHour}/hour", "200/5s"]'
    assert rates in text and "  createEnrolment:\n" in text
    wide = text.replace(rates, 'rates: ["90000000/hour", "9000000/5s"]')
    return wide.replace("  createEnrolment:\n", GET_COURSE + "  createEnrolment:\n", 1)


GET_COURSE = """  getCourse:
    steps: [{id: one, call: "GET /courses/id:${courseId}", value: {course: "${reply.body}"}}]
    each: "[steps.one.course]"
    as: course
    give: {id: "${text(course.id)}", name: "${unhtml(course.name)}"}
"""
