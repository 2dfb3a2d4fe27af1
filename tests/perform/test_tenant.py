"""A tenant at work: its budget, its switches, its logs and what is kept of a failure."""

import logging

import pytest

from gateway.contract import Operation
from gateway.errors import ProblemsFound
from gateway.perform import tenant as tenants
from gateway.store.budgets import Rate

LIMITED = '  budget: {rates: ["${settings.calls}/hour"]}\n'


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("2000/hour", Rate(limit=2000, per_s=3600)),
        ("200/5s", Rate(limit=200, per_s=5)),
        ("500/day", Rate(limit=500, per_s=86400)),
    ],
)
def test_rate_is_calls_in_seconds(text, rate):
    assert tenants.parse_rate(text) == rate


@pytest.mark.parametrize("text", ["many/hour", "5/fortnight", "5", "-1/hour"])
def test_rate_that_is_none_is_told(text):
    with pytest.raises(ValueError, match="is not a rate"):
        tenants.parse_rate(text)


def limited(text, **more):
    made = text(**more)
    return made.replace("  replies:", LIMITED + "  replies:").replace(
        "server:", "settings: {calls: {type: text, default: '100'}}\nserver:"
    )


async def test_tenant_whose_budget_is_none_cannot_be_opened(world, text):
    with pytest.raises(ProblemsFound, match="budget of tenant acme"):
        world.start(limited(text), settings="{calls: lots}")


async def test_call_budget_that_is_spent_is_told_and_what_is_left_goes_back(world, text):
    gateway = world.start(limited(text), settings="{calls: '2'}")
    assert (await gateway.create()).status == 200
    assert (await gateway.create(course="8")).code in ("budget_spent", "vendor_unavailable")
    await gateway.tenant.close()
    assert world.lms.closed


async def test_optional_operation_that_is_switched_off_is_not_found(world):
    gateway = world.start(off=frozenset({Operation.CANCEL_ENROLMENT, Operation.GET_COURSES}))
    made = await gateway.create()
    assert (await gateway.cancel(made.id)).code == "operation_off"
    assert (await gateway.ask(Operation.GET_COURSES, search_term="")).status == 200  # cannot be left blank


async def test_unknown_tenant_is_not_found(gateway):
    gateway.perform.tenants.clear()
    assert (await gateway.create()).code == "unknown_tenant"


async def test_exchanges_of_a_read_that_failed_are_kept_by_their_reference(gateway):
    gateway.lms.on("GET /courses", 400)
    assert (await gateway.ask(Operation.GET_COURSES, search_term="")).status == 422
    (kept,) = gateway.perform.ring.get("gateway-1-1")
    assert kept.exchange["request"] == "GET https://lms.example/api/courses"


async def test_logs_hold_ids_and_no_names(gateway, caplog):
    caplog.set_level(logging.DEBUG)
    gateway.lms.on("PUT .*", 400)
    await gateway.create()
    await gateway.create()
    await gateway.background()
    assert "acme" in caplog.text
    assert "Diaz" not in caplog.text


async def test_read_that_takes_too_long_is_a_time_out(world):
    gateway = world.start(answer_s=0.35)
    world.lms.gate("GET /courses")
    assert (await gateway.ask(Operation.GET_COURSES, search_term="")).code == "vendor_timeout"
    world.lms.gates.clear()
