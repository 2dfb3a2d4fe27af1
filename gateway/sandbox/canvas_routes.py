"""Every endpoint of the API under the path its documents and its scopes name it by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gateway.sandbox import (
    canvas_courses,
    canvas_enrolments,
    canvas_grades,
    canvas_jobs,
    canvas_progress,
    canvas_users,
)
from gateway.sandbox.canvas_call import Endpoint
from gateway.sandbox.canvas_errors import not_found
from gateway.sandbox.canvas_wire import BASE

ENDPOINTS: Mapping[str, Endpoint] = {
    **canvas_courses.ENDPOINTS,
    **canvas_users.ENDPOINTS,
    **canvas_enrolments.ENDPOINTS,
    **canvas_progress.ENDPOINTS,
    **canvas_grades.ENDPOINTS,
    **canvas_jobs.ENDPOINTS,
}
_TEMPLATES = {name: name.partition(" /")[2].split("/") for name in ENDPOINTS}


def route_of(method: str, segments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The endpoint's name, `GET /courses/:id`, and what stands in its open places.

    Raises Refused (404) for a path, or a method on a path, that there is not.
    """
    for name, template in _TEMPLATES.items():
        if name.startswith(f"{method} ") and _fits(template, segments):
            pairs = zip(template, segments, strict=True)
            return name, {part[1:]: given for part, given in pairs if part.startswith(":")}
    raise not_found()


def _fits(template: Sequence[str], segments: Sequence[str]) -> bool:
    return len(template) == len(segments) and all(
        given != "" if part.startswith(":") else part == given
        for part, given in zip(template, segments, strict=True)
    )


def within(scopes: Iterable[str], name: str) -> bool:
    """Whether one of the token's scopes covers the endpoint; a token without scopes may call all."""
    method, _, template = name.partition(" ")
    wanted = tuple(scopes)
    return not wanted or f"url:{method}|{BASE}{template}" in wanted
