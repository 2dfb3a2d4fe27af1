"""One mapping's page for the RTO's administrator: hosts first, then what to set and what to leave blank."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.contract import OPTIONAL, Operation
from gateway.mapping.spec import Action, CallSpec, MappingSpec, OperationSpec, Setting, Step
from gateway.workbench.plan_checks import step_node
from gateway.workbench.words import sentence
from gateway.yamlfile import Document, Place, read_yaml

SLOTS = {
    Operation.GET_COURSES: "Get courses",
    Operation.GET_COURSE: "Get course",
    Operation.GET_ENROLMENT: "Get enrolment",
    Operation.CREATE_ENROLMENT: "Create enrolment",
    Operation.TRANSFER_ENROLMENT: "Transfer enrolment",
    Operation.CANCEL_ENROLMENT: "Cancel enrolment",
    Operation.UPDATE_MARKING: "Update marking",
}


def docs(mapping: MappingSpec, *, document: Document | None = None) -> str:
    """The page as Markdown. `document` is the mapping's YAML where it is not in a file."""
    document = document or read_yaml(Path(mapping.file))
    page = _Page(mapping, document)
    return "\n".join(page.lines()).rstrip() + "\n"


class _Page:
    def __init__(self, mapping: MappingSpec, document: Document) -> None:
        self._mapping, self._document = mapping, document
        self._data: dict[str, Any] = document.data

    def lines(self) -> Iterator[str]:
        vendor = self._mapping.vendor
        yield f"# {vendor['name']}"
        yield ""
        yield f"<!-- Made by `lms-gateway docs {self._mapping.name}`; change the mapping, not this page. -->"
        yield ""
        api = f" ({vendor['api']})" if "api" in vendor else ""
        yield f"Mapping `{self._mapping.name}` {self._mapping.version}, for {vendor['name']}{api}."
        if "docs" in vendor:
            yield f"The vendor's own documents: <{vendor['docs']}>."
        yield from self._sentences("setup", "What to switch on there", numbered=True)
        yield from self._sentences("gaps", "What it does not do")
        for part in (
            self._hosts,
            self._slots,
            self._settings,
            self._secrets,
            self._calls,
            self._account,
            self._provisional,
        ):
            told = list(part())
            yield from ["", *told] if told else []

    def _sentences(self, key: str, title: str, *, numbered: bool = False) -> Iterator[str]:
        said = self._data["vendor"].get(key, [])
        if said:
            yield from ("", f"## {title}", "")
        for at, text in enumerate(said, 1):
            yield f"{f'{at}.' if numbered else '-'} {text}"

    def _hosts(self) -> Iterator[str]:
        server = self._data["server"]
        yield "## Hosts"
        yield ""
        yield "The gateway calls these hosts and no others:"
        yield ""
        for host in server["hosts"]:
            yield f"- {_code(host)}"
        yield ""
        yield f"Calls begin with {_code(server['base'])}."

    def _slots(self) -> Iterator[str]:
        yield "## The slots in RTOPilot"
        yield ""
        yield "| Slot | What happens | Leave it blank? |"
        yield "|---|---|---|"
        for operation in Operation:
            spec = self._mapping.operations.get(operation)
            blank = self._blank(spec) if operation in OPTIONAL and spec is not None else "no"
            yield f"| {SLOTS[operation]} | {_cell(self._happens(operation, spec))} | {_cell(blank)} |"

    def _happens(self, operation: Operation, spec: OperationSpec | None) -> str:
        if spec is None:
            return {
                Operation.GET_COURSE: "picked from the list of courses",
                Operation.GET_ENROLMENT: self._read(),
            }.get(operation, "acknowledged, nothing is sent")
        if spec.kind == "choose" and spec.choose is not None:
            forms = "; ".join(f"`{word}`: {self._form(form)}" for word, form in spec.of.items())
            return f"by `{spec.choose.text}`: {forms}"
        return self._form(spec)

    def _read(self) -> str:
        progress = self._mapping.progress
        if progress is not None and progress.read:
            return "the enrolment with its progress, read from the LMS"
        return "the enrolment with the progress that was heard of last"

    def _form(self, spec: OperationSpec) -> str:
        match spec.kind:
            case "acknowledge":
                return f"acknowledged, nothing is sent ({self._said(spec)})"
            case "refuse":
                return f"refused ({self._said(spec)})"
            case "manual":
                return f"noted on the manual list ({self._said(spec)})"
            case "create-then-cancel":
                return "a new enrolment for the new student, then the old one is ended"
            case "constant":
                return "answered from the settings"
        sends = any(step.action is not None or step.first for step in spec.steps)
        return "done in the LMS" if sends else "done in the gateway alone, nothing is sent"

    def _said(self, spec: OperationSpec) -> str:
        """The sentence as written, with names where values stand in it."""
        written = next((node.get(spec.kind) for place, node in self._nodes() if place == spec.place), None)
        return str(written or sentence(spec.sentence)).rstrip(".")

    def _nodes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        waiting: list[tuple[Place, dict[str, Any]]] = [
            (("operations", name), node) for name, node in self._data["operations"].items()
        ]
        while waiting:
            path, node = waiting.pop(0)
            yield self._document.dotted(path), node
            waiting += [((*path, "of", word), form) for word, form in node.get("of", {}).items()]

    def _blank(self, spec: OperationSpec) -> str:
        if spec.kind == "refuse":
            return "yes"
        words = [f"`{word}`" for word, form in spec.of.items() if form.kind == "refuse"]
        if spec.kind == "choose" and spec.choose is not None and words:
            return f"when `{spec.choose.text}` is {' or '.join(words)}"
        return "no"

    def _settings(self) -> Iterator[str]:
        yield "## Settings"
        yield ""
        if not self._mapping.settings:
            yield "None."
            return
        yield "| Name | Value | Needed | Otherwise | Meaning |"
        yield "|---|---|---|---|---|"
        for setting in self._mapping.settings.values():
            needed = "yes" if setting.required and setting.default is None else "no"
            cells = (f"`{setting.name}`", _type(setting), needed, _default(setting), _help(setting))
            yield f"| {' | '.join(map(_cell, cells))} |"

    def _secrets(self) -> Iterator[str]:
        yield "## Secrets"
        yield ""
        if not self._mapping.secrets:
            yield "None."
        for secret in self._mapping.secrets.values():
            optional = "" if secret.required else " (optional)"
            yield f"- `{secret.name}`{optional}" + (f": {secret.help}" if secret.help else "")

    def _calls(self) -> Iterator[str]:
        yield "## What each operation calls"
        for operation in Operation:
            spec = self._mapping.operations.get(operation)
            lines = list(self._operation(operation, spec))
            if lines:
                yield ""
                yield f"### {SLOTS[operation]}"
                yield ""
                yield from lines

    def _operation(self, operation: Operation, spec: OperationSpec | None) -> Iterator[str]:
        progress = self._mapping.progress
        if spec is not None:
            yield from self._form_calls(spec)
        elif operation is Operation.GET_ENROLMENT and progress is not None:
            for step in progress.read:
                yield from self._step(step)

    def _form_calls(self, spec: OperationSpec) -> Iterator[str]:
        for word, form in spec.of.items():
            for line in self._form_calls(form):
                yield f"{line} (form `{word}`)"
        for step in spec.steps:
            yield from self._step(step)

    def _step(self, step: Step) -> Iterator[str]:
        if step.check is not None:
            yield from self._check(step)
        for action in (step.action, *step.first, step.undo):
            if action is None:
                continue
            yield self._call(step, action)
            if action.confirm is not None and action.confirm.call is not None:
                yield f"{_address(action.confirm.call)} reads, only to look up a lost answer"

    def _check(self, step: Step) -> Iterator[str]:
        """What ends the operation before anything more is sent."""
        written = step_node(self._document, step.place).get("check", ())
        for rule in written:
            said = f": {rule['say']}" if "say" in rule else ""
            only = "" if step.when is None else f", only when {_code(step.when.text)}"
            yield f"- ends when {_code(str(rule['if']))} ({rule.get('is', 'refused')}{said}){only}"

    def _call(self, step: Step, action: Action) -> str:
        words = [f"{_address(action.call)} {'writes' if action.writes else 'reads'}"]
        condition = action.when or step.when
        if action is step.undo:
            words.append("only to take the step back")
        elif condition is not None:
            words.append(f"only when {_code(condition.text)}")
        return ", ".join(words)

    def _account(self) -> Iterator[str]:
        checks = self._data.get("probe", {}).get("checks")
        if not checks:
            return
        yield "## What `lms-gateway check` says of the account"
        yield ""
        for check in checks:
            level = " (only a note)" if check.get("level") == "note" else ""
            yield f"- {check['say']}{level} When {_code(str(check['if']))}."

    def _provisional(self) -> Iterator[str]:
        if not self._mapping.provisional:
            return
        yield "## Names that may differ"
        yield ""
        yield (
            "The vendor's documents do not settle these names. `lms-gateway wsdl-diff` compares them with "
            "the real service and prints the `names:` to put into config.yaml."
        )
        yield ""
        yield ", ".join(f"`{name}`" for name in self._mapping.provisional)


