"""From the YAML of `server` and `probe` to their specs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.mapping.compile_auth import Auths
from gateway.mapping.compile_calls import Calls
from gateway.mapping.compile_requests import ServerDefaults
from gateway.mapping.names import REPLY, Names
from gateway.mapping.origin import Node, bare_names
from gateway.mapping.pruning import placed
from gateway.mapping.source import Source
from gateway.mapping.spec import Auth, Budget, Probe, ProbeCheck, Server
from gateway.mapping.styles import FormStyle, PathStyle, XmlStyle
from gateway.mapping.templates import Path, Template
from gateway.mapping.units import seconds, size_bytes

PATH: Path = ("server",)
PROBE_EVERY_S = 21600.0
_RATE = re.compile(r"(?:[1-9][0-9]{0,8}|\$\{[^}]+\})/(?:[1-9][0-9]{0,5})?(?:s|m|h|d|second|minute|hour|day)")
_HOST_SETTING = re.compile(r"\$\{ *settings\.([A-Za-z][A-Za-z0-9]*) *\}")
_HOST = re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")
_BASE_HOST = re.compile(r"(https?)://([^/:?#]+)", re.IGNORECASE)
_LOCAL = ("localhost", "127.0.0.1")
_SUFFIXES = frozenset({"com", "net", "org", "edu", "gov", "ac", "co", "id", "asn", "sch", "school", "govt"})
"""Second-level names that anybody may register under in `.au`, `.nz` and `.uk`."""


def server_defaults(server: Node) -> ServerDefaults:
    """What calls inherit, read before any of them is compiled."""
    soap, auth = server.get("soap", {}), server.get("auth", {})
    session = auth.get("kind") == "session" and "login" in auth
    return ServerDefaults(
        path=_path_style(server.get("path", {})),
        soap_action=soap.get("action", ""),
        soap_encoded=soap.get("encoded", False),
        json_omit_empty=server.get("json", {}).get("omit_empty", False),
        form_omit_empty=server.get("form", {}).get("omit_empty", False),
        token=bare_names(auth["login"]["token"]) if session else None,
    )


def _path_style(node: Node) -> PathStyle:
    return PathStyle(keep=node.get("keep", ""), encode=node.get("encode", ""), refuse=node.get("refuse", ""))


@dataclass(frozen=True, slots=True)
class Servers:
    """Compiles `server` and `probe`; `names` are those known everywhere, `secret` these and the secrets."""

    source: Source
    calls: Calls
    names: Names
    secret: Names

    def server(self, node: Node) -> Server:
        """The server; keys that are missing have been complained of."""
        hosts, soap = node.get("hosts"), node.get("soap", {})
        self._check_hosts(hosts)
        self._check_base(node.get("base", ""), hosts)
        self._check_path(node.get("path", {}))
        return Server(
            base=self.source.template(node.get("base", ""), (*PATH, "base"), self.names),
            hosts=tuple(
                self.source.template(host, (*PATH, "hosts", at), self.names) for at, host in placed(hosts)
            ),
            timeout_s=seconds(node.get("timeout"), 5.0),
            headers=self.source.optional_template(node, "headers", PATH, self.secret),
            query=self.source.optional_template(node, "query", PATH, self.secret),
            path=_path_style(node.get("path", {})),
            form=_form_style(node.get("form", {})),
            json_omit_empty=node.get("json", {}).get("omit_empty", False),
            xml=_xml_style(node.get("xml", {})),
            soap_action=soap.get("action", ""),
            soap_encoded=soap.get("encoded", False),
            unwrap=node.get("unwrap"),
            auth=self._auth(node),
            budget=self._budget(node.get("budget", {})),
            replies=self._replies(node.get("replies")),
        )

    def _auth(self, node: Node) -> Auth:
        auths = Auths(self.source, self.calls, self.names, self.secret)
        return auths.auth(node["auth"]) if "auth" in node else Auth()

    def _replies(self, nodes: Any) -> tuple[Any, ...]:
        path = (*PATH, "replies")
        for at, rule in placed(nodes):
            if rule["is"] == "restart":
                self.source.problem(
                    (*path, at, "is"),
                    "`restart` only means something in a branch of `first`.",
                    fix="Write the rule there.",
                )
        return self.calls.rules(nodes, path, self.names.plus(reply=REPLY))

    # Hosts.

    def _check_hosts(self, hosts: Any) -> None:
        for at, host in placed(hosts):
            message, fix = self._wrong_host(host)
            if message:
                self.source.problem((*PATH, "hosts", at), message, fix=fix)

    def _wrong_host(self, host: str) -> tuple[str, str]:
        if "${" in host:
            return self._wrong_setting(host)
        name, labels = host.lower(), host.lower().split(".")
        bare = name.partition("://")[2].partition("/")[0]
        if bare:
            return "A host has no scheme and no path.", f"Write `{bare}`."
        if "*" in name or len(labels) == 1 and name not in _LOCAL or _anybody(labels):
            return f"`{host}` is too wide: anybody could receive a credential.", "Name the vendor's own host."
        if name not in _LOCAL and not _HOST.fullmatch(name.partition(":")[0]):
            return f"`{host}` is not a host.", "Write it such as `api.vendor.example`."
        return "", ""

    def _wrong_setting(self, host: str) -> tuple[str, str]:
        match = _HOST_SETTING.fullmatch(host)
        if match is None:
            return "A host is written out, or one `${settings.…}` alone.", "Write the whole host."
        setting = self.source.at(("settings", match[1]))
        kind = setting.get("type") if isinstance(setting, dict) else None
        if (
            setting is not None
            and kind not in ("host", "url")
            and not self.source.is_broken(("settings", match[1]))
        ):
            return (
                f"A host comes from a setting of type `host` or `url`; `{match[1]}` is of type `{kind}`.",
                ("Change its type."),
            )
        return "", ""

    def _check_base(self, base: str, hosts: Any) -> None:
        path = (*PATH, "base")
        for name in _HOST_SETTING.findall(base):
            setting = self.source.at(("settings", name))
            if isinstance(setting, dict) and setting.get("type") == "link":
                message = f"`{name}` is a link for people; no call is made to it."
                self.source.problem(path, message, fix="Use a `host` or `url`.")
        match = _BASE_HOST.match(base)
        if "${" not in base and match is None and base:
            self.source.problem(
                path, "The base is an address.", fix="Write `https://`, the host, and a path."
            )
        if match is None:
            return
        scheme, host = match[1].lower(), match[2]
        if scheme == "http" and host not in _LOCAL:
            self.source.problem(path, "Without https anybody may read along.", fix="Write `https://`.")
        if "${" not in host and hosts is not None and host.lower() not in {name.lower() for name in hosts}:
            self.source.problem(
                path, f"`{host}` is not among `hosts`, so no call may go there.", fix="Add it to `hosts`."
            )

    def _check_path(self, node: Node) -> None:
        for letter in node.get("encode", ""):
            if letter in node.get("keep", ""):
                self.source.problem(
                    (*PATH, "path", "encode"),
                    f"`{letter}` cannot be encoded and stay as it is.",
                    fix="Remove it here, or from `keep`.",
                )

    # Budget.

    def _budget(self, node: Node) -> Budget:
        path, reply = (*PATH, "budget"), self.names.plus(reply=REPLY)
        if "cost" in node and "remaining" not in node:
            self.source.warning((*path, "cost"), "`cost` only means something beside `remaining`.", key=True)
        return Budget(
            rates=tuple(self._rates(node.get("rates"), (*path, "rates"))),
            reserve=int(node.get("reserve", "0%").strip().rstrip("%")) / 100,
            remaining=self.source.optional_template(node, "remaining", path, reply),
            cost=self.source.optional_template(node, "cost", path, reply),
            floor=float(node.get("floor", 0)),
        )

    def _rates(self, nodes: Any, path: Path) -> Iterator[Template]:
        for at, text in placed(nodes):
            if not _RATE.fullmatch(text):
                self.source.problem(
                    (*path, at),
                    f"`{text[:60]}` is not a rate.",
                    fix="Write such as `2000/hour`, `200/5s`, `500/day`.",
                )
            yield self.source.template(text, (*path, at), self.names)

    # Probe.

    def probe(self, node: Node) -> Probe | None:
        path: Path = ("probe",)
        call = self.calls.call(node, path, self.names)
        if call is None:
            return None
        if call.request.effect == "write":
            self.source.problem(
                path, "A probe must be a read.", fix="Use GET, or add `effect: read`.", key=True
            )
        where = self.calls.origin(node, path)
        assert where is not None  # or there would be no call
        after = self.calls.after(where, self.names)
        facts = {
            name: self.source.template(text, (*path, "facts", name), after)
            for name, text in node.get("facts", {}).items()
        }
        checks = tuple(
            self._check(check, (*path, "checks", at), after) for at, check in placed(node.get("checks"))
        )
        every_s = seconds(node.get("every"), PROBE_EVERY_S)
        return Probe(call=call, every_s=every_s, facts=facts, checks=checks)

    def _check(self, node: Node, path: Path, names: Names) -> ProbeCheck:
        return ProbeCheck(
            place=self.source.dotted(path),
            when=self.source.expression(node["if"], (*path, "if"), names),
            say=self.source.template(node["say"], (*path, "say"), names),
            level=node.get("level", "problem"),
        )


def _anybody(labels: list[str]) -> bool:
    """`com.au`, `co.uk`: a name under which anybody may register."""
    return len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SUFFIXES


def _form_style(node: Node) -> FormStyle:
    yes, _, no = node.get("booleans", "true/false").partition("/")
    return FormStyle(
        nested=node.get("nested", "brackets"), booleans=(yes, no), omit_empty=node.get("omit_empty", False)
    )


def _xml_style(node: Node) -> XmlStyle:
    limits = node.get("limits", {})
    return XmlStyle(
        names=node.get("names", "local"),
        resolve_href=node.get("resolve") == "href",
        empty_absent=node.get("empty") == "absent",
        lists=tuple(node.get("lists", ())),
        max_bytes=size_bytes(limits.get("bytes"), 10_000_000),
        max_depth=limits.get("depth", 100),
    )
