"""Launch links: where the arguments go, how every value is encoded, and which links nobody is given."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.contract import Operation
from gateway.engine.calls import Reply
from gateway.engine.launch import help_text, joined, link
from gateway.errors import BadLink, InternalError, NotFound, ProblemsFound, Refused, VendorFault
from gateway.sandbox.media77_links import link_of
from gateway.sandbox.media77_switches import Switches

REG = "5f0c0b9e-6d1c-4a55-9a07-2f4b6c1f9d10"
A = (("a", "1"),)
URL = "https://x.example/c1"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        pytest.param(f"{URL}", f"{URL}/#/?a=1", id="no fragment, no slash"),
        pytest.param(f"{URL}/", f"{URL}/#/?a=1", id="no fragment, a slash"),
        pytest.param(f"{URL}#", f"{URL}/#/?a=1", id="an empty fragment"),
        pytest.param(f"{URL}/#", f"{URL}/#/?a=1", id="an empty fragment after a slash"),
        pytest.param("https://x.example", "https://x.example/#/?a=1", id="only a host"),
        pytest.param(f"{URL}/#/", f"{URL}/#/?a=1", id="a fragment"),
        pytest.param(f"{URL}#/", f"{URL}#/?a=1", id="a fragment, no slash before it"),
        pytest.param(f"{URL}/#/?", f"{URL}/#/?a=1", id="a fragment with an empty query"),
        pytest.param(f"{URL}/#/?lang=en", f"{URL}/#/?lang=en&a=1", id="a fragment with a query"),
        pytest.param(f"{URL}/#/?lang=en&", f"{URL}/#/?lang=en&a=1", id="a query that ends in &"),
        pytest.param(f"{URL}/?v=2#/", f"{URL}/?v=2#/?a=1", id="a real query and a fragment"),
        pytest.param(f"{URL}/?v=2", f"{URL}/?v=2#/?a=1", id="a real query"),
        pytest.param(f"{URL}?a=2", f"{URL}?a=2#/?a=1", id="the same name in the real query"),
        pytest.param(f"{URL}/#/lesson/1", f"{URL}/#/lesson/1?a=1", id="a place inside the course"),
        pytest.param(f"{URL}/start.html", f"{URL}/start.html#/?a=1", id="a file"),
    ],
)
def test_arguments_of_a_fragment_stand_inside_it(url, wanted):
    assert joined(url, (), path="/", inside=A) == wanted


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        pytest.param(f"{URL}", f"{URL}?a=1", id="nothing else"),
        pytest.param(f"{URL}/?", f"{URL}/?a=1", id="an empty query"),
        pytest.param(f"{URL}?v=2", f"{URL}?v=2&a=1", id="a query"),
        pytest.param(f"{URL}?v=2#/top", f"{URL}?v=2&a=1#/top", id="a query and a fragment"),
        pytest.param(f"{URL}#/?a=2", f"{URL}?a=1#/?a=2", id="the same name in the fragment"),
    ],
)
def test_arguments_without_a_fragment_are_added_to_the_real_query(url, wanted):
    assert joined(url, A) == wanted


def test_a_link_may_have_arguments_in_both_places():
    assert joined(f"{URL}/", A, path="/", inside=(("b", "2"),)) == f"{URL}/?a=1#/?b=2"


def test_a_link_without_arguments_stays_as_it_is():
    assert joined(f"{URL}?v=2#top", ()) == f"{URL}?v=2#top"
    assert joined(f"{URL}#", ()) == f"{URL}#"


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("Kim Tran", "Kim%20Tran"),
        ("kim.tran@rto.example", "kim.tran%40rto.example"),
        ("Tran & Co", "Tran%20%26%20Co"),
        ("a+b", "a%2Bb"),
        ("no #1", "no%20%231"),
        ("100%", "100%25"),
        ("%20", "%2520"),
        ("""O'Neil "Kim\"""", "O%27Neil%20%22Kim%22"),
        ("a=b?c/d:e;f", "a%3Db%3Fc%2Fd%3Ae%3Bf"),
        ("<b>", "%3Cb%3E"),
        ("\\", "%5C"),
        ("Zoë", "Zo%C3%AB"),
        ("Kim 🎓", "Kim%20%F0%9F%8E%93"),
        ("ليلى", "%D9%84%D9%8A%D9%84%D9%89"),
        ("\u202eKim", "%E2%80%AEKim"),
        ("a-b.c_d~e", "a-b.c_d~e"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("inside", [True, False], ids=["fragment", "query"])
def test_every_value_is_percent_encoded(name, encoded, inside):
    given = (("fn", name),)
    if inside:
        assert joined(URL, (), path="/", inside=given) == f"{URL}/#/?fn={encoded}"
    else:
        assert joined(URL, given) == f"{URL}?fn={encoded}"


def test_names_are_encoded_too():
    assert joined(URL, (("user[id]", "7"),)) == f"{URL}?user%5Bid%5D=7"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://x.example/c1", "not https"),
        ("http://127.0.0.1.x.example/c1", "not https"),
        ("http://localhost@x.example/c1", "not https"),
        ("javascript:alert(1)", "not https"),
        ("https:///c1", "not https"),
        ("//x.example/c1", "not https"),
        ("", "not https"),
        ("https://[x.example/c1", "no address"),
        ("https://x.example/c 1", "character"),
        ("https://x.example/c1\n", "character"),
        ("\thttps://x.example/c1", "character"),
        ("https://x.example/\x00", "character"),
        ("https://x.example/\x85", "character"),
        ('https://x.example/"', "character"),
        ("https://x.example\\@evil.example/", "character"),
        ("https://x.example/ü", "character"),
        ("https://x.example/\ud800", "character"),
        ("https://x.example/#a#b", "character"),
    ],
)
def test_a_link_that_is_no_https_address_is_refused(url, why):
    with pytest.raises(BadLink) as caught:
        joined(url, A)
    assert why in (caught.value.detail or "")
    assert (caught.value.code, caught.value.status) == ("bad_link", 500)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "localhost:8080"])
