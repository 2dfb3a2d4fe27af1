"""Facts about the vendor's account: read when they are needed, never in anybody's way."""

import asyncio

import pytest

from gateway.perform import probe

TAIL = (
    'probe: {call: GET /facts, every: 6h, facts: {zone: "${reply.body.zone}", flag: "${reply.body.flag}"}}\n'
)
USING = """
    steps: [{id: enrol, call: "PUT /courses/${courseId}/users/${student.id}", query: {"zone?": "${probe.zone}"}, repeat: safe}]
    record: {user: "${student.id}", course: "${courseId}"}
    key: [user, course]"""


@pytest.fixture
def using(world, text):
    return world.start(text(createEnrolment=USING, tail=TAIL))


async def test_facts_are_read_before_the_first_operation_and_then_now_and_then(using):
    for after in (0, 3600, 6 * 3600):
        using.clock.move(after)
        assert (await using.create()).status == 200
    assert (using.lms.count("GET /facts"), using.tenant.facts) == (2, {"zone": "Perth", "flag": None})


async def test_facts_are_read_once_for_all_who_wait(using):
    await asyncio.gather(*(using.create(course=str(number)) for number in range(5)))
    assert using.lms.count("GET /facts") == 1


async def test_facts_nobody_reads_are_not_asked_for(world, text):
    gateway = world.start(text(tail=TAIL))
    await gateway.create()
    assert world.lms.count("GET /facts") == 0


async def test_probe_that_fails_leaves_facts_null_and_is_asked_again_later(using):
    using.lms.on("GET /facts", 400)
    assert (await using.create()).status == 200
    assert using.tenant.facts == {}
    await using.create(course="8")
    assert using.lms.count("GET /facts") == 1
    using.clock.move(61)
    await using.create(course="9")
    assert using.tenant.facts["zone"] == "Perth"


async def test_probe_that_fails_later_keeps_what_was_known(using):
    await using.create()
    using.clock.move(7 * 3600)
    using.lms.on("GET /facts", 400)
    await using.create(course="8")
    assert using.tenant.facts["zone"] == "Perth"


async def test_slow_probe_is_not_waited_for(using, monkeypatch):
    monkeypatch.setattr(probe, "PATIENCE_S", 0.02)
    gate = using.lms.gate("GET /facts")
    assert (await using.create()).status == 200
    gate.set()
    await using.tenant.probing
    assert using.tenant.facts["zone"] == "Perth"


async def test_tenant_that_closes_stops_its_probe_and_its_lists(using, monkeypatch):
    monkeypatch.setattr(probe, "PATIENCE_S", 0.02)
    using.lms.gate("GET /facts")
    using.lms.gate("GET /courses")
    await using.create()
    reading = asyncio.create_task(
        using.tenant.catalogue.get(None, 0.0, lambda: using.lms.send("GET", "", "/courses"))
    )
    await asyncio.sleep(0)
    await using.tenant.close()
    await asyncio.gather(reading, return_exceptions=True)
    assert using.tenant.probing.cancelled()
    assert using.lms.closed
