"""`hooks match` over captured requests, and what was kept aside, over a real store."""

import hashlib
import hmac
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import hooks
from gateway.cli.commands import Commands
from gateway.config import load_config
from gateway.store import inbox
from gateway.store.database import upgrade

BODY = b'{"event":"student.merged","data":{"id":"2","oldId":"1","student":{"name":"Joana-marker"}}}'
SECRET = "tst-secret-0001-of-merged"
OTHER = "tst-secret-0002-of-created"
SIGNATURE = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
HEADERS = f"Host: gw.example.net\nContent-Type: application/json\nX-Sig: sha256={SIGNATURE}\n"
REQUEST = f"POST /t/college/hooks/student.merged HTTP/1.1\n{HEADERS}\n".encode() + BODY
STORED = {"content_type": "application/json", "x_sig": f"sha256={SIGNATURE}"}
EVENTS = {"student.created": {"secret": OTHER}, "student.merged": {"secret": ["older", SECRET]}}
SCHEME = {"header": "X-Sig", "prefix": "sha256="}


class Ran:
    """What a command came to."""

    def __init__(self, result: Any) -> None:
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code, self.out, self.err = result.exit_code, result.stdout, result.stderr

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


def run(*words: str) -> Ran:
    app = typer.Typer(cls=Commands)
    hooks.add_to(app)
    return Ran(CliRunner().invoke(app, ["hooks", *words]))


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    (tmp_path / "captured.txt").write_bytes(REQUEST)
    return tmp_path / "captured.txt"


@pytest.fixture
def standin() -> Any:
    """Nothing here calls an LMS."""
    return None, "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: Any) -> Path:
    """A store with its tables, to copy: making them takes longer than a test."""
    file = Path(tmp_path_factory.mktemp("store")) / "gateway.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
def here(empty: Path, deployment: Any) -> Any:
    """A tenant that takes webhooks, whose signature is not known yet."""
    deployment.write(rtopilot={"hooks": {"events": EVENTS}})
    shutil.copy(empty, deployment.folder / "gateway.db")
    return deployment


@pytest.fixture
def on(here: Any) -> Callable[..., Ran]:
    return lambda *words: run(*words, "--config", str(here.config))


def kept(
    here: Any, *, source: str = "rtopilot:student.merged", why: str | None = "no-scheme", **more: Any
) -> str:
    given = {"raw": BODY, "headers": STORED, "now": 1_780_000_000.0, "tenant": "college", **more}
    found = here.store(lambda conn: inbox.store(conn, source=source, quarantined=why, **given))
    assert isinstance(found, str)
    return found


def state(here: Any, delivery: str) -> str:
    found = here.store(lambda conn: inbox.get(conn, delivery))
    assert found is not None
    return str(found.state)


# -- match ---------------------------------------------------------------------------------------------


def test_match_prints_what_to_paste_and_it_loads(on: Any, here: Any, request_file: Path) -> None:
    ran = on("match", str(request_file))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("It fits with the secret of student.merged (the second).\n")
    pasted = ran.out.partition("\n\n")[2]
    assert "header: X-Sig" in pasted and 'prefix: "sha256="' in pasted and "Each of these" not in pasted
    scheme = [line.strip().split(": ", 1) for line in pasted.splitlines()[3:] if line.strip()]
    signature = {name: json.loads(value) if value.startswith('"') else value for name, value in scheme}
    here.write(rtopilot={"hooks": {"events": EVENTS, "signature": signature}})
    rules = load_config(here.config, environ={}).tenants["college"].rtopilot.hooks
    assert rules is not None and rules.rules.scheme is not None
    assert (rules.rules.scheme.header, rules.rules.scheme.prefix) == ("x-sig", "sha256=")


def test_match_takes_headers_and_body_apart(on: Any, tmp_path: Path) -> None:
    (tmp_path / "h").write_text(HEADERS)
    (tmp_path / "b").write_bytes(BODY + b"\n")
    ran = on(
        "match", "--headers", str(tmp_path / "h"), "--body", str(tmp_path / "b"), "--event", "student.merged"
    )
    assert ran.code == 0
    assert ran.out.startswith(
        "It fits with the secret of student.merged (the second), without the line end behind it."
    )


def test_match_takes_a_delivery_that_was_kept(on: Any, here: Any) -> None:
    ran = on("match", "--delivery", kept(here), "--json")
    assert ran.code == 0
    (found,) = ran.json
    assert found == {
        "secret": "student.merged (the second)",
        "body": "",
        "signature": {
            "header": "x-sig",
            "algorithm": "hmac-sha256",
            "encoding": "hex",
            "prefix": "sha256=",
            "signed": "raw",
            "tolerance_s": 300.0,
            "key": "text",
        },
    }


