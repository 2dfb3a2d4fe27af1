"""One enrolment's link, and what its page says beside it, for a tenant at work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.contract import Operation
from gateway.engine import launch as engine
from gateway.engine import operations
from gateway.engine.frame import Frame
from gateway.errors import GatewayError, NotFound
from gateway.mapping.spec import Launch
from gateway.mapping.templates import as_text
from gateway.perform import enrolments as finding
from gateway.perform import probe, reads, uses
from gateway.perform.tenant import Tenant
from gateway.store.enrolments import StoredEnrolment
from gateway.vendor.drive import NoJournal, drive
from gateway.vendor.retry import Deadline
from gateway.vendor.trace import Trace

COURSE_NAME = "courseName"
"""The record field that names the course, where a mapping keeps it."""


async def link_of(tenant: Tenant, stored: StoredEnrolment, deadline: Deadline) -> str:
    """The link that opens the course. Raises NotFound without `launch`, and what `engine.launch.link` does.

    A learner is no staff: what is kept back of the call budget is not for links.
    """
    launch = _launch(tenant)
    if uses.reads(launch, "probe"):
        await probe.refresh(tenant)
    work = engine.link(_frame(tenant, stored), launch)
    # the trace goes nowhere: a link opens the course as the learner
    link: str = await drive(work, tenant.vendor, NoJournal(), deadline, Trace(), staff=False)
    return link


def help_of(tenant: Tenant, stored: StoredEnrolment) -> str | None:
    """Whom to ask about what is inside the course. Raises InternalError."""
    return engine.help_text(_frame(tenant, stored), _launch(tenant))


async def course_name(tenant: Tenant, stored: StoredEnrolment, deadline: Deadline) -> str | None:
    """The course's name, without a call to the LMS: from the list at hand, else from the record."""
    return await _listed_name(tenant, stored, deadline) or _recorded_name(stored.record)


async def _listed_name(tenant: Tenant, stored: StoredEnrolment, deadline: Deadline) -> str | None:
    if stored.course_id is None:
        return None
    try:
        vendor_id = tenant.vendor_course(stored.course_id)
        if _lists_by_itself(tenant):
            return (await reads.get_course(tenant, stored.course_id, deadline, Trace())).name
    except GatewayError:  # a course that has left the list
        return None
    course = tenant.catalogue.at_hand(vendor_id)
    return None if course is None else course.name


def _lists_by_itself(tenant: Tenant) -> bool:
    """Whether a course is found in the tenant's own settings."""
    frame = tenant.frame(Operation.GET_COURSES, searchTerm=None)
    form = operations.form(frame, Operation.GET_COURSES)
    own = Operation.GET_COURSE in tenant.mapping.operations
    return form is not None and not form.steps and form.each is not None and not own


def _recorded_name(record: Any) -> str | None:
    name = record.get(COURSE_NAME) if isinstance(record, Mapping) else None
    return None if name is None or isinstance(name, list | dict) else as_text(name).strip() or None


def _launch(tenant: Tenant) -> Launch:
    if tenant.mapping.launch is None:
        raise NotFound("This LMS has no launch links.", detail=f"{tenant.mapping.name} has no `launch`")
    return tenant.mapping.launch


def _frame(tenant: Tenant, stored: StoredEnrolment) -> Frame:
    scope = finding.scope_of(tenant, stored.record, stored.course_id)
    return tenant.frame(Operation.GET_ENROLMENT, enrolment=scope)
