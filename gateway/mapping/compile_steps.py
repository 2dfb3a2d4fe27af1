"""From the YAML of steps to `Step`, with the rules that keep writes from being lost or done twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.mapping.compile_calls import Calls
from gateway.mapping.compile_requests import effect_of
from gateway.mapping.names import REPLY, Names
from gateway.mapping.origin import Node, Origin
from gateway.mapping.pruning import placed
from gateway.mapping.source import Source
from gateway.mapping.spec import Action, Check, CheckRule, Confirm, Step
from gateway.mapping.templates import Path
from gateway.mapping.units import seconds

FORMS = ("call", "use", "first", "mint", "check")
WRITE_FIX = "Add one of:  confirm: (look it up)   repeat: safe   repeat: never"
_BESIDE_FIRST = frozenset({"id", "when", "first", "remember", "undo", "optional"})
_BESIDE_MINT = frozenset({"id", "when", "mint"})
_BESIDE_CHECK = frozenset({"id", "when", "check", "value", "remember"})
_BESIDE = {"first": _BESIDE_FIRST, "mint": _BESIDE_MINT, "check": _BESIDE_CHECK}


@dataclass(frozen=True, slots=True)
class Steps:
    """Compiles steps; problems go to the source."""

    source: Source
    calls: Calls

    def steps(self, nodes: Any, path: Path, names: Names) -> tuple[tuple[Step, ...], Names]:
        """The steps in order, and the names known after the last."""
        done: dict[str, Any] = {}
        steps: list[Step] = []
        ids = self._all_ids(path)
        for index, node in placed(nodes):
            where, later = (*path, index), ids - done.keys() - {node["id"]}
            if node["id"] in done:
                self.source.problem(
                    (*where, "id"), f"There is a step `{node['id']}` already.", fix="Choose another id."
                )
            known = replace(names.plus(steps=self._done(path, index, done)), later=frozenset(later))
            step = self._step(node, where, known)
            done[node["id"]] = self.fields(node, where)
            if step is not None:
                steps.append(step)
        return tuple(steps), names.plus(steps=self._done(path, len(ids) + 1, done))

    def _all_ids(self, path: Path) -> set[str]:
        written = self.source.at(path)
        return {_id(node) for node in written} if isinstance(written, list) else set()

    def _done(self, path: Path, index: int, done: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What is known of the steps before `index`; of one the schema refused, only its id, if that."""
        written = self.source.at(path)
        before = written[:index] if isinstance(written, list) else []
        refused = {_id(node): None for at, node in enumerate(before) if self.source.is_broken((*path, at))}
        return None if "" in refused or self.source.is_broken(path) else {**refused, **done}

    def fields(self, node: Node, path: Path) -> Mapping[str, None] | None:
        """The names a step gives to later ones; None when the file does not say."""
        if any(self.source.is_broken((*path, key)) for key in (*FORMS, "value")):
            return None
        if "mint" in node:
            return dict.fromkeys(node["mint"])
        if "first" in node:
            found: dict[str, None] = {}
            for index, branch in placed(node["first"]):
                found.update(self.fields(branch, (*path, "first", index)) or {})
            return None if any((*path, "first") == bad[:-1] for bad in self.source.broken) else found
        shared = self.calls.shared.get(node.get("use", ""))
        if "use" in node and shared is None:
            return None
        where = Origin(node, path, shared, ("calls", node.get("use", "")))
        names = where.value_names()
        names.update({name: None for key, name in (("items", "items"), ("pick", "item")) if key in where})
        return names

    # One step.

    def _step(self, node: Node, path: Path, names: Names) -> Step | None:
        form = self._form(node, path)
        if form is None:
            return None
        action = self.action(node, path, names, node["id"]) if form in ("call", "use") else None
        when = action.when if action else self.source.optional_expression(node, "when", path, names)
        return Step(
            id=node["id"],
            place=self.source.dotted(path),
            line=self.source.line(path),
            when=when,
            action=replace(action, when=None) if action else None,
            first=self._branches(node, path, names) if form == "first" else (),
            mint=tuple(node.get("mint", ())),
            check=self._check(node, path, names) if form == "check" else None,
            remember=self._remember(node, path, names, replied=form != "check"),
            undo=self._undo(node, path, names),
            optional=node.get("optional", False),
        )

    def _form(self, node: Node, path: Path) -> str | None:
        forms = [key for key in FORMS if key in node]
        if not forms and any(self.source.is_broken((*path, key)) for key in FORMS):
            return None
        if not forms and "value" in node and node.keys() <= _BESIDE_CHECK:
            return "check"  # something is worked out, and nothing can be wrong with it
        if len(forms) != 1:
            given = f"; here are {', '.join(forms)}" if forms else ""
            self.source.problem(
                path,
                f"A step has exactly one of `call`, `use`, `first`, `mint` and `check`{given}.",
                fix=None if forms else "Add `call: GET /…`.",
            )
            return None
        allowed = _BESIDE.get(forms[0])
        for key in node.keys() - allowed if allowed is not None else ():
            fix = "Write it in the branches." if forms[0] == "first" else "Remove it."
            self.source.problem((*path, key), f"`{key}` does not go with `{forms[0]}`.", fix=fix, key=True)
        return forms[0]

    def _check(self, node: Node, path: Path, names: Names) -> Check:
        value = self.source.optional_template(node, "value", path, names)
        rules = (
            self._check_rule(rule, (*path, "check", at), names) for at, rule in placed(node.get("check"))
        )
        return Check(rules=tuple(rules), value=value)

    def _check_rule(self, node: Node, path: Path, names: Names) -> CheckRule:
        return CheckRule(
            place=self.source.dotted(path),
            when=self.source.expression(node["if"], (*path, "if"), names),
            outcome=node.get("is", "refused"),
            say=self.source.optional_template(node, "say", path, names),
        )

    def _remember(self, node: Node, path: Path, names: Names, *, replied: bool) -> dict[str, Any]:
        value = names.plus(value=self.fields(node, path))
        value = value.plus(reply=REPLY) if replied else value
        return {
            who: self.source.template(fields, (*path, "remember", who), value)
            for who, fields in node.get("remember", {}).items()
        }

    def _undo(self, node: Node, path: Path, names: Names) -> Action | None:
        if "undo" not in node:
            return None
        where, done = (*path, "undo"), names.tree.get("steps") or {}
        known = names.plus(steps={**done, node["id"]: self.fields(node, path)})
        action = self.action(node["undo"], where, known, "undo")
        if action is not None and action.writes and action.repeat != "safe":
            self.source.problem(
                where,
                "An undo is tried until it works, so twice must equal once.",
                fix="Add `repeat: safe`.",
                key=True,
            )
        return action

    # One call of a step.

    def action(
        self, node: Node, path: Path, names: Names, name: str, *, branch: bool = False
    ) -> Action | None:
        """A step's or branch's call with what happens when its answer is lost."""
        call = self.calls.call(node, path, names)
        if call is None:
            return None
        where = self.calls.origin(node, path)
        assert where is not None  # or there would be no call
        action = Action(
            name=name,
            place=self.source.dotted(path),
            line=self.source.line(path),
            call=call,
            when=self.source.optional_expression(node, "when", path, names),
            confirm=self._confirm(where, names),
            repeat=where.get("repeat"),
        )
        self._check_doubt(where, writes=action.writes, undo=path[-1] == "undo", branch=branch)
        if not branch:
            self.calls.refuse_restart(where, "`restart` only means something in a branch of `first`.")
        return action

    def _check_doubt(self, where: Origin, *, writes: bool, undo: bool, branch: bool) -> None:
        given = [key for key in ("confirm", "repeat") if key in where]
        if not writes:
            for key in given:
                self.source.warning(where.path(key), f"A read needs no `{key}`.", key=True)
        elif len(given) == 2:
            self.source.problem(
                where.path("repeat"),
                "A write has one of `confirm` and `repeat`.",
                fix="Remove one.",
                key=True,
            )
        elif (
            not given
            and not undo
            and not any(self.source.is_broken(where.path(key)) for key in ("confirm", "repeat"))
        ):
            self.source.problem(
                where.at, "A write needs to say what happens when its answer is lost.", fix=WRITE_FIX
            )
        if where.get("confirm") == "earlier" and not branch:
            self.source.problem(
                where.path("confirm"),
                "`confirm: earlier` only means something in a branch of `first`.",
                fix="Write the look-up out: `confirm: {call: GET /…, done: …}`.",
            )

    # Looking up a write in doubt.

    def _confirm(self, where: Origin, names: Names) -> Confirm | None:
        confirm, path = where.get("confirm"), where.path("confirm")
        if confirm is None:
            return None
        if confirm == "earlier":
            return Confirm(earlier=True)
        call = self.calls.call(confirm, path, names)
        looked = self.calls.origin(confirm, path)
        if call is None or looked is None:
            return None
        self._check_confirm(where, looked)
        return Confirm(
            call=call,
            done=self.source.expression(confirm["done"], (*path, "done"), self.calls.after(looked, names)),
            after_s=seconds(confirm.get("after"), 20.0),
        )

    def _check_confirm(self, where: Origin, looked: Origin) -> None:
        wanted, given = where.value_names(), looked.value_names()
        broken = self.source.is_broken(where.path("value")) or self.source.is_broken(looked.path("value"))
        if wanted.keys() != given.keys() and not broken:
            self.source.problem(
                looked.at,
                f"`confirm.value` must give what the step's `value` gives: {_listed(wanted)}.",
                fix=f"It gives: {_listed(given)}.",
                key=True,
            )
        if effect_of(looked) == "write":
            self.source.problem(
                looked.path("call"), "A look-up is a read.", fix="Add `effect: read`, or use GET."
            )
        self.calls.refuse_restart(looked, "`restart` cannot stand in `confirm`.")

    # Branches.

    def _branches(self, node: Node, path: Path, names: Names) -> tuple[Action, ...]:
        branches: list[Action] = []
        self._check_values(node, path)
        for index, branch in placed(node["first"]):
            where = (*path, "first", index)
            if branch.get("confirm") == "earlier":
                self._check_earlier(where, branches)
            name = branch.get("name", f"branch {index + 1}")
            if any(other.name == name for other in branches):
                self.source.problem(
                    (*where, "name"), f"There is a branch `{name}` already.", fix="Choose another name."
                )
            action = self.action(branch, where, names, name, branch=True)
            if action is not None:
                branches.append(action)
        return tuple(branches)

    def _check_earlier(self, path: Path, before: list[Action]) -> None:
        refused = any(self.source.is_broken((*path[:-1], at)) for at in range(int(path[-1])))
        if not refused and not any(not action.writes for action in before):
            self.source.problem(
                (*path, "confirm"),
                "`confirm: earlier` needs a branch before it that reads.",
                fix="Put a look-up branch before this one.",
            )

    def _check_values(self, node: Node, path: Path) -> None:
        """All branches of `first` give the same names."""
        given: list[tuple[Path, dict[str, None]]] = []
        for index, branch in placed(node["first"]):
            where = self.calls.origin(branch, (*path, "first", index))
            if where is not None and not self.source.is_broken(where.path("value")):
                given.append((where.at, where.value_names()))
        for at, names in given[1:]:
            if names.keys() != given[0][1].keys():
                self.source.problem(
                    at,
                    f"All branches must give the same names: the first gives {_listed(given[0][1])}, "
                    f"this one {_listed(names)}.",
                    fix="Make their `value` alike.",
                )


def _id(node: Any) -> str:
    name = node.get("id") if isinstance(node, dict) else None
    return name if isinstance(name, str) else ""


def _listed(names: Mapping[str, None]) -> str:
    return ", ".join(sorted(names)) or "nothing"
