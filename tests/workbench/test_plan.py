"""`plan`: what would be sent, and never more than can be known."""

import io
import json

import pytest
from rich.console import Console

from gateway.contract import Operation
from gateway.errors import RequestError
from gateway.mapping.load import compile_document
from gateway.mapping.settings import parse_settings
from gateway.sandbox import learning_assistant_seed as la
from gateway.workbench.plan import plan
from gateway.workbench.plan_text import print_plan
from gateway.yamlfile import parse_yaml
from tests.workbench.stand_ins import SETTINGS, mapping

ANA = {"id": "204", "firstName": "Ana", "lastName": "Diaz"}
NOTHING = "[{id: b, call: POST /b, repeat: never}]"
NEW = {"courseId": "126", "student": ANA}


def planned(name, operation, given, *, steps=None, base=None, wire_names=None, **settings):
    spec = mapping(name)
    chosen = parse_settings(spec, json.dumps({**SETTINGS[name], **settings}))
    made = plan(spec, chosen, operation, given, steps=steps, base=base, wire_names=wire_names)
    return made, made.data()


def step(data, name, section=0):
    return next(step for step in data["sections"][section]["steps"] if step["id"] == name)


def call(data, name, section=0):
    return step(data, name, section)["calls"][0]


def small(*args, **kwargs):
    """The same as JSON-like data."""
    return small_plan(*args, **kwargs).data()


def small_plan(steps, given, /, *, operation=Operation.CREATE_ENROLMENT, settings="{}", more="", **known):
    """The plan of a small mapping with these steps."""
    text = f"""
format: 1
mapping: demo
version: 1.0.0
vendor: {{name: Demo}}
settings: {{words: {{type: map, default: {{}}}}, pin: {{type: text, secret: true}}}}
secrets: {{key: {{}}, user: {{}}}}
probe: {{call: GET /p, facts: {{open: "${{reply.body}}"}}}}
server:
  base: "https://demo.example/api"
  hosts: [demo.example]
{more}
operations:
  getCourses: {{steps: [{{id: all, call: GET /c, items: reply.body}}], each: steps.all.items, as: c, give: {{id: "${{c.id}}", name: "${{c.n}}"}}}}
  createEnrolment:
    steps: {steps}
    record: {{c: "${{courseId}}"}}
    key: [c]
  transferEnrolment: {{refuse: "No."}}
  cancelEnrolment: {{manual: "End ${{enrolment.c}} there."}}
"""
    document = parse_yaml(text, file="demo.yaml")
    spec = compile_document(document).mapping
    return plan(spec, parse_settings(spec, settings), operation, given, document=document, **known)


# -- TalentLMS --------------------------------------------------------------------------------------


def test_every_branch_is_listed_with_its_condition():
    _, data = planned("talentlms", Operation.CREATE_ENROLMENT, NEW)
    branches = {branch["name"]: branch for branch in step(data, "user")["calls"]}
    assert list(branches) == ["stored link", "by username", "by e-mail", "make"]
    assert branches["stored link"]["state"] == "unknown"
    assert branches["stored link"]["when"] == "matches(known.student.userId, '^[0-9]+$')"
    assert branches["by e-mail"]["state"] == "no"
    assert branches["by e-mail"]["request"] is None


def test_known_values_are_filled_in_and_unknown_ones_shown_by_name():
    _, data = planned("talentlms", Operation.CREATE_ENROLMENT, NEW)
    assert call(data, "enrol")["request"]["body"] == {
        "user_id": "‹steps.user.userId›",
        "course_id": "126",
        "role": "learner",
    }
    group = call(data, "group")["request"]["url"]
    base = "https://acme.talentlms.com/api/v1"
    assert group == f"{base}/addusertogroup/user_id:‹steps.user.userId›,group_key:WHS-2026"


def test_secrets_and_random_values_are_never_made_up():
    _, data = planned("talentlms", Operation.CREATE_ENROLMENT, NEW)
    make = step(data, "user")["calls"][3]["request"]
    assert make["headers"]["authorization"] == "Basic ‹secret apiKey›:"
    assert make["body"]["password"] == "‹settings.firstPassword ?? password(24)›"


def test_a_secret_setting_is_shown_by_name_only():
    _, data = planned("talentlms", Operation.CREATE_ENROLMENT, NEW, firstPassword="hunter2-${student.id}")
    assert "hunter2" not in json.dumps(data)


