"""What a reply means: the mapping's rules first, then the defaults.

Source: docs/mapping-language.md, "Outcomes".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.engine.calls import Effect, Reply, Verdict
from gateway.errors import ExpressionError
from gateway.mapping.expressions import Expression, truthy
from gateway.mapping.spec import Auth, Rule, Session
from gateway.mapping.templates import Context, Template, as_text

MAX_TEXTS = 3

OK = Verdict(outcome="ok")


def judge(reply: Reply, *, rules: Iterable[Rule], auth: Auth, effect: Effect, context: Context) -> Verdict:
    """The outcome of one reply. Pure, asked again for every try, and never raises: the reply has come.

    The session's end is looked for first (a refusal of the session says nothing about the request).
    """
    if reply.lost is not None:
        return _lost(reply, effect)
    seen = context.plus(reply=reply.scope())
    try:
        return (
            _expired(auth.session, effect, seen) or _by_rules(rules, seen) or _by_default(reply, effect, auth)
        )
    except ExpressionError as error:  # a limit: the reply is there, and nobody can say what it means
        return Verdict(outcome="unknown" if effect == "write" else "fail", rule=f"reply rules: {error}")


def _lost(reply: Reply, effect: Effect) -> Verdict:
    if reply.lost == "not_sent":
        return Verdict(outcome="retry", rule="not sent")
    rule = f"answer lost: {reply.lost}"
    if effect == "write":
        return Verdict(outcome="unknown", rule=rule)
    return Verdict(outcome="fail" if reply.lost == "too_large" else "retry", rule=rule)


def _expired(session: Session | None, effect: Effect, seen: Context) -> Verdict | None:
    if session is None:
        return None
    if _holds(session.expired_sure, seen):
        return Verdict(outcome="relogin", rule="expired.sure")
    if _holds(session.expired_maybe, seen):
        return Verdict(outcome="relogin" if effect == "read" else "unknown", rule="expired.maybe")
    return None


def _by_rules(rules: Iterable[Rule], seen: Context) -> Verdict | None:
    for rule in rules:
        if _holds(rule.when, seen):
            return Verdict(
                outcome=rule.outcome,
                say=_say(rule.say, seen),
                texts=_flat(_evaluated(rule.texts, seen))[:MAX_TEXTS],
                warnings=_flat(_rendered(rule.warn, seen)),
                wait_s=_seconds(_evaluated(rule.wait, seen)),
                rule=rule.place,
                limit=rule.limit,
            )
    return None


def _holds(condition: Expression | None, seen: Context) -> bool:
    # one that cannot be evaluated on this reply does not hold: the next rule, or the default, decides
    return truthy(_evaluated(condition, seen))


def _evaluated(expression: Expression | None, seen: Context) -> Any:
    if expression is None:
        return None
    try:
        return expression.evaluate(seen.scope, seen.runtime)
    except ExpressionError as error:
        if error.kind == "limit":
            raise
        return None


def _rendered(template: Template | None, seen: Context) -> Any:
    """A note that cannot be made must not change what the reply means."""
    if template is None:
        return None
    try:
        return template.render(seen)
    except ExpressionError:
        return None


def _say(template: Template | None, seen: Context) -> str | None:
    value = _rendered(template, seen)
    return None if value is None else as_text(value)


def _seconds(value: Any) -> float | None:
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None
    )


def _flat(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(as_text(item) for item in items if isinstance(item, str | int | float) and item != "")


def _by_default(reply: Reply, effect: Effect, auth: Auth) -> Verdict:
    status = reply.status
    if 200 <= status < 300:
        if reply.undecodable is None:
            return OK
        outcome_unread: Any = "unknown" if effect == "write" else "fail"
        return Verdict(outcome=outcome_unread, rule=f"undecodable: {reply.undecodable}")
    if status == 401:
        return Verdict(outcome="relogin" if auth.has_login else "fail", rule="401")
    if (
        status in (403, 404) or status < 400
    ):  # a redirect is never followed; only a rule knows which 404 is "absent"
        return Verdict(outcome="fail", rule=str(status))
    if status in (408, 429) or (status == 503 and "retry_after" in reply.headers):
        return Verdict(outcome="throttled", rule=str(status))
    if status >= 500:
        return Verdict(outcome="unknown" if effect == "write" else "retry", rule=str(status))
    return Verdict(outcome="refused", rule=str(status))
