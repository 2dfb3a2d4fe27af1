"""From the YAML of `server.auth` to how credentials reach the vendor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from gateway.mapping.compile_calls import Calls
from gateway.mapping.names import REPLY, Names
from gateway.mapping.origin import Node, bare_names
from gateway.mapping.source import Source
from gateway.mapping.spec import Auth, AuthPlaceSpec, OAuth2, Session
from gateway.mapping.templates import Path, Template
from gateway.mapping.units import seconds

PATH: Path = ("server", "auth")
_KEYS = {
    "none": set[str](),
    "basic": {"user", "password"},
    "bearer": {"token"},
    "header": {"name", "value"},
    "field": {"in", "name", "value"},
    "oauth2": {
        "grant",
        "token_url",
        "client_id",
        "client_secret",
        "client_in",
        "scope",
        "username",
        "password",
        "refresh_token",
    },
    "session": {"login", "life", "rotate", "place", "expired"},
}
_GRANT_NEEDS = {"password": ("username", "password"), "refresh_token": ("refresh_token",)}


@dataclass(frozen=True, slots=True)
class Auths:
    """Compiles `auth`. `names` are those known everywhere, `secret` the same and the secrets."""

    source: Source
    calls: Calls
    names: Names
    secret: Names

    def auth(self, node: Node) -> Auth:
        kind = node["kind"]
        for key in node.keys() - _KEYS[kind] - {"kind"}:
            self.source.problem(
                (*PATH, key), f"`auth` of kind `{kind}` has no `{key}`.", fix="Remove it.", key=True
            )
        match kind:
            case "session":
                return Auth(kind="session", session=self._session(node))
            case "oauth2":
                return Auth(kind="oauth2", oauth2=self._oauth2(node))
        return Auth(
            kind=kind,
            user=self._text(node, "user"),
            password=self._text(node, "password"),
            token=self._text(node, "token"),
            name=node.get("name", ""),
            value=self._text(node, "value"),
            field_in=node.get("in", "form"),
        )

    def _text(self, node: Node, key: str) -> Template | None:
        return self.source.optional_template(node, key, PATH, self.secret)

    def _needed(self, node: Node, key: str) -> Template:
        return cast(Template, self._text(node, key))  # the schema demands it

    def _oauth2(self, node: Node) -> OAuth2:
        for key in _GRANT_NEEDS.get(node["grant"], ()):
            if key not in node and not self.source.is_broken((*PATH, key)):
                self.source.problem(
                    (*PATH, "grant"), f"The grant `{node['grant']}` needs `{key}`.", fix=f"Add `{key}:`."
                )
        return OAuth2(
            grant=node["grant"],
            token_url=self._needed(node, "token_url"),
            client_id=self._needed(node, "client_id"),
            client_secret=self._needed(node, "client_secret"),
            scope=self._text(node, "scope"),
            username=self._text(node, "username"),
            password=self._text(node, "password"),
            refresh_token=self._text(node, "refresh_token"),
            client_in=node.get("client_in", "basic"),
        )

    def _session(self, node: Node) -> Session | None:
        opening, where, life = node["login"], (*PATH, "login"), node.get("life", {})
        login = self.calls.call(opening, where, self.names)
        if login is None:
            return None
        origin = self.calls.origin(opening, where)
        assert origin is not None  # or there would be no call
        reply, token = self.calls.after(origin, self.names), opening["token"]
        self._check_rotate(node, token)
        any_reply = self.names.plus(reply=REPLY)
        expired = node.get("expired", {})
        return Session(
            login=login,
            good=self.source.optional_expression(opening, "good", where, reply),
            token=self.source.template(token, (*where, "token"), reply),
            idle_s=seconds(life["idle"]) if "idle" in life else None,
            fixed_s=seconds(life["fixed"]) if "fixed" in life else None,
            until=self.source.optional_expression(life, "until", (*PATH, "life"), reply),
            rotate=self.source.optional_template(node, "rotate", PATH, any_reply),
            place=self._place(node, token),
            expired_sure=self.source.optional_expression(expired, "sure", (*PATH, "expired"), any_reply),
            expired_maybe=self.source.optional_expression(expired, "maybe", (*PATH, "expired"), any_reply),
        )

    def _place(self, node: Node, token: Node) -> AuthPlaceSpec:
        placed = self.secret.plus(token=bare_names(token))
        return self.calls.requests.place(node["place"], (*PATH, "place"), placed)

    def _check_rotate(self, node: Node, token: Node) -> None:
        for name in bare_names(node.get("rotate")).keys() - bare_names(token).keys():
            self.source.problem(
                (*PATH, "rotate", name),
                f"The token has no part `{name}`.",
                fix=f"It has: {', '.join(bare_names(token))}.",
                key=True,
            )
