"""What waits in the outbox reaches RTOPilot: what is sent, what becomes of it, in which order and how fast."""

import asyncio

import orjson
import pytest

from gateway.errors import StoreError
from gateway.sandbox.faults import Fault
from gateway.sandbox.rtopilot_progress import ProgressServer, ProgressSwitches, progress_stand_in
from gateway.sandbox.serve import running
from gateway.store import leases, outbox, pauses
from gateway.store.database import Database
from tests.support.delivery_rig import DeliveryRig
from tests.support.postgres import postgres, postgres_url  # noqa: F401 (fixtures)
from tests.support.waiting import soon

DAY_S = 86_400.0


@pytest.fixture
def store_url(request, tmp_path):
    """SQLite, or where a test is marked `on_both` each database in turn."""
    if getattr(request, "param", "sqlite") == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'gateway.db'}"


on_both = pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
async def rig(store_url):
    server = ProgressServer(switches=ProgressSwitches(strict=True))
    app = progress_stand_in(server)
    database = Database.open(store_url)
    with running(app) as url:
        made = DeliveryRig(database, app, server, url)
        made.tenant()
        yield made
        app.disarm()
        await made.close()
    server.assert_no_violations()
    await database.close()


# -- what is sent -------------------------------------------------------------------------------------


@on_both
async def test_a_value_is_delivered_once(rig):
    await rig.enrol("enr_1")
    await rig.put("enr_1", 40)
    gateway = rig.gateway()
    assert await gateway.round() is True
    assert await gateway.round() is False
    item = await rig.item("enr_1")
    assert (item.state, item.sent_value, item.status, item.owner) == ("done", 40, 200, None)
    assert rig.pushed() == [("enr_1", 40)] and rig.held("enr_1") == 40
    assert (gateway.figures.sent, dict(gateway.figures.failed)) == (1, {})


async def test_only_the_newest_value_is_sent_and_the_same_one_not_again(rig):
    await rig.enrol("enr_1")
    for value in (10, 20, 30):
        await rig.put("enr_1", value)
    gateway = rig.gateway()
    await gateway.round()
    assert await rig.put("enr_1", 30) is False
    assert await gateway.round() is False
    assert rig.pushed() == [("enr_1", 30)]


async def test_nothing_is_sent_before_its_grace_is_over_nor_for_an_id_rtopilot_was_not_told(rig):
    await rig.enrol("enr_early", push_from=rig.clock.now() + 45)
    await rig.enrol("enr_untold", push_from=None)
    for id in ("enr_early", "enr_untold"):
        await rig.put(id, 40)
    gateway = rig.gateway()
    assert await gateway.round() is False
    rig.clock.move(45)
    assert await gateway.round() is True
    assert rig.pushed() == [("enr_early", 40)]


async def test_a_cancelled_enrolment_is_not_sent(rig):
    await rig.enrol("enr_1", "enr_2")
    await rig.put("enr_1", 40)
    await rig.cancel("enr_1")
    assert await rig.gateway().round() is False
    assert rig.pushed() == []


async def test_a_cancel_while_it_waits_for_its_turn_stops_it(rig):
    ids = [f"enr_{n}" for n in range(8)]
    await rig.enrol(*ids)
    for n, id in enumerate(ids):
        await rig.put(id, 40, ago_s=100 - n)

    async def cancels(seconds):
        if not rig.paused:  # five have left, and the last ones wait claimed
            await rig.cancel("enr_7")
        await rig.passes(seconds)

    gateway = rig.gateway(pause=cancels)
    await gateway.round()
    assert [id for id, _ in rig.pushed()][0:1] == ["enr_0"]
    assert {id for id, _ in rig.pushed()} == set(ids) - {"enr_7"}
    assert (await rig.item("enr_7")).owner is None


