"""A vendor's stand-in as a process of its own, and its control surface."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

import gateway

START_S = 90.0
PROBE = "/siteinfo"


class VendorProcess:
    """A running stand-in. `url` is its origin, such as `http://127.0.0.1:40001`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._control = httpx.Client(base_url=f"{url}/_control", trust_env=False, timeout=20.0)

    def close(self) -> None:
        self._control.close()

    def requests(self) -> list[dict[str, Any]]:
        """Every request that came, oldest first."""
        found: list[dict[str, Any]] = self._get("journal")["requests"]
        return found

    def asked(self) -> list[dict[str, Any]]:
        """The requests that somebody asked for: all but the gateway's own probe, which comes when it likes."""
        return [each for each in self.requests() if not each["raw_path"].endswith(PROBE)]

    def effects(self) -> Counter[tuple[str, str]]:
        """How often each change of state was made: (kind, what)."""
        return Counter((each["kind"], each["what"]) for each in self._get("journal")["effects"])

    def effects_of(self, kind: str) -> list[str]:
        """What the changes of one kind were, in order."""
        return [each["what"] for each in self._get("journal")["effects"] if each["kind"] == kind]

    def counts(self) -> Counter[str]:
        """How many changes of each kind were ever made."""
        return Counter(self._get("journal")["effect_counts"])

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self._get("state")
        return found

    def arm(self, *faults: Mapping[str, Any]) -> None:
        self._post("faults", [dict(fault) for fault in faults])

    def disarm(self) -> None:
        self._control.delete("/faults").raise_for_status()

    def switch(self, **switches: Any) -> None:
        self._post("switches", switches)

    def act(self, name: str, **arguments: Any) -> Any:
        return self._post(f"act/{name}", arguments)

    def reset(self) -> None:
        self._post("reset", {})

    def _get(self, name: str) -> Any:
        return self._control.get(f"/{name}").raise_for_status().json()

    def _post(self, name: str, body: Any) -> Any:
        answer = self._control.post(f"/{name}", json=body)
        assert answer.is_success, f"{name}: {answer.text}"
        return answer.json()


@contextlib.contextmanager
def vendor_running(module: str, arguments: Sequence[str] = ()) -> Iterator[VendorProcess]:
    """Run a stand-in's module for the length of the block."""
    root = str(Path(gateway.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", module, "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        late = threading.Timer(START_S, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            late.cancel()
            assert line.startswith("listening on "), f"{module} did not start: {line}"
            vendor = VendorProcess(line.removeprefix("listening on ").strip())
            try:
                yield vendor
            finally:
                vendor.close()
        finally:
            late.cancel()
            process.terminate()
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
