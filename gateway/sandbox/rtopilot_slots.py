"""RTOPilot's seven endpoint slots, as its administrator fills them in.

Source: vendors/rtopilot.md 2.4 (authentication), 2.5 (the settings), 7.1.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from gateway.contract import Operation

AuthKind = Literal["NONE", "BASIC", "BEARER", "CUSTOM_HEADER"]

GETS = frozenset({Operation.GET_COURSES, Operation.GET_COURSE, Operation.GET_ENROLMENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """The credential of one slot; only the fields of its kind are used."""

    kind: AuthKind = "NONE"
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    header: str = ""
    value: str = field(default="", repr=False)

    def headers(self) -> list[tuple[str, str]]:
        """The headers this credential adds to a request: none or one."""
        match self.kind:
            case "BASIC":
                pair = f"{self.username}:{self.password}".encode()
                return [("Authorization", "Basic " + base64.b64encode(pair).decode())]
            case "BEARER":
                return [("Authorization", f"Bearer {self.token}")]
            case "CUSTOM_HEADER":
                return [(self.header, self.value)]
            case _:
                return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One endpoint: its URL template, its body template (POST only) and its credential."""

    url: str
    body: str = ""
    auth: Auth = Auth()


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots that are filled in; one that is left out is blank."""

    filled: Mapping[Operation, Slot]

    @classmethod
    def published(cls, base_url: str, tenant: str, auth: Auth | None = None) -> Slots:
        """The seven slots as the gateway asks administrators to fill them in, one credential for all.

        `base_url` is scheme, host and port, such as `https://gw.example.net`.
        """
        base = f"{base_url.rstrip('/')}/t/{tenant}"
        credential = auth if auth is not None else Auth()
        return cls(
            MappingProxyType(
                {
                    operation: Slot(url=base + path, body=body, auth=credential)
                    for operation, (path, body) in PUBLISHED.items()
                }
            )
        )

    def get(self, operation: Operation) -> Slot | None:
        return self.filled.get(operation)

    def without(self, *operations: Operation) -> Slots:
        """The same settings with these slots blank."""
        kept = {name: slot for name, slot in self.filled.items() if name not in operations}
        return Slots(MappingProxyType(kept))

    def changed(
        self,
        operation: Operation,
        *,
        url: str | None = None,
        body: str | None = None,
        auth: Auth | None = None,
    ) -> Slots:
        """The same settings with parts of one filled slot replaced."""
        slot = self.filled[operation]
        changed = replace(
            slot,
            url=slot.url if url is None else url,
            body=slot.body if body is None else body,
            auth=slot.auth if auth is None else auth,
        )
        return Slots(MappingProxyType({**self.filled, operation: changed}))


CREATE_BODY = (
    '{"courseId":"${courseId}","student":{"id":"${student.id}",'
    '"firstName":"${student.firstName}","lastName":"${student.lastName}"}}'
)
TRANSFER_BODY = '{"to":{"id":"${to.id}","firstName":"${to.firstName}","lastName":"${to.lastName}"}}'

PUBLISHED: Mapping[Operation, tuple[str, str]] = {
    Operation.GET_COURSES: ("/courses?q=${searchTerm}", ""),
    Operation.GET_COURSE: ("/courses/${courseId}", ""),
    Operation.GET_ENROLMENT: ("/enrolments/${enrolmentId}", ""),
    Operation.CREATE_ENROLMENT: ("/enrolments", CREATE_BODY),
    Operation.TRANSFER_ENROLMENT: ("/enrolments/${enrolmentId}/transfer", TRANSFER_BODY),
    Operation.CANCEL_ENROLMENT: ("/enrolments/${enrolmentId}/cancel", "{}"),
    Operation.UPDATE_MARKING: ("/enrolments/${enrolmentId}/marking", '{"quizResults":${quizResults}}'),
}
"""Path and body template of each slot. The gateway's own `settings` command prints the same, written apart
from this, so that the two can disagree."""
