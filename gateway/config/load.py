"""The deployment in config.yaml: listeners, store, limits, tenants; and where the file is found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.config.file import ConfigFile, open_config
from gateway.config.hosts import own_base
from gateway.config.tenants import TenantConfig, read_tenants
from gateway.errors import HostRefused, Problem, ProblemsFound, StoreError
from gateway.secret import Secret, SecretUnreadable, read_or_make_key
from gateway.store.engines import is_sqlite, parse_url
from gateway.yamlfile import Place

ENVIRONMENT = "LMS_GATEWAY_CONFIG"
DEFAULT = Path("config.yaml")
SHORTEST_SECRET = 16
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address to listen on; port 0 takes a free one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one vendor may send, in bytes after decompression, and how many connections it gets."""

    max_reply_bytes: int
    max_connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One deployment. `admin` None: no private listener. `store` is a URL, which may hold a password.

    `answer_s`: RTOPilot waits no longer; `work_s`: a write goes on no longer. `warnings` belong in the log.
    """

    file: Path
    listen: Listener
    admin: Listener | None
    public_url: str
    store: Secret
    secret: Secret | None
    answer_s: float
    work_s: float
    limits: Limits
    retention_days: int
    tenants: Mapping[str, TenantConfig]
    warnings: tuple[Problem, ...] = field(default=(), repr=False)

    @property
    def organisations(self) -> dict[str, tuple[str, ...]]:
        """The tenants of each RTOPilot organisation, by its name in config.yaml."""
        found: dict[str, tuple[str, ...]] = {}
        for tenant in self.tenants.values():
            found[tenant.organisation] = (*found.get(tenant.organisation, ()), tenant.name)
        return found

    def session_secret(self) -> Secret:
        """The secret that encrypts vendor sessions; beside an SQLite store a key file is made for it.

        Raises StoreError when that file cannot be used.
        """
        if self.secret is not None:
            return self.secret
        try:
            return read_or_make_key(Path(f"{parse_url(self.store.reveal()).database}.key"))
        except SecretUnreadable as trouble:
            raise StoreError(f"{trouble.message} {trouble.fix}") from trouble


def find_config(explicit: Path | None = None, *, environ: Mapping[str, str] | None = None) -> Path:
    """`--config`, else LMS_GATEWAY_CONFIG, else ./config.yaml. Raises ProblemsFound that names all three."""
    named = (os.environ if environ is None else environ).get(ENVIRONMENT) or None
    chosen = explicit or (Path(named) if named else DEFAULT)
    if chosen.is_file():
        return chosen
    looked = [
        f"--config: {explicit or 'not given'}",
        f"{ENVIRONMENT}: {named or 'not set'}",
        f"./config.yaml: {'there' if DEFAULT.is_file() else 'not there'}",
    ]
    raise ProblemsFound([
        Problem(
            file=chosen,
            line=0,
            column=0,
            place="",
            message="There is no such configuration file. Looked, in this order, at:\n" + "\n".join(looked),
            fix="Name one with --config FILE.",
            code="config_error",
        )
    ])  # fmt: skip


def load_config(path: Path, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Read a deployment. Raises ProblemsFound with everything wrong in it, its secrets and its mappings."""
    file = open_config(path, os.environ if environ is None else environ)
    listen = _listener(file, "listen", 8080)
    store = _store(file)
    read: dict[str, Any] = {
        "admin": None if file.value("admin") in (False, "off") else _listener(file, "admin", 8081),
        "public_url": _public_url(file, listen),
        "secret": _session_secret(file, store),
        "answer_s": file.seconds("deadlines", "answer", default=8.0),
        "work_s": file.seconds("deadlines", "work", default=60.0),
        "limits": _limits(file),
        "retention_days": _retention(file),
        "tenants": read_tenants(file),
    }
    report = file.report()
    if store is None or any(problem.severity == "error" for problem in report):
        raise ProblemsFound(report)
    return Settings(file=path, listen=listen, store=store, warnings=tuple(report), **read)


def _listener(file: ConfigFile, key: str, port: int) -> Listener:
    return Listener(
        host=file.value(key, "host", default="127.0.0.1"), port=file.value(key, "port", default=port)
    )


def _limits(file: ConfigFile) -> Limits:
    return Limits(
        max_reply_bytes=file.bytes("limits", "reply", default=10_000_000),
        max_connections=file.value("limits", "connections", default=100),
    )


def _retention(file: ConfigFile) -> int:
    days = int(file.seconds("retention", default=30 * DAY_S) // DAY_S)
    if days < 1:
        file.problem(("retention",), "This is less than a day.", fix="Write it such as `30d`.")
    return days


def _public_url(file: ConfigFile, listen: Listener) -> str:
    place: Place = ("public_url",)
    written = file.text(*place)
    if written is None:
        return f"http://{listen.host}:{listen.port}"
    base = own_base(written)
    if isinstance(base, HostRefused):
        file.problem(place, f"RTOPilot cannot be given this address: {base}.", fix="https://gw.example.net")
    return written.rstrip("/")


def _store(file: ConfigFile) -> Secret | None:
    """The store's URL; an SQLite file without a folder lies beside config.yaml, wherever we were started."""
    written = file.secret("store", plain=True)
    if written is None:
        return None
    try:
        url = parse_url(written.reveal())
    except StoreError as error:
        file.problem(("store",), str(error))
        return None
    if is_sqlite(url):
        url = url.set(database=str(file.folder / str(url.database)))
    elif url.password is not None and written.reveal() == file.text("store"):
        file.warn(("store",), "The database's password is written out.", fix='Write `store: "${env:NAME}"`.')
    return Secret(url.render_as_string(hide_password=False))


def _session_secret(file: ConfigFile, store: Secret | None) -> Secret | None:
    secret = file.secret("secret")
    if secret is not None and len(secret.reveal()) < SHORTEST_SECRET:
        file.problem(("secret",), f"This is shorter than {SHORTEST_SECRET} characters.")
    if store is not None and not file.has("secret") and not is_sqlite(parse_url(store.reveal())):
        file.problem(
            ("store",),
            "Several gateways may share this store, so they must share a secret too.",
            fix='Add `secret: "${env:GATEWAY_SECRET}"` (32 random characters).',
            key=True,
        )
    return secret
