"""What a tenant says of its launch pages, under `launch` of config.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.store.enrolments import StoredEnrolment


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchConfig:
    """`expires_s`: how long a page works, from the enrolment's creation; None: for ever.

    `contact`: whom learners ask about signing in, enrolments and certificates, as plain text.
    """

    expires_s: float | None = None
    contact: str | None = None

    def expires_at(self, stored: StoredEnrolment) -> float | None:
        """When the page of an enrolment ends, in Unix seconds."""
        return None if self.expires_s is None else stored.created_at + self.expires_s
