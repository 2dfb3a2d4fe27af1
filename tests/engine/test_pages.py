"""Reading lists page by page: every kind, and every way in which a list could end too early."""

from __future__ import annotations

import pytest

from gateway.engine.calls import Reply
from gateway.engine.pages import linked, put
from gateway.errors import VendorFault, VendorUnavailable


def page(*ids, **more) -> Reply:
    headers = more.pop("headers", {})
    return Reply(status=200, headers=headers, body={"rows": [{"id": number} for number in ids], **more})


@pytest.fixture
def read(make_frame, run_steps):
    """Read a list by the given `pages` and replies."""

    def read_list(pages: str, *replies, call: str = "GET /rows", more: str = ""):
        form = f'{{steps: [{{id: all, call: {call}, effect: read, pages: {pages}, items: reply.body.rows{more}}}], record: {{id: "${{courseId}}"}}, key: [id]}}'
        frame = make_frame(form)
        played = run_steps(frame, *replies)
        ids = [item["id"] for item in frame.steps["all"]["items"]] if played.error is None else None
        return played, ids

    return read_list


def queries(played):
    return [dict(call.query) for call in played.calls]


NEXT = "{kind: next-url, next: reply.body.next, limit: 3}"
OTHER = "https://lms.example/api/rows?c=2"


def linking(rel_next: str) -> dict[str, str]:
    return {
        "link": f'<https://lms.example/api/rows?page=0>; rel="first", <{rel_next}>; rel="next"; title="x"'
    }


def test_without_paging_one_call_is_the_list(read):
    played, ids = read("{kind: none}", page(1, 2))
    assert (ids, played.asked) == ([1, 2], ["GET /rows"])


@pytest.mark.parametrize(
    ("pages", "replies", "sent"),
    [
        pytest.param(
            "{kind: page, number: query.p, first: 1, size: query.n, per: 2, stop: short}",
            [page(1, 2), page(3)],
            [{"n": "2", "p": "1"}, {"n": "2", "p": "2"}],
            id="page, stop short",
        ),
        pytest.param(
            "{kind: page, number: query.p, first: 0, per: 2, stop: short}",
            [page(1, 2), page(3, 4), page()],
            [{"p": "0"}, {"p": "1"}, {"p": "2"}],
            id="page, the last one full",
        ),
        pytest.param(
            '{kind: page, number: query.p, stop: "!reply.body.more"}',
            [page(1, more=True), page(more=True), page(2, more=False)],
            [{"p": "1"}, {"p": "2"}, {"p": "3"}],
            id="page, stop by condition, an empty one in the middle",
        ),
        pytest.param(
            "{kind: page, number: query.p}",
            [page(1), page(2), page()],
            [{"p": "1"}, {"p": "2"}, {"p": "3"}],
            id="page, until nothing comes",
        ),
        pytest.param(
            "{kind: until-empty, number: query.p}",
            [page(1), page(2), page()],
            [{"p": "1"}, {"p": "2"}, {"p": "3"}],
            id="until-empty",
        ),
        pytest.param(
            "{kind: offset, offset: query.o, size: query.n, per: 2, stop: short}",
            [page(1, 2), page(3)],
            [{"n": "2", "o": "0"}, {"n": "2", "o": "2"}],
            id="offset",
        ),
        pytest.param(
            "{kind: offset, offset: query.o, per: 10}",
            [page(1, 2), page(3), page()],
            [{"o": "0"}, {"o": "2"}, {"o": "3"}],
            id="offset of the rows that came, not of those asked for",
        ),
        pytest.param(
            "{kind: offset, offset: query.o, per: 2, step: 2, stop: short}",
            [page(1, 2), page(3, 4), page()],
            [{"o": "0"}, {"o": "2"}, {"o": "4"}],
            id="offset with a fixed step",
        ),
        pytest.param(
            "{kind: offset, offset: query.o, per: 2, step: \"${settings.word == 'one' ? 1 : 2}\", stop: short}",
            [page(1, 2), page(3)],
            [{"o": "0"}, {"o": "1"}],
            id="an offset that a setting makes a page number",
        ),
        pytest.param(
            "{kind: page, number: query.p, first: 0, per: 2, step: \"${settings.word == 'one' ? 50 : 1}\", stop: short}",
            [page(1, 2), page(3)],
            [{"p": "0"}, {"p": "50"}],
            id="a page number that a setting makes an offset",
        ),
        pytest.param(
            "{kind: until-empty, number: query.p, step: 10}",
            [page(1), page()],
            [{"p": "1"}, {"p": "11"}],
            id="until-empty with a step",
        ),
        pytest.param(
            "{kind: cursor, send: query.c, next: reply.body.next}",
            [page(1, next="a"), page(2, next=0), page(3, next=None)],
            [{}, {"c": "a"}, {"c": "0"}],
            id="cursor, 0 is one like any other",
        ),
        pytest.param(
            "{kind: cursor, send: query.c, next: reply.body.next}",
            [page(1, next="")],
            [{}],
            id="cursor, empty ends",
        ),
    ],
)
def test_each_kind_asks_for_the_following_page_and_stops_at_the_end(read, pages, replies, sent):
    played, ids = read(pages, *replies)
    assert queries(played) == sent
    assert ids == [row["id"] for reply in replies for row in reply.body["rows"]]
    assert played.unused == []


