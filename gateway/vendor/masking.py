"""Hiding what must not be shown: known values wherever they stand, and fields that are secret by name."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "‹hidden›"
SHORT = 4
"""Secrets shorter than this are hidden as whole words only: a session called 7 is not every 7."""

_WORDS = "password|passwd|pwd|secret|token|api[_-]?key|login_key|goto_url|credential|signature"
_NAME = rf"[\w-]{{0,40}}(?:{_WORDS})[\w-]{{0,40}}"
_HINT = re.compile(_WORDS, re.IGNORECASE)
SECRET_NAME = re.compile(rf"{_NAME}|[\w-]*(?:auth|cookie)[\w-]*", re.IGNORECASE)
_FIELD = re.compile(rf'("?{_NAME}"?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|[^"&,;}}\s<]+)', re.IGNORECASE)
_ELEMENT = re.compile(
    rf"(<(?:\w+:)?({_NAME})(?:\s[^<>]*)?>).*?(</(?:\w+:)?\2\s*>|$)", re.IGNORECASE | re.DOTALL
)


_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


class Masker:
    """Replaces known values in text by their labels, in any of the forms they may take on the way.

    `secrets` are replaced anywhere; `personal` values only as whole words, in upper or lower case.
    """

    def __init__(self, secrets: Mapping[str, str], personal: Mapping[str, str]) -> None:
        short = {value: label for value, label in secrets.items() if 1 < len(value) < SHORT}
        people = {value: label for value, label in personal.items() if len(value) > 1}
        long = {value: label for value, label in secrets.items() if len(value) >= SHORT}
        self._secrets = _longest_first(long, _disguises)
        self._words = _longest_first({**short, **people}, _spellings)

    def __call__(self, text: str) -> str:
        for form, label in self._secrets:
            if form in text:
                text = text.replace(form, label)
        lower = text.lower()
        for form, label in self._words:
            if form.lower() in lower:
                text = _without_word(text, form, label)
                lower = text.lower()
        return text

    def cut(self, text: str, length: int) -> str:
        """The first part of a text, masked; a secret that the cut goes through is hidden too."""
        if len(text) < length:
            return unnamed(self(text))
        head = text[:length]
        for form, label in self._secrets:
            for size in range(min(len(form) - 1, length), SHORT - 1, -1):
                if head.endswith(form[:size]):
                    return unnamed(self(head[:-size])) + label
        return unnamed(self(head))

    def value(self, data: Any) -> Any:
        """The same all the way through JSON-like data; fields that are secret by name are hidden whole."""
        if isinstance(data, str):
            return self(data)
        if isinstance(data, Mapping):
            return {str(key): self._field(str(key), item) for key, item in data.items()}
        if isinstance(data, list):
            return [self.value(item) for item in data]
        return data

    def _field(self, name: str, item: Any) -> Any:
        masked = self.value(item)
        if isinstance(item, str) and item and masked == item and SECRET_NAME.fullmatch(name):
            return HIDDEN
        return masked


def unnamed(text: str) -> str:
    """The text without values that are secret by their name, such as a sign-in link in a user record."""
    if _HINT.search(text) is None:  # most texts have none, and the other two patterns are slow
        return text
    if "<" in text:
        text = _ELEMENT.sub(rf"\1{HIDDEN}\3", text)
    return _FIELD.sub(lambda match: match[1] + (match[2] if match[2].strip('"')[:1] == "‹" else HIDDEN), text)


@lru_cache(maxsize=1024)
def _disguises(value: str) -> frozenset[str]:
    """A secret as it may appear: as written, and base64 (alone, or as half of Basic credentials)."""
    raw = value.encode(errors="replace")
    encoded = {
        encode(part).decode()
        for part in (raw, raw + b":", b":" + raw)
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
    }
    return frozenset(_spellings(value) | encoded | {text.rstrip("=") for text in encoded})


def _spellings(value: str) -> set[str]:
    """A value as it is written in text, URLs, JSON and XML."""
    plain = value.encode(errors="replace").decode()
    in_urls = {quote(plain), quote(plain, safe=""), quote_plus(plain)}  # with `/` as it is, and without
    return {value, *in_urls, json.dumps(value)[1:-1], html.escape(value)}


def _longest_first(labels: Mapping[str, str], forms: Callable[[str], Iterable[str]]) -> list[tuple[str, str]]:
    pairs = {form: label for value, label in labels.items() for form in forms(value)}
    return sorted(pairs.items(), key=lambda pair: len(pair[0]), reverse=True)


def _without_word(text: str, form: str, label: str) -> str:
    """The text with a value replaced where it stands as a word, in upper or lower case."""
    lower, wanted = text.lower(), form.lower()
    if len(lower) != len(text):  # a few letters grow in lower case, and every position after them moves
        return label.join(_whole_word(form).split(text))
    # no pattern: names differ with every call, and compiling one costs more than all the rest
    parts, start, at = [], 0, lower.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        if _word_starts(text, at) and not text[end : end + 1].isalnum():
            parts.append(text[start:at])
            start = end
        at = lower.find(wanted, max(end, at + 1))
    return label.join([*parts, text[start:]])


def _word_starts(text: str, at: int) -> bool:
    # a percent-encoded space or quote ends a word like any other sign
    return not text[max(at - 1, 0) : at].isalnum() or _ESCAPE.fullmatch(text, max(at - 3, 0), at) is not None


def _whole_word(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?:(?<![^\W_])|(?<=%[0-9A-F][0-9A-F])){re.escape(form)}(?![^\W_])", re.IGNORECASE)
