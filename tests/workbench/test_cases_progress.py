"""Cases of polls and webhooks: what holds, what must fail, and how a failure reads."""

from __future__ import annotations

import base64
import hmac
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.errors import ProblemsFound, RequestError
from gateway.mapping.schema import load_schema
from gateway.workbench.cases_known import known_of
from gateway.workbench.cases_play import Report, play, plays_of, read, run, shown_id
from gateway.workbench.cases_stage import Bench

DATA = Path(__file__).resolve().parents[1] / "data"
MAPPING, CASES = DATA / "hooked.yaml", DATA / "hooked-cases.yaml"
SECRET = "not-a-real-webhook-secret"
NO_BODY = '    - {if: "reply.status == 200 && reply.body == null", is: unknown}\n'


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What production logs of a poll that fails is of no interest here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as opened:
        yield opened


def all_plays() -> Iterator[Any]:
    cases, mapping = read(CASES, MAPPING)
    with Bench() as opened:
        for case in cases:
            for one in plays_of(opened, case, mapping):
                yield pytest.param(one, id=shown_id(one.name))


@pytest.mark.parametrize("one", list(all_plays()))
def test_case_of_the_invented_vendor_holds(one, bench):
    failed = run(bench, one)
    assert failed is None, f"\n{failed}"


def test_hard_cases_say_what_was_done():
    names: list[str] = []
    play(CASES, mapping_file=MAPPING, progress=lambda name, ok: names.append(name))
    page, event = "a list is read page by page", "an event leads to a look, and what is seen there is told"
    for name in (
        f"{page}: stopped after call 2 (GET /v1/enrolments)",
        f"{page}: stopped after commit 1",
        f"{page}: answer 2 (GET /v1/enrolments) was a 502, and so is every one after it for a while",
        f"{page}: answer 2 (GET /v1/enrolments) is half of it",
        f"{page}: two gateways sweep at once",
        f"{page}: swept again",
        f"{page}: no secret in any output",
        f"{event}: posted twice at once",
        f"{event}: posted again",
        f"{event}: the tenant's secrets are others",
        f"{event}: one byte of the body is changed",
        f"{event}: a byte is added to the body",
        f"{event}: the body is cut short",
        f"{event}: the body is empty",
        f"{event}: there is no x-hooked-signature",
        f"{event}: x-hooked-timestamp is another",
        f"{event}: sent again 360 s later",
        f"{event}: its time is 360 s ahead",
        f"{event}: sent again 360 s later, with its time brought up to date",
    ):
        assert name in names


# -- a case that does not hold --------------------------------------------------------------------------


@pytest.fixture
def play_one(tmp_path: Path) -> Callable[..., Report]:
    """Plays one case, given as YAML, with the invented vendor's mapping or a changed one."""

    def plays(case: str | Mapping[str, Any], **changes: Any) -> Report:
        data = {"mapping": "hooked", "secrets": {"webhook": SECRET}}
        test = yaml.safe_load(case) if isinstance(case, str) else case
        file = tmp_path / "tests" / "mappings" / "hooked.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**data, "tests": [{"name": "the case", **test}]}))
        return play(file, mapping_file=_changed(tmp_path, **changes))

    return plays


def _changed(
    folder: Path, *, verify: Any = None, text: Callable[[str], str] | None = None, **webhook: Any
) -> Path:
    written = MAPPING.read_text()
    data = yaml.safe_load(written if text is None else text(written))
    if webhook or verify is not None:
        data["progress"]["webhook"].update(webhook, **({} if verify is None else {"verify": verify}))
    file = folder / "hooked.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return file


SWEEP = """
run: poll
stored: [{record: {enrolment: enr_1, courseId: crs_1}, course: crs_1}]
vendor: [{ask: GET /v1/enrolments, query: {changed_since: "*", changed_before: "*", page: "1", per_page: "50"}, answer: {json: {data: [{id: enr_1, percent: 40}, {id: enr_9, percent: 1}, {}], next_page: null}}}]
expect: EXPECT
"""
EVENT = """
run: webhook
stored: [{record: {enrolment: enr_1, courseId: crs_1}, course: crs_1}]
with: {event: {headers: {X-Hooked-Timestamp: "1790000000"}, sign: webhook, json: {id: evt_1, type: enrolment.progress, enrolment: {id: enr_1}}}}
vendor: [{ask: GET /v1/enrolments/enr_1, answer: {json: {id: enr_1, percent: 40, completed_at: null}}}]
expect: EXPECT
"""


