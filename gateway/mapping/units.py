"""Durations and sizes as mapping files write them: `20s`, `250ms`, `20MB`."""

from __future__ import annotations

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"kB": 1000, "MB": 1_000_000}


def seconds(text: str | None, default: float = 0.0) -> float:
    """A duration in seconds; the schema has checked its form."""
    if text is None:
        return default
    number = text.rstrip("msdh")
    return int(number) * _SECONDS[text[len(number) :]]


def size_bytes(text: str | None, default: int) -> int:
    """A size in bytes; the schema has checked its form."""
    if text is None:
        return default
    number = text.rstrip("kMB")
    return int(number) * _BYTES[text[len(number) :]]
