"""`rtopilot` of a tenant: the key's file, and what its webhooks must prove."""

import re
from pathlib import Path
from typing import Any

import pytest

from gateway.progress.signatures import HookScheme
from gateway.progress.students import MergedRule
from gateway.rtopilot.credentials import bearer, custom_header, open_door

PUSH = "base_url: https://rtopilot.example/api"
OPEN = "inbound: {auth: {kind: none}, path: '${env:PATH22}'}"
MERGED = "events: {student.merged: {secret: '${env:HOOK}'}}"


def hooks(written: str) -> str:
    return f"rtopilot: {{hooks: {{{written}}}}}"


# -- the key -------------------------------------------------------------------------------------------


def test_a_key_from_a_file_keeps_its_path(acme: Any, folder: Any) -> None:
    (folder / "key").write_text("rtop_" + "0123456789abcdef" * 4 + "\n")
    found = acme(f"rtopilot: {{{PUSH}, api_key: '${{file: key}}'}}").rtopilot
    assert found.key_file == folder / "key"
    assert found.api_key.reveal().startswith("rtop_")
    absolute = acme(f"rtopilot: {{{PUSH}, api_key: '${{file:{folder}/key}}'}}").rtopilot
    assert absolute.key_file == folder / "key"


@pytest.mark.parametrize("written", ["'${env:RTOP}'", "rtop_written-out"])
def test_a_key_from_elsewhere_has_no_file(acme: Any, written: str) -> None:
    assert acme(f"rtopilot: {{{PUSH}, api_key: {written}}}").rtopilot.key_file is None


# -- what becomes of hooks -----------------------------------------------------------------------------


def test_without_hooks_no_webhook_is_taken(acme: Any) -> None:
    assert acme().rtopilot.hooks is None


def test_the_least_of_hooks_takes_inbounds_credential_and_trusts_nothing(acme: Any) -> None:
    found = acme(hooks(MERGED)).rtopilot.hooks
    assert found.rules.accepted == (bearer("inbound-token-marker"),)
    assert (found.rules.scheme, found.rules.allow_unsigned) == (None, False)
    assert [one.reveal() for one in found.rules.secrets["student.merged"]] == ["hook-secret-marker"]
    assert found.merged == MergedRule()


def test_every_key_of_hooks_is_read(acme: Any, read: Any) -> None:
    lines = [
        "rtopilot:",
        "  hooks:",
        "    signature: {header: X-Sig, algorithm: hmac-sha512, encoding: base64url, prefix: 'v1=', key: hex,",
        "                signed: timestamp.raw, timestamp_header: X-Time, tolerance: 10m}",
        "    auth: [{kind: header, name: X-Hook, value: '${env:TOKEN}'}, {kind: bearer, token: '${env:OLD}'}]",
        "    allow_unsigned: false",
        "    events:",
        "      student.merged: {secret: ['${env:HEX}', '${env:HEX}']}",
        "      student.created: {secret: '${env:HEX}'}",
        "    merged: {from: data.mergedStudentId, to: data.student.id}",
    ]
    found = acme(*lines).rtopilot.hooks
    assert found.rules.accepted == (
        custom_header("X-Hook", "inbound-token-marker"),
        bearer("older-secret-marker"),
    )
    assert found.rules.scheme == HookScheme(
        header="x-sig",
        algorithm="hmac-sha512",
        encoding="base64url",
        prefix="v1=",
        signed="timestamp.raw",
        timestamp_header="x-time",
        tolerance_s=600.0,
        key="hex",
    )
    assert {event: len(secrets) for event, secrets in found.rules.secrets.items()} == {
        "student.merged": 2,
        "student.created": 1,
    }
    assert found.merged.merged_away.text == "data.mergedStudentId"
    assert found.merged.survivor.text == "data.student.id"
    assert read(*lines).warnings == ()
    assert "marker" not in repr(found) and "00ff10" not in repr(found)


def test_a_signature_has_defaults_and_makes_an_open_door_possible(acme: Any) -> None:
    found = acme(hooks("signature: {header: X-Sig}, " + MERGED), inbound=OPEN).rtopilot.hooks
    assert found.rules.accepted == (open_door(),)
    assert found.rules.scheme == HookScheme(header="x-sig")
    assert found.rules.scheme.tolerance_s == 300.0


def test_unsigned_events_are_allowed_only_in_so_many_words(acme: Any) -> None:
    assert acme(hooks("allow_unsigned: true")).rtopilot.hooks.rules.allow_unsigned is True