@pytest.mark.parametrize(
    ("case", "expect", "says"),
    [
        pytest.param(SWEEP, "{progress: {9-9: 40}}", "expect.progress: {'9-9': 40} was expected", id="id"),
        pytest.param(
            SWEEP,
            "{progress: [{record: {enrolment: enr_1}, percent: 41}]}",
            "expect.progress: percent 41 for {'enrolment': 'enr_1'}, it is 40",
            id="per cent",
        ),
        pytest.param(
            SWEEP,
            "{progress: [{record: {enrolment: enr_1}, percent: 40, completed: true, pushed: null}]}",
            "expect.progress: pushed None for {'enrolment': 'enr_1'}, it is 40",
            id="what is queued",
        ),
        pytest.param(
            SWEEP,
            "{progress: [{record: {enrolment: enr_2}, percent: 40}]}",
            "0 enrolments have {'enrolment': 'enr_2'}",
            id="another record",
        ),
        pytest.param(SWEEP, "{progress: []}", "0 enrolments were expected, there are 1", id="one too many"),
        pytest.param(SWEEP, "{progress: 40}", "it is a map or a list", id="one number"),
        pytest.param(SWEEP, "{pushed: {}}", "expect.pushed: {} was expected", id="queue"),
        pytest.param(SWEEP, "{unmatched: 0}", "expect.unmatched: 0 was expected, it is 1", id="unmatched"),
        pytest.param(SWEEP, "{dropped: 0}", "expect.dropped: 0 was expected, it is 1", id="dropped"),
        pytest.param(SWEEP, "{code: vendor_fault}", "expect.code", id="a poll that worked"),
        pytest.param(SWEEP, "{units: [{code: A}]}", "expect.units: [{'code': 'A'}] was expected", id="units"),
        pytest.param(
            EVENT, "{verified: false}", "expect.verified: False was expected, it is True", id="proof"
        ),
        pytest.param(
            EVENT, "{events: []}", "expect.events: [] was expected, it is [{'id': 'evt_1'", id="events"
        ),
        pytest.param(EVENT, "{events: [{id: evt_2}]}", "expect.events", id="another event"),
        pytest.param(
            EVENT, "{aside: no event}", "expect.aside: ['no event'] was expected", id="not kept aside"
        ),
        pytest.param(EVENT, "{repeated: 1}", "expect.repeated: 1 was expected, it is 0", id="repeated"),
    ],
)
def test_a_case_that_does_not_hold_says_how_it_differs(play_one, case, expect, says):
    report = play_one(case.replace("EXPECT", expect))
    assert not report.ok
    assert says in str(report)


@pytest.mark.parametrize(
    ("case", "old", "new", "says"),
    [
        pytest.param(SWEEP, "run: poll", "run: poll\nwith: {plan: poll-2}", "no poll `poll-2`; it has: poll, poll.audit", id="plan"),
        pytest.param(EVENT, "sign: webhook", "sign: other", "the mapping has no secret `other`", id="secret"),
        pytest.param(EVENT, 'X-Hooked-Timestamp: "1790000000"', 'X-Other: ""', "RTOPilot heard 401", id="time"),
        pytest.param(EVENT, "run: webhook", "run: webhook\nat: 1790000400", "RTOPilot heard 401", id="late"),
        pytest.param(EVENT, "GET /v1/enrolments/enr_1", "GET /v1/never", "GET /v1/enrolments/enr_1", id="off the script"),
    ],
)  # fmt: skip
def test_a_case_that_cannot_be_played_says_why(play_one, case, old, new, says):
    assert old in case
    report = play_one(case.replace(old, new).replace("EXPECT", "{pushed: {}}"))
    assert not report.ok
    assert says in str(report)


