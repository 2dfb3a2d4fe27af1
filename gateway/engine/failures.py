"""What RTOPilot hears when a step ends badly, and vendor texts made fit to be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gateway.contract import Operation
from gateway.engine.calls import Reply, Verdict
from gateway.engine.frame import Frame
from gateway.errors import GatewayError, NotFound, Refused, VendorFault, VendorTimeout, VendorUnavailable

MAX_TEXTS = 3
MAX_TEXT_LENGTH = 200
ABSENT = "The LMS does not have what this request is about."
UNREACHABLE = "The LMS cannot be reached. Please try again in a few minutes."
NO_ACCESS = "The LMS does not accept the gateway's login. Operators have been told."


def failure(frame: Frame, reply: Reply, verdict: Verdict) -> GatewayError:
    """The error for an outcome that ends a step."""
    detail = f"{verdict.rule}; status {reply.status}" + (f"; {reply.lost}" if reply.lost else "")
    match verdict.outcome:
        case "refused" | "restart":
            return Refused(sentence(frame, verdict), code="vendor_refused", detail=detail)
        case "absent":
            return absence(frame, detail)
        case "throttled":
            return VendorUnavailable(code="vendor_throttled", detail=detail)
        case "relogin":
            return VendorFault(NO_ACCESS, code="vendor_login", detail=detail)
        case "retry" | "unknown" if reply.lost == "not_sent":
            return VendorUnavailable(UNREACHABLE, code="vendor_unreachable", detail=detail)
        case "retry" | "unknown" if reply.lost is not None:
            return VendorTimeout(detail=detail)
        case _:
            return VendorFault(detail=detail)


def absence(frame: Frame, detail: str, say: str | None = None) -> GatewayError:
    """What `absent` means depends on what RTOPilot wanted: docs/mapping-language.md, "Outcomes".

    `say` is the mapping's own sentence, where it has one.
    """
    match frame.operation:
        case Operation.GET_ENROLMENT:
            text = say or "The LMS no longer has this enrolment."
            return NotFound(text, code="unknown_enrolment", detail=detail)
        case Operation.GET_COURSE:
            return NotFound(say or "The LMS has no such course.", code="unknown_course", detail=detail)
        case Operation.GET_COURSES:
            return NotFound(say or ABSENT, code="vendor_absent", detail=detail)
        case _:
            return Refused(say or ABSENT, code="vendor_absent", detail=detail)


def sentence(frame: Frame, verdict: Verdict) -> str:
    """The mapping's own sentence and the vendor's texts."""
    return " ".join([verdict.say or Refused.message, *shown(frame, verdict.texts)])


def shown(frame: Frame, texts: Iterable[str]) -> tuple[str, ...]:
    """Vendor texts fit for office staff: at most 3 of 200 characters, the request's own values replaced."""
    # scrubbed before it is cut: half a secret is still a leak
    scrubbed = (scrub(text, frame.personal, frame.secret_labels)[:MAX_TEXT_LENGTH].strip() for text in texts)
    return tuple(text for text in scrubbed if text)[:MAX_TEXTS]


def scrub(text: str, personal: Mapping[str, str], secrets: Mapping[str, str]) -> str:
    """The text on one line, with secrets replaced wherever they stand and personal values as whole words."""
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, secrets[value])
    for value in sorted((value for value in personal if len(value) > 1), key=len, reverse=True):
        # whole words only: a learner called Al must not turn "already" into a riddle
        whole = re.compile(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])", re.IGNORECASE)
        text = personal[value].join(whole.split(text))
    return " ".join(text.split())
