"""`outbox` over a real store, without a gateway: what waits, what is dead and why, replay and resume."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.operator.outbox_report import key_advice, load
from gateway.store import enrolments, outbox, pauses

ASKED = time.time()
PAGE = Path(__file__).parents[2] / "docs" / "outbox.md"


def queued(deployment: Any, id: str, value: int = 40, *, push_from: float | None = 0.0) -> None:
    def work(conn: Connection) -> None:
        enrolments.add(
            conn,
            tenant="college",
            vendor_account="acme",
            key=id,
            make_id=lambda _: id,
            record={},
            now=ASKED,
            push_from=push_from,
        )
        outbox.put(conn, "college", id, value, ASKED)

    deployment.store(work)


def tried(
    deployment: Any, id: str, cause: str, status: int | None, *, dead: bool = True, said: str = "."
) -> None:
    def work(conn: Connection) -> None:
        outbox.claim(conn, "college", "gone", ASKED, 30, 100)
        error: Any = {
            "status": status,
            "error": f"RTOPilot answered {status}{said}",
            "cause": cause,
            "now": ASKED,
        }
        if dead:
            outbox.dead(conn, "college", id, "gone", **error)
        else:
            outbox.later(conn, "college", id, "gone", due_at=ASKED + 3600, **error)
        set_free(conn)

    deployment.store(work)


def set_free(conn: Connection) -> None:
    for item in outbox.list_items(conn, state="pending"):
        if item.owner is not None:
            outbox.release(conn, item.tenant, item.id, item.owner)


def sent(deployment: Any, id: str) -> None:
    def work(conn: Connection) -> None:
        outbox.claim(conn, "college", "gone", ASKED, 30, 100)
        outbox.sent(conn, "college", id, "gone", version=1, value=40, status=200, now=ASKED)
        set_free(conn)

    deployment.store(work)


def todo(deployment: Any, id: str) -> str:
    return str(deployment.run("outbox", "show", "college", id, "--json").json["todo"])


def test_an_empty_outbox_says_so(deployment: Any) -> None:
    ran = deployment.run("outbox", "list")
    assert (ran.code, ran.out) == (0, "Nothing has been queued for RTOPilot yet.\n")
    assert deployment.run("outbox", "replies").out == "RTOPilot has not answered a push yet.\n"


def test_the_list_counts_by_tenant_and_says_why_letters_are_dead(deployment: Any) -> None:
    for id in ("enr_1", "enr_2", "enr_3", "enr_4"):
        queued(deployment, id)
    tried(deployment, "enr_1", "refused", 422)
    tried(deployment, "enr_2", "not_found", 404)
    sent(deployment, "enr_3")
    ran = deployment.run("outbox", "list")
    rows = {tuple(row[:2]): row for row in ran.rows()}
    assert rows["college", "1"][2] == "2"
    assert "lms-gateway outbox list college --state dead" in rows["college", "1"][5]
    assert rows["college", "refused"][5] == "lms-gateway outbox replay college --cause refused --status 422"
    assert rows["college", "not_found"][3:5] == ["1", "RTOPilot answered 404."]
    assert rows["college", "enr_4"][2:5] == ["pending", "40", ""]
    assert ("college", "enr_3") not in rows, "what is delivered is listed on request only"
    listed = deployment.run("outbox", "list", "college", "--json").json
    assert [each["delivered"] for each in listed["tenants"]] == [1]
    assert {each["enrolment"] for each in listed["items"]} == {"enr_1", "enr_2", "enr_4"}


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("--state", "dead"), {"enr_1"}),
        (("--state", "done"), {"enr_2"}),
        (("--cause", "transient"), {"enr_3"}),
        (("--cause", "refused", "--state", "pending"), set()),
        (("--limit", "1"), {"enr_1", "enr_3"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_list_is_filtered(deployment: Any, words: tuple[str, ...], ids: set[str]) -> None:
    for id in ("enr_1", "enr_2", "enr_3", "enr_4"):
        queued(deployment, id)
    tried(deployment, "enr_1", "refused", 422)
    sent(deployment, "enr_2")
    tried(deployment, "enr_3", "transient", 503, dead=False)
    listed = deployment.run("outbox", "list", *words, "--json").json["items"]
    assert {each["enrolment"] for each in listed} == ids


def test_a_paused_tenant_is_listed_with_what_to_do_and_resumed(deployment: Any) -> None:
    queued(deployment, "enr_1")
    deployment.store(lambda conn: pauses.pause(conn, "college", "a" * 64, "RTOPilot answered 401.", ASKED))
    (row,) = [row for row in deployment.run("outbox", "list").rows() if row[:2] == ["college", "1"]]
    assert "new key" in row[5] and "lms-gateway outbox resume college" in row[5]
    assert todo(deployment, "enr_1") == row[5]
    ran = deployment.run("outbox", "resume", "college")
    assert ran.code == 0 and ran.out.startswith("Resumed.") and "1 waiting" in ran.out
    assert deployment.run("outbox", "resume", "college").out == "college is not paused.\n"
    assert deployment.run("outbox", "resume", "college", "--json").json == {
        "tenant": "college",
        "resumed": False,
        "waiting": 1,
    }


def test_one_value_is_shown_with_everything_about_it(deployment: Any) -> None:
    queued(deployment, "enr_1")
    tried(deployment, "enr_1", "refused", 422)
    ran = deployment.run("outbox", "show", "college", "enr_1")
    assert ran.code == 0
    for line in ("state +dead", "value +40", "status +422", "error +RTOPilot answered 422", "tries +1"):
        assert re.search(f"^{line}", ran.out, re.MULTILINE), line
    assert "outbox replay college enr_1" in ran.out


def test_a_value_that_was_never_queued_is_not_shown(deployment: Any) -> None:
    ran = deployment.run("outbox", "show", "college", "enr_9")
    assert ran.code == 1 and "Nothing has been queued for enr_9" in ran.err


def test_each_situation_has_its_advice(deployment: Any) -> None:
    for id in ("due", "later", "config", "404", "old", "gone", "done"):
        queued(deployment, id)
    queued(deployment, "untold", push_from=None)
    queued(deployment, "early", push_from=time.time() + 3600)
    tried(deployment, "later", "transient", 503, dead=False)
    tried(deployment, "config", "config", 302, dead=False)
    tried(deployment, "404", "not_found", 404)
    tried(deployment, "old", "transient", None)
    sent(deployment, "done")
    deployment.store(lambda conn: enrolments.cancel(conn, "college", "gone", ASKED))
    assert "it is due" in todo(deployment, "due")
    assert "sends it at 20" in todo(deployment, "later")
    assert "rtopilot.base_url" in todo(deployment, "config")
    assert "does not know this id" in todo(deployment, "404")
    assert "14 days" in todo(deployment, "old")
    assert "not active" in todo(deployment, "gone")
    assert "accepted" in todo(deployment, "done")
    assert "told this id" in todo(deployment, "untold")
    assert "sends it at 20" in todo(deployment, "early")
    deployment.store(lambda conn: outbox.claim(conn, "college", "busy", time.time(), 30, 10))
    assert "a gateway is sending it" in todo(deployment, "due")


@pytest.fixture
def letters(deployment: Any) -> Any:
    """Three dead letters: two refused (400 and 422), one not found; and one that waits."""
    for id in ("enr_1", "enr_2", "enr_3", "enr_4"):
        queued(deployment, id)
    tried(deployment, "enr_1", "refused", 400)
    tried(deployment, "enr_2", "refused", 422)
    tried(deployment, "enr_3", "not_found", 404)
    return deployment


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("enr_1",), ["enr_1"]),
        (("--cause", "refused"), ["enr_1", "enr_2"]),
        (("--cause", "refused", "--status", "422"), ["enr_2"]),
        (("--status", "404"), ["enr_3"]),
        (("--all",), ["enr_1", "enr_2", "enr_3"]),
        (("--cause", "config"), []),
    ],
    ids=lambda value: " ".join(value),
)
def test_dead_letters_are_tried_again_dry_first(letters: Any, words: tuple[str, ...], ids: list[str]) -> None:
    def dead() -> set[str]:
        listed = letters.run("outbox", "list", "--state", "dead", "--json").json["items"]
        return {each["enrolment"] for each in listed}

    dry = letters.run("outbox", "replay", "college", *words, "--dry-run", "--json")
    assert dry.code == 0 and dry.json == {"tenant": "college", "dry_run": True, "ids": ids}
    assert dead() == {"enr_1", "enr_2", "enr_3"}
    assert letters.run("outbox", "replay", "college", *words).code == 0
    assert dead() == {"enr_1", "enr_2", "enr_3"} - set(ids)


def test_replay_says_what_it_does(letters: Any) -> None:
    assert letters.run("outbox", "replay", "college", "--all", "--dry-run").out.endswith(
        "3 would be tried again.\n"
    )
    assert letters.run("outbox", "replay", "college", "--all").out.endswith(
        "3 will be tried again, oldest first.\n"
    )
    assert letters.run("outbox", "replay", "college", "--all").out == "No dead letters of college match.\n"


def test_a_long_replay_names_the_first_only(deployment: Any) -> None:
    for n in range(25):
        queued(deployment, f"enr_{n:02}")
        tried(deployment, f"enr_{n:02}", "refused", 400)
    lines = deployment.run("outbox", "replay", "college", "--all").out.splitlines()
    assert len(lines) == 22 and lines[20] == "… and 5 more"


def test_replaying_what_is_not_dead_is_a_problem(letters: Any) -> None:
    ran = letters.run("outbox", "replay", "college", "enr_4")
    assert ran.code == 1 and "no dead letter" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "college"),
        ("replay", "college", "enr_1", "--all"),
        ("replay", "college", "--all", "--cause", "refused"),
        ("replay", "college", "--cause", "bad"),
        ("replay", "colege", "--all"),
        ("list", "--state", "bad"),
        ("list", "colege"),
    ],
    ids=" ".join,
)
def test_a_mistake_in_the_words_is_a_usage_error(deployment: Any, words: tuple[str, ...]) -> None:
    assert deployment.run("outbox", *words).code == 2


def test_the_first_replies_are_shown(deployment: Any) -> None:
    deployment.store(lambda conn: outbox.keep_reply(conn, "college", 200, '{"updated": 1}', ASKED))
    assert deployment.run("outbox", "replies").rows()[1][:2] == ["college", "200"]
    (shown,) = deployment.run("outbox", "replies", "college", "--json").json
    assert shown["body"] == '{"updated": 1}'


def test_the_page_shows_what_the_commands_print(deployment: Any) -> None:
    for id in ("8-126", "9-126", "11-126"):
        queued(deployment, id)
    tried(deployment, "8-126", "refused", 422, said=": The class has ended.")
    tried(deployment, "9-126", "not_found", 404)
    shown = [
        re.sub(r"^\$ lms-gateway ", "$ ", line)
        for block in re.findall(r"^```\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    printed = []
    for line in shown:
        if line.startswith("$ "):
            if "resume" in line:
                deployment.store(lambda conn: pauses.pause(conn, "college", "h", "401", ASKED))
            printed += [line, *deployment.run(*line[2:].split()).out.splitlines()]
    assert [cells(line) for line in printed] == [cells(line) for line in shown]


def cells(line: str) -> list[str]:
    """A line's cells, whatever stands between them; times are all alike, and an empty cell is a dash."""
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "TIME", line)
    return [cell or "-" for cell in (line.split("\t") if "\t" in line else re.split(" {2,}", line))]


def test_a_report_is_made_of_the_store_alone(deployment: Any) -> None:
    assert deployment.store(lambda conn: load(conn, "college", "enr_1")) is None
    pause = pauses.Pause(tenant="college", key_hash="h", reason="", at=0.0)
    assert "1970-01-01" in key_advice(pause)