@pytest.mark.parametrize("where", ["file", "environment"])
def test_match_takes_a_secret_from_elsewhere_without_a_configuration(
    request_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    monkeypatch.setenv("THE_SECRET", SECRET)
    option = ("--secret-file", "secret") if where == "file" else ("--secret-env", "THE_SECRET")
    ran = run("match", str(request_file), *option)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"It fits with the secret of {option[1]}.")


def test_match_says_when_the_secret_is_another_webhooks(on: Any, tmp_path: Path) -> None:
    (tmp_path / "captured.txt").write_bytes(
        REQUEST.replace(b"hooks/student.merged", b"hooks/student.created")
    )
    ran = on("match", str(tmp_path / "captured.txt"))
    assert ran.code == 0
    assert "It fits with the secret of student.merged (the second)." in ran.out
    assert "it was sent to the address of student.created: the secrets of the two may be swapped" in ran.err


def test_match_lists_all_that_fit(on: Any, tmp_path: Path) -> None:
    twice = REQUEST.replace(b"X-Sig:", f"X-Copy: {SIGNATURE}\nX-Sig:".encode())
    (tmp_path / "captured.txt").write_bytes(twice)
    ran = on("match", str(tmp_path / "captured.txt"))
    assert ran.out.count("It fits with") == 2
    assert "Each of these fits this request" in ran.out


