"""From the YAML of `settings`, `server` and `probe` to their specs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.mapping.compile_calls import Calls, Node
from gateway.mapping.names import REPLY, Names
from gateway.mapping.source import Source, seconds, size_bytes
from gateway.mapping.spec import (
    Auth,
    AuthPlaceSpec,
    Budget,
    Bundle,
    ChoiceSource,
    OAuth2,
    Probe,
    Secret,
    Server,
    Session,
    Setting,
)
from gateway.mapping.styles import FormStyle, PathStyle, XmlStyle
from gateway.mapping.templates import Path, Template, dotted

RATE = re.compile(r"^(?:\d+|\$\{[^}]+\})/(?:\d+)?(?:ms|s|m|h|d|second|minute|hour|day)$")
PUBLIC_SUFFIXES = frozenset({"com.au", "net.au", "org.au", "edu.au", "gov.au", "id.au", "co.nz", "co.uk", "org.uk", "ac.uk"})


@dataclass(slots=True)
class ServerCompiler:
    source: Source
    names: Names
    secrets: Mapping[str, None]

    # -- what a tenant gives --------------------------------------------------------------------------

    def settings(self, nodes: Node, calls: Calls) -> dict[str, Setting]:
        return {name: self._setting(name, node, calls) for name, node in nodes.items() if isinstance(node, dict)}

    def _setting(self, name: str, node: Node, calls: Calls) -> Setting:
        path: Path = ("settings", name)
        of = node.get("of", ())
        if node.get("type") == "choice" and not isinstance(of, list) and "from" not in node:
            self.source.problem(path, "A choice needs `of:` (its words) or `from:` (where the vendor lists them).", key=True)
        if "pattern" in node:
            self._check_pattern(node["pattern"], (*path, "pattern"))
        return Setting(
            name=name,
            type=node.get("type", "text"),
            required=node.get("required", False),
            default=node.get("default"),
            help=node.get("help", ""),
            example=node.get("example"),
            pattern=node.get("pattern"),
            secret=node.get("secret", False),
            of=tuple(of) if isinstance(of, list) else (),
            of_type=of if isinstance(of, str) else "text",
            item=node.get("item", {}),
            uses=tuple(node.get("uses", ())),
            source=self._choice(node["from"], (*path, "from"), calls) if isinstance(node.get("from"), dict) else None,
        )

    def _check_pattern(self, pattern: str, path: Path) -> None:
        import re2  # heavy: only when a mapping has patterns

        try:
            re2.compile(pattern)
        except re2.error as error:
            self.source.problem(path, f"This is not a pattern RE2 knows: {error}.")

    def _choice(self, node: Node, path: Path, calls: Calls) -> ChoiceSource | None:
        call = calls.call(node, path, self.names)
        if call is None:
            return None
        name = node.get("as", "item")
        item = self.names.plus(**{name: None})
        give = {key: self.source.template(text, (*path, "give", key), item) for key, text in node.get("give", {}).items()}
        return ChoiceSource(call=call, name=name, give=give)

    def secret_specs(self, nodes: Node) -> dict[str, Secret]:
        return {name: Secret(name=name, help=(node or {}).get("help", ""), required=(node or {}).get("required", True)) for name, node in nodes.items()}

    def bundles(self, node: Node | None) -> dict[str, Bundle]:
        if not node:
            return {}
        return {"bundle": Bundle(by=node["by"], of=node["of"])}

    # -- the vendor's API -----------------------------------------------------------------------------

    def server(self, node: Node, calls: Calls) -> Server:
        path: Path = ("server",)
        secret_names = self.names.plus(secrets=self.secrets)
        self._check_hosts(node.get("hosts", []))
        xml, form, soap = node.get("xml", {}), node.get("form", {}), node.get("soap", {})
        limits = xml.get("limits", {})
        return Server(
            base=self.source.template(node.get("base", ""), (*path, "base"), self.names),
            hosts=tuple(self.source.template(host, (*path, "hosts", at), self.names) for at, host in enumerate(node.get("hosts", []))),
            timeout_s=seconds(node.get("timeout"), 5.0),
            headers=self.source.optional_template(node, "headers", path, secret_names),
            query=self.source.optional_template(node, "query", path, secret_names),
            path=path_style(node),
            form=FormStyle(nested=form.get("nested", "brackets"), booleans=_words(form.get("booleans")), omit_empty=form.get("omit_empty", False)),
            json_omit_empty=node.get("json", {}).get("omit_empty", False),
            xml=XmlStyle(
                names=xml.get("names", "local"),
                resolve_href=xml.get("resolve") == "href",
                empty_absent=xml.get("empty") == "absent",
                lists=tuple(xml.get("lists", ())),
                max_bytes=size_bytes(limits.get("bytes"), 10_000_000),
                max_depth=limits.get("depth", 100),
            ),
            soap_action=soap.get("action", ""),
            soap_encoded=soap.get("encoded", False),
            unwrap=node.get("unwrap"),
            auth=self._auth(node.get("auth", {"kind": "none"}), calls),
            budget=self._budget(node.get("budget", {})),
            replies=calls.rules(node.get("replies"), (*path, "replies"), self.names.plus(reply=REPLY)),
        )

    def _check_hosts(self, hosts: list[str]) -> None:
        for at, host in enumerate(hosts):
            if "${" in host:
                continue
            bare = host.split(":")[0].lower()
            if "*" in bare or bare in PUBLIC_SUFFIXES or ("." not in bare and bare != "localhost"):
                self.source.problem(("server", "hosts", at), f"`{host}` is too wide: a credential could go to anybody.", fix="Name the vendor's own host.")

    def _budget(self, node: Node) -> Budget:
        path: Path = ("server", "budget")
        rates = []
        for at, text in enumerate(node.get("rates", [])):
            if not RATE.match(text):
                self.source.problem((*path, "rates", at), f"`{text}` is not a rate.", fix="Write a number and a time: `2000/hour`, `200/5s`, `500/day`.")
            else:
                rates.append(self.source.template(text, (*path, "rates", at), self.names))
        reply = self.names.plus(reply=REPLY)
        return Budget(
            rates=tuple(rates),
            reserve=int(node.get("reserve", "0%").rstrip("%")) / 100,
            remaining=self.source.optional_template(node, "remaining", path, reply),
            cost=self.source.optional_template(node, "cost", path, reply),
            floor=float(node.get("floor", 0)),
        )

    def _auth(self, node: Node, calls: Calls) -> Auth:
        path: Path = ("server", "auth")
        names = self.names.plus(secrets=self.secrets)

        def text(key: str) -> Template | None:
            return self.source.optional_template(node, key, path, names)

        kind = node.get("kind", "none")
        if kind == "session":
            return Auth(kind="session", session=self._session(node, path, calls))
        if kind == "oauth2":
            return Auth(kind="oauth2", oauth2=self._oauth2(node, text))
        return Auth(kind=kind, user=text("user"), password=text("password"), token=text("token"), name=node.get("name", ""), value=text("value"), field_in=node.get("in", "form"))

    def _oauth2(self, node: Node, text: Any) -> OAuth2:
        return OAuth2(
            grant=node.get("grant", "client_credentials"),
            token_url=text("token_url"),
            client_id=text("client_id"),
            client_secret=text("client_secret"),
            scope=text("scope"),
            username=text("username"),
            password=text("password"),
            refresh_token=text("refresh_token"),
            client_in=node.get("client_in", "basic"),
        )

    def _session(self, node: Node, path: Path, calls: Calls) -> Session | None:
        reply = self.names.plus(reply=REPLY)
        opening, where = node.get("login", {}), (*path, "login")
        login = calls.call(opening, where, self.names)
        if login is None:
            return None
        life, token = node.get("life", {}), opening.get("token", {})
        placed = self.names.plus(secrets=self.secrets, token=dict.fromkeys(key.removesuffix("?") for key in token))
        return Session(
            login=login,
            good=self.source.optional_expression(opening, "good", where, reply),
            token=self.source.template(token, (*where, "token"), reply),
            idle_s=seconds(life["idle"], 0) if "idle" in life else None,
            fixed_s=seconds(life["fixed"], 0) if "fixed" in life else None,
            until=self.source.optional_expression(life, "until", (*path, "life"), reply),
            rotate=self.source.optional_template(node, "rotate", path, reply),
            place=calls.place(node["place"], (*path, "place"), placed) if "place" in node else AuthPlaceSpec(),
            expired_sure=self.source.optional_expression(node.get("expired", {}), "sure", (*path, "expired"), reply),
            expired_maybe=self.source.optional_expression(node.get("expired", {}), "maybe", (*path, "expired"), reply),
        )

    def probe(self, node: Node | None, calls: Calls) -> Probe | None:
        if node is None:
            return None
        call = calls.call(node, ("probe",), self.names)
        if call is None:
            return None
        if call.request.effect == "write":
            self.source.problem(("probe",), "A probe must be a read.", fix="Use GET, or add `effect: read`.", key=True)
        reply = self.names.plus(reply=REPLY, items=None)
        facts = {name: self.source.template(text, ("probe", "facts", name), reply) for name, text in node.get("facts", {}).items()}
        return Probe(call=call, every_s=seconds(node.get("every"), 21600.0), facts=facts)


def path_style(server: Node) -> PathStyle:
    path = server.get("path", {})
    return PathStyle(keep=path.get("keep", ""), refuse=path.get("refuse", ""))


def _words(text: str | None) -> tuple[str, str]:
    if text is None:
        return "true", "false"
    yes, no = text.split("/")
    return yes, no


__all__ = ["ServerCompiler", "dotted", "path_style"]
