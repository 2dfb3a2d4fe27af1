"""A tenant's settings, checked against the mapping's table, and ready for use by one operation after another.

All problems are noted at their places in the tenant's document; nothing stops at the first. A template is
filled in for each operation, with the student that operation is about.
Source: mapping-language.md 2.2.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.errors import Problem, ProblemsFound
from gateway.mapping.expressions import Runtime, nearest
from gateway.mapping.names import PERSON, Names
from gateway.mapping.setting_values import Wrong, check_scalar, wrong_kind
from gateway.mapping.source import Source
from gateway.mapping.spec import MappingSpec, Setting
from gateway.mapping.templates import Context, Path, Template, learn
from gateway.secret import has_source, hide
from gateway.yamlfile import parse_yaml

ONLY_SECRETS = (
    "`${env:…}` and `${file:…}` stand only as whole values under secrets, inbound, hooks, api_key, store."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """What one tenant chose, defaults applied.

    `constants`: values that hold for every operation, null where nothing was given; `templates`: those
    filled in each time; `bundle`: the values of the tenant's choice; `secret`: names a trace must mask.
    """

    constants: Mapping[str, Any] = field(default_factory=dict, repr=False)
    templates: Mapping[str, Template] = field(default_factory=dict)
    bundle: Mapping[str, Any] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()

    def values(self, student: Mapping[str, Any] | None, runtime: Runtime) -> dict[str, Any]:
        """The `settings` root for one operation.

        A template that uses `student` is null in an operation that is about nobody. Raises ExpressionError
        (`kind` null) when a part of a template turns out null.
        """
        scope: dict[str, Any] = {"settings": self.constants}
        if student is not None:
            scope["student"] = student
        context = Context(scope, runtime)
        filled = {
            name: template.render(context) if student is not None or not _uses_student(template) else None
            for name, template in self.templates.items()
        }
        return {**self.constants, **filled}

    def sensitive(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The texts among `values` (from `values()`) that a trace must mask, each with its label."""
        found: dict[str, str] = {}
        for name in self.secret:
            learn(found, values.get(name), f"‹setting {name}›")
        return found


def resolve_settings(mapping: MappingSpec, source: Source, path: Path) -> TenantSettings:
    """The settings at `path` of a document, which may be missing. Problems are added to `source`.

    With problems of severity error the result is incomplete and must not be used.
    """
    given = source.at(path)
    if given is not None and not isinstance(given, dict):
        source.problem(path, "Settings are names with values, one a line.", fix=_first_line(mapping))
        given = {}
    given = {name: value for name, value in (given or {}).items() if value is not None}
    secret = frozenset(name for name, setting in mapping.settings.items() if setting.secret)
    resolver = _Resolver(mapping, source, path, given, secret)
    resolver.note_unknown()
    resolver.note_missing()
    settings = resolver.settings()
    hidden = settings.sensitive(given)
    source.problems[:] = [hide(problem, hidden) for problem in source.problems]
    return settings


def parse_settings(mapping: MappingSpec, text: str, *, name: str = "settings") -> TenantSettings:
    """The settings written as YAML. Raises ProblemsFound."""
    source = Source(parse_yaml(text, file=name))
    settings = resolve_settings(mapping, source, ())
    if any(problem.severity == "error" for problem in source.problems):
        raise ProblemsFound(source.problems)
    return settings


def check_value(setting: Setting, source: Source, path: Path, names: Names) -> Any:
    """The value at `path` as the setting's type wants it, a Template for a template.

    Problems are added to `source`; then the result is None. Also fit for a mapping's own defaults.
    """
    mine = replace(source, problems=[])
    try:
        _refuse_placeholder(setting, source.at(path))
        return _checked(setting, mine, path, names)
    except Wrong as wrong:
        return mine.problem(path, wrong.message, fix=wrong.fix or _example(setting))
    finally:
        hidden = {source.document.text_of(path) or ""} if setting.secret else set()
        source.problems.extend(hide(problem, hidden) for problem in mine.problems)


def _refuse_placeholder(setting: Setting, value: Any) -> None:
    if not isinstance(value, str):
        return
    if has_source(value):
        raise Wrong(ONLY_SECRETS, "Write the value itself.")
    if "${" in value and setting.type != "template":
        raise Wrong(f"`{setting.name}` is not a template: `${{…}}` is not filled in here.", _example(setting))


def template_names(mapping: MappingSpec, setting: Setting) -> Names:
    """The names a template setting may use: what it `uses`, and the settings that are no templates."""
    constants = [name for name, other in mapping.settings.items() if other.type != "template"]
    roots: dict[str, Any] = {"settings": dict.fromkeys(constants)}
    if "student" in setting.uses:
        roots["student"] = PERSON
    return Names(roots)


