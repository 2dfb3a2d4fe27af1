"""The learners' pages of one tenant: how long they work and whom they name, from `launch` of config.yaml."""

from __future__ import annotations

from gateway.config.file import ConfigFile
from gateway.launch.terms import LaunchConfig
from gateway.yamlfile import Place


def read_launch(file: ConfigFile, here: Place, shared: Place) -> LaunchConfig:
    """What is said `here`, of one LMS, and for the rest what its organisation says, at `shared`."""
    return LaunchConfig(
        expires_s=_read_expires(file, here, shared), contact=_read_contact(file, here, shared)
    )


def _read_expires(file: ConfigFile, here: Place, shared: Place) -> float | None:
    place = _nearest(file, here, shared, "expires")
    if file.value(*place) in (None, "never"):
        return None
    expires_s = file.seconds(*place, default=1.0)
    if expires_s < 1:
        file.problem(place, "This is less than a second.", fix="Write it such as `365d`, or `never`.")
    return expires_s


def _read_contact(file: ConfigFile, here: Place, shared: Place) -> str | None:
    written = file.text(*_nearest(file, here, shared, "contact"))
    return None if written is None else written.strip() or None


def _nearest(file: ConfigFile, here: Place, shared: Place, key: str) -> Place:
    own = (*here, "launch", key)
    return own if file.has(*own) else (*shared, "launch", key)
