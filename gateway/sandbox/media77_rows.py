"""A row of the report, which is also a row of the webhook. Source: vendors/77media.md 3.2."""

from __future__ import annotations

from typing import Any

from gateway.sandbox.hooked_state import iso
from gateway.sandbox.media77_state import Course, Registration
from gateway.sandbox.media77_switches import Switches

FIELDS = (
    "transactionId",
    "firstName",
    "lastName",
    "email",
    "memberIdentifier",
    "activityId",
    "activityTitle",
    "registration",
    "dateStarted",
    "progress",
    "dateCompleted",
    "completionCode",
)


def row_of(place: Registration, switches: Switches) -> dict[str, Any]:
    """The registration as it stands, under the switches of the moment."""
    first, last = names(place.name, switches)
    number = place.transaction_id
    return {
        "transactionId": str(number) if switches.transaction_id_as == "string" else number,
        "firstName": first,
        "lastName": last,
        "email": place.email,
        "memberIdentifier": place.member,
        "activityId": activity_id(place.course, switches),
        "activityTitle": place.course.title,
        "registration": place.reg.upper() if switches.registration_upper else place.reg,
        "dateStarted": iso(place.started),
        "progress": _progress(place, switches),
        "dateCompleted": iso(place.completed),
        "completionCode": _code(place, switches),
    }


def names(name: str, switches: Switches) -> tuple[str, str]:
    """First and last name out of `fn`; without a space there is no last name."""
    match switches.name_split:
        case "first_space":
            first, _, last = name.partition(" ")
            return first, last
        case "last_space":
            first, space, last = name.rpartition(" ")
            return (first, last) if space else (name, "")
        case _:
            return name, ""


def address(course: Course, switches: Switches) -> str:
    """Where the course is, with the last slash, without `#/`."""
    host = switches.staging_host if course.environment == "staging" else switches.production_host
    return f"https://{host}/c/{course.slug}/"


def activity_id(course: Course, switches: Switches) -> str:
    where = address(course, switches)
    match switches.activity_id:
        case "bare":
            return where.rstrip("/")
        case "slash":
            return where
        case _:
            return where.replace("/c/", "/activities/").rstrip("/")


def _progress(place: Registration, switches: Switches) -> Any:
    """Numbers are written as switched; whatever else an action has set is shown as it is."""
    value = place.progress
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    text = switches.progress_as == "string" or (
        switches.progress_as == "mixed" and place.transaction_id % 2 == 0
    )
    return f"{value:.12g}" if text else value


def _code(place: Registration, switches: Switches) -> str | None:
    if place.code is None or switches.completion_code == "uuid":
        return place.code
    return f"completed-{place.transaction_id}"
