"""Which of a mapping's webhooks a tenant has, which a stored delivery belongs to, what is stored of it.

The inbox calls a delivery of the LMS by the webhook that verified it, `lms:webhook-2:5c0ffee1`, so that no
other one reads it, whatever becomes of the mapping meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Expression, truthy
from gateway.mapping.progress_spec import ProgressSpec, Webhook

LMS = "lms"
"""What the inbox called every delivery of the LMS while a mapping had one webhook at most."""

log = logging.getLogger("gateway.hooks")


def switched_on(progress: ProgressSpec | None, scope: Mapping[str, Any]) -> tuple[Webhook, ...]:
    """The webhooks that a tenant has; `scope` holds its `settings`. A `when` that fails does not hold."""
    return () if progress is None else tuple(each for each in progress.webhooks if _is_on(each, scope))


def _is_on(webhook: Webhook, scope: Mapping[str, Any]) -> bool:
    if webhook.when is None:
        return True
    try:
        return truthy(webhook.when.evaluate(scope))
    except ExpressionError as error:
        log.warning("%s.when: %s", webhook.place, error)
        return False


def source_of(webhook: Webhook) -> str:
    """What the inbox calls the deliveries that this webhook verified."""
    return f"{LMS}:{webhook.name}:{webhook.mark}"


def is_from_lms(source: str) -> bool:
    return source.partition(":")[0] == LMS


def reader_of(source: str, webhooks: Sequence[Webhook]) -> Webhook | None:
    """The webhook that reads a stored delivery; None where the one that verified it is there no more.

    It may have moved in the list. Switched off since is no reason not to read what it took.
    """
    if source == LMS:
        return webhooks[0] if webhooks else None
    _, _, name_and_mark = source.partition(":")
    name, _, mark = name_and_mark.partition(":")
    same = [webhook for webhook in webhooks if webhook.mark == mark]
    return next((webhook for webhook in same if webhook.name == name), same[0] if same else None)


# -- what of it is stored


def headers_read_later(webhook: Webhook) -> frozenset[str]:
    """The headers that are read when a delivery is worked off."""
    templates = [webhook.id, webhook.value, *webhook.find.values()]
    inside = [one for template in templates if template is not None for one in template.expressions]
    return _headers_named([*inside, webhook.events, webhook.keep])


def headers_with_tokens(webhook: Webhook) -> frozenset[str]:
    """The headers that hold a credential as it is."""
    return _headers_named([*webhook.verify.tokens, webhook.verify.token])


def secrets_in_bodies(webhook: Webhook) -> tuple[str, ...]:
    """The names of the secrets that deliveries hold as they are."""
    shown = any("body" in one.roots for one in webhook.verify.tokens)
    return webhook.verify.secrets if shown else ()


def _headers_named(expressions: Iterable[Expression | None]) -> frozenset[str]:
    paths = [path.parts for one in expressions if one is not None for path in one.names]
    return frozenset(parts[1] for parts in paths if parts[0] == "headers" and len(parts) > 1)
