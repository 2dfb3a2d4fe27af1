"""Tenants at work against stand-ins on this machine, as the commands open them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.mapping.load import load_mapping
from gateway.mapping.settings import parse_settings
from gateway.mapping.spec import MappingSpec
from gateway.perform import Perform, TenantSpec, open_tenant
from gateway.perform.background import Background
from gateway.perform.runs import Runs
from gateway.sandbox import learning_assistant_seed as la
from gateway.sandbox.talentlms import API_KEY
from gateway.store import tokens
from gateway.store.database import Database
from gateway.store.traces import Ring

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
SETTINGS: Mapping[str, dict[str, Any]] = {
    "talentlms": {"domain": "acme.talentlms.com", "groupKeys": {"126": "WHS-2026"}},
    "learning-assistant": {
        "company": la.COMPANY_UUID,
        "assessor": la.ASSESSOR_UUID,
        "verifier": la.VERIFIER_UUID,
        "transfer": "create",
        "cancel": "list",
    },
}
SECRETS = {
    "talentlms": {"apiKey": API_KEY},
    "learning-assistant": {"username": "ws-demo-college", "password": "not-a-real-secret"},
}
API = {"talentlms": "/api/v1", "learning-assistant": "/webservices/soap"}


def mapping(name: str) -> MappingSpec:
    return load_mapping(MAPPINGS / f"{name}.yaml").mapping


@contextlib.asynccontextmanager
async def at_work(
    name: str, url: str, folder: Path, *, wire_names: Mapping[str, str] | None = None, **settings: Any
) -> AsyncIterator[Perform]:
    """One tenant, called `acme`, whose vendor is at `url`."""
    spec, base = mapping(name), url + API[name]
    tenant = TenantSpec(
        name="acme",
        mapping=spec,
        settings=parse_settings(spec, json.dumps({**SETTINGS[name], **settings})),
        secrets=SECRETS[name],
        base=base,
        hosts=frozenset({urlsplit(base).hostname or ""}),
        wire_names=wire_names or {},
    )
    database = Database.open(f"sqlite:///{folder}/gateway.db")
    opened = open_tenant(tenant, database, owner="test", session_key=tokens.derive_key("x" * 32))
    tenants, runs = {"acme": opened}, Runs("test")
    try:
        yield Perform(
            database=database,
            tenants=tenants,
            runs=runs,
            background=Background(database, tenants, runs, "test"),
            ring=Ring(),
        )
    finally:
        await opened.close()
        await database.close()