# -- mistakes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "place", "message", "fix"),
    [
        ("signatur: {header: X}", "signatur", "`signatur` is not a keyword here.", "Write `signature`."),
        ("signature: {}", "signature", "`signature` needs `header`.", "Add `header:`."),
        ("signature: {header: 'X Y'}", "signature.header", "not in the form", "X-Signature"),
        ("signature: {header: X, algorithm: sha256}", "signature.algorithm", "cannot stand here", None),
        ("signature: {header: X, encoding: hexx}", "signature.encoding", "cannot stand here", "`hex`"),
        ("signature: {header: X, prefix: 'a,b'}", "signature.prefix", "not in the form", None),
        (
            "signature: {header: X, timestamp_header: Y}",
            "signature.timestamp_header",
            "A time that is not signed proves nothing",
            "`signed: timestamp.raw`",
        ),
        ("signature: {header: X, tolerance: 5m}", "signature.tolerance", "not signed", None),
        (
            "signature: {header: X, prefix: 'v1=', signed: timestamp.raw, tolerance: 1ms}",
            "signature.tolerance",
            "less than a second",
            "`300s`",
        ),
        (
            "allow_unsigned: true, signature: {header: X}",
            "allow_unsigned",
            "The signature decides",
            "Leave it out.",
        ),
        ("allow_unsigned: maybe", "allow_unsigned", "must be `true` or `false`", None),
        (
            "events: {student merged: {secret: '${env:HOOK}'}}",
            "events.student merged",
            "An event's name",
            None,
        ),
        ("events: {student.merged: {}}", "events.student.merged", "needs `secret`", "Add `secret:`."),
        (
            "events: {student.merged: {secret: '${env:NOPE}'}}",
            "events.student.merged.secret",
            "`NOPE`",
            "export",
        ),
        ("events: {a: {secret: ['${env:HOOK}', '${env:NOPE}']}}", "events.a.secret[1]", "`NOPE`", "export"),
        ("events: {a: {secret: []}}", "events.a.secret", "This list is empty.", None),
        (
            "events: {a: {secret: ['${env:HOOK}', '${env:HOOK}', '${env:OLD}']}}",
            "events.a.secret",
            "at most",
            None,
        ),
        (
            "signature: {header: X, key: hex}, events: {a: {secret: ['${env:HEX}', '${env:HOOK}']}}",
            "events.a.secret[1]",
            "With `key: hex`, this secret cannot be read as hex.",
            "Copy the secret again.",
        ),
        (
            "signature: {header: X, key: base64}, events: {a: {secret: '${env:KEY}-'}}",
            "events.a.secret",
            "one whole `${env:NAME}`",
            None,
        ),
        ("merged: {from: 'data.['}", "merged.from", "", None),
        ("merged: {away: data.id}", "merged.away", "is not a keyword here", None),
        ("auth: {kind: bearr, token: x}", "auth.kind", "`bearr` cannot stand here.", "Write `bearer`."),
        ("auth: {kind: none}", "", "anybody could send events", "Add `auth:` here with another kind"),
        ("auth: {kind: none}, allow_unsigned: true", "", "anybody could send events", None),
    ],
)
def test_a_mistake_in_hooks_is_named_with_a_correction(
    problem_of: Any, written: str, place: str, message: str, fix: str | None
) -> None:
    problem = problem_of(hooks(written))
    assert problem.place == f"tenants.acme.rtopilot.hooks.{place}".rstrip(".")
    assert message in problem.message
    assert fix is None or fix in problem.fix


def test_an_open_inbound_door_is_not_open_to_unsigned_webhooks(problem_of: Any) -> None:
    problem = problem_of(hooks(MERGED), inbound=OPEN)
    assert problem.place == "tenants.acme.rtopilot.hooks"
    assert "without a signature anybody could send events" in problem.message


@pytest.mark.parametrize(
    ("written", "places"),
    [
        ("signature: {header: X}", ["signature"]),
        (f"signature: {{header: X, signed: timestamp.raw}}, {MERGED}", ["signature.signed"]),
        ("events: {a: {secret: written-out}}", ["events.a.secret"]),
        (MERGED, []),
    ],
    ids=["no secret", "no place for the time", "written out", "nothing"],
)
def test_what_is_likely_a_mistake_is_a_warning(read: Any, written: str, places: list[str]) -> None:
    warnings = read(hooks(written)).warnings
    assert [each.place for each in warnings] == [f"tenants.acme.rtopilot.hooks.{place}" for place in places]
    assert "written-out" not in "\n".join(map(str, warnings))


# -- what is shipped -----------------------------------------------------------------------------------


def test_the_shipped_example_loads_once_uncommented(acme: Any, environ: dict[str, str]) -> None:
    lines = (Path(__file__).parents[2] / "config.yaml").read_text(encoding="utf-8").splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("  #     # hooks:"))
    last = next(at for at, line in enumerate(lines) if line.startswith("  #     # extra_fields:"))
    shown = [line.removeprefix("  #     # ") for line in lines[first:last]]
    for name in re.findall(r"\$\{env:(\w+)\}", "\n".join(shown)):
        environ[name] = f"a-secret-for-{name}"
    found = acme("rtopilot:", *(f"  {line}" for line in shown)).rtopilot.hooks
    assert found.rules.scheme == HookScheme(header="x-signature")
    assert list(found.rules.secrets) == ["student.merged", "student.created"]
    assert found.merged.survivor.text == "data.id"