@on_both
async def test_a_newer_value_while_the_older_is_in_flight_is_sent_after_it(rig):
    await rig.enrol("enr_1")
    await rig.put("enr_1", 40)
    rig.app.faults.arm(Fault(kind="slow_request", seconds=30))
    turn = asyncio.create_task(rig.gateway().round())
    await soon(lambda: len(rig.server.journal.entries) == 1)
    await rig.put("enr_1", 60)
    other = rig.gateway()
    assert await other.round() is False, "the tenant is held, and so is the row"
    rig.app.disarm()
    assert await turn is True
    assert rig.pushed() == [("enr_1", 40), ("enr_1", 60)]
    assert (await rig.item("enr_1")).sent_value == 60


# -- what becomes of it -------------------------------------------------------------------------------


async def test_a_refused_value_is_a_dead_letter_until_it_changes(rig):
    await rig.enrol("enr_1")
    await rig.put("enr_1", 40)
    rig.app.faults.arm(Fault(kind="answer", status=422, body='{"message": "No such class."}'))
    gateway = rig.gateway()
    await gateway.round()
    item = await rig.item("enr_1")
    assert (item.state, item.cause, item.status) == ("dead", "refused", 422)
    assert item.last_error == 'RTOPilot answered 422: {"message": "No such class."}'
    assert await gateway.round() is False
    await rig.put("enr_1", 50)
    await gateway.round()
    assert (await rig.item("enr_1")).sent_value == 50


async def test_a_refusal_does_not_bury_a_newer_value(rig):
    await rig.enrol("enr_1")
    await rig.put("enr_1", 40)
    rig.app.faults.arm(Fault(kind="answer", status=400, seconds=30))
    gateway = rig.gateway()
    turn = asyncio.create_task(gateway.round())
    await soon(lambda: len(rig.server.journal.entries) == 1)
    await rig.put("enr_1", 60)
    rig.app.disarm()
    await turn
    assert (await rig.item("enr_1")).sent_value == 60


async def test_an_unknown_id_is_tried_for_an_hour_and_then_dead(rig):
    await rig.enrol("enr_1")
    rig.organisations["college"].enrolments.clear()
    await rig.put("enr_1", 40)
    gateway = rig.gateway()
    began = rig.clock.now()
    while (await rig.item("enr_1")).state == "pending":
        rig.clock.move(max(0.0, (await rig.item("enr_1")).due_at - rig.clock.now()))
        assert await gateway.round() is True
    assert (await rig.item("enr_1")).cause == "not_found"
    assert len(rig.pushed()) == 7
    assert 0.8 * 3600 <= rig.clock.now() - began <= 1.2 * 3600


async def test_a_late_id_is_found_within_the_hour(rig):
    await rig.enrol("enr_1")
    kept = dict(rig.organisations["college"].enrolments)
    rig.organisations["college"].enrolments.clear()
    await rig.put("enr_1", 40)
    gateway = rig.gateway()
    await gateway.round()
    rig.organisations["college"].enrolments.update(kept)
    rig.clock.move(80)
    await gateway.round()
    assert rig.held("enr_1") == 40


@on_both
@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
async def test_retry_after_holds_the_whole_tenant(rig, as_date):
    await rig.enrol("enr_1", "enr_2")
    await rig.put("enr_1", 40, ago_s=9)
    # the stand-in writes dates by its own clock
    skew = rig.clock.now() - rig.server.clock.now().timestamp()
    rig.server.clock.advance(skew)
    rig.app.faults.arm(Fault(kind="too_many", retry_after=60, retry_after_date=as_date))
    gateway = rig.gateway()
    await gateway.round()
    await rig.put("enr_2", 50)
    other = rig.gateway()
    rig.clock.move(55)
    assert await gateway.round() is False
    assert await other.round() is False, "another gateway is held off, too"
    rig.clock.move(20)
    await gateway.round()
    assert rig.pushed()[1:] == [("enr_1", 40), ("enr_2", 50)]


