"""How progress is polled and received: the ways to say it, and what comes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.mapping.load import load_mapping, parse_mapping
from gateway.mapping.progress_spec import Audit, Poll, ProgressSpec, Timing, Verify, Webhook, Window
from gateway.yamlfile import read_yaml

ROOT = Path(__file__).parents[2]
TEXTS = ROOT / "tests" / "data" / "mapping-texts"
WHOLE = read_yaml(TEXTS / "whole.yaml").data
FORMS = read_yaml(TEXTS / "progress-forms.yaml").data


def merged(part: dict[str, Any]) -> str:
    whole = {**WHOLE, **part}
    for section in ("server", "operations"):
        whole[section] = {**WHOLE[section], **part.get(section, {})}
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)


def progress(name: str) -> ProgressSpec:
    found = parse_mapping(merged(FORMS[name])).mapping.progress
    assert found is not None
    return found


def poll(name: str) -> Poll:
    return progress(name).polls[0]


def webhook(name: str) -> Webhook:
    (found,) = progress(name).webhooks
    return found


def verify(name: str) -> Verify:
    return webhook(name).verify


@pytest.mark.parametrize("name", FORMS)
def test_a_form_loads_without_a_word(name: str) -> None:
    assert parse_mapping(merged(FORMS[name])).warnings == ()


# Polls.


def test_a_delta_list_has_its_window_and_its_audit() -> None:
    found = poll("what has changed, with an audit")
    assert (found.name, found.place, found.plan, found.row) == ("poll", "progress.poll", "delta", "row")
    assert found.timing == Timing(every_s=600.0)
    assert found.window == Window(overlap_s=86_400.0, first_s=90 * 86_400.0)
    assert found.audit == Audit(timing=Timing(at=("02:00",)), overlap_s=90 * 86_400.0)
    assert found.call is not None and found.call.request.effect == "read"
    assert found.call.value is None
    assert (list(found.find), found.missing) == (["reg"], "ignore")


def test_plans_are_named_by_their_places() -> None:
    first, second = progress("a delta beside a full plan").polls
    assert (first.name, second.name) == ("poll", "poll-2")
    assert (first.place, second.place) == ("progress.poll[0]", "progress.poll[1]")
    assert second.timing == Timing(at=("03:00", "15:30"), spread=True)
    assert (second.call, second.value, second.find) == (None, None, {})
    assert second.line > 0


def test_a_chunk_has_the_size_that_is_written() -> None:
    assert poll("chunks in XML").of == 25


@pytest.mark.parametrize("name", ["talentlms", "learning-assistant"])
def test_a_shipped_mapping_has_a_poll(name: str) -> None:
    found = load_mapping(ROOT / "mappings" / f"{name}.yaml").mapping.progress
    assert found is not None
    assert [(poll.plan, poll.timing, poll.missing) for poll in found.polls] == {
        "talentlms": [("per-course", Timing(every_s=600.0, spread=True), "alert")],
        "learning-assistant": [("per-enrolment", Timing(every_s=21_600.0, spread=True), "ignore")],
    }[name]
    assert found.policy.units == {"talentlms": "coded", "learning-assistant": "all"}[name]


# Webhooks.


def test_secrets_are_kept_by_their_names_in_the_order_written() -> None:
    assert verify("two secrets at once").secrets == ("webhook", "webhookOld")
    assert verify("bearer").secrets == ("hook",)


def test_raw_among_the_signed_parts_is_the_body_as_it_came() -> None:
    found = verify("a time among what is signed")
    head, dot, raw = found.signed
    assert not isinstance(head, str) and not isinstance(dot, str) and raw == "raw"
    assert head.evaluate({"headers": {"x_ti_timestamp": "17"}}) == "17"
    assert dot.evaluate({}) == "."
    assert (found.hash, found.encoding, found.key, found.prefix) == ("sha1", "base64url", "base64", "v1=")
    assert found.fresh_at is not None and found.fresh_within_s == 120.0


def test_what_is_not_said_of_a_webhook_has_its_default() -> None:
    found = webhook("secret path")
    assert (found.body, found.row, found.trust) == ("json", "event", "hint")
    assert (found.events, found.id, found.keep, found.value) == (None, None, None, None)
    assert (found.verify.signed, found.verify.fresh_within_s) == (("raw",), 300.0)
    assert (found.place, found.line > 0) == ("progress.webhook", True)


def test_a_token_in_the_body_is_no_expression_and_one_in_a_header_is() -> None:
    assert verify("token in a JWT").token is None
    token = verify("a JWT in a header, with the vendor's keys").token
    assert token is not None and token.evaluate({"headers": {"authorization": "Bearer a.b.c"}}) == "a.b.c"
    assert len(verify("shared token in the body").tokens) == 1


def test_keys_are_an_address_or_a_document() -> None:
    assert verify("a JWT with keys in the file").keys is not None
    assert verify("a JWT with a secret").keys is None
    found = verify("a JWT in a header, with the vendor's keys")
    assert found.algorithms == ("ES256", "EdDSA")
    assert found.issuer is not None and found.audience is not None


def test_an_event_that_is_believed_says_something() -> None:
    found = webhook("token in a JWT")
    assert found.trust == "value" and found.value is not None
    assert found.id is not None and found.keep is not None and found.events is not None
