"""A step that sends nothing, as a plan shows it: which of its rules hold, and what it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import ExpressionError
from gateway.mapping.expressions import compile_expression
from gateway.mapping.origin import Node
from gateway.mapping.spec import Check, CheckRule
from gateway.mapping.templates import Context, Path, as_text, compile_template
from gateway.workbench.plan_calls import State, state_of
from gateway.workbench.unknowns import RUNTIME, Known, Unknown
from gateway.workbench.words import OUTCOMES
from gateway.yamlfile import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRule:
    """One rule of a check. `state` says whether it holds and so ends the step, as far as that is known."""

    state: State
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCheck:
    """A check. `gives` is what later steps see, by name where a value is not known yet.

    `problem` is why the value cannot be worked out.
    """

    rules: list[PlannedRule] = field(default_factory=list)
    gives: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """A check and its value: `known` for expressions, `filled` for requests."""

    planned: PlannedCheck
    known: Mapping[str, Any]
    filled: Mapping[str, Any]


def worked(name: str, check: Check, node: Node, scope: Known) -> Worked:
    """What is known of the check in step `name` before anything is sent; `node` is the step as written."""
    known: dict[str, Any] = {}
    gives: dict[str, Any] = {}
    problem: str | None = None
    for key, value in node.get("value", {}).items():
        field_name = key.removesuffix("?")
        try:
            filled = _filled(key, value, scope)
        except Unknown as unknown:
            gives[field_name] = f"‹{unknown.shown}›"
        except ExpressionError as error:
            problem = problem or str(error)
        else:
            gives.update(filled)
            known[field_name] = filled.get(field_name)
    whole = problem is None and all(key.removesuffix("?") in known for key in node.get("value", {}))
    said = [str(rule.get("say", "")) for rule in node.get("check", ())]
    rules = [_rule(rule, text, scope) for rule, text in zip(check.rules, said, strict=True)]
    return Worked(
        planned=PlannedCheck(rules=rules, gives=gives, problem=problem),
        known=gives if whole else Known(known, path=f"steps.{name}."),
        filled=gives if whole else known,
    )


def _filled(key: str, value: Any, scope: Known) -> dict[str, Any]:
    """One key of a value, or nothing where it is left out. Raises Unknown and ExpressionError."""
    template = compile_template(
        {key: value}, ("value",), lambda text, *_: compile_expression(text), lambda _: None
    )
    filled: dict[str, Any] = template.render(Context(scope, RUNTIME))
    return filled


def _rule(rule: CheckRule, written: str, scope: Known) -> PlannedRule:
    try:
        said = "" if rule.say is None else as_text(rule.say.render(Context(scope, RUNTIME)))
    except (Unknown, ExpressionError):
        said = written
    words = f"{rule.when.text} → {rule.outcome}: {said or OUTCOMES[rule.outcome]}"
    return PlannedRule(state=state_of(rule.when, scope), words=words)


def step_node(document: Document, place: str) -> Node:
    """A step as it is written, by its place."""
    return next((node for path, node in _steps(document.data) if document.dotted(path) == place), {})


def _steps(data: Node) -> Iterator[tuple[Path, Node]]:
    forms: list[tuple[Path, Any]] = [
        (("operations", name), node) for name, node in data.get("operations", {}).items()
    ]
    forms.append((("progress", "read"), data.get("progress", {}).get("read", {})))
    while forms:
        path, form = forms.pop()
        forms += [((*path, "of", word), other) for word, other in form.get("of", {}).items()]
        yield from (((*path, "steps", at), node) for at, node in enumerate(form.get("steps") or ()))
