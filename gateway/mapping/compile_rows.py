"""From the YAML of one row or event to templates: whose it is (`find`) and what it says (`value`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.mapping.expressions import nearest
from gateway.mapping.names import Names
from gateway.mapping.origin import Node
from gateway.mapping.source import Source
from gateway.mapping.templates import Path, Template

VALUES = ("percent", "completed", "at", "units")
"""What a reading may hold: docs/mapping-progress.md, "Read"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Compiles what polls and webhooks say of one row or event.

    `record` are the fields kept of an enrolment, None where the file does not say; its id is made of `key`.
    """

    source: Source
    record: Mapping[str, None] | None
    key: tuple[str, ...]

    def name(self, node: Node, path: Path, default: str, names: Names) -> str:
        """The name of one row, which must not hide another."""
        name: str = node.get("as", default)
        if name in names.tree:
            self.source.problem(
                (*path, "as"), f"`{name}` has a meaning here already.", fix=f"Write `{default}`."
            )
            return default
        return name

    def find(self, node: Node, path: Path, names: Names) -> dict[str, Template]:
        """The record fields by which the enrolments of a row are found; `names` know the row."""
        where, given = (*path, "find"), node.get("find", {})
        if given:
            self._check_fields(given, where)
        return {name: self.source.template(text, (*where, name), names) for name, text in given.items()}

    def _check_fields(self, given: Node, where: Path) -> None:
        known = [self._is_field(name, where) for name in given]
        missing = [name for name in self.key if name not in given]
        if all(known) and missing and not self.source.is_broken(where):
            self.source.warning(
                where,
                f"`find` has only a part of the key ({', '.join(self.key)}), so all active enrolments are "
                "looked through each time.",
                fix=f"Add {', '.join(f'`{name}`' for name in missing)}.",
                key=True,
            )

    def _is_field(self, name: str, where: Path) -> bool:
        if name.endswith("?"):
            self.source.problem(
                (*where, name),
                "Nothing in `find` may be left out: it would find others as well.",
                fix=f"Write `{name.rstrip('?')}`.",
                key=True,
            )
        elif self.record is not None and name not in self.record:
            near = nearest(name, self.record)
            self.source.problem(
                (*where, name),
                f"`createEnrolment` keeps no `{name}` in its `record`.",
                fix=f"Write `{near}`." if near else f"It has: {', '.join(self.record) or 'nothing'}.",
                key=True,
            )
        else:
            return True
        return False

    def value(self, node: Node, path: Path, names: Names) -> Template | None:
        """What a row says, as `progress.read` would; None without `value`."""
        if "value" not in node:
            return None
        where = (*path, "value")
        self._check_value(node["value"], where)
        return self.source.template(node["value"], where, names)

    def _check_value(self, given: Node, where: Path) -> None:
        if "completed" not in given:
            self.source.problem(
                where,
                "`value` must give `completed`: 100 is told only when it is true.",
                fix='Add `completed`, such as `completed: "${row.completedAt != null}"`.',
                key=True,
            )
        for key in given:
            name = key.removesuffix("?")
            if name not in VALUES:
                near = nearest(name, VALUES)
                self.source.problem(
                    (*where, key),
                    f"A reading has no `{name}`.",
                    fix=f"Write `{near}`." if near else f"It has: {', '.join(VALUES)}.",
                    key=True,
                )
