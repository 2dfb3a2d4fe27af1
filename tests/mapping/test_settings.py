from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import ExpressionError, ProblemsFound
from gateway.mapping.expressions import Runtime
from gateway.mapping.load import parse_mapping
from gateway.mapping.names import Names
from gateway.mapping.settings import check_value, parse_settings, resolve_settings
from gateway.mapping.source import Source
from gateway.mapping.spec import Bundle, Setting
from gateway.yamlfile import parse_yaml

MAPPING = """
format: 1
mapping: small
version: 1.0.0
vendor: {name: Small}
settings:
  domain: {type: host, required: true, example: acme.example.com, help: the portal's own domain}
  prefix: {type: text, default: "rto-", pattern: "^[a-z0-9-]{0,8}$"}
  note: {type: text}
  email: {type: template, uses: [student], default: "${student.id}@learners.invalid"}
  greeting: {type: template, default: "Hello from ${settings.domain}"}
  firstPassword: {type: template, uses: [student], secret: true}
  pin: {type: text, secret: true}
  mismatch: {type: choice, of: [accept, warn, refuse], default: warn}
  groups: {type: map, default: {}}
  seats: {type: map, of: number, default: {}}
  leave: {type: switch, default: true}
  zone: {type: zone, default: Australia/Perth}
  rate: {type: number, default: 2000}
  site: {type: url}
  courses: {type: list, item: {id: text, name: text, "live?": url}}
  start: {type: link, refuse: "/scorm/", example: "https://a.example.com/#/"}
  word: {type: text, refuse: "^(?i)test"}
  catalogue:
    type: list
    item:
      id: {type: text, pattern: "^[0-9]+$", refuse: "^0", help: the vendor's number}
      link: {type: link, required: false, refuse: /scorm/}
      "seats?": {type: number}
secrets: {apiKey: {help: the key}}
server: {base: "https://${settings.domain}/api", hosts: ["${settings.domain}"]}
operations:
  getCourses: {each: settings.courses, as: c, give: {id: "${c.id}", name: "${c.name}"}}
  createEnrolment: {refuse: "No."}
  transferEnrolment: {refuse: "No."}
  cancelEnrolment: {refuse: "No."}
"""
ANA = {"id": "204", "firstName": "Ana", "lastName": ""}


@pytest.fixture(scope="module")
def mapping():
    return parse_mapping(MAPPING, "mappings/small.yaml").mapping


def problems_of(mapping, text):
    with pytest.raises(ProblemsFound) as caught:
        parse_settings(mapping, text)
    return caught.value.problems


def test_what_is_not_given_has_its_default_or_is_null(mapping):
    settings = parse_settings(mapping, "domain: acme.example.com")
    assert settings.constants == {
        "domain": "acme.example.com",
        "prefix": "rto-",
        "note": None,
        "firstPassword": None,
        "pin": None,
        "mismatch": "warn",
        "groups": {},
        "seats": {},
        "leave": True,
        "zone": "Australia/Perth",
        "rate": 2000,
        "site": None,
        "courses": None,
        "start": None,
        "word": None,
        "catalogue": None,
    }
    assert set(settings.templates) == {"email", "greeting"}


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        pytest.param("prefix: 126", "prefix", "126", id="text keeps the spelling of a number"),
        pytest.param("note: 1.10", "note", "1.10", id="and its closing zero"),
        pytest.param("note: true", "note", "true", id="and of true"),
        pytest.param("note: 0123", "note", "0123", id="leading zero"),
        pytest.param('note: ""', "note", "", id="empty text is a value"),
        pytest.param("prefix:", "prefix", "rto-", id="nothing behind the colon is not given"),
        pytest.param("domain: Acme.Example.COM", "domain", "acme.example.com", id="host in lower case"),
        pytest.param(
            "site: https://a.example.com/", "site", "https://a.example.com", id="url, bare slash off"
        ),
        pytest.param("site: https://a.example.com/x/?b=1", "site", "https://a.example.com/x/?b=1", id="url"),
        pytest.param("start: https://a.example.com", "start", "https://a.example.com", id="link"),
        pytest.param(
            "start: 'https://A.example.com:8443/c1/#/?lang=en'",
            "start",
            "https://A.example.com:8443/c1/#/?lang=en",
            id="link with a fragment, as it is written",
        ),
        pytest.param(
            "start: https://a.example.com/", "start", "https://a.example.com/", id="link, slash kept"
        ),
        pytest.param(
            "start: 'https://a.example.com?c=1#x'", "start", "https://a.example.com?c=1#x", id="no path"
        ),
        pytest.param(
            "start: https://a.example.com/u@v", "start", "https://a.example.com/u@v", id="@ in a path"
        ),
        pytest.param("word: attest", "word", "attest", id="text that is not refused"),
        pytest.param(
            "catalogue: [{id: 12, link: 'https://a.example.com/#/', seats: 3}, {id: 1}]",
            "catalogue",
            [
                {"id": "12", "link": "https://a.example.com/#/", "seats": 3},
                {"id": "1", "link": None, "seats": None},
            ],
            id="list of objects with more about their fields",
        ),
        pytest.param("zone: Perth", "zone", "Perth", id="Rails zone"),
        pytest.param("mismatch: refuse", "mismatch", "refuse", id="choice"),
        pytest.param("leave: off", "leave", False, id="switch written off"),
        pytest.param("leave: false", "leave", False, id="switch written false"),
        pytest.param("rate: 2.5", "rate", 2.5, id="number"),
        pytest.param("groups: {126: 7, a: B}", "groups", {"126": "7", "a": "B"}, id="map of text"),
        pytest.param("seats: {126: 7}", "seats", {"126": 7}, id="map of numbers"),
        pytest.param(
            "courses: [{id: 1, name: A}, {id: 2, name: B, live: https://b.example.com/x}]",
            "courses",
            [
                {"id": "1", "name": "A", "live": None},
                {"id": "2", "name": "B", "live": "https://b.example.com/x"},
            ],
            id="list of objects",
        ),
    ],
)
def test_a_value_becomes_what_its_type_says(mapping, written, name, value):
    text = written if name == "domain" else f"domain: a.example.com\n{written}"
    assert parse_settings(mapping, text).constants[name] == value


