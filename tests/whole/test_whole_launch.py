"""A learner opens the page of an enrolment in a real browser, and is in the course: whole processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from gateway.sandbox.media77_switches import STAGING_LMS_ID, TOKEN
from gateway.sandbox.rtopilot_caller import Caller
from gateway.sandbox.rtopilot_office import Enrolment, Office, Organisation
from tests.support.browser import browsing
from tests.support.deployment import AUTH, MAPPINGS, slots, write_config
from tests.support.gateway_process import GatewayProcess, gateway_running
from tests.support.vendor_process import VendorProcess, vendor_running
from tests.support.waiting import until

NAME = ('Zoë "Q" <b>&amp;', "O'Neil #1 50% + 李 👩‍🎓")
CONTACT = "Acme Training <help@acme.example>, 08 5550 1234"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with browsing() as chrome:
        yield chrome


@pytest.fixture
def vendor() -> Iterator[VendorProcess]:
    with vendor_running("gateway.sandbox.media77") as process:
        yield process


@pytest.fixture
def config(vendor: VendorProcess, tmp_path: Path) -> Path:
    """A tenant whose courses are on the stand-in; the mapping's own type takes no http address."""
    course = {
        "id": "hygiene",
        "name": "Food & Hygiene <Basics>",
        "staging": f"{vendor.url}/c/hygiene-staging/",
    }
    acme = {
        "mapping": "77media",
        "base_url": vendor.url,
        "settings": {
            "courses": [course],
            "stagingLmsId": STAGING_LMS_ID,
            "launchedFrom": "learn.acme.example",
            "email": "s-${student.id}@learners.acme.example",
        },
        "secrets": {"token": TOKEN},
        "inbound": {"auth": {"kind": "bearer", "token": AUTH.token}},
        "launch": {"contact": CONTACT},
    }
    path = write_config(tmp_path, {"acme": acme}, public_url="http://127.0.0.1:9")
    mapping = tmp_path / "mappings" / "77media.yaml"
    mapping.write_text(
        (MAPPINGS / "77media.yaml").read_text("utf-8").replace("type: link", "type: text"), "utf-8"
    )
    return path


@pytest.fixture
def gateway(config: Path) -> Iterator[GatewayProcess]:
    with gateway_running(config) as process:
        yield process


async def enrolled(gateway: GatewayProcess) -> tuple[Office, Enrolment]:
    organisation = Organisation(name="Acme College")
    organisation.add_student("204", *NAME)
    async with Caller(slots(gateway.url, "acme")) as caller:
        office = Office(organisation, caller)
        (course,) = await office.list_courses("")
        organisation.link_course("hygiene", course["name"], course["id"])
        return office, await office.enrol("204", "hygiene")


async def cancelled(gateway: GatewayProcess, office: Office, made: Enrolment) -> None:
    async with Caller(slots(gateway.url, "acme")) as caller:
        office.caller = caller
        await office.cancel(made.rto_id)


def mailing(config: Path) -> list[dict[str, Any]]:
    """What `lms-gateway launch` lists."""
    command = [sys.executable, "-m", "gateway.cli", "launch", "acme", "--json", "--config", str(config)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(listed.stdout)
    return found


def page_of(config: Path, gateway: GatewayProcess) -> str:
    """The page's address, at the port that the gateway of this test has."""
    (row,) = mailing(config)
    return gateway.url + "/launch/" + str(row["page"]).partition("/launch/")[2]


async def test_a_learner_opens_the_page_and_is_in_the_course_under_the_full_name(
    browser: Chrome, vendor: VendorProcess, config: Path, gateway: GatewayProcess
) -> None:
    await enrolled(gateway)
    browser.get(page_of(config, gateway))
    assert browser.find_element(By.TAG_NAME, "h1").text == "Food & Hygiene <Basics>"
    assert CONTACT in browser.find_element(By.TAG_NAME, "dl").text
    link = browser.find_element(By.CSS_SELECTOR, "a.open")
    assert link.value_of_css_property("font-weight") == "600", "the style was not applied"
    assert browser.get_log("browser") == []
    link.click()
    until(lambda: "/c/hygiene-staging/#/?reg=" in browser.current_url)
    until(lambda: "Welcome, " in browser.find_element(By.ID, "said").text)
    (learner,) = [each for each in vendor.state()["registrations"] if each["domain"] == "learn.acme.example"]
    assert (learner["name"], learner["email"]) == (" ".join(NAME), "s-204@learners.acme.example")
    assert (learner["lms_id"], learner["launches"]) == (STAGING_LMS_ID, 1)
    assert vendor.state()["violations"] == []


async def test_opening_it_again_resumes_the_same_registration(
    browser: Chrome, vendor: VendorProcess, config: Path, gateway: GatewayProcess
) -> None:
    await enrolled(gateway)
    for times in (1, 2):
        browser.get(page_of(config, gateway))
        browser.find_element(By.CSS_SELECTOR, "a.open").click()
        until(lambda times=times: vendor.counts()["launched"] + vendor.counts()["resumed"] == times)
    assert (vendor.counts()["launched"], vendor.counts()["resumed"]) == (1, 1)


async def test_after_a_cancel_the_page_says_so_and_whom_to_ask(
    browser: Chrome, config: Path, gateway: GatewayProcess
) -> None:
    office, made = await enrolled(gateway)
    address = page_of(config, gateway)
    await cancelled(gateway, office, made)
    browser.get(address)
    assert "ended" in browser.find_element(By.TAG_NAME, "h1").text
    assert CONTACT in browser.find_element(By.TAG_NAME, "main").text
    assert browser.find_elements(By.TAG_NAME, "a") == []
    assert mailing(config) == []


async def test_an_address_that_lost_its_end_is_a_plain_page_that_names_nobody(
    browser: Chrome, config: Path, gateway: GatewayProcess
) -> None:
    await enrolled(gateway)
    browser.get(page_of(config, gateway)[:-1])
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "There is no course here" in text and "Zoë" not in text
