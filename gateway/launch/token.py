"""The address of an enrolment's page: `{enrolment id}.{mac}`, made with the deployment's secret.

Nothing is stored, no time stands in it: all gateways of a deployment make the same one, for ever. Only a new
secret makes new addresses.
"""

from __future__ import annotations

import base64
import hmac

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAC_CHARACTERS = 32
"""192 bits in base64url."""


def derive_key(secret: str) -> bytes:
    """The key of all pages, from the deployment's secret; no other use of that secret gives the same."""
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"lms-gateway launch pages")
    return kdf.derive(secret.encode())


def make(key: bytes, tenant: str, enrolment_id: str) -> str:
    """The token of an enrolment; `tenant` as it stands in the page's address."""
    return f"{enrolment_id}.{_mac(key, tenant, enrolment_id)}"


def read(key: bytes, tenant: str, token: str) -> str | None:
    """The enrolment id of a token that was made with this key for this tenant, else None."""
    enrolment_id, _, mac = token.rpartition(".")
    right = hmac.compare_digest(_mac(key, tenant, enrolment_id).encode(), _bytes(mac))
    return enrolment_id if right else None


def address(public_url: str, key: bytes, tenant: str, enrolment_id: str) -> str:
    """The whole address of an enrolment's page."""
    return f"{public_url}/launch/{tenant}/{make(key, tenant, enrolment_id)}"


def _mac(key: bytes, tenant: str, enrolment_id: str) -> str:
    digest = hmac.digest(key, b"\0".join(map(_bytes, ("launch", tenant, enrolment_id))), "sha256")
    return base64.urlsafe_b64encode(digest).decode()[:MAC_CHARACTERS]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # what stands in an address may be anything