def test_what_happens_when_the_answer_is_lost_is_told_with_the_look_up():
    _, data = planned("talentlms", Operation.CREATE_ENROLMENT, NEW)
    enrol = call(data, "enrol")
    assert "done when reply.body.role == 'learner'" in enrol["lost"]
    assert enrol["look_up"]["request"]["url"].endswith("course_id:126,user_id:‹steps.user.userId›")
    assert "reading branches before it" in step(data, "user")["calls"][3]["lost"]
    assert "twice equals once" in call(data, "group")["lost"]


def test_a_step_whose_condition_fails_is_skipped_and_null_for_later_steps():
    _, data = planned("talentlms", Operation.CREATE_ENROLMENT, NEW, groupKeys={})
    assert step(data, "group")["state"] == "no"
    assert step(data, "group")["calls"] == []


def test_a_case_fills_in_the_values_of_earlier_steps():
    _, data = planned("talentlms", Operation.CREATE_ENROLMENT, NEW, steps={"user": {"userId": "7"}})
    assert call(data, "enrol")["request"]["body"]["user_id"] == "7"
    assert "user_id:7," in call(data, "group")["request"]["url"]


def test_what_is_remembered_may_be_given():
    given = {**NEW, "known": {"student": {"userId": "7"}}}
    _, data = planned("talentlms", Operation.CREATE_ENROLMENT, given)
    stored = step(data, "user")["calls"][0]
    assert stored["state"] == "yes"
    assert stored["request"]["url"].endswith("/users/id:7")


def test_without_a_student_everything_about_one_is_unknown():
    _, data = planned("talentlms", Operation.CREATE_ENROLMENT, {"courseId": "126"})
    branches = step(data, "user")["calls"]
    assert branches[1]["request"]["url"].endswith("/users/username:rto-‹student.id›")
    assert branches[2]["state"] == "unknown"
    assert branches[3]["request"]["body"]["email"] == "‹settings.email›"


def test_a_missing_name_is_unknown_not_empty():
    given = {"courseId": "126", "student": {"id": "204", "firstName": "Ana"}}
    _, data = planned("talentlms", Operation.CREATE_ENROLMENT, given)
    body = step(data, "user")["calls"][3]["request"]["body"]
    assert body["last_name"] == "‹fill(student.lastName, student.firstName, student.id)›"
    assert body["email"] == "204@learners.invalid"


def test_a_transfer_is_a_create_for_the_new_student_and_a_cancel_of_the_old():
    _, data = planned("talentlms", Operation.TRANSFER_ENROLMENT, {"enrolmentId": "7-126", "to": {"id": "9"}})
    create, cancel = data["sections"]
    assert create["title"].startswith("createEnrolment")
    assert "username:rto-9" in json.dumps(create)
    assert call(data, "enrol")["request"]["body"]["course_id"] == "126"
    assert cancel["title"].startswith("cancelEnrolment")
    assert call(data, "leave", 1)["request"]["url"].endswith("/removeuserfromcourse/course_id:126,user_id:7")


def test_an_operation_left_out_says_what_happens_instead():
    _, course = planned("talentlms", Operation.GET_COURSE, {"courseId": "126"})
    assert "picked from the list" in course["sections"][0]["note"]
    assert course["sections"][1]["steps"]
    _, enrolment = planned("talentlms", Operation.GET_ENROLMENT, {"enrolmentId": "7-126"})
    assert call(enrolment, "status")["request"]["url"].endswith("course_id:126,user_id:7")


def test_the_tenants_own_address_is_used():
    _, data = planned("talentlms", Operation.GET_COURSES, {}, base="http://127.0.0.1:9/api/v1")
    assert call(data, "all")["request"]["url"] == "http://127.0.0.1:9/api/v1/courses"


@pytest.mark.parametrize(
    ("choice", "note"),
    [("acknowledge", "Acknowledged"), ("refuse", "Refused with 422: TalentLMS takes no marks")],
)
def test_the_form_a_setting_chooses_is_planned(choice, note):
    made, data = planned("talentlms", Operation.UPDATE_MARKING, {"enrolmentId": "7-126"}, marking=choice)
    assert note in data["sections"][0]["note"]
    assert made.log_in is None


