"""The application as a whole, in process: it opens, answers, looks after its store, and stops cleanly."""

import asyncio
import contextlib
import json
import logging

import httpx
import pytest

from gateway import app as apps
from gateway.config import load_config
from gateway.errors import StoreError
from gateway.sandbox.faults import Fault
from gateway.sandbox.serve import running
from gateway.sandbox.talentlms import create_talentlms
from gateway.store import people, schedules
from tests.support.deployment import TALENTLMS, TOKEN, tenant, write_config
from tests.support.hooked import HOOKED, VARIANTS, mapping, tenant_changes, write_mapping
from tests.support.waiting import eventually, soon

HEADERS = {"authorization": f"Bearer {TOKEN}"}
NOBODY = "http://127.0.0.1:9"
ANA = {"courseId": "128", "student": {"id": "204", "firstName": "Ana", "lastName": "Diaz"}}


@pytest.fixture
def talentlms():
    stand_in = create_talentlms()
    with running(stand_in) as url:
        stand_in.url = url
        yield stand_in


@pytest.fixture
def settings(talentlms, tmp_path):
    return load_config(write_config(tmp_path, {"acme": tenant(TALENTLMS, talentlms.url)}, answer="2s"))


@contextlib.asynccontextmanager
async def started(settings):
    """The application with its lifespan, and a client on each listener."""
    app = apps.create_app(settings)
    async with app.router.lifespan_context(app):
        yield app, client(app), client(apps.create_admin_app(app))


