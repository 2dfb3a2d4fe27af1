"""Load a mapping file: strict YAML, then its JSON Schema, then every name resolved.

All problems of a file are reported together, each with a place and what to write instead.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from gateway.contract import Operation
from gateway.errors import Problem, ProblemsFound
from gateway.mapping import compile_operations
from gateway.mapping.compile_calls import Calls, Node, ServerDefaults
from gateway.mapping.compile_operations import Operations
from gateway.mapping.compile_server import ServerCompiler, path_style
from gateway.mapping.names import Names
from gateway.mapping.schema import check_schema
from gateway.mapping.source import Source
from gateway.mapping.spec import Launch, MappingSpec, OperationSpec, Policy, ProgressSpec
from gateway.mapping.templates import Path
from gateway.yamlfile import Document, parse_yaml, read_yaml

SCHEMA = "mapping-1.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A usable mapping and what lint still wants to say about it."""

    mapping: MappingSpec
    warnings: tuple[Problem, ...]


def load_mapping(file: FilePath) -> Loaded:
    """Read and compile one mapping file. Raises ProblemsFound with everything wrong in it."""
    return compile_document(read_yaml(file))


def parse_mapping(text: str, name: str = "mapping.yaml") -> Loaded:
    """The same from text."""
    return compile_document(parse_yaml(text, file=name))


def compile_document(document: Document) -> Loaded:
    source = Source(document)
    if not isinstance(document.data, dict):
        source.problem((), "A mapping file is an object with keys such as `format` and `server`.")
        raise ProblemsFound(source.problems)
    broken = check_schema(source, SCHEMA)
    spec = _Compiler(source, document.data, broken).compile()
    errors = sorted((problem for problem in source.problems if problem.severity == "error"), key=_order)
    warnings = tuple(sorted((problem for problem in source.problems if problem.severity != "error"), key=_order))
    if errors or spec is None:
        raise ProblemsFound([*errors, *warnings])
    return Loaded(mapping=spec, warnings=warnings)


