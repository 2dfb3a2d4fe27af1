"""What RTOPilot must present, per tenant and operation."""

from __future__ import annotations

import base64

import pytest

from gateway.contract import Operation
from gateway.rtopilot import credentials
from gateway.rtopilot.credentials import Accepted, basic, bearer, custom_header, open_door, permits

TOKEN = "tok-0123456789"


def authorization(value: str | bytes):
    return [(b"host", b"x"), (b"authorization", value if isinstance(value, bytes) else value.encode())]


def basic_header(username: str, password: str):
    return authorization(b"Basic " + base64.b64encode(f"{username}:{password}".encode()))


@pytest.mark.parametrize(
    ("credential", "headers"),
    [
        pytest.param(open_door(), [], id="none"),
        pytest.param(
            basic("rtopilot", "s3cret"), authorization("Basic cnRvcGlsb3Q6czNjcmV0"), id="documented basic"
        ),
        pytest.param(
            basic("rtopilot", "s3cret"), authorization("bAsIc  cnRvcGlsb3Q6czNjcmV0 "), id="basic, any case"
        ),
        pytest.param(basic("rto", "a:b"), basic_header("rto", "a:b"), id="colon in the password"),
        pytest.param(basic("", "p"), basic_header("", "p"), id="empty user"),
        pytest.param(basic("zoë", "pässword"), basic_header("zoë", "pässword"), id="UTF-8"),
        pytest.param(basic("rtopilot", "s3cre"), authorization("Basic cnRvcGlsb3Q6czNjcmU"), id="no padding"),
        pytest.param(bearer(TOKEN), authorization(f"Bearer {TOKEN}"), id="bearer"),
        pytest.param(bearer(TOKEN), authorization(f"BEARER  {TOKEN} "), id="bearer, any case"),
        pytest.param(
            bearer(f" {TOKEN}\n"), authorization(f"Bearer {TOKEN}"), id="secret file with a line end"
        ),
        pytest.param(custom_header("X-Key", "v v"), [(b"x-key", b" v v ")], id="custom header"),
        pytest.param(custom_header("Authorization", TOKEN), authorization(TOKEN), id="custom authorization"),
    ],
)
def test_right_credential_passes(credential, headers):
    assert permits([credential], headers)


@pytest.mark.parametrize(
    ("credential", "headers"),
    [
        pytest.param(bearer(TOKEN), [], id="absent"),
        pytest.param(bearer(TOKEN), authorization(""), id="empty"),
        pytest.param(bearer(TOKEN), authorization("Bearer"), id="scheme alone"),
        pytest.param(bearer(TOKEN), authorization(f"Bearer {TOKEN.upper()}"), id="other case"),
        pytest.param(bearer(TOKEN), authorization(f"Bearer {TOKEN[:-1]}"), id="cut"),
        pytest.param(bearer(TOKEN), authorization(f"Basic {TOKEN}"), id="other scheme"),
        pytest.param(bearer(TOKEN), authorization(TOKEN), id="no scheme"),
        pytest.param(bearer(TOKEN), authorization(b"Bearer \xff\xfe"), id="not text"),
        pytest.param(bearer(TOKEN), authorization(f"Bearer {TOKEN}") * 2, id="sent twice"),
        pytest.param(basic("rto", "p"), basic_header("rto", "q"), id="wrong password"),
        pytest.param(basic("rto", "p"), basic_header("rtx", "p"), id="wrong user"),
        pytest.param(basic("rto", "p"), authorization("Basic !!!"), id="not base64"),
        pytest.param(basic("rto", "p"), authorization("Basic"), id="nothing after the scheme"),
        pytest.param(custom_header("X-Key", "v"), [(b"x-other", b"v")], id="other header"),
        pytest.param(custom_header("X-Key", "v"), [(b"x-key", b"V")], id="other value"),
        pytest.param(custom_header("X-Key", "v"), [(b"x-key", b"")], id="empty value"),
    ],
)
def test_wrong_credential_does_not_pass(credential, headers):
    assert not permits([credential], headers)


def test_nothing_accepted_lets_nobody_pass():
    assert not permits([], authorization(f"Bearer {TOKEN}"))


@pytest.mark.parametrize("token", ["old", "new"])
def test_two_credentials_are_valid_at_once(token):
    accepted = [bearer("old"), bearer("new")]
    assert permits(accepted, authorization(f"Bearer {token}"))
    assert not permits(accepted, authorization("Bearer oldnew"))


def test_operation_has_its_own_credentials_instead_of_the_default():
    accepted = Accepted(default=(bearer("a"),), per_operation={Operation.GET_COURSES: (bearer("b"),)})
    assert permits(accepted.of(Operation.GET_COURSES), authorization("Bearer b"))
    assert not permits(accepted.of(Operation.GET_COURSES), authorization("Bearer a"))
    assert permits(accepted.of(Operation.GET_COURSE), authorization("Bearer a"))


def test_open_door_is_noticed_wherever_it_stands():
    closed = Accepted(default=(bearer("a"),))
    assert not closed.any_open()
    assert Accepted(default=(bearer("a"), open_door())).any_open()
    assert Accepted(default=(bearer("a"),), per_operation={Operation.GET_COURSES: (open_door(),)}).any_open()


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (bearer, [" "]),
        (bearer, [""]),
        (basic, ["a:b", "p"]),
        (basic, ["a", ""]),
        (custom_header, ["X-Key", " "]),
        (custom_header, ["X Key", "v"]),
        (custom_header, ["", "v"]),
    ],
)
def test_credential_that_could_not_protect_is_refused(make, values):
    with pytest.raises(ValueError):
        make(*values)


@pytest.mark.parametrize("credential", [bearer(TOKEN), basic("rto", TOKEN), custom_header("X-Key", TOKEN)])
def test_secret_is_not_shown(credential):
    assert TOKEN not in repr(credential)


@pytest.mark.parametrize(
    ("accepted", "scheme"), [([basic("a", "b")], b"Basic"), ([bearer("a")], b"Bearer"), ([], b"Bearer")]
)
def test_challenge_names_the_scheme(accepted, scheme):
    assert credentials.challenge(accepted).startswith(scheme)
