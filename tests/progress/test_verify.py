"""What every kind of `verify` does with deliveries that are forged, replayed, cut short, stale or incomplete."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, replace

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mapping.expressions import compile_expression
from gateway.mapping.progress_spec import Verify, Webhook
from gateway.mapping.templates import compile_template
from gateway.progress.verify import VERIFIED, Delivery, Verdict, header_texts, key_of, plain, verify, written

NOW = 1767225600.0
OLD, NEW, OTHER = (
    "old-secret-0123456789-0123456789",
    "new-secret-0123456789-0123456789",
    "third-0123456789-0123456789-01234",
)
RAW = b'{"token":"tok","n":1}'


def expression(text):
    return compile_expression(text) if isinstance(text, str) else text


def template(text):
    return compile_template(
        text, ("x",), lambda source, _path, _offset: compile_expression(source), lambda _: None
    )


def hook(kind, *, body="json", **more):
    for name in ("token", "signature", "fresh_at"):
        more[name] = expression(more.get(name))
    if kind == "shared-token":
        more["tokens"] = (
            (more.pop("token"),) if "tokens" not in more else tuple(map(expression, more["tokens"]))
        )
    for name in ("user", "issuer", "audience", "keys"):
        more[name] = template(more[name]) if name in more else None
    if "signed" in more:
        words = ("raw", "secret")
        more["signed"] = tuple(part if part in words else expression(part) for part in more["signed"])
    how = Verify(kind=kind, **{"secrets": ("webhook", "webhookOld"), **more})
    return Webhook(place="progress.webhook", line=1, verify=how, body=body)


def judge(webhook, delivery, /, *, now=NOW, scope=None, keys=None, **secrets):
    return verify(webhook, delivery, secrets=secrets, scope=scope or {}, now=now, keys=keys)


def refused(reason):
    return Verdict(kind="refused", reason=reason)


def headers(**values):
    return tuple((name.replace("_", "-").encode(), value.encode()) for name, value in values.items())


def mac(secret, signed, hash_="sha256"):
    return hmac.new(secret.encode(), signed, hash_)


# -- the kinds, each with a sender that does as it should


def by_path(secret, at):
    return Delivery(raw=RAW, path_secret=secret)


def by_header_token(secret, at):
    return Delivery(raw=RAW, headers=headers(x_token=secret))


def by_query_token(secret, at):
    return Delivery(raw=RAW, query=b"a=1&token=" + secret.encode())


def by_json_token(secret, at):
    return Delivery(raw=b'{"auth":{"token":"%s"}}' % secret.encode())


def by_form_token(secret, at):
    return Delivery(
        raw=b"x=1&token=" + secret.encode(), headers=headers(content_type="application/x-www-form-urlencoded")
    )


def by_basic(secret, at):
    return Delivery(
        raw=RAW,
        headers=headers(authorization="Basic " + base64.b64encode(b"lms:" + secret.encode()).decode()),
    )


def by_bearer(secret, at):
    return Delivery(raw=RAW, headers=headers(authorization=f"Bearer {secret}"))


def by_hmac(secret, at):
    return Delivery(raw=RAW, headers=headers(x_signature=mac(secret, RAW).hexdigest()))


def by_stamped_hmac(secret, at):
    signature = base64.b64encode(mac(secret, b"%d." % at + RAW).digest()).decode()
    return Delivery(raw=RAW, headers=headers(x_stamp=str(int(at)), x_signature=f"v1={signature}"))


def by_standard(secret, at):
    signature = base64.b64encode(mac(secret, b"m-1.%d." % at + RAW).digest()).decode()
    return Delivery(
        raw=RAW,
        headers=headers(
            webhook_id="m-1", webhook_timestamp=str(int(at)), webhook_signature=f"v1,{signature}"
        ),
    )


def by_jwt(secret, at):
    return Delivery(raw=jwt.encode({"exp": at + 300, "n": 1}, secret, "HS256").encode())


@dataclass(frozen=True)
class Kind:
    """A way of verifying; `bound`: to the body; `timed`: to a time; `coded`: how a secret stands in config."""

    webhook: Webhook
    send: object
    bound: bool = False
    timed: bool = False
    coded: object = staticmethod(lambda secret: secret)

    def verdict(self, delivery, *, now=NOW, **secrets):
        return judge(
            self.webhook, delivery, now=now, **{name: self.coded(value) for name, value in secrets.items()}
        )


STAMPED = hook(
    "hmac", encoding="base64", signed=("headers.x_stamp", "'.'", "raw"), signature="headers.x_signature", prefix="v1=",
    fresh_at="number(headers.x_stamp)",
)  # fmt: skip
KINDS = {
    "secret-path": Kind(hook("secret-path"), by_path),
    "token-in-header": Kind(hook("shared-token", token="headers.x_token"), by_header_token),
    "token-in-query": Kind(hook("shared-token", token="query.token"), by_query_token),
    "token-in-json": Kind(hook("shared-token", token="body.auth.token"), by_json_token),
    "token-in-form": Kind(hook("shared-token", token="body.token", body="form"), by_form_token),
    "basic": Kind(hook("basic", user="lms"), by_basic),
    "bearer": Kind(hook("bearer"), by_bearer),
    "hmac": Kind(hook("hmac", signature="headers.x_signature"), by_hmac, bound=True),
    "hmac-with-time": Kind(STAMPED, by_stamped_hmac, bound=True, timed=True),
    "standard-webhooks": Kind(
        hook("standard-webhooks"), by_standard, bound=True, timed=True,
        coded=lambda secret: "whsec_" + base64.b64encode(secret.encode()).decode(),
    ),
    "jwt": Kind(hook("jwt", algorithms=("HS256",), body="jwt"), by_jwt, bound=True, timed=True),
}  # fmt: skip

every = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
bound = pytest.mark.parametrize("kind", [pytest.param(k, id=n) for n, k in KINDS.items() if k.bound])
timed = pytest.mark.parametrize("kind", [pytest.param(k, id=n) for n, k in KINDS.items() if k.timed])


@every
def test_a_genuine_delivery_is_verified_whichever_of_two_secrets_made_it(kind):
    assert kind.verdict(kind.send(NEW, NOW), webhook=NEW, webhookOld=OLD) == VERIFIED
    assert kind.verdict(kind.send(OLD, NOW), webhook=NEW, webhookOld=OLD) == VERIFIED
    assert kind.verdict(kind.send(NEW, NOW), webhook=NEW) == VERIFIED


@every
def test_a_delivery_made_with_another_secret_is_refused(kind):
    assert kind.verdict(kind.send(OTHER, NOW), webhook=NEW, webhookOld=OLD).kind == "refused"
    assert kind.verdict(kind.send(OLD, NOW), webhook=NEW).kind == "refused"


@every
@pytest.mark.parametrize(
    "secrets", [{}, {"webhook": "", "webhookOld": ""}, {"unnamed": NEW}], ids=["none", "empty", "other-name"]
)
def test_without_a_secret_of_ours_everything_is_refused(kind, secrets):
    verdict = judge(kind.webhook, kind.send(NEW, NOW), **secrets)
    assert verdict == refused("no-secret")
    assert judge(kind.webhook, Delivery(raw=b""), **secrets).kind == "refused"


@every
def test_a_delivery_with_nothing_to_prove_itself_is_refused(kind):
    bare = Delivery(raw=b"{}")
    assert kind.verdict(bare, webhook=NEW).kind == "refused"
    assert kind.verdict(replace(bare, raw=b""), webhook=NEW).kind == "refused"


@every
def test_each_header_that_matters_sent_twice_with_another_value_is_refused(kind):
    sent = kind.send(NEW, NOW)
    for name, _ in sent.headers:
        if name != b"content-type":
            twice = replace(sent, headers=(*sent.headers, (name, b"forged")))
            assert kind.verdict(twice, webhook=NEW).kind == "refused", name
            without = replace(sent, headers=tuple(one for one in sent.headers if one[0] != name))
            assert kind.verdict(without, webhook=NEW).kind == "refused", name


@bound
def test_a_body_that_is_cut_changed_or_longer_is_refused(kind):
    sent = kind.send(NEW, NOW)
    for raw in (
        sent.raw[:-1],
        sent.raw[1:],
        sent.raw + b"x",
        sent.raw.replace(b"1", b"2", 1),
        b"",
        sent.raw * 2,
    ):
        assert kind.verdict(replace(sent, raw=raw), webhook=NEW).kind == "refused"


@timed
def test_a_delivery_sent_again_too_late_is_stale(kind):
    sent = kind.send(NEW, NOW)
    assert kind.verdict(sent, webhook=NEW, now=NOW + 299) == VERIFIED
    assert kind.verdict(sent, webhook=NEW, now=NOW + 400) == refused("stale")


@pytest.mark.parametrize("name", ["hmac-with-time", "standard-webhooks"])
def test_a_time_stamp_that_is_changed_too_is_a_forgery_and_one_from_the_future_is_stale(name):
    kind = KINDS[name]
    sent = kind.send(NEW, NOW)
    later = {key: str(int(NOW) + 400).encode() for key in (b"x-stamp", b"webhook-timestamp")}
    moved = replace(sent, headers=tuple((key, later.get(key, value)) for key, value in sent.headers))
    assert kind.verdict(moved, webhook=NEW, now=NOW + 400) == refused("mismatch")
    assert kind.verdict(sent, webhook=NEW, now=NOW - 301) == refused("stale")


def test_a_delivery_of_kind_none_is_kept_aside_whatever_it_holds():
    webhook = hook("none-quarantine", secrets=())
    assert judge(webhook, Delivery(raw=RAW, headers=headers(authorization="Bearer x"))).kind == "quarantine"


# -- single kinds


@pytest.mark.parametrize("path", [None, "", NEW[:-1], NEW + "/", NEW.upper(), "é"])
def test_another_path_is_refused(path):
    assert judge(hook("secret-path"), Delivery(raw=b"", path_secret=path), webhook=NEW).kind == "refused"


@pytest.mark.parametrize(
    "raw",
    [b'{"token":true}', b'{"token":null}', b'{"token":""}', b'{"token":["%s"]}' % NEW.encode(), b'{"token":{}}', b"{", b"", b'"x"', b"[" * 100_000, b'{"token":"%s",}' % NEW.encode()],
    ids=["true", "null", "empty", "list", "object", "broken", "nothing", "text", "deep", "comma"],
)  # fmt: skip
def test_a_token_in_the_body_that_is_no_text_is_refused(raw):
    assert judge(hook("shared-token", token="body.token"), Delivery(raw=raw), webhook=NEW).kind == "refused"


def test_a_token_may_be_a_number_in_json():
    assert (
        judge(hook("shared-token", token="body.key"), Delivery(raw=b'{"key":4071}'), webhook="4071")
        == VERIFIED
    )


def test_a_token_sent_several_times_in_a_query_or_form_is_refused():
    webhook = hook("shared-token", token="query.token")
    assert judge(webhook, Delivery(raw=b"", query=f"token={NEW}&token=x".encode()), webhook=NEW) == refused(
        "no-token"
    )


def test_only_a_token_in_the_body_makes_the_body_be_read():
    webhook = hook("shared-token", token="headers.x_token")
    assert judge(webhook, Delivery(raw=b"\xff{", headers=headers(x_token=NEW)), webhook=NEW) == VERIFIED
    assert judge(hook("hmac", signature="body.s"), Delivery(raw=b'{"s":"x"}'), webhook=NEW) == refused(
        "no-signature"
    )


@pytest.mark.parametrize(
    "value",
    ["Basic", "Basic !!!", "Bearer " + NEW, "Basic " + base64.b64encode(f"other:{NEW}".encode()).decode()],
)
def test_other_basic_credentials_are_refused(value):
    assert judge(
        hook("basic", user="lms"), Delivery(raw=b"", headers=headers(authorization=value)), webhook=NEW
    ) == refused("mismatch")


def test_the_user_name_of_basic_may_come_from_the_tenants_settings():
    webhook, scope = hook("basic", user="${settings.user}"), {"settings": {"user": "lms"}}
    assert judge(webhook, by_basic(NEW, NOW), scope=scope, webhook=NEW) == VERIFIED
    assert judge(webhook, by_basic(NEW, NOW), scope={"settings": {}}, webhook=NEW) == refused("unreadable")
    colon = judge(webhook, by_basic(NEW, NOW), scope={"settings": {"user": "a:b"}}, webhook=NEW)
    assert colon == refused("mismatch")


def test_capital_hex_digits_spaces_around_and_missing_padding_are_no_forgery():
    hexed = mac(NEW, RAW).hexdigest().upper()
    assert (
        judge(
            KINDS["hmac"].webhook, Delivery(raw=RAW, headers=headers(x_signature=f" {hexed} ")), webhook=NEW
        )
        == VERIFIED
    )
    short = mac(NEW, RAW).digest()
    for text in (
        base64.b64encode(short),
        base64.urlsafe_b64encode(short),
        base64.b64encode(short).rstrip(b"="),
    ):
        webhook = hook("hmac", signature="headers.x_signature", encoding="base64url")
        assert (
            judge(webhook, Delivery(raw=RAW, headers=headers(x_signature=text.decode())), webhook=NEW)
            == VERIFIED
        )


@pytest.mark.parametrize(
    "value", ["", "sha256=", "v0={}", "{}", "sha256={} x", "sha256=sha256={}", "SHA256={}"]
)
def test_a_signature_without_its_prefix_is_refused(value):
    webhook = hook("hmac", signature="headers.x_signature", prefix="sha256=")
    good = mac(NEW, RAW).hexdigest()
    assert (
        judge(webhook, Delivery(raw=RAW, headers=headers(x_signature=f"sha256={good}")), webhook=NEW)
        == VERIFIED
    )
    assert (
        judge(webhook, Delivery(raw=RAW, headers=headers(x_signature=value.format(good))), webhook=NEW).kind
        == "refused"
    )


def test_one_signature_of_several_is_enough_and_too_many_are_refused():
    webhook = hook("hmac", signature="split(headers.x_signature, ',')", prefix="v1=")
    good = "v1=" + mac(NEW, RAW).hexdigest()

    def verdict(*signatures):
        return judge(
            webhook, Delivery(raw=RAW, headers=headers(x_signature=",".join(signatures))), webhook=NEW
        )

    assert verdict("t=1767225600", "v1=00", good) == VERIFIED
    assert verdict("t=1767225600", "v0=" + good) == refused("no-signature")
    assert verdict(*["v1=00"] * 20, good) == refused("too-many-signatures")


@pytest.mark.parametrize(
    ("form", "secret"),
    [("hex", "zz"), ("hex", "abc"), ("base64", "a"), ("base64", "!!!!"), ("base64", "="), ("hex", "é")],
)
def test_a_secret_that_is_not_of_its_form_verifies_nothing(form, secret):
    webhook = hook("hmac", signature="headers.x_signature", key=form)
    empty_key = hmac.new(b"", RAW, "sha256").hexdigest()
    for signature in (empty_key, mac("a", RAW).hexdigest()):
        verdict = judge(webhook, Delivery(raw=RAW, headers=headers(x_signature=signature)), webhook=secret)
        assert verdict == refused("unusable-secret")


@pytest.mark.parametrize("part", ["headers.x_gone", "headers.x_empty", "query", "`[1]`"])
def test_a_signed_part_that_is_missing_is_a_refusal_not_an_empty_text(part):
    webhook = hook("hmac", signature="headers.x_signature", signed=(part, "raw"))
    sent = Delivery(raw=RAW, headers=headers(x_signature=mac(NEW, RAW).hexdigest(), x_empty=""))
    assert judge(webhook, sent, webhook=NEW) == refused("no-signed-part")


def test_a_signed_number_is_signed_as_it_is_written():
    webhook = hook("hmac", signature="headers.x_signature", signed=("number(headers.x_stamp)", "raw"))
    sent = Delivery(raw=RAW, headers=headers(x_signature=mac(NEW, b"17" + RAW).hexdigest(), x_stamp="17"))
    assert judge(webhook, sent, webhook=NEW) == VERIFIED


def test_bytes_in_a_signed_header_or_query_are_signed_as_they_came():
    webhook = hook("hmac", signature="headers.x_signature", signed=("headers.x_id", "query.q", "raw"))
    signed = b"caf\xe9\xc3\xa9" + b"\xff\xc3\xa9" + RAW
    sent = Delivery(
        raw=RAW, query=b"q=%FF%C3%A9",
        headers=((b"x-id", b"caf\xe9\xc3\xa9"), (b"x-signature", mac(NEW, signed).hexdigest().encode())),
    )  # fmt: skip
    assert judge(webhook, sent, webhook=NEW) == VERIFIED


@pytest.mark.parametrize(
    "at",
    [
        "headers.x_gone",
        "headers.x_text",
        "`true`",
        "`[1]`",
        "number(headers.x_text)",
        "number(headers.x_huge)",
    ],
)
def test_a_time_that_cannot_be_told_is_a_refusal(at):
    webhook = hook("hmac", signature="headers.x_signature", fresh_at=at)
    sent = Delivery(
        raw=RAW, headers=headers(x_signature=mac(NEW, RAW).hexdigest(), x_text="now", x_huge="1e400")
    )
    assert judge(webhook, sent, webhook=NEW).kind == "refused"


def test_freshness_holds_for_every_kind_that_has_a_time():
    webhook = hook("bearer", fresh_at="number(headers.x_stamp)", fresh_within_s=60.0)
    sent = Delivery(raw=b"", headers=headers(authorization=f"Bearer {NEW}", x_stamp=str(int(NOW))))
    assert judge(webhook, sent, webhook=NEW, now=NOW + 60) == VERIFIED
    assert judge(webhook, sent, webhook=NEW, now=NOW + 61) == refused("stale")


@pytest.mark.parametrize("stamp", ["", "-1", "1e9", "1767225600.0", " ", "９", "1" * 13])
def test_a_standard_webhook_with_an_odd_time_is_refused(stamp):
    signature = base64.b64encode(mac(NEW, f"m-1.{stamp}.".encode() + RAW).digest()).decode()
    sent = Delivery(
        raw=RAW,
        headers=headers(webhook_id="m-1", webhook_timestamp=stamp, webhook_signature=f"v1,{signature}"),
    )
    assert KINDS["standard-webhooks"].verdict(sent, webhook=NEW).kind == "refused"


def test_a_standard_webhook_with_signatures_of_other_versions_only_is_refused():
    sent = by_standard(NEW, NOW)
    other = tuple((name, value.replace(b"v1,", b"v1a,")) for name, value in sent.headers)
    assert KINDS["standard-webhooks"].verdict(replace(sent, headers=other), webhook=NEW) == refused(
        "no-signature"
    )


@pytest.mark.parametrize("value", ["{}", "Bearer {}", "bearer  {} "])
def test_a_jwt_may_stand_in_a_header_with_or_without_its_scheme(value):
    webhook = hook("jwt", token="headers.x_jwt", algorithms=("HS256",))
    token = by_jwt(NEW, NOW).raw.decode()
    assert (
        judge(webhook, Delivery(raw=RAW, headers=headers(x_jwt=value.format(token))), webhook=NEW) == VERIFIED
    )
    assert judge(webhook, Delivery(raw=token.encode(), headers=headers(x_jwt="x")), webhook=NEW) == refused(
        "no-token"
    )
    assert judge(webhook, Delivery(raw=token.encode()), webhook=NEW) == refused("no-token")


def test_a_jwt_is_refused_where_its_place_cannot_be_read():
    webhook = hook("jwt", token="join('', query)", algorithms=("HS256",))
    assert judge(webhook, by_jwt(NEW, NOW), webhook=NEW) == refused("no-token")


def test_without_a_place_for_the_signature_everything_is_refused():
    assert judge(hook("hmac"), by_hmac(NEW, NOW), webhook=NEW) == refused("no-signature")


def test_an_expression_that_fails_on_a_delivery_is_a_refusal():
    webhook = hook("shared-token", token="join('', body)")
    assert judge(webhook, Delivery(raw=b'{"a":1}'), webhook=NEW) == refused("unreadable")


def test_half_a_character_out_of_an_expression_is_a_refusal():
    webhook = hook("shared-token", token="settings.odd")
    assert judge(webhook, Delivery(raw=b""), scope={"settings": {"odd": "\ud800"}}, webhook=NEW) == refused(
        "unreadable"
    )


def test_repeated_headers_are_joined_and_names_are_written_as_in_expressions():
    found = header_texts(((b"X-Tag", b" a "), (b"x-tag", b"b"), (b"X-Other", b"c")))
    assert found == {"x_tag": "a, b", "x_other": "c"}


def test_a_query_with_far_too_many_fields_holds_nothing():
    webhook = hook("shared-token", token="query.token")
    sent = Delivery(raw=b"", query=b"a=1&" * 1001 + b"token=" + NEW.encode())
    assert judge(webhook, sent, webhook=NEW) == refused("no-token")


def test_secrets_never_show_in_what_is_said_of_a_refusal():
    for kind in KINDS.values():
        verdict = kind.verdict(kind.send(OTHER, NOW), webhook=NEW, webhookOld=OLD)
        assert not any(secret in repr(verdict) for secret in (NEW, OLD, OTHER))


@pytest.mark.parametrize("name", [name for name in KINDS if name != "jwt"])
def test_every_secret_is_compared_whichever_matches(name, monkeypatch):
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append(1) or compare(one, other))
    counts = set()
    for secret in (NEW, OLD, OTHER):
        compared.clear()
        KINDS[name].verdict(KINDS[name].send(secret, NOW), webhook=NEW, webhookOld=OLD)
        counts.add(len(compared))
    assert counts == {2}


# -- forms of keys and signatures, shared with RTOPilot's scheme


@given(st.binary(min_size=1, max_size=64))
def test_a_key_written_in_any_form_is_the_same_bytes(key):
    assert key_of(key.hex(), "hex") == key_of(key.hex().upper(), "hex") == key
    assert key_of(base64.b64encode(key).decode(), "base64") == key
    assert key_of(base64.urlsafe_b64encode(key).decode().rstrip("="), "base64") == key


@given(st.binary(min_size=1, max_size=64))
def test_a_digest_as_senders_write_it_is_compared_as_we_write_it(digest):
    assert plain(digest.hex().encode(), "hex") == written(digest, "hex")
    for encoding in ("base64", "base64url"):
        assert plain(base64.b64encode(digest), encoding) == written(digest, encoding)
        assert plain(base64.urlsafe_b64encode(digest), encoding) == written(digest, encoding)


# -- whatever is posted

NAMES = [
    "authorization",
    "x-token",
    "x-signature",
    "x-stamp",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "content-type",
]
DELIVERIES = st.builds(
    Delivery,
    raw=st.binary(max_size=200) | st.sampled_from([RAW, b"token=%FF", b'{"auth":{"token":1}}', b"eyJhbGciOiJub25lIn0.e30."]),
    headers=st.lists(
        st.tuples(
            st.sampled_from([name.encode() for name in NAMES]),
            st.binary(max_size=60) | st.sampled_from([b"Bearer ", b"Basic Og==", b"v1,", b"v1=", b"1767225600"]),
        ),
        max_size=8,
    ).map(tuple),
    query=st.binary(max_size=60),
    path_secret=st.none() | st.text(max_size=40),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(DELIVERIES, st.sampled_from(sorted(KINDS)))
def test_nothing_that_is_posted_crashes_or_passes(delivery, name):
    assert KINDS[name].verdict(delivery, webhook=NEW, webhookOld=OLD).kind == "refused"


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from([name for name, kind in KINDS.items() if kind.bound]))
def test_only_the_exact_bytes_pass(data, name):
    kind = KINDS[name]
    sent = kind.send(NEW, NOW)
    at = data.draw(st.integers(0, len(sent.raw) - 1))
    raw = (
        sent.raw[:at]
        + bytes([data.draw(st.integers(0, 255))])
        + sent.raw[at + data.draw(st.integers(0, 2)) :]
    )
    same = raw == sent.raw or (name == "jwt" and raw.strip() == sent.raw)
    assert (kind.verdict(replace(sent, raw=raw), webhook=NEW) == VERIFIED) is same
