"""One write, prepared: what to run, what makes it the same request again, what to store when it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from gateway.contract import Operation, Person
from gateway.engine.frame import Frame, mismade
from gateway.engine.operations import Outcome
from gateway.errors import ExpressionError
from gateway.mapping.spec import OperationSpec
from gateway.mapping.templates import as_text
from gateway.perform.tenant import Tenant
from gateway.store import leases, runs

Finish = Callable[[Connection, Outcome, float | None], tuple[str, str | None]]


@dataclass(slots=True, kw_only=True)
class Work:
    """One write, prepared: what to run, and what to store when it is done.

    `finish` is called inside the run's last commit with the outcome, and from when on progress of a new
    enrolment may be pushed (None: RTOPilot does not hear of its id now). It gives the id RTOPilot is to
    keep, and the id of an enrolment made (None when none was). `guard` is called inside the commit in
    which a request of RTOPilot begins, and raises GatewayError when something else stands in its way.
    `queues`: what `finish` stores includes work for the background; `after` then tells it to look.
    `standing` reads `known.enrolment`, once the run's turn has come; None where nothing asks for it.
    """

    tenant: Tenant
    operation: Operation
    form: OperationSpec
    frame: Frame
    input: dict[str, Any]
    fingerprint: str
    finish: Finish
    repeat_window_s: float
    student: str | None = None
    course: str | None = None
    while_active: bool = False
    queues: bool = False
    guard: Callable[[Connection, runs.Begun], None] | None = None
    standing: Callable[[Connection], Mapping[str, Any] | None] | None = None
    after: Callable[[], None] | None = None
    held: list[str] = field(default_factory=list)

    def serialised(self) -> list[str]:
        """The texts of `serialise`, of which only one run at a time may hold each.

        What two runs would make for one student in one course, the later one is to find: it waits.
        """
        context = self.frame.context()
        own = set() if self.standing is None else {json.dumps(["study", self.student, self.course])}
        try:
            return sorted(own | {as_text(template.render(context)) for template in self.form.serialise})
        except ExpressionError as error:
            raise mismade(error, f"{self.form.place}.serialise") from error

    def hold(self, conn: Connection, texts: list[str], owner: str, now: float, lease_s: float) -> None:
        """Hold these texts, up to the first that another run holds: all take them in the same order."""
        held: list[str] = []
        for text in texts:
            if not leases.acquire(conn, self.tenant.name, text, self.holder(owner), now, lease_s):
                break
            held.append(text)
        self.held = held

    def release(self, conn: Connection, owner: str) -> None:
        """Let go of the texts this work holds; they would expire by themselves."""
        for text in self.held:
            leases.release(conn, self.tenant.name, text, self.holder(owner))

    def holder(self, owner: str) -> str:
        return f"{owner}/{self.fingerprint}"


def fingerprint(tenant: str, operation: Operation, *parts: str) -> str:
    return hashlib.sha256(json.dumps([tenant, operation, *parts]).encode()).hexdigest()


def hash_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def person_of(data: Mapping[str, Any] | None) -> Person | None:
    if data is None:
        return None
    return Person(
        id=data["id"], first_name=data["firstName"], last_name=data["lastName"], email=data.get("email")
    )
