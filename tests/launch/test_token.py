"""The address of a page: always the same one, and only one that was made here is right."""

from __future__ import annotations

import re

import pytest

from gateway.launch import token

KEY = token.derive_key("a secret of this deployment")
ID = "moodle__126-7_2"


def test_a_token_is_the_id_and_32_characters():
    assert re.fullmatch(rf"{ID}\.[A-Za-z0-9_-]{{32}}", token.make(KEY, "acme", ID))


def test_all_gateways_of_a_deployment_make_the_same_token_for_ever():
    # the very text: an address that was sent to a learner must outlive every release
    assert token.make(token.derive_key("x" * 32), "acme", "126-7") == (
        "126-7.ZPt_px3_wJsfxlj_9QZ6HSx5olotr2Am"
    )


def test_a_token_gives_its_enrolment_back():
    assert token.read(KEY, "acme", token.make(KEY, "acme", ID)) == ID


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda right: right[:-1], id="cut"),
        pytest.param(lambda right: right + "A", id="longer"),
        pytest.param(lambda right: right[:-1] + ("B" if right[-1] == "A" else "A"), id="another last letter"),
        pytest.param(lambda right: right.replace("_2.", "_3."), id="another enrolment"),
        pytest.param(lambda right: right.partition(".")[0] + ".", id="no proof"),
        pytest.param(lambda right: right.partition(".")[0], id="no dot"),
        pytest.param(lambda right: "", id="empty"),
        pytest.param(lambda right: right.upper(), id="capitals"),
        pytest.param(lambda right: right + "é\udc80", id="no ASCII"),
    ],
)
def test_a_token_that_was_not_made_so_is_none(wrong):
    assert token.read(KEY, "acme", wrong(token.make(KEY, "acme", ID))) is None


def test_a_token_is_none_for_another_tenant_or_deployment():
    right = token.make(KEY, "acme", ID)
    assert token.read(KEY, "bee", right) is None
    assert token.read(token.derive_key("another"), "acme", right) is None


def test_an_address_is_below_the_public_url():
    address = token.address("https://gw.example.net", KEY, "acme", ID)
    assert address == f"https://gw.example.net/launch/acme/{token.make(KEY, 'acme', ID)}"
