"""The public keys of a webhook's JWT as a mapping names them, and what must not stand there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.mapping.names import Names
from gateway.mapping.origin import Node
from gateway.mapping.source import Source
from gateway.mapping.templates import Path, Template

_ADDRESS = re.compile(r"(https?)://([^/:?#]+)", re.IGNORECASE)
_PRIVATE = ("d", "k", "p", "q")
"""Parts of a key that only its owner has. Source: RFC 7518, section 6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtKeys:
    """Compiles `keys` of the `verify` that is written at `path`."""

    source: Source
    node: Node
    path: Path

    def keys(self, names: Names) -> Template | None:
        if self.node["kind"] != "jwt":
            return None
        self._check_algorithms()
        if "keys" not in self.node:
            return None
        keys, path = self.node["keys"], (*self.path, "keys")
        if isinstance(keys, dict):
            self._check_document(keys, path)
        else:
            self._check_address(keys, path)
        return self.source.template(keys, path, names)

    def _check_algorithms(self) -> None:
        node, named = self.node, self.node.get("algorithms", ())
        if symmetric(node) and not all(name.startswith("HS") for name in named):
            self.source.problem(
                (*self.path, "algorithms"),
                "With both, a public key could be used as if it were the secret.",
                fix="Keep those of secrets (`HS…`) or those of keys.",
                key=True,
            )
        elif symmetric(node) and "keys" in node:
            self.source.problem(
                (*self.path, "keys"),
                "`HS…` is checked with a secret, not with keys.",
                fix="Remove it.",
                key=True,
            )
        elif not symmetric(node) and "keys" not in node and not self.source.is_broken((*self.path, "keys")):
            self.source.problem(
                self.path,
                "A JWT needs the vendor's public keys.",
                fix='Add `keys: "https://…/jwks.json"`.',
                key=True,
            )

    def _check_document(self, keys: Node, path: Path) -> None:
        listed = keys.get("keys")
        if not isinstance(listed, list) or not all(isinstance(key, dict) and "kty" in key for key in listed):
            self.source.problem(
                path,
                "A JWKS document is an object with a list `keys`, each of which has `kty`.",
                fix="Copy it whole from the vendor.",
                key=True,
            )
        elif any(part in key for key in listed for part in _PRIVATE):
            self.source.problem(
                path,
                "This is a private key.",
                fix="Only public keys stand in a mapping file; replace this one at the vendor.",
                key=True,
                show=False,
            )

    def _check_address(self, keys: str, path: Path) -> None:
        match, hosts = _ADDRESS.match(keys), self.source.at(("server", "hosts"))
        if match is None:
            if "${" not in keys:
                self.source.problem(
                    path, "`keys` is an address or a document.", fix="Write `https://`, the host, and a path."
                )
            return
        if match[1].lower() == "http":
            self.source.problem(path, "Without https anybody could give other keys.", fix="Write `https://`.")
        if "${" in match[2] or not isinstance(hosts, list) or any("${" in str(host) for host in hosts):
            return
        if match[2].lower() not in {str(host).lower() for host in hosts}:
            self.source.problem(
                path,
                f"`{match[2]}` is not among `server.hosts`, so no call may go there.",
                fix="Add it to `server.hosts`.",
            )


def symmetric(node: Node) -> bool:
    """Whether a JWT may be signed with a secret."""
    return node["kind"] == "jwt" and any(name.startswith("HS") for name in node.get("algorithms", ()))
