"""From the YAML of the seven operations to `OperationSpec`, in whichever form they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from gateway.contract import Operation
from gateway.mapping.compile_steps import Steps
from gateway.mapping.names import PERSON, Names
from gateway.mapping.origin import Node, bare_names
from gateway.mapping.pruning import placed
from gateway.mapping.source import Source
from gateway.mapping.spec import OperationSpec, Search, Step
from gateway.mapping.templates import Path
from gateway.mapping.units import seconds

SENTENCES = ("acknowledge", "refuse", "manual")
FORMS = (*SENTENCES, "by", "choose")
COURSES = (Operation.GET_COURSES, Operation.GET_COURSE)
MAKES = (Operation.CREATE_ENROLMENT, Operation.TRANSFER_ENROLMENT)
PROGRESS_NEEDS = ("completed", "percent")
_BESIDE_CHOOSE = frozenset({"choose", "of"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Compiles the operations of one mapping.

    `names` are those known everywhere; `record`, `known_student` and `known_course` the fields kept of an
    enrolment, a student and a course, None where the file does not say.
    """

    source: Source
    steps: Steps
    names: Names
    record: Mapping[str, None] | None
    known_student: Mapping[str, None] | None
    known_course: Mapping[str, None] | None

    def operation(self, operation: Operation, node: Node, path: Path) -> OperationSpec:
        names = self.roots(operation)
        common: dict[str, Any] = {
            "operation": operation,
            "place": self.source.dotted(path),
            "line": self.source.line(path),
        }
        form = next((key for key in FORMS if key in node), None)
        self._check_form(form, node, path)
        match form:
            case None:
                return self._by_steps(node, path, names, common)
            case "by":
                return OperationSpec(kind="create-then-cancel", **common)
            case "choose":
                return self._choice(node, path, names, common)
        sentence = self.source.template(node[form], (*path, form), names)
        return OperationSpec(kind=cast(Any, form), sentence=sentence, **common)

    def roots(self, operation: Operation) -> Names:
        """The names of an operation: docs/mapping-language.md, "Names"."""
        course = {"course": self.known_course}
        known = {"student": self.known_student, **course}
        enrolment = None if self.record is None else {**self.record, "courseId": None}
        match operation:
            case Operation.GET_COURSES:
                return self.names.plus(searchTerm=None)
            case Operation.GET_COURSE:
                return self.names.plus(courseId=None, known=course)
            case Operation.CREATE_ENROLMENT:
                return self.names.plus(courseId=None, student=PERSON, known=known)
            case Operation.TRANSFER_ENROLMENT:
                return self.names.plus(enrolment=enrolment, to=PERSON, student=PERSON, known=known)
            case Operation.UPDATE_MARKING:
                return self.names.plus(enrolment=enrolment, known=course, quizResults=None)
            case _:
                return self.names.plus(enrolment=enrolment, known=course)

    def _check_form(self, form: str | None, node: Node, path: Path) -> None:
        if form is None:
            written = self.source.at(path)
            if not {"steps", "each", *FORMS} & written.keys():
                self.source.problem(
                    path,
                    "This operation does nothing.",
                    fix="Add `steps:`, or say `refuse:`, `acknowledge:` or `manual:`.",
                    key=True,
                )
            return
        allowed = _BESIDE_CHOOSE if form == "choose" else {form}
        for key in node.keys() - allowed:
            self.source.problem(
                (*path, key), f"`{key}` does not go with `{form}`.", fix="Remove it.", key=True
            )

    # The tenant picks a form.

    def _choice(self, node: Node, path: Path, names: Names, common: dict[str, Any]) -> OperationSpec:
        of = node.get("of", {})
        choose = self.source.expression(node["choose"], (*path, "choose"), names)
        forms = {
            word: self.operation(common["operation"], form, (*path, "of", word)) for word, form in of.items()
        }
        self._check_words(str(node["choose"]), path)
        return OperationSpec(kind="choose", choose=choose, of=forms, **common)

    def _check_words(self, choose: str, path: Path) -> None:
        """Each word of the setting has its form, and no form is out of reach."""
        of, (root, _, name) = self.source.at((*path, "of")), choose.partition(".")
        setting = self.source.at(("settings", name))
        words = setting.get("of") if isinstance(setting, dict) else None
        if not isinstance(of, dict):
            if not self.source.is_broken((*path, "of")):
                self.source.problem(
                    path, "`choose` needs `of`: a form for each word.", fix="Add `of:`.", key=True
                )
            return
        if root != "settings" or not isinstance(words, list):
            return
        for word in words:
            if str(word) not in of:
                self.source.problem(
                    (*path, "of"),
                    f"The setting `{name}` may be `{word}`, and there is no form for it.",
                    fix=f"Add `{word}:`.",
                    key=True,
                )
        for word in of:
            if word not in map(str, words):
                self.source.problem(
                    (*path, "of", word),
                    f"The setting `{name}` is never `{word}`.",
                    fix="Remove the form.",
                    key=True,
                )

    # Steps, and what comes of them.

    def _by_steps(self, node: Node, path: Path, names: Names, common: dict[str, Any]) -> OperationSpec:
        operation: Operation = common["operation"]
        steps, after = self.steps.steps(node.get("steps"), (*path, "steps"), self._in_steps(operation, names))
        if operation in COURSES:
            self._check_courses(node, path, steps)
        if operation is Operation.CREATE_ENROLMENT:
            self._check_record(node, path)
        if operation is Operation.GET_ENROLMENT and steps:
            self.check_reading(node["steps"], (*path, "steps"))
        return OperationSpec(
            kind="steps" if steps else "constant",
            steps=steps,
            serialise=tuple(
                self.source.template(text, (*path, "serialise", at), names)
                for at, text in placed(node.get("serialise"))
            ),
            record=self.source.optional_template(node, "record", path, after),
            personal=tuple(node.get("personal", ())),
            key=tuple(node.get("key", ())),
            course_field=course_field(node.get("record")),
            cache_s=seconds(node.get("cache")),
            **self._courses(node, path, after),
            **common,
        )

    def _in_steps(self, operation: Operation, names: Names) -> Names:
        """What steps know besides: looked up only when the run's turn has come."""
        if operation not in MAKES:
            return names
        return names.plus(known={**names.tree["known"], "enrolment": self.record})

    def _check_record(self, node: Node, path: Path) -> None:
        for key in ("record", "key"):
            if self.source.at((*path, key)) is None:
                self.source.problem(path, f"`createEnrolment` needs `{key}`.", fix=f"Add `{key}:`.", key=True)
        if "record" not in node:
            return
        fields = bare_names(node["record"])
        for key in ("key", "personal"):
            for at, name in placed(node.get(key)):
                if name not in fields:
                    self.source.problem(
                        (*path, key, at), f"`record` has no `{name}`.", fix=f"It has: {', '.join(fields)}."
                    )
        for at, name in placed(node.get("key")):
            if f"{name}?" in node["record"]:
                self.source.problem(
                    (*path, "key", at),
                    f"The id is made of `{name}`, so `record` cannot leave it out.",
                    fix=f"Write `{name}` without `?` in `record`.",
                )

    # Courses.

    def _check_courses(self, node: Node, path: Path, steps: tuple[Step, ...]) -> None:
        for key in ("each", "give"):
            if key not in node and not self.source.is_broken((*path, key)):
                self.source.problem(path, f"A course list needs `{key}`.", fix=f"Add `{key}:`.", key=True)
        sent = any(self.source.mentions(place, "searchTerm") for place in ((*path, "steps"), ("calls",)))
        mode = node.get("search", {}).get("mode", "none")
        if mode == "sent" and steps and not sent:
            self.source.problem(
                (*path, "search", "mode"),
                "The search term is said to be sent, and no call sends `searchTerm`.",
                fix='Send it (`search?: "${searchTerm}"`), or write `local`.',
            )
        if sent and mode != "sent" and not self.source.is_broken((*path, "search")):
            self.source.warning(
                path,
                "A call sends `searchTerm`, which is always null here.",
                fix='Add `search: {mode: sent, in: ["${course.name}"]}`.',
                key=True,
            )

    def _courses(self, node: Node, path: Path, names: Names) -> dict[str, Any]:
        if "each" not in node:
            return {}
        name = node.get("as", "course")
        item, search = names.plus(**{name: None}), node.get("search")
        remember = node.get("remember", {}).get("course")
        return {
            "each": self.source.expression(node["each"], (*path, "each"), names),
            "name": name,
            "give": {
                key: self.source.template(value, (*path, "give", key), item)
                for key, value in node.get("give", {}).items()
            },
            "remember_course": None
            if remember is None
            else self.source.template(remember, (*path, "remember", "course"), item),
            "search": None if search is None else self._search(search, (*path, "search"), item),
        }

    def _search(self, node: Node, path: Path, names: Names) -> Search:
        within = tuple(
            self.source.template(text, (*path, "in", at), names) for at, text in placed(node.get("in"))
        )
        return Search(mode=node["mode"], within=within, min=node.get("min", 0), strip=node.get("strip", ""))

    # Progress.

    def check_reading(self, nodes: Any, path: Path) -> None:
        """The last step of a reading gives `completed` and `percent`."""
        for at, node in list(placed(nodes))[-1:]:
            given = self.steps.fields(node, (*path, at))
            for name in PROGRESS_NEEDS:
                if given is not None and name not in given:
                    self.source.problem(
                        (*path, at),
                        f"The last step of a reading must give `{name}`.",
                        fix=f"Add `{name}` to its `value`.",
                    )


