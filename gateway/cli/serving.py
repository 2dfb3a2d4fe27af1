"""`lms-gateway serve`, which stays for months: without the library that reads the other commands' options.

That library brings 15 MB and a fifth of a second that a gateway never uses again. What is written unlike the
forms read here goes through it all the same, for its help and its messages.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LEVELS = ("debug", "info", "warning", "error")
_VALUES = ("--config", "--log-level")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `serve` was asked for; `config` None: found as every command finds it."""

    config: Path | None = None
    log_level: str = "info"
    log_json: bool = False


def read_options(words: Sequence[str]) -> Options | None:
    """The options of `serve`; None for another command, or words that only its full form can judge."""
    if not words or words[0] != "serve":
        return None
    given: dict[str, str] = {}
    rest = [part for word in words[1:] for part in _split(word)]
    log_json = "--log-json" in rest
    rest = [word for word in rest if word != "--log-json"]
    if len(rest) % 2 or any(name not in _VALUES for name in rest[::2]):
        return None
    given.update(zip(rest[::2], rest[1::2], strict=True))
    if given.get("--log-level", "info") not in LEVELS:
        return None
    config = given.get("--config")
    return Options(
        config=None if config is None else Path(config),
        log_level=given.get("--log-level", "info"),
        log_json=log_json,
    )


def _split(word: str) -> list[str]:
    name, equals, value = word.partition("=")
    return [name, value] if equals and name in _VALUES else [word]


def serve(options: Options) -> int:
    """Serve RTOPilot's calls until SIGTERM or Ctrl-C; gives the exit code."""
    from gateway import logs
    from gateway.config import find_config, load_config
    from gateway.errors import GatewayError, ProblemsFound, StoreError
    from gateway.listen import CannotListen
    from gateway.serving import serve as serve_until_told

    logs.set_up(options.log_level, as_json=options.log_json)
    try:
        serve_until_told(load_config(find_config(options.config)), announce=_say)
    except CannotListen as error:
        print(f"{error} Write another port under `listen:` or `admin:`, or stop who has it.", file=sys.stderr)
        return 1
    except (ProblemsFound, StoreError, GatewayError) as error:
        from gateway.cli.report import failed

        return failed(error)
    return 0


def _say(text: str) -> None:
    print(text, flush=True)
