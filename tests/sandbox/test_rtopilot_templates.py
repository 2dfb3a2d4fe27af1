"""RTOPilot's templates: the body and URL vectors of vendors/rtopilot.md 2.3, and the switches of 7.1."""

import json

import pytest

from gateway.contract import Operation
from gateway.sandbox.rtopilot_inputs import NAMES, QUIZ_RESULTS, SEARCH_TERMS
from gateway.sandbox.rtopilot_slots import CREATE_BODY, PUBLISHED
from gateway.sandbox.rtopilot_switches import Switches
from gateway.sandbox.rtopilot_templates import (
    PLACEHOLDER,
    VARIABLES,
    TemplateError,
    render_body,
    render_url,
    whatwg_url,
)

CREATE = Operation.CREATE_ENROLMENT
SEARCH = Operation.GET_COURSES
MINIMAL = Switches(escape="minimal")
FULL = Switches(escape="full")
NAME_TEMPLATE = '{"n":"${student.firstName}"}'


def first_name(value, switches=MINIMAL, template=NAME_TEMPLATE):
    return render_body(template, CREATE, {"student.firstName": value}, switches).decode()


@pytest.mark.parametrize(
    "value, rendered, strict",
    [
        pytest.param('Ana "Annie"', r'{"n":"Ana \"Annie\""}', True, id="quotes"),
        pytest.param("back\\slash", r'{"n":"back\\slash"}', True, id="backslash"),
        pytest.param('\\"', r'{"n":"\\\""}', True, id="backslash_then_quote"),
        pytest.param("O'Neil", '{"n":"O\'Neil"}', True, id="apostrophe"),
        pytest.param("Zoë", '{"n":"Zoë"}', True, id="non_ascii"),
        pytest.param("line\nbreak", '{"n":"line\nbreak"}', False, id="newline"),
        pytest.param("tab\there", '{"n":"tab\there"}', False, id="tab"),
        pytest.param("${student.id}", '{"n":"${student.id}"}', True, id="placeholder"),
    ],
)
def test_minimal_escaping_follows_the_fact_sheets_vectors(value, rendered, strict):
    body = first_name(value)
    assert body == rendered
    assert json.loads(body, strict=False) == {"n": value}
    if strict:
        assert json.loads(body) == {"n": value}
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_full_escaping_survives_a_strict_parse_for_every_difficult_name(names):
    for name in names:
        assert json.loads(first_name(name, FULL)) == {"n": name}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_minimal_escaping_survives_a_lenient_parse_for_every_difficult_name(names):
    for name in names:
        assert json.loads(first_name(name, MINIMAL), strict=False) == {"n": name}


def test_inserted_text_is_not_scanned_again():
    values = {
        "courseId": "c",
        "student.id": "7",
        "student.firstName": "${student.id}",
        "student.lastName": "x",
    }
    body = json.loads(render_body(CREATE_BODY, CREATE, values, Switches()))
    assert body["student"] == {"id": "7", "firstName": "${student.id}", "lastName": "x"}


def test_an_unquoted_placeholder_yields_a_bare_number():
    assert render_body('{"id":${student.id}}', CREATE, {"student.id": 204}, Switches()) == b'{"id":204}'


@pytest.mark.parametrize("results", QUIZ_RESULTS.values(), ids=QUIZ_RESULTS)
def test_quiz_results_become_a_compact_array_without_quotes(results):
    body = render_body('{"q":${quizResults}}', Operation.UPDATE_MARKING, {"quizResults": results}, Switches())
    assert json.loads(body) == {"q": results}
    assert b'": ' not in body


@pytest.mark.parametrize(
    "unknown, rendered", [("literal", '{"n":"${student.email}"}'), ("empty", '{"n":""}')], ids=str
)
def test_an_unknown_variable_is_rendered_as_the_switch_says(unknown, rendered):
    switches = Switches(unknown=unknown)
    assert first_name("Ana", switches, '{"n":"${student.email}"}') == rendered


def test_an_unknown_variable_is_an_error_by_default():
    with pytest.raises(TemplateError, match=r"createEnrolment has no variable enrolmentId"):
        first_name("Ana", Switches(), '{"n":"${enrolmentId}"}')


@pytest.mark.parametrize("none, text", [("empty", ""), ("undefined", "undefined"), ("null", "null")], ids=str)
def test_an_absent_value_is_rendered_as_the_switch_says(none, text):
    switches = Switches(none=none)
    assert first_name(None, switches) == f'{{"n":"{text}"}}'
    url = render_url("http://h/e/${enrolmentId}", Operation.GET_ENROLMENT, {}, switches)
    assert url == f"http://h/e/{text}"


