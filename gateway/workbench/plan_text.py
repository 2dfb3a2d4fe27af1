"""A plan on a terminal."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape

from gateway.workbench.plan import Plan
from gateway.workbench.plan_calls import PlannedCall, Request
from gateway.workbench.plan_checks import PlannedCheck
from gateway.workbench.plan_steps import PlannedStep

RULES = {"no": "does not hold: ", "unknown": "ends here when ", "yes": "ENDS HERE: "}
STATES = {"no": "skipped: ", "unknown": "only when: ", "yes": "because: "}


def print_plan(plan: Plan, console: Console, *, as_json: bool = False) -> None:
    """The whole plan, readable or as JSON."""
    if as_json:
        console.print_json(json.dumps(plan.data(), ensure_ascii=False))
        return
    out = _Writer(console)
    out.line(0, f"[bold]{plan.mapping} {plan.operation}[/]  (nothing is sent)")
    out.line(0, f"Hosts that may be called: {escape(', '.join(plan.hosts))}")
    if plan.log_in is not None:
        out.line(0, "\n[bold]Log in[/], where there is no live session")
        out.call(1, plan.log_in)
    for section in plan.sections:
        out.line(0, f"\n[bold]{escape(section.title)}[/]")
        if section.note:
            out.line(1, escape(section.note))
        for step in section.steps:
            out.step(step)
    if plan.server_rules:
        out.line(0, "\n[bold]Rules for every reply[/], after the call's own; the first that holds decides")
        for rule in plan.server_rules:
            out.line(1, escape(rule))
    out.line(0, escape(plan.defaults))


class _Writer:
    def __init__(self, console: Console) -> None:
        self._console = console

    def line(self, depth: int, markup: str) -> None:
        self._console.print("  " * depth + markup, highlight=False, soft_wrap=True)

    def step(self, step: PlannedStep) -> None:
        notes = [step.id]
        if step.optional:
            notes.append("(optional: a failure is only a warning)")
        if step.tried_in_order:
            notes.append("(tried in this order until one gives a value)")
        self.line(1, f"[bold]{escape(' '.join(notes))}[/]")
        self._when(2, step.state, step.when)
        if step.mint:
            self.line(2, f"made once and kept: {', '.join(step.mint)}")
        if step.check is not None:
            self._check(step.check)
        for call in step.calls:
            if step.tried_in_order:
                self.line(2, f"[bold]- {escape(call.name)}[/]")
            self.call(3 if step.tried_in_order else 2, call)
        if step.undo is not None:
            self.line(2, "taken back, when a later step fails for good:")
            self.call(3, step.undo)

    def _check(self, check: PlannedCheck) -> None:
        self.line(2, "sends nothing")
        for rule in check.rules:
            self.line(3, escape(f"{RULES[rule.state]}{rule.words}"))
        for name, value in check.gives.items():
            self.line(3, escape(f"gives {name}: {json.dumps(value, ensure_ascii=False)}"))
        if check.problem is not None:
            self.line(3, f"[red]cannot be worked out:[/] {escape(check.problem)}")

    def _when(self, depth: int, state: str, when: str | None) -> None:
        if when is not None:
            self.line(depth, escape(STATES[state] + when + (" (does not hold)" if state == "no" else "")))

    def call(self, depth: int, call: PlannedCall) -> None:
        self._when(depth, call.state, call.when)
        if call.problem is not None:
            self.line(depth, f"[red]cannot be made:[/] {escape(call.problem)}")
        if call.request is not None:
            self._request(depth, call.request)
        if call.pages is not None:
            self.line(depth + 1, call.pages)
        for rule in call.rules:
            self.line(depth + 1, f"[dim]reply:[/] {escape(rule)}")
        if call.lost is not None:
            self.line(depth + 1, f"[dim]answer lost:[/] {escape(call.lost)}")
        if call.look_up is not None:
            self.line(depth + 1, "[dim]look-up:[/]")
            self.call(depth + 2, call.look_up)

    def _request(self, depth: int, request: Request) -> None:
        query = "&".join(f"{name}={value}" for name, value in request.query)
        url = request.url + (f"?{query}" if query else "")
        self.line(depth, f"[cyan]{request.method} {escape(url)}[/]")
        for name, value in request.headers.items():
            self.line(depth + 1, escape(f"{name}: {value}"))
        if request.soap_header:
            self._data(depth + 1, "soap header", request.soap_header)
        if request.kind != "none":
            self._data(depth + 1, request.kind, request.body)

    def _data(self, depth: int, name: str, data: Any) -> None:
        text = json.dumps(data, ensure_ascii=False, indent=2)
        self.line(depth, escape(f"{name} {text}".replace("\n", "\n" + "  " * depth)))
