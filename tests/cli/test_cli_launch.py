"""`launch`: the pages of a tenant's learners, as a list and one by one."""

import asyncio
import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway import ids
from gateway.app import create_app
from gateway.cli import launch as launch_command
from gateway.cli import report
from gateway.cli.commands import app
from gateway.config import load_config
from gateway.launch import token
from gateway.operator import launch_sheet
from gateway.operator.launch_sheet import masked
from gateway.store import enrolments
from gateway.store.database import Database

SECRET = "the secret of this deployment, quite long"
MAPPING = """
format: 1
mapping: catalogue
version: 1.0.0
vendor: {name: Catalogue}
settings: {courses: {type: list, item: {id: text, name: text, url: url}}}
server: {base: "https://lms.example", hosts: [lms.example]}
operations:
  getCourses: {each: settings.courses, as: c, give: {id: "${c.id}", name: "${c.name}"}}
  createEnrolment:
    steps: [{id: ids, mint: {reg: uuid}}]
    record: {reg: "${steps.ids.reg}", course: "${courseId}", em: "${student.id}@x.example", fn: "${student.firstName}"}
    personal: [em, fn]
    key: [reg]
  transferEnrolment: {by: create-then-cancel}
  cancelEnrolment: {manual: "Tell them."}
"""
LAUNCH = """launch:
  url: "${settings.courses[?id == $.enrolment.course].url | [0]}"
  fragment: {query: {reg: "${enrolment.reg}", em: "${enrolment.em}", fn: "${enrolment.fn}"}}
"""
HEAD = ["enrolmentId", "studentId", "em", "fn", "courseId", "vendorCourseId", "course", "page", "expires"]
MAY_2026 = 1_778_000_000.0
DAY_S = 86_400


