"""Records tests/cassettes again, against the sandbox stand-ins: `make cassettes`.

A cassette whose conversation did not change keeps its date. Look at the difference before it is committed:
it is what will reach the vendor. Names of scenes as arguments record only these.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from starlette.types import ASGIApp

from gateway.sandbox import (
    canvas_switches,
    learning_assistant_sessions,
    learning_assistant_state,
    learnupon_switches,
    moodle_switches,
)
from gateway.sandbox.canvas import create_canvas
from gateway.sandbox.control import Clock, StandIn, switched
from gateway.sandbox.learning_assistant import create_learning_assistant
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.learnupon import create_learnupon
from gateway.sandbox.moodle import create_moodle
from gateway.sandbox.serve import running
from gateway.sandbox.talentlms import create_talentlms
from tests.cassette_scenes import SCENES
from tests.cassette_stage import Played, Scene, play, pool_for, tape
from tests.moodle_answers import RECORDED_ON, RELEASE, Answers

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def main(names: list[str]) -> int:
    wrong = 0
    for scene in SCENES:
        if names and scene.label not in names:
            continue
        text, played = record(scene)
        print(f"{scene.label}: {_keep(scene, text)}")
        if tuple(played.answers) != scene.answers:
            wrong += 1
            print(f"  answers={tuple(played.answers)!r},")
    return 1 if wrong else 0


def record(scene: Scene) -> tuple[str, Played]:
    """The cassette's text without its first line, and what came of the scene."""
    played = Played()
    with tempfile.TemporaryDirectory() as folder, _counted_uuids(), running(_vendor(scene)) as origin:
        path = Path(folder) / "cassette.yaml"
        with tape(scene, path, mode="all", origin=origin):
            asyncio.run(play(scene, played, pool_for(origin), origin))
        return path.read_text("utf-8"), played


def _vendor(scene: Scene) -> ASGIApp:
    """The vendor's recorded answers, or its stand-in as the scene wants it."""
    if scene.captures:
        return Answers(scene.captures)
    stand_in = _stand_in(scene)
    stand_in.faults.arm(*scene.faults)
    for name, given in scene.acts:
        stand_in.vendor.actions[name](**given)
    return stand_in


def _stand_in(scene: Scene) -> StandIn:
    match scene.vendor:
        case "talentlms":
            return create_talentlms(start=START)
        case "learnupon":
            return create_learnupon(switched(learnupon_switches.Switches(), scene.switches), start=START)
        case "moodle":
            return create_moodle(switched(moodle_switches.Switches(), scene.switches), start=START)
        case "canvas":
            return create_canvas(switched(canvas_switches.Switches(), scene.switches), start=START)
    switches = switched(LearningAssistantSwitches(), scene.switches)
    return create_learning_assistant(switches, clock=Clock(START))


@contextlib.contextmanager
def _counted_uuids() -> Iterator[None]:
    """The stand-in's UUIDs in order instead of by chance: the same cassette every time."""
    numbers = itertools.count(1)

    def counted() -> str:
        return f"{next(numbers):08X}-5A4D-4B0C-8000000000000000"

    with (
        patch.object(learning_assistant_sessions, "coldfusion_uuid", counted),
        patch.object(learning_assistant_state, "coldfusion_uuid", counted),
    ):
        yield


def _keep(scene: Scene, text: str) -> str:
    if scene.path.exists() and scene.path.read_text("utf-8").split("\n", 1)[1] == text:
        return "as it was"
    today = datetime.now(UTC).date().isoformat()
    source = f"sandbox stand-in of {scene.vendor} (written from vendors/{scene.vendor}.md)"
    if scene.captures:
        source = (
            f"{RELEASE}, {RECORDED_ON}: {', '.join(scene.captures)}; the requests are the gateway's, as of"
        )
    scene.path.parent.mkdir(parents=True, exist_ok=True)
    comma = "" if scene.captures else ","
    scene.path.write_text(f"# recorded: {source}{comma} {today}\n{text}", "utf-8")
    return "recorded"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
