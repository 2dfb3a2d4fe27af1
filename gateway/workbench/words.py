"""What a mapping says, in plain words: reply rules, lost answers, paging."""

from __future__ import annotations

from gateway.errors import ExpressionError
from gateway.mapping.expressions import Runtime
from gateway.mapping.progress_spec import Poll, Timing
from gateway.mapping.spec import Action, Pages, Rule
from gateway.mapping.templates import Context, Template, as_text

OUTCOMES = {
    "ok": "goes on",
    "absent": "it is not there",
    "already": "it was done before",
    "refused": "the LMS says no (422)",
    "throttled": "waits, then tries again",
    "relogin": "logs in again, then repeats",
    "retry": "nothing happened there, tries again",
    "unknown": "it is not known whether it was done",
    "restart": "starts this step again",
    "fail": "a fault (502), operators are told",
}
DEFAULTS = (
    "No rule holds: 2xx goes on; 401 logs in again or fails; 403, 404 and 3xx fail; 408 and 429 wait; "
    "5xx is tried again by a read and in doubt for a write; other 4xx are refused."
)


def rule_words(rule: Rule) -> str:
    """`reply.status == 401 → fail: a fault (502), operators are told`"""
    said = sentence(rule.say)
    limit = f" (at most {rule.limit})" if rule.limit else ""
    return f"{rule.when.text} → {rule.outcome}{limit}: {said or OUTCOMES[rule.outcome]}"


def sentence(template: Template | None) -> str | None:
    """A sentence of the mapping; with `…` where values stand in it."""
    if template is None:
        return None
    try:
        return as_text(template.render(Context({}, Runtime())))
    except ExpressionError:
        return "a sentence with values of the request in it"


def lost_words(action: Action) -> str:
    """What happens when the answer of this call is lost."""
    if not action.writes:
        return "asked again, up to 3 times while RTOPilot waits"
    if action.confirm is not None and action.confirm.earlier:
        return (
            "looked up by the reading branches before it, never sent again blindly; "
            f"not there {action.confirm.after_s:g} s after it left = it was not done"
        )
    if action.confirm is not None and action.confirm.done is not None:
        return (
            f"looked up, never sent again blindly; done when {action.confirm.done.text}; "
            f"not there {action.confirm.after_s:g} s after it left = it was not done"
        )
    if action.repeat == "safe":
        return "sent again: the mapping promises that twice equals once"
    return "stays in doubt until somebody runs `lms-gateway runs settle`"


def page_words(pages: Pages | None) -> str | None:
    if pages is None or pages.kind == "none":
        return None
    told = "" if pages.total is None else f", {pages.total.text} items or it is a fault"
    return f"page by page ({pages.kind}), at most {pages.limit} pages{told}"


PLANS = {
    "per-course": "once for each course with active enrolments",
    "per-enrolment": "once for each active enrolment",
    "delta": "what has changed since the last time",
    "chunks": "active enrolments, so many at a time",
}


def poll_words(poll: Poll) -> str:
    """`once for each course with active enrolments, every 600 s, spread over the interval`"""
    words = [PLANS[poll.plan].replace("so many", str(poll.of)), _timing_words(poll.timing)]
    if poll.timing.spread:
        words.append("spread over the interval")
    if poll.audit is not None:
        words.append(f"with a longer look back {_timing_words(poll.audit.timing)}")
    return ", ".join(words)


def _timing_words(timing: Timing) -> str:
    return f"every {timing.every_s:.0f} s" if timing.every_s is not None else f"at {', '.join(timing.at)}"
