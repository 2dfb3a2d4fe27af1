"""A folder with one small mapping and config.yaml, whose tenant gets the lines of a test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config import TenantConfig, load_config
from gateway.errors import Problem, ProblemsFound

KEY = "rtop_" + "0123456789abcdef" * 4
ENVIRON = {
    "KEY": "vendor-key-marker",
    "TOKEN": "inbound-token-marker",
    "RTOP": KEY,
    "PATH22": "abcdefghijklmnopqrstuv",
    "HOOK": "hook-secret-marker",
    "OLD": "older-secret-marker",
    "HEX": "00ff10",
}
MAPPING = """
format: 1
mapping: small
version: 1.0.0
vendor: {name: Small}
settings:
  zone: {type: zone, default: Perth}
secrets: {apiKey: {}}
server:
  base: "https://vendor.example/api"
  hosts: [vendor.example]
  auth: {kind: basic, user: "${secrets.apiKey}", password: "${settings.zone}"}
operations:
  getCourses:
    steps: [{id: all, call: GET /courses, items: reply.body}]
    each: steps.all.items
    as: course
    give: {id: "${course.id}", name: "${course.name}"}
  createEnrolment: {refuse: "No."}
  transferEnrolment: {refuse: "No."}
  cancelEnrolment: {refuse: "No."}
"""
TENANT = """\
store: sqlite:///gateway.db
tenants:
  acme:
    mapping: small
    secrets: {apiKey: "${env:KEY}"}
"""
INBOUND = 'inbound: {auth: {kind: bearer, token: "${env:TOKEN}"}}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "small.yaml").write_text(MAPPING)
    return tmp_path


@pytest.fixture
def environ() -> dict[str, str]:
    """The environment that is read; a test may add to it."""
    return dict(ENVIRON)


@pytest.fixture
def read(folder: Path, environ: dict[str, str]) -> Callable[..., Any]:
    """Loads config.yaml with these lines under its tenant: the deployment."""

    def read(*lines: str, inbound: str = INBOUND) -> Any:
        text = TENANT + "\n".join(f"    {line}" for line in (inbound, *lines)) + "\n"
        (folder / "config.yaml").write_text(text)
        return load_config(folder / "config.yaml", environ=environ)

    return read


@pytest.fixture
def acme(read: Callable[..., Any]) -> Callable[..., TenantConfig]:
    """The tenant with these lines."""

    def acme(*lines: str, inbound: str = INBOUND) -> TenantConfig:
        found: TenantConfig = read(*lines, inbound=inbound).tenants["acme"]
        return found

    return acme


@pytest.fixture
def problem_of(read: Callable[..., Any]) -> Callable[..., Problem]:
    """The one error of the tenant with these lines."""

    def problem_of(*lines: str, inbound: str = INBOUND) -> Problem:
        with pytest.raises(ProblemsFound) as caught:
            read(*lines, inbound=inbound)
        (problem,) = [each for each in caught.value.problems if each.severity == "error"]
        return problem

    return problem_of
