"""From the YAML of operations and steps to `OperationSpec` and `Step`, with the rules authors must keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.contract import Operation
from gateway.mapping.compile_calls import Calls, Node
from gateway.mapping.names import PERSON, REPLY, Names
from gateway.mapping.source import Source, seconds
from gateway.mapping.spec import Action, CallSpec, Confirm, OperationSpec, Search, Step
from gateway.mapping.templates import Path, Template, dotted

SHORT_FORMS = ("acknowledge", "refuse", "manual", "by", "choose")
WRITE_FIX = "Add one of:  confirm: (look it up)   repeat: safe   repeat: never"


@dataclass(slots=True)
class Operations:
    """Compiles the operations of one mapping; `broken` are paths the schema has already complained of."""

    source: Source
    calls: Calls
    names: Names
    broken: set[Path]
    record: Mapping[str, None]
    key: tuple[str, ...]
    known_student: Mapping[str, None]
    known_course: Mapping[str, None]

    def operation(self, operation: Operation, node: Node, path: Path) -> OperationSpec:
        names = self._names(operation)
        common: dict[str, Any] = {"operation": operation, "place": dotted(path), "line": self.source.document.place(path).line}
        form = next((key for key in SHORT_FORMS if key in node), None)
        if form is None:
            return self._by_steps(operation, node, path, names, common)
        if form == "by":
            return OperationSpec(kind="create-then-cancel", **common)
        if form == "choose":
            return self._choice(operation, node, path, names, common)
        kinds = {"acknowledge": "acknowledge", "refuse": "refuse", "manual": "manual"}
        return OperationSpec(kind=kinds[form], sentence=self.source.template(node[form], (*path, form), names), **common)  # type: ignore[arg-type]

    def _choice(self, operation: Operation, node: Node, path: Path, names: Names, common: dict[str, Any]) -> OperationSpec:
        forms = {
            word: self.operation(operation, form, (*path, "of", word))
            for word, form in node.get("of", {}).items()
            if isinstance(form, dict) and (*path, "of", word) not in self.broken
        }
        choose = self.source.expression(node["choose"], (*path, "choose"), names)
        self._check_choices(node, path)
        return OperationSpec(kind="choose", choose=choose, of=forms, **common)

    def _check_choices(self, node: Node, path: Path) -> None:
        root, _, name = str(node["choose"]).partition(".")
        setting = self.source.document.data.get("settings", {}).get(name) if root == "settings" else None
        words = setting.get("of") if isinstance(setting, dict) else None
        for word in words if isinstance(words, list) else ():
            if word not in node.get("of", {}):
                self.source.problem((*path, "of"), f"The setting `{name}` may be `{word}`, and there is no form for it.", fix=f"Add `{word}:`.", key=True)

    def _by_steps(self, operation: Operation, node: Node, path: Path, names: Names, common: dict[str, Any]) -> OperationSpec:
        if "each" not in node and "steps" not in node:
            self.source.problem(path, "This operation does nothing.", fix="Add `steps:`, or say `refuse:`, `acknowledge:` or `manual:`.", key=True)
        steps, after = self.steps(node.get("steps") or [], (*path, "steps"), names)
        courses = self._courses(node, path, after)
        record = self.source.optional_template(node, "record", path, after)
        if operation is Operation.CREATE_ENROLMENT:
            self._check_record(node, path)
        return OperationSpec(
            kind="steps" if steps else "constant",
            steps=steps,
            serialise=tuple(self.source.template(text, (*path, "serialise", at), names) for at, text in enumerate(node.get("serialise") or [])),
            record=record,
            personal=tuple(node.get("personal", ())),
            key=tuple(node.get("key", ())),
            course_field=course_field(node.get("record")),
            cache_s=seconds(node.get("cache"), 0.0),
            **courses,
            **common,
        )

    def _check_record(self, node: Node, path: Path) -> None:
        fields = {key.removesuffix("?") for key in node.get("record", {})}
        for key in ("record", "key"):
            if key not in node:
                self.source.problem(path, f"`createEnrolment` needs `{key}`.", fix=f"Add `{key}:`.", key=True)
        for key in ("key", "personal"):
            for at, name in enumerate(node.get(key) or []):
                if name not in fields:
                    self.source.problem((*path, key, at), f"`record` has no `{name}`. It has: {', '.join(sorted(fields))}.")

    def _courses(self, node: Node, path: Path, names: Names) -> dict[str, Any]:
        if "each" not in node:
            return {}
        name = node.get("as", "course")
        item = names.plus(**{name: None})
        search = node.get("search")
        remember = node.get("remember", {}).get("course")
        return {
            "each": self.source.expression(node["each"], (*path, "each"), names),
            "name": name,
            "give": {key: self.source.template(value, (*path, "give", key), item) for key, value in node.get("give", {}).items()},
            "remember_course": None if remember is None else self.source.template(remember, (*path, "remember", "course"), item),
            "search": None if search is None else self._search(search, (*path, "search"), item),
        }

    def _search(self, node: Node, path: Path, names: Names) -> Search:
        within = tuple(self.source.template(text, (*path, "in", at), names) for at, text in enumerate(node.get("in") or []))
        return Search(mode=node["mode"], within=within, min=node.get("min", 0), strip=node.get("strip", ""))

    def _names(self, operation: Operation) -> Names:
        """The roots of an operation: docs/mapping-language.md, "Roots"."""
        known = {"student": self.known_student, "course": self.known_course}
        enrolment = {**self.record, "courseId": None}
        match operation:
            case Operation.GET_COURSES:
                return self.names.plus(searchTerm=None)
            case Operation.GET_COURSE:
                return self.names.plus(courseId=None, known={"course": self.known_course})
            case Operation.CREATE_ENROLMENT:
                return self.names.plus(courseId=None, student=PERSON, known=known)
            case Operation.TRANSFER_ENROLMENT:
                return self.names.plus(enrolment=enrolment, to=PERSON, student=PERSON, known=known)
            case Operation.UPDATE_MARKING:
                return self.names.plus(enrolment=enrolment, known={"course": self.known_course}, quizResults=None)
            case _:
                return self.names.plus(enrolment=enrolment, known={"course": self.known_course})

    def enrolment_names(self) -> Names:
        return self._names(Operation.GET_ENROLMENT)

    # -- steps ------------------------------------------------------------------------------------

    def steps(self, nodes: list[Node], path: Path, names: Names) -> tuple[tuple[Step, ...], Names]:
        """Compile steps in order; gives them and the names known after the last."""
        done: dict[str, Any] = {}
        steps: list[Step] = []
        for index, node in enumerate(nodes):
            where = (*path, index)
            if any(bad[: len(where)] == where and len(bad) <= len(where) + 1 for bad in self.broken):
                done[node.get("id", "") if isinstance(node, dict) else ""] = None
                continue
            if node["id"] in done:
                self.source.problem((*where, "id"), f"There is a step `{node['id']}` already.", fix="Give it another name.")
            step = self._step(node, where, names.plus(steps=done))
            done[node["id"]] = step_fields(node, self.calls.shared)
            if step is not None:
                steps.append(step)
        return tuple(steps), names.plus(steps=done)

    def _step(self, node: Node, path: Path, names: Names) -> Step | None:
        forms = [key for key in ("call", "use", "first", "mint") if key in node]
        if len(forms) != 1:
            self.source.problem(path, "A step has exactly one of `call`, `use`, `first` and `mint`.", key=False)
            return None
        line = self.source.document.place(path).line
        action = None if forms[0] in ("first", "mint") else self._action(node, path, names, node["id"])
        first = self._branches(node, path, names) if forms[0] == "first" else ()
        when = self.source.optional_expression(node, "when", path, names) if forms[0] in ("first", "mint") else action.when if action else None
        value = names.plus(value=step_fields(node, self.calls.shared), reply=REPLY)
        remember = node.get("remember", {})
        return Step(
            id=node["id"],
            place=dotted(path),
            line=line,
            when=when,
            action=replace(action, when=None) if action else None,
            first=first,
            mint=tuple(node.get("mint", ())),
            remember={who: self.source.template(fields, (*path, "remember", who), value) for who, fields in remember.items()},
            undo=self._undo(node, path, names),
            optional=node.get("optional", False),
        )

    def _undo(self, node: Node, path: Path, names: Names) -> Action | None:
        if "undo" not in node:
            return None
        done = {**(names.tree.get("steps") or {}), node["id"]: step_fields(node, self.calls.shared)}
        return self._action(node["undo"], (*path, "undo"), names.plus(steps=done), "undo", undo=True)

    def _action(self, node: Node, path: Path, names: Names, name: str, *, branch: bool = False, undo: bool = False) -> Action | None:
        call = self.calls.call(node, path, names)
        if call is None:
            return None
        confirm = self._confirm(node, path, names)
        action = Action(
            name=name,
            place=dotted(path),
            line=self.source.document.place(path).line,
            call=call,
            when=self.source.optional_expression(node, "when", path, names),
            confirm=confirm,
            repeat=node.get("repeat"),
        )
        self._check_write(action, node, path, undo=undo)
        self._check_restart(node, path, branch)
        return action

    def _check_write(self, action: Action, node: Node, path: Path, *, undo: bool) -> None:
        if action.writes and action.confirm is None and action.repeat is None:
            self.source.problem(path, "A write needs to say what happens when its answer is lost.", fix=WRITE_FIX)
        if undo and action.writes and action.repeat != "safe":
            self.source.problem(path, "An undo is tried until it works, so it must be `repeat: safe`.", fix="Add `repeat: safe`.")
        if not action.writes:
            for key in ("confirm", "repeat"):
                if key in node:
                    self.source.problem((*path, key), f"A read needs no `{key}`.", fix="Remove it, or say `effect: write`.", severity="warning", key=True)

    def _check_restart(self, node: Node, path: Path, branch: bool) -> None:
        for at, rule in enumerate(node.get("replies") or []):
            if rule.get("is") == "restart" and not branch:
                self.source.problem((*path, "replies", at, "is"), "`restart` only means something in a branch of `first`.", fix="Use another outcome.")

    def _confirm(self, node: Node, path: Path, names: Names) -> Confirm | None:
        confirm, where = node.get("confirm"), (*path, "confirm")
        if confirm is None:
            return None
        if confirm == "earlier":
            return Confirm(earlier=True)
        call = self.calls.call(confirm, where, names)
        if call is None:
            return None
        self._check_confirm(node, confirm, where)
        looked = names.plus(reply=REPLY, items=None, item=None) if call.items else names.plus(reply=REPLY)
        if "use" in confirm:
            looked = looked.plus(args={key.removesuffix("?"): None for key in confirm.get("args", {})})
        done = self.source.expression(confirm["done"], (*where, "done"), looked)
        return Confirm(call=replace_effect(call), done=done, after_s=seconds(confirm.get("after"), 20.0))

    def _check_confirm(self, node: Node, confirm: Node, path: Path) -> None:
        wanted = {key.removesuffix("?") for key in node.get("value", {})}
        given = {key.removesuffix("?") for key in confirm.get("value", {})}
        if wanted != given:
            names = ", ".join(sorted(wanted)) or "nothing"
            self.source.problem(path, f"`confirm.value` must give what the step's `value` gives: {names}.", fix="Make the two lists of names the same.", key=True)
        for at, rule in enumerate(confirm.get("replies") or []):
            if rule.get("is") == "restart":
                self.source.problem((*path, "replies", at, "is"), "`restart` cannot stand in `confirm`.")

    def _branches(self, node: Node, path: Path, names: Names) -> tuple[Action, ...]:
        branches: list[Action] = []
        fields = {tuple(sorted(_fields(branch.get("value", {})))) for branch in node["first"]}
        if len(fields) > 1:
            listed = " / ".join(", ".join(names) or "nothing" for names in sorted(fields))
            self.source.problem((*path, "first"), f"All branches must give the same value names; these differ: {listed}.", key=True)
        for index, branch in enumerate(node["first"]):
            where = (*path, "first", index)
            if "confirm" in branch and branch["confirm"] == "earlier" and not any(not action.writes for action in branches):
                self.source.problem((*where, "confirm"), "`confirm: earlier` needs a branch before it that reads.", fix="Put a look-up branch before this one.")
            action = self._action(branch, where, names, branch.get("name", f"branch {index + 1}"), branch=True)
            if action is not None:
                branches.append(action)
        return tuple(branches)


def replace_effect(call: CallSpec) -> CallSpec:
    """A look-up is a read whatever its method."""
    return replace(call, request=replace(call.request, effect="read"))


def step_fields(node: Node, shared: Mapping[str, Node]) -> dict[str, None]:
    """The names a step gives to later ones, as far as the file says."""
    if "mint" in node:
        return dict.fromkeys(node["mint"])
    if "first" in node:
        found: dict[str, None] = {}
        for branch in node["first"]:
            found.update(step_fields(branch, shared) if isinstance(branch, dict) else {})
        return found
    source = {**shared.get(node.get("use", ""), {}), **node}
    extra = [name for key, name in (("items", "items"), ("pick", "item")) if key in source]
    return dict.fromkeys([*_fields(source.get("value", {})), *extra])


def _fields(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (key.removesuffix("?") for key in value)


def course_field(record: Any) -> str | None:
    """The record field that holds the vendor's course id, which a lost database is read back by."""
    if isinstance(record, dict):
        for key, value in record.items():
            if isinstance(value, str) and value.replace(" ", "") == "${courseId}":
                return key.removesuffix("?")
    return None


def remembered(operations: Node, who: str) -> dict[str, None]:
    """The fields that any step, or the course list, remembers of a student or course."""
    found: dict[str, None] = {}

    def visit(node: Any) -> None:
        if isinstance(node, dict):
            fields = node.get("remember", {}).get(who) if isinstance(node.get("remember"), dict) else None
            found.update(dict.fromkeys(_fields(fields)))
            for value in node.values():
                visit(value)
        elif isinstance(node, list):
            for value in node:
                visit(value)

    visit(operations)
    return found


def record_names(operations: Node) -> tuple[dict[str, None], tuple[str, ...]]:
    """The record fields of createEnrolment and the ones its id is made of."""
    create = operations.get("createEnrolment")
    if not isinstance(create, dict):
        return {}, ()
    forms = [create, *create.get("of", {}).values()] if isinstance(create.get("of"), dict) else [create]
    fields: dict[str, None] = {}
    key: tuple[str, ...] = ()
    for form in forms:
        if isinstance(form, dict):
            fields.update(dict.fromkeys(_fields(form.get("record"))))
            key = key or tuple(form.get("key") or ())
    return fields, key


__all__ = ["Operations", "Template", "course_field", "record_names", "remembered"]
