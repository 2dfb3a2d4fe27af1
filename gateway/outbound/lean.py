"""Imports httpx without its own command, which brings Rich, Pygments and Click: 4 MB, a sixth of a start.

httpx leaves it out by itself where it cannot be imported; nothing else of httpx depends on it.
"""

import sys

_COMMAND = "httpx._main"

if "httpx" not in sys.modules:
    sys.modules[_COMMAND] = None  # type: ignore[assignment]  # "cannot be imported": see sys.modules
    import httpx as httpx

    del sys.modules[_COMMAND]
