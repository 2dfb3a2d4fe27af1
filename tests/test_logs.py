import io
import json
import logging
from collections.abc import Iterator

import pytest

from gateway import logs


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards; libraries' levels too."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, {name: logging.getLogger(name).level for name in logs.QUIET})
    yield root
    root.handlers[:], level, levels = before
    root.setLevel(level)
    for name, own in levels.items():
        logging.getLogger(name).setLevel(own)


def lines(work: object = None, **options: object) -> io.StringIO:
    stream = io.StringIO()
    logs.set_up(stream=stream, **options)  # type: ignore[arg-type]
    return stream


def test_an_event_is_one_line_with_its_time_level_and_logger() -> None:
    out = lines()
    logging.getLogger("gateway.x").info("done in %d ms", 3)
    text = out.getvalue()
    assert text.endswith(" INFO    gateway.x  done in 3 ms\n") and text[10] == "T" and text[23] == "Z"


def test_what_came_from_outside_cannot_forge_a_line() -> None:
    out = lines()
    logging.getLogger("gateway.x").warning("%s", "a\n2026 INFO forged\x1b[2J")
    assert out.getvalue().count("\n") == 1
    assert "a | 2026 INFO forged�[2J" in out.getvalue()


def test_json_lines_hold_the_same() -> None:
    out = lines(as_json=True)
    logging.getLogger("gateway.x").error("a\nb")
    line = json.loads(out.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("error", "gateway.x", "a\nb")


@pytest.mark.parametrize("as_json", [False, True])
def test_an_exception_is_told_by_type_and_frames_not_by_its_text(as_json: bool) -> None:
    out = lines(as_json=as_json)
    try:
        raise ValueError("Joana's secret")
    except ValueError:
        logging.getLogger("gateway.x").exception("broken")
    text = out.getvalue()
    assert text.count("\n") == 1 and "ValueError" in text and "test_logs.py" in text
    assert "Joana" not in text.replace('raise ValueError("Joana', "").replace('raise ValueError(\\"Joana', "")


def test_an_event_outside_any_exception_says_so() -> None:
    out = lines()
    logging.getLogger("gateway.x").error("odd", exc_info=True)  # noqa: LOG014 (the very case)
    assert "odd | no exception" in out.getvalue()


def test_libraries_that_would_write_addresses_are_kept_quiet() -> None:
    out = lines(level="debug")
    for name in ("httpx", "aiohttp.client", "uvicorn.access"):
        logging.getLogger(name).info("GET https://vendor.example/?token=1")
    logging.getLogger("gateway.x").debug("seen")
    assert "vendor.example" not in out.getvalue() and "seen" in out.getvalue()


def test_a_higher_level_holds_for_libraries_too() -> None:
    out = lines(level="error")
    logging.getLogger("httpx").warning("no")
    assert out.getvalue() == ""


def test_a_very_long_line_is_cut() -> None:
    out = lines()
    logging.getLogger("gateway.x").info("x" * 100_000)
    assert len(out.getvalue()) < logs.MAX_LINE + 100
