"""How often progress is read, and what may be told of it, where a tenant wants it unlike its mapping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from gateway.config.file import ConfigFile
from gateway.mapping.expressions import Runtime, nearest
from gateway.mapping.settings import TenantSettings
from gateway.mapping.spec import MappingSpec
from gateway.mapping.zones import RAILS_ZONES, find_zone
from gateway.yamlfile import Place

ZONE = "Australia/Sydney"
"""Where an organisation is of which nothing is said: RTOPilot is for Australian ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressConfig:
    """What config.yaml says under a tenant's `progress`; without it everything is as the mapping says.

    `every_s` or `at` (`HH:MM`) replaces the mapping's times, neither leaves them. `zone` is an IANA name: the
    one given, else the mapping's setting `zone`, else Sydney's. `fall` None: the mapping's. `units`: of units
    with the same code `all` must be completed, or `any`; `off` keeps none.
    """

    on: bool = True
    every_s: float | None = None
    at: tuple[str, ...] = ()
    zone: str = ZONE
    fall: Literal["hold", "push"] | None = None
    units: Literal["all", "any", "off"] = "all"


def read_progress(
    file: ConfigFile, here: Place, mapping: MappingSpec, settings: TenantSettings
) -> ProgressConfig:
    place = (*here, "progress")
    units = file.value(*place, "units", default="all")
    return ProgressConfig(
        on=file.value(*place) not in (False, "off"),
        every_s=_read_every(file, here),
        at=_read_at(file, here),
        zone=_read_zone(file, here) or _zone_setting(mapping, settings) or ZONE,
        fall=file.value(*place, "fall"),
        units="off" if units is False else units,
    )


def _read_every(file: ConfigFile, here: Place) -> float | None:
    place = (*here, "progress", "every")
    if not file.has(*place):
        return None
    every = file.seconds(*place, default=60.0)
    if every < 1:
        file.problem(place, "This is less than a second.", fix="Write it such as `15m`.")
    if file.has(*here, "progress", "at"):
        file.problem(place, "Either `every` or `at`, not both.", fix="Leave one out.", key=True)
    return every


def _read_at(file: ConfigFile, here: Place) -> tuple[str, ...]:
    place = (*here, "progress", "at")
    written = file.source.at(place)
    times = written if isinstance(written, list) else []
    return tuple(sorted(text for at in range(len(times)) if (text := file.text(*place, at)) is not None))


def _read_zone(file: ConfigFile, here: Place) -> str | None:
    place = (*here, "progress", "zone")
    written = file.text(*place)
    if written is None:
        return None
    if find_zone(written) is None:
        near = nearest(written, [*RAILS_ZONES, *_AUSTRALIAN])
        fix = f"Write `{near}`." if near else "Write it such as `Australia/Perth`, or `Perth`."
        file.problem(place, f"`{written}` is not a time zone.", fix=fix)
    return _iana(written)


def _zone_setting(mapping: MappingSpec, settings: TenantSettings) -> str | None:
    """The zone of the mapping's own setting of that name, if it has one with a value."""
    setting = mapping.settings.get("zone")
    if setting is None or setting.type != "zone":
        return None
    value = settings.values(None, Runtime()).get("zone")
    return _iana(value) if isinstance(value, str) else None


def _iana(name: str) -> str | None:
    zone = find_zone(name)
    return zone.key if isinstance(zone, ZoneInfo) else None


_AUSTRALIAN = tuple(
    f"Australia/{city}"
    for city in ("Adelaide", "Brisbane", "Darwin", "Hobart", "Melbourne", "Perth", "Sydney", "Lord_Howe")
)
