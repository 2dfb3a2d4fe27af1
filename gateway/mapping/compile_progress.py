"""From the YAML of `progress` to `ProgressSpec`: how progress is read, polled and received."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.contract import Operation
from gateway.mapping.compile_operations import Operations, has_steps
from gateway.mapping.compile_polls import Polls
from gateway.mapping.compile_rows import Rows
from gateway.mapping.compile_verify import Verifies
from gateway.mapping.compile_webhook import Webhooks
from gateway.mapping.names import Names
from gateway.mapping.origin import Node, bare_names
from gateway.mapping.source import Source
from gateway.mapping.spec import Policy, Poll, ProgressSpec, Webhook
from gateway.mapping.templates import Path

READ: Path = ("progress", "read", "steps")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressCompiler:
    """Compiles `progress`; `names` are those known everywhere, `key` the record fields an id is made of."""

    source: Source
    operations: Operations
    names: Names
    key: tuple[str, ...]

    def progress(self, node: Node) -> ProgressSpec:
        nodes = node.get("read", {}).get("steps")
        names = self.operations.roots(Operation.GET_ENROLMENT)
        steps, _ = self.operations.steps.steps(nodes, READ, names)
        self.operations.check_reading(nodes, READ)
        policy = Policy(**node.get("policy", {}))
        brief = steps if policy.of == "units" else self.operations.steps.steps(_brief(nodes), READ, names)[0]
        own = self.source.at(("operations", Operation.GET_ENROLMENT.value, "steps"))
        return ProgressSpec(
            policy=policy,
            read=steps,
            brief=brief,
            units=_gives_units(own if isinstance(own, list) else nodes),
            polls=self._polls(node),
            webhooks=self._webhooks(node),
        )

    def _rows(self) -> Rows:
        return Rows(source=self.source, record=self.operations.record, key=self.key)

    def _can_read(self) -> bool:
        """Whether one enrolment can be read by steps; what the schema refused may have been steps."""
        own = ("operations", Operation.GET_ENROLMENT.value)
        written = has_steps(self.source.at(own)) or self.source.at(READ) is not None
        return written or self.source.is_broken(READ) or self.source.is_broken(own)

    def _polls(self, node: Node) -> tuple[Poll, ...]:
        enrolment = self.operations.roots(Operation.GET_ENROLMENT).tree["enrolment"]
        polls = Polls(
            source=self.source,
            calls=self.operations.steps.calls,
            rows=self._rows(),
            names=self.names,
            enrolment=enrolment,
            can_read=self._can_read(),
        )
        return polls.polls(node.get("poll"))

    def _webhooks(self, node: Node) -> tuple[Webhook, ...]:
        webhooks = Webhooks(
            source=self.source,
            rows=self._rows(),
            verifies=Verifies(
                source=self.source,
                settings=self.names.tree["settings"],
                secrets=self.source.names_in("secrets"),
            ),
            names=self.names,
            can_read=self._can_read(),
            polled=self.source.at(("progress", "poll")) is not None,
        )
        return webhooks.webhooks(node.get("webhook"))


def _gives_units(nodes: list[Node] | None) -> bool:
    values = [node["value"] for node in nodes or () if isinstance(node, dict) and "value" in node]
    return any(isinstance(value, dict) and "units" in bare_names(value) for value in values)


def _brief(nodes: list[Node] | None) -> list[Node]:
    """The same steps, the last of which gives only what a per cent needs: no units, no date."""
    if not nodes:
        return []
    value = nodes[-1].get("value", {})
    told = {key: item for key, item in value.items() if key.removesuffix("?") not in ("units", "at")}
    return [*nodes[:-1], {**nodes[-1], "value": told}]
