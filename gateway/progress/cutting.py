"""A signature taken out of the JSON it stands in, byte for byte: nothing is parsed and written again.

Some vendors sign a body, put the signature into it, and send that. What they signed is what came less the
one member, with the comma that joined it.
"""

from __future__ import annotations

import re

_SPACE = rb"[ \t\r\n]*"
_SPACES = b" \t\r\n"
_COMMA_AFTER = re.compile(_SPACE + b"," + _SPACE)


def without_member(raw: bytes, name: str, value: bytes) -> bytes | None:
    """The bytes less the member `"name": "value"`: with the comma before it, or after it when it is first.

    None unless exactly one such member stands there. `value` is compared as it is written, escapes and all.
    """
    member = b'"' + re.escape(name.encode()) + b'"' + _SPACE + b":" + _SPACE + b'"' + re.escape(value) + b'"'
    found = [match.span() for match in re.finditer(member, raw)]
    if len(found) != 1:
        return None
    start, end = found[0]
    before = raw[:start].rstrip(_SPACES)
    if before.endswith(b","):
        return before[:-1] + raw[end:]
    if not before.endswith(b"{"):  # inside a text, or the end of a longer name
        return None
    comma = _COMMA_AFTER.match(raw, end)
    return raw[:start] + raw[end if comma is None else comma.end() :]