def test_match_says_what_was_tried_when_nothing_fits(on: Any, tmp_path: Path) -> None:
    (tmp_path / "captured.txt").write_bytes(REQUEST.replace(b'"data":', b'"data": '))
    ran = on("match", str(tmp_path / "captured.txt"))
    assert (ran.code, ran.out) == (1, "")
    for part in (
        "Nothing fits.",
        "Headers: Host, Content-Type, X-Sig.",
        "Secrets: student.merged, student.merged (the second), student.created.",
        "the secret is the one of this webhook",
        "the body is as it was sent",
    ):
        assert part in ran.err
    assert SECRET not in ran.err and "Joana" not in ran.err and SIGNATURE not in ran.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["match"], "Name one FILE"),
        (["match", "captured.txt", "--delivery", "x"], "Name one FILE"),
        (["match", "--headers", "captured.txt"], "belong together"),
        (["match", "nowhere.txt"], "cannot be read: No such file"),
        (["match", "empty.txt"], "is no request: there is no header"),
        (["match", "captured.txt", "--tenant", "collage"], "Did you mean `college`?"),
        (["match", "captured.txt", "--secret-env", "NOT_THERE"], "`NOT_THERE` is not set"),
        (["match", "captured.txt", "--secret-file", "empty.txt"], "is empty"),
        (["match", "huge.txt"], "larger than 10 MB"),
        (["list", "--state", "quarantine"], "Did you mean `quarantined`?"),
    ],
)
def test_usage_mistakes_say_what_to_write(
    on: Any, request_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERMINAL_WIDTH", "300")
    (tmp_path / "empty.txt").write_bytes(b"")
    with (tmp_path / "huge.txt").open("wb") as huge:
        huge.truncate(10_000_001)
    ran = on(*words)
    assert ran.code == 2
    assert why in " ".join(ran.err.replace("│", " ").split())


def test_match_without_any_secret_says_where_to_put_one(deployment: Any, request_file: Path) -> None:
    ran = run("match", str(request_file), "--config", str(deployment.config))
    assert ran.code == 2
    assert "rtopilot.hooks.events" in ran.err


def test_match_asks_whose_webhook_it_is_among_several_tenants(here: Any, on: Any, tmp_path: Path) -> None:
    text = orjson.loads(here.config.read_bytes())
    text["tenants"]["academy"] = {**text["tenants"]["college"], "rtopilot": {"hooks": {"events": {}}}}
    here.config.write_bytes(orjson.dumps(text))
    (tmp_path / "captured.txt").write_bytes(REQUEST.replace(b"/t/college/", b"/elsewhere/"))
    ran = on("match", str(tmp_path / "captured.txt"))
    assert ran.code == 2 and "--tenant" in ran.err
    assert on("match", str(tmp_path / "captured.txt"), "--tenant", "college").code == 0
    (tmp_path / "captured.txt").write_bytes(REQUEST)
    assert on("match", str(tmp_path / "captured.txt")).code == 0


# -- list and show -------------------------------------------------------------------------------------


def test_deliveries_are_listed_with_why_they_were_kept(on: Any, here: Any) -> None:
    first = kept(here)
    kept(here, source="lms", why=None, now=1_780_000_001.0)
    ran = on("list")
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert lines[0] == ["delivery", "received", "tenant", "from", "state", "why", "bytes"]
    assert [line[0] for line in lines[1:]] == [first]
    assert lines[1][2:] == ["college", "rtopilot:student.merged", "quarantined", "no-scheme", str(len(BODY))]
    assert [each["from"] for each in on("list", "--state", "new", "--json").json] == ["lms"]
    assert on("list", "--tenant", "other", "--json").json == []


def test_a_delivery_is_shown_without_what_it_says_of_people(on: Any, here: Any) -> None:
    delivery = kept(here, headers={**STORED, "x_evil": "\x1b[2J"})
    ran = on("show", delivery)
    for part in (
        "why        no-scheme",
        "header     x-sig: sha256=",
        "data.id, data.oldId, data.student.name",
    ):
        assert part in ran.out
    assert "Joana" not in ran.out and "\x1b" not in ran.out
    assert "Joana" not in str(on("show", delivery, "--json").json)


def test_a_delivery_is_revealed_when_that_is_asked_for(on: Any, here: Any) -> None:
    delivery = kept(here)
    assert BODY.decode() in on("show", delivery, "--reveal").out
    assert on("show", delivery, "--reveal", "--json").json["body"] == BODY.decode()


@pytest.mark.parametrize(
    ("raw", "keys"),
    [
        (b"not json", []),
        (b"[]", []),
        (b'[{"a":1},{"b":2}]', ["a"]),
        (b'{"a":{"b":{"c":{"d":1}}}}', ["a.b.c.d"]),
    ],
)
def test_the_keys_of_any_body_are_shown(on: Any, here: Any, raw: bytes, keys: list[str]) -> None:
    assert on("show", kept(here, raw=raw), "--json").json["keys"] == keys


@pytest.mark.parametrize("words", [("show", "x"), ("release", "x"), ("match", "--delivery", "x")])
def test_a_delivery_that_is_not_there_is_said(on: Any, words: tuple[str, ...]) -> None:
    ran = on(*words)
    assert (ran.code, ran.err) == (1, "There is no delivery x.\n")


# -- release -------------------------------------------------------------------------------------------


def signed(here: Any, **scheme: Any) -> None:
    here.write(rtopilot={"hooks": {"events": EVENTS, "signature": {**SCHEME, **scheme}}})


def test_a_delivery_is_released_once_its_signature_can_be_checked(on: Any, here: Any) -> None:
    delivery = kept(here)
    ran = on("release", delivery)
    assert ran.code == 1
    assert "not released, no signature scheme is configured; see `hooks match`" in ran.err
    signed(here)
    ran = on("release", delivery)
    assert (ran.code, ran.out) == (0, f"{delivery}: released.\n")
    assert state(here, delivery) == "new"
    assert "not released, it is new" in on("release", delivery).err


def test_a_forged_delivery_is_not_released_with_the_others(on: Any, here: Any) -> None:
    signed(here)
    forged, genuine = kept(here, raw=b'{"data":{}}'), kept(here)
    ran = on("release", forged, genuine)
    assert ran.code == 1
    assert ran.err == f"{forged}: not released, its signature does not fit.\n"
    assert (state(here, forged), state(here, genuine)) == ("quarantined", "new")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"source": "rtopilot:trainer.left", "why": "no-secret"}, "no secret is configured for trainer.left"),
        ({"source": "lms", "why": "unverifiable"}, "nothing proves who sent it"),
        ({"tenant": "gone"}, "nothing proves who sent it"),
    ],
)
def test_what_nothing_proves_is_released_only_by_someone_who_has_looked(
    on: Any, here: Any, more: dict[str, Any], why: str
) -> None:
    signed(here)
    delivery = kept(here, **more)
    assert why in on("release", delivery).err
    assert state(here, delivery) == "quarantined"
    assert on("release", delivery, "--anyway").code == 0
    assert state(here, delivery) == "new"


@pytest.mark.parametrize("why", ["stale", "2 keys can be the id that was merged away"])
def test_what_was_proven_when_it_came_is_released(on: Any, here: Any, why: str) -> None:
    delivery = kept(here, why=why)
    assert on("release", delivery).code == 0
    assert state(here, delivery) == "new"


def test_unsigned_deliveries_are_released_where_they_are_allowed(on: Any, here: Any) -> None:
    here.write(rtopilot={"hooks": {"allow_unsigned": True}})
    assert on("release", kept(here)).code == 0


# -- what the documents show ---------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "rtopilot-webhooks.md"


def test_the_page_shows_what_match_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text("utf-8")
    (captured,) = re.findall(r"^```http\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (printed,) = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (line,) = re.findall(r"^    lms-gateway hooks (match captured.*)$", page, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    Path("captured.txt").write_text(captured)
    Path("secret.txt").write_text("tst-secret-0001\n")
    ran = run(*line.split())
    assert (ran.code, ran.out.strip()) == (0, printed.strip())
