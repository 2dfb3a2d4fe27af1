"""XML as data and back: one row per rule, and documents made to hurt."""

from __future__ import annotations

import pytest
from lxml import etree

from gateway.engine.calls import XmlStyle
from gateway.vendor import xmltree
from gateway.vendor.xmltree import Unreadable
from tests.support.cpu import usual_seconds

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
SOAPENC = 'xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"'


def tree(content: str | bytes, **style) -> object:
    parsed = XmlStyle(**style)
    raw = content.encode() if isinstance(content, str) else content
    return xmltree.read(xmltree.parse(raw, parsed), parsed)


def deep(levels: int) -> str:
    return "<a>" * levels + "x" + "</a>" * levels


@pytest.mark.parametrize(
    ("content", "style", "expected"),
    [
        pytest.param("<a> x\n</a>", {}, {"a": "x"}, id="text_is_trimmed"),
        pytest.param('<a k="1">x</a>', {}, {"a": "x"}, id="text_loses_attributes"),
        pytest.param('<a k="1"/>', {}, {"a": {"k": "1"}}, id="only_attributes"),
        pytest.param(
            '<a k=" 1 "><b>2</b></a>', {}, {"a": {"k": "1", "b": "2"}}, id="attributes_and_children"
        ),
        pytest.param('<a b="1"><b>2</b></a>', {}, {"a": {"b": "2"}}, id="child_wins"),
        pytest.param('<a id="h1"><id/></a>', {"empty_absent": True}, {"a": {}}, id="empty_child_wins_too"),
        pytest.param("<a>x<b>1</b>y</a>", {}, {"a": {"b": "1", "$text": "x y"}}, id="mixed"),
        pytest.param("<a><b>1</b><c/><b>2</b></a>", {}, {"a": {"b": ["1", "2"], "c": ""}}, id="repeated"),
        pytest.param("<a><!-- n --><b>1<?p x?>2</b></a>", {}, {"a": {"b": "12"}}, id="comments_dropped"),
        pytest.param("<a><![CDATA[<b>&]]></a>", {}, {"a": "<b>&"}, id="cdata"),
        pytest.param(
            "\r\n \t<?xml version='1.0'?><a>x</a>", {}, {"a": "x"}, id="blank_lines_before_declaration"
        ),
        pytest.param(
            '<n:a xmlns:n="u" n:k="1"><n:b>2</n:b></n:a>', {}, {"a": {"k": "1", "b": "2"}}, id="local"
        ),
        pytest.param(
            '<n:a xmlns:n="u"><n:b>2</n:b><b>3</b></n:a>',
            {"names": "prefixed"},
            {"n:a": {"n:b": "2", "b": "3"}},
            id="prefixed",
        ),
        pytest.param(
            f'<a {XSI} {SOAPENC} xsi:type="t" soapenc:root="1"><b>1</b></a>',
            {},
            {"a": {"b": "1"}},
            id="protocol",
        ),
        pytest.param('<a type="xsd:string"/>', {}, {"a": ""}, id="stray_schema_type_is_no_content"),
        pytest.param('<a type="admin"/>', {}, {"a": {"type": "admin"}}, id="own_type_attribute_stays"),
        pytest.param("<a><b/><c></c></a>", {}, {"a": {"b": "", "c": ""}}, id="empty_is_empty_text"),
        pytest.param("<a><b/><c>1</c></a>", {"empty_absent": True}, {"a": {"c": "1"}}, id="empty_absent"),
        pytest.param(f'<a {XSI}><b xsi:nil="true">x</b></a>', {}, {"a": {"b": None}}, id="nil"),
        pytest.param(f'<a {XSI}><b xsi:nil="1"/></a>', {"empty_absent": True}, {"a": {}}, id="nil_absent"),
        pytest.param(f'<a {XSI}><b xsi:nil="false">x</b></a>', {}, {"a": {"b": "x"}}, id="not_nil"),
        pytest.param("<a/>", {"empty_absent": True}, {}, id="empty_root"),
    ],
)
def test_read_of_elements_follows_the_tree_rules(content, style, expected):
    assert tree(content, **style) == expected


