from __future__ import annotations

import copy
import json
import os
import pickle
import stat
import threading
from dataclasses import asdict, dataclass

import orjson
import pytest

from gateway.secret import (
    MASK,
    Secret,
    SecretUnreadable,
    has_source,
    is_source,
    read_or_make_key,
    read_secret,
)

MARKER = "s3cret-marker-9f"


@dataclass(frozen=True, slots=True)
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "show",
    [
        pytest.param(str, id="str"),
        pytest.param(repr, id="repr"),
        pytest.param(lambda secret: f"{secret}", id="f-string"),
        pytest.param(lambda secret: f"{secret:>40}", id="format with width"),
        pytest.param(lambda secret: "%s %r" % (secret, secret), id="percent"),  # noqa: UP031
        pytest.param(lambda secret: repr(Holder(secret)), id="inside a dataclass"),
        pytest.param(lambda secret: repr(asdict(Holder(secret))), id="asdict"),
        pytest.param(lambda secret: json.dumps({"a": secret}, default=str), id="json"),
        pytest.param(lambda secret: orjson.dumps({"a": secret}, default=str).decode(), id="orjson"),
        pytest.param(lambda secret: repr(ValueError(secret)), id="exception"),
    ],
)
def test_a_secret_shows_a_mask_however_it_is_printed(show):
    shown = show(Secret(MARKER))
    assert MARKER not in shown
    assert MASK in shown or json.dumps(MASK)[1:-1] in shown


def test_a_secret_is_read_by_reveal_only():
    assert Secret(MARKER).reveal() == MARKER
    assert not hasattr(Secret(MARKER), "__dict__")


def test_a_secret_is_no_json_by_itself():
    with pytest.raises(TypeError):
        json.dumps(Secret(MARKER))


def test_a_secret_is_never_pickled():
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(Secret(MARKER))
    with pytest.raises(TypeError, match="never pickled"):
        Secret(MARKER).__getstate__()


def test_copies_of_a_secret_are_the_secret_itself():
    secret = Secret(MARKER)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_secrets_are_equal_when_their_texts_are():
    assert Secret("ä\ud800") == Secret("ä\ud800")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("${env:KEY}", "from-env", id="environment"),
        pytest.param("${env: KEY }", "from-env", id="spaces around the name"),
        pytest.param("${file:key.txt}", "from-file", id="file beside config.yaml"),
        pytest.param("plain", "plain", id="written out"),
        pytest.param("a$b", "a$b", id="a dollar sign"),
    ],
)
def test_a_secret_is_read_from_where_its_text_says(tmp_path, text, value):
    (tmp_path / "key.txt").write_bytes(b"\xef\xbb\xbffrom-file\r\n")
    assert read_secret(text, folder=tmp_path, environ={"KEY": "from-env\n"}).reveal() == value


def test_an_absolute_file_is_read_wherever_config_yaml_lies(tmp_path):
    (tmp_path / "key").write_text("two\nlines\n")
    text = f"${{file:{tmp_path / 'key'}}}"
    assert read_secret(text, folder=tmp_path / "elsewhere", environ={}).reveal() == "two\nlines"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("${env:NOPE}", "The environment variable `NOPE` is not set.", id="variable not set"),
        pytest.param("${env:EMPTY}", "The environment variable `EMPTY` is empty.", id="variable empty"),
        pytest.param("${env:A B}", "This is not the name of an environment variable.", id="variable name"),
        pytest.param("${file:nope}", "There is no file `nope`.", id="no file"),
        pytest.param("${file:.}", "There is no file `.`.", id="folder"),
        pytest.param("${file:pipe}", "There is no file `pipe`.", id="a pipe is not waited for"),
        pytest.param("${file:blank}", "The file `blank` is empty.", id="file empty"),
        pytest.param("${file:large}", "The file `large` is larger than 64 KiB.", id="file too large"),
        pytest.param("${file:binary}", "The file `binary` is not UTF-8 text.", id="file not text"),
        pytest.param("${file:a\0b}", "There is no file `a\0b`.", id="file name not possible"),
        pytest.param("x${env:KEY}", "A secret is one whole", id="text before"),
        pytest.param("${env:KEY}x", "A secret is one whole", id="text behind"),
        pytest.param("${vault:KEY}", "A secret is one whole", id="unknown source"),
        pytest.param(" ", "The secret is empty.", id="blank"),
    ],
)
def test_a_secret_that_cannot_be_read_says_what_is_missing_and_no_value(tmp_path, text, message):
    (tmp_path / "blank").write_text("\n")
    (tmp_path / "large").write_text(MARKER * 6000)
    (tmp_path / "binary").write_bytes(MARKER.encode() + b"\xff")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SecretUnreadable) as caught:
        read_secret(text, folder=tmp_path, environ={"KEY": MARKER, "EMPTY": "\n"})
    assert caught.value.message.startswith(message)
    assert MARKER not in caught.value.message + caught.value.fix
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_a_file_without_leave_to_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "key").write_text("x")
    monkeypatch.setattr("pathlib.Path.open", _refused)
    with pytest.raises(SecretUnreadable, match="`key` cannot be read: Permission denied"):
        read_secret("${file:key}", folder=tmp_path, environ={})


def _refused(*args):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(
    ("text", "has", "whole"),
    [
        ("${env:A}", True, True),
        ("x ${file:/a} y", True, False),
        ("${ env:A}", True, False),
        ("$${env:A}", False, False),
        ("${student.id}", False, False),
    ],
)
def test_placeholders_of_secrets_are_told_from_expressions(text, has, whole):
    assert (has_source(text), is_source(text)) == (has, whole)


def test_a_key_file_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "gateway.db.key"
    first = read_or_make_key(path)
    assert read_or_make_key(path) == first
    assert len(first.reveal()) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["gateway.db.key"]


def test_gateways_that_start_together_get_the_same_key(tmp_path):
    start, found = threading.Barrier(8), []

    def run():
        start.wait(10)
        found.append(read_or_make_key(tmp_path / "key"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8 and len(set(found)) == 1


@pytest.mark.parametrize(
    ("mode", "content", "message"),
    [
        (0o644, "k" * 43, "may be read by others"),
        (0o600, "", "is empty"),
    ],
)
def test_a_key_file_that_protects_nothing_is_refused(tmp_path, mode, content, message):
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(SecretUnreadable, match=message):
        read_or_make_key(path)


def test_a_key_file_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(SecretUnreadable, match="cannot be made or read: No such file or directory"):
        read_or_make_key(tmp_path / "nowhere" / "key")
