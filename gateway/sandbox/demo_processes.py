"""The demo's processes: started together, waited for, and ended whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_S = 60.0
STOP_S = 15.0
KEPT_LINES = 25
_ROOT = Path(__file__).resolve().parents[2]


class ChildDied(Exception):
    """A process ended, or did not start in time; `str` has its last output."""


class Child:
    """One Python module run as a process that says `WORD on http://…` once it can be used."""

    def __init__(self, name: str, arguments: Sequence[str], *, folder: Path) -> None:
        self.name = name
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._urls: dict[str, str] = {}
        self._heard = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C is ours; we end the others in order
        )
        self._reader = threading.Thread(target=self._read, name=f"reads {name}", daemon=True)
        self._reader.start()

    def url(self, word: str = "listening", *, within_s: float = START_S) -> str:
        """The address it announced. Raises ChildDied when it ends or stays silent instead."""
        with self._heard:
            self._heard.wait_for(lambda: word in self._urls or self.ended, timeout=within_s)
            if word not in self._urls:
                raise ChildDied(self.last_words())
            return self._urls[word]

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def last_words(self) -> str:
        code = self._process.poll()
        what = "did not start in time" if code is None else f"ended with exit code {code}"
        return "\n    ".join([f"{self.name} {what}. Its last output:", *self.said()])

    def said(self) -> list[str]:
        """Its last lines of output."""
        with self._heard:
            return list(self._said) or ["(nothing)"]

    def stop(self) -> None:
        """End it; by force when it does not go by itself."""
        if not self.ended:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(1.0)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._hear(line.rstrip())
        self._process.wait()
        with self._heard:
            self._heard.notify_all()

    def _hear(self, line: str) -> None:
        with self._heard:
            self._said.append(line)
            word, on, url = line.partition(" on ")
            if on and url.startswith("http://"):
                self._urls[word] = url
            self._heard.notify_all()


class Children:
    """The processes of one demo; leaving the block ends them, the last started first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.all: list[Child] = []

    def start(self, name: str, *arguments: str) -> Child:
        child = Child(name, arguments, folder=self._folder)
        self.all.append(child)
        return child

    def check(self) -> None:
        """Raises ChildDied when one has ended."""
        for child in self.all:
            if child.ended:
                raise ChildDied(child.last_words())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self.all):
            child.stop()


def _environment() -> dict[str, str]:
    """Ours, with this very package first on the path, and output that is not held back."""
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
