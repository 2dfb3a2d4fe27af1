"""RTOPilot's progress endpoint: its rules, its switches, and the promises checked over its journal."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gateway.sandbox.control import Clock
from gateway.sandbox.faults import Fault
from gateway.sandbox.rtopilot_office import Organisation
from gateway.sandbox.rtopilot_progress import (
    PATH,
    ProgressServer,
    ProgressSwitches,
    arguments,
    from_arguments,
    new_key,
    progress_stand_in,
)
from gateway.sandbox.rtopilot_promises import OVERLAP_S, all_broken_promises, broken_promises
from gateway.sandbox.serve import running
from tests.support.waiting import until

START = datetime(2026, 1, 1, tzinfo=UTC)
BODY = {"lmsEnrolmentId": "enr_1", "progress": 40}


class Rig:
    """A progress server, called in process: one organisation that holds `enr_1`, and a clock of its own."""

    def __init__(self, **switches) -> None:
        self.clock = Clock(START)
        self.server = ProgressServer(switches=ProgressSwitches(**switches), clock=self.clock)
        self.organisation = Organisation(name="Acme Training")
        self.key = self.server.admit(self.organisation)
        self.enrolment = self.organisation.enrolments[self.server.hold("Acme Training", "enr_1")]
        self.app = progress_stand_in(self.server)

    async def send(self, method="PUT", path=PATH, *, key=None, **request) -> httpx.Response:
        request = request or {"json": BODY}
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://rtopilot.test") as client:
            return await client.request(method, path, headers=headers | request.pop("headers", {}), **request)

    async def push(self, progress, id="enr_1", after_s=1.0) -> int:
        self.clock.advance(after_s)
        return (await self.send(json={"lmsEnrolmentId": id, "progress": progress})).status_code


async def test_a_push_changes_the_enrolment():
    rig = Rig()
    answer = await rig.send()
    assert (answer.status_code, answer.json()) == (200, {"updated": 1})
    assert rig.enrolment.progress == 40


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_other_methods_are_405(method):
    rig = Rig()
    answer = await rig.send(method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "PUT")
    assert rig.enrolment.progress == 0


@pytest.mark.parametrize(
    "path", ["/", "/api/api/enrolments/lms-progress", PATH + "/", "/enrolments/lms-progress"]
)
async def test_other_paths_are_404(path):
    assert (await Rig().send(path=path)).status_code == 404


def test_a_key_is_the_prefix_and_sixty_four_hexadecimal_digits():
    assert re.fullmatch(r"rtop_[0-9a-f]{64}", new_key())


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer rtop_unknown", "Basic {key}", "{key}", "Bearer {key}x"]
)
async def test_a_missing_or_unknown_key_is_401(header):
    rig = Rig()
    answer = await rig.send(json=BODY, headers={"Authorization": header.format(key=rig.key)})
    assert answer.status_code == 401
    assert rig.enrolment.progress == 0


async def test_a_rotated_key_dies_at_once():
    rig = Rig()
    new = rig.server.rotate(rig.organisation)
    assert (await rig.send()).status_code == 401
    assert (await rig.send(key=new)).status_code == 200
    assert len(rig.server.arrivals(rig.organisation)) == 2


async def test_a_key_reaches_its_own_organisation_only():
    rig = Rig()
    other = rig.server.admit(Organisation(name="Other"))
    assert (await rig.send(key=other)).status_code == 404
    assert rig.enrolment.progress == 0
    assert rig.server.arrivals(rig.organisation) == []


async def test_an_id_held_twice_changes_both_and_is_a_violation():
    rig = Rig()
    rig.server.assert_no_violations()
    twin = rig.organisation.enrolments[rig.server.hold("Acme Training", "enr_1")]
    assert (await rig.send()).json() == {"updated": 2}
    assert (rig.enrolment.progress, twin.progress) == (40, 40)
    with pytest.raises(AssertionError, match="enr_1 is held by rto-1, rto-2"):
        rig.server.assert_no_violations()


@pytest.mark.parametrize("status, changed", [(404, 404), (200, 200)])
async def test_an_id_nobody_holds_changes_nothing(status, changed):
    rig = Rig(unknown_id=status)
    assert await rig.push(40, id="enr_9") == changed
    assert rig.enrolment.progress == 0


INVALID = {
    "array": [BODY],
    "text": "x",
    "no_id": {"progress": 1},
    "no_progress": {"lmsEnrolmentId": "enr_1"},
    "null_id": BODY | {"lmsEnrolmentId": None},
    "boolean_id": BODY | {"lmsEnrolmentId": True},
    "text_progress": BODY | {"progress": "40"},
    "boolean_progress": BODY | {"progress": True},
    "negative": BODY | {"progress": -1},
    "too_much": BODY | {"progress": 100.5},
}
ONLY_STRICT = {
    "unknown_key": BODY | {"status": "x"},
    "fraction": BODY | {"progress": 40.5},
    "numeric_id": BODY | {"lmsEnrolmentId": 7},
}


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID)
async def test_an_invalid_body_is_refused(body, status):
    rig = Rig(invalid_status=status)
    assert (await rig.send(json=body)).status_code == status
    assert rig.enrolment.progress == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"lmsEnrolmentId":"enr_1","progress":NaN}', b"\xff"])
async def test_a_body_that_is_not_json_is_refused(content):
    assert (await Rig().send(content=content)).status_code == 400


@pytest.mark.parametrize("body", ONLY_STRICT.values(), ids=ONLY_STRICT)
async def test_the_strict_switch_refuses_what_is_otherwise_taken(body):
    relaxed = Rig()
    relaxed.server.hold("Acme Training", "7")
    assert (await relaxed.send(json=body)).status_code == 200
    assert (await Rig(strict=True).send(json=body)).status_code == 400


async def test_the_strict_switch_takes_what_the_gateway_sends_and_wants_it_labelled_json():
    rig = Rig(strict=True)
    assert (await rig.send()).status_code == 200
    assert (await rig.send(content=json.dumps(BODY))).status_code == 400


async def test_a_body_beyond_the_cap_is_413():
    assert (await Rig().send(content=b" " * 1_000_001)).status_code == 413


@pytest.mark.parametrize(
    "wrap", [lambda items: items, lambda items: {"enrolments": items}], ids=["array", "object"]
)
async def test_the_batch_switch_takes_several_at_once_or_none(wrap):
    rig = Rig(batch=True)
    second = rig.organisation.enrolments[rig.server.hold("Acme Training", "enr_2")]
    items = [BODY, BODY | {"lmsEnrolmentId": "enr_2", "progress": 50}]
    assert (await rig.send(json=wrap([*items, {}]))).status_code == 400
    assert (rig.enrolment.progress, second.progress) == (0, 0)
    assert (await rig.send(json=wrap(items))).json() == {"updated": 2}
    assert (rig.enrolment.progress, second.progress) == (40, 50)
    assert (await rig.send()).status_code == 200


@pytest.mark.parametrize(
    "switch, status, content",
    [("json", 200, b'{"updated": 1}'), ("empty", 200, b""), ("no_content", 204, b"")],
    ids=str,
)
async def test_success_looks_as_the_switch_says(switch, status, content):
    answer = await Rig(success=switch).send()
    assert (answer.status_code, answer.content) == (status, content)


@pytest.mark.parametrize(
    "switch, content_type, start",
    [("json", "application/json", b'{"message"'), ("html", "text/html", b"<!doctype")],
)
async def test_errors_look_as_the_switch_says(switch, content_type, start):
    answer = await Rig(errors=switch).send(key="rtop_unknown")
    assert answer.headers["content-type"] == content_type
    assert answer.content.startswith(start)


async def test_errors_can_be_empty():
    answer = await Rig(errors="empty").send(key="rtop_unknown")
    assert (answer.status_code, answer.content, answer.headers.get("content-type")) == (401, b"", None)


async def test_every_key_is_refused_from_the_request_of_the_switch_on():
    rig = Rig(unauthorised_from=3)
    assert [await rig.push(value) for value in (1, 2, 3, 4)] == [200, 200, 401, 401]
    assert rig.enrolment.progress == 2


@pytest.mark.parametrize("wait", [None, 7])
async def test_a_429_comes_with_or_without_retry_after(wait):
    rig = Rig()
    rig.app.faults.arm(Fault(kind="too_many", retry_after=wait))
    answer = await rig.send()
    assert (answer.status_code, answer.headers.get("retry-after")) == (429, wait and str(wait))
    assert rig.enrolment.progress == 0
    assert (await rig.send()).status_code == 200


@pytest.mark.parametrize("status", [500, 503])
async def test_a_server_error_has_the_errors_own_form(status):
    rig = Rig(errors="html")
    rig.app.faults.arm(Fault(kind="error", status=status))
    answer = await rig.send()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html")


@pytest.mark.parametrize("kind, progress", [("lost_answer", 40), ("lost_request", 0)])
def test_a_dropped_connection_gives_no_answer(kind, progress):
    rig = Rig()
    rig.app.faults.arm(Fault(kind=kind))
    with running(rig.app) as url, httpx.Client(trust_env=False) as client:
        headers = {"Authorization": f"Bearer {rig.key}"}
        with pytest.raises(httpx.TransportError):
            client.put(url + PATH, json=BODY, headers=headers)
        assert rig.enrolment.progress == progress
        assert client.put(url + PATH, json=BODY, headers=headers).status_code == 200


def test_a_hanging_request_is_in_the_journal_without_an_answer():
    rig = Rig()
    rig.app.faults.arm(Fault(kind="slow_answer", seconds=60))
    with running(rig.app) as url, httpx.Client(trust_env=False, timeout=0.3) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.put(url + PATH, json=BODY, headers={"Authorization": f"Bearer {rig.key}"})
        entry = rig.server.journal.entries[0]
        assert (entry.status, entry.fault, rig.enrolment.progress) == (None, "slow_answer", 40)
        client.delete(url + "/_control/faults")


async def test_the_journal_keeps_the_order_of_arrival():
    rig = Rig()
    for value in (10, 20, 30):
        await rig.push(value)
    arrivals = rig.server.arrivals(rig.organisation)
    assert [json.loads(each.body)["progress"] for each in arrivals] == [10, 20, 30]
    assert [each.number for each in arrivals] == [1, 2, 3]
    assert [each.what for each in rig.server.journal.effects] == ["enr_1=10", "enr_1=20", "enr_1=30"]


def promises(rig, **completed):
    return broken_promises(rig.server.arrivals(rig.organisation), rig.organisation, completed)


async def test_rising_progress_and_an_earned_hundred_break_no_promise():
    rig = Rig()
    for value in (10, 10, 99, 100):
        await rig.push(value)
    assert promises(rig, enr_1=START) == []


async def test_a_decrease_breaks_a_promise():
    rig = Rig()
    for value in (50, 40):
        await rig.push(value)
    assert promises(rig) == ["request 2: enr_1=40 is less than 50 before"]


@pytest.mark.parametrize("completed", [{}, {"enr_1": START + timedelta(hours=1)}], ids=["never", "later"])
async def test_a_hundred_before_completion_breaks_a_promise(completed):
    rig = Rig()
    await rig.push(100)
    assert promises(rig, **completed) == ["request 1: enr_1=100 came before the vendor called it completed"]


async def test_a_push_before_create_was_answered_breaks_a_promise():
    rig = Rig()
    await rig.push(10, after_s=-5)
    await rig.push(10, id="enr_9")
    assert promises(rig) == [
        "request 1: enr_1=10 came before Create or Transfer was answered",
        "request 2: enr_9=10 came before Create or Transfer was answered",
    ]


async def test_a_push_after_cancel_breaks_a_promise_even_when_it_is_refused():
    rig = Rig(unauthorised_from=1)
    rig.enrolment.release(rig.clock.now())
    await rig.push(10)
    assert promises(rig) == ["request 1: enr_1=10 came after Cancel or Transfer"]


async def test_a_body_the_strict_server_would_refuse_breaks_a_promise():
    rig = Rig()
    await rig.send(json=BODY | {"progress": 1.5})
    assert promises(rig) == ["request 1: progress is not a whole number, or there are unknown keys."]


async def test_the_control_surface_shows_state_and_resets_it():
    rig = Rig()
    await rig.push(40)
    state = (await rig.send("GET", "/_control/state")).json()
    assert state == {
        "progress": {"Acme Training": {"enr_1": 40}},
        "certificates": {"Acme Training": {}},
        "violations": [],
    }
    rotated = await rig.send("POST", "/_control/act/rotate", json={"organisation": "Acme Training"})
    assert (await rig.send(key=rotated.json())).status_code == 200
    await rig.send("POST", "/_control/switches", json={"strict": True})
    await rig.send("POST", "/_control/reset", json={})
    assert rig.enrolment.progress == 0 and rig.server.switches == ProgressSwitches()


async def test_an_unknown_organisation_is_refused_by_the_control_surface():
    answer = await Rig().send("POST", "/_control/act/rotate", json={"organisation": "nobody"})
    assert (answer.status_code, answer.json()) == (400, {"error": "no organisation 'nobody'"})


def test_the_command_line_makes_an_organisation_with_its_key_and_ids():
    stand_in = from_arguments(arguments(["--key", "rtop_x", "--enrolment", "enr_1", "--accept-unknown"]))
    assert stand_in.vendor.state()["progress"] == {"sandbox": {"enr_1": 0}}
    assert stand_in.vendor.switches.unknown_id == 200


def test_it_runs_as_a_process():
    command = [sys.executable, "-m", "gateway.sandbox.rtopilot_progress", "--port", "0", "--key", "rtop_x"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [*command, "--enrolment", "enr_1"], stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        try:
            line = process.stdout.readline()
            url = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)[1]
            answer = httpx.put(
                url + PATH, json=BODY, headers={"Authorization": "Bearer rtop_x"}, trust_env=False
            )
            assert answer.status_code == 200
        finally:
            process.terminate()
    assert process.returncode in (0, -signal.SIGTERM)


async def test_a_certificate_is_issued_only_when_a_hundred_arrives():
    rig = Rig()
    await rig.push(99)
    assert rig.enrolment.certificate_at is None
    await rig.push(100)
    issued = rig.clock.now()
    await rig.push(100)
    assert rig.enrolment.certificate_at == issued
    state = (await rig.send("GET", "/_control/state")).json()
    assert state["certificates"] == {"Acme Training": {"enr_1": issued.isoformat()}}
    assert all_broken_promises(rig.server, {"enr_1": issued}) == []
    assert all_broken_promises(rig.server, {}) == [
        "Acme Training: request 2: enr_1=100 came before the vendor called it completed",
        "Acme Training: request 3: enr_1=100 came before the vendor called it completed",
        "Acme Training: rto-1 has a certificate the vendor knows nothing of",
    ]


async def test_a_certificate_stays_good_after_a_transfer():
    rig = Rig()
    await rig.push(100)
    rig.enrolment.hold("enr_2", rig.clock.now())
    assert all_broken_promises(rig.server, {"enr_1": START}) == []


async def test_promises_over_all_organisations_include_the_servers_own_violations():
    rig = Rig()
    rig.server.hold("Acme Training", "enr_1")
    await rig.push(10)
    assert all_broken_promises(rig.server, {}) == ["Acme Training: enr_1 is held by rto-1, rto-2"]


def test_two_requests_for_one_enrolment_at_a_time_break_a_promise():
    rig = Rig()
    rig.server.hold("Acme Training", "enr_2")
    rig.app.faults.arm(Fault(kind="slow_answer", seconds=60))
    headers = {"Authorization": f"Bearer {rig.key}"}
    with running(rig.app) as url, httpx.Client(trust_env=False, headers=headers) as client:
        slow = threading.Thread(target=httpx.put, args=(url + PATH,), kwargs={"json": BODY, "headers": headers, "trust_env": False})  # fmt: skip
        slow.start()
        until(lambda: rig.server.journal.entries, what="the slow request")
        client.put(url + PATH, json=BODY | {"lmsEnrolmentId": "enr_2"})
        client.put(url + PATH, json=BODY | {"progress": 50})
        late = time.monotonic() + 2 * OVERLAP_S  # more than what a server may notice late
        until(lambda: time.monotonic() > late)
        client.delete(url + "/_control/faults")
        slow.join()
    assert promises(rig) == ["request 3: enr_1=50 came while another request for it was open"]


def test_a_request_that_was_given_up_does_not_overlap_the_next():
    rig = Rig()
    rig.app.faults.arm(Fault(kind="slow_answer", seconds=60))
    headers = {"Authorization": f"Bearer {rig.key}"}
    with running(rig.app) as url, httpx.Client(trust_env=False, headers=headers) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.put(url + PATH, json=BODY, timeout=0.2)
        assert client.put(url + PATH, json=BODY).status_code == 200
        entries = rig.server.journal.entries
        assert until(lambda: entries[0].ended) - entries[1].began < OVERLAP_S
        client.delete(url + "/_control/faults")
    assert promises(rig) == []


async def test_organisations_and_ids_are_made_over_the_control_surface():
    rig = Rig()
    key = (
        await rig.send("POST", "/_control/act/admit", json={"organisation": "New", "key": "rtop_n"})
    ).json()
    held = await rig.send("POST", "/_control/act/hold_all", json={"organisation": "New", "ids": ["a", "b"]})
    assert (key, held.json()) == ("rtop_n", 2)
    assert (await rig.send(key=key, json=BODY | {"lmsEnrolmentId": "b"})).status_code == 200
    released = await rig.send("POST", "/_control/act/release", json={"organisation": "New", "id": "b"})
    assert released.json() == 1
    rig.clock.advance(1)
    await rig.send(key=key, json=BODY | {"lmsEnrolmentId": "b"})
    assert all_broken_promises(rig.server, {}) == ["New: request 2: b=40 came after Cancel or Transfer"]
    again = await rig.send("POST", "/_control/act/admit", json={"organisation": "New"})
    assert (await rig.send(key=key)).status_code == 401
    assert re.fullmatch(r"rtop_[0-9a-f]{64}", again.json())


def test_the_journal_may_be_longer_than_usual():
    assert ProgressServer(keep=6000).journal.entries.maxlen == 6000
    stand_in = from_arguments(arguments(["--key", "rtop_x", "--keep", "7"]))
    assert stand_in.journal.entries.maxlen == 7
