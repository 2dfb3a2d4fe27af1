"""Who may come in: what RTOPilot must present to one tenant, read from `inbound` of config.yaml."""

from __future__ import annotations

from collections.abc import Callable

from gateway.config.file import ConfigFile
from gateway.contract import Operation
from gateway.rtopilot.credentials import Accepted, Credential, basic, bearer, custom_header, open_door
from gateway.rtopilot.routes import SECRET_PATH
from gateway.secret import Secret
from gateway.yamlfile import Place

SHORT_TOKEN = 16


def read_accepted(file: ConfigFile, here: Place, *, plain: bool) -> Accepted:
    """The tenant's credentials; `plain`: they may be written out without a warning."""
    place = (*here, "inbound")
    per_operation = {
        operation: read_group(file, (*place, "operations", operation.value, "auth"), plain=plain)
        for operation in Operation
        if file.has(*place, "operations", operation.value, "auth")
    }
    return Accepted(default=read_group(file, (*place, "auth"), plain=plain), per_operation=per_operation)


def read_group(file: ConfigFile, place: Place, *, plain: bool) -> tuple[Credential, ...]:
    """What stands under an `auth`: one credential, or a list of those that are valid at once."""
    data = file.source.document.node(place).data
    places: list[Place] = [(*place, at) for at in range(len(data))] if isinstance(data, list) else [place]
    group = tuple(found for one in places if (found := _credential(file, one, plain)) is not None)
    if len(group) > 1 and any(credential.kind == "none" for credential in group):
        file.problem(place, "`kind: none` lets everybody in, whatever stands beside it.", fix="Leave it out.")
    return group


def read_path(file: ConfigFile, here: Place, accepted: Accepted, *, plain: bool) -> Secret | None:
    """The unguessable path that stands in for a credential where a kind is `none`."""
    place = (*here, "inbound", "path")
    path = file.secret(*place, plain=plain)
    rule = "22 to 64 random letters, digits, `-` and `_`"
    if path is not None and not SECRET_PATH.fullmatch(path.reveal()):
        file.problem(place, f"This path could be guessed, or cannot stand in an address. It is {rule}.")
    if accepted.any_open() and not file.has(*place):
        file.problem(
            (*here, "inbound"),
            "With `kind: none` anybody could call; the address itself must be the secret.",
            fix=f"Add `path:` here, {rule}.",
            key=True,
        )
    return path


def _credential(file: ConfigFile, place: Place, plain: bool) -> Credential | None:
    """None where parts are missing or refused: those problems are noted already."""

    def secret(key: str, *, plain: bool = plain) -> str | None:
        found = file.secret(*place, key, plain=plain)
        return None if found is None else found.reveal()

    match file.value(*place, "kind"):
        case "none":
            return open_door()
        case "basic":
            return _made(file, place, basic, secret("user", plain=True), secret("password"))
        case "bearer":
            token = secret("token")
            _warn_short(file, (*place, "token"), token, plain)
            return _made(file, place, bearer, token)
        case "header":
            return _made(file, place, custom_header, file.text(*place, "name"), secret("value"))
        case _:
            return None


def _made(
    file: ConfigFile, place: Place, make: Callable[..., Credential], *parts: str | None
) -> Credential | None:
    if any(part is None for part in parts):
        return None
    try:
        return make(*parts)
    except ValueError as exc:
        file.problem(place, f"This credential can never match: {exc}.")
        return None


def _warn_short(file: ConfigFile, place: Place, token: str | None, plain: bool) -> None:
    if token is not None and len(token) < SHORT_TOKEN and not plain:
        file.warn(place, "This token is short enough to be guessed.", fix="`lms-gateway token` makes one.")
