"""config.yaml as it was written: values by their path, secrets read, every problem noted at its place.

What was given as a secret is never shown: not in a message, not in a correction, not as a line of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.errors import Problem, ProblemsFound
from gateway.mapping.schema import check_schema
from gateway.mapping.settings import ONLY_SECRETS
from gateway.mapping.source import Source
from gateway.mapping.units import seconds, size_bytes
from gateway.secret import Secret, SecretUnreadable, has_source, hide, is_source, read_secret
from gateway.yamlfile import Document, Place, read_yaml

SCHEMA = "config.json"

_SECRETIVE = re.compile(r"(?i)key|secret|token|password|passwd|auth|path|store|value")
_USER = re.compile(r"//([^/@\s]+)@")
_FILE = "${file:"
_OPEN_KEYS = frozenset({"kind", "name"})


@dataclass(slots=True, kw_only=True)
class ConfigFile:
    """An open config.yaml. `broken` are the places its schema refused: a scalar there reads as not given.

    `hidden` are texts that no report may show.
    """

    source: Source
    folder: Path
    environ: Mapping[str, str]
    broken: set[Place]
    hidden: set[str]

    def has(self, *path: str | int) -> bool:
        return self.source.at(path) is not None

    def object(self, *path: str | int) -> dict[str, Any]:
        value = self.source.at(path)
        return value if isinstance(value, dict) else {}

    def value(self, *path: str | int, default: Any = None) -> Any:
        """A scalar with its type, or the default where it is missing or refused."""
        value = self.source.at(path)
        if value is None or path in self.broken or isinstance(value, dict | list):
            return default
        return value

    def text(self, *path: str | int) -> str | None:
        """A scalar as it is spelt in the file."""
        return None if self.value(*path) is None else self.source.document.text_of(path)

    def seconds(self, *path: str | int, default: float) -> float:
        """A duration such as `8s`."""
        return seconds(self._with_unit(path, "s"), default)

    def bytes(self, *path: str | int, default: int) -> int:
        """A size such as `10MB`."""
        return size_bytes(self._with_unit(path, "MB"), default)

    def secret(self, *path: str | int, plain: bool = False) -> Secret | None:
        """The secret that stands at the path, or None, with a problem noted where one should be.

        With `plain` nobody minds that it is written out: the other end is on this machine.
        """
        text = self.text(*path)
        if text is None:
            if self.has(*path) and path not in self.broken:
                self.problem(path, "A secret is one text.", fix="Write `${env:NAME}` or `${file:/path}`.")
            return None
        try:
            secret = read_secret(text, folder=self.folder, environ=self.environ)
        except SecretUnreadable as trouble:
            self.problem(path, trouble.message, fix=trouble.fix)
            return None
        if not plain and not is_source(text):
            self.warn(
                path, "This secret is written out.", fix="Put it into the environment: `${env:NAME}` here."
            )
        return secret

    def secret_file(self, *path: str | int) -> Path | None:
        """The file that `${file:…}` at this path names, None where the secret does not come from a file."""
        text = self.text(*path)
        if text is None or not is_source(text) or not text.startswith(_FILE):
            return None
        return self.folder / text.removeprefix(_FILE).removesuffix("}").strip()

    def _with_unit(self, path: Place, usual: str) -> str | None:
        """A text that the schema has checked; a bare number is a problem."""
        value = self.value(*path)
        if value is None or isinstance(value, str):
            return value
        self.problem(path, f"`{value}` has no unit.", fix=f"Write it such as `{value}{usual}`.")
        return None

    def problem(self, path: Place, message: str, *, fix: str | None = None, key: bool = False) -> None:
        self.source.problem(path, message, fix=fix, key=key)

    def warn(self, path: Place, message: str, *, fix: str | None = None) -> None:
        self.source.problem(path, message, fix=fix, severity="warning")

    def is_sound(self, tenant: str) -> bool:
        """Whether nothing is wrong, so far, with what stands under this tenant."""
        here = f"tenants.{tenant}"
        return not any(
            problem.severity == "error" and (problem.place == here or problem.place.startswith(f"{here}."))
            for problem in self.source.problems
        )

    def report(self) -> list[Problem]:
        """Every problem once, in the order of the file; problems of mapping files after its own."""
        mine = str(self.source.document.file)
        return sorted(
            dict.fromkeys(hide(problem, self.hidden) for problem in self.source.problems),
            key=lambda found: (str(found.file) != mine, str(found.file), found.line, found.column),
        )


def open_config(path: Path, environ: Mapping[str, str]) -> ConfigFile:
    """Read the file and check it against its schema. Raises ProblemsFound when it is no YAML object."""
    source = Source(_read(path))
    if not isinstance(source.document.data, dict):
        source.problem((), "A configuration is an object with keys such as `store` and `tenants`.")
        raise ProblemsFound(source.problems)
    _, broken = check_schema(source, SCHEMA)
    _refuse_misplaced_sources(source)
    return ConfigFile(
        source=source,
        folder=path.resolve().parent,
        environ=environ,
        broken=broken,
        hidden=set(_secret_texts(source.document)),
    )


def is_secret_place(path: Place) -> bool:
    """Whether the scalar at this path may be a secret."""
    match path:
        case ("store" | "secret", *_):
            return True
        case ("tenants", _, "secrets", *_) | ("tenants", _, "lms", _, "secrets", *_):
            return True
        case ("tenants", _, "rtopilot", "api_key", *_):
            return True
        case ("tenants", _, "rtopilot", "hooks", "signature" | "merged" | "allow_unsigned", *_):
            return False
        case ("tenants", _, "inbound", *_) | ("tenants", _, "rtopilot", "hooks", *_):
            return path[-1] not in _OPEN_KEYS
        case _:
            return False


def _read(path: Path) -> Document:
    try:
        return read_yaml(path)
    except ProblemsFound as found:
        problems = [_without_secrets(problem) for problem in found.problems]
    raise ProblemsFound(problems)


def _without_secrets(problem: Problem) -> Problem:
    if problem.source is None or not _SECRETIVE.search(f"{problem.place} {problem.source}"):
        return problem
    return replace(problem, source=None, fix=None)


def _secret_texts(document: Document) -> Iterator[str]:
    for path, value in _scalars(document.data):
        text = document.text_of(path) or str(value)
        if is_secret_place(path) and not is_source(text):
            yield text
        elif match := _USER.search(text):
            yield match[1]


def _refuse_misplaced_sources(source: Source) -> None:
    for path, value in _scalars(source.document.data):
        if isinstance(value, str) and has_source(value) and not is_secret_place(path):
            source.problem(path, ONLY_SECRETS, fix="Write the value itself.")


def _scalars(data: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _scalars(value, (*path, key))
    elif isinstance(data, list):
        for at, value in enumerate(data):
            yield from _scalars(value, (*path, at))
    elif data is not None:
        yield path, data
