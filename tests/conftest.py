"""What every test shares."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One event loop for all: the gateway runs on asyncio only."""
    return "asyncio"
