"""From the YAML of one call to what it sends: path, query, headers, body, and where the token goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Expression
from gateway.mapping.names import Names
from gateway.mapping.origin import Node, Origin
from gateway.mapping.placeholders import Span, split
from gateway.mapping.source import Source
from gateway.mapping.spec import AuthPlaceSpec, PathTemplate, RequestSpec
from gateway.mapping.styles import BodyKind, Effect, PathStyle
from gateway.mapping.templates import Path, Template, compile_template
from gateway.mapping.units import seconds

BODIES = ("form", "json", "xml", "soap")
XML_BODIES = ("xml", "soap")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDefaults:
    """What every call inherits from `server`. `token`: parts of the session token, None without a session."""

    path: PathStyle = PathStyle()
    soap_action: str = ""
    soap_encoded: bool = False
    json_omit_empty: bool = False
    form_omit_empty: bool = False
    token: Mapping[str, None] | None = None


def effect_of(where: Origin) -> Effect:
    """`effect`, or by the method: GET reads, all others write."""
    method = str(where.get("call", "")).partition(" ")[0]
    return cast(Effect, where.get("effect", "read" if method == "GET" else "write"))


@dataclass(frozen=True, slots=True)
class Requests:
    """Compiles requests. Secrets are known in headers, query and bodies only, never in a path."""

    source: Source
    defaults: ServerDefaults
    secrets: Mapping[str, None] | None

    def request(self, where: Origin, names: Names) -> RequestSpec:
        effect = effect_of(where)
        names = replace(names, random=effect == "write")
        secret = names.plus(secrets=self.secrets)
        method, _, target = where["call"].partition(" ")
        kind = self._body_kind(where)
        soap = where["soap"] if kind == "soap" else {}
        return RequestSpec(
            method=method,
            target=self.path(target, where.path("call"), names, shift=len(method) + 1),
            effect=effect,
            query=self._template(where, "query", secret),
            headers=self._template(where, "headers", secret),
            body_kind=kind,
            body=self._body(where, kind, secret),
            soap_action=self._soap_action(where, names) if kind == "soap" else None,
            soap_encoded=soap.get("encoded", self.defaults.soap_encoded),
            omit_empty=self._omits_empty(kind),
            timeout_s=seconds(where["timeout"]) if "timeout" in where else None,
            place=self._own_place(where, names),
        )

    def _template(self, where: Origin, key: str, names: Names) -> Template | None:
        return self.source.template(where[key], where.path(key), names) if key in where else None

    def _omits_empty(self, kind: BodyKind) -> bool:
        return {"json": self.defaults.json_omit_empty, "form": self.defaults.form_omit_empty}.get(kind, False)

    # Bodies.

    def _body_kind(self, where: Origin) -> BodyKind:
        given = [kind for kind in BODIES if kind in where.node] or [
            kind for kind in BODIES if kind in where.shared
        ]
        for kind in given[1:]:
            self.source.problem(
                where.path(kind),
                f"A call has one body, and `{given[0]}` is one already.",
                fix=f"Remove `{kind}`.",
                key=True,
            )
        return cast(BodyKind, given[0]) if given else "none"

    def _body(self, where: Origin, kind: BodyKind, names: Names) -> Template | None:
        if kind == "none":
            return None
        value, path = where[kind], where.path(kind)
        if kind == "soap":
            value, path = value["body"], (*path, "body")
        return self.source.template(
            value, path, names, literal_keys=kind not in XML_BODIES, nulls=kind == "json"
        )

    def _soap_action(self, where: Origin, names: Names) -> Template:
        action = where["soap"].get("action", self.defaults.soap_action)
        return self.source.template(action, (*where.path("soap"), "action"), names)

    # Paths.

    def path(self, text: str, path: Path, names: Names, *, shift: int) -> PathTemplate:
        """A path as its literal pieces and value templates; `shift` is where it starts in its scalar."""
        try:
            pieces = list(split(text))
        except ExpressionError as error:
            offset = shift + error.offset
            self.source.problem(path, error.message, fix=error.fix, offset=offset, width=error.width)
            pieces = []
        parts = tuple(
            piece if isinstance(piece, str) else self._path_value(piece, path, names, shift)
            for piece in pieces
        )
        return PathTemplate(parts=parts, style=self.defaults.path)

    def _path_value(self, piece: Span, path: Path, names: Names, shift: int) -> Template:
        def compile_here(text: str, where: Path, offset: int) -> Expression:
            return self.source.expression(text, path, names, offset=shift + piece.offset)

        text, source = "${" + piece.text + "}", self.source
        return compile_template(text, path, compile_here, source.label, place_of=source.dotted)

    # Where the session token goes.

    def _own_place(self, where: Origin, names: Names) -> AuthPlaceSpec | None:
        if "auth" not in where:
            return None
        path = (*where.path("auth"), "place")
        if self.defaults.token is None:
            self.source.problem(
                path, "There is no session token to place.", fix="`auth: {place}` needs `kind: session`."
            )
        return self.place(where["auth"]["place"], path, names.plus(token=self.defaults.token))

    def place(self, node: Node, path: Path, names: Names) -> AuthPlaceSpec:
        """Where a session token goes; `names` must know `token`."""
        soap = "soap_header"
        return AuthPlaceSpec(
            headers=self.source.optional_template(node, "headers", path, names),
            query=self.source.optional_template(node, "query", path, names),
            field=self.source.optional_template(node, "field", path, names),
            soap_header=self.source.template(node[soap], (*path, soap), names, literal_keys=False)
            if soap in node
            else None,
        )
