"""From the YAML of `progress.webhook`, one webhook or a list of them, to `Webhook`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gateway.mapping.compile_rows import Rows
from gateway.mapping.compile_verify import Verifies
from gateway.mapping.names import Names
from gateway.mapping.origin import Node
from gateway.mapping.progress_spec import Verify, Webhook
from gateway.mapping.pruning import placed
from gateway.mapping.source import Source
from gateway.mapping.templates import Path

PATH: Path = ("progress", "webhook")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """Compiles the webhooks of one mapping; `names` are those known everywhere.

    `can_read`: whether one enrolment can be read by steps. `polled`: whether a poll stands beside them.
    """

    source: Source
    rows: Rows
    verifies: Verifies
    names: Names
    can_read: bool
    polled: bool

    def webhooks(self, node: Any) -> tuple[Webhook, ...]:
        """All of them, named `webhook`, `webhook-2`, … by their places."""
        if isinstance(node, list):
            self._check_reached(node)
            found = tuple(
                self._webhook(each, (*PATH, at), f"webhook-{at + 1}" if at else "webhook")
                for at, each in placed(node)
            )
        else:
            found = (self._webhook(node, PATH, "webhook"),) if node is not None else ()
        if found and not self.polled:
            self._check_polled()
        return found

    def _webhook(self, node: Node, path: Path, name: str) -> Webhook:
        names = self.names.plus(headers=None, body=None)
        row = self.rows.name(node, path, "event", names)
        event = names.plus(**{row: None})
        verify = self.verifies.verify(node["verify"], (*path, "verify"), node.get("body", "json"))
        self._check_trust(node, path)
        self._check_body(node, path, verify)
        return Webhook(
            name=name,
            mark=_mark(node),
            place=self.source.dotted(path),
            line=self.source.line(path),
            verify=verify,
            when=self.source.optional_expression(node, "when", path, self.verifies.settings_alone),
            body=node.get("body", "json"),
            events=self.source.optional_expression(node, "events", path, names),
            row=row,
            id=self.source.optional_template(node, "id", path, event),
            keep=self.source.optional_expression(node, "keep", path, names, item=True),
            find=self.rows.find(node, path, event),
            value=self.rows.value(node, path, event),
            trust=node.get("trust", "hint"),
        )

    def _check_reached(self, nodes: list[Node]) -> None:
        """What a webhook without `when` has taken never reaches a later one with the same proof."""
        proofs: list[Node] = []
        for at, node in placed(nodes):
            if node["verify"] in proofs:
                self.source.warning(
                    (*PATH, at, "verify"),
                    "One before it has the same proof and takes every delivery, so this one gets none.",
                    fix="Make one webhook of the two, or write `when` at the first.",
                    key=True,
                )
            if "when" not in node:
                proofs.append(node["verify"])

    def _check_trust(self, node: Node, path: Path) -> None:
        if node.get("trust") == "value":
            if "value" not in node and not self.source.is_broken((*path, "value")):
                self.source.problem(
                    (*path, "trust"),
                    "To believe an event it must be said what it says.",
                    fix='Add `value: {"percent?": …, completed: …}`, or write `trust: hint`.',
                )
            return
        if "value" in node:
            self.source.warning(
                (*path, "value"),
                "After a hint the enrolment is read, so `value` is never used.",
                fix="Remove it, or write `trust: value`.",
                key=True,
            )
        if not self.can_read and not self.source.is_broken((*path, "trust")):
            self._complain(
                path,
                "After a hint the enrolment is read by `progress.read`, and there is none.",
                "Add `read: {steps: …}` under `progress`, or write `trust: value`.",
            )

    def _check_body(self, node: Node, path: Path, verify: Verify) -> None:
        body = node.get("body", "json")
        if body == "jwt" and verify.kind != "jwt":
            self.source.problem(
                (*path, "body"),
                f"`verify` of kind `{verify.kind}` does not check a JWT.",
                fix="Write `verify: {kind: jwt, …}`, or another `body`.",
            )
        if verify.kind == "jwt" and verify.token is None and body != "jwt":
            self._complain(
                (*path, "body") if "body" in node else path,
                "The body is the JWT that is verified.",
                "Write `body: jwt`, or say with `from` where the JWT stands.",
                at_key="body" not in node,
            )

    def _check_polled(self) -> None:
        self._complain(
            PATH,
            "A webhook can get lost, and no poll stands beside it.",
            "Add `poll: {plan: per-enrolment, every: 1d, spread: true}`.",
        )

    def _complain(self, path: Path, message: str, fix: str, *, at_key: bool = True) -> None:
        """A problem at a key; what stands in a list has none."""
        self.source.problem(path, message, fix=fix, key=at_key and isinstance(path[-1], str))


def _mark(node: Node) -> str:
    """The same while a webhook takes the same deliveries; how they are read may be put right meanwhile."""
    taken = json.dumps([node["verify"], node.get("when")], sort_keys=True)
    return sha256(taken.encode()).hexdigest()[:8]
