"""RTOPilot itself: can it be reached, and, only when asked, does it take the API key."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from urllib.parse import urlsplit

from gateway.operator.check import Row, ok, red, warning
from gateway.outbound.transport import default_tls  # a look with other certificates would prove nothing
from gateway.progress import push
from gateway.progress.push import CONNECT_S, PRODUCTION_HOST, Target

NOBODY = "gateway-check"
"""No id of ours looks like this, so no enrolment can have it."""
TRIAL_S = 10.0
PRODUCTION = f"https://{PRODUCTION_HOST}/api"
REACH, KEY = "RTOPilot can be reached", "RTOPilot takes the API key"


async def push_rows(
    target: Target, *, trial: bool, now: float, tls: ssl.SSLContext | None = None
) -> list[Row]:
    """Connects, and hangs up; with `trial` one progress of 0 for nobody is sent too."""
    why = await unreachable(target.base_url, tls)
    if why is not None:
        return [
            red(
                REACH,
                f"{target.base_url}: {why}",
                "Is `rtopilot.base_url` right, and may this machine call out?",
            )
        ]
    rows = [ok(REACH, f"{urlsplit(target.base_url).hostname} takes connections; nothing was sent.")]
    return [*rows, await trial_row(target, now)] if trial else rows


async def unreachable(base_url: str, tls: ssl.SSLContext | None = None) -> str | None:
    """Why no connection, with TLS for https, comes about; None when one does."""
    address = urlsplit(base_url)
    secure = address.scheme == "https"
    try:
        async with asyncio.timeout(CONNECT_S * 2):
            _, writer = await asyncio.open_connection(
                address.hostname,
                address.port or (443 if secure else 80),
                ssl=(tls or default_tls()) if secure else None,
            )
    except TimeoutError:
        return f"no connection within {CONNECT_S * 2:g} s."
    except socket.gaierror:
        return "the host has no address."
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not good: {error.verify_message}."
    except OSError as error:
        return f"no connection: {error.strerror or type(error).__name__}."
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return None


async def trial_row(target: Target, now: float) -> Row:
    """One push for an enrolment that cannot exist: it changes nothing, and 404 is the best of answers."""
    tried = await push.send(target, target.key.current(), NOBODY, 0, timeout_s=TRIAL_S, now=now)
    status = tried.verdict.status
    match tried.verdict.kind:
        case "not_found":
            return ok(KEY, "Yes: it only says 404, as nobody has the id that was tried.")
        case "accepted":
            return ok(KEY, f"Yes: {status}, although nobody has the id that was tried.")
        case "pause":
            todo = "Create or rotate the key in RTOPilot, and put the new one where `api_key` looks for it."
            return red(KEY, f"No: {tried.reason}", todo)
        case "refused":
            return warning(
                KEY, tried.reason, "Probably, as it read the rest. `lms-gateway outbox list` will show."
            )
        case "config":
            return warning(
                KEY, tried.reason, f"Correct `rtopilot.base_url`; RTOPilot documents {PRODUCTION}."
            )
        case _:
            return warning(KEY, tried.reason, "That says nothing about the key. Try again later.")
