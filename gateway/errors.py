"""Every error this gateway can raise: its code, its HTTP status and the sentence RTOPilot may see.

    GatewayError                            code, HTTP status, one public sentence
    ├── RequestError                  400   what RTOPilot sent cannot be used
    ├── Unauthorised                  401
    ├── NotFound                      404   tenant, operation, course or enrolment
    ├── MethodNotAllowed              405
    ├── Conflict                      409
    ├── BodyTooLarge                  413
    ├── Refused                       422   the vendor, the mapping or a setting says no
    ├── InternalError                 500   our own mistake
    │   └── BadLink                   500   a launch link that must not be given out
    ├── VendorError
    │   ├── VendorFault               502   the vendor answered nonsense, or refused us
    │   ├── VendorUnavailable         503   throttled, breaker open, login paused, no connection
    │   └── VendorTimeout             504   no answer in time; nothing was changed
    └── OutcomeUnknown                504   a write is in doubt and will be looked up
    TransportError                          one exchange with one host failed (never leaves vendor/)
    ├── NotSent                             the connection was never made: certainly nothing arrived
    ├── AnswerLost                          sent, and no whole answer came back
    ├── ReplyTooLarge                       the answer was larger than the cap
    └── HostRefused                         an address this tenant may not call
    ProblemsFound                           a file, with every problem in it (mapping, config, cases)
    ExpressionError                         an expression that does not compile, or fails on its data
    StoreError                              the database cannot be used

`docs/errors.md` has a line for every code; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class GatewayError(Exception):
    """Something RTOPilot is told about: a stable code, a status, and one plain sentence.

    `message` is fit for office staff: no personal data, no secrets, no vendor payloads.
    `detail` is for our log and the operator page only.
    """

    code = "internal_error"
    status = 500
    message = "The gateway made a mistake. Please try again, and quote the reference if it happens twice."

    def __init__(
        self, message: str | None = None, *, code: str | None = None, detail: str | None = None
    ) -> None:
        self.message = message if message is not None else type(self).message
        self.code = code if code is not None else type(self).code
        self.detail = detail
        super().__init__(self.message if detail is None else f"{self.message} [{detail}]")


class RequestError(GatewayError):
    code, status = "bad_request", 400
    message = "The request could not be read."


class Unauthorised(GatewayError):
    code, status = "unauthorised", 401
    message = "The credential is missing or wrong. Check the authentication of this slot in RTOPilot."


class NotFound(GatewayError):
    code, status = "not_found", 404
    message = "There is nothing at this address."


class MethodNotAllowed(GatewayError):
    code, status = "method_not_allowed", 405
    message = "This address does not take that HTTP method."


class Conflict(GatewayError):
    code, status = "conflict", 409
    message = "This enrolment has been cancelled."


class BodyTooLarge(GatewayError):
    code, status = "body_too_large", 413
    message = "The request is larger than 1 MB."


class Refused(GatewayError):
    code, status = "refused", 422
    message = "The LMS refused the request."


class InternalError(GatewayError):
    pass


class BadLink(InternalError):
    """A launch link that a mapping and a tenant's values make, and that nobody may be given."""

    code = "bad_link"
    message = "The link to the course cannot be made. Operators have been told."


class VendorError(GatewayError):
    """The LMS could not be used; whether anything changed there is known."""


class VendorFault(VendorError):
    code, status = "vendor_fault", 502
    message = "The LMS gave an answer that could not be used. Operators have been told."


class VendorUnavailable(VendorError):
    code, status = "vendor_unavailable", 503
    message = "The LMS cannot take the request just now. Please try again in a few minutes."


class VendorTimeout(VendorError):
    code, status = "vendor_timeout", 504
    message = "The LMS did not answer in time. Nothing was changed; please try again."


class OutcomeUnknown(GatewayError):
    """A write whose answer was lost: it may or may not have happened, and is being looked up."""

    code, status = "outcome_unknown", 504
    message = (
        "The LMS did not answer in time, so it is not yet known whether this was done. "
        "Please repeat the action in a minute: it will not be done twice."
    )


class TransportError(Exception):
    """One HTTP exchange failed. `code` is stable and may stand in traces."""

    code = "transport_error"


class NotSent(TransportError):
    code = "not_sent"


class AnswerLost(TransportError):
    code = "answer_lost"


class ReplyTooLarge(TransportError):
    code = "reply_too_large"


class HostRefused(TransportError):
    code = "host_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a file, with what to write instead.

    `line` and `column` count from 1; 0 means the whole file. `place` is a dotted path
    such as `operations.createEnrolment.steps.enrol`. `width` is how many characters to underline.
    """

    file: Path | str
    line: int
    column: int
    place: str
    message: str
    fix: str | None = None
    source: str | None = None
    width: int = 1
    severity: str = "error"
    code: str = "mapping_error"

    def __str__(self) -> str:
        lines = [f"{self.file}:{self.line}:{self.column}  {self.place}".rstrip()]
        if self.source is not None:
            number = f"{self.line:6d}"
            lines.append(f"{number} | {self.source}")
            lines.append(" " * len(number) + " | " + " " * (self.column - 1) + "^" * max(self.width, 1))
        word = "warning: " if self.severity == "warning" else ""
        lines.extend(f"    {row}" for row in (word + self.message).splitlines())
        if self.fix:
            lines.extend(f"    {row}" for row in self.fix.splitlines())
        return "\n".join(lines)


class ProblemsFound(Exception):
    """A file that cannot be used, with every problem in it, not only the first."""

    code = "problems_found"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n\n".join(str(problem) for problem in self.problems))


class ExpressionError(Exception):
    """An expression that cannot be compiled, or that failed on its data.

    `offset` counts characters from the start of the expression text; `fix` says what to write instead.
    `kind` is one of `syntax`, `value`, `unknown-function`, `arity`, `type`, `null`, `limit`.
    """

    code = "expression_error"

    def __init__(
        self, message: str, *, kind: str = "value", offset: int = 0, width: int = 1, fix: str | None = None
    ) -> None:
        self.message = message
        self.kind = kind
        self.offset = offset
        self.width = width
        self.fix = fix
        super().__init__(message)


class StoreError(Exception):
    """The database cannot be used; `message` says what to do."""

    code = "store_error"
