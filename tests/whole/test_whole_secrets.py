"""Marker secrets and names planted everywhere, then looked for in everything a gateway lets out or keeps.

Looked at: the log of the whole process at DEBUG, every answer to RTOPilot, the store's files. Secrets are
looked for as they are, percent-encoded, in base64 at every alignment, in hexadecimal and as JSON text.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from gateway import ids
from gateway.contract import Operation
from gateway.sandbox.rtopilot_caller import ServerError
from gateway.sandbox.rtopilot_office import Office
from gateway.sandbox.rtopilot_slots import Auth, Slots
from tests.support.deployment import LEARNING_ASSISTANT, TALENTLMS, Kind, tenant, write_config
from tests.support.gateway_process import gateway_running
from tests.support.offices import office_at
from tests.support.vendor_process import VendorProcess, vendor_running

API_KEY = "MARKER/api+key=one&two"
USER = "MARKER-web-service-user"
PASSWORD = "MARKER pass+word/<one>"
INBOUND = "MARKER.inbound-token-0123456789"
STORE_SECRET = "MARKER-store-secret-0123456789abcdef"
FIRST_PASSWORD = "MARKER-Welcome1"
SECRETS = (API_KEY, USER, PASSWORD, INBOUND, STORE_SECRET, FIRST_PASSWORD)

FIRST, LAST, OTHER = "Zwxmarkerfirst", "O'Zwxmarkerlast", "Zwxmarkerother"
NAMES = (FIRST, LAST, "Zwxmarkerlast", OTHER)

ARGUMENTS = {
    TALENTLMS.name: ("--api-key", API_KEY),
    LEARNING_ASSISTANT.name: ("--username", USER, "--password", PASSWORD),
}
GIVEN = {
    TALENTLMS.name: {"apiKey": API_KEY},
    LEARNING_ASSISTANT.name: {"username": USER, "password": PASSWORD},
}
SETTINGS: Mapping[str, dict[str, Any]] = {
    TALENTLMS.name: {
        "firstPassword": f"{FIRST_PASSWORD}-${{student.id}}",
        "email": "${student.id}@learners.example",
    },
    LEARNING_ASSISTANT.name: {},
}
WRITE = {TALENTLMS.name: "usersignup", LEARNING_ASSISTANT.name: "enrolment.cfc"}

_SESSION = re.compile(r"<(?:\w+:)?uuid[^>]*>([0-9A-F-]{35})<")


@pytest.fixture
def vendor(kind: Kind) -> Iterator[VendorProcess]:
    """A stand-in with marker credentials."""
    with vendor_running(kind.module, ARGUMENTS[kind.name]) as process:
        process.switch(**kind.switches)
        yield process


@pytest.fixture
def config(kind: Kind, vendor: VendorProcess, tmp_path: Path) -> Path:
    def kept(name: str, text: str) -> str:
        (tmp_path / name).write_text(text + "\n")
        return f"${{file:{tmp_path / name}}}"

    own = tenant(kind, vendor.url, settings=SETTINGS[kind.name])
    own["secrets"] = {name: kept(f"secret-{name}", text) for name, text in GIVEN[kind.name].items()}
    own["inbound"] = {"auth": {"kind": "bearer", "token": kept("secret-inbound", INBOUND)}}
    secret = kept("secret-store", STORE_SECRET)
    return write_config(tmp_path, {"acme": own}, answer="2s", call_timeout="500ms", secret=secret)


def forms(secret: str) -> set[str]:
    """How a secret may look on its way."""
    raw = secret.encode()
    found = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        raw.hex(),
    }
    found.add(base64.b64encode(raw + b":").decode().rstrip("=")[:-1])
    for shift in range(3):  # inside a longer text, whatever stands before and after it
        padded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        found |= {
            padded[4 if shift else 0 : -2],
            padded.translate(str.maketrans("+/", "-_"))[4 if shift else 0 : -2],
        }
    return found


def leaks(text: str, secrets: tuple[str, ...]) -> list[str]:
    """The secrets that stand in a text, and in what form."""
    return [f"{secret!r} as {form!r}" for secret in secrets for form in sorted(forms(secret)) if form in text]


async def attempted(action: Callable[[], Awaitable[Any]]) -> None:
    with contextlib.suppress(ServerError):
        await action()


async def everything(kind: Kind, vendor: VendorProcess, office: Office) -> None:
    """Every operation, and every way for it to fail that quotes what it was sent."""
    course = kind.courses[0]
    people = office.organisation
    people.add_student("stu-1", FIRST, LAST)
    people.add_student("stu-2", OTHER, LAST)
    await office.list_courses(LAST)
    await office.read_course(course)
    made = await office.enrol("stu-1", course)
    await office.read_enrolment(made.rto_id)
    await office.transfer(made.rto_id, "stu-2")
    await office.mark(made.rto_id, [{"student": LAST}])
    await office.cancel(made.rto_id)
    await attempted(lambda: office.read_enrolment(made.rto_id))
    for number in range(len(telling_faults(kind, ""))):
        student = f"bad-{number}"
        people.add_student(student, FIRST, LAST)
        vendor.disarm()
        vendor.arm({"path": WRITE[kind.name], **telling_faults(kind, student)[number]})
        await attempted(lambda: office.enrol(student, course))  # noqa: B023 (called at once)
    vendor.disarm()
    await hostile_calls(office)


def telling_faults(kind: Kind, student: str) -> list[dict[str, Any]]:
    """Answers that quote the request, as real ones do, and those that say nothing."""
    known = [*GIVEN[kind.name].values()]
    if kind is TALENTLMS:
        known.append(f"{FIRST_PASSWORD}-{student}")
    said = " ".join((FIRST, LAST, *known, *map(quote, known), *map(in_base64, known)))
    escaped = said.replace("&", "&amp;").replace("<", "&lt;")
    soap = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{}</e:Body></e:Envelope>'
    refusal = soap.format(
        "<GroupEnrolmentResponse><GroupEnrolmentReturn><MessageList>"
        f"<m>Bad {escaped}</m></MessageList></GroupEnrolmentReturn></GroupEnrolmentResponse>"
    )
    fault = soap.format(f"<e:Fault><faultcode>x</faultcode><faultstring>{escaped}</faultstring></e:Fault>")
    error = json.dumps({"error": {"type": "invalid_request_error", "message": f"Bad {said}"}})
    spoken = (
        [{"status": 400, "body": error}, {"status": 500, "body": error}, {"status": 401, "body": error}]
        if kind is TALENTLMS
        else [{"status": 200, "body": refusal}, {"status": 500, "body": fault}]
    )
    content_type = "application/json" if kind is TALENTLMS else "text/xml"
    return [
        *({"kind": "answer", "content_type": content_type, **each} for each in spoken),
        {"kind": "answer", "status": 200, "body": f"<html>{said}", "content_type": "text/html"},
        {
            "kind": "answer",
            "status": 302,
            "body": said,
            "headers": [["location", f"http://x/?key={quote(API_KEY)}"]],
        },
        {"kind": "lost_request"},
        {"kind": "slow_request", "seconds": 0.6},
        {"kind": "error", "status": 503},
    ]


def in_base64(secret: str) -> str:
    return base64.b64encode(f"{secret}:".encode()).decode()


async def hostile_calls(office: Office) -> None:
    """Calls that are refused before anything is done."""
    body = '{"courseId":"${courseId}","student":{"id":"","firstName":"${student.firstName}","lastName":"${student.lastName}"}}'
    right = office.caller.slots
    wrong = Auth(kind="BEARER", token=f"{INBOUND}-not-quite")
    for slots in (
        right.changed(Operation.CREATE_ENROLMENT, body=body),
        right.changed(Operation.CREATE_ENROLMENT, body=body[:-1]),
        right.changed(Operation.CREATE_ENROLMENT, auth=wrong),
        right.changed(
            Operation.CREATE_ENROLMENT,
            url=right.filled[Operation.CREATE_ENROLMENT].url + f"/{FIRST}?t={INBOUND}",
        ),
    ):
        office.caller.slots = slots
        await attempted(lambda: office.enrol("stu-1", office_course(office)))
    office.caller.slots = right


def office_course(office: Office) -> str:
    return next(iter(office.organisation.courses))


def dumped(store: Path, tables: str) -> str:
    """Every row of the tables whose names match, as text."""
    with contextlib.closing(sqlite3.connect(store)) as connection:
        names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        rows = [
            str(row)
            for name in names
            if re.fullmatch(tables, name)
            for row in connection.execute(f'select * from "{name}"')
        ]
    assert rows
    return "\n".join(rows)


async def test_no_secret_and_no_name_gets_out(kind: Kind, vendor: VendorProcess, config: Path) -> None:
    log, store = config.parent / "gateway.log", config.parent / "gateway.db"
    with gateway_running(config, simulated_waits=True) as gateway:
        async with office_at(gateway.url, kind) as office:
            slots = Slots.published(gateway.url, "acme", Auth(kind="BEARER", token=INBOUND))
            office.caller.slots = slots
            await everything(kind, vendor, office)
            answers = [each.answer for each in office.caller.journal if each.answer is not None]
        gateway.stop()
    sent = json.dumps(vendor.requests())
    sessions = tuple(set(_SESSION.findall("".join(each["body"] for each in vendor.requests()))))
    secrets = SECRETS + sessions
    assert bool(sessions) == (kind is LEARNING_ASSISTANT)
    assert "Zwxmarkerlast" in sent

    logged = log.read_text(encoding="utf-8", errors="replace")
    assert "createEnrolment" in logged
    assert leaks(logged, secrets) == []
    assert [name for name in NAMES if name.lower() in logged.lower()] == []

    told = "\n".join(each.body.decode() + str(each.headers) for each in answers)
    assert leaks(told, secrets) == []
    refused = "\n".join(each.body.decode() for each in answers if each.status >= 400)
    assert len([each for each in answers if each.status >= 400]) >= 8
    assert [name for name in NAMES if name.lower() in refused.lower()] == []

    kept = "\n".join(each.read_bytes().decode("latin-1") for each in config.parent.glob("gateway.db*"))
    assert leaks(kept, secrets) == []
    traces = dumped(store, "trace")
    assert leaks(traces, secrets) == []
    assert [name for name in NAMES if name.lower() in traces.lower()] == []
    assert ids.encode_course(kind.courses[0]) in dumped(store, "enrolment")