@pytest.mark.parametrize(
    ("pages", "call"),
    [
        ("{kind: page, number: json.p, size: json.n, per: 1, stop: short}", "POST /rows"),
        ("{kind: page, number: form.p, size: form.n, per: 1, stop: short}", "POST /rows"),
    ],
)
def test_page_numbers_go_into_bodies_too(read, pages, call):
    played, ids = read(pages, page(1), page(), call=call)
    assert [sent.body.data for sent in played.calls] == [{"n": 1, "p": 1}, {"n": 1, "p": 2}]
    assert {sent.body.kind for sent in played.calls} == {pages.partition("number: ")[2][:4]}


def test_a_page_number_joins_the_body_that_is_there(read):
    played, _ = read("{kind: page, number: json.p}", page(), call="POST /rows, json: {q: x}")
    assert played.calls[0].body.data == {"q": "x", "p": 1}


@pytest.mark.parametrize(
    ("given", "base", "target"),
    [
        pytest.param(OTHER, "https://lms.example", "/api/rows?c=2", id="absolute"),
        pytest.param("/api/rows?c=2", "https://lms.example", "/api/rows?c=2", id="absolute path"),
        pytest.param("rows?c=2", "https://lms.example", "/api/rows?c=2", id="relative"),
        pytest.param("?c=2", "https://lms.example", "/api/rows?c=2", id="query only"),
        pytest.param("https://LMS.example/api/rows", "https://LMS.example", "/api/rows", id="host in capitals"),
        pytest.param("https://other.example/r?a=ä b", "https://other.example", "/r?a=%C3%A4%20b", id="another host of the mapping"),
        pytest.param("https://lms.example", "https://lms.example", "/", id="no path"),
    ],
)  # fmt: skip
def test_an_address_is_followed_to_the_mappings_own_hosts(read, given, base, target):
    played, ids = read(NEXT, page(1, next=given), page(2))
    assert ids == [1, 2]
    assert (played.calls[1].base, played.calls[1].target, played.calls[1].query) == (base, target, ())


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("https://evil.example/rows", id="another host"),
        pytest.param("https://lms.example.evil.example/", id="a host that begins the same"),
        pytest.param("https://lms.example@evil.example/", id="a user that looks like the host"),
        pytest.param("https://u:p@lms.example/", id="credentials"),
        pytest.param("http://lms.example/api/rows", id="no longer https"),
        pytest.param("https://other.example:444/", id="another port"),
        pytest.param("https://lms.example:444/", id="another port of the same host"),
        pytest.param("https://other.example:x/", id="no port at all"),
        pytest.param("https://[::1/", id="no address at all"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param(7, id="a number"),
        pytest.param(["x"], id="a list"),
    ],
)
def test_an_address_elsewhere_fails_the_list(read, given):
    played, _ = read(NEXT, page(1, next=given))
    assert isinstance(played.error, VendorFault)