def _order(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


class _Compiler:
    """Compiles one document section by section, going round what the schema has refused."""

    def __init__(self, source: Source, data: Node, broken: set[Path]) -> None:
        self.source, self.data, self.broken = source, data, broken
        settings = _objects(data, "settings")
        source.secret_settings = frozenset(name for name, node in settings.items() if isinstance(node, dict) and node.get("secret"))
        self.names = Names(self._everywhere(settings))
        self.secrets: dict[str, None] = dict.fromkeys(_objects(data, "secrets"))
        server = _objects(data, "server")
        soap = _objects(server, "soap")
        defaults = ServerDefaults(
            path=path_style(server),
            soap_action=soap.get("action", ""),
            soap_encoded=soap.get("encoded", False),
            json_omit_empty=_objects(server, "json").get("omit_empty", False),
            form_omit_empty=_objects(server, "form").get("omit_empty", False),
        )
        self.calls = Calls(source, _objects(data, "calls"), defaults, self.secrets)

    def _everywhere(self, settings: Node) -> dict[str, Any]:
        bundles = _objects(self.data, "bundles").get("of", {})
        fields: dict[str, None] = {}
        for values in bundles.values() if isinstance(bundles, dict) else ():
            fields.update(dict.fromkeys(values if isinstance(values, dict) else ()))
        facts = _objects(_objects(self.data, "probe"), "facts")
        return {"settings": dict.fromkeys(settings), "bundle": fields, "probe": dict.fromkeys(facts)}

    def sound(self, *path: str) -> bool:
        """Whether the schema found nothing wrong at or directly below this section."""
        return path[0] in self.data and not any(bad[: len(path)] == path and len(bad) <= len(path) + 1 for bad in self.broken)

    def compile(self) -> MappingSpec | None:
        server_compiler = ServerCompiler(self.source, self.names, self.secrets)
        server = server_compiler.server(self.data["server"], self.calls) if self._whole("server") else None
        settings = server_compiler.settings(self.data["settings"], self.calls) if self._whole("settings") else {}
        operations, compiler = self._operations()
        progress = self._progress(compiler)
        self._check_unused_calls()
        probe = server_compiler.probe(self.data["probe"], self.calls) if self._whole("probe") else None
        launch = self._launch(compiler)
        self._check_unused()
        self._check_plain_secrets()
        if server is None or any(problem.severity == "error" for problem in self.source.problems):
            return None
        return MappingSpec(
            name=self.data["mapping"],
            version=str(self.data["version"]),
            vendor=self.data["vendor"],
            file=str(self.source.document.file),
            digest=hashlib.sha256(json.dumps(self.data, sort_keys=True).encode()).hexdigest()[:12],
            settings=settings,
            secrets=server_compiler.secret_specs(_objects(self.data, "secrets")),
            bundles=server_compiler.bundles(self.data.get("bundles")),
            server=server,
            operations=operations,
            progress=progress,
            launch=launch,
            probe=probe,
            provisional=tuple(self.data.get("provisional", ())),
        )

    def _whole(self, section: str) -> bool:
        return section in self.data and not any(bad[:1] == (section,) for bad in self.broken)

    def _operations(self) -> tuple[dict[Operation, OperationSpec], Operations]:
        nodes = _objects(self.data, "operations")
        record, key = compile_operations.record_names(nodes)
        compiler = Operations(
            source=self.source,
            calls=self.calls,
            names=self.names,
            broken=self.broken,
            record=record,
            key=key,
            known_student=compile_operations.remembered(nodes, "student"),
            known_course=compile_operations.remembered(nodes, "course"),
        )
        found: dict[Operation, OperationSpec] = {}
        for operation in Operation:
            node = nodes.get(operation)
            if isinstance(node, dict) and self.sound("operations", operation.value) or (isinstance(node, dict) and not self.broken):
                found[operation] = compiler.operation(operation, node, ("operations", operation.value))
        self._warn_lost_fields(found, record, key)
        return found, compiler

    def _warn_lost_fields(self, operations: dict[Operation, OperationSpec], record: dict[str, None], key: tuple[str, ...]) -> None:
        """A field outside `key` is gone with the database; say so where it is used without `??`."""
        lost = set(record) - set(key)
        for path, text in _texts(_objects(self.data, "operations"), ("operations",)):
            for name in lost:
                if path[1] == "createEnrolment" or not re.search(rf"\benrolment\.{name}\b", text) or self._guarded(path, name):
                    continue
                self.source.problem(
                    path,
                    f"`enrolment.{name}` is lost with the database: only {', '.join(key)} can be read back from the id.",
                    fix="Add a step that looks it up, or `??` with a fallback.",
                    severity="warning",
                )

    def _guarded(self, path: Path, name: str) -> bool:
        """Whether the text, or the `when` of a step around it, supplies a fallback with `??`."""
        node: Any = self.data
        fallback = re.compile(rf"\benrolment\.{name}\s*\?\?")
        for step in path:
            if isinstance(node, dict) and fallback.search(str(node.get("when", ""))):
                return True
            node = node[step]
        return bool(fallback.search(str(node)))

    def _progress(self, compiler: Operations) -> ProgressSpec | None:
        node = _objects(self.data, "progress")
        if not node or any(bad[:1] == ("progress",) and len(bad) <= 2 for bad in self.broken):
            return None
        read = _objects(node, "read")
        steps, _ = compiler.steps(read.get("steps") or [], ("progress", "read", "steps"), compiler.enrolment_names())
        if steps:
            self._check_read(read["steps"][-1], len(read["steps"]) - 1)
        return ProgressSpec(policy=Policy(**_objects(node, "policy")), read=steps)

    def _check_read(self, step: Node, index: int) -> None:
        fields = {key.removesuffix("?") for key in step.get("value", {})}
        path: Path = ("progress", "read", "steps", index)
        for name in ("completed", "percent"):
            if name not in fields:
                self.source.problem(path, f"The last step of `progress.read` must give `{name}`.", fix=f"Add `{name}` to its `value`.")

    def _check_unused_calls(self) -> None:
        for name, node in self.calls.shared.items():
            if isinstance(node, dict) and not any(bad[:2] == ("calls", name) for bad in self.broken):
                # compiled for its problems only: each use compiles it again with the names of that place
                anything = Names({**self.names.tree, **dict.fromkeys(("args", "steps", "known", "enrolment", "student", "to", "courseId", "searchTerm", "quizResults"))})
                self.calls.call({key: value for key, value in node.items() if key != "use"}, ("calls", name), anything)

    def _launch(self, compiler: Operations) -> Launch | None:
        if not self._whole("launch"):
            return None
        node, path = self.data["launch"], ("launch",)
        names = self.names.plus(enrolment={**compiler.record, "courseId": None}, secrets=self.secrets)
        action = None
        if "call" in node:
            action = compiler._action(node["call"], ("launch", "call"), names, "launch")
            names = names.plus(reply=None)
        fragment = _objects(node, "fragment")
        return Launch(
            url=self.source.template(node["url"], (*path, "url"), names),
            query=self.source.optional_template(node, "query", path, names),
            fragment_path=fragment.get("path"),
            fragment_query=self.source.optional_template(fragment, "query", (*path, "fragment"), names),
            call=action,
        )

    def _check_unused(self) -> None:
        everything = " ".join(text for _, text in _texts(self.data))
        for root, section in (("settings", "settings"), ("secrets", "secrets")):
            for name in _objects(self.data, section):
                mentioned = (root, name) in self.source.used or f"{root}.{name}" in everything or _objects(self.data, "bundles").get("by") == name
                if not mentioned:
                    self.source.problem((section, name), f"`{root}.{name}` is never used.", fix="Use it, or remove it.", severity="warning", key=True)

    def _check_plain_secrets(self) -> None:
        for path, text in _texts(self.data):
            if looks_secret(text):
                self.source.problem(path, "This looks like a secret. Secrets never stand in a mapping file.", fix="Name it under `secrets:` and write `${secrets.NAME}`.", severity="warning")


def looks_secret(text: str) -> bool:
    """Whether a text has the length and randomness of a key (no spaces, three kinds of characters)."""
    if len(text) < 24 or not re.fullmatch(r"[A-Za-z0-9+/=_-]+", text):
        return False
    kinds = sum(bool(re.search(kind, text)) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    counts = Counter(text)
    entropy = -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())
    return kinds == 3 and entropy > 3.8


def _objects(node: Any, key: str) -> Node:
    value = node.get(key) if isinstance(node, dict) else None
    return value if isinstance(value, dict) else {}


def _texts(node: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _texts(value, (*path, key))
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from _texts(value, (*path, at))
    elif isinstance(node, str):
        yield path, node
