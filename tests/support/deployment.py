"""A deployment for a test: config.yaml in a folder of its own, with tenants joined to stand-ins."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gateway.sandbox import learning_assistant_seed as la
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.rtopilot_slots import Auth, Slots
from gateway.sandbox.talentlms import API_KEY
from tests.support.kind import Kind as Kind

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
TOKEN = "inbound-token-of-the-tests"
AUTH = Auth(kind="BEARER", token=TOKEN)
RTO_COURSE = "rto-course"


TALENTLMS = Kind(
    name="talentlms",
    module="gateway.sandbox.talentlms",
    switches={"hourly_limit": 0, "burst_limit": 0},
    api="/api/v1",
    settings={"domain": "acme.talentlms.example", "callsPerHour": 1_000_000},
    secrets={"apiKey": API_KEY},
    courses=("126", "127", "128", "129"),
    write={"path": "addusertocourse"},
)
LEARNING_ASSISTANT = Kind(
    name="learning-assistant",
    module="gateway.sandbox.learning_assistant",
    switches={"status_accessor": "Status"},
    api="/webservices/soap",
    settings={
        "company": la.COMPANY_UUID,
        "assessor": la.ASSESSOR_UUID,
        "verifier": la.VERIFIER_UUID,
        "transfer": "create",
        "cancel": "update",
    },
    secrets={
        "username": LearningAssistantSwitches().username,
        "password": LearningAssistantSwitches().password,
    },
    courses=(la.COURSE_UUID, *la.SHARED_QAN_COURSE_UUIDS, la.NO_QAN_COURSE_UUID),
    write={"path": "enrolment.cfc"},
)
KINDS = {kind.name: kind for kind in (TALENTLMS, LEARNING_ASSISTANT)}
"""Of which everything is tested, storms too; `kinds.py` has all of them."""


def tenant(kind: Kind, vendor_url: str, **changes: Any) -> dict[str, Any]:
    """One tenant of config.yaml, joined to the stand-in at this origin; `settings` are added to the usual."""
    settings = {**kind.settings, **changes.pop("settings", {})}
    return {
        "mapping": kind.name,
        "base_url": f"{vendor_url}{kind.api}",
        "settings": settings,
        "secrets": dict(kind.secrets),
        "inbound": {"auth": {"kind": "bearer", "token": TOKEN}},
        "grace": "0s",
        **changes,
    }


def write_config(
    folder: Path,
    tenants: Mapping[str, Mapping[str, Any]],
    *,
    port: int = 0,
    answer: str = "8s",
    work: str = "60s",
    call_timeout: str | None = None,
    **more: Any,
) -> Path:
    """Write config.yaml (JSON is YAML too) beside copies of the mappings; its path.

    In the copies calls are not rationed in bursts, so that a test may hurry. `call_timeout` replaces the
    vendor calls' own of 5 s.
    """
    _copy_mappings(folder / "mappings", {"200/5s": "100000/5s"}, call_timeout)
    config = {
        "listen": {"host": "127.0.0.1", "port": port},
        "admin": "off",
        "store": "sqlite:///gateway.db",
        "deadlines": {"answer": answer, "work": work},
        "tenants": tenants,
        **more,
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")
    return path


def _copy_mappings(folder: Path, changes: Mapping[str, str], call_timeout: str | None) -> None:
    folder.mkdir(exist_ok=True)
    for source in MAPPINGS.glob("*.yaml"):
        text = source.read_text(encoding="utf-8")
        for old, new in changes.items():
            text = text.replace(old, new)
        if call_timeout is not None:
            text, found = re.subn(r"(?m)^  timeout: \d+s$", f"  timeout: {call_timeout}", text)
            assert found == 1, source.name
        (folder / source.name).write_text(text, encoding="utf-8")


def slots(gateway_url: str, tenant_name: str) -> Slots:
    return Slots.published(gateway_url, tenant_name, AUTH)


def free_port() -> int:
    """A port that nobody has; for a gateway that comes back under the same address."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# -- what the vendor holds, in RTOPilot's terms -----------------------------------------------------

Pair = tuple[str, str]
"""Student's id in RTOPilot, course id at the vendor."""


def enrolled(kind: Kind, effects: Mapping[tuple[str, str], int], state: Mapping[str, Any]) -> dict[Pair, int]:
    """How often each student was ever enrolled in each course."""
    if kind is TALENTLMS:
        return _by_pair(effects, "user_enrolled", _logins(state), course_first=True)
    return _by_pair(effects, "enrolled", _learners(state), course_first=False)


def ended(kind: Kind, effects: Mapping[tuple[str, str], int], state: Mapping[str, Any]) -> dict[Pair, int]:
    """How often each student's enrolment in each course was ended."""
    if kind is TALENTLMS:
        return _by_pair(effects, "user_unenrolled", _logins(state), course_first=True)
    return _by_pair(effects, "withdrawn", _learners(state), course_first=False)


def sign_ups(kind: Kind, effects: Mapping[tuple[str, str], int], state: Mapping[str, Any]) -> dict[str, int]:
    """How many accounts each student has at the vendor."""
    if kind is TALENTLMS:
        made = [what for (name, what) in effects if name == "user_registered"]
        return _count(_logins(state)[user] for user in made)
    people = {(each["candidate_uuid"], _source(each)) for each in state["enrolments"]}
    return _count(student for _, student in people)


def _by_pair(
    effects: Mapping[tuple[str, str], int], kind: str, people: Mapping[str, str], *, course_first: bool
) -> dict[Pair, int]:
    found: dict[Pair, int] = {}
    for (name, what), count in effects.items():
        if name != kind:
            continue
        first, _, second = what.partition(",")
        person, course = (second, first) if course_first else (first, second)
        pair = (people[person], course)
        found[pair] = found.get(pair, 0) + count
    return found


def _logins(state: Mapping[str, Any]) -> dict[str, str]:
    return {str(user["id"]): str(user["login"]).removeprefix("rto-") for user in state["users"]}


def _learners(state: Mapping[str, Any]) -> dict[str, str]:
    return {each["candidate_uuid"]: _source(each) for each in state["enrolments"]}


def _source(enrolment: Mapping[str, Any]) -> str:
    return str(enrolment["values"].get("SourceSystemLearnerUUID", ""))


def _count(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found