# -- Learning Assistant -----------------------------------------------------------------------------


def test_a_session_is_logged_in_to_first_and_its_token_shown_by_name():
    _, data = planned("learning-assistant", Operation.GET_ENROLMENT, {"enrolment": {"candidate": "C1"}})
    body = data["log_in"]["request"]["body"]["{https://api.learningassistant.com}Authenticate"]
    assert body == {"szUsername": "‹secret username›", "szPassword": "‹secret password›"}
    request = call(data, "progress")["request"]
    assert "‹token.uuid›" in json.dumps(request["soap_header"], ensure_ascii=False)
    assert request["body"]["{https://api.learningassistant.com}GetProgress"] == {
        "CandidateUUID": "C1",
        "CourseUUID": "‹enrolment.course›",
    }


def test_a_list_that_is_not_known_shows_one_item_and_where_it_comes_from():
    given = {"courseId": la.COURSE_UUID, "student": ANA}
    _, data = planned("learning-assistant", Operation.CREATE_ENROLMENT, given, sendUnits="structures")
    text = json.dumps(call(data, "enrol", 1)["request"]["body"], ensure_ascii=False)
    assert "‹for each `unit` of settings.sendUnits == 'none' ? null : known.course.units›" in text
    assert "‹settings.sendUnits == 'texts' ? unit : unit.{UnitUUID: @}›" in text


def test_a_list_that_a_setting_switches_off_is_left_out():
    given = {"courseId": la.COURSE_UUID, "student": ANA}
    _, data = planned("learning-assistant", Operation.CREATE_ENROLMENT, given)
    assert "Units" not in json.dumps(call(data, "enrol", 1)["request"]["body"])


def test_the_course_list_is_planned_first_where_a_course_is_not_remembered():
    given = {"courseId": la.COURSE_UUID, "student": ANA}
    _, data = planned("learning-assistant", Operation.CREATE_ENROLMENT, given)
    assert data["sections"][0]["title"].startswith("getCourses, first")
    known = {**given, "known": {"course": {"qan": "600/1", "units": []}}}
    _, data = planned("learning-assistant", Operation.CREATE_ENROLMENT, known)
    assert len(data["sections"]) == 1
    assert "600/1" in json.dumps(call(data, "enrol")["look_up"])


def test_an_argument_of_a_shared_call_is_shown_as_what_was_passed():
    given = {"courseId": la.COURSE_UUID, "student": ANA}
    _, data = planned("learning-assistant", Operation.CREATE_ENROLMENT, given)
    look_up = call(data, "enrol", 1)["look_up"]["request"]["body"]
    assert look_up["{https://api.learningassistant.com}GetCandidates"]["CourseQAN"] == "‹known.course.qan›"


def test_a_tenants_wire_names_are_shown():
    names = {"GetProgress": "GetLearnerProgress", "user.cfc": "learner.cfc"}
    _, data = planned("learning-assistant", Operation.GET_ENROLMENT, {}, wire_names=names)
    request = call(data, "progress")["request"]
    assert request["url"].endswith("/learner.cfc")
    assert "{https://api.learningassistant.com}GetLearnerProgress" in request["body"]


# -- what cannot be known is never made up ----------------------------------------------------------


def test_an_expression_over_something_unknown_is_shown_as_text_not_computed():
    steps = '[{id: a, call: GET /a, value: {x: "${reply.body.x}"}}, {id: b, call: POST /b, repeat: never, json: {flag: "${steps.a.x == \'on\' ? 1 : 2}", "opt?": "${steps.a.x}", text: "n-${steps.a.x}"}}]'
    data = small(steps, {"courseId": "1"})
    assert call(data, "b")["request"]["body"] == {
        "flag": "‹steps.a.x == 'on' ? 1 : 2›",
        "opt": "‹steps.a.x, left out when null›",
        "text": "n-‹steps.a.x›",
    }


def test_a_whole_step_compared_with_null_is_unknown_too():
    steps = '[{id: a, when: "probe.open", call: GET /a, value: {x: "${reply.body}"}}, {id: b, when: steps.a != null, call: POST /b, repeat: never}]'
    data = small(steps, {"courseId": "1"})
    assert [step["state"] for step in data["sections"][0]["steps"]] == ["unknown", "unknown"]


