"""The page's HTML: escaped, closed to everything from outside, and readable."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from gateway.launch import page

HOSTILE = """<script>alert(1)</script>"' onload=x &amp; {link} ليلى"""
LINK = "https://x.example/#/?a=1&b='\"<"


class Read(HTMLParser):
    """The elements of a document, and the texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


PAGES = [
    pytest.param(page.open_page(LINK, HOSTILE, HOSTILE, HOSTILE), id="open"),
    pytest.param(page.open_page(LINK, None, None, None), id="open, nothing known"),
    *(
        pytest.param(page.closed_page(words, HOSTILE, "abc"), id=words.title)
        for words in (page.UNKNOWN, page.ENDED, page.EXPIRED, page.LATER, page.BROKEN, page.ONLY_READ)
    ),
]


@pytest.mark.parametrize("html", PAGES)
def test_a_page_loads_nothing_and_runs_nothing(html):
    found = Read(html)
    assert {name for name, _ in found.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "main"),
        *("h1", "h2", "p", "a", "span", "dl", "dt", "dd"),
    }
    for _, attributes in found.elements:
        assert not {"src", "onload", "style", "action"} & attributes.keys()


@pytest.mark.parametrize("html", PAGES)
def test_a_page_has_what_phones_and_screen_readers_need(html):
    found = Read(html)
    assert found.all("html") == [{"lang": "en-AU"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in found.all("meta")
    assert len(found.all("h1")) == len(found.all("main")) == len(found.all("title")) == 1


def test_the_style_is_allowed_by_its_hash_and_nothing_else_is():
    style = re.search("<style>(.*)</style>", page.open_page(LINK, None, None, None), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(sha256(style[1].encode()).digest()).decode()
    assert page.HEADERS["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def test_what_comes_from_outside_stands_there_as_text():
    found = Read(page.open_page(LINK, HOSTILE, f"contact {HOSTILE}", f"help {HOSTILE}"))
    for text in (HOSTILE, f"contact {HOSTILE}", f"help {HOSTILE}"):
        assert text in found.texts
    assert found.all("a") == [{"class": "open", "href": LINK, "rel": "noreferrer noopener"}]


def test_without_a_contact_and_help_the_page_says_whom_to_ask_all_the_same():
    texts = Read(page.open_page(LINK, None, None, None)).texts
    assert {"Your course", "Your training organisation", "The help inside the course"} <= set(texts)
