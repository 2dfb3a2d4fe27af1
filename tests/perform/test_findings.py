"""What `check` says of the vendor's account: every rule that holds, over a fresh answer of the probe."""

from __future__ import annotations

import pytest

from gateway.errors import GatewayError
from gateway.operator.check import good
from gateway.operator.check_vendor import ACCOUNT, account_rows, vendor_rows
from gateway.perform.findings import Finding, findings

FUNCTIONS = [f"core_webservice_function_with_a_long_name_{number:03d}" for number in range(16)]
"""16 names of 45 characters: as many and as long as any vendor's."""
LISTED = ", ".join(f"'{name}'" for name in FUNCTIONS)
SAY = (
    "The token lacks: ${join(', ', probe.missing)}. Add them to its external service. "
    + "All of this is shown. " * 20
)
TAIL = f"""probe:
  call: GET /facts
  facts: {{missing: "${{[{LISTED}][?!contains($.reply.body.functions[].name, @)]}}", release: "${{reply.body.release}}"}}
  checks:
    - {{if: count(probe.missing) > 0, say: "{SAY}"}}
    - {{if: reply.body.trial, say: "A trial of ${{probe.release}}.", level: note}}
    - {{if: "settings.marks && !contains(reply.body.functions[].name, 'marks')", say: "No marks."}}
"""


def account(*names, **more):
    return {"functions": [{"name": name} for name in (*FUNCTIONS, *names)], "release": "4.1", **more}


@pytest.fixture
def checking(world, text):
    mapping = text(tail=TAIL).replace(
        "server:\n", "settings: {marks: {type: switch, default: false}}\nserver:\n", 1
    )

    def start(**body):
        gateway = world.start(mapping, settings=f"marks: {str(body.pop('marks', False)).lower()}")
        world.lms.facts = body.get("facts", account())
        return gateway

    return start


def test_the_names_are_as_long_as_they_get():
    assert {len(name) for name in FUNCTIONS} == {45}


async def test_an_account_that_has_everything_gives_no_finding(checking):
    assert await findings(checking().tenant) == ()


async def test_what_is_missing_is_named_in_one_whole_sentence(checking):
    lacking = account()
    lacking["functions"] = lacking["functions"][3:]
    (found,) = await findings(checking(facts=lacking).tenant)
    assert found.level == "problem"
    assert found.say.startswith(f"The token lacks: {', '.join(FUNCTIONS[:3])}. Add them")
    assert found.say.endswith("All of this is shown.")
    assert len(found.say) > 600


async def test_an_account_with_nothing_lists_all_names(checking):
    (found,) = await findings(checking(facts={"functions": []}).tenant)
    assert all(name in found.say for name in FUNCTIONS)


async def test_every_rule_that_holds_is_told_in_order(checking):
    tenant = checking(facts=account(trial=True), marks=True).tenant
    assert await findings(tenant) == (
        Finding(level="note", say="A trial of 4.1."),
        Finding(level="problem", say="No marks."),
    )


async def test_the_probe_is_asked_anew_and_the_facts_of_operations_stay(checking):
    gateway = checking()
    gateway.tenant.facts.update(missing=["old"])
    await findings(gateway.tenant)
    gateway.lms.facts = {"functions": []}
    assert len(await findings(gateway.tenant)) == 1
    assert gateway.tenant.facts == {"missing": ["old"]}


async def test_a_rule_that_cannot_be_told_is_a_note_not_silence(checking):
    tenant = checking(facts={"functions": {}, "trial": False}, marks=True).tenant
    (note,) = await findings(tenant)
    assert note.level == "note"
    assert "cannot be told from the answer" in note.say


async def test_a_sentence_that_cannot_be_made_says_which_rule_holds(checking):
    (found,) = await findings(checking(facts={**account(trial=True), "release": None}).tenant)
    assert found.say == "`reply.body.trial` holds."


async def test_a_probe_that_fails_is_an_error(checking):
    gateway = checking()
    gateway.lms.on("GET /facts", 400)
    with pytest.raises(GatewayError) as caught:
        await findings(gateway.tenant)
    assert caught.value.code == "vendor_refused"


async def test_without_checks_nothing_is_asked(gateway):
    assert await findings(gateway.tenant) == ()
    assert await account_rows(gateway.tenant) == []
    assert gateway.lms.sent == []


# -- rows of the report -------------------------------------------------------------------------------


async def test_a_problem_fails_the_check_and_a_note_does_not(checking):
    assert [row.verdict for row in await account_rows(checking().tenant)] == ["ok"]
    note = await account_rows(checking(facts=account(trial=True)).tenant)
    assert ([(row.what, row.verdict) for row in note], good(note)) == ([(ACCOUNT, "warning")], True)
    problem = await account_rows(checking(marks=True).tenant)
    assert ([row.found for row in problem], good(problem)) == (["No marks."], False)


async def test_a_probe_that_fails_is_red(checking):
    gateway = checking()
    gateway.lms.on("GET /facts", 400)
    (row,) = await account_rows(gateway.tenant)
    assert (row.verdict, row.todo != "") == ("red", True)


async def test_the_account_is_told_of_even_where_courses_cannot_be_read(checking):
    gateway = checking(facts={"functions": []})
    gateway.lms.broken.add("GET /courses")
    rows = {row.what: row for row in await vendor_rows(gateway.tenant)}
    assert (rows["The LMS answers"].verdict, rows[ACCOUNT].verdict) == ("red", "red")
    gateway.lms.broken.add("GET /facts")
    assert ACCOUNT not in {row.what for row in await vendor_rows(gateway.tenant)}


CATALOGUE = '{each: "[{id: \'7\', name: \'Safety\'}]", as: c, give: {id: "${c.id}", name: "${c.name}"}}'


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [pytest.param({}, "ok", id="asked"), pytest.param({"getCourses": CATALOGUE}, "skipped", id="not asked")],
)
async def test_credentials_count_as_taken_only_where_the_vendor_listed_the_courses(
    world, text, changed, verdict
):
    rows = await vendor_rows(world.start(text(**changed)).tenant)
    assert next(row for row in rows if row.what == "The LMS answers").verdict == verdict
