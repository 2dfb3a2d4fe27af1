"""Whom the vendor means: record fields, compared as text, and only active enrolments."""

from __future__ import annotations

import pytest

from gateway.progress import find as finding
from gateway.progress.find import Index, find, find_all
from gateway.store import enrolments


@pytest.fixture
async def tenant(world, text):
    return world.start(text()).tenant


async def found(tenant, **fields):
    hits = await tenant.database.read(lambda conn: find(conn, tenant, fields))
    return [hit.id for hit in hits]


async def test_all_key_fields_find_the_enrolment(world, tenant):
    one = await world.enrol("7", "1")
    await world.enrol("7", "2")
    assert await found(tenant, user="1", course="7") == [one.id]


async def test_fields_beyond_the_key_must_agree_too(world, tenant):
    one = await world.enrol("7", "1", record={"group": 3})
    assert await found(tenant, user="1", course="7", group="3") == [one.id]
    assert await found(tenant, user="1", course="7", group="4") == []
    assert await found(tenant, user="1", course="7", other="3") == []


async def test_some_key_fields_find_all_that_have_them(world, tenant):
    ours = [await world.enrol("7", "1"), await world.enrol("8", "1")]
    await world.enrol("7", "2")
    assert await found(tenant, user="1") == sorted(one.id for one in ours)


async def test_two_ids_on_one_vendor_enrolment_are_both_found(world, tenant):
    ours = [await world.enrol("7", "1"), await world.enrol("7", "1")]
    assert await found(tenant, user="1", course="7") == [one.id for one in ours]


@pytest.mark.parametrize("fields", [{"user": "1", "course": "7"}, {"user": "1"}])
async def test_what_is_cancelled_is_not_found(world, tenant, fields):
    one = await world.enrol("7", "1")
    await tenant.database.write(lambda conn: enrolments.cancel(conn, "acme", one.id, 1.0))
    assert await found(tenant, **fields) == []


async def test_another_tenants_enrolment_is_not_found(world, tenant):
    await world.enrol("7", "1", tenant="other")
    assert await found(tenant, user="1", course="7") == []
    assert await found(tenant, user="1") == []


async def test_no_fields_find_nobody(world, tenant):
    await world.enrol("7", "1")
    assert await found(tenant) == []
    assert await find_all(tenant, [{}]) == [[]]


ASKED = [
    {"user": "1"},
    {"user": "2", "course": "7"},
    {"course": "8"},
    {"user": "9"},
    {"user": "1", "group": "3"},
    {},
]


@pytest.mark.parametrize("searches", [pytest.param(10, id="one by one"), pytest.param(0, id="read once")])
async def test_many_at_once_find_the_same(world, tenant, monkeypatch, searches):
    monkeypatch.setattr(finding, "SEARCHES", searches)
    monkeypatch.setattr(finding, "PAGE", 2)
    monkeypatch.setattr(finding, "AT_A_TIME", 2)
    a = await world.enrol("7", "1", record={"group": 3})
    b, c = await world.enrol("7", "2"), await world.enrol("8", "1")
    hits = [{hit.id for hit in each} for each in await find_all(tenant, ASKED)]
    assert hits == [{a.id, c.id}, {b.id}, {c.id}, set(), {a.id}, set()]


async def test_an_index_keeps_only_what_it_is_asked_for(world, tenant):
    known = [await world.enrol("7", str(number)) for number in range(5)]
    index = Index([{"user": "3"}])
    index.add(known)
    assert [hit.id for hit in index.find({"user": "3"})] == [known[3].id]
    with pytest.raises(KeyError):
        index.find({"user": "4"})


async def test_a_record_that_is_none_or_holds_lists_matches_nothing(world, tenant):
    known = [await world.enrol("7", "1", record={"group": ["3"]})]
    index = Index([{"group": "3"}])
    index.add(known)
    assert index.find({"group": "3"}) == []