def _address(call: CallSpec) -> str:
    """A line of a list, with the path as written."""
    path = "".join(
        part if isinstance(part, str) else "${" + ", ".join(e.text for e in part.expressions) + "}"
        for part in call.request.target.parts
    )
    return f"- {_code(f'{call.request.method} {path}')}"


def _type(setting: Setting) -> str:
    if setting.source is not None:
        return "one of the vendor's list (`lms-gateway choices`)"
    if setting.of:
        return "one of " + ", ".join(f"`{word}`" for word in setting.of)
    if setting.type == "template":
        return "text with `${…}`"
    if setting.item:
        return f"a list of objects: {', '.join(map(_field, setting.item.values()))}"
    return setting.type


def _field(part: Setting) -> str:
    more = [part.type, *([] if part.required else ["may be left out"]), *([part.help] if part.help else [])]
    return f"`{part.name}` ({'; '.join(more)})"


def _default(setting: Setting) -> str:
    if setting.default is None:
        return "–"
    text = _written(setting.default)
    return _code(text) if text else "empty"


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _help(setting: Setting) -> str:
    example = f"for example {_code(_written(setting.example))}" if setting.example is not None else ""
    return "; ".join(
        text for text in (setting.help, example, "hidden in logs" if setting.secret else "") if text
    )


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _cell(text: str) -> str:
    """Text in a table: a bar would end the cell."""
    return text.replace("|", "\\|")