def test_a_link_to_this_machine_may_be_http(host):
    assert joined(f"http://{host}/c1", A) == f"http://{host}/c1?a=1"


@pytest.mark.parametrize(
    ("url", "more"),
    [
        (f"{URL}?a=2", {"query": A}),
        (f"{URL}?b=1&a", {"query": A}),
        (f"{URL}?%61=2", {"query": A}),
        (f"{URL}/#/?a=", {"path": "/", "inside": A}),
        (f"{URL}/#/?x=1&full+name=2", {"path": "/", "inside": (("full name", "Kim"),)}),
    ],
)
def test_an_argument_that_the_url_has_already_is_refused(url, more):
    with pytest.raises(BadLink) as caught:
        joined(url, **{"query": (), **more})
    assert "already" in (caught.value.detail or "") and "Kim" not in (caught.value.detail or "")


@pytest.mark.parametrize("value", ["a\nb", "\x00", "\x7f", "\x9f"])
def test_a_value_with_a_control_character_is_refused(value):
    with pytest.raises(BadLink, match="control character"):
        joined(URL, (("fn", value),))


def test_a_link_has_at_most_8000_characters():
    room = 8_000 - len(f"{URL}?a=")
    assert len(joined(URL, (("a", "x" * room),))) == 8_000
    with pytest.raises(BadLink, match="8,000"):
        joined(URL, (("a", "x" * (room + 1)),))


def test_a_fragments_path_that_is_no_address_is_refused():
    with pytest.raises(BadLink, match="fragment.path"):
        joined(URL, (), path="/a b", inside=A)


# -- from a mapping


CREATE = """
steps: [{id: ids, mint: {reg: uuid}}]
record: {reg: "${steps.ids.reg}", "em?": "${settings.email}", "n?": "${courseId}"}
key: [reg]"""


@pytest.fixture
def framed(make_frame):
    """A frame over a mapping with this launch, and an enrolment with this record."""

    def framed(launch, **record):
        enrolment = {"courseId": "126", **record}
        frame = make_frame(CREATE, extra=f"launch: {launch}", root={"enrolment": enrolment})
        return replace(frame, operation=Operation.GET_ENROLMENT)

    return framed


@pytest.fixture
def made(framed, play):
    """What becomes of the link of an enrolment with this record."""

    def made(launch, *replies, **record):
        frame = framed(launch, **record)
        return play(link(frame, frame.mapping.launch), *replies)

    return made


FRAGMENT = '{url: "https://x.example/${enrolment.courseId}", fragment: {path: /, query: {reg: "${enrolment.reg}", "em?": "${enrolment.em}"}}}'


def test_a_mappings_link_is_made_from_the_record(made):
    assert made(FRAGMENT, reg="5f0c", em="kim@x.example").result == (
        "https://x.example/126/#/?reg=5f0c&em=kim%40x.example"
    )


def test_an_optional_argument_that_is_null_is_left_out(made):
    assert made(FRAGMENT, reg="5f0c").result == "https://x.example/126/#/?reg=5f0c"