def test_a_skipped_step_is_null_and_its_optional_values_are_left_out():
    steps = '[{id: a, when: "courseId == \'2\'", call: GET /a, value: {x: "${reply.body}"}}, {id: b, call: POST /b, repeat: never, json: {"opt?": "${steps.a.x}", or: "${steps.a.x ?? 9}"}}]'
    data = small(steps, {"courseId": "1"})
    assert call(data, "b")["request"]["body"] == {"or": 9}


def test_a_null_where_a_value_is_needed_is_a_problem_of_the_plan():
    data = small(
        '[{id: b, call: POST /b, repeat: never, json: {x: "${lookup(settings.words, courseId)}"}}]',
        {"courseId": "1"},
    )
    assert call(data, "b")["request"] is None
    assert "lookup" in call(data, "b")["problem"]


def test_a_value_the_path_cannot_hold_is_a_problem_of_the_plan():
    data = small('[{id: b, call: "POST /b/${courseId}", repeat: never}]', {"courseId": ".."})
    assert "dot segment" in call(data, "b")["problem"]


def test_a_list_of_known_items_is_filled_in_for_each_of_them():
    steps = '[{id: b, call: POST /b, repeat: never, json: {all: {$each: "split(courseId, \',\')", $as: c, $give: {id: "${c}", who: "${student.id}"}}}}]'
    data = small(steps, {"courseId": "1,2"})
    assert call(data, "b")["request"]["body"]["all"] == [
        {"id": "1", "who": "‹student.id›"},
        {"id": "2", "who": "‹student.id›"},
    ]


def test_a_dollar_brace_of_the_author_stays_as_it_is():
    data = small(
        '[{id: b, call: POST /b, repeat: never, json: {x: "$${no} ${student.id}"}}]', {"courseId": "1"}
    )
    assert call(data, "b")["request"]["body"]["x"] == "${no} ‹student.id›"


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        ("{kind: bearer, token: '${secrets.key}'}", "Bearer ‹secret key›"),
        (
            "{kind: basic, user: '${secrets.user}', password: '${secrets.key}'}",
            "Basic ‹secret user›:‹secret key›",
        ),
        (
            "{kind: oauth2, grant: client_credentials, token_url: 'https://demo.example/t', client_id: a, client_secret: '${secrets.key}'}",
            "Bearer ‹token›",
        ),
    ],
    ids=["bearer", "basic", "oauth2"],
)
def test_credentials_are_shown_by_name(auth, shown):
    data = small(NOTHING, {"courseId": "1"}, more=f"  auth: {auth}")
    assert call(data, "b")["request"]["headers"]["authorization"] == shown


CHECKS = """[{id: fit, check: [{if: "length(student.id) > 9", say: Too long.}, {if: known.student.a == null, say: "No ${known.student.a}.", is: fail}, {if: "length(student.id) == 3", say: "Not ${student.id}."}, {if: "false", is: absent}], value: {login: "a${student.id}", open: "${probe.open}", "gone?": "${null}"}, remember: {student: {a: "${value.login}"}}},
  {id: more, when: courseId == '126', value: {twice: "${steps.fit.login}!"}}, {id: odd, when: courseId == '7', value: {x: y}}, {id: bad, value: {x: "${student.email}"}},
  {id: go, call: "PUT /u/${steps.fit.login}/${steps.fit.open}/${steps.more.twice}", repeat: safe, query: {"o?": "${steps.odd.x}", "g?": "${steps.fit.gone}"}}]"""


def test_a_check_shows_which_rules_hold_and_its_values_stand_in_later_requests():
    data = small(CHECKS, NEW)
    assert step(data, "fit")["check"] == {
        "rules": [
            {"state": "no", "words": "length(student.id) > 9 → refused: Too long."},
            {"state": "unknown", "words": "known.student.a == null → fail: No ${known.student.a}."},
            {"state": "yes", "words": "length(student.id) == 3 → refused: Not 204."},
            {"state": "no", "words": "false → absent: it is not there"},
        ],
        "gives": {"login": "a204", "open": "‹probe.open›"},
        "problem": None,
    }
    assert (step(data, "odd")["state"], step(data, "odd")["check"]) == ("no", None)
    assert "`student.email` is null" in step(data, "bad")["check"]["problem"]
    request = call(data, "go")["request"]
    assert request["url"] == "https://demo.example/api/u/a204/‹steps.fit.open›/a204%21"
    assert request["query"] == []


