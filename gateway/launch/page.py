"""The page itself: one small HTML document, without scripts and without anything from elsewhere.

Everything that comes from a mapping, a tenant or an LMS is escaped. Headers keep the page out of caches,
frames, search engines and `Referer`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256
from html import escape

RTO = "your training organisation"
COURSE_HELP = "the help inside the course"

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1f; --paper: #fff; --soft: #55555f; --act: #1a4fa3; --on: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececf1; --paper: #17171b; --soft: #b4b4c0; --act: #9cc2ff; --on: #10131a }
}
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1.125rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif }
main { max-width: 36rem; margin: 0 auto; padding: 2rem 1.25rem; overflow-wrap: anywhere }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 1.5rem }
h2 { font-size: 1.125rem; margin: 2.5rem 0 .5rem }
a.open { display: inline-block; padding: .875rem 1.5rem; border-radius: .5rem; background: var(--act);
  color: var(--on); font-weight: 600; text-decoration: none }
a.open:hover { text-decoration: underline }
a.open:focus-visible { outline: .1875rem solid var(--ink); outline-offset: .1875rem }
dt { color: var(--soft) }
dd { margin: 0 0 1rem; white-space: pre-line }
.reference { color: var(--soft); font-size: .875rem; margin-top: 2.5rem }
"""
_STYLE_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}

_DOCUMENT = """<!DOCTYPE html>
<html lang="en-AU">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1 dir="auto">{title}</h1>
{content}
</main>
</body>
</html>
"""
_OPEN = """<p><a class="open" href="{link}" rel="noreferrer noopener">Open the course</a></p>
<p>This link is personal: whoever opens it is taken for you. Please do not pass it on.</p>
"""
_HELP = """<h2>Whom to ask</h2>
<dl>
<dt>About signing in, your enrolment or your certificate</dt>
<dd dir="auto">{contact}</dd>
<dt>About trouble inside the course</dt>
<dd dir="auto">{help}</dd>
</dl>"""
_SENTENCE = "<p>{sentence}</p>\n"
_ASK = '<p>Please ask <span dir="auto">{contact}</span>.</p>\n'
_REFERENCE = '<p class="reference">Reference: {reference}</p>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A page that opens no course: its status, its heading, and what there is to say."""

    status: int
    title: str
    sentence: str


UNKNOWN = Words(
    status=404,
    title="There is no course here",
    sentence="This address is not known. Perhaps a part of it was lost on the way: "
    "try it once more from the message it came in.",
)
ENDED = Words(
    status=410,
    title="This enrolment has ended",
    sentence="The course cannot be opened from here any more.",
)
EXPIRED = Words(
    status=410,
    title="This page has expired",
    sentence="The course cannot be opened from here any more.",
)
LATER = Words(
    status=503,
    title="The course cannot be opened just now",
    sentence="Please try again in a few minutes: reload this page.",
)
BROKEN = Words(
    status=500,
    title="The course cannot be opened",
    sentence="Something is wrong on our side, and trying again will not help.",
)
ONLY_READ = Words(
    status=405,
    title="This page can only be read",
    sentence="Please open the address in a browser.",
)


def open_page(link: str, course: str | None, contact: str | None, help_text: str | None) -> str:
    """The page with the link; `course` is its course's name."""
    help_part = _HELP.format(
        contact=escape(contact or _capital(RTO)), help=escape(help_text or _capital(COURSE_HELP))
    )
    return _document(course or "Your course", _OPEN.format(link=escape(link)) + help_part)


def closed_page(words: Words, contact: str | None, reference: str) -> str:
    """A page that says why the course cannot be opened here, and whom to ask."""
    return _document(
        words.title,
        _SENTENCE.format(sentence=escape(words.sentence))
        + _ASK.format(contact=escape(contact or RTO))
        + _REFERENCE.format(reference=escape(reference)),
    )


def _document(title: str, content: str) -> str:
    return _DOCUMENT.format(title=escape(title), style=_STYLE, content=content)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