def test_same_host_keeps_to_the_vendors_own_host(read):
    pages = "{kind: next-url, next: reply.body.next, same_host: true}"
    assert read(pages, page(1, next=OTHER), page(2))[1] == [1, 2]
    assert isinstance(read(pages, page(1, next="https://other.example/"))[0].error, VendorFault)


def test_links_are_followed_by_their_relation(read):
    pages = "{kind: link, rel: next, limit: 5}"
    played, ids = read(pages, page(1, headers=linking(OTHER)), page(2))
    assert ids == [1, 2]
    assert played.asked == ["GET /rows", "GET /api/rows?c=2"]


@pytest.mark.parametrize(
    ("pages", "replies"),
    [
        pytest.param("{kind: page, number: query.p, limit: 2}", [page(1), page(2)], id="more pages than the ceiling"),
        pytest.param("{kind: page, number: query.p}", [page(1, 2), page(1, 2)], id="a page repeats the one before"),
        pytest.param("{kind: cursor, send: query.c, next: reply.body.next}", [page(1, next="a"), page(2, next="a")], id="the same cursor twice"),
        pytest.param("{kind: cursor, send: query.c, next: reply.body.next}", [page(1, next=["a"])], id="a cursor that is a list"),
        pytest.param(NEXT, [page(1, next=OTHER), page(2, next=OTHER)], id="the same address twice"),
        pytest.param("{kind: page, number: query.p, stop: upper(reply.body.rows) == 'X'}", [page(1)], id="a stop that cannot be evaluated"),
        pytest.param("{kind: page, number: query.p}", [page(1), Reply(status=200, body={})], id="a page without the list"),
        pytest.param("{kind: page, number: query.p}", [page(1), Reply(status=404)], id="a failed page"),
        pytest.param("{kind: page, number: query.p}", [page(1), Reply(status=500)], id="a broken page"),
    ],
)  # fmt: skip
def test_a_list_cut_short_is_never_a_list(read, pages, replies):
    played, _ = read(pages, *replies)
    assert isinstance(played.error, VendorFault)


PAGED = "{kind: page, number: query.p, stop: '!reply.body.more', total: reply.body.total}"


@pytest.mark.parametrize(
    ("pages", "replies"),
    [
        pytest.param(PAGED, [page(1, 2, more=True, total=3), page(3, total=3)], id="all of them"),
        pytest.param(PAGED, [page(1, 2, more=True, total=3), page(3)], id="only the first page tells"),
        pytest.param(PAGED, [page(1, more=True, total=3), page(2, total=2)], id="one has gone meanwhile"),
        pytest.param(PAGED, [page(1, 2, total=1)], id="more than told"),
        pytest.param(PAGED, [page(total=0)], id="none"),
        pytest.param(PAGED, [page(1)], id="nothing told"),
        pytest.param("{kind: none, total: reply.body.total}", [page(1, total=1)], id="without paging"),
        pytest.param("{kind: page, number: query.p, total: reply.body.total}", [page(1, total=1), page(total=0)], id="0 beyond the end"),
        pytest.param("{kind: next-url, next: reply.body.next, total: reply.body.total}", [page(1, next=OTHER, total=2), page(2)], id="by address"),
    ],
)  # fmt: skip
def test_a_list_with_all_that_the_vendor_tells_is_a_list(read, pages, replies):
    _, ids = read(pages, *replies)
    assert ids == [row["id"] for reply in replies for row in reply.body["rows"]]