def test_half_a_surrogate_pair_becomes_the_replacement_character():
    assert first_name("a\ud83d") == '{"n":"a\ufffd"}'


URL_VECTORS = [
    # value, as a component, left to a WHATWG parser
    pytest.param("white card", "?q=white%20card", "?q=white%20card", id="space"),
    pytest.param("R&D #1", "?q=R%26D%20%231", "?q=R&D%20", id="ampersand_and_hash"),
    pytest.param("50% + GST", "?q=50%25%20%2B%20GST", "?q=50%%20+%20GST", id="percent_and_plus"),
    pytest.param("Māori", "?q=M%C4%81ori", "?q=M%C4%81ori", id="macron"),
    pytest.param("", "?q=", "?q=", id="empty"),
    pytest.param("don't!(*)~", "?q=don%27t!(*)~", "?q=don%27t!(*)~", id="marks"),
    pytest.param("a\tb\nc", "?q=a%09b%0Ac", "?q=abc", id="tab_and_newline"),
    pytest.param('a\x01<">`{', "?q=a%01%3C%22%3E%60%7B", "?q=a%01%3C%22%3E`{", id="control_and_delimiters"),
    pytest.param("end ", "?q=end%20", "?q=end", id="trailing_space"),
]


@pytest.mark.parametrize("term, component, raw", URL_VECTORS)
def test_search_terms_in_urls_follow_the_fact_sheets_vectors(term, component, raw):
    def render(url):
        return render_url("http://h/courses?q=${searchTerm}", SEARCH, {"searchTerm": term}, Switches(url=url))

    assert render("component") == "http://h/courses" + component
    assert render("raw") == "http://h/courses" + raw


@pytest.mark.parametrize(
    "value, component, raw",
    [
        pytest.param("a/b", "a%2Fb", "a/b", id="slash"),
        pytest.param("a?b", "a%3Fb", "a?b", id="question"),
        pytest.param("a\\b", "a%5Cb", "a/b", id="backslash"),
        pytest.param("x/../y", "x%2F..%2Fy", "y", id="dots_inside"),
        pytest.param("^{|}", "%5E%7B%7C%7D", "%5E%7B|%7D", id="delimiters"),
    ],
)
def test_ids_in_a_path_segment_are_one_segment_or_several(value, component, raw):
    def render(url):
        return render_url(
            "http://h/e/${enrolmentId}", Operation.GET_ENROLMENT, {"enrolmentId": value}, Switches(url=url)
        )

    assert render("component") == "http://h/e/" + component
    assert render("raw") == "http://h/e/" + raw


@pytest.mark.parametrize(
    "url, parsed",
    [
        ("http://h", "http://h/"),
        ("http://h/a/./b/../c", "http://h/a/c"),
        ("http://h/a/%2e%2E/b/.", "http://h/b/"),
        ("http://h/../..", "http://h/"),
        ("http://h/a//b/", "http://h/a//b/"),
        ("  http://h/a ", "http://h/a"),
        ("http://h/a%zz", "http://h/a%zz"),
        ("http://h?x=/../y", "http://h/?x=/../y"),
    ],
)
def test_a_url_is_serialised_like_a_whatwg_parser(url, parsed):
    assert whatwg_url(url) == parsed


@pytest.mark.parametrize("url", ["component", "raw"])
@pytest.mark.parametrize("term", SEARCH_TERMS.values(), ids=SEARCH_TERMS)
def test_every_difficult_search_term_gives_a_url_of_printable_ascii(term, url):
    rendered = render_url("http://h/?q=${searchTerm}", SEARCH, {"searchTerm": term}, Switches(url=url))
    assert rendered.isascii() and rendered.isprintable() and " " not in rendered


def test_quiz_results_in_a_url_are_json():
    url = render_url("http://h/?q=${quizResults}", Operation.UPDATE_MARKING, {"quizResults": [1]}, Switches())
    assert url == "http://h/?q=%5B1%5D"


@pytest.mark.parametrize("operation", PUBLISHED)
def test_the_published_settings_use_exactly_the_variables_of_their_operation(operation):
    assert set(PLACEHOLDER.findall("".join(PUBLISHED[operation]))) == VARIABLES[operation]
