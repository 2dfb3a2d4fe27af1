"""A recorded conversation (a vcrpy cassette) as the lines of a case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

MAX_BYTES = 5_000_000


def read_cassette(path: Path) -> list[dict[str, Any]]:
    """The interactions in order, written as a case file would write them.

    Raises OSError, or ValueError for a file that is not a cassette. Source: vcrpy's serialisation format, 1.
    """
    with path.open("rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError("it is larger than 5 MB")
    try:
        data = yaml.load(raw, Loader=yaml.CSafeLoader)
        return [_line(item) for item in data["interactions"]]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not a cassette ({type(error).__name__})") from error


def _line(interaction: Mapping[str, Any]) -> dict[str, Any]:
    request, response = interaction["request"], interaction["response"]
    url = urlsplit(request["uri"])
    line: dict[str, Any] = {
        "ask": f"{request['method']} {url.path}",
        "answer": {
            "status": response["status"]["code"],
            "headers": {name: _first(value) for name, value in response.get("headers", {}).items()},
            "text": _text(response["body"].get("string")),
        },
    }
    if url.query:
        line["query"] = dict(parse_qsl(url.query, keep_blank_values=True))
    return line | _body(_text(request.get("body")), request.get("headers", {}))


def _body(text: str, headers: Mapping[str, Any]) -> dict[str, Any]:
    kind = next((_first(value) for name, value in headers.items() if name.lower() == "content-type"), "")
    if not text:
        return {}
    if "json" in kind:
        return {"json": json.loads(text)}
    if "form" in kind:
        return {"form": dict(parse_qsl(text, keep_blank_values=True))}
    return {"soap": text} if "xml" in kind else {}


def _first(value: Any) -> str:
    return str(value[0]) if isinstance(value, list) else str(value)


def _text(body: Any) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