@pytest.mark.parametrize(
    ("content", "lists", "expected"),
    [
        pytest.param("<A><B>1</B></A>", ("A/B",), {"A": {"B": ["1"]}}, id="one"),
        pytest.param("<A><B>1</B><B>2</B></A>", ("A/B",), {"A": {"B": ["1", "2"]}}, id="two"),
        pytest.param("<A><B/></A>", ("A/B",), {"A": {"B": []}}, id="empty"),
        pytest.param(f'<A {XSI}><B xsi:nil="true"/></A>', ("A/B",), {"A": {"B": []}}, id="nil"),
        pytest.param("<A><C>1</C></A>", ("A/B",), {"A": {"C": "1"}}, id="not_there_stays_absent"),
        pytest.param("<X><A><B>1</B></A></X>", ("A/B",), {"X": {"A": {"B": ["1"]}}}, id="ending_of_a_path"),
        pytest.param("<X><B>1</B></X>", ("A/B",), {"X": {"B": "1"}}, id="other_parent"),
        pytest.param("<X><B>1</B></X>", ("B",), {"X": {"B": ["1"]}}, id="anywhere"),
        pytest.param("<A><B><i>1</i></B></A>", ("A/B/*",), {"A": {"B": ["1"]}}, id="children_one"),
        pytest.param(
            "<A><B><i>1</i><j><k>2</k></j></B></A>",
            ("A/B/*",),
            {"A": {"B": ["1", {"k": "2"}]}},
            id="mixed_names",
        ),
        pytest.param("<A><B/></A>", ("A/B/*",), {"A": {"B": []}}, id="children_empty"),
        pytest.param(f'<A {XSI}><B xsi:nil="1"/></A>', ("B/*",), {"A": {"B": []}}, id="children_nil"),
        pytest.param("<A><B>bare</B></A>", ("B/*",), {"A": {"B": ["bare"]}}, id="bare_text_is_the_one_item"),
        pytest.param(
            "<A><B><B><c>1</c></B></B></A>",
            ("A/B/*",),
            {"A": {"B": [{"c": "1"}]}},
            id="items_named_as_the_list",
        ),
        pytest.param(
            f'<A {SOAPENC}><B soapenc:arrayType="x[0]"><i>1</i></B></A>',
            (),
            {"A": {"B": ["1"]}},
            id="array_type",
        ),
        pytest.param(
            f'<A {XSI} {SOAPENC}><B xsi:type="soapenc:Array"/></A>',
            (),
            {"A": {"B": []}},
            id="array_by_xsi_type",
        ),
        pytest.param(
            f'<A {SOAPENC}><B soapenc:arrayType="x[1]"><i>1</i></B></A>',
            ("A/B",),
            {"A": {"B": ["1"]}},
            id="array_in_a_list",
        ),
    ],
)
@pytest.mark.parametrize("empty_absent", [True, False])
def test_read_of_listed_elements_gives_lists(content, lists, expected, empty_absent):
    assert tree(content, lists=lists, empty_absent=empty_absent) == expected


def test_read_keeps_empty_items_of_an_array_unless_empty_means_absent():
    content = f'<B {SOAPENC} soapenc:arrayType="x[2]"><i/><i>1</i></B>'
    assert tree(content) == {"B": ["", "1"]}
    assert tree(content, empty_absent=True) == {"B": ["1"]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            '<r><a href="#x"/><m id="x"><b>1</b></m></r>', {"b": "1"}, id="object_without_its_label"
        ),
        pytest.param('<r><a href="#x"/><m id="x">1</m></r>', "1", id="text"),
        pytest.param(
            '<r><a href="#x"/><m id="x"><b href="#y"/></m><m id="y">2</m></r>', {"b": "2"}, id="chain"
        ),
        pytest.param('<r><a href="#x"/><m id="x"><b href="#x"/></m></r>', {}, id="cycle_ends_as_absent"),
        pytest.param('<r><a href="#x"/><m id="x">1</m><m id="x">2</m></r>', "1", id="first_of_two_labels"),
        pytest.param('<r><a href="#z"/><m id="x">1</m></r>', {"href": "#z"}, id="dangling_stays_visible"),
        pytest.param(
            '<r><a href="http://x"/><m id="ttp://x">1</m><b href="#ttp://x"/></r>',
            {"href": "http://x"},
            id="link",
        ),
        pytest.param('<r><a href=""/><m id=""/><b href="#"/></r>', {"href": ""}, id="empty_label"),
    ],
)
def test_read_with_references_puts_the_target_in_their_place(content, expected):
    read = tree(content, resolve_href=True, empty_absent=True)
    assert read["r"]["a"] == expected


def test_read_without_resolving_leaves_references_as_they_are():
    assert tree('<r><a href="#x"/><m id="x">1</m></r>') == {"r": {"a": {"href": "#x"}, "m": "1"}}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"), id="latin1"),
        pytest.param('<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode("utf-16"), id="utf16"),
        pytest.param("<a>é</a>".encode("utf-16"), id="utf16_without_declaration"),
        pytest.param("\ufeff<a>é</a>".encode(), id="utf8_mark"),
        pytest.param("<a>é</a>".encode(), id="utf8"),
    ],
)
@pytest.mark.parametrize("charset", [None, "utf-8"])
def test_parse_honours_the_documents_own_charset_before_the_headers(content, charset):
    style = XmlStyle()
    assert xmltree.read(xmltree.parse(content, style, charset), style) == {"a": "é"}


