"""A deployment in a folder: config.yaml, an SQLite store, and a vendor stand-in on a real socket."""

import asyncio
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from gateway.cli.commands import app
from gateway.sandbox.control import StandIn
from gateway.sandbox.serve import running
from gateway.sandbox.talentlms import API_KEY, create_talentlms
from gateway.store.database import Database

TOKEN = "inbound-token-of-these-tests-0123456789"


@dataclass(slots=True)
class Deployment:
    """One config.yaml; `settings` and `tenant` may be changed before it is written."""

    folder: Path
    standin: StandIn
    url: str

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def write(self, *, settings: dict[str, Any] | None = None, **tenant: Any) -> Path:
        shown = {
            "mapping": "talentlms",
            "base_url": f"{self.url}/api/v1",
            "settings": {
                "domain": "college.talentlms.example",
                "email": "${student.id}@learn.example.org",
                **(settings or {}),
            },
            "secrets": {"apiKey": API_KEY},
            "inbound": {"auth": {"kind": "bearer", "token": TOKEN}},
            "grace": "0s",
            **tenant,
        }
        self.config.write_bytes(
            orjson.dumps(
                {
                    "listen": {"host": "127.0.0.1", "port": 0},
                    "admin": {"host": "127.0.0.1", "port": 0},
                    "store": "sqlite:///gateway.db",
                    "tenants": {
                        "college": {name: value for name, value in shown.items() if value is not None}
                    },
                }
            )
        )
        return self.config

    def run(self, *words: str) -> "Ran":
        result = CliRunner().invoke(app, [*words, "--config", str(self.config)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    def store(self, work: Callable[[Any], Any]) -> Any:
        """Run a closure over the store, in a transaction."""

        async def written() -> Any:
            database = Database.open(f"sqlite:///{self.folder / 'gateway.db'}")
            try:
                return await database.write(work)
            finally:
                await database.close()

        return asyncio.run(written())


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)

    def rows(self) -> list[list[str]]:
        """The cells of the tables it printed."""
        return [line.split("\t") for line in self.out.splitlines() if "\t" in line]


class Terminal(io.StringIO):
    """Standard output on a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def standin() -> Iterator[tuple[StandIn, str]]:
    standin = create_talentlms()
    with running(standin) as url:
        yield standin, url


@pytest.fixture
def deployment(tmp_path: Path, standin: tuple[StandIn, str]) -> Deployment:
    made = Deployment(tmp_path, *standin)
    made.write()
    return made


@pytest.fixture
def bare() -> Callable[..., Ran]:
    """Runs a command without a configuration."""

    def run(*words: str) -> Ran:
        result = CliRunner().invoke(app, list(words))
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run
