"""From the YAML of `verify` to `Verify`: how a webhook proves that it comes from the vendor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.mapping.compile_keys import JwtKeys, symmetric
from gateway.mapping.expressions import Expression, nearest
from gateway.mapping.names import Names
from gateway.mapping.origin import Node
from gateway.mapping.progress_spec import SignedPart, Verify
from gateway.mapping.pruning import placed
from gateway.mapping.source import Source
from gateway.mapping.templates import Path
from gateway.mapping.units import seconds

_SECRETS = frozenset({"secret", "secrets"})
_SIGNED = _SECRETS | {"signature", "signed", "hash", "encoding", "prefix", "fresh"}
_KEYS: Mapping[str, frozenset[str]] = {
    "secret-path": _SECRETS,
    "shared-token": _SECRETS | {"token", "prefix"},
    "basic": _SECRETS | {"user"},
    "bearer": _SECRETS,
    "hmac": _SIGNED | {"key"},
    "digest": _SIGNED | {"without"},
    "standard-webhooks": _SECRETS | {"fresh"},
    "jwt": _SECRETS | {"from", "keys", "algorithms", "issuer", "audience"},
    "none-quarantine": frozenset(),
}
_READS_BODY = ("shared-token", "digest")
_INSTEAD = {("shared-token", "from"): "token", ("jwt", "token"): "from"}
_FILLED_IN = re.compile(r"\$\{ *secrets\.([A-Za-z0-9]+) *\}|secrets\.([A-Za-z0-9]+)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifies:
    """Compiles `verify`; `settings` and `secrets` are the names there are, None where it cannot be told."""

    source: Source
    settings: Any
    secrets: Mapping[str, None] | None

    @property
    def settings_alone(self) -> Names:
        return Names({"settings": self.settings})

    def verify(self, node: Node, path: Path, body: str) -> Verify:
        """`path` is where `verify` stands, `body` what the webhook's body is."""
        names = self.settings_alone.plus(headers=None, query=None)
        if node["kind"] in _READS_BODY:
            names = names.plus(body=None)
        one = _Proof(
            source=self.source, node=node, path=path, body=body, names=names, known_secrets=self.secrets
        )
        return one.verify()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """One `verify`, and the names its expressions know."""

    source: Source
    node: Node
    path: Path
    body: str
    names: Names
    known_secrets: Mapping[str, None] | None

    @property
    def kind(self) -> str:
        kind: str = self.node["kind"]
        return kind

    def verify(self) -> Verify:
        node = self.node
        self._check_keys()
        fresh = node.get("fresh", {})
        keys = JwtKeys(source=self.source, node=node, path=self.path)
        verify = Verify(
            kind=node["kind"],
            secrets=self._secrets(),
            tokens=tuple(self._tokens()),
            token=self._jwt(),
            user=self.source.optional_template(node, "user", self.path, self.names),
            hash=node.get("hash", "sha256"),
            encoding=node.get("encoding", "hex"),
            key=node.get("key", "text"),
            prefix=node.get("prefix", ""),
            signed=tuple(self._signed()),
            signature=self._expression("signature"),
            without=node.get("without"),
            fresh_at=self.source.optional_expression(fresh, "at", (*self.path, "fresh"), self.names),
            fresh_within_s=seconds(fresh.get("within"), 300.0),
            keys=keys.keys(self.names),
            algorithms=tuple(node.get("algorithms", ())),
            issuer=self.source.optional_template(node, "issuer", self.path, self.names),
            audience=self.source.optional_template(node, "audience", self.path, self.names),
        )
        self._check_signed(verify)
        self._check_hash()
        self._check_without(verify)
        self._check_fresh(verify)
        return verify

    def _expression(self, key: str) -> Expression | None:
        return self.source.optional_expression(self.node, key, self.path, self.names)

    def _check_keys(self) -> None:
        for key in sorted(self.node.keys() - _KEYS[self.kind] - {"kind"}):
            better = _INSTEAD.get((self.kind, key))
            fix = f"Write `{better}`." if better else "Remove it."
            message = f"`verify` of kind `{self.kind}` has no `{key}`."
            self.source.problem((*self.path, key), message, fix=fix, key=True)

    def _complain(self, key: str, message: str, fix: str) -> None:
        """A problem at a key of `verify`, or at `verify` itself where the key is not written."""
        path = (*self.path, key) if key in self.node else self.path
        self.source.problem(path, message, fix=fix, key=True)

    # Secrets.

    def _secrets(self) -> tuple[str, ...]:
        written: list[tuple[Path, str]] = [
            ((*self.path, "secrets", at), name) for at, name in placed(self.node.get("secrets"))
        ]
        if "secret" in self.node:
            written.insert(0, ((*self.path, "secret"), self.node["secret"]))
        self._check_some(bool(written))
        return tuple(self._secret(path, name) for path, name in written)

    def _check_some(self, some: bool) -> None:
        if "secret" in self.node and "secrets" in self.node:
            self._complain("secret", "One of `secret` and `secrets` is enough.", "Remove one.")
        needs = self.kind not in ("jwt", "none-quarantine") or symmetric(self.node)
        broken = any(self.source.is_broken((*self.path, key)) for key in _SECRETS)
        if needs and not some and not broken:
            self.source.problem(
                self.path,
                "`verify` needs a secret.",
                fix="Add `secret: NAME`, and NAME under `secrets`.",
                key=True,
            )
        if self.kind == "jwt" and some and not symmetric(self.node) and "algorithms" in self.node:
            self._complain(
                "secrets" if "secrets" in self.node else "secret",
                "These algorithms are checked with public keys, not with a secret.",
                "Remove it.",
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
        elif self.known_secrets is not None and name not in self.known_secrets:
            near = nearest(name, self.known_secrets)
            fix = f"Write `{near}`." if near else f"Add `{name}:` under `secrets` at the top."
            self.source.problem(path, f"There is no secret `{name}`.", fix=fix)
        return name

    # Where the proof stands.

    def _tokens(self) -> Iterator[Expression]:
        written, path = self.node.get("token"), (*self.path, "token")
        if self.kind != "shared-token" or written is None:
            return
        if not isinstance(written, list):
            yield self.source.expression(written, path, self.names)
            return
        for at, each in placed(written):
            yield self.source.expression(each, (*path, at), self.names)

    def _jwt(self) -> Expression | None:
        if self.kind != "jwt" or self.node.get("from", "body") == "body":
            return None
        return self._expression("from")

    def _signed(self) -> Iterator[SignedPart]:
        if "signed" not in self.node:
            yield "raw"
        for at, part in placed(self.node.get("signed")):
            if part == "raw":
                yield "raw"
            elif part == "secret" and self.kind == "digest":
                yield "secret"
            else:
                yield self.source.expression(part, (*self.path, "signed", at), self.names)

    # What is signed.

    def _check_signed(self, verify: Verify) -> None:
        if self.source.is_broken((*self.path, "signed")):
            return
        if self.kind == "digest" and "secret" not in verify.signed:
            self._complain(
                "signed", "A plain hash without the secret in it proves nothing.", "Add `secret` to `signed`."
            )
        elif "raw" not in verify.signed and not any(place[0] == "body" for place in _signed_places(verify)):
            self.source.warning(
                (*self.path, "signed"),
                "The body is not among the signed parts: anybody could change it on its way.",
                fix="Add `raw`.",
                key=True,
            )

    def _check_hash(self) -> None:
        if self.kind == "hmac" and self.node.get("hash") == "md5":
            path = (*self.path, "hash")
            self.source.problem(path, "Only kind `digest` knows `md5`.", fix="Write `sha256`.")

    def _check_without(self, verify: Verify) -> None:
        """A signature that stands in what is signed must be cut out of it, and no other one can be."""
        if self.kind != "digest" or verify.signature is None or self.source.is_broken((*self.path, "signed")):
            return
        inside = _stands_in_signed(verify)
        if verify.without is None and inside and not self.source.is_broken((*self.path, "without")):
            self._complain(
                "signature",
                "The signature stands in what is signed, so nobody could make it.",
                "Add `without:` and the name of its member.",
            )
        elif verify.without is not None and not inside:
            self._complain(
                "without",
                "The signature does not stand in what is signed, so there is nothing to cut out.",
                "Remove it.",
            )
        elif verify.without is not None and "raw" in verify.signed and self.body != "json":
            self._complain(
                "without",
                "Only out of JSON a member can be cut.",
                "Write the field that holds JSON in `signed`.",
            )

    def _check_fresh(self, verify: Verify) -> None:
        if "fresh" not in self.node or self.source.is_broken((*self.path, "fresh", "at")):
            return
        path = (*self.path, "fresh")
        if self.kind == "standard-webhooks" and verify.fresh_at is not None:
            self.source.problem(
                (*path, "at"),
                "Standard Webhooks say themselves when they were sent.",
                fix="Keep only `within`.",
                key=True,
            )
        if self.kind not in ("hmac", "digest"):
            return
        if verify.fresh_at is None:
            self._complain(
                "fresh", "`fresh` needs `at`: when it was sent.", 'Add `at: "number(headers.x_timestamp)"`.'
            )
        elif not _is_signed(_places(verify.fresh_at), verify):
            self.source.warning(
                (*path, "at"),
                "The time is not among the signed parts, so an old delivery can be given a new one.",
                fix="Add it to `signed`.",
            )


def _stands_in_signed(verify: Verify) -> bool:
    found = [path.parts for path in verify.signature.names] if verify.signature is not None else []
    signed = [path.parts for part in verify.signed if isinstance(part, Expression) for path in part.names]
    signed += [("body",)] if "raw" in verify.signed else []
    return any(place[:1] == ("body",) and place[: len(each)] == each for place in found for each in signed)


def _is_signed(places: set[tuple[str, ...]], verify: Verify) -> bool:
    in_body = "raw" in verify.signed and any(place[0] == "body" for place in places)
    return in_body or bool(places & _signed_places(verify))


def _signed_places(verify: Verify) -> set[tuple[str, ...]]:
    return {place for part in verify.signed if isinstance(part, Expression) for place in _places(part)}


def _places(part: Expression) -> set[tuple[str, ...]]:
    """The headers, query arguments and fields of the body that an expression reads."""
    return {path.parts[:2] for path in part.names}
