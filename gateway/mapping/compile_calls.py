"""From the YAML of one call to a `CallSpec`: request, reply rules, list handling, paging, value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gateway.mapping.compile_requests import BODIES, Requests
from gateway.mapping.expressions import Expression, nearest
from gateway.mapping.names import REPLY, Names
from gateway.mapping.origin import Node, Origin, bare_names
from gateway.mapping.pruning import placed
from gateway.mapping.source import Source
from gateway.mapping.spec import CallSpec, Pages, Rule
from gateway.mapping.styles import Outcome
from gateway.mapping.templates import Path, Template

_ARGUMENT = re.compile(r"\bargs\.([A-Za-z_][A-Za-z0-9_]*)")
_ONLY_LISTS = ("keep", "pick", "pages")
_PAGE_KEYS = {
    "none": {"size", "per"},
    "page": {"number", "first", "step", "size", "per", "stop"},
    "until-empty": {"number", "first", "step", "size", "per"},
    "offset": {"offset", "first", "step", "size", "per", "stop"},
    "cursor": {"send", "next", "size", "per", "stop"},
    "link": {"rel", "same_host", "size", "per", "stop"},
    "next-url": {"next", "same_host", "size", "per", "stop"},
}


@dataclass(slots=True)
class Calls:
    """Compiles the calls of one mapping.

    `shared` holds what is left of the YAML under `calls`, `written` all names there. `has_login`: whether
    outcome `relogin` means anything.
    """

    source: Source
    requests: Requests
    shared: Mapping[str, Node]
    written: Mapping[str, None] | None
    has_login: bool
    used: set[str] = field(default_factory=set)

    def origin(self, node: Node, path: Path) -> Origin | None:
        """The keys of a call, with those of the shared call it uses; None when that cannot be used."""
        name = node.get("use")
        if name is None:
            return Origin(node, path)
        self.used.add(name)
        if name in self.shared:
            self._check_use(node, path)
            return Origin(node, path, self.shared[name], ("calls", name))
        if self.written is not None and name not in self.written:
            near = nearest(name, self.written)
            listed = ", ".join(sorted(self.written)) or "none"
            fix = f"Write `{near}`." if near else f"There are: {listed}."
            self.source.problem((*path, "use"), f"There is no call `{name}` under `calls`.", fix=fix)
        return None

    def _check_use(self, node: Node, path: Path) -> None:
        if "call" in node:
            self.source.problem((*path, "call"), "`use` brings its own `call`.", fix="Keep one of the two.")
        shared = self.shared[node["use"]]
        needed, given = set(_ARGUMENT.findall(str(shared))), set(bare_names(node.get("args")))
        if self.source.is_broken((*path, "args")):
            return
        for name in sorted(needed - given):
            self.source.problem(
                (*path, "use"), f"`{node['use']}` needs the argument `{name}`.", fix="Add it under `args:`."
            )
        for name in sorted(given - needed):
            near = nearest(name, needed - given)
            fix = f"Write `{near}`." if near else "Remove it."
            self.source.problem(
                (*path, "args", name), f"`{node['use']}` reads no `args.{name}`.", fix=fix, key=True
            )

    def call(self, node: Node, path: Path, names: Names) -> CallSpec | None:
        """One call, alone or by `use`; None, with a problem noted, when it cannot be made out."""
        where = self.origin(node, path)
        if where is None:
            return None
        if "call" not in where:
            if not self.source.is_broken((*path, "call")) and not where.shared:
                self.source.problem(path, "There is no call here.", fix="Add `call: GET /…` or `use: NAME`.")
            return None
        return self.assemble(where, names)

    def assemble(self, where: Origin, names: Names) -> CallSpec:
        args: Template | None = None
        if "use" in where.node:
            given = where.node.get("args", {})
            args = self.source.template(given, (*where.at, "args"), names)
            names = names.plus(args=None)  # checked as a whole, where the call is used
        after = names.plus(reply=REPLY)
        self._check_lists(where)
        return CallSpec(
            place=self.source.dotted(where.at),
            request=self.requests.request(where, names),
            args=args,
            replies=self._all_rules(where, after),
            items=self._expression(where, "items", after),
            keep=self._expression(where, "keep", after, item=True),
            pick=self._expression(where, "pick", after, item=True),
            none=cast(Outcome, where.get("none", "absent")),
            pages=self._pages(where, names, after.plus(items=None)),
            value=self._value(where, self.after(where, after)),
        )

    def after(self, where: Origin, names: Names) -> Names:
        """The names known once a call has been answered."""
        names = names.plus(reply=REPLY)
        if "use" in where.node:
            names = names.plus(args=bare_names(where.node.get("args")))
        if "items" in where:
            names = names.plus(items=None)
        return names.plus(item=None) if "pick" in where else names

    def _check_lists(self, where: Origin) -> None:
        for key in _ONLY_LISTS:
            if key in where and "items" not in where and not self.source.is_broken(where.path("items")):
                self.source.problem(
                    where.path(key),
                    f"`{key}` needs `items` beside it.",
                    fix="Add `items: reply.body`.",
                    key=True,
                )
        if "none" in where and "pick" not in where:
            self.source.warning(where.path("none"), "`none` only means something beside `pick`.", key=True)

    def _expression(self, where: Origin, key: str, names: Names, *, item: bool = False) -> Expression | None:
        if key not in where:
            return None
        return self.source.expression(where[key], where.path(key), names, item=item)

    def _value(self, where: Origin, names: Names) -> Template | None:
        if "value" not in where:
            return None
        for name in ("items", "item"):
            if name in where.value_names():
                self.source.problem(
                    (*where.path("value"), name),
                    f"`{name}` is a reserved name: it is what the keyword of that name gives.",
                    fix="Choose another name.",
                    key=True,
                )
        return self.source.template(where["value"], where.path("value"), names)

    # Reply rules.

    def _all_rules(self, where: Origin, names: Names) -> tuple[Rule, ...]:
        own = self.rules(where.node.get("replies"), (*where.at, "replies"), names)
        return own + self.rules(where.shared.get("replies"), (*where.shared_at, "replies"), names)

    def rules(self, nodes: Any, path: Path, names: Names) -> tuple[Rule, ...]:
        """Reply rules in order."""
        return tuple(self._rule(node, (*path, index), names) for index, node in placed(nodes))

    def _rule(self, node: Node, path: Path, names: Names) -> Rule:
        self._check_rule(node, path)
        return Rule(
            place=self.source.dotted(path),
            when=self.source.expression(node["if"], (*path, "if"), names),
            outcome=node["is"],
            say=self.source.optional_template(node, "say", path, names),
            texts=self.source.optional_expression(node, "texts", path, names),
            warn=self.source.optional_template(node, "warn", path, names),
            wait=self.source.optional_expression(node, "wait", path, names),
            limit=node.get("limit"),
        )

    def _check_rule(self, node: Node, path: Path) -> None:
        if "limit" in node and node["is"] != "restart":
            self.source.warning((*path, "limit"), "`limit` only means something for `restart`.", key=True)
        if node["is"] == "relogin" and not self.has_login:
            self.source.problem(
                (*path, "is"),
                "`relogin` needs an `auth` that logs in: `kind: session` or `oauth2`.",
                fix="Write `fail`.",
            )

    def refuse_restart(self, where: Origin, message: str) -> None:
        """Note every rule of a call that says `restart`."""
        for replies, path in (
            (where.node.get("replies"), where.at),
            (where.shared.get("replies"), where.shared_at),
        ):
            for at, rule in placed(replies):
                if rule["is"] == "restart":
                    self.source.problem((*path, "replies", at, "is"), message, fix="Use another outcome.")

    # Pages.

    def _pages(self, where: Origin, before: Names, names: Names) -> Pages | None:
        """`before` are the names before anything is sent, `names` those after a page."""
        if "pages" not in where:
            return None
        node, path = where["pages"], where.path("pages")
        self._check_pages(node, path)
        self._check_spots(where, node, path)
        stop = node.get("stop")
        return Pages(
            kind=node["kind"],
            where=_spot(node.get("number") or node.get("offset") or node.get("send")),
            first=node.get("first", 0 if node["kind"] == "offset" else 1),
            size_where=_spot(node.get("size")),
            per=node.get("per"),
            step=self.source.optional_template(node, "step", path, before),
            total=self.source.optional_expression(node, "total", path, names),
            stop_short=stop == "short",
            stop=None if stop in (None, "short") else self.source.expression(stop, (*path, "stop"), names),
            next=self.source.optional_expression(node, "next", path, names),
            rel=node.get("rel", "next"),
            same_host=node.get("same_host", False),
            limit=node.get("limit", 100),
        )

    def _check_pages(self, node: Node, path: Path) -> None:
        for key in node.keys() - _PAGE_KEYS[node["kind"]] - {"kind", "limit", "total"}:
            self.source.problem(
                (*path, key), f"Pages of kind `{node['kind']}` have no `{key}`.", fix="Remove it.", key=True
            )
        if "size" in node and "per" not in node:
            self.source.problem((*path, "size"), "`size` needs `per`.", fix="Add `per: 100`.", key=True)

    def _check_spots(self, where: Origin, node: Node, path: Path) -> None:
        for key in ("number", "offset", "send", "size"):
            part, name = _spot(node.get(key)) or ("query", "")
            bodies = [kind for kind in BODIES if kind in where]
            if part != "query" and bodies and part not in bodies:
                self.source.problem(
                    (*path, key), f"This call has no `{part}` body.", fix=f"Write `query.{name}`, or move it."
                )


def _spot(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    part, _, name = text.partition(".")
    return part, name