def entity_bomb() -> str:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    return f'<!DOCTYPE a [<!ENTITY e0 "boom">{entities}]><a>&e11;</a>'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"<a><b></a>", "not well-formed XML at line 1, column", id="crossed_tags"),
        pytest.param(b"<a>&nbsp;</a>", "not well-formed", id="html_entity"),
        pytest.param(b"<a>\xe9</a>", "not well-formed", id="not_utf8"),
        pytest.param(
            b'<?xml version="1.0" encoding="utf-8"?><a>\xe9</a>', "not well-formed", id="wrong_declaration"
        ),
        pytest.param(b'<?xml version="1.0" encoding="x-none"?><a/>', "not well-formed", id="unknown_charset"),
        pytest.param(b"<a>\x00</a>", "not well-formed", id="nul"),
        pytest.param(b"<!DOCTYPE a><a/>", "declares a DTD", id="doctype"),
        pytest.param("<!DOCTYPE a><a/>".encode("utf-16"), "declares a DTD", id="doctype_utf16"),
        pytest.param(b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "declares a DTD", id="external_dtd"),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            "declares a DTD",
            id="external_entity",
        ),
        pytest.param(entity_bomb().encode(), "", id="billion_laughs"),
        pytest.param(deep(61).encode(), "deeper than 60 levels", id="deep"),
        pytest.param(deep(5000).encode(), "", id="very_deep"),
        pytest.param(b"<a>" + b"x" * 2_000_000 + b"</a>", "larger than 1000000 bytes", id="large"),
        pytest.param(
            ("<a " + " ".join(f'b{n}=""' for n in range(201)) + "/>").encode(),
            "more than 200 attributes",
            id="attributes",
        ),
    ],
)
def test_parse_and_read_of_a_hostile_document_is_refused_with_a_reason(content, why):
    style = XmlStyle(max_bytes=1_000_000, max_depth=60)
    with pytest.raises(Unreadable) as refused:
        xmltree.read(xmltree.parse(content, style), style)
    assert str(refused.value).startswith(why)


def test_read_of_a_tree_as_deep_as_allowed_is_read_and_no_setting_allows_more_than_150():
    assert tree(deep(60), max_depth=60)
    assert tree(deep(150), max_depth=10_000)
    with pytest.raises(Unreadable, match="deeper than 150"):
        tree(deep(151), max_depth=10_000)


def fan_out() -> str:
    layers = "".join(f'<m id="x{n}"><a href="#x{n + 1}"/><b href="#x{n + 1}"/></m>' for n in range(40))
    return f'<r><a href="#x0"/>{layers}<m id="x40">v</m></r>'


def clique() -> str:
    links = "".join(f'<a href="#x{n}"/>' for n in range(20))
    return "<r>" + "".join(f'<m id="x{n}">{links}</m>' for n in range(20)) + "</r>"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(fan_out(), "more than 500000|deeper than", id="laughs_by_reference"),
        pytest.param(clique(), "more than 500000", id="everything_refers_to_everything"),
        pytest.param(
            "<r>" + '<a href="#y"/>' * 5000 + f'<y id="y">{"z" * 50_000}</y></r>',
            "larger than",
            id="long_text",
        ),
        pytest.param("<r>" + "<a/>" * 1_000_001 + "</r>", "more than 500000", id="siblings"),
        pytest.param("<r>" + "<a/>" * 500_000 + "</r>", "more than 500000", id="siblings_just_too_many"),
    ],
)
@pytest.mark.no_cover
def test_read_of_a_small_document_that_grows_is_stopped_in_time(content, why):
    def read():
        with pytest.raises(Unreadable, match=why):
            tree(content, resolve_href=True, max_depth=100)

    assert usual_seconds(read) < 10


def test_read_of_many_siblings_takes_time_by_their_number_only():
    read = tree("<r>" + "<a>1</a>" * 100_000 + "</r>")
    assert len(read["r"]["a"]) == 100_000