async def test_throttling_without_a_time_waits_longer_each_time(rig):
    await rig.enrol(*(f"enr_{n}" for n in range(4)))
    rig.app.faults.arm(Fault(kind="too_many", count=3))
    gateway, rests = rig.gateway(), []
    for n in range(4):
        await rig.put(f"enr_{n}", 40)
    for _ in range(3):
        began = rig.clock.now()
        while await gateway.round() is False:
            rig.clock.move(1)
        rests.append(rig.clock.now() - began)
    began = rig.clock.now()
    while not rig.held("enr_3"):
        rig.clock.move(1)
        await gateway.round()
    rests.append(rig.clock.now() - began)
    assert rests[0] == 0 and rests[1] >= 4 and rests[2] >= 9 and rests[3] >= 19
    await rig.put("enr_3", 50)
    rig.app.faults.arm(Fault(kind="too_many"))
    await gateway.round()
    began = rig.clock.now()
    while rig.held("enr_3") != 50:
        rig.clock.move(1)
        await gateway.round()
    assert rig.clock.now() - began < 19, "after a success it begins anew"


async def test_a_redirect_is_not_followed_and_keeps_the_queue(rig, caplog):
    await rig.enrol("enr_1")
    await rig.put("enr_1", 40)
    rig.app.faults.arm(
        Fault(kind="answer", status=301, headers=[("location", f"{rig.url}/elsewhere")], count=None)
    )
    gateway = rig.gateway()
    for _ in range(40):
        rig.clock.move(3 * 3600)
        await gateway.round()
        rig.clock.move(400)
    item = await rig.item("enr_1")
    assert (item.state, item.cause, item.status) == ("pending", "config", 301)
    assert "base_url" in caplog.text and "college" in caplog.text
    assert {each.raw_path for each in rig.server.journal.entries} == {"/api/enrolments/lms-progress"}
    rig.app.disarm()
    rig.clock.move(2 * 3600)
    await gateway.round()
    assert rig.held("enr_1") == 40


async def test_the_first_reply_of_each_status_is_kept(rig):
    await rig.enrol("enr_1", "enr_2", "enr_3")
    gateway = rig.gateway()
    await rig.put("enr_1", 40)
    await gateway.round()
    rig.app.faults.arm(Fault(kind="answer", status=400, body='{"message": "first"}'))
    rig.app.faults.arm(Fault(kind="answer", status=400, body='{"message": "second"}'))
    await rig.put("enr_2", 50)
    await gateway.round()
    await rig.put("enr_3", 60)
    await rig.gateway().round()
    kept = await rig.database.read(outbox.replies)
    assert [(each.status, each.body) for each in kept] == [
        (200, '{"updated": 1}'),
        (400, '{"message": "first"}'),
    ]


# -- the key ------------------------------------------------------------------------------------------


@on_both
async def test_a_rotated_key_pauses_the_tenant_and_a_new_one_resumes_it(rig, tmp_path, caplog):
    file = tmp_path / "key"
    rig.tenant("academy", key_file=file)
    ids = [f"enr_{n}" for n in range(6)]
    await rig.enrol(*ids, tenant="academy")
    for id in ids:
        await rig.put(id, 40, tenant="academy")
    new = rig.server.rotate(rig.organisations["academy"])
    gateway = rig.gateway()
    await gateway.round()
    first = len(rig.pushed("academy"))
    assert 1 <= first <= 2, "nothing more with a key that was refused"
    (pause,) = await rig.pauses()
    assert (pause.tenant, pause.key_hash) == ("academy", rig.targets["academy"].key.fingerprint)
    for _ in range(3):
        rig.clock.move(3600)
        assert await gateway.round() is False
        assert await rig.gateway().round() is False, "another gateway knows it from the store"
    assert all([(await rig.item(id, "academy")).tries == 0 for id in ids])
    assert caplog.text.count("lms-gateway outbox resume academy") == 4, "once in each gateway"

    file.write_text(new)
    rig.targets["academy"].key._looked_at = -10.0
    assert await gateway.round() is True
    assert sorted(id for id, _ in rig.pushed("academy")[first:]) == ids
    assert await rig.pauses() == [], "the pause is over, and reported no more"


