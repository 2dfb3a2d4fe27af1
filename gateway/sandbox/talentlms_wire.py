"""The outside of the API: paths as they stand on the wire, Basic authentication, forms, JSON of PHP.

Source: vendors/talentlms.md 1, 1.1, 1.3 and 7 (behaviour 1 to 4, 10).
"""

import base64
import binascii
import hmac
import json
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from gateway.sandbox.talentlms_errors import WebPage, invalid_arguments

BASE = "/api/v1/"
MAX_FIELDS = 100
FORM = "application/x-www-form-urlencoded"
SERVER_PAGE = (
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>404 Not Found</body>\r\n</html>\r\n"
)
APP_PAGE = (
    '<!DOCTYPE html>\n<html lang="en"><head><title>Page not found</title></head>'
    '<body class="tl-error"><h1>The page you requested was not found</h1></body></html>\n'
)


def endpoint_of(raw_path: str, *, encoded_at_accepted: bool) -> tuple[str, str]:
    """Endpoint name in lower case and the undecoded argument segment ("" if none).

    Raises WebPage for everything that never reaches the API.
    """
    if "//" in raw_path:
        raise WebPage(404, SERVER_PAGE)
    if not raw_path.startswith(BASE):
        raise WebPage(404, APP_PAGE)
    endpoint, _, arguments = raw_path[len(BASE) :].partition("/")
    refused = ("%3a", "%2c") if encoded_at_accepted else ("%3a", "%2c", "%40")
    if any(code in arguments.lower() for code in refused) or "/" in arguments:
        raise WebPage(404, APP_PAGE)
    return endpoint.lower(), arguments


def path_arguments(segment: str) -> dict[str, str]:
    """`course_id:126,user_id:7` as a mapping; a plus sign is a space, as PHP reads it.

    Raises Refused (400) for a pair without a colon.
    """
    found: dict[str, str] = {}
    for pair in segment.split(",") if segment else []:
        name, colon, value = pair.partition(":")
        if not colon:
            raise invalid_arguments()
        found[unquote_plus(name)] = unquote_plus(value)
    return found


def form_arguments(content_type: str, body: bytes) -> dict[str, str]:
    """Fields of a form body; a body of any other type has none. Raises Refused (400) for too many fields."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        return {}
    return query_arguments(body.decode("utf-8", "replace"))


def query_arguments(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as exc:
        raise invalid_arguments() from exc


def authorised(header: str, api_key: str) -> bool:
    """Whether an Authorization header carries the key as user name and an empty password."""
    scheme, _, coded = header.partition(" ")
    try:
        given = base64.b64decode(coded.strip().encode("latin-1"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, api_key.encode() + b":")


def php_json(value: Any) -> bytes:
    """JSON with every slash escaped and nothing outside ASCII, as PHP's json_encode writes it."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode("ascii")
