"""Ids and names made to hurt: a clear 4xx in the one error shape, and no vendor call outside the mapping's paths."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import ids
from tests.support.deployment import LEARNING_ASSISTANT, TALENTLMS, TOKEN, Kind, tenant, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.vendor_process import VendorProcess

IN_PATH = (
    "../admin",
    "..%2Fadmin",
    "..%5Cadmin",
    "a/b",
    "a%2Fb",
    "%2e%2e",
    "%2e%2e%2fadmin",
    "%252e%252e%252fadmin",
    ".",
    "..",
    "x" * 300,
    "1" * 300,
    "${x}",
    "$%7Bx%7D",
    "7-126%0D%0AX-Evil:%20yes",
    "7-126%00",
    "%00",
    "%E2%80%AE7-126",
    "%C3%A9",
    "%FF%FE",
    "7-126%3Fuser_id=1",
    "7-126%23x",
    "7-126;x=1",
    "7,user_id:1-126",
    "07-126",
    "7-126-1",
    "7-126_1",
    "7-126_2_2",
    "-",
    "_",
    "%20",
    "tmfrgg-",
)
"""What stands in the place of an id in the request line, as it is there."""

KEYS = (
    "../admin",
    "a/b",
    "..",
    "126,user_id:1",
    "126:1",
    "%2e%2e",
    "${x}",
    "x\r\nX-Evil: yes",
    "x\0",
    "x?y=1",
    "x#y",
)
"""Keys of vendors that nobody has, packed into well-formed ids."""

PLAIN = (
    "../admin",
    "a/b",
    "%2e%2e",
    "%2e%2e%2fadmin",
    "x" * 300,
    "${x}",
    "x\r\nX-Evil: yes",
    "x\0y",
    "x\ud800y",
    "126,user_id:1",
    "",
    "   ",
)
"""What stands in the place of an id in a body."""

NAMES = (
    "A\r\nX-Evil: yes",
    "A\0B",
    "A\u202eB",
    "A\u2028B",
    "Zoë 🎓",
    "</Forename><x>",
    "&lt;b&gt; ]]>",
    "A" * 255,
    "%0d%0a",
    "%s{0}",
)

PATHS = {
    TALENTLMS.name: re.compile(
        r"/api/v1/(courses|usersignup|addusertocourse|users/(id|username|email):[^/:,]*"
        r"|(getuserstatusincourse|removeuserfromcourse)/course_id:[^/:,]*,user_id:[^/:,]*)"
    ),
    LEARNING_ASSISTANT.name: re.compile(
        r"/webservices/soap/(authenticate|course|user|enrolment|enrolment_update)\.cfc"
    ),
}
"""Every path a vendor call may have, from the mapping files."""


@pytest.fixture
def gateway(kind: Kind, vendor: VendorProcess, tmp_path: Path) -> Iterator[GatewayProcess]:
    config = write_config(tmp_path, {"acme": tenant(kind, vendor.url)})
    with gateway_running(config) as process:
        yield process


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=gateway.url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


def asked(client: httpx.Client, method: str, path: str, body: Any = None) -> httpx.Response:
    """Send these very characters in the request line, below the tenant's address."""
    target = f"/t/acme{path}".encode()
    content = None if method == "GET" else json.dumps(body).encode()
    return client.send(client.build_request(method, "/", content=content, extensions={"target": target}))


def complaint(answer: httpx.Response, *statuses: int) -> str | None:
    """What is wrong with an error of the gateway; None when it is a clear refusal of the one shape."""
    if answer.status_code not in statuses:
        return f"{answer.status_code} {answer.text[:200]}"
    body = answer.json()
    if set(body) != {"error"} or set(body["error"]) != {"code", "message", "reference"}:
        return f"another shape: {answer.text[:200]}"
    if not body["error"]["message"] or answer.headers["x-reference"] != body["error"]["reference"]:
        return f"no message, or another reference: {answer.text[:200]}"
    return None


def expect_all(found: Mapping[str, str | None]) -> None:
    assert {case: wrong for case, wrong in found.items() if wrong is not None} == {}


def expect_only_mapped_paths(kind: Kind, vendor: VendorProcess) -> None:
    requests = vendor.asked()
    outside = [each["raw_path"] for each in requests if not PATHS[kind.name].fullmatch(each["raw_path"])]
    assert outside == []
    for each in requests:
        assert each["query"] == ""
        assert ".." not in each["raw_path"].split("/")
        assert "x-evil" not in {name.lower() for name, _ in each["headers"]}