@pytest.mark.parametrize(
    ("pages", "replies"),
    [
        pytest.param(PAGED, [page(1, 2, more=True, total=4), page(3, total=4)], id="one is missing"),
        pytest.param(PAGED, [page(1, more=True, total=2), page(2, total=3)], id="one has come meanwhile"),
        pytest.param(PAGED, [page(total=7)], id="an empty first page"),
        pytest.param("{kind: none, total: reply.body.total}", [page(1, total=2)], id="without paging"),
        pytest.param("{kind: page, number: query.p, total: reply.body.total}", [page(1, total=2), page(total=0)], id="0 beyond the end"),
        pytest.param("{kind: page, number: query.p, per: 2, stop: short, total: reply.body.total}", [page(1, total=2)], id="a short page"),
        pytest.param("{kind: next-url, next: reply.body.next, total: reply.body.total}", [page(1, total=2)], id="no next page"),
        pytest.param(PAGED, [page(1, total="1")], id="text"),
        pytest.param(PAGED, [page(1, total=True)], id="a boolean"),
    ],
)  # fmt: skip
def test_fewer_items_than_the_vendor_tells_are_never_a_list(read, pages, replies):
    played, _ = read(pages, *replies)
    assert isinstance(played.error, VendorFault)
    assert played.unused == []


def test_the_total_counts_before_items_are_left_out(read):
    assert read(PAGED, page(1, 2, total=2), more=", keep: id == `2`")[1] == [2]


@pytest.mark.parametrize("step", ["${settings.word}", "${settings.list[0].id}", "${length(settings.list)}"])
def test_a_step_that_is_no_number_is_our_own_mistake_and_sends_nothing(read, step):
    played, _ = read(f"{{kind: offset, offset: query.o, per: 2, step: '{step}'}}")
    assert (played.error.code, played.calls) == ("mapping_failed", [])


def test_pages_that_go_round_in_a_circle_end_at_the_ceiling(read):
    played, _ = read("{kind: page, number: query.p, limit: 4}", page(1), page(2), page(1), page(2))
    assert isinstance(played.error, VendorFault)


def test_an_absent_page_in_the_middle_is_a_fault_and_an_absent_list_is_absent(read):
    absent, more = Reply(status=404), ", replies: [{if: reply.status == 404, is: absent}]"
    pages = "{kind: page, number: query.p}"
    assert isinstance(read(pages, page(1), absent, more=more)[0].error, VendorFault)
    assert read(pages, absent, more=more)[0].error.code == "vendor_absent"


def test_a_throttled_page_is_told_as_such(read):
    played, _ = read("{kind: page, number: query.p}", page(1), Reply(status=429))
    assert isinstance(played.error, VendorUnavailable)


def test_more_items_than_can_be_held_fail_the_list(read, monkeypatch):
    monkeypatch.setattr("gateway.engine.ask.MAX_ITEMS", 3)
    played, _ = read("{kind: page, number: query.p}", page(1, 2), page(3, 4))
    assert isinstance(played.error, VendorFault)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        pytest.param('<https://a/2>; rel="next"', "https://a/2", id="plain"),
        pytest.param("<https://a/2>; rel=next", "https://a/2", id="without quotes"),
        pytest.param('<https://a/1>; rel="prev", <https://a/2>; rel="next"', "https://a/2", id="second"),
        pytest.param('<https://a/2>; rel="last NEXT"', "https://a/2", id="several relations"),
        pytest.param('<https://a/2>; crossorigin; rel="next"', "https://a/2", id="attribute without a value"),
        pytest.param(
            '<https://a/2>; title="a, b; rel=x"; rel="next"', "https://a/2", id="signs inside quotes"
        ),
        pytest.param('<https://a/2>; xrel="next"', None, id="another attribute"),
        pytest.param('<https://a/2>; rel="prev"', None, id="another relation"),
        pytest.param("", None, id="empty"),
        pytest.param("<" * 9000, None, id="nonsense"),
    ],
)
def test_link_headers_are_read_as_the_rfc_has_them(header, found):
    assert linked(header, "next") == found


def test_put_replaces_a_query_argument(read):
    played, _ = read("{kind: none}", page())
    call = put(put(played.calls[0], ("query", "p"), 1), ("query", "p"), 2.0)
    assert call.query == (("p", "2"),)