def client(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test")


async def test_application_enrols_reads_and_cancels(settings):
    async with started(settings) as (_, rtopilot, _):
        listed = await rtopilot.get("/t/acme/courses", headers=HEADERS)
        assert "128" in [course["id"] for course in listed.json()]
        made = await rtopilot.post("/t/acme/enrolments", json=ANA, headers=HEADERS)
        enrolment = made.json()["id"]
        read = await rtopilot.get(f"/t/acme/enrolments/{enrolment}", headers=HEADERS)
        ended = await rtopilot.post(f"/t/acme/enrolments/{enrolment}/cancel", json={}, headers=HEADERS)
        gone = await rtopilot.get(f"/t/acme/enrolments/{enrolment}", headers=HEADERS)
    assert [made.status_code, read.json()["progress"], ended.status_code, gone.status_code] == [
        200,
        0,
        200,
        404,
    ]


async def test_enrolment_outlives_the_process(settings):
    async with started(settings) as (_, rtopilot, _):
        made = await rtopilot.post("/t/acme/enrolments", json=ANA, headers=HEADERS)
    async with started(settings) as (_, rtopilot, _):
        again = await rtopilot.post("/t/acme/enrolments", json=ANA, headers=HEADERS)
    assert again.json() == made.json()


async def test_strange_addresses_and_credentials_answer_in_the_one_shape(settings):
    async with started(settings) as (_, rtopilot, _):
        heard = [
            await rtopilot.get("/nowhere"),
            await rtopilot.get("/t/acme/courses"),
            await rtopilot.get("/t/nobody/courses", headers=HEADERS),
            await rtopilot.delete("/t/acme/courses", headers=HEADERS),
        ]
    assert [answer.status_code for answer in heard] == [404, 401, 404, 405]
    assert all(set(answer.json()["error"]) == {"code", "message", "reference"} for answer in heard)


async def test_rtopilots_webhooks_are_taken_although_progress_is_off(talentlms, tmp_path):
    hooks = {"auth": {"kind": "bearer", "token": TOKEN}, "allow_unsigned": True}
    config = write_config(
        tmp_path,
        {"acme": tenant(TALENTLMS, talentlms.url, progress="off", rtopilot={"hooks": hooks})},
    )
    async with started(load_config(config)) as (app, rtopilot, _):
        event = {"event": "student.created", "data": {"id": "204", "email": "ana@college.edu.au"}}
        taken = await rtopilot.post("/t/acme/hooks/student.created", json=event, headers=HEADERS)
        assert (taken.status_code, taken.json()) == (200, {"received": True})
        database = app.state.gateway.database

        async def kept():
            return await database.read(lambda conn: people.recall(conn, "acme", "contact", "204"))

        assert await eventually(kept) == {"email": "ana@college.edu.au"}
        plans = await database.read(lambda conn: schedules.list_items(conn))
        assert plans == []


@pytest.mark.parametrize(("progress", "status"), [({}, 401), ("off", 404)], ids=["on", "off"])
async def test_lms_has_no_receiver_where_progress_is_off(tmp_path, progress, status):
    variant = VARIANTS["hmac"]
    path = write_mapping(tmp_path, mapping(variant))
    changes = tenant_changes(variant, path, NOBODY)
    config = write_config(tmp_path, {"acme": tenant(HOOKED, NOBODY, progress=progress, **changes)})
    async with started(load_config(config)) as (_, lms, _):
        assert (await lms.post("/t/acme/lms-events", json={})).status_code == status


async def test_health_says_what_each_tenant_runs(settings):
    async with started(settings) as (_, _, admin):
        heard = await admin.get("/health")
    assert heard.status_code == 200
    shown = heard.json()
    assert (shown["status"], shown["runs_under_way"]) == ("ok", 0)
    assert (shown["tenants"]["acme"]["mapping"], shown["tenants"]["acme"]["breaker"]) == (
        "talentlms",
        "closed",
    )


async def test_health_before_the_start_says_so(settings):
    admin = client(apps.create_admin_app(apps.create_app(settings)))
    heard = await admin.get("/health")
    assert (heard.status_code, heard.json()["status"]) == (503, "starting")


async def test_health_without_a_store_says_so(settings):
    async with started(settings) as (app, _, admin):
        await app.state.gateway.database.close()
        heard = await admin.get("/health")
    assert (heard.status_code, heard.json()["status"]) == (503, "no store")


async def test_operation_before_the_start_is_our_mistake(settings):
    heard = await client(apps.create_app(settings)).get("/t/acme/courses", headers=HEADERS)
    assert heard.status_code == 500


async def test_old_rows_are_deleted_and_a_failing_store_does_not_end_that(settings, monkeypatch, caplog):
    seen = []

    def retention(conn, now, days):
        seen.append(days)
        if len(seen) <= 2:  # the store tries a closure that failed once more, by itself
            raise StoreError("The disk is full.")
        return 3 if len(seen) == 3 else 0

    monkeypatch.setattr(apps, "retention", retention)
    monkeypatch.setattr(apps, "RETENTION_EVERY_S", 0.001)
    async with started(settings):
        await soon(lambda: len(seen) >= 5)
    assert seen[:5] == [30] * 5
    assert "The disk is full." in caplog.text


async def test_shutdown_lets_a_run_come_to_its_end(settings, talentlms, caplog):
    caplog.set_level(logging.INFO)
    talentlms.faults.arm(Fault(kind="slow_answer", path="/api/v1/addusertocourse", seconds=0.5))
    async with started(settings) as (app, rtopilot, _):
        asking = asyncio.create_task(rtopilot.post("/t/acme/enrolments", json=ANA, headers=HEADERS))
        await soon(lambda: app.state.gateway.runs.live)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    async with started(settings) as (_, rtopilot, _):
        again = await rtopilot.post("/t/acme/enrolments", json=ANA, headers=HEADERS)
    assert again.status_code == 200
    assert talentlms.journal.effect_counts["user_enrolled"] == 1


async def test_store_that_fails_at_the_end_does_not_keep_connections_open(settings):
    async with started(settings) as (app, rtopilot, _):
        await rtopilot.get("/t/acme/courses", headers=HEADERS)
        await app.state.gateway.database.close()
        heard = await rtopilot.post("/t/acme/enrolments", json=ANA, headers=HEADERS)
    assert (heard.status_code, json.loads(heard.content)["error"]["code"]) == (500, "store_error")


async def test_commands_open_only_the_tenant_they_are_about(settings):
    async with apps.open_gateway(settings, only=[]) as gateway:
        assert gateway.tenants == {}


def test_each_process_is_another_owner():
    assert apps.owner_name() != apps.owner_name()