@pytest.mark.parametrize(
    ("written", "place", "message", "fix"),
    [
        ("mismach: warn", "mismach", "small has no setting `mismach`.", "Write `mismatch`."),
        ("zzz: red", "zzz", "small has no setting `zzz`.", "It has: domain, prefix"),
        ("apiKey: x", "apiKey", "`apiKey` is a secret of small.", "under `secrets:`"),
        ("base_url: x", "base_url", "`base_url` is not a setting.", "beside `settings:`"),
        ("prefix: RTO", "prefix", "does not match the pattern `^[a-z0-9-]{0,8}$`", None),
        ("prefix: [a]", "prefix", "must be text; a list stands here", None),
        ("note: '${student.id}'", "note", "`note` is not a template", None),
        ("note: '${env:X}'", "note", "stand only as whole values under secrets", "Write the value itself."),
        ("rate: '2000'", "rate", "must be a number", "without quotes"),
        ("rate: true", "rate", "must be a number", "without quotes"),
        ("leave: yes", "leave", "This is a switch.", "Write `true` or `false`."),
        ("mismatch: warm", "mismatch", "`warm` is not one of accept, warn, refuse.", "Write `warn`."),
        ("zone: Australia/Pert", "zone", "`Australia/Pert` is not a time zone.", "Write `Australia/Perth`."),
        ("zone: ../../etc/passwd", "zone", "is not a time zone.", "Write `"),
        ("site: http://a.example.com", "site", "not an https address", "such as `https://"),
        ("site: https://u:p@a.example.com", "site", "not an https address", "such as"),
        ("site: https://127.0.0.1/x", "site", "not an https address", "such as"),
        ("site: https://a.example.com/x#y", "site", "has no `#`", "Leave out"),
        (
            "start: http://a.example.com/",
            "start",
            "not an https address",
            "such as `https://a.example.com/#/`",
        ),
        ("start: https://u:p@a.example.com/", "start", "no user name and no password", "before the `@`"),
        ("start: https://u@a.example.com#/", "start", "no user name and no password", "before the `@`"),
        ("start: https://a.example.com\\\\@b.example.com/", "start", "no user name", None),
        ("start: https://127.0.0.1/x", "start", "not an https address", None),
        ("start: 'https://a.example.com/ x'", "start", "not an https address", None),
        ("start: 'https://a.example.com/\"x'", "start", "not an https address", None),
        (
            "start: https://a.example.com/scorm/7",
            "start",
            "matches the pattern `/scorm/`, which it must not.",
            None,
        ),
        ("word: Tester", "word", "matches the pattern `^(?i)test`, which it must not.", None),
        ("catalogue: [{id: a}]", "catalogue.a.id", "does not match the pattern `^[0-9]+$`", None),
        ("catalogue: [{id: '07'}]", "catalogue.07.id", "matches the pattern `^0`, which it must not", None),
        (
            "catalogue: [{seats: 1}]",
            "catalogue[0]",
            "`id` is missing in this item: the vendor's number.",
            "Add `id:`.",
        ),
        ("catalogue: [{id: 1, link: https://a.example.com/scorm/}]", "catalogue[0].link", "`/scorm/`", None),
        ("groups: [a]", "groups", "must be names with values; a list stands here", None),
        ("groups: {a: {b: c}}", "groups.a", "must be text; an object stands here", None),
        ("groups: {a: }", "groups.a", "must be text; nothing stands here", None),
        ("seats: {a: b}", "seats.a", "must be a number", None),
        ("courses: {id: a}", "courses", "must be a list; an object stands here", None),
        ("courses: [a]", "courses[0]", "must be an object with id, name, live", None),
        ("courses: [{id: a}]", "courses.a", "`name` is missing in this item.", "Add `name:`."),
        ("courses: [{id: a, name: b, nmae: c}]", "courses.a.nmae", "has no `nmae`", "Write `name`."),
        ("courses: [{id: a, name: b, zzz: c}]", "courses.a.zzz", "has no `zzz`", "It has: id, name, live."),
        ("courses: [{id: a, name: b, live: x}]", "courses.a.live", "not an https address", None),
        ("email: '${studnet.id}'", "email", "`studnet` is not known here", "Write `student.id`."),
        ("email: '${student.phone}'", "email", "`student` has no `phone`", None),
        ("email: '${settings.greeting}'", "email", "`settings` has no `greeting`", None),
        ("greeting: '${student.id}'", "greeting", "`student` is not known here", None),
        ("email: '${student.id'", "email", "never closed", "Add the closing `}`."),
        ("email: '${student.id ==}'", "email", "", None),
        ("email: [a]", "email", "must be text; a list stands here", None),
    ],
)
def test_a_value_of_another_kind_is_named_with_a_correction(mapping, written, place, message, fix):
    (problem,) = problems_of(mapping, f"domain: a.example.com\n{written}")
    assert (problem.file, problem.line, problem.place) == ("settings", 2, place)
    assert message in problem.message
    assert fix is None or fix in problem.fix