async def test_another_tenant_goes_on_while_one_is_paused(rig):
    rig.tenant("academy")
    await rig.enrol("enr_1", tenant="academy")
    await rig.enrol("enr_2")
    rig.server.rotate(rig.organisations["academy"])
    await rig.put("enr_1", 40, tenant="academy")
    gateway = rig.gateway()
    await gateway.round()
    await rig.put("enr_2", 40)
    await gateway.round()
    assert rig.held("enr_2") == 40


async def test_a_pause_that_is_lifted_by_hand_is_tried_again(rig):
    await rig.enrol("enr_1")
    await rig.put("enr_1", 40)
    rig.app.faults.arm(Fault(kind="error", status=403))
    gateway = rig.gateway()
    await gateway.round()
    assert await gateway.round() is False
    await rig.database.write(lambda conn: pauses.lift(conn, "college"))
    await gateway.round()
    assert rig.held("enr_1") == 40


# -- RTOPilot away ------------------------------------------------------------------------------------


@on_both
async def test_a_day_away_loses_nothing_and_drains_by_age_within_the_pacing(rig):
    ids = [f"enr_{n:02}" for n in range(30)]
    await rig.enrol(*ids)
    rig.app.faults.arm(Fault(kind="error", status=503, count=None))
    gateway = rig.gateway()
    for hour in range(24):
        if hour < 15:
            await rig.put(ids[2 * hour], 40)
            rig.clock.move(60)
            await rig.put(ids[2 * hour + 1], 40)
        for _ in range(6):
            await gateway.round()
            rig.clock.move(590)
    away = len(rig.pushed())
    assert away < 24 * 6 + 30, "only probes while it is away"
    assert all([(await rig.item(id)).state == "pending" for id in ids])

    rig.app.disarm()
    arrivals = []
    rig.server.journal.clear()
    began = rig.clock.now()
    while len(rig.pushed()) < len(ids):
        assert await gateway.round() or rig.clock.now() - began < 86_400
        rig.clock.move(60)
        arrivals = rig.pushed()
    # of its two slots one may be slow while the other goes on; the first, the probe, is whichever was due
    order = [id for id, _ in arrivals[1:]]
    assert sorted(order) == sorted(set(ids) - {arrivals[0][0]})
    assert all(abs(order.index(id) - at) < 10 for at, id in enumerate(sorted(order)))
    assert sum(rig.paused) >= (len(ids) - 10) / 5 * 0.8


async def test_when_rtopilot_goes_away_in_the_middle_the_rest_of_the_queue_is_left_alone(rig):
    ids = [f"enr_{n:02}" for n in range(30)]
    await rig.enrol(*ids)
    gateway = rig.gateway()
    await rig.put(ids[0], 40)
    await gateway.round()
    rig.app.faults.arm(Fault(kind="error", status=502, count=None))
    for id in ids[1:]:
        await rig.put(id, 40)
    await gateway.round()
    assert len(rig.pushed()) - 1 <= 6, "five in a row, and one that was under way"
    tried = [id for id in ids if (await rig.item(id)).tries]
    assert len(tried) <= 6 and all([(await rig.item(id)).owner is None for id in ids])


async def test_an_unknown_id_after_an_absence_has_its_own_hour(rig):
    await rig.enrol("enr_1")
    rig.app.faults.arm(Fault(kind="error", status=503, count=3), Fault(kind="error", status=404))
    await rig.put("enr_1", 40)
    gateway = rig.gateway()
    for _ in range(4):
        rig.clock.move(3600)
        await gateway.round()
    item = await rig.item("enr_1")
    assert item.cause == "not_found" and 48 <= item.due_at - rig.clock.now() <= 72


