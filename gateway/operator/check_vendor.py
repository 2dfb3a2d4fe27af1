"""Real reads at the vendor: does it take our credentials, what does it list, is its clock right."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import NoReturn

from gateway.errors import GatewayError
from gateway.operator.check import Row, ok, red, skipped, warning
from gateway.perform import reads
from gateway.perform.courses import CourseList
from gateway.perform.findings import findings
from gateway.perform.tenant import Tenant
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Exchange, Trace
from gateway.workbench.choices import choices

ACCOUNT = "The LMS account"
LIST_S = 30.0
CLOCK_WARNING_S, CLOCK_RED_S = 30.0, 300.0


async def vendor_rows(tenant: Tenant) -> list[Row]:
    """Rows about the vendor; the choices only when it can be read at all.

    What the mapping checks of the account is said either way: it may be why nothing can be read.
    """
    trace = Trace()
    try:
        found = await reads.get_courses(tenant, None, Deadline(LIST_S), trace)
    except GatewayError as error:
        answers = red("The LMS answers", _told(error), _todo(error))
        return [answers, *await account_rows(tenant, failing=True), _clock(trace.exchanges)]
    rows = [
        _answers(len(found), asked=bool(trace.exchanges)),
        *await account_rows(tenant),
        *await _dropped(tenant),
        _clock(trace.exchanges),
    ]
    for name, setting in tenant.mapping.settings.items():
        if setting.source is not None:
            rows.append(await _choice(tenant, name))
    return rows


def _answers(courses: int, *, asked: bool) -> Row:
    what = "The LMS answers"
    if not courses:
        todo = "Is the account the right one, and are its courses active?"
        return warning(what, "It lists no course.", todo)
    if not asked:  # a catalogue in the settings proves nothing of the vendor
        return skipped(what, f"Not asked: {courses} courses stand in the settings.")
    return ok(what, f"Our credentials are taken; {courses} courses.")


async def account_rows(tenant: Tenant, *, failing: bool = False) -> list[Row]:
    """What the mapping's probe finds in the vendor's account; `failing`: it is known that calls fail."""
    probe = tenant.mapping.probe
    if probe is None or not probe.checks:
        return []
    try:
        found = await findings(tenant)
    except GatewayError as error:
        return [] if failing else [red(ACCOUNT, _told(error), _todo(error))]
    rows = [
        red(ACCOUNT, each.say, "") if each.level == "problem" else warning(ACCOUNT, each.say, "")
        for each in found
    ]
    return rows or [ok(ACCOUNT, f"{len(probe.checks)} checks of the mapping find nothing to say.")]


def _told(error: GatewayError) -> str:
    return f"{error.message} ({error.code}{': ' + error.detail if error.detail else ''})"


def _todo(error: GatewayError) -> str:
    if error.status == 503:
        return "Wait a minute and check again."
    if error.status == 504:
        return "Is the address right, and may this machine call out?"
    return "Check the tenant's secrets and settings; does the account have API access?"


async def _dropped(tenant: Tenant) -> list[Row]:
    """Courses that the vendor lists and RTOPilot is not given."""

    async def never() -> NoReturn:
        raise AssertionError("the list was read a moment ago")

    try:
        kept: CourseList = await tenant.catalogue.get(None, float("inf"), never)
    except AssertionError:  # the mapping sends even an empty term to the vendor
        return []
    if not kept.dropped:
        return []
    found = f"{len(kept.dropped)} are left out, such as {kept.dropped[0][:120]}"
    return [warning("Courses", found, "Correct them in the LMS, or the mapping.")]


def _clock(exchanges: Sequence[Exchange]) -> Row:
    """How far the vendor's clock, to the second, is from ours."""
    what = "The LMS's clock"
    for exchange in reversed(exchanges):
        try:
            theirs = parsedate_to_datetime(exchange.reply.headers["date"]).timestamp()
        except (KeyError, ValueError):
            continue
        off_s = theirs - exchange.reply.left_at
        found = f"{abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} ours"
        if abs(off_s) >= CLOCK_RED_S:
            return red(
                what, found, "Set this machine's clock (NTP); sign-in links and sessions depend on it."
            )
        if abs(off_s) >= CLOCK_WARNING_S:
            return warning(what, found, "Set this machine's clock (NTP).")
        return ok(what, found if abs(off_s) >= 2 else "agrees with ours")
    return skipped(what, "It sends no Date header.")


async def _choice(tenant: Tenant, name: str) -> Row:
    """Whether a setting still is one of the vendor's own values."""
    what, chosen = f"Setting {name}", tenant.spec.settings.constants.get(name)
    if chosen is None:
        return skipped(what, "It is not set.")
    see = f"`lms-gateway choices {tenant.name} {name}` lists the values."
    try:
        listed = await choices(tenant, name)
    except GatewayError as error:
        return red(what, f"The LMS does not list its values: {_told(error)}", see)
    named = next((each for each in listed if each["id"] == chosen), None)
    if named is None:
        return red(what, f"The LMS does not list {chosen} (any more).", see)
    return ok(what, named.get("name") or str(chosen))
