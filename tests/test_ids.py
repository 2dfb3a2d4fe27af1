"""Enrolment and course ids: one key, one spelling, both ways."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import ids
from gateway.errors import NotFound

UUID = "0a1b2c3d-1111-2222-3333-0123456789ab"
CF_UUID = "0a1b2c3d-1111-2222-33330123456789ab"

uuids = st.uuids().map(str)
cf_uuids = uuids.map(lambda text: text[:23] + text[24:])
parts = st.one_of(
    st.text(max_size=9),
    st.integers(min_value=0, max_value=10**12).map(str),
    st.from_regex("[0-9]{1,8}", fullmatch=True),
    uuids,
    uuids.map(str.upper),
    cf_uuids,
    cf_uuids.map(str.upper),
    st.from_regex("[a-z0-9_-]{0,9}", fullmatch=True),
)
aliases = st.none() | st.from_regex(ids.ALIAS_PATTERN, fullmatch=True)
keys = st.tuples(st.lists(parts, min_size=1, max_size=3).map(tuple), aliases, st.integers(1, 999))


def encoded(key):
    """The id of a key, or None where the key is too long for one."""
    key_parts, alias, generation = key
    try:
        return ids.encode(key_parts, alias=alias, generation=generation)
    except ids.IdTooLong:
        return None


@pytest.mark.parametrize(
    ("key", "alias", "generation", "text"),
    [
        pytest.param(["7", "126"], None, 1, "7-126", id="numbers"),
        pytest.param(["0"], None, 1, "0", id="zero"),
        pytest.param(["7", "126"], None, 2, "7-126_2", id="second enrolment"),
        pytest.param(["7"], "moodle", 1, "moodle__7", id="alias"),
        pytest.param(["7"], "t", 12, "t__7_12", id="alias that looks like a tag"),
        pytest.param(["007"], None, 1, "tgaydo", id="leading zeros are text"),
        pytest.param(["", "5"], None, 1, "t-5", id="empty text"),
        pytest.param(["-"], None, 1, "tfu", id="separator inside"),
    ],
)
def test_id_of_a_known_key_is_spelt_as_documented(key, alias, generation, text):
    assert ids.encode(key, alias=alias, generation=generation) == text
    assert ids.decode(text) == ids.EnrolmentId(alias=alias, parts=tuple(key), generation=generation)


@pytest.mark.parametrize(
    ("text", "tag"),
    [(UUID, "u"), (UUID.upper(), "v"), (CF_UUID, "w"), (CF_UUID.upper(), "x")],
    ids=["lower", "upper", "8-4-4-16 lower", "8-4-4-16 upper"],
)
def test_uuid_becomes_its_tag_and_26_characters(text, tag):
    spelt = ids.encode([text])
    assert re.fullmatch(tag + "[a-z2-7]{26}", spelt)
    assert ids.decode(spelt).parts == (text,)


def test_uuid_of_digits_alone_has_only_the_lower_case_spelling():
    digits = "12345678-1234-1234-1234-123456789012"
    spelt = ids.encode([digits])
    assert spelt[0] == "u"
    with pytest.raises(NotFound):
        ids.decode("v" + spelt[1:])


def test_uuid_in_mixed_case_is_kept_as_text():
    mixed = UUID.replace("a", "A")
    assert ids.decode_course(ids.encode_course(mixed)) == mixed


def test_two_uuids_with_a_generation_fit():
    assert len(ids.encode([UUID, CF_UUID.upper()], generation=999)) <= ids.MAX_LENGTH


@given(keys)
@example((("a__b", "_2"), "a", 2))
def test_key_survives_the_round_trip(key):
    text = encoded(key)
    if text is not None:
        key_parts, alias, generation = key
        assert ids.decode(text) == ids.EnrolmentId(alias=alias, parts=key_parts, generation=generation)
        assert re.fullmatch("[a-z0-9_-]{1,64}", text)
        assert not ids.is_random(text)


@given(keys, keys)
def test_two_keys_never_share_an_id(one, other):
    text = encoded(one)
    if one != other and text is not None:
        assert text != encoded(other)


id_like = st.one_of(
    st.text(max_size=70),
    st.from_regex("[a-z0-9_-]{0,66}", fullmatch=True),
    st.from_regex(
        "([a-z]{1,3}__)?[tuvwx]?[a-z2-7]{0,27}(-[tuvwx]?[a-z2-7]{0,8}|-[0-9]{1,3})?(_[0-9]{1,2})?",
        fullmatch=True,
    ),
)


@given(id_like)
@example("7-126\n")
@example("٧")
def test_text_that_decodes_encodes_back_to_itself(text):
    try:
        found = ids.decode(text)
    except NotFound as refused:
        assert (refused.code, refused.status) == ("unknown_enrolment", 404)
    else:
        assert ids.encode(found.parts, alias=found.alias, generation=found.generation) == text


@given(id_like)
def test_course_text_that_decodes_encodes_back_to_itself(text):
    try:
        found = ids.decode_course(text)
    except NotFound as refused:
        assert (refused.code, refused.status) == ("unknown_course", 404)
    else:
        assert ids.encode_course(found) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "_2",
        "7-",
        "-7",
        "7--8",
        "07",
        "7_1",
        "7_0",
        "7_02",
        "7_2_2",
        "7__8",
        "A__7",
        "a_b__7",
        "a__b__7",
        "7-126 ",
        "7-126\n",
        "٧",
        "..",
        "../7",
        "%2e%2e",
        "T",
        "tA",
        "ta",
        "tgez",  # "1f" spelt with leftover bits
        "tgeza",
        "tge3a",  # "16", which has to be the number
        "t77777777",  # not UTF-8
        "u",
        "uaaaa",
        "r" + "a" * 26,
        "z7",
        "7" * 65,
    ],
)
def test_text_no_key_encodes_to_is_unknown(text):
    with pytest.raises(NotFound) as refused:
        ids.decode(text)
    assert refused.value.code == "unknown_enrolment"


@pytest.mark.parametrize("text", ["7-8", "a__7", "7_2", "", "é", "r" + "a" * 26, "7" * 65])
def test_course_id_is_one_part_and_nothing_else(text):
    with pytest.raises(NotFound) as refused:
        ids.decode_course(text)
    assert refused.value.code == "unknown_course"


@pytest.mark.parametrize("key", [["x" * 40], ["7" * 65], [UUID, UUID, UUID]], ids=["text", "number", "uuids"])
def test_key_that_does_not_fit_is_too_long(key):
    with pytest.raises(ids.IdTooLong):
        ids.encode(key)


def test_course_that_does_not_fit_is_too_long():
    with pytest.raises(ids.IdTooLong):
        ids.encode_course("x" * 40)


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ([], {}),
        (["7"], {"generation": 0}),
        (["7"], {"alias": ""}),
        (["7"], {"alias": "A"}),
        (["7"], {"alias": "a_b"}),
        (["7"], {"alias": "a\n"}),
        (["\ud800"], {}),
    ],
    ids=["no parts", "generation 0", "empty alias", "capital", "underscore", "newline", "lone surrogate"],
)
def test_key_that_cannot_be_spelt_is_a_value_error(key, options):
    with pytest.raises(ValueError):
        ids.encode(key, **options)


def test_random_ids_are_told_apart_from_keys_and_from_each_other():
    source = random.Random(1)
    made = {ids.new_random_id(source) for _ in range(200)}
    assert len(made) == 200
    assert all(ids.is_random(text) and re.fullmatch("[a-z0-9]{27}", text) for text in made)


@pytest.mark.parametrize(
    "text", ["r", "r7", "r" + "a" * 25, "r" + "a" * 27, "r" + "A" * 26, "r" + "a" * 26 + "\n"]
)
def test_text_of_another_form_is_not_a_random_id(text):
    assert not ids.is_random(text)
