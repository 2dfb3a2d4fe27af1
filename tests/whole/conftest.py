"""Vendors for whole-system tests: a stand-in process of each kind, reset before every test that uses it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import pytest

from tests.support.deployment import KINDS, Kind
from tests.support.kinds import ALL_KINDS
from tests.support.vendor_process import VendorProcess, vendor_running

Vendors = Mapping[str, VendorProcess]


class Standins:
    """The processes of a session: each is started when it is first asked for."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._running: dict[str, VendorProcess] = {}

    def get(self, kind: Kind) -> VendorProcess:
        if kind.name not in self._running:
            process = self._stack.enter_context(vendor_running(kind.module, kind.arguments))
            self._running[kind.name] = process
        return self._running[kind.name]


class Fresh(Vendors):
    """The stand-ins of one test by kind, each as good as new when it is first asked for."""

    def __init__(self, standins: Standins) -> None:
        self._standins = standins
        self._fresh: dict[str, VendorProcess] = {}

    def __getitem__(self, name: str) -> VendorProcess:
        if name not in self._fresh:
            kind = ALL_KINDS[name]
            process = self._standins.get(kind)
            process.reset()
            process.switch(**kind.switches)
            self._fresh[name] = process
        return self._fresh[name]

    def __iter__(self) -> Iterator[str]:
        return iter(ALL_KINDS)

    def __len__(self) -> int:
        return len(ALL_KINDS)


@pytest.fixture(scope="session")
def standins() -> Iterator[Standins]:
    with contextlib.ExitStack() as stack:
        yield Standins(stack)


@pytest.fixture
def vendors(standins: Standins) -> Vendors:
    """The stand-ins by kind."""
    return Fresh(standins)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each vendor in turn, of those that everything is tested with."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def vendor(kind: Kind, vendors: Vendors) -> VendorProcess:
    """The stand-in of `kind`."""
    return vendors[kind.name]