async def test_a_poisoned_row_does_not_keep_the_others_back(rig):
    await rig.enrol("enr_poison", *(f"enr_{n}" for n in range(5)))
    rig.app.faults.arm(Fault(kind="error", status=500, body_has="enr_poison", count=None))
    await rig.put("enr_poison", 40, ago_s=100)
    for n in range(5):
        await rig.put(f"enr_{n}", 40)
    gateway = rig.gateway()
    for _ in range(10):
        await gateway.round()
        rig.clock.move(30)
    assert all(rig.held(f"enr_{n}") == 40 for n in range(5))
    assert len([id for id, _ in rig.pushed() if id == "enr_poison"]) <= 4
    assert (await rig.item("enr_poison")).cause == "transient"


async def test_after_a_fortnight_of_failing_a_row_is_dead(rig):
    await rig.enrol("enr_1")
    rig.app.faults.arm(Fault(kind="lost_request", count=None))
    await rig.put("enr_1", 40)
    gateway = rig.gateway()
    for day in range(20):
        for _ in range(4):
            await gateway.round()
            rig.clock.move(DAY_S / 4)
        state = (await rig.item("enr_1")).state
        assert state == ("pending" if day < 14 else state)
    item = await rig.item("enr_1")
    assert (item.state, item.cause, item.status) == ("dead", "transient", None)


# -- crashes, several gateways, stopping --------------------------------------------------------------


@on_both
async def test_killed_between_the_put_and_its_acknowledgement_the_newest_value_is_sent_next(rig):
    await rig.enrol("enr_1")
    await rig.put("enr_1", 40)
    now = rig.clock.now()

    def killed(conn):
        assert leases.acquire(conn, "college", "push", "host:1:gone", now, 30)
        assert outbox.claim(conn, "college", "host:1:gone", now, 30, 10)

    await rig.database.write(killed)
    await rig.put("enr_1", 60)
    gateway = rig.gateway()
    assert await gateway.round() is False
    rig.clock.move(31)
    assert await gateway.round() is True
    assert rig.pushed() == [("enr_1", 60)]


async def test_a_lost_answer_repeats_the_value_and_never_an_older_one(rig):
    await rig.enrol("enr_1")
    await rig.put("enr_1", 40)
    rig.app.faults.arm(Fault(kind="lost_answer"))
    gateway = rig.gateway()
    await gateway.round()
    await rig.put("enr_1", 60)
    assert await gateway.round() is False, "its back-off is kept"
    rig.clock.move(10)
    await gateway.round()
    assert rig.pushed() == [("enr_1", 40), ("enr_1", 60)]


@on_both
async def test_two_gateways_never_have_two_requests_in_flight_for_one_enrolment(rig):
    ids = [f"enr_{n}" for n in range(6)]
    await rig.enrol(*ids)
    rig.app.faults.arm(Fault(kind="slow_answer", seconds=0.05, count=None))
    gateways = [rig.gateway(), rig.gateway()]
    for value in range(1, 9):
        for id in ids:
            await rig.put(id, value * 10)
        await asyncio.gather(*(gateway.round() for gateway in gateways))
        rig.clock.move(2)
    while any(await asyncio.gather(*(gateway.round() for gateway in gateways))):
        rig.clock.move(2)
    flights = [(each.began, each.ended) for each in rig.server.journal.entries]
    for id in ids:
        mine = sorted(flight for flight, (named, _) in zip(flights, rig.pushed(), strict=True) if named == id)
        assert all(ended <= began for (_, ended), (began, _) in zip(mine, mine[1:], strict=False))
        values = [value for named, value in rig.pushed() if named == id]
        assert values == sorted(values) and values[-1] == 80
    for began, _ in flights:
        assert sum(start <= began < end for start, end in flights) <= 2, "two at once for a tenant"


@on_both
async def test_many_tenants_are_served_at_once(rig):
    names = [f"rto-{n}" for n in range(40)]
    for name in names:
        rig.tenant(name)
        await rig.enrol("enr_1", tenant=name)
        await rig.put("enr_1", 40, tenant=name)
    rig.app.faults.arm(Fault(kind="slow_answer", seconds=0.2, count=None))
    gateway = rig.gateway()
    began = asyncio.get_running_loop().time()
    await gateway.round()
    assert asyncio.get_running_loop().time() - began < 4.0, "40 one after the other take 8 s"
    assert all(rig.held("enr_1", name) == 40 for name in names)