@dataclass(slots=True)
class _Resolver:
    mapping: MappingSpec
    source: Source
    path: Path
    given: Mapping[str, Any]
    secret: frozenset[str]

    def note_unknown(self) -> None:
        known = self.mapping.settings
        for name in self.given:
            if name not in known:
                message, fix = self._unknown(name, known)
                self.source.problem((*self.path, name), message, fix=fix, key=True)

    def _unknown(self, name: str, known: Iterable[str]) -> tuple[str, str]:
        if name in self.mapping.secrets:
            return (
                f"`{name}` is a secret of {self.mapping.name}.",
                "Write it under `secrets:`, beside `settings:`.",
            )
        if name == "base_url":
            return "`base_url` is not a setting.", "Write it beside `settings:`, not inside."
        near = nearest(name, known)
        listed = ", ".join(known) or "nothing"
        return (
            f"{self.mapping.name} has no setting `{name}`.",
            f"Write `{near}`." if near else f"It has: {listed}.",
        )

    def note_missing(self) -> None:
        # a misspelt name is one mistake, not also a missing one
        meant = {
            nearest(name, self.mapping.settings) for name in self.given.keys() - self.mapping.settings.keys()
        }
        for setting in self.mapping.settings.values():
            given = setting.name in self.given or setting.name in meant
            if setting.required and setting.default is None and not given:
                why = f": {setting.help}" if setting.help else ""
                self.source.problem(
                    self.path,
                    f"The setting `{setting.name}` is missing{why}.",
                    fix=_example(setting) or f"Add `{setting.name}:` here.",
                    key=True,
                )

    def settings(self) -> TenantSettings:
        found = {setting.name: self._value(setting) for setting in self.mapping.settings.values()}
        constants = {name: value for name, value in found.items() if not isinstance(value, Template)}
        return TenantSettings(
            constants=constants,
            templates={name: value for name, value in found.items() if isinstance(value, Template)},
            bundle=self._bundle(constants),
            secret=self.secret,
        )

    def _value(self, setting: Setting) -> Any:
        names = template_names(self.mapping, setting)
        if setting.name in self.given:
            source = replace(self.source, secret_settings=self.secret)
            return check_value(setting, source, (*self.path, setting.name), names)
        if setting.default is None:
            return None
        source, path = _default_source(self.mapping, setting, self.secret)
        value = check_value(setting, source, path, names)
        self.source.problems.extend(map(_placeless, source.problems))
        return value

    def _bundle(self, constants: Mapping[str, Any]) -> Mapping[str, Any]:
        for bundle in self.mapping.bundles.values():
            choice = constants.get(bundle.by)
            if isinstance(choice, str) and choice in bundle.of:
                return bundle.of[choice]
            words = ", ".join(bundle.of)
            if bundle.by not in self.given:
                message = f"The setting `{bundle.by}` is missing: other values depend on it."
                self.source.problem(self.path, message, fix=f"One of: {words}.", key=True)
            elif isinstance(choice, str):
                message = f"`{choice}` chooses no values; there are {words}."
                self.source.problem((*self.path, bundle.by), message)
        return {}


def _default_source(mapping: MappingSpec, setting: Setting, secret: frozenset[str]) -> tuple[Source, Path]:
    path: Path = ("settings", setting.name, "default")
    data = {"settings": {setting.name: {"default": setting.default}}}
    document = parse_yaml(json.dumps(data, ensure_ascii=False), file=mapping.file)
    return Source(document, secret_settings=secret), path


def _placeless(problem: Problem) -> Problem:
    """A default's problem: of the mapping file, whose lines are not at hand any more."""
    return replace(problem, line=0, column=0, source=None)


def _checked(setting: Setting, source: Source, path: Path, names: Names) -> Any:
    value = source.at(path)
    match setting.type:
        case "map":
            return _map(setting, value, source, path)
        case "list":
            return _list(setting, value, source, path)
        case "template":
            return _template(setting, source, path, names)
        case _:
            return check_scalar(setting, value, source.document.text_of(path))


def _map(setting: Setting, value: Any, source: Source, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_kind("names with values", value)
    item = Setting(name=setting.name, type="number" if setting.of_type == "number" else "text")
    return {key: _part(item, source, (*path, key)) for key in value}


def _list(setting: Setting, value: Any, source: Source, path: Path) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise wrong_kind("a list", value)
    return [_item(setting, source, (*path, at)) for at in range(len(value))]


def _item(setting: Setting, source: Source, path: Path) -> dict[str, Any]:
    """One object of a list. A field that is not required may be left out; then it is null."""
    value = source.at(path)
    fields = setting.item
    if not isinstance(value, dict):
        source.problem(path, f"This must be an object with {', '.join(fields)}.", fix=_example(setting))
        return {}
    for name in value:
        if name not in fields:
            near = nearest(name, fields)
            fix = f"Write `{near}`." if near else f"It has: {', '.join(fields)}."
            source.problem((*path, name), f"An item of `{setting.name}` has no `{name}`.", fix=fix, key=True)
    for name, part in fields.items():
        if value.get(name) is None and part.required:
            why = f": {part.help}" if part.help else ""
            source.problem(path, f"`{name}` is missing in this item{why}.", fix=f"Add `{name}:`.")
    return {
        name: _part(part, source, (*path, name)) if value.get(name) is not None else None
        for name, part in fields.items()
    }


def _part(setting: Setting, source: Source, path: Path) -> Any:
    return check_value(setting, source, path, Names({}))


def _template(setting: Setting, source: Source, path: Path, names: Names) -> Template:
    text = source.document.text_of(path)
    if text is None:
        raise wrong_kind("text", source.at(path))
    template = source.template(text, path, names)
    if template.constant:
        check_scalar(replace(setting, type="text"), text, text)
    return template


def _uses_student(template: Template) -> bool:
    return any("student" in expression.roots or expression.whole_scope for expression in template.expressions)


def _example(setting: Setting) -> str | None:
    if setting.example is None:
        return None
    return f"For example `{setting.name}: {json.dumps(setting.example, ensure_ascii=False)}`."


def _first_line(mapping: MappingSpec) -> str:
    return f"{mapping.name} has: {', '.join(mapping.settings) or 'no settings'}."
