"""A PostgreSQL server of the tests' own: started when first asked for, gone with the last process that uses it.

Whoever uses it holds a shared lock on a file. A process beside the server waits for that lock alone, stops
the server and deletes what it left, so that a killed pytest leaves nothing behind and an ending one waits for
nothing. Root hands the server to the user `postgres`, as PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

DEBIAN = Path("/usr/lib/postgresql")
MISSING = (
    "PostgreSQL is not installed, and this test needs it. Please type:  sudo apt-get install postgresql\n"
    "(on other systems: whatever brings initdb and pg_ctl; put them on the PATH)"
)
SUPERUSER = "postgres"
START_S = 60
MEMORY = Path("/dev/shm")
ROOM = 1 << 30
"""Bytes that must be free in memory for the server to live there: a new database takes 15 ms, on disk 100."""
OPTIONS = {
    "listen_addresses": "",  # the socket in its folder is the only way in
    "fsync": "off",  # survives a killed server, not a power cut
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "128MB",
    "dynamic_shared_memory_type": "mmap",  # in its folder too, so that nothing is left elsewhere
    "max_connections": "300",
    "shared_buffers": "64MB",
}


class Server:
    """A running server; `home` holds its data, its socket and its log."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def url(self, database: str, user: str = "gateway") -> str:
        return f"postgresql+psycopg://{user}@/{database}?host={self.home}"

    def restart(self) -> None:
        """End every process of it at once, as a crash does, and start again; blocks until it answers."""
        self.control("restart", "-m", "immediate")

    def start(self) -> None:
        run("initdb", *f"-D {self.data} -U {SUPERUSER} -A trust -E UTF8 --locale=C --no-sync".split())
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in OPTIONS.items())
            conf.write(f"unix_socket_directories = '{self.home}'\n")
        self.control("start")

    def stop(self) -> None:
        self.control("stop", "-m", "immediate")

    def control(self, *arguments: str) -> None:
        """pg_ctl; waits until it is done."""
        run(
            "pg_ctl", "-D", str(self.data), "-l", str(self.home / "log"), "-w", "-t", str(START_S), *arguments
        )

    @property
    def data(self) -> Path:
        return self.home / "data"


@contextlib.contextmanager
def joined(folder: Path, prepare: Callable[[Server], None] = lambda server: None) -> Iterator[Server]:
    """The one server of all who name this folder, for the block; the first of them starts and prepares it."""
    with locked(folder / "users", fcntl.LOCK_SH):
        with locked(folder / "starting", fcntl.LOCK_EX):
            home = folder / "server"
            if not home.exists():
                started = Server(_kept(folder))
                prepare(started)
                home.write_text(str(started.home))
        yield Server(Path(home.read_text()))


def _kept(folder: Path) -> Path:
    """Start a server and who keeps it; its home."""
    command = [sys.executable, __file__, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_S)
    assert done.returncode == 0, f"PostgreSQL did not start:\n{done.stdout}{done.stderr}"
    return Path(done.stdout.strip())


# -- the keeper's process -----------------------------------------------------------------------------


def keep(folder: Path) -> None:
    """Start a server, say where it is, and stop it once nobody uses it; this process goes at once."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM
    home = Path(tempfile.mkdtemp(prefix="lms-gateway-pg-", dir=MEMORY if in_memory else None))
    if account := server_account():
        shutil.chown(home, account)
    server = Server(home)
    try:
        server.start()
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    print(home, flush=True)
    if os.fork() == 0:
        _outlive_parent()
        with locked(folder / "users", fcntl.LOCK_EX):
            (folder / "server").unlink(missing_ok=True)
            server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _outlive_parent() -> None:
    """Out of the parent's session (Ctrl-C is not for us), holding none of its pipes open."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


# -- programs and locks -------------------------------------------------------------------------------


def missing() -> str | None:
    """What to type where there is no server to start."""
    return None if (binaries() / "pg_ctl").exists() else MISSING


def binaries() -> Path:
    """The folder of the newest initdb, or of the one on the PATH."""
    installed = sorted(DEBIAN.glob("*/bin/initdb"), key=_version)
    found = installed[-1] if installed else Path(shutil.which("initdb") or "initdb")
    return found.parent


def _version(initdb: Path) -> int:
    return int(re.sub(r"\D", "", initdb.parts[-3]) or 0)


def server_account() -> str | None:
    """Whom the server runs as, where that is not whom the tests run as."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return SUPERUSER if SUPERUSER in known else "nobody"


def run(program: str, *arguments: str) -> None:
    account = server_account()
    who: dict[str, Any] = (
        {} if account is None else {"user": account, "group": _group(account), "extra_groups": []}
    )
    done = subprocess.run(
        [binaries() / program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd="/",
        **who,
    )
    assert done.returncode == 0, f"{program} {' '.join(arguments)}: {done.stderr}"


def _group(account: str) -> int:
    return pwd.getpwnam(account).pw_gid


@contextlib.contextmanager
def locked(path: Path, how: int) -> Iterator[IO[str]]:
    """Hold a lock on the file; the kernel lets go of it when the process dies."""
    with path.open("a") as file:
        fcntl.flock(file, how)
        yield file


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