async def test_tenants_beyond_the_bound_take_turns(rig):
    names = ["rto-a", "rto-b"]
    for name in names:
        rig.tenant(name)
        ids = [f"enr_{n}" for n in range(6)]
        await rig.enrol(*ids, tenant=name)
        for id in ids:
            await rig.put(id, 40, tenant=name, ago_s=100 if name == "rto-a" else 0)
    gateway = rig.gateway(tenants=1, turn=2, batch=2)
    served = []
    for _ in range(4):
        before = {name: len(rig.pushed(name)) for name in names}
        await gateway.round()
        served += [name for name in names if len(rig.pushed(name)) > before[name]]
        rig.clock.move(2)
    assert served[:4] == ["rto-a", "rto-b", "rto-a", "rto-b"]


async def test_a_kick_delivers_at_once_and_stopping_lets_the_request_end(rig):
    await rig.enrol("enr_1", "enr_2")
    gateway = rig.gateway(look_every_s=600.0)
    worker = asyncio.create_task(gateway.forever())
    await asyncio.sleep(0)
    await rig.put("enr_1", 40)
    gateway.kick()
    await soon(lambda: rig.held("enr_1") == 40)
    rig.clock.move(2)
    rig.app.faults.arm(Fault(kind="slow_answer", seconds=0.3))
    await rig.put("enr_2", 50)
    gateway.kick()
    await soon(lambda: len(rig.server.journal.entries) == 2)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert (await rig.item("enr_2")).state == "done"
    assert gateway.figures.sent == 2


async def test_stopping_cuts_off_a_request_that_hangs(rig):
    await rig.enrol("enr_1")
    await rig.put("enr_1", 40)
    rig.app.faults.arm(Fault(kind="slow_answer", seconds=60))
    gateway = rig.gateway()
    worker = asyncio.create_task(gateway.forever())
    await soon(lambda: len(rig.server.journal.entries) == 1)
    gateway.rules = type(gateway.rules)(timeout_s=0.1)  # how long stopping waits
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    item = await rig.item("enr_1")
    assert (item.state, item.tries) == ("pending", 0) and item.owner is not None
    rig.app.disarm()
    rig.clock.move(31)
    await rig.gateway().round()
    assert (await rig.item("enr_1")).sent_value == 40


async def test_stopping_gives_back_what_has_not_left(rig):
    ids = [f"enr_{n}" for n in range(9)]
    await rig.enrol(*ids)
    for id in ids:
        await rig.put(id, 40)
    reached, let_on = asyncio.Event(), asyncio.Event()

    async def paces(seconds):
        reached.set()
        await let_on.wait()
        rig.clock.move(seconds)

    gateway = rig.gateway(pause=paces)
    worker = asyncio.create_task(gateway.forever())
    await reached.wait()
    worker.cancel()
    await soon(lambda: gateway._stopping)
    let_on.set()
    with pytest.raises(asyncio.CancelledError):
        await worker
    left = [await rig.item(id) for id in ids]
    assert {each.owner for each in left} == {None}
    assert 5 <= sum(each.state == "done" for each in left) < 9
    rig.clock.move(2)
    await rig.gateway().round()
    assert sorted(rig.pushed()) == [(id, 40) for id in ids]


async def test_the_worker_outlives_a_store_that_fails_and_a_mistake(rig, caplog):
    await rig.enrol("enr_1")
    gateway = rig.gateway(look_every_s=0.01)
    mishaps = {"read": [ValueError("Joana Silva"), StoreError("disk full")]}
    mishaps["write"] = [ValueError("Joana Silva"), StoreError("no space")]

    def failing(name):
        real = getattr(rig.database, name)

        async def run(fn):
            if mishaps[name] and armed:
                raise mishaps[name].pop()
            return await real(fn)

        return run

    armed = False
    for name in mishaps:
        setattr(rig.database, name, failing(name))
    await rig.put("enr_1", 40)
    armed = True
    worker = asyncio.create_task(gateway.forever())
    await soon(lambda: rig.held("enr_1") == 40)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert caplog.text.count("ValueError") == 2 and "Joana" not in caplog.text
    assert "disk full" in caplog.text and "no space" in caplog.text


