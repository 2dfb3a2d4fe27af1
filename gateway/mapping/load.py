"""Load a mapping file: strict YAML, then its JSON Schema, then every name resolved.

All problems of a file are reported together, each with a place and what to write instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any

from gateway.contract import Operation
from gateway.errors import Problem, ProblemsFound
from gateway.mapping import lint
from gateway.mapping.compile_calls import Calls
from gateway.mapping.compile_operations import Operations, record_names, remembered
from gateway.mapping.compile_progress import ProgressCompiler
from gateway.mapping.compile_requests import Requests
from gateway.mapping.compile_server import Servers, server_defaults
from gateway.mapping.compile_settings import Settings
from gateway.mapping.compile_steps import Steps
from gateway.mapping.names import REPLY, Names
from gateway.mapping.origin import Node, Origin
from gateway.mapping.schema import check_schema
from gateway.mapping.source import Source
from gateway.mapping.spec import Launch, MappingSpec, OperationSpec, ProgressSpec
from gateway.mapping.templates import Path
from gateway.yamlfile import Document, parse_yaml, read_source

SCHEMA = "mapping-1.json"
MAX_PROBLEMS = 200
KEPT = 16
"""Mappings kept compiled, so that reading config.yaml again costs little for each that has not changed."""
_ANYTHING = (
    *("args", "steps", "known", "enrolment", "student", "to", "courseId", "searchTerm", "quizResults"),
    *("enrolments", "window"),
)
"""Roots a shared call may use, depending on where it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A usable mapping and what lint still wants to say about it."""

    mapping: MappingSpec
    warnings: tuple[Problem, ...]


def load_mapping(file: FilePath) -> Loaded:
    """Read and compile one mapping file. Raises ProblemsFound with everything wrong in it."""
    return _compiled(read_source(file), file)


def parse_mapping(text: str, name: str = "mapping.yaml") -> Loaded:
    """The same from text."""
    return _compiled(text, name)


@lru_cache(maxsize=KEPT)
def _compiled(source: bytes | str, file: FilePath | str) -> Loaded:
    return compile_document(parse_yaml(source, file=file))


def compile_document(document: Document) -> Loaded:
    """The same from a document. Raises ProblemsFound."""
    source = Source(document)
    if not isinstance(document.data, dict):
        source.problem((), "A mapping file is an object with keys such as `format` and `server`.")
        raise ProblemsFound(source.problems)
    data, source.broken = check_schema(source, SCHEMA)
    spec = _Compiler(source, data).compile()
    errors, warnings = _sorted(source, "error"), _sorted(source, "warning")
    if errors or spec is None:
        raise ProblemsFound(_bounded([*errors, *warnings]))
    return Loaded(mapping=spec, warnings=tuple(_bounded(warnings)))


def _sorted(source: Source, severity: str) -> list[Problem]:
    found = (problem for problem in source.problems if problem.severity == severity)
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def _bounded(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= MAX_PROBLEMS:
        return problems
    more = f"There are {len(problems) - MAX_PROBLEMS} more problems."
    last = replace(problems[MAX_PROBLEMS], line=0, column=0, place="", message=more, fix=None, source=None)
    return [*problems[:MAX_PROBLEMS], last]


class _Compiler:
    """Compiles one document section by section; `data` is what the schema has left of it."""

    def __init__(self, source: Source, data: Node) -> None:
        self.source, self.data = source, data
        settings = data.get("settings", {})
        source.secret_settings = _settings(settings, lambda node: node.get("secret", False))
        source.template_settings = _settings(settings, lambda node: "student" in node.get("uses", ()))
        self.names = Names(self._everywhere())
        secrets = source.names_in("secrets")
        self.secret = self.names.plus(secrets=secrets)
        server = data.get("server", {})
        self.calls = Calls(
            source=source,
            requests=Requests(source, server_defaults(server), secrets),
            shared=data.get("calls", {}),
            written=source.names_in("calls"),
            has_login=server.get("auth", {}).get("kind") in ("session", "oauth2")
            or source.is_broken(("server", "auth")),
        )
        self.operations = self._operations_compiler()

    def _everywhere(self) -> dict[str, Any]:
        return {
            "settings": self.source.names_in("settings"),
            "bundle": self._bundle_fields(),
            "probe": self.source.names_in("probe", "facts"),
        }

    def _bundle_fields(self) -> Mapping[str, None] | None:
        forms = self.source.at(("bundles", "of"))
        if not isinstance(forms, dict):
            return None if self.source.broken else {}
        fields: dict[str, None] = {}
        for values in forms.values():
            fields.update(dict.fromkeys(values if isinstance(values, dict) else ()))
        return fields

    def _operations_compiler(self) -> Operations:
        written = self.source.at(("operations",))
        record, self.key = record_names(written)
        return Operations(
            source=self.source,
            steps=Steps(self.source, self.calls),
            names=self.names,
            record=record,
            known_student=remembered(written, "student"),
            known_course=remembered(written, "course"),
        )

    def compile(self) -> MappingSpec | None:
        """Every section, in any state; the whole only when nothing is wrong."""
        data = self.data
        settings = Settings(self.source, self.names, self.calls)
        servers = Servers(self.source, self.calls, self.names, self.secret)
        chosen = settings.settings(data.get("settings", {}))
        bundles = settings.bundles(data.get("bundles"))
        server = servers.server(data.get("server", {}))
        operations = self._operations(data.get("operations", {}))
        progress = self._progress(data["progress"]) if "progress" in data else None
        launch = self._launch(data["launch"]) if "launch" in data else None
        probe = servers.probe(data["probe"]) if "probe" in data else None
        used = set(self.calls.used)
        self._check_shared_calls()
        self._lint(used)
        if any(problem.severity == "error" for problem in self.source.problems):
            return None
        return MappingSpec(
            name=data["mapping"],
            version=data["version"],
            vendor={key: text for key, text in data["vendor"].items() if isinstance(text, str)},
            file=str(self.source.document.file),
            digest=hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12],
            settings=chosen,
            secrets=settings.secrets(data.get("secrets", {})),
            bundles=bundles,
            server=server,
            operations=operations,
            progress=progress,
            launch=launch,
            probe=probe,
            provisional=tuple(data.get("provisional", ())),
        )

    def _lint(self, used_calls: set[str]) -> None:
        lint.check_left_out(self.source)
        lint.check_unused(self.source, self.data, used_calls)
        lint.check_keys(self.source)
        lint.check_plain_secrets(self.source)
        lint.check_flattened(self.source)
        lint.check_lost_fields(self.source, self.operations.record, self.key)

    def _operations(self, nodes: Node) -> dict[Operation, OperationSpec]:
        return {
            operation: self.operations.operation(operation, nodes[operation], ("operations", operation.value))
            for operation in Operation
            if operation in nodes
        }

    def _progress(self, node: Node) -> ProgressSpec:
        compiler = ProgressCompiler(
            source=self.source, operations=self.operations, names=self.names, key=self.key
        )
        return compiler.progress(node)

    def _launch(self, node: Node) -> Launch:
        path: Path = ("launch",)
        record = self.operations.record
        names = self.names.plus(enrolment=None if record is None else {**record, "courseId": None})
        call, action = node.get("call"), None
        # without the reply: it is wanted most where the call has failed
        help_text = self.source.optional_template(node, "help", path, names)
        if call is not None:
            action = self.operations.steps.action(call, (*path, "call"), names, "launch")
            names = names.plus(reply=REPLY)
            if action is not None and action.writes:
                self.source.problem(
                    (*path, "call"), "A launch only reads.", fix="Add `effect: read`.", key=True
                )
        fragment = node.get("fragment")
        inside = fragment or {}
        return Launch(
            url=self.source.template(node["url"], (*path, "url"), names),
            query=self.source.optional_template(node, "query", path, names),
            fragment_path=None if fragment is None else inside.get("path", "/"),
            fragment_query=self.source.optional_template(inside, "query", (*path, "fragment"), names),
            call=action,
            help=help_text,
        )

    def _check_shared_calls(self) -> None:
        """Compile for their problems the calls that nothing uses; uses know the names of their places."""
        names = Names({**self.names.tree, **dict.fromkeys(_ANYTHING)})
        for name, node in self.calls.shared.items():
            if name not in self.calls.used:
                self.calls.assemble(Origin(node, ("calls", name)), names)


def _settings(nodes: Node, test: Callable[[Node], bool]) -> frozenset[str]:
    return frozenset(name for name, node in nodes.items() if test(node))