def remembered(node: Any, who: str) -> Mapping[str, None] | None:
    """The fields that any step or the course list remembers of a student or course; None: cannot be told."""
    found: dict[str, None] = {}
    for fields in _remembers(node, who):
        if not isinstance(fields, dict):
            return None
        found.update(bare_names(fields))
    if found and who == "student":
        found["mergedFrom"] = None  # beside what a student who was merged away has left
    return found


def _remembers(node: Any, who: str) -> Iterator[Any]:
    if isinstance(node, dict):
        remember = node.get("remember")
        if isinstance(remember, dict) and who in remember:
            yield remember[who]
        elif remember is not None and not isinstance(remember, dict):
            yield remember
        for value in node.values():
            yield from _remembers(value, who)
    elif isinstance(node, list):
        for value in node:
            yield from _remembers(value, who)


def record_names(operations: Any) -> tuple[Mapping[str, None] | None, tuple[str, ...]]:
    """The record fields of createEnrolment, None when they cannot be told, and those its id is made of."""
    create = operations.get("createEnrolment") if isinstance(operations, dict) else None
    fields: dict[str, None] = {}
    key: tuple[str, ...] = ()
    for form in _forms(create):
        record, names = form.get("record", {}), form.get("key")
        if not isinstance(record, dict):
            return None, ()
        fields.update(bare_names(record))
        if isinstance(names, list):
            key = key or tuple(name for name in names if isinstance(name, str))
    return (fields if isinstance(create, dict) else None), key


def _forms(node: Any) -> Iterator[Node]:
    """An operation and the forms it may be chosen from."""
    if isinstance(node, dict):
        yield node
        of = node.get("of")
        for form in of.values() if isinstance(of, dict) else ():
            yield from _forms(form)


def has_steps(operation: Any) -> bool:
    """Whether an operation, or a form it may be chosen from, is done by steps."""
    return any("steps" in form for form in _forms(operation))


def course_field(record: Any) -> str | None:
    """The record field that holds the vendor's course id, which a lost database is read back by."""
    if isinstance(record, dict):
        for key, value in record.items():
            if isinstance(value, str) and value.replace(" ", "") == "${courseId}":
                return str(key).removesuffix("?")
    return None