async def test_a_store_that_fails_after_the_push_repeats_it_when_the_lease_is_over(rig, caplog):
    await rig.enrol("enr_1", "enr_2")
    await rig.put("enr_1", 40)
    write, gateway = rig.database.write, rig.gateway()

    async def failing(fn):
        if rig.server.journal.entries:
            raise StoreError("disk full")
        return await write(fn)

    rig.database.write = failing
    await gateway.round()
    rig.database.write = write
    assert "disk full" in caplog.text
    assert await gateway.round() is False
    rig.clock.move(31)
    await gateway.round()
    assert rig.pushed() == [("enr_1", 40)] * 2


async def test_a_row_whose_lease_is_nearly_over_is_not_sent_any_more(rig):
    ids = [f"enr_{n}" for n in range(8)]
    await rig.enrol(*ids)
    for id in ids:
        await rig.put(id, 40)

    async def stalls(_):
        rig.clock.move(20)  # of a lease of 30 s, for a request of up to 10 s

    pool, left_s = rig.targets["college"].pool, []
    send = pool.send

    async def watched(*words, content, **options):
        item = await rig.item(orjson.loads(content)["lmsEnrolmentId"])
        left_s.append(item.lease_until - rig.clock.now())
        return await send(*words, content=content, **options)

    pool.send = watched
    gateway = rig.gateway(pause=stalls)
    while await gateway.round():
        pass
    assert min(left_s) > 10
    assert sorted(rig.pushed()) == [(id, 40) for id in ids]


async def test_an_outcome_for_a_row_that_somebody_else_has_now_changes_nothing(rig):
    await rig.enrol("enr_1")
    await rig.put("enr_1", 40)
    rig.app.faults.arm(Fault(kind="slow_answer", seconds=30))
    turn = asyncio.create_task(rig.gateway().round())
    await soon(lambda: len(rig.server.journal.entries) == 1)
    rig.clock.move(31)
    later = rig.clock.now()
    await rig.database.write(lambda conn: outbox.claim(conn, "college", "other", later, 30, 1))
    rig.app.disarm()
    assert await turn is True
    item = await rig.item("enr_1")
    assert (item.state, item.owner) == ("pending", "other")


async def test_a_value_put_while_a_turn_ends_is_not_left_for_the_next_look(rig):
    await rig.enrol("enr_1", "enr_2")
    gateway, write = rig.gateway(look_every_s=600.0), rig.database.write

    async def as_it_ends(fn):
        result = await write(fn)
        if result == [] and not await rig.database.read(lambda conn: outbox.get(conn, "college", "enr_2")):
            await rig.put("enr_2", 50)  # after the last claim found nothing
            gateway.kick()
            for _ in range(5):
                await asyncio.sleep(0)
        return result

    await rig.put("enr_1", 40)
    rig.database.write = as_it_ends
    worker = asyncio.create_task(gateway.forever())
    await soon(lambda: rig.held("enr_2") == 50)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker


async def test_the_figures_tell_the_latency_and_the_failures(rig):
    await rig.enrol("enr_1", "enr_2")
    gateway = rig.gateway()
    assert gateway.figures.median_s is None
    await rig.put("enr_1", 40, ago_s=3)
    await gateway.round()
    assert gateway.figures.median_s == pytest.approx(3, abs=1)
    rig.app.faults.arm(Fault(kind="error", status=400))
    await rig.put("enr_2", 40)
    await gateway.round()
    assert dict(gateway.figures.failed) == {"refused": 1}