def test_the_value_a_case_gave_stands_before_the_one_that_is_worked_out():
    data = small(CHECKS, NEW, steps={"fit": {"login": "seen", "open": "o"}})
    assert "/u/seen/o/seen%21" in call(data, "go")["request"]["url"]


def test_the_printed_plan_shows_checks():
    out = io.StringIO()
    print_plan(small_plan(CHECKS, NEW), Console(file=out, width=200))
    for line in (
        "sends nothing",
        "does not hold: length(student.id) > 9 → refused: Too long.",
        "ends here when known.student.a == null",
        "ENDS HERE: length(student.id) == 3",
        'gives login: "a204"',
        "cannot be worked out: value.x: `student.email` is null",
    ):
        assert line in out.getvalue()


def test_a_value_of_the_enrolment_that_stands_is_taken_over_in_a_plan():
    steps = '[{id: ids, mint: {reg: uuid, n: uuid}}, {id: b, call: "PUT /b/${steps.ids.reg}/${steps.ids.n}", repeat: safe, query: {"c?": "${known.enrolment.c}"}}]'
    data = small(steps, {**NEW, "known": {"enrolment": {"reg": "R1", "c": "7"}}})
    request = call(data, "b")["request"]
    assert request["url"] == "https://demo.example/api/b/R1/‹steps.ids.n›"
    assert request["query"] == [["c", "7"]]
    assert "‹steps.ids.reg›" in call(small(steps, NEW), "b")["request"]["url"]


def test_minted_values_undo_and_a_never_repeated_write_are_told():
    steps = '[{id: ids, mint: {reg: uuid}}, {id: b, call: POST /b, repeat: never, json: {r: "${steps.ids.reg}"}, value: {id: "${reply.body}"}, undo: {call: "DELETE /b/${steps.b.id}", effect: write, repeat: safe}}]'
    data = small(steps, {"courseId": "1"})
    assert step(data, "ids")["mint"] == ["reg"]
    assert call(data, "b")["request"]["body"] == {"r": "‹steps.ids.reg›"}
    assert step(data, "b")["undo"]["request"]["url"].endswith("/b/‹steps.b.id›")
    assert "runs settle" in call(data, "b")["lost"]
    assert call(data, "b")["line"] == 16


def test_paging_is_told_and_the_first_page_asked_for():
    steps = "[{id: a, call: GET /a, pages: {kind: page, number: query.page, size: query.per, per: 50, stop: short, limit: 9}, items: reply.body}]"
    data = small(steps, {"courseId": "1"})
    assert call(data, "a")["request"]["query"] == [["per", "50"], ["page", "1"]]
    assert call(data, "a")["pages"] == "page by page (page), at most 9 pages"


def test_a_manual_form_says_the_sentence_with_what_is_known():
    data = small(NOTHING, {"enrolmentId": "5"}, operation=Operation.CANCEL_ENROLMENT)
    assert data["sections"][0]["note"] == "On the manual list: End 5 there."
    data = small(NOTHING, {}, operation=Operation.CANCEL_ENROLMENT)
    assert data["sections"][0]["note"] == "On the manual list: enrolment.c"


@pytest.mark.parametrize(
    "given",
    [
        {"course": "1"},
        {"student": "204"},
        {"known": {"people": {}}},
        {"enrolmentId": "not an id"},
        {"enrolmentId": "1-2"},
    ],
    ids=["unknown name", "no object", "known what", "no id", "wrong parts"],
)
def test_inputs_that_cannot_be_used_are_refused(given):
    with pytest.raises(RequestError):
        small(NOTHING, given, operation=Operation.CANCEL_ENROLMENT)


def test_a_whole_person_of_whom_only_a_part_is_known_is_not_used():
    steps = '[{id: b, call: POST /b, repeat: never, json: {n: "${keys(student)}", all: "${student}"}}]'
    data = small(steps, {"courseId": "1", "student": {"id": "2"}})
    assert call(data, "b")["request"]["body"] == {
        "n": "‹keys(student)›",
        "all": "‹student›",
    }


