"""All vendors there are, for the tests that all of them must pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.sandbox.demo_vendors import VENDORS
from tests.support.deployment import KINDS
from tests.support.kind import Kind

HYGIENE = "https://courses-staging.media77.example/c"


def _kind(
    name: str,
    *courses: str,
    write: Mapping[str, str] | None,
    settings: Mapping[str, Any] | None = None,
    switches: Mapping[str, Any] | None = None,
) -> Kind:
    """A vendor of the demo, with four courses for tests."""
    play = VENDORS[name]
    return Kind(
        name=name,
        module=play.module,
        switches=switches or {},
        api=play.api,
        settings={**play.settings, **(settings or {})},
        secrets=play.secrets,
        courses=courses,
        write=write,
    )


_MEDIA77 = [
    {"id": id, "name": f"Course {id}", "staging": f"{HYGIENE}/{id}-staging/"}
    for id in ("hygiene", "white-card", "first-aid", "respect")
]
_MORE = (
    _kind(
        "learnupon",
        "s3300",
        "s3320",
        "s3330",
        "s3380",
        write={"method": "POST", "path": "/enrollments"},
        switches={"minute_limit": 0},
    ),
    _kind(
        "77media",
        *[str(course["id"]) for course in _MEDIA77],
        write=None,
        settings={"courses": _MEDIA77},
        switches={"daily_limit": 0},
    ),
    _kind("moodle", "2", "3", "9", "5", write={"body_has": "enrol_manual_enrol_users"}),
    _kind("canvas", "3571", "3572", "3575", "3576", write={"method": "POST", "path_regex": "/enrollments$"}),
)
ALL_KINDS: Mapping[str, Kind] = {**KINDS, **{kind.name: kind for kind in _MORE}}
