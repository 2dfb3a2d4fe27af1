"""Every recorded conversation, played again: the bytes that leave for a vendor are the recorded ones."""

from __future__ import annotations

import contextlib
import difflib
import re
from dataclasses import replace

import pytest
from vcr.errors import CannotOverwriteExistingCassetteException

from gateway.contract import Operation
from gateway.mapping.load import load_mapping
from gateway.mapping.spec import OperationSpec, Step
from gateway.workbench.cases_cassette import read_cassette
from tests.cassette_scenes import SCENES
from tests.cassette_stage import (
    CASSETTES,
    ORIGINS,
    ROOT,
    SECRETS,
    Ask,
    Noted,
    Played,
    Scene,
    play,
    pool_for,
    recorded,
    tape,
)

MAPPINGS = sorted({scene.vendor for scene in SCENES})
WITHOUT = {"77media": "no operation calls the vendor"}
HEADER = re.compile(
    r"# recorded: (sandbox stand-in of \S+ \(written from vendors/\S+\.md\),"
    r"|Moodle 4\.3 \(Build: 20231009\), 2026-11-21: [\w, -]+; the requests are the gateway's, as of) \d{4}-\d\d-\d\d\n"
)
AGAIN = "If that is meant: make cassettes, and read the difference in version control."


async def replayed(scene: Scene) -> tuple[Played, list[str]]:
    """What came of the scene, and every request that left."""
    origin, played, noted = ORIGINS[scene.vendor], Played(), Noted(scene)
    with (
        tape(scene, scene.path, mode="none"),
        contextlib.suppress(CannotOverwriteExistingCassetteException),  # the requests say it better
    ):
        await play(scene, played, pool_for(origin, noted), origin)
    return played, noted.requests


def difference(before: list[str], now: list[str]) -> str:
    lines = difflib.unified_diff(
        "\n\n".join(before).splitlines(), "\n\n".join(now).splitlines(), "recorded", "sent now", lineterm=""
    )
    return "\n".join(lines)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.label)
async def test_scene_played_again_sends_the_recorded_bytes(scene: Scene) -> None:
    played, sent = await replayed(scene)
    changed = difference(recorded(scene), sent)
    assert not changed, f"{scene.label} sends something else now.\n{changed}\n{AGAIN}"
    assert tuple(played.answers) == scene.answers


async def test_changed_request_is_shown_as_the_one_line_that_changed() -> None:
    scene = next(each for each in SCENES if each.label == "talentlms/createEnrolment-new-learner")
    changed = replace(scene, settings={"firstPassword": "Hello-${student.id}"})
    _, sent = await replayed(changed)
    lines = difference(recorded(scene)[: len(sent)], sent).splitlines()
    assert [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        "-password=Welcome-5204",
        "+password=Hello-5204",
    ]


async def test_changed_header_is_noticed_although_the_body_is_the_same() -> None:
    scene = next(each for each in SCENES if each.label == "talentlms/getCourses")
    now = [request.replace("Basic scrubbed", "Bearer scrubbed") for request in recorded(scene)]
    assert "+authorization: Bearer scrubbed" in difference(recorded(scene), now)


def test_cassettes_are_those_of_the_scenes_no_more_no_fewer() -> None:
    files = {str(path.relative_to(CASSETTES)) for path in CASSETTES.rglob("*") if path.is_file()}
    assert files == {f"{scene.label}.yaml" for scene in SCENES}


def test_every_mapping_has_scenes_or_a_reason_for_none() -> None:
    assert set(MAPPINGS) | set(WITHOUT) == {path.stem for path in (ROOT / "mappings").glob("*.yaml")}
    assert not set(MAPPINGS) & set(WITHOUT)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.label)
def test_cassette_says_where_it_came_from_and_holds_no_credential(scene: Scene) -> None:
    text = scene.path.read_text("utf-8")
    assert HEADER.match(text), "the first line says what was recorded, from what, and when"
    assert "127.0.0.1" not in text
    for secrets in SECRETS.values():
        assert not [name for name, value in secrets.items() if value in text]


@pytest.mark.parametrize("vendor", MAPPINGS)
def test_mapping_has_a_cassette_of_every_operation(vendor: str) -> None:
    asked = {
        ask.operation
        for scene in SCENES
        if scene.vendor == vendor
        for ask in scene.asks
        if isinstance(ask, Ask)
    }
    # a mapping without its own getCourse or getEnrolment still answers it
    assert asked == set(Operation)


@pytest.mark.parametrize("vendor", MAPPINGS)
async def test_mapping_has_a_cassette_in_which_each_step_calls_the_vendor(vendor: str) -> None:
    called: set[str] = set()
    for scene in SCENES:
        if scene.vendor == vendor:
            called |= (await replayed(scene))[0].steps
    mapping = load_mapping(ROOT / "mappings" / f"{vendor}.yaml").mapping
    progress = mapping.progress.read if mapping.progress else ()
    calls = {call for form in mapping.operations.values() for call in _calls_of_form(form)}
    calls |= {call for step in progress for call in _calls(Operation.GET_ENROLMENT, step)}
    assert calls - called == set()


def _calls_of_form(form: OperationSpec) -> list[str]:
    """The calls of an operation, as traces name them; `choose` has several forms."""
    own = [call for step in form.steps for call in _calls(form.operation, step)]
    return [*own, *(call for other in form.of.values() for call in _calls_of_form(other))]


def _calls(operation: Operation, step: Step) -> list[str]:
    """A step is one call, or branches; a write may have a look-up of its own."""
    name = f"{operation}.{step.id}"
    if step.action is None:
        return [f"{name}/{branch.name}" for branch in step.first]
    looked_up = step.action.confirm is not None
    return [name, f"{name}.confirm"] if looked_up else [name]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.label)
def test_case_files_can_take_up_the_cassette(scene: Scene) -> None:
    lines = read_cassette(scene.path)
    assert [line["ask"].split(" ")[0] for line in lines] == [r.split(" ")[0] for r in recorded(scene)]
    assert all(line["answer"]["status"] for line in lines)
