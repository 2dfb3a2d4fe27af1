"""The keys of a call with the place each was written at: the step's own, else the shared call's."""

from __future__ import annotations

from typing import Any

from gateway.mapping.templates import Path

Node = dict[str, Any]


class Origin:
    """One call as its author wrote it, alone or by `use`. A key of its own stands before the shared one."""

    def __init__(self, node: Node, path: Path, shared: Node | None = None, shared_path: Path = ()) -> None:
        self.node, self.at = node, path
        self.shared, self.shared_at = shared or {}, shared_path

    def __contains__(self, key: str) -> bool:
        return key in self.node or key in self.shared

    def __getitem__(self, key: str) -> Any:
        return self.node[key] if key in self.node else self.shared[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.node.get(key, self.shared.get(key, default))

    def path(self, key: str) -> Path:
        return (*(self.at if key in self.node or key not in self.shared else self.shared_at), key)

    def value_names(self) -> dict[str, None]:
        """The names the call gives to what comes after it, without `items` and `item`."""
        return bare_names(self.get("value"))


def bare_names(fields: Any) -> dict[str, None]:
    """The keys of an object without their `?`."""
    return {key.removesuffix("?"): None for key in fields} if isinstance(fields, dict) else {}
