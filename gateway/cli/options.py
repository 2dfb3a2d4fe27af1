"""What many commands take: the configuration, a tenant of it, `k=v` values; and how they are refused."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import orjson
import typer

if TYPE_CHECKING:
    from gateway.config import Settings

T = TypeVar("T")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration; else LMS_GATEWAY_CONFIG, else ./config.yaml.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine.")]
TenantName = Annotated[
    str,
    typer.Argument(metavar="TENANT", help="A tenant of the configuration; one LMS of several: acme/media."),
]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="K=V", help="A value, such as courseId=126, or @file.json for many."),
]


def settings_of(config: Path | None) -> Settings:
    """The deployment. Raises ProblemsFound."""
    from gateway.config import find_config, load_config

    return load_config(find_config(config))


def known(name: str, names: Iterable[str], what: str) -> str:
    """The name, if there is such a thing; else a usage error with the likeliest one."""
    there = list(names)
    if name in there:
        return name
    near = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
    hint = f"Did you mean `{near[0]}`?" if near else f"There is: {', '.join(there) or 'none'}."
    raise typer.BadParameter(f"There is no {what} `{name}`. {hint}")


def tenant_of(settings: Settings, name: str, id: str | None = None) -> str:
    """The one tenant of that name; of an organisation with several LMSs, the one whose enrolment `id` is."""
    from gateway.ids import alias_of

    names = tenants_of(settings, name)
    if len(names) == 1 or name in settings.tenants and id is None:
        return names[0]
    home = [each for each in names if id is not None and settings.tenants[each].alias == alias_of(id)]
    if not home:
        raise typer.BadParameter(f"`{name}` has several LMSs. Name one: {', '.join(names)}.")
    return home[0]


def tenants_of(settings: Settings, name: str) -> tuple[str, ...]:
    """The tenants of an organisation, or the one of that name."""
    organisations = settings.organisations
    names = {**{each: (each,) for each in settings.tenants}, **organisations}
    return names[known(name, names, "tenant")]


def values_of(given: Iterable[str] | None) -> dict[str, Any]:
    """`a.b=v` and `@file.json` as one object: `{"a": {"b": "v"}}`.

    A value is text, unless it begins with `[` or `{`: then it is JSON, if it can be read so.
    """
    found: dict[str, Any] = {}
    for text in given or ():
        if text.startswith("@"):
            _merge(found, _json_file(Path(text[1:])))
            continue
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"`{text}` is not NAME=VALUE.")
        _put(found, name, value)
    return found


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part."""
    return asyncio.run(work)


def _put(found: dict[str, Any], name: str, value: str) -> None:
    *parents, last = name.split(".")
    place = found
    for part in parents:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise typer.BadParameter(f"`{name}`: `{part}` has a value already.")
    place[last] = _typed(value)


def _typed(value: str) -> Any:
    if value[:1] not in ("[", "{"):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return value


def _merge(found: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(found.get(name), dict):
            _merge(found[name], value)
        else:
            found[name] = value


def _json_file(path: Path) -> dict[str, Any]:
    try:
        value = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"`{path}` cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise typer.BadParameter(f"`{path}` must hold a JSON object.")
    return value