@dataclass(slots=True)
class Deployment:
    """Two tenants in a folder: `acme`, whose mapping makes links, and `plain`, whose does not."""

    folder: Path

    def write(self, **acme: Any) -> None:
        (self.folder / "mappings").mkdir(exist_ok=True)
        (self.folder / "mappings" / "catalogue.yaml").write_text(MAPPING + LAUNCH)
        (self.folder / "mappings" / "plain.yaml").write_text(
            MAPPING.replace("mapping: catalogue", "mapping: plain")
        )
        courses = [
            {"id": "c1", "name": "Working safely, part 1", "url": "https://courses.lms.example/c1"},
            {"id": "c2", "name": "=1+1", "url": "https://courses.lms.example/c2"},
        ]
        inbound = {"auth": {"kind": "bearer", "token": "inbound-token-0123456789"}}
        tenant = {"mapping": "catalogue", "settings": {"courses": courses}, "inbound": inbound}
        config = {
            "store": "sqlite:///gateway.db",
            "secret": SECRET,
            "public_url": "https://gw.example.net",
            "tenants": {"acme": {**tenant, **acme}, "plain": {**tenant, "mapping": "plain"}},
        }
        self.config.write_text(json.dumps(config))

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def run(self, *words: str) -> Any:
        ran = CliRunner().invoke(app, ["launch", *words, "--config", str(self.config)])
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return ran

    def rows(self, *words: str) -> list[dict[str, str]]:
        ran = self.run(*words)
        assert ran.exit_code == 0, ran.stderr
        return list(csv.DictReader(io.StringIO(ran.stdout)))

    def store(self, work: Callable[[Any], Any]) -> Any:
        async def written() -> Any:
            database = Database.open(f"sqlite:///{self.folder / 'gateway.db'}")
            try:
                return await database.write(work)
            finally:
                await database.close()

        return asyncio.run(written())

    def enrol(
        self, number: int, course: str = "c1", *, tenant: str = "acme", at: float = MAY_2026, **record: Any
    ) -> str:
        alias = tenant.partition("/")[2] or None

        def work(conn: Any) -> str:
            stored = enrolments.add(
                conn,
                tenant=tenant,
                vendor_account="account",
                key=json.dumps([str(number)]),
                make_id=lambda generation: ids.encode((str(number),), alias=alias, generation=generation),
                record={
                    "reg": f"reg-{number}",
                    "course": course,
                    "em": "kim@x.example",
                    "fn": "Kim Tran",
                    **record,
                },
                now=at,
                alias=alias,
                course_id=ids.encode_course(course, alias=alias),
                student_id=f"s-{number}",
            )
            return stored.id

        made: str = self.store(work)
        return made


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    made = Deployment(tmp_path)
    made.write()
    return made


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody looks at standard output."""
    monkeypatch.setattr(launch_command, "on_terminal", lambda: True)
    monkeypatch.setattr(report, "on_terminal", lambda: True)
    return


def test_the_list_has_a_line_for_each_active_enrolment(deployment: Deployment) -> None:
    deployment.write(launch={"expires": "365d"})
    deployment.enrol(7)
    gone = deployment.enrol(8)
    deployment.store(lambda conn: enrolments.cancel(conn, "acme", gone, MAY_2026))
    ran = deployment.run("acme")
    assert ran.exit_code == 0 and ran.stderr == "1 enrolment of acme.\n"
    lines = list(csv.reader(io.StringIO(ran.stdout)))
    key = token.derive_key(SECRET)
    assert lines == [
        HEAD,
        [
            *(
                "7",
                "s-7",
                "kim@x.example",
                "Kim Tran",
                ids.encode_course("c1"),
                "c1",
                "Working safely, part 1",
            ),
            f"https://gw.example.net/launch/acme/{token.make(key, 'acme', '7')}",
            "2027-05-05T16:53:20Z",
        ],
    ]


def opened(deployment: Deployment, page: str) -> httpx.Response:
    """What a gateway of this deployment answers to the address of a page."""

    async def asked() -> httpx.Response:
        gateway = create_app(load_config(deployment.config))
        async with gateway.router.lifespan_context(gateway):
            transport = httpx.ASGITransport(gateway)
            async with httpx.AsyncClient(transport=transport) as client:
                return await client.get(page)

    return asyncio.run(asked())


def test_a_page_of_the_list_opens_the_course(deployment: Deployment) -> None:
    deployment.write(launch={"contact": "Acme, 08 5550 1234"})
    deployment.enrol(7)
    (row,) = deployment.rows("acme")
    response = opened(deployment, row["page"])
    assert response.status_code == 200
    link = "https://courses.lms.example/c1/#/?reg=reg-7&amp;em=kim%40x.example&amp;fn=Kim%20Tran"
    for part in ("Working safely, part 1", "Acme, 08 5550 1234", link):
        assert part in response.text
    assert opened(deployment, row["page"].replace("/acme/", "/plain/")).status_code == 404


def test_a_cell_that_a_spreadsheet_would_work_out_stays_text(deployment: Deployment) -> None:
    for number, name in enumerate(("=1+1", "+1", "-1", "@x", "\tx", "Kim =1", 'O"Neil, 🎓 ليلى')):
        deployment.enrol(number, fn=name)
    assert [row["fn"] for row in deployment.rows("acme")] == [
        *("'=1+1", "'+1", "'-1", "'@x", "'\tx"), "Kim =1", 'O"Neil, 🎓 ليلى',
    ]  # fmt: skip
    deployment.enrol(9, "c2")
    assert deployment.rows("acme")[-1]["course"] == "'=1+1"


def test_json_has_the_same_and_nothing_is_changed_in_it(deployment: Deployment) -> None:
    assert json.loads(deployment.run("acme", "--json").stdout) == []
    deployment.enrol(7, fn="=1+1")
    deployment.enrol(8)
    rows = json.loads(deployment.run("acme", "--json").stdout)
    assert [list(row) for row in rows] == [HEAD, HEAD]
    assert [row["fn"] for row in rows] == ["=1+1", "Kim Tran"]


@pytest.mark.parametrize("course", ["c1", ids.encode_course("c1")], ids=["the LMS's id", "RTOPilot's id"])
def test_only_one_course_is_listed(deployment: Deployment, course: str) -> None:
    deployment.enrol(7, "c1")
    deployment.enrol(8, "c2")
    assert [row["enrolmentId"] for row in deployment.rows("acme", "--course", course)] == ["7"]


def test_a_course_that_nobody_has_gives_an_empty_list(deployment: Deployment) -> None:
    deployment.enrol(7)
    assert deployment.rows("acme", "--course", "c9") == deployment.rows("acme", "--course", "x" * 60) == []


def test_only_enrolments_since_a_day_are_listed_in_the_tenants_zone(deployment: Deployment) -> None:
    deployment.write(progress={"zone": "Australia/Perth"})
    midnight = 1_777_996_800.0  # 6 May 2026 in Perth
    deployment.enrol(7, at=midnight - 1)
    deployment.enrol(8, at=midnight)
    assert [row["enrolmentId"] for row in deployment.rows("acme", "--since", "2026-05-06")] == ["8"]
    assert deployment.run("acme", "--since", "6 May").exit_code == 2


def test_a_long_list_is_read_in_pages(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_sheet, "PAGE", 2)
    for number in range(1, 6):
        deployment.enrol(number)
    assert [row["enrolmentId"] for row in deployment.rows("acme")] == ["1", "2", "3", "4", "5"]


def test_a_file_is_only_for_its_owner(deployment: Deployment, tmp_path: Path) -> None:
    deployment.enrol(7, fn="Zoë")
    file = tmp_path / "links.csv"
    ran = deployment.run("acme", "--out", str(file))
    assert (ran.stdout, ran.stderr) == ("", f"1 enrolment of acme written to {file}.\n")
    assert "Zoë" in file.read_text("utf-8") and os.stat(file).st_mode & 0o777 == 0o600
    assert deployment.run("acme", "--out", str(tmp_path / "no" / "folder")).exit_code == 2


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_it_is_a_table(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[Any] = []
    monkeypatch.setattr(
        launch_command, "table", lambda head, rows: tables.append([list(head), *map(list, rows)])
    )
    monkeypatch.setattr(launch_command, "TABLE_ROWS", 2)
    for number in range(1, 4):
        deployment.enrol(number)
    assert deployment.run("acme").stdout == ""
    assert [[row[0] for row in each] for each in tables] == [["enrolmentId", "1", "2"], ["enrolmentId", "3"]]
    assert deployment.run("acme", "--csv").stdout.startswith("enrolmentId,studentId,em,fn,")


def test_a_tenant_whose_mapping_has_no_launch_is_told(deployment: Deployment) -> None:
    deployment.enrol(7, tenant="plain")
    for words in (("plain",), ("plain", "7")):
        ran = deployment.run(*words)
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert "plain: the mapping plain has no `launch`" in ran.stderr


def test_several_lmss_stand_in_one_list(deployment: Deployment) -> None:
    other = MAPPING.replace("mapping: catalogue", "mapping: other").replace(
        "personal: [em, fn]", "personal: [reg, course]"
    )
    (deployment.folder / "mappings" / "other.yaml").write_text(other + LAUNCH)
    courses = [{"id": "c1", "name": "Other", "url": "https://courses.other.example/c1"}]
    lms = {name: {"mapping": name, "settings": {"courses": courses}} for name in ("other", "plain")}
    deployment.write(lms=lms)
    deployment.enrol(7)
    deployment.enrol(8, tenant="acme/other")
    ran = deployment.run("acme")
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    assert "acme/plain: the mapping plain has no `launch`" in ran.stderr
    assert [(row["enrolmentId"], row["em"], row["reg"]) for row in rows] == [
        ("7", "kim@x.example", ""),
        ("other__8", "", "reg-8"),
    ]
    assert (rows[0]["record.course"], rows[1]["record.course"], rows[1]["course"]) == ("", "c1", "Other")
    assert "/launch/acme/other__8." in rows[1]["page"]
    assert "https://courses.other.example/c1/#/?reg=reg-8" in opened(deployment, rows[1]["page"]).text
    assert "https://courses.lms.example/c1/#/?reg=reg-7" in opened(deployment, rows[0]["page"]).text
    (only,) = deployment.rows("acme/other")
    assert only["page"] == rows[1]["page"]
    assert "acme/other" not in deployment.run("acme", "other__8").stderr


def test_one_enrolment_is_shown_with_its_link_masked(deployment: Deployment) -> None:
    deployment.enrol(7)
    ran = deployment.run("acme", "7")
    shown = dict(line.split(maxsplit=1) for line in ran.stdout.splitlines() if len(line.split()) > 1)
    assert shown["enrolmentId"] == "7" and shown["page"].startswith("https://gw.example.net/launch/acme/7.")
    assert shown["link"] == "https://courses.lms.example/•••#•••?reg=•••&em=•••&fn=•••"
    assert json.loads(deployment.run("acme", "7", "--json").stdout)["link"] == shown["link"]


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_the_link_itself_may_be_seen(deployment: Deployment) -> None:
    deployment.enrol(7)
    ran = deployment.run("acme", "7", "--reveal")
    assert "https://courses.lms.example/c1/#/?reg=reg-7&em=kim%40x.example&fn=Kim%20Tran\n" in ran.stdout
    assert deployment.run("acme", "--reveal").exit_code == 2


def test_off_a_terminal_no_link_is_shown(deployment: Deployment) -> None:
    deployment.enrol(7)
    ran = deployment.run("acme", "7", "--reveal")
    assert (ran.exit_code, "courses.lms.example" in ran.stdout + ran.stderr) == (2, False)


@pytest.mark.parametrize(
    "more", [("--course", "c1"), ("--since", "2026-01-01"), ("--csv",), ("--out", "x.csv")]
)
def test_one_enrolment_goes_with_no_choice(deployment: Deployment, more: tuple[str, ...]) -> None:
    assert deployment.run("acme", "7", *more).exit_code == 2


def test_an_enrolment_that_is_not_there_or_has_ended_is_a_sentence(deployment: Deployment) -> None:
    ran = deployment.run("acme", "7")
    assert ran.exit_code == 1 and "not known" in ran.stderr
    deployment.enrol(7)
    deployment.store(lambda conn: enrolments.cancel(conn, "acme", "7", MAY_2026))
    ran = deployment.run("acme", "7")
    assert ran.exit_code == 1 and "cancelled" in ran.stderr


def test_a_link_that_cannot_be_made_says_where(deployment: Deployment) -> None:
    deployment.enrol(7, "c9")
    ran = deployment.run("acme", "7")
    assert ran.exit_code == 1 and "launch.url" in ran.stderr and "kim" not in ran.stderr


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://x.example:8443/a/b?c=1&d=2", "https://x.example:8443/•••?c=•••&d=•••"),
        ("https://x.example/?token", "https://x.example/•••?•••"),
        ("https://x.example/a#token", "https://x.example/•••#•••"),
        ("https://x.example/a?b=1#/c?d=2", "https://x.example/•••?b=•••#•••?d=•••"),
        ("https://x.example", "https://x.example/•••"),
    ],
)
def test_a_masked_link_shows_where_it_leads_and_no_value(link: str, shown: str) -> None:
    assert masked(link) == shown
