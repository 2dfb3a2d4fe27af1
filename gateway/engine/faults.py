"""What a reply means: the mapping's rules first, then the defaults of docs/mapping-language.md, "Outcomes"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.engine.calls import Effect, Reply, Verdict
from gateway.engine.frame import truth
from gateway.errors import ExpressionError
from gateway.mapping.spec import Auth, Rule, Session
from gateway.mapping.templates import Context, as_text

MAX_TEXTS = 3
MAX_TEXT_LENGTH = 200


def judge(reply: Reply, *, rules: Iterable[Rule], auth: Auth, effect: Effect, context: Context) -> Verdict:
    """The outcome of one reply. Pure: asked again for every try."""
    if reply.lost is not None:
        return _lost(reply, effect)
    seen = context.plus(reply=reply.scope())
    expired = _expired(auth.session, effect, seen)
    if expired is not None:
        return expired
    for rule in rules:
        if _holds(rule, seen):
            return _by_rule(rule, seen)
    return _by_default(reply, effect, auth)


def _lost(reply: Reply, effect: Effect) -> Verdict:
    if reply.lost == "not_sent":
        return Verdict(outcome="retry", rule="not sent")
    if effect == "write":
        return Verdict(outcome="unknown", rule=f"answer lost: {reply.lost}")
    return Verdict(outcome="fail" if reply.lost == "too_large" else "retry", rule=f"answer lost: {reply.lost}")


def _expired(session: Session | None, effect: Effect, seen: Context) -> Verdict | None:
    if session is None:
        return None
    if session.expired_sure is not None and truth(session.expired_sure.evaluate(seen.scope, seen.runtime)):
        return Verdict(outcome="relogin", rule="expired.sure")
    if session.expired_maybe is not None and truth(session.expired_maybe.evaluate(seen.scope, seen.runtime)):
        return Verdict(outcome="relogin" if effect == "read" else "unknown", rule="expired.maybe")
    return None


def _holds(rule: Rule, seen: Context) -> bool:
    # a rule that cannot be evaluated on this reply does not hold: the next one, or the default, decides
    try:
        return truth(rule.when.evaluate(seen.scope, seen.runtime))
    except ExpressionError as error:
        if error.kind == "limit":
            raise
        return False


def _by_rule(rule: Rule, seen: Context) -> Verdict:
    return Verdict(
        outcome=rule.outcome,
        say=None if rule.say is None else as_text(rule.say.render(seen)),
        texts=_texts(rule, seen),
        warnings=() if rule.warn is None else _flat(_quiet(rule.warn.render, seen)),
        wait_s=_seconds(rule, seen),
        rule=rule.place,
        limit=rule.limit,
    )


def _texts(rule: Rule, seen: Context) -> tuple[str, ...]:
    if rule.texts is None:
        return ()
    found = _quiet(lambda context: rule.texts.evaluate(context.scope, context.runtime), seen)  # type: ignore[union-attr]
    return tuple(text[:MAX_TEXT_LENGTH] for text in _flat(found)[:MAX_TEXTS])


def _seconds(rule: Rule, seen: Context) -> float | None:
    if rule.wait is None:
        return None
    value = _quiet(lambda context: rule.wait.evaluate(context.scope, context.runtime), seen)  # type: ignore[union-attr]
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None


def _quiet(render: Any, seen: Context) -> Any:
    """A note that cannot be made must not change what the reply means."""
    try:
        return render(seen)
    except ExpressionError:
        return None


def _flat(value: Any) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(as_text(item) for item in value if isinstance(item, (str, int, float)) and item != "")
    return (as_text(value),) if isinstance(value, (str, int, float)) and value != "" else ()


def _by_default(reply: Reply, effect: Effect, auth: Auth) -> Verdict:
    status = reply.status
    if 200 <= status < 300:
        if reply.undecodable is None:
            return Verdict(outcome="ok")
        return Verdict(outcome="unknown" if effect == "write" else "fail", rule=f"undecodable: {reply.undecodable}")
    if status == 401:
        return Verdict(outcome="relogin" if auth.has_login else "fail", rule="401")
    if status in (403, 404) or 300 <= status < 400 or status < 200:
        return Verdict(outcome="fail", rule=str(status))
    if status in (408, 429) or (status == 503 and "retry_after" in reply.headers):
        return Verdict(outcome="throttled", rule=str(status))
    if status >= 500:
        return Verdict(outcome="unknown" if effect == "write" else "retry", rule=str(status))
    return Verdict(outcome="refused", rule=str(status))
