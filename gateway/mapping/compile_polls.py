"""From the YAML of polls to `Poll`, with the rules that keep them from missing anything for good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.mapping.compile_calls import Calls
from gateway.mapping.compile_rows import Rows
from gateway.mapping.names import REPLY, Names
from gateway.mapping.origin import Node
from gateway.mapping.progress_spec import Audit, Poll, Timing, Window
from gateway.mapping.pruning import placed
from gateway.mapping.source import Source
from gateway.mapping.spec import CallSpec
from gateway.mapping.templates import Path
from gateway.mapping.units import seconds

PATH: Path = ("progress", "poll")
MIN_EVERY_S = 1.0
MAX_BACK_S = 3660 * 86400.0
"""As far back as a list may go: ten years."""
_OWN_KEYS = {
    "per-course": {"missing"},
    "per-enrolment": {"missing"},
    "delta": {"window", "audit"},
    "chunks": {"of", "missing"},
}
_ROOT = {"per-course": "courseId", "per-enrolment": "enrolment", "delta": "window", "chunks": "enrolments"}
_OF_A_CALL = ("items", "keep", "pages", "find", "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Polls:
    """Compiles the polls of one mapping; `names` are those known everywhere.

    `enrolment` are the names below `enrolment`, `can_read` whether one enrolment can be read by steps.
    """

    source: Source
    calls: Calls
    rows: Rows
    names: Names
    enrolment: Mapping[str, None] | None
    can_read: bool

    def polls(self, node: Any) -> tuple[Poll, ...]:
        """All plans, named `poll`, `poll-2`, … by their places."""
        if isinstance(node, list):
            found = tuple(
                self._poll(each, (*PATH, at), f"poll-{at + 1}" if at else "poll") for at, each in placed(node)
            )
        else:
            found = (self._poll(node, PATH, "poll"),) if node is not None else ()
        self._check_whole(node, found)
        return found

    def _poll(self, node: Node, path: Path, name: str) -> Poll:
        plan = node["plan"]
        self._check_keys(node, path)
        names = self.names.plus(**{_ROOT[plan]: self._root(plan)})
        call = self._call(node, path, names)
        names = names.plus(reply=REPLY)
        row = self.rows.name(node, path, "row", names)
        item = names.plus(**{row: None})
        return Poll(
            name=name,
            place=self.source.dotted(path),
            line=self.source.line(path),
            plan=plan,
            timing=self._timing(node, path),
            call=call,
            row=row,
            find=self.rows.find(node, path, item),
            value=self.rows.value(node, path, item),
            window=self._window(node, path),
            audit=self._audit(node, path),
            missing=node.get("missing", "ignore"),
            of=node.get("of", 25),
        )

    def _root(self, plan: str) -> Mapping[str, None] | None:
        return {"per-enrolment": self.enrolment, "delta": {"from": None, "to": None}}.get(plan)

    def _check_keys(self, node: Node, path: Path) -> None:
        plan = node["plan"]
        for key in sorted({"window", "audit", "of", "missing"} & node.keys() - _OWN_KEYS[plan]):
            self.source.problem(
                (*path, key), f"The plan `{plan}` has no `{key}`.", fix="Remove it.", key=True
            )
        if plan == "delta" and not self._has(node, path, "window"):
            self._missing(path, "A `delta` list needs `window`.", "Add `window: {overlap: 1h, first: 30d}`.")

    def _has(self, node: Node, path: Path, key: str) -> bool:
        """Whether the author wrote it, even if the schema refused it."""
        return key in node or self.source.is_broken((*path, key))

    def _missing(self, path: Path, message: str, fix: str) -> None:
        self.source.problem(path, message, fix=fix, key=isinstance(path[-1], str))

    # What is asked.

    def _call(self, node: Node, path: Path, names: Names) -> CallSpec | None:
        if not self._has(node, path, "call") and not self._has(node, path, "use"):
            self._check_without(node, path)
            return None
        before = len(self.source.problems)
        asked = {key: value for key, value in node.items() if key != "value"}  # that of a poll is a row's
        call = self.calls.call(asked, path, names)
        if call is None:
            return None
        self._check_call(asked, path, call)
        self._check_row(node, path, call)
        if len(self.source.problems) == before:
            self._check_asks(node, path)
        return call

    def _check_without(self, node: Node, path: Path) -> None:
        plan = node["plan"]
        if plan != "per-enrolment":
            self._missing(path, f"The plan `{plan}` needs a call.", "Add `call: GET /…` or `use: NAME`.")
            return
        for key in _OF_A_CALL:
            if key in node:
                self.source.problem(
                    (*path, key),
                    f"`{key}` needs a call beside it.",
                    fix="Add `call: GET /…`, or remove it.",
                    key=True,
                )
        if not self.can_read:
            self._missing(
                path,
                "Without a call each enrolment is read by `progress.read`, and there is none.",
                "Add `read: {steps: …}` under `progress`, or a `call` here.",
            )

    def _check_call(self, node: Node, path: Path, call: CallSpec) -> None:
        where = self.calls.origin(node, path)
        assert where is not None  # or there would be no call
        if call.request.effect == "write":
            key = "call" if "call" in node else "use"
            self.source.problem(
                (*path, key), "A poll only reads.", fix="Use GET, or add `effect: read`.", key=True
            )
        self.calls.refuse_restart(where, "`restart` means nothing in a poll.")

    def _check_row(self, node: Node, path: Path, call: CallSpec) -> None:
        if call.items is None and not self._has(node, path, "items"):
            self._missing(path, "The call needs `items`: the list in its reply.", "Add `items: reply.body`.")
        if not self._has(node, path, "find"):
            fields = ", ".join(f'{name}: "${{row.{name}}}"' for name in self.rows.key or ("userId",))
            self._missing(path, "The call needs `find`: whose a row is.", f"Add `find: {{{fields}}}`.")
        if not self._has(node, path, "value"):
            self._missing(
                path,
                "The call needs `value`: what a row says.",
                'Add `value: {"percent?": "${number(row.percent)}", completed: "${row.done == true}"}`.',
            )

    def _check_asks(self, node: Node, path: Path) -> None:
        root, shared = _ROOT[node["plan"]], ("calls", node.get("use", ""))
        if not self.source.mentions(path, root) and not self.source.mentions(shared, root):
            name = "window.from" if root == "window" else root
            self.source.warning(
                path,
                f"The call does not use `{name}`, so it is the same each time.",
                fix=f"Use `{name}` in its path, query or body, or choose another plan.",
                key=isinstance(path[-1], str),
            )

    # When.

    def _timing(self, node: Node, path: Path) -> Timing:
        given = [key for key in ("every", "at") if self._has(node, path, key)]
        if not given:
            self._missing(path, "It does not say when it runs.", 'Add `every: 10m` or `at: ["02:00"]`.')
        if len(given) == 2:
            self.source.problem(
                (*path, "at"), "`every` and `at` cannot stand together.", fix="Remove one.", key=True
            )
        every = seconds(node["every"]) if "every" in node else None
        if every is not None and every < MIN_EVERY_S:
            self.source.problem((*path, "every"), "This is too often.", fix="Write `1s` or more.")
        return Timing(every_s=every, at=tuple(node.get("at", ())), spread=node.get("spread", False))

    def _window(self, node: Node, path: Path) -> Window | None:
        if "window" not in node:
            return None
        window, where = node["window"], (*path, "window")
        return Window(
            overlap_s=self._back(window, where, "overlap"), first_s=self._back(window, where, "first")
        )

    def _audit(self, node: Node, path: Path) -> Audit | None:
        if "audit" not in node:
            return None
        audit, where = node["audit"], (*path, "audit")
        overlap = self._back(audit, where, "overlap")
        usual = seconds(node.get("window", {}).get("overlap"))
        if usual and overlap <= usual:
            self.source.warning(
                (*where, "overlap"),
                "The audit goes no further back than the list itself.",
                fix="Write a longer time, such as `90d`.",
            )
        return Audit(timing=self._timing(audit, where), overlap_s=overlap)

    def _back(self, node: Node, path: Path, key: str) -> float:
        """How far a list goes back, in seconds."""
        length = seconds(node[key])
        if length > MAX_BACK_S:
            self.source.problem((*path, key), "No list goes back this far.", fix="Write `3660d` or less.")
        return length

    # All of them together.

    def _check_whole(self, node: Any, found: tuple[Poll, ...]) -> None:
        """Beside a `delta` list, something looks at everything."""
        broken = any(path[:2] == PATH for path in self.source.broken)
        if broken or any(poll.plan != "delta" for poll in found):
            return
        for at, poll in enumerate(found):
            if poll.audit is None:
                self.source.problem(
                    (*PATH, at, "plan") if isinstance(node, list) else (*PATH, "plan"),
                    "A `delta` list can leave out a change, and nothing looks at everything.",
                    fix='Add `audit: {at: ["02:00"], overlap: 90d}`, or a second plan `per-course` or '
                    "`per-enrolment`.",
                )
