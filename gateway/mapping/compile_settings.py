"""From the YAML of `settings`, `secrets` and `bundles` to what a tenant may choose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

from gateway.mapping.compile_calls import Calls
from gateway.mapping.names import PERSON, Names
from gateway.mapping.origin import Node
from gateway.mapping.settings import check_value
from gateway.mapping.source import Source
from gateway.mapping.spec import Bundle, ChoiceSource, Secret, Setting
from gateway.mapping.templates import Path

_PATTERNED = ("text", "template", "host", "url", "link")
_ONLY_FOR: dict[str, tuple[str, ...]] = {
    "of": ("choice", "map"),
    "from": ("choice",),
    "item": ("list",),
    "uses": ("template",),
    "pattern": _PATTERNED,
    "refuse": _PATTERNED,
}
_SPELT = ("text", "host", "url", "link", "zone", "choice", "template")
"""Types whose values are text as it was written: `126` stays `"126"`, `1.10` stays `"1.10"`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Compiles what a tenant gives; `names` are those known everywhere."""

    source: Source
    names: Names
    calls: Calls

    def settings(self, nodes: Node) -> dict[str, Setting]:
        return {name: self._setting(name, node) for name, node in nodes.items()}

    def _setting(self, name: str, node: Node) -> Setting:
        path: Path = ("settings", name)
        of = node.get("of", ())
        setting = Setting(
            name=name,
            type=node["type"],
            required=node.get("required", False),
            default=self._spelt(node, path),
            help=node.get("help", ""),
            example=node.get("example"),
            pattern=self._pattern(node, "pattern", path),
            refuse=self._pattern(node, "refuse", path),
            secret=node.get("secret", False),
            of=tuple(of) if isinstance(of, list) else (),
            of_type=of if isinstance(of, str) else "text",
            item=dict(self._fields(node.get("item", {}), (*path, "item"))),
            uses=tuple(node.get("uses", ())),
            source=self._choices(node["from"], (*path, "from")) if "from" in node else None,
        )
        self._check_keys(setting, node, path)
        self._check_default(setting, path)
        return setting

    def _fields(self, nodes: Node, path: Path) -> Iterator[tuple[str, Setting]]:
        """The fields of a list's objects: a type word, or the type with what else is wanted."""
        for key, written in nodes.items():
            node: Node = {"type": written} if isinstance(written, str) else written
            name, where = key.removesuffix("?"), (*path, key)
            self._check_field(name, key, node, nodes, where)
            yield (
                name,
                Setting(
                    name=name,
                    type=node["type"],
                    required=node.get("required", name == key),
                    pattern=self._pattern(node, "pattern", where),
                    refuse=self._pattern(node, "refuse", where),
                    help=node.get("help", ""),
                ),
            )

    def _check_field(self, name: str, key: str, node: Node, nodes: Node, path: Path) -> None:
        for pattern in ("pattern", "refuse"):
            if pattern in node and node["type"] not in _PATTERNED:
                self._no_key(node["type"], (*path, pattern))
        if name != key and name in nodes:
            self.source.problem(
                path, f"`{name}` stands here already.", fix="Remove one of the two.", key=True
            )
        elif name != key and node.get("required"):
            message = f"`{key}` may be left out, so it is not `required`."
            self.source.problem((*path, "required"), message, fix="Remove it, or the `?`.", key=True)

    def _no_key(self, kind: str, path: Path) -> None:
        message = f"A setting of type `{kind}` has no `{path[-1]}`."
        self.source.problem(path, message, fix="Remove it.", key=True)

    def _spelt(self, node: Node, path: Path) -> Any:
        default = node.get("default")
        if node["type"] in _SPELT and isinstance(default, int | float):
            return self.source.document.text_of((*path, "default"))
        return default

    def _check_keys(self, setting: Setting, node: Node, path: Path) -> None:
        kind = setting.type
        for key in node:
            if kind not in _ONLY_FOR.get(key, (kind,)):
                self._no_key(kind, (*path, key))
        broken = any(self.source.is_broken((*path, key)) for key in ("of", "from", "item"))
        if kind == "choice" and not setting.of and "from" not in node and not broken:
            self.source.problem(
                path,
                "A choice needs its words, or where the vendor lists them.",
                fix="Add `of:` or `from:`.",
                key=True,
            )
        if kind == "list" and not setting.item and not broken:
            self.source.problem(
                path,
                "A list needs `item`: the fields of its objects.",
                fix="Add `item: {id: text}`.",
                key=True,
            )

    def _pattern(self, node: Node, key: str, path: Path) -> str | None:
        """A pattern; None, with a problem noted, for one that does not work."""
        if key not in node:
            return None
        options = re2.Options()
        options.log_errors = False
        try:
            re2.compile(node[key], options)
        except (re2.error, UnicodeError):
            fix = "RE2 is used: no look-around and no back-references."
            self.source.problem((*path, key), "This pattern does not work.", fix=fix)
            return None
        pattern: str = node[key]
        return pattern

    def _check_default(self, setting: Setting, path: Path) -> None:
        """The default is what the type says; a choice from the vendor's list cannot be checked here."""
        if setting.default is None:
            return
        if setting.required:
            self.source.warning(
                (*path, "required"),
                "A setting with a default is never missing.",
                fix="Remove `required`.",
                key=True,
            )
        if setting.type != "choice" or setting.of:
            check_value(setting, self.source, (*path, "default"), self._template_names(setting))

    def _template_names(self, setting: Setting) -> Names:
        settings = self.names.tree["settings"]
        constants = settings and {
            name: None for name in settings if name not in self.source.template_settings
        }
        student = {"student": PERSON} if "student" in setting.uses else {}
        return Names({"settings": constants, **student})

    def _choices(self, node: Node, path: Path) -> ChoiceSource | None:
        call = self.calls.call(node, path, self.names)
        if call is None:
            return None
        if call.request.effect == "write":
            self.source.problem(path, "A list to choose from is read.", fix="Add `effect: read`.", key=True)
        if call.items is None:
            self.source.problem(path, "The list is missing.", fix="Add `items: reply.body`.", key=True)
        name = node.get("as", "item")
        item = self.names.plus(**{name: None})
        give = {
            key: self.source.template(text, (*path, "give", key), item) for key, text in node["give"].items()
        }
        return ChoiceSource(call=call, name=name, give=give)

    def secrets(self, nodes: Node) -> dict[str, Secret]:
        return {name: _secret(name, node or {}) for name, node in nodes.items()}

    def bundles(self, node: Node | None) -> dict[str, Bundle]:
        """The bundle under its root's name."""
        if not node:
            return {}
        self._check_bundle(node)
        return {"bundle": Bundle(by=node["by"], of=node["of"])}

    def _check_bundle(self, node: Node) -> None:
        path: Path = ("bundles",)
        setting = self.source.at(("settings", node["by"]))
        words = setting.get("of") if isinstance(setting, dict) else None
        if not isinstance(words, list):
            self.source.problem(
                (*path, "by"), f"`{node['by']}` is not a setting of type `choice` with `of`.", fix="Name one."
            )
            return
        for word in map(str, words):
            if word not in node["of"]:
                self.source.problem(
                    (*path, "of"),
                    f"The setting may be `{word}`, which has no values here.",
                    fix=f"Add `{word}:`.",
                    key=True,
                )
        every = {name for values in node["of"].values() for name in values}
        for word, values in node["of"].items():
            if word not in map(str, words):
                self.source.problem(
                    (*path, "of", word), f"The setting is never `{word}`.", fix="Remove it.", key=True
                )
            for name in sorted(every - values.keys()):
                self.source.problem(
                    (*path, "of", word),
                    f"`{word}` has no `{name}`, which others have.",
                    fix=f"Add `{name}:`.",
                    key=True,
                )


def _secret(name: str, node: Node) -> Secret:
    return Secret(name=name, help=node.get("help", ""), required=node.get("required", True))