def by_id(client: httpx.Client, id: str) -> dict[str, httpx.Response]:
    person = {"id": "stu-1", "firstName": "Ana", "lastName": "Citizen"}
    return {
        f"getCourse {id[:40]}": asked(client, "GET", f"/courses/{id}"),
        f"getEnrolment {id[:40]}": asked(client, "GET", f"/enrolments/{id}"),
        f"transfer {id[:40]}": asked(client, "POST", f"/enrolments/{id}/transfer", {"to": person}),
        f"cancel {id[:40]}": asked(client, "POST", f"/enrolments/{id}/cancel", {}),
        f"marking {id[:40]}": asked(client, "POST", f"/enrolments/{id}/marking", {"quizResults": []}),
    }


def nothing_changed(vendor: VendorProcess) -> bool:
    return not {name for name, _ in vendor.effects()} - {"logged_in"}


def test_hostile_text_in_the_address_is_refused_without_a_vendor_call(
    kind: Kind, vendor: VendorProcess, client: httpx.Client
) -> None:
    found: dict[str, str | None] = {}
    for id in IN_PATH:
        for case, answer in by_id(client, id).items():
            found[case] = complaint(answer, 400, 404, 405)
    expect_all(found)
    assert vendor.asked() == []


def test_a_hostile_key_in_a_well_formed_id_stays_inside_the_mappings_paths(
    kind: Kind, vendor: VendorProcess, client: httpx.Client
) -> None:
    found: dict[str, str | None] = {}
    for key in KEYS:
        for id in (ids.encode_course(key), ids.encode((key, kind.courses[0])), ids.encode(("7", key))):
            for case, answer in by_id(client, id).items():
                found[f"{key!r} {case}"] = complaint(answer, 404, 422)
    expect_all(found)
    expect_only_mapped_paths(kind, vendor)
    assert nothing_changed(vendor)


def test_a_hostile_course_in_a_body_is_refused(
    kind: Kind, vendor: VendorProcess, client: httpx.Client
) -> None:
    person = {"id": "stu-1", "firstName": "Ana", "lastName": "Citizen"}
    courses = [*PLAIN, *(ids.encode_course(key) for key in KEYS)]
    found = {
        repr(course[:40]): complaint(
            asked(client, "POST", "/enrolments", {"courseId": course, "student": person}), 400, 404, 422
        )
        for course in courses
    }
    expect_all(found)
    expect_only_mapped_paths(kind, vendor)
    assert not {name for name, _ in vendor.effects()} & {"user_enrolled", "enrolled"}


def test_a_hostile_student_is_refused_or_enrolled_as_is_but_never_leaves_the_mappings_paths(
    kind: Kind, vendor: VendorProcess, client: httpx.Client
) -> None:
    found = {}
    for student in PLAIN:
        person = {"id": student, "firstName": "Ana", "lastName": "Citizen"}
        body = {"courseId": ids.encode_course(kind.courses[0]), "student": person}
        answer = asked(client, "POST", "/enrolments", body)
        found[repr(student[:40])] = None if answer.status_code == 200 else complaint(answer, 400, 422)
    expect_all(found)
    expect_only_mapped_paths(kind, vendor)


@pytest.mark.parametrize("student", ["x" * 300, "${x}", "x\r\nX-Evil: yes", "x\0y", "", "   "])
def test_a_student_id_that_none_can_have_is_refused_without_a_vendor_call(
    kind: Kind, vendor: VendorProcess, client: httpx.Client, student: str
) -> None:
    person = {"id": student, "firstName": "Ana", "lastName": "Citizen"}
    answer = asked(
        client, "POST", "/enrolments", {"courseId": ids.encode_course(kind.courses[0]), "student": person}
    )
    assert complaint(answer, 400) is None
    assert vendor.asked() == []


def test_line_ends_and_markup_in_names_reach_the_vendor_as_text_only(
    kind: Kind, vendor: VendorProcess, client: httpx.Client
) -> None:
    for number, name in enumerate(NAMES):
        person = {"id": f"stu-{number}", "firstName": name, "lastName": name}
        body = {"courseId": ids.encode_course(kind.courses[0]), "student": person}
        answer = asked(client, "POST", "/enrolments", body)
        assert answer.status_code == 200, (name, answer.text)
    expect_only_mapped_paths(kind, vendor)
    stored = json.dumps(vendor.state(), ensure_ascii=False)
    assert "</Forename><x>" in stored
    assert "A X-Evil: yes" in stored  # a line end is a space


def test_another_spelling_of_the_path_is_not_another_way_in(client: httpx.Client) -> None:
    targets = (
        "//courses",
        "/./courses",
        "/x/../courses",
        "/%2e%2e/acme/courses",
        "/courses//",
        "/COURSES",
    )
    found = {target: complaint(asked(client, "GET", target), 404) for target in targets}
    expect_all(found)
