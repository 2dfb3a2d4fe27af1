"""Vendors for whole-system tests: a stand-in process of each kind, reset before every test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import pytest

from tests.support.deployment import KINDS, Kind
from tests.support.vendor_process import VendorProcess, vendor_running

Vendors = Mapping[str, VendorProcess]


@pytest.fixture(scope="session")
def standins() -> Iterator[Vendors]:
    with contextlib.ExitStack() as stack:
        yield {
            kind.name: stack.enter_context(vendor_running(kind.module, kind.arguments))
            for kind in KINDS.values()
        }


@pytest.fixture
def vendors(standins: Vendors) -> Vendors:
    """Both stand-ins by kind, as good as new."""
    for kind in KINDS.values():
        standins[kind.name].reset()
        standins[kind.name].switch(**kind.switches)
    return standins


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each vendor in turn."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def vendor(kind: Kind, vendors: Vendors) -> VendorProcess:
    """The stand-in of `kind`."""
    return vendors[kind.name]