def test_a_condition_over_a_whole_unknown_or_one_that_fails_is_not_decided():
    steps = '[{id: a, when: "student && true", call: GET /a}, {id: b, when: "length(`1`)", call: GET /b}]'
    data = small(steps, {"courseId": "1", "student": {"id": "2"}})
    assert [step["state"] for step in data["sections"][0]["steps"]] == ["unknown", "unknown"]


def test_random_values_are_shown_as_their_expression():
    steps = '[{id: b, call: POST /b, repeat: never, json: {u: "${uuid()}", p: "x-${password(12)}"}}]'
    body = call(small(steps, {"courseId": "1"}), "b")["request"]["body"]
    assert body == {"u": "‹uuid()›", "p": "x-‹password(12)›"}


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        ("${courseId}", "/s/1/1"),
        ("${student.id}", "/s/‹student.id›/‹lower(args.x)›"),
        ("c-${student.id}", "/s/‹c-${student.id}›/‹lower(args.x)›"),
    ],
    ids=["known", "unknown", "partly"],
)
def test_a_shared_call_is_filled_in_from_its_arguments(argument, path):
    shared = 'calls: {s: {call: "GET /s/${args.x}/${lower(args.x)}"}}'
    data = small(f'[{{id: a, use: s, args: {{x: "{argument}"}}}}]', {"courseId": "1"}, more=shared)
    assert call(data, "a")["request"]["url"] == f"https://demo.example/api{path}"


def test_a_shared_call_without_a_needed_argument_is_a_problem_of_the_plan():
    shared = 'calls: {s: {call: "GET /s/${args.x}"}}'
    steps = '[{id: a, use: s, args: {x: "${lookup(settings.words, courseId)}"}}]'
    assert "lookup" in call(small(steps, {"courseId": "1"}, more=shared), "a")["problem"]


def test_a_sentence_with_values_in_it_is_not_made_up():
    steps = (
        '[{id: a, call: GET /a, replies: [{if: "reply.status == 409", is: refused, say: "No ${courseId}."}]}]'
    )
    rules = call(small(steps, {"courseId": "1"}), "a")["rules"]
    assert rules == ["reply.status == 409 → refused: a sentence with values of the request in it"]


# -- on a terminal ----------------------------------------------------------------------------------


def printed(made, *, as_json=False):
    out = io.StringIO()
    print_plan(made, Console(file=out, width=100), as_json=as_json)
    return out.getvalue()


def test_the_printed_plan_shows_requests_conditions_rules_and_lost_answers():
    made, _ = planned("talentlms", Operation.CREATE_ENROLMENT, NEW)
    text = printed(made)
    assert "POST https://acme.talentlms.com/api/v1/addusertocourse" in text
    assert "skipped: !ends_with(settings.email, '.invalid') (does not hold)" in text
    assert "only when: matches(known.student.userId" in text
    assert "answer lost: looked up, never sent again blindly" in text
    assert "reply.status == 401 || reply.status == 403 → fail" in text
    assert text.index("Hosts that may be called: acme.talentlms.com") < text.index("createEnrolment\n")


def test_the_printed_plan_of_a_soap_vendor_shows_the_log_in():
    made, _ = planned(
        "learning-assistant", Operation.TRANSFER_ENROLMENT, {"to": {"id": "9"}}, transfer="create"
    )
    text = printed(made)
    assert "Log in, where there is no live session" in text
    assert "On the manual list" in text


def test_the_printed_plan_shows_undo_mint_paging_and_problems():
    steps = """[{id: ids, mint: {reg: uuid}},
      {id: list, call: GET /l, pages: {kind: link, limit: 3}, items: reply.body},
      {id: b, call: POST /b, repeat: safe, undo: {call: DELETE /b, effect: write, repeat: safe}},
      {id: c, call: POST /c, repeat: safe, json: {x: "${lookup(settings.words, courseId)}"}}]"""
    text = printed(small_plan(steps, {"courseId": "1"}))
    assert "made once and kept: reg" in text
    assert "page by page (link), at most 3 pages" in text
    assert "taken back, when a later step fails for good:\n      DELETE https://demo.example/api/b" in text
    assert "cannot be made:" in text


def test_json_output_is_the_whole_plan():
    made, data = planned("talentlms", Operation.CANCEL_ENROLMENT, {"enrolmentId": "7-126"})
    assert json.loads(printed(made, as_json=True)) == data
