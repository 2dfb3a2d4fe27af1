"""From the YAML of `progress.webhook` to `Webhook`."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.mapping.compile_rows import Rows
from gateway.mapping.compile_verify import Verifies
from gateway.mapping.names import Names
from gateway.mapping.origin import Node
from gateway.mapping.progress_spec import Verify, Webhook
from gateway.mapping.source import Source
from gateway.mapping.templates import Path

PATH: Path = ("progress", "webhook")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """Compiles the webhook of one mapping; `names` are those known everywhere.

    `can_read`: whether one enrolment can be read by steps. `polled`: whether a poll stands beside it.
    """

    source: Source
    rows: Rows
    verifies: Verifies
    names: Names
    can_read: bool
    polled: bool

    def webhook(self, node: Node) -> Webhook:
        names = self.names.plus(headers=None, body=None)
        row = self.rows.name(node, PATH, "event", names)
        event = names.plus(**{row: None})
        verify = self.verifies.verify(node["verify"])
        self._check_trust(node)
        self._check_body(node, verify)
        if not self.polled:
            self._check_polled()
        return Webhook(
            place=self.source.dotted(PATH),
            line=self.source.line(PATH),
            verify=verify,
            body=node.get("body", "json"),
            events=self.source.optional_expression(node, "events", PATH, names),
            row=row,
            id=self.source.optional_template(node, "id", PATH, event),
            keep=self.source.optional_expression(node, "keep", PATH, names, item=True),
            find=self.rows.find(node, PATH, event),
            value=self.rows.value(node, PATH, event),
            trust=node.get("trust", "hint"),
        )

    def _check_trust(self, node: Node) -> None:
        if node.get("trust") == "value":
            if "value" not in node and not self.source.is_broken((*PATH, "value")):
                self.source.problem(
                    (*PATH, "trust"),
                    "To believe an event it must be said what it says.",
                    fix='Add `value: {"percent?": …, completed: …}`, or write `trust: hint`.',
                )
            return
        if "value" in node:
            self.source.warning(
                (*PATH, "value"),
                "After a hint the enrolment is read, so `value` is never used.",
                fix="Remove it, or write `trust: value`.",
                key=True,
            )
        if not self.can_read and not self.source.is_broken((*PATH, "trust")):
            self.source.problem(
                PATH,
                "After a hint the enrolment is read by `progress.read`, and there is none.",
                fix="Add `read: {steps: …}` under `progress`, or write `trust: value`.",
                key=True,
            )

    def _check_body(self, node: Node, verify: Verify) -> None:
        body = node.get("body", "json")
        if body == "jwt" and verify.kind != "jwt":
            self.source.problem(
                (*PATH, "body"),
                f"`verify` of kind `{verify.kind}` does not check a JWT.",
                fix="Write `verify: {kind: jwt, …}`, or another `body`.",
            )
        if verify.kind == "jwt" and verify.token is None and body != "jwt":
            self.source.problem(
                (*PATH, "body") if "body" in node else PATH,
                "The body is the JWT that is verified.",
                fix="Write `body: jwt`, or say with `from` where the JWT stands.",
                key="body" not in node,
            )

    def _check_polled(self) -> None:
        self.source.problem(
            PATH,
            "A webhook can get lost, and no poll stands beside it.",
            fix="Add `poll: {plan: per-enrolment, every: 1d, spread: true}`.",
            key=True,
        )
