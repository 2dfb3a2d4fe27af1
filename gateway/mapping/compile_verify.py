"""From the YAML of `verify` to `Verify`: how a webhook proves that it comes from the vendor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.mapping.expressions import Expression, nearest
from gateway.mapping.names import Names
from gateway.mapping.origin import Node
from gateway.mapping.progress_spec import Verify
from gateway.mapping.pruning import placed
from gateway.mapping.source import Source
from gateway.mapping.templates import Path, Template
from gateway.mapping.units import seconds

PATH: Path = ("progress", "webhook", "verify")
RAW = "raw"
_SECRETS = frozenset({"secret", "secrets"})
_KEYS: Mapping[str, frozenset[str]] = {
    "secret-path": _SECRETS,
    "shared-token": _SECRETS | {"token"},
    "basic": _SECRETS | {"user"},
    "bearer": _SECRETS,
    "hmac": _SECRETS | {"signature", "signed", "hash", "encoding", "key", "prefix", "fresh"},
    "standard-webhooks": _SECRETS | {"fresh"},
    "jwt": _SECRETS | {"from", "keys", "algorithms", "issuer", "audience"},
    "none-quarantine": frozenset(),
}
_INSTEAD = {("shared-token", "from"): "token", ("jwt", "token"): "from"}
_FILLED_IN = re.compile(r"\$\{ *secrets\.([A-Za-z0-9]+) *\}|secrets\.([A-Za-z0-9]+)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,40}")
_ADDRESS = re.compile(r"(https?)://([^/:?#]+)", re.IGNORECASE)
_PRIVATE = ("d", "k", "p", "q")
"""Parts of a key that only its owner has. Source: RFC 7518, section 6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifies:
    """Compiles `verify`; `settings` and `secrets` are the names there are, None where it cannot be told."""

    source: Source
    settings: Any
    secrets: Mapping[str, None] | None

    def verify(self, node: Node) -> Verify:
        kind = node["kind"]
        names = Names({"settings": self.settings, "headers": None, "query": None})
        if kind == "shared-token":
            names = names.plus(body=None)
        self._check_keys(node)
        fresh = node.get("fresh", {})
        verify = Verify(
            kind=kind,
            secrets=self._secrets(node),
            token=self._token(node, names),
            user=self.source.optional_template(node, "user", PATH, names),
            hash=node.get("hash", "sha256"),
            encoding=node.get("encoding", "hex"),
            key=node.get("key", "text"),
            prefix=node.get("prefix", ""),
            signed=self._signed(node, names),
            signature=self.source.optional_expression(node, "signature", PATH, names),
            fresh_at=self.source.optional_expression(fresh, "at", (*PATH, "fresh"), names),
            fresh_within_s=seconds(fresh.get("within"), 300.0),
            keys=self._keys(node, names),
            algorithms=tuple(node.get("algorithms", ())),
            issuer=self.source.optional_template(node, "issuer", PATH, names),
            audience=self.source.optional_template(node, "audience", PATH, names),
        )
        self._check_signed(node, verify)
        self._check_fresh(node, verify)
        return verify

    def _check_keys(self, node: Node) -> None:
        kind = node["kind"]
        for key in sorted(node.keys() - _KEYS[kind] - {"kind"}):
            better = _INSTEAD.get((kind, key))
            fix = f"Write `{better}`." if better else "Remove it."
            self.source.problem((*PATH, key), f"`verify` of kind `{kind}` has no `{key}`.", fix=fix, key=True)

    # Secrets.

    def _secrets(self, node: Node) -> tuple[str, ...]:
        written: list[tuple[Path, str]] = [
            ((*PATH, "secrets", at), name) for at, name in placed(node.get("secrets"))
        ]
        if "secret" in node:
            written.insert(0, ((*PATH, "secret"), node["secret"]))
        self._check_some(node, bool(written))
        return tuple(self._secret(path, name) for path, name in written)

    def _check_some(self, node: Node, some: bool) -> None:
        if "secret" in node and "secrets" in node:
            self.source.problem(
                (*PATH, "secret"), "One of `secret` and `secrets` is enough.", fix="Remove one.", key=True
            )
        needs = node["kind"] not in ("jwt", "none-quarantine") or _symmetric(node)
        broken = any(self.source.is_broken((*PATH, key)) for key in _SECRETS)
        if needs and not some and not broken:
            self.source.problem(
                PATH,
                "`verify` needs a secret.",
                fix="Add `secret: NAME`, and NAME under `secrets`.",
                key=True,
            )
        if node["kind"] == "jwt" and some and not _symmetric(node) and "algorithms" in node:
            self.source.problem(
                (*PATH, "secrets" if "secrets" in node else "secret"),
                "These algorithms are checked with public keys, not with a secret.",
                fix="Remove it.",
                key=True,
            )

    def _secret(self, path: Path, written: str) -> str:
        filled = _FILLED_IN.fullmatch(written)
        name = (filled[1] or filled[2]) if filled else written
        if filled:
            self.source.problem(path, "Here stands the name of a secret.", fix=f"Write `{name}`.")
        elif not _NAME.fullmatch(name):
            self.source.problem(
                path, "This is no name of a secret.", fix="Name it under `secrets` at the top.", show=False
            )
        elif self.secrets is not None and name not in self.secrets:
            near = nearest(name, self.secrets)
            fix = f"Write `{near}`." if near else f"Add `{name}:` under `secrets` at the top."
            self.source.problem(path, f"There is no secret `{name}`.", fix=fix)
        return name

    # Where the proof stands.

    def _token(self, node: Node, names: Names) -> Expression | None:
        key = "from" if node["kind"] == "jwt" else "token"
        if key == "from" and node.get("from", "body") == "body":
            return None
        return self.source.optional_expression(node, key, PATH, names)

    def _signed(self, node: Node, names: Names) -> tuple[Expression | None, ...]:
        if "signed" not in node:
            return (None,)
        return tuple(
            None if part == RAW else self.source.expression(part, (*PATH, "signed", at), names)
            for at, part in placed(node["signed"])
        )

    def _check_signed(self, node: Node, verify: Verify) -> None:
        if None not in verify.signed and not self.source.is_broken((*PATH, "signed")):
            self.source.warning(
                (*PATH, "signed"),
                "The body is not among the signed parts: anybody could change it on its way.",
                fix="Add `raw`.",
                key=True,
            )

    def _check_fresh(self, node: Node, verify: Verify) -> None:
        if "fresh" not in node or self.source.is_broken((*PATH, "fresh", "at")):
            return
        if node["kind"] == "standard-webhooks" and verify.fresh_at is not None:
            self.source.problem(
                (*PATH, "fresh", "at"),
                "Standard Webhooks say themselves when they were sent.",
                fix="Keep only `within`.",
                key=True,
            )
        if node["kind"] != "hmac":
            return
        if verify.fresh_at is None:
            self.source.problem(
                (*PATH, "fresh"),
                "`fresh` needs `at`: when it was sent.",
                fix='Add `at: "number(headers.x_timestamp)"`.',
                key=True,
            )
        elif not _places(verify.fresh_at) & {each for part in verify.signed for each in _places(part)}:
            self.source.warning(
                (*PATH, "fresh", "at"),
                "The time is not among the signed parts, so an old delivery can be given a new one.",
                fix="Add it to `signed`.",
            )

    # Keys of a JWT.

    def _keys(self, node: Node, names: Names) -> Template | None:
        if node["kind"] != "jwt":
            return None
        self._check_algorithms(node)
        if "keys" not in node:
            return None
        keys, path = node["keys"], (*PATH, "keys")
        if isinstance(keys, dict):
            self._check_document(keys, path)
        else:
            self._check_address(keys, path)
        return self.source.template(keys, path, names)

    def _check_algorithms(self, node: Node) -> None:
        named = node.get("algorithms", ())
        if _symmetric(node) and not all(name.startswith("HS") for name in named):
            self.source.problem(
                (*PATH, "algorithms"),
                "With both, a public key could be used as if it were the secret.",
                fix="Keep those of secrets (`HS…`) or those of keys.",
                key=True,
            )
        elif _symmetric(node) and "keys" in node:
            self.source.problem(
                (*PATH, "keys"), "`HS…` is checked with a secret, not with keys.", fix="Remove it.", key=True
            )
        elif not _symmetric(node) and "keys" not in node and not self.source.is_broken((*PATH, "keys")):
            self.source.problem(
                PATH,
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


def _symmetric(node: Node) -> bool:
    """Whether a JWT may be signed with a secret."""
    return node["kind"] == "jwt" and any(name.startswith("HS") for name in node.get("algorithms", ()))


def _places(part: Expression | None) -> set[tuple[str, ...]]:
    """The headers and query arguments that an expression reads."""
    return {path.parts[:2] for path in part.names} if part is not None else set()