# ---- writing


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param({"a": "x<&é"}, "<a>x&lt;&amp;é</a>", id="text_is_escaped"),
        pytest.param(
            {"a": {"z": "1", "b": 2, "c": True, "d": 1.5}},
            "<a><z>1</z><b>2</b><c>true</c><d>1.5</d></a>",
            id="order",
        ),
        pytest.param({"a": {"b": ["1", {"c": "2"}]}}, "<a><b>1</b><b><c>2</c></b></a>", id="a_list_repeats"),
        pytest.param({"a": {"b": []}}, "<a/>", id="an_empty_list_gives_nothing"),
        pytest.param(
            {"a": {"$attr": {"k": 1, "{}l": False}, "$text": "x"}},
            '<a k="1" l="false">x</a>',
            id="attr_and_text",
        ),
        pytest.param({"a": {"b": {}}}, "<a><b/></a>", id="empty_object"),
        pytest.param(
            {"{urn:x}a": {"b": "1"}}, '<n:a xmlns:n="urn:x"><n:b>1</n:b></n:a>', id="bare_child_inherits"
        ),
        pytest.param(
            {"{urn:x}a": {"{}b": "1"}}, '<n:a xmlns:n="urn:x"><b>1</b></n:a>', id="no_namespace_on_purpose"
        ),
        pytest.param(
            {"{urn:x}a": {"{urn:y}b": {"c": ""}}},
            '<n:a xmlns:n="urn:x"><m:b xmlns:m="urn:y"><m:c/></m:b></n:a>',
            id="other_namespace",
        ),
        pytest.param(
            {"a": {"b": {"$nil": True}, "c": {"$nil": False}}},
            f'<a {XSI}><b xsi:nil="true"/><c/></a>',
            id="nil",
        ),
        pytest.param(
            {"a": {"$attr": {"{urn:x}k": "1"}}}, '<a xmlns:n="urn:x" n:k="1"/>', id="attribute_in_a_namespace"
        ),
    ],
)
def test_write_of_data_gives_elements_in_its_order(data, expected):
    written = etree.canonicalize(xmltree.write(data).decode().partition("\n")[2], rewrite_prefixes=True)
    assert written == etree.canonicalize(expected, rewrite_prefixes=True)


def test_write_escapes_carriage_returns_so_that_they_survive():
    written = xmltree.write({"a": {"$attr": {"k": "x\r\ny\t"}, "$text": "x\r\ny"}})
    root = etree.fromstring(written)
    assert (root.text, root.get("k")) == ("x\r\ny", "x\r\ny\t")


def nested_objects(depth: int) -> object:
    data: object = "x"
    for _ in range(depth):
        data = {"a": data}
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param({"a": {"b": None}}, "`a.b`: null", id="null"),
        pytest.param({"a": {"b": ["x", None]}}, r"`a.b\[1\]`: null", id="null_in_list"),
        pytest.param({"a": {"b": [["secret"]]}}, r"`a.b\[0\]`: a list", id="list_in_list"),
        pytest.param({"a": {"b": "secret\x00"}}, "`a.b`: a control character", id="nul"),
        pytest.param({"a": {"b": "secret\x0b"}}, "`a.b`: a control character", id="vertical_tab"),
        pytest.param({"a": {"b": "secret\ufffe"}}, "`a.b`: a control character", id="no_character"),
        pytest.param({"a": {"b": "secret\ud800"}}, "`a.b`: the text holds half", id="surrogate"),
        pytest.param(
            {"a": {"$attr": {"k": "secret\x01"}}}, r"`a.\$attr.k`: a control character", id="attribute"
        ),
        pytest.param({"a": {"$attr": {"1k": "x"}}}, r"`a.\$attr.1k`: .*name", id="attribute_name"),
        pytest.param({"a": {"$attr": {"xmlns": "u"}}}, r"`a.\$attr.xmlns`: write namespaces", id="xmlns"),
        pytest.param({"a": {"$attr": "x"}}, r"`a.\$attr`: str under", id="attr_no_object"),
        pytest.param({"a": {"b c": "x"}}, "`a.b c`: this is not a name", id="bad_name"),
        pytest.param({"a": {"{u": "x"}}, "this is not a name", id="half_a_clark_name"),
        pytest.param(
            {"a": {"$$x": "x"}}, r"`a.\$\$x`: this is not a name", id="literal_dollar_is_no_xml_name"
        ),
        pytest.param({"a": {"$ref": "x"}}, r"`a.\$ref`: str under `\$ref` means nothing", id="ref_in_plain"),
        pytest.param({"a": {"$nil": "yes"}}, r"`a.\$nil`", id="nil_not_boolean"),
        pytest.param({"a": {}, "b": {}}, "one key, its root", id="two_roots"),
        pytest.param(["a"], "one key, its root", id="no_object"),
        pytest.param({"a": ["x", "y"]}, "`a`: the root element cannot be a list", id="list_as_root"),
        pytest.param(nested_objects(200), "nested deeper than 150", id="deep"),
    ],
)
def test_write_of_what_xml_cannot_carry_is_refused_by_place_and_not_by_value(data, message):
    with pytest.raises(ValueError, match=message) as refused:
        xmltree.write(data)
    assert "secret" not in str(refused.value)