def test_an_argument_that_is_null_is_an_error_that_names_it(made):
    error = made(FRAGMENT, em="kim@x.example").error
    assert isinstance(error, InternalError) and error.code == "mapping_failed"
    assert "launch.fragment.query.reg" in error.detail and "kim" not in error.detail


def test_numbers_switches_and_lists_become_arguments(made):
    launch = '{url: "https://x.example/", query: {n: "${enrolment.n}", on: "${enrolment.n > `1`}", of: "${[\'a\', \'b\']}"}}'
    assert made(launch, reg="5f0c", n=2.0).result == "https://x.example/?n=2&on=true&of=a&of=b"


def test_an_object_is_no_argument(made):
    error = made('{url: "https://x.example/", query: {e: "${enrolment.n}"}}', n={"x": 1}).error
    assert isinstance(error, BadLink)


def test_a_url_that_is_no_text_is_refused(made):
    assert isinstance(made('{url: "${enrolment.n}"}', n=7).error, BadLink)


def test_a_fragment_without_a_path_has_the_usual_one(made):
    launch = '{url: "https://x.example/c1", fragment: {query: {reg: "${enrolment.reg}"}}}'
    assert made(launch, reg="5f0c").result == "https://x.example/c1/#/?reg=5f0c"


def test_a_fragment_without_arguments_is_only_a_path(made):
    assert made('{url: "https://x.example/c1", fragment: {path: /home}}').result == (
        "https://x.example/c1/#/home"
    )


# -- with a read first

CALL = '{url: "${reply.body.url}", query: {reg: "${enrolment.reg}"}, call: {call: "GET /sso/${enrolment.reg}", replies: [{if: "reply.status == 404", is: absent}]}}'


def test_the_read_before_a_link_gives_it(made):
    played = made(CALL, Reply(status=200, body={"url": "https://x.example/in?t=1"}), reg="5f0c")
    assert (played.asked, played.result) == (["GET /sso/5f0c"], "https://x.example/in?t=1&reg=5f0c")
    assert played.calls[0].step == "launch" and played.calls[0].journal is None


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(status=404), NotFound),
        (Reply(status=409), Refused),
        (Reply(status=500), VendorFault),
        (Reply(status=200, body={}), VendorFault),
        (Reply(status=200, body={"url": "http://x.example/in"}), BadLink),
    ],
    ids=["absent", "refused", "failing", "without an address", "not https"],
)
def test_a_read_that_fails_gives_no_link(made, reply, kind):
    assert type(made(CALL, reply, reg="5f0c").error) is kind


# -- help


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("The help desk", "The help desk"),
        ("Ask about ${enrolment.n}", "Ask about 7"),
        ("${enrolment.em}", None),
        ("${enrolment.em ?? '  '}", None),
    ],
)
def test_the_courses_own_help_is_filled_in_or_left_out(framed, written, shown):
    frame = framed(f'{{url: "https://x.example", help: "{written}"}}', n=7)
    assert help_text(frame, frame.mapping.launch) == shown


def test_without_help_there_is_none(framed):
    frame = framed('{url: "https://x.example"}')
    assert help_text(frame, frame.mapping.launch) is None


def test_help_that_cannot_be_worked_out_is_an_error(framed):
    frame = framed('{url: "https://x.example", help: "Ask ${enrolment.n}"}', n=[])
    with pytest.raises(InternalError):
        help_text(frame, frame.mapping.launch)


def test_help_does_not_see_the_reply_of_the_read(framed):
    with pytest.raises(ProblemsFound, match=r"`reply` is not known here"):
        framed('{url: "${reply.body.url}", call: {call: GET /sso}, help: "${reply.body.help}"}')


# -- against the stand-in, which shares no code with it


@pytest.mark.parametrize(
    "name", ["Kim Tran", "a+b & c=d #1 100%", """O'Neil "Kim\"""", "Kim 🎓", "ليلى", "\u202eKim"]
)
def test_the_stand_in_reads_the_very_values_out_of_a_link(name):
    given = (
        ("reg", REG),
        ("em", "kim.tran+x@rto.example"),
        ("fn", name),
        ("dom", "l.x.example"),
        ("lmsId", "RTO 1"),
    )
    found = link_of(joined("https://courses.x.example/c1", (), path="/", inside=given), Switches())
    assert (found.reg, found.email, found.name) == (REG, "kim.tran+x@rto.example", name)
    assert (found.domain, found.lms_id, found.extra) == ("l.x.example", "RTO 1", {})