@pytest.mark.parametrize(
    ("host", "fix"),
    [
        pytest.param("https://acme.example.com/login", "Write `acme.example.com`.", id="whole address"),
        pytest.param("acme.example.com:8443", "Write `acme.example.com`.", id="port"),
        pytest.param("acme", "Write it such as `acme.example.com`.", id="one word"),
        pytest.param("localhost", "Write it such as `acme.example.com`.", id="this machine"),
        pytest.param("169.254.169.254", "Write it such as `acme.example.com`.", id="IPv4 address"),
        pytest.param("'[::1]'", "Write it such as `acme.example.com`.", id="IPv6 address"),
        pytest.param("'*.example.com'", "Write it such as `acme.example.com`.", id="wildcard"),
        pytest.param("a_b.example.com", "Write it such as `acme.example.com`.", id="underscore"),
        pytest.param("acme.example.com.", "Write it such as `acme.example.com`.", id="closing dot"),
        pytest.param('"ac\\u200bme.example.com"', "Write it such as `acme.example.com`.", id="odd character"),
    ],
)
def test_only_a_full_host_name_is_a_host(mapping, host, fix):
    (problem,) = problems_of(mapping, f"domain: {host}")
    assert problem.fix == fix


def test_a_missing_setting_is_explained_by_its_help_and_example(mapping):
    (problem,) = problems_of(mapping, "prefix: a")
    assert problem.message == "The setting `domain` is missing: the portal's own domain."
    assert problem.fix == 'For example `domain: "acme.example.com"`.'


def test_settings_that_are_no_object_are_one_problem_beside_what_is_missing(mapping):
    problems = problems_of(mapping, "[a, b]")
    assert [problem.message for problem in problems] == [
        "Settings are names with values, one a line.",
        "The setting `domain` is missing: the portal's own domain.",
    ]


def test_all_problems_come_in_one_report_with_their_places(mapping):
    problems = problems_of(mapping, "zone: Pert\nleave: maybe\nemail: 'x ${studnet.id}'\n")
    assert sorted((problem.line, problem.column, problem.place) for problem in problems) == [
        (1, 1, ""),
        (1, 7, "zone"),
        (2, 8, "leave"),
        (3, 13, "email"),
    ]


def test_too_long_a_text_is_refused(mapping):
    (problem,) = problems_of(mapping, f"domain: a.example.com\nnote: {'x' * 10_001}")
    assert problem.message == "This is longer than 10,000 characters."


def test_templates_are_filled_in_for_the_student_of_the_operation(mapping):
    settings = parse_settings(mapping, 'domain: a.example.com\nemail: "${student.id}@${settings.domain}"')
    values = settings.values(ANA, Runtime())
    assert values["email"] == "204@a.example.com"
    assert values["greeting"] == "Hello from a.example.com"
    assert values["rate"] == 2000
    assert set(values) == set(mapping.settings)