def test_an_operation_has_nothing_to_say_of_events(play_one):
    report = play_one("{run: getEnrolment, with: {enrolmentId: nonsense}, expect: {error: 404, events: []}}")
    assert "expect.events: there is no such thing after `run: getEnrolment`" in str(report)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        pytest.param("{run: webhook, expect: {pushed: {}}}", "need each other", id="a webhook without event"),
        pytest.param(
            "{run: poll, with: {event: {raw: x}}, expect: {pushed: {}}}", "need each other", id="poll"
        ),
        pytest.param(
            "{run: poll, expect: {pushed: {}}, also: [forge_everywhere]}", "can be forged", id="a forged poll"
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused(play_one, case, says):
    with pytest.raises(ProblemsFound, match=says):
        play_one(case)


def test_a_mapping_without_webhook_or_poll_says_so(play_one, tmp_path):
    def without(text: str) -> str:
        data = yaml.safe_load(text)
        data["progress"]["webhook"]["trust"] = "hint"
        return yaml.safe_dump(data)

    file = _changed(tmp_path, text=without)
    data = yaml.safe_load(file.read_text())
    del data["progress"]["webhook"], data["progress"]["poll"]
    file.write_text(yaml.safe_dump(data))
    for case, says in ((EVENT, "The mapping has no webhook"), (SWEEP, "has no poll `poll`; it has: none")):
        cases = tmp_path / "cases.yaml"
        test = yaml.safe_load(case.replace("EXPECT", "{pushed: {}}"))
        cases.write_text(json.dumps({"mapping": "hooked", "tests": [{"name": "the case", **test}]}))
        assert says in str(play(cases, mapping_file=file))


def test_a_poll_is_no_operation_that_could_be_planned():
    with pytest.raises(RequestError, match="is a poll"):
        known_of(CASES, "a list is read page by page", MAPPING)


# -- the page about case files ----------------------------------------------------------------------------


def _keys(schema: Any, *path: str) -> set[str]:
    for part in path:
        schema = schema[part]
    return set(schema["properties"])


def test_every_key_of_a_case_stands_on_the_page():
    page = (DATA.parents[1] / "docs" / "case-files.md").read_text()
    schema = load_schema("cases-1.json")
    case = schema["$defs"]["case"]["properties"]
    wanted = (
        _keys(schema, "$defs", "case") | _keys(case, "with") | _keys(case, "expect") | _keys(case, "tenant")
    )
    wanted |= (
        _keys(schema, "$defs", "event") | set(case["also"]["items"]["enum"]) | _keys(schema, "$defs", "line")
    )
    missing = {key for key in wanted if f"`{key}" not in page and f"{key}:" not in page}
    assert missing == set()


def test_the_signature_on_the_page_is_right():
    page = (DATA.parents[1] / "docs" / "case-files.md").read_text()
    body = next(line.partition("raw: ")[2].strip("'") for line in page.splitlines() if "raw: '{" in line)
    digest = hmac.digest(SECRET.encode(), f"1790000000.{body}".encode(), "sha256").hex()
    assert digest in page and digest in CASES.read_text()


# -- kinds of proof ---------------------------------------------------------------------------------------

LONG = "not-a-real-webhook-secret-but-long-enough-for-a-token"
WHSEC = "whsec_" + base64.b64encode(b"not a real secret, only a test").decode()
BODY = {"id": "evt_1", "type": "enrolment.progress", "enrolment": {"id": "enr_1"}}


def _jwt() -> str:
    """A token whose claims are the event, signed with HS256."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, {**BODY, "exp": 1790000600})]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    digest = hmac.digest(LONG.encode(), text, "sha256")
    return (text + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


KINDS = [
    pytest.param({"kind": "bearer"}, {"headers": {"Authorization": f"Bearer {SECRET}"}}, {}, 3, id="bearer"),
    pytest.param(
        {"kind": "basic", "user": "hooked"},
        {"headers": {"Authorization": "Basic " + base64.b64encode(f"hooked:{SECRET}".encode()).decode()}},
        {},
        3,
        id="basic",
    ),
    pytest.param({"kind": "secret-path"}, {"path": SECRET}, {}, 3, id="secret path"),
    pytest.param(
        {"kind": "shared-token", "token": "headers.x_token"},
        {"headers": {"X-Token": SECRET}},
        {},
        3,
        id="token in a header",
    ),
    pytest.param(
        {"kind": "shared-token", "token": "body.token"}, {"json": {**BODY, "token": SECRET}}, {}, 1, id="in the body"
    ),
    pytest.param(
        {"kind": "hmac", "encoding": "base64", "prefix": "v1=", "signature": "headers.x_signature"},
        {"sign": "webhook"},
        {},
        7,
        id="hmac over the body, base64",
    ),
    pytest.param(
        {"kind": "hmac", "hash": "sha512", "encoding": "base64url", "signature": "headers.x_signature"},
        {"sign": "webhook", "query": "a=1"},
        {},
        7,
        id="hmac, base64url",
    ),
    pytest.param(
        {"kind": "standard-webhooks"},
        {"sign": "webhook", "headers": {"webhook-id": "msg_1", "webhook-timestamp": "1790000000"}},
        {"webhook": WHSEC},
        14,
        id="standard webhooks",
    ),
    pytest.param(
        {"kind": "shared-token", "token": ["body.token", "headers.authorization"], "prefix": "Bearer "},
        {"headers": {"Authorization": f"bearer {SECRET}"}},
        {},
        2,
        id="token in one of two places",
    ),
    pytest.param(
        {"kind": "digest", "signed": ["raw", "secret"], "signature": "headers.x_signature"},
        {"sign": "webhook"},
        {},
        7,
        id="digest in a header",
    ),
    pytest.param(
        {"kind": "digest", "hash": "md5", "signed": ["raw", "':'", "secret"], "signature": "body.enrolment.sig", "without": "sig", "prefix": "v="},
        {"sign": "webhook"},
        {},
        5,
        id="digest in the body",
    ),
    pytest.param(
        {"kind": "digest", "hash": "sha1", "encoding": "base64", "signed": ["body.id", "secret"], "signature": "body.sig"},
        {"sign": "webhook"},
        {},
        2,
        id="digest of a field",
    ),
    pytest.param(
        {"kind": "digest", "signed": ["body.payload", "secret"], "signature": "json(body.payload).sig", "without": "sig"},
        {"sign": "webhook", "form": {"payload": json.dumps(BODY), "more": "é"}},
        {"body": "form", "events": "json(body.payload)"},
        2,
        id="digest of JSON in a form",
    ),
    pytest.param({"kind": "jwt", "algorithms": ["HS256"]}, {"raw": _jwt()}, {"body": "jwt", "webhook": LONG}, 5, id="jwt"),
]  # fmt: skip


@pytest.mark.parametrize(("verify", "event", "more", "hard"), KINDS)
def test_each_kind_of_proof_is_played_and_its_forgeries_are_refused(play_one, verify, event, more, hard):
    posted = event if {"raw", "json", "form"} & set(event) else {**event, "json": BODY}
    case = {
        **yaml.safe_load(EVENT.replace("EXPECT", "{verified: true, sent: 1}")),
        "with": {"event": posted},
        "also": ["forge_everywhere"],
        "secrets": {name: value for name, value in more.items() if name == "webhook"},
    }
    body = {name: value for name, value in more.items() if name in ("body", "events")}
    report = play_one(case, verify={"secrets": ["webhook"], **verify}, **body)
    assert report.ok, str(report)
    assert report.hard == hard


def test_what_is_never_verified_is_kept_aside(play_one):
    case = (
        EVENT.replace("sign: webhook, ", "")
        .replace("vendor:", "shared:")
        .replace("EXPECT", "{verified: quarantine, aside: unverifiable, sent: 0}")
    )
    test = yaml.safe_load(case)
    del test["shared"]
    report = play_one({**test, "also": ["forge_everywhere"]}, verify={"kind": "none-quarantine"})
    assert report.ok, str(report)
    assert report.hard == 0


IN_BODY = {"kind": "digest", "secrets": ["webhook"], "signed": ["raw", "secret"], "without": "sig"}


@pytest.mark.parametrize(
    ("verify", "event", "says"),
    [
        pytest.param({"kind": "bearer", "secrets": ["webhook"]}, {"json": BODY}, "write the proof out", id="bearer"),
        pytest.param({**IN_BODY, "signature": "body.sig"}, {"raw": "{}"}, "write the proof out", id="raw"),
        pytest.param({**IN_BODY, "signature": "trim(body.sig)"}, {"json": BODY}, "write the proof out", id="function"),
        pytest.param({**IN_BODY, "signature": "body.header.sig"}, {"json": BODY}, "no object to write `header.sig`", id="nowhere"),
        pytest.param({**IN_BODY, "signature": "json(body.more).sig", "signed": ["body.more", "secret"]}, {"form": {"a": "{}"}}, "no one field `more`", id="no field"),
    ],
)  # fmt: skip
def test_a_signature_that_cannot_be_made_here_must_be_written_out(play_one, verify, event, says):
    test = yaml.safe_load(EVENT.replace("EXPECT", "{sent: 1}"))
    test["with"]["event"] = {"sign": "webhook", **event}
    more = {"body": "form", "events": "json(body.more)"} if "form" in event else {}
    report = play_one(test, verify=verify, **more)
    assert f"it cannot be signed: {says}" in str(report) or f"it cannot be signed: there is {says}" in str(
        report
    )


# -- several webhooks

FIRST = {"verify": {"kind": "hmac", "secrets": ["webhook"], "signature": "headers.x_signature"}}
SECOND = {
    "verify": {**IN_BODY, "secrets": ["webhookOld"], "signature": "body.sig"},
    "find": {"enrolment": "${event.other.id}"},
}
ASIDE = {"verify": {"kind": "none-quarantine"}}


def _listed(*webhooks: dict[str, Any]) -> Callable[[str], str]:
    """The mapping with a list of webhooks in place of its one."""

    def listed(text: str) -> str:
        data = yaml.safe_load(text)
        one = {key: value for key, value in data["progress"]["webhook"].items() if key != "verify"}
        data["settings"]["more"] = {"type": "switch", "default": False}
        data["progress"]["webhook"] = [{**one, **more} for more in webhooks]
        return yaml.safe_dump(data)

    return listed


@pytest.mark.parametrize(
    ("webhooks", "sign", "hard"),
    [
        pytest.param((FIRST, SECOND), "webhook", 7, id="the first"),
        pytest.param((FIRST, SECOND), "webhookOld", 5, id="the second"),
        pytest.param((ASIDE, FIRST, SECOND), "webhookOld", 5, id="the rest is kept aside"),
        pytest.param(({**FIRST, "when": "settings.more"}, SECOND), "webhookOld", 5, id="one is off"),
    ],
)
def test_of_several_webhooks_the_one_that_takes_it_is_played_and_forged(play_one, webhooks, sign, hard):
    test = yaml.safe_load(EVENT.replace("EXPECT", "{verified: true, sent: 1, events: [{id: evt_1}]}"))
    test["with"]["event"] = {"sign": sign, "json": {**BODY, "other": {"id": "enr_1"}}}
    report = play_one({**test, "also": ["forge_everywhere", "crash_everywhere"]}, text=_listed(*webhooks))
    assert report.ok, str(report)
    forged = play_one({**test, "also": ["forge_everywhere"]}, text=_listed(*webhooks))
    assert forged.hard == hard


def test_a_webhook_that_is_off_takes_nothing(play_one):
    test = yaml.safe_load(EVENT.replace("EXPECT", "{verified: true}"))
    test["with"]["event"] = {"sign": "webhook", "json": BODY}
    off = {**FIRST, "when": "settings.more"}
    signed = play_one(test, text=_listed(off, FIRST))
    assert signed.ok, str(signed)
    refused = play_one(test, text=_listed(off, SECOND))
    assert "expect.verified: True was expected, it is False" in str(refused)
    assert "has no webhook for this tenant" in str(play_one(test, text=_listed(off)))
    on = play_one({**test, "settings": {"more": True}}, text=_listed(off))
    assert on.ok, str(on)


def test_a_token_that_proves_too_little_in_one_of_its_places_is_noticed(play_one):
    test = yaml.safe_load(EVENT.replace("EXPECT", "{verified: true}"))
    test["with"]["event"] = {"json": {**BODY, "token": SECRET}}
    verify = {"kind": "shared-token", "secrets": ["webhook"], "token": ["body.token", f"'{SECRET}'"]}
    report = play_one({**test, "also": ["forge_everywhere"]}, verify=verify)
    assert any(failure.name.endswith("there is no token") for failure in report.failures)


def test_an_event_that_carries_its_value_is_told_without_a_look(play_one):
    test = yaml.safe_load(EVENT.replace("EXPECT", "{}"))
    del test["vendor"]
    test["with"]["event"]["json"]["enrolment"]["percent"] = 70
    test["expect"] = {
        "events": [{"id": "evt_1", "value": {"percent": 70, "completed": False}}],
        "progress": [{"record": {"enrolment": "enr_1"}, "percent": 70, "pushed": 70}],
        "sent": 0,
    }
    test["also"] = ["crash_everywhere", "repeat_everywhere", "no_secret_in_output", "forge_everywhere"]
    value = {
        "percent?": "${number(event.enrolment.percent)}",
        "completed": "${event.enrolment.completed_at != null}",
    }
    report = play_one(test, trust="value", value=value)
    assert report.ok, str(report)


def test_a_form_is_posted_as_a_form(play_one):
    test = yaml.safe_load(EVENT.replace("EXPECT", "{verified: true, events: [{id: evt_1}], sent: 1}"))
    event = test["with"]["event"]
    del event["json"]
    event["form"] = {"id": "evt_1", "type": "enrolment.progress", "enrolment_id": "enr_1"}
    report = play_one(test, body="form", find={"enrolment": "${event.enrolment_id}"})
    assert report.ok, str(report)


FRESH = {"at": "number(headers.x_hooked_timestamp)", "within": "5m"}
OVER_BODY = {
    "kind": "hmac",
    "secrets": ["webhook"],
    "signed": ["raw"],
    "signature": "headers.x_hooked_signature",
}


@pytest.mark.parametrize(
    ("verify", "headers", "says"),
    [
        pytest.param(
            {**OVER_BODY, "fresh": FRESH},
            {"X-Hooked-Timestamp": "1790000000"},
            "with its time brought up to date",
            id="a time that is not signed",
        ),
        pytest.param(
            {**OVER_BODY, "fresh": {**FRESH, "at": "number(headers.x_hooked_timestamp) ?? 1790000000"}},
            {"X-Hooked-Timestamp": "1790000000"},
            "there is no x-hooked-timestamp",
            id="a time that may be missing",
        ),
    ],
)
def test_a_proof_that_proves_too_little_is_noticed(play_one, verify, headers, says):
    test = yaml.safe_load(EVENT.replace("EXPECT", "{verified: true}"))
    test["with"]["event"]["headers"] = headers
    report = play_one({**test, "also": ["forge_everywhere"]}, verify=verify)
    [failure] = [failure for failure in report.failures if says in failure.name]
    for text in ("heard 200, not 401", "it was stored", "the vendor was asked", "something was learnt"):
        assert text in failure.text


# -- mappings that are wrong on purpose ---------------------------------------------------------------------


def _with_rule(text: str) -> str:
    return text if NO_BODY in text else text.replace("  replies:\n", f"  replies:\n{NO_BODY}", 1)


def _without_rule(text: str) -> str:
    return text.replace(NO_BODY, "")


@pytest.mark.parametrize(
    ("text", "good"), [(_with_rule, True), (_without_rule, False)], ids=["right", "wrong"]
)
def test_a_mapping_that_takes_an_empty_answer_for_a_reading_is_noticed(play_one, text, good):
    test = yaml.safe_load(EVENT.replace("EXPECT", "{sent: 1}"))
    report = play_one({**test, "also": ["malformed_everywhere"]}, text=text)
    assert report.ok is good, str(report)
    assert good or "it never recovers: progress" in str(report)


def test_a_mapping_that_reads_nothing_as_0_is_noticed(play_one):
    def careless(text: str) -> str:
        return text.replace(
            '"${scale(reply.body.percent, settings.percentScale)}"', '"${number(reply.body.percent) ?? 0}"'
        )

    test = yaml.safe_load(EVENT.replace("EXPECT", "{sent: 1}"))
    report = play_one(
        {**test, "also": ["malformed_everywhere"]}, text=lambda text: careless(_without_rule(text))
    )
    assert "stands at 0; it stood at None, and undisturbed at 40" in str(report)


def test_a_list_that_ends_with_any_page_is_noticed(play_one):
    def careless(text: str) -> str:
        return text.replace("items: reply.body.data\n    keep", "items: reply.body.data ?? `[]`\n    keep")

    case = yaml.safe_load(SWEEP.replace("EXPECT", "{progress: [{record: {enrolment: enr_1}, percent: 40}]}"))
    second = dict(case["vendor"][0], query={**case["vendor"][0]["query"], "page": "2"})
    first = dict(
        case["vendor"][0], answer={"json": {"data": [{"id": "enr_1", "percent": 20}], "next_page": 2}}
    )
    case = {**case, "vendor": [first, second], "also": ["malformed_everywhere"]}
    right = play_one(case)
    assert right.ok, str(right)
    wrong = play_one(case, text=lambda text: careless(_without_rule(text)))
    assert "half a list was taken for a whole one" in str(wrong)