def test_a_default_template_is_filled_in_too(mapping):
    settings = parse_settings(mapping, "domain: a.example.com")
    assert settings.values(ANA, Runtime())["email"] == "204@learners.invalid"


def test_without_a_student_only_templates_that_need_one_are_null(mapping):
    settings = parse_settings(mapping, "domain: a.example.com\nfirstPassword: Welcome")
    values = settings.values(None, Runtime())
    assert (values["email"], values["greeting"]) == (None, "Hello from a.example.com")
    assert values["firstPassword"] == "Welcome"


def test_a_null_inside_a_template_is_an_error_that_names_it(mapping):
    settings = parse_settings(mapping, "domain: a.example.com\nemail: '${student.id}${settings.note}'")
    with pytest.raises(ExpressionError, match=r"settings\.note") as caught:
        settings.values(ANA, Runtime())
    assert caught.value.kind == "null"


def test_a_template_may_say_what_stands_in_for_null(mapping):
    settings = parse_settings(mapping, """{domain: a.example.com, email: "${settings.note ?? 'none'}"}""")
    assert settings.values(ANA, Runtime())["email"] == "none"


def test_values_of_secret_settings_are_masked_in_traces_and_not_shown(mapping):
    written = "domain: a.example.com\npin: '4711'\nfirstPassword: 'Hush-${student.id}'"
    settings = parse_settings(mapping, written)
    values = settings.values(ANA, Runtime())
    assert settings.sensitive(values) == {"4711": "‹setting pin›", "Hush-204": "‹setting firstPassword›"}
    assert "4711" not in repr(settings)


def test_a_problem_of_a_secret_setting_does_not_quote_its_line(mapping):
    (problem,) = problems_of(mapping, "domain: a.example.com\nfirstPassword: 'Hush-${studnet.id}'")
    assert "studnet" in problem.message
    assert "Hush" not in str(problem)


def test_a_secret_choice_is_not_quoted():
    source = Source(parse_yaml("hush", file="x"))
    setting = Setting(name="level", type="choice", of=("a", "b"), secret=True)
    assert check_value(setting, source, (), Names({})) is None
    assert "hush" not in str(source.problems[0])


def test_an_empty_choice_of_a_vendor_list_is_refused():
    source = Source(parse_yaml("' '", file="x"))
    assert check_value(Setting(name="company", type="choice"), source, (), Names({})) is None
    assert source.problems[0].message == "The choice is empty."


def test_a_default_that_its_type_refuses_is_the_mapping_files_problem(mapping):
    settings = {**mapping.settings, "rate": Setting(name="rate", type="number", default="many")}
    (problem,) = problems_of(replace(mapping, settings=settings), "domain: a.example.com")
    assert (problem.file, problem.line, problem.place) == ("mappings/small.yaml", 0, "settings.rate.default")


@pytest.mark.parametrize(
    ("written", "bundle"),
    [
        ("mismatch: accept", {"base": "https://a.example"}),
        ("", {"base": "https://w.example"}),
    ],
    ids=["by choice", "by default"],
)
def test_a_bundle_follows_the_choice(mapping, written, bundle):
    values = {"accept": {"base": "https://a.example"}, "warn": {"base": "https://w.example"}}
    bundled = replace(mapping, bundles={"bundle": Bundle(by="mismatch", of=values)})
    assert parse_settings(bundled, f"domain: a.example.com\n{written}").bundle == bundle


def test_a_bundle_without_its_choice_says_which_is_missing(mapping):
    bundled = replace(mapping, bundles={"bundle": Bundle(by="note", of={"a": {}, "b": {}})})
    (problem,) = problems_of(bundled, "domain: a.example.com")
    assert problem.message == "The setting `note` is missing: other values depend on it."
    assert problem.fix == "One of: a, b."
    (problem,) = problems_of(bundled, "domain: a.example.com\nnote: c")
    assert problem.message == "`c` chooses no values; there are a, b."


def test_settings_stand_at_their_path_in_a_larger_document(mapping):
    source = Source(
        parse_yaml("tenants:\n  acme:\n    settings: {domain: acme}\n  beta: {}\n", file="config.yaml")
    )
    resolve_settings(mapping, source, ("tenants", "acme", "settings"))
    resolve_settings(mapping, source, ("tenants", "beta", "settings"))
    assert [(problem.line, problem.column, problem.place) for problem in source.problems] == [
        (3, 24, "tenants.acme.settings.domain"),
        (4, 9, "tenants.beta.settings"),
    ]
