"""The steps of an operation as a pure generator: it yields `Call` and `Commit`, and is sent `Reply`.

    frame, steps, resume  ->  run()  ->  yields Call (sent a Reply), yields Commit (sent None)

No I/O, no clock: time is in the replies (`left_at`), randomness in the frame's runtime.
A write in doubt is looked up by its `confirm`, never blindly sent again (docs/durability.md).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from gateway.engine import requests
from gateway.engine.calls import Call, Commit, Reply, Verdict
from gateway.engine.doubt import Doubt, InDoubt, NotDone, Resume, StepResult
from gateway.engine.frame import Frame, truth
from gateway.engine.pages import Pager
from gateway.errors import (
    ExpressionError,
    GatewayError,
    InternalError,
    NotFound,
    Refused,
    VendorFault,
    VendorTimeout,
    VendorUnavailable,
)
from gateway.contract import Operation
from gateway.mapping.spec import Action, CallSpec, Step

Work = Generator[Call | Commit, Reply | None, Any]

YIELDS = ("ok", "already")
REPEATS = 2
"""How often a `repeat: safe` write may be sent in one run when its answer is lost."""


@dataclass(slots=True)
class Answer:
    """One call's final reply, its verdict, and the list handling's results."""

    reply: Reply
    verdict: Verdict
    items: list[Any] | None = None
    item: Any = None

    def scope(self) -> dict[str, Any]:
        found: dict[str, Any] = {"reply": self.reply.scope()}
        if self.items is not None:
            found |= {"items": self.items, "item": self.item}
        return found


def run(frame: Frame, steps: tuple[Step, ...], resume: Resume) -> Work:
    """Do the steps in order; `frame.steps` holds their values afterwards.

    Raises GatewayError when a step fails for good, InDoubt when a write's outcome is unknown,
    NotDone when settling proves that it did not happen.
    """
    for step in steps:
        finished = resume.finished.get(step.id)
        if finished is not None:
            frame.steps[step.id] = finished.value
            frame.warnings.extend(finished.warnings)
            continue
        doubt = resume.doubt if resume.doubt is not None and resume.doubt.step == step.id else None
        result = yield from one(frame, step, doubt, settle_only=resume.settle_only)
        frame.steps[step.id] = result.value
        frame.warnings.extend(result.warnings)
        yield _commit(frame, step, result)
    return frame.steps


def one(frame: Frame, step: Step, doubt: Doubt | None, *, settle_only: bool) -> Work:
    """One step to its result; a failing optional step becomes a warning."""
    if doubt is None and not frame.holds(step.when):
        return StepResult(value=None)
    try:
        if step.mint:
            return StepResult(value={name: mint(frame) for name in step.mint})
        if step.first:
            return (yield from _Branches(frame, step, doubt, settle_only).run())
        assert step.action is not None
        return (yield from _single(frame, step, doubt, settle_only))
    except (GatewayError, InDoubt, NotDone) as error:
        if not step.optional:
            raise
        return _optional(step, error)


def mint(frame: Frame) -> str:
    return str(UUID(int=frame.runtime.random.getrandbits(128), version=4))


def _optional(step: Step, error: Exception) -> StepResult:
    note = error.message if isinstance(error, GatewayError) else "its outcome is not known"
    outcome = "unknown" if isinstance(error, InDoubt) else "fail"
    return StepResult(value=None, outcome=outcome, warnings=(f"{step.id}: {note}",))  # type: ignore[arg-type]


def _commit(frame: Frame, step: Step, result: StepResult) -> Commit:
    remember: dict[str, Mapping[str, Any]] = {}
    if step.remember and result.value is not None:
        context = frame.context(value=result.value)
        remember = {who: template.render(context) for who, template in step.remember.items()}
    return Commit(
        step=step.id,
        value=result.value,
        effect="write" if step.mint or _may_write(step) else "read",
        remember=remember,
        warnings=result.warnings,
        outcome=result.outcome,
    )


def _may_write(step: Step) -> bool:
    actions = (step.action,) if step.action is not None else step.first
    return any(action.writes for action in actions)


# -- one call ---------------------------------------------------------------------------------------


def ask(frame: Frame, spec: CallSpec, *, step: str, scope: Mapping[str, Any], journal: str | None = None) -> Generator[Call, Reply, Answer]:
    """Make one call, or all pages of a list, and apply `items`, `keep` and `pick`."""
    call = _built(frame, spec, step=step, scope=scope, journal=journal)
    pager = Pager(spec.pages, frame)
    following: Call | None = pager.start(call)
    collected: list[Any] = []
    seen = {**frame.context(**scope).scope}
    if spec.args is not None:
        seen["args"] = spec.args.render(frame.context(**scope))
    while following is not None:
        call = following
        reply = yield call
        assert reply.verdict is not None
        if reply.verdict.outcome not in YIELDS or spec.items is None:
            return Answer(reply, reply.verdict)
        items = _items(frame, spec, reply, seen)
        collected.extend(items)
        following = pager.next(call, reply, items, seen)
    return _picked(frame, spec, Answer(reply, reply.verdict, _kept(frame, spec, collected, seen)), seen)


def _built(frame: Frame, spec: CallSpec, **where: Any) -> Call:
    try:
        return requests.build(frame, spec, **where)
    except ExpressionError as error:
        raise InternalError(
            "The gateway could not make the request for the LMS. Operators have been told.", code="mapping_failed", detail=str(error)
        ) from error


def _items(frame: Frame, spec: CallSpec, reply: Reply, seen: Mapping[str, Any]) -> list[Any]:
    assert spec.items is not None
    found = spec.items.evaluate({**seen, "reply": reply.scope()}, frame.runtime)
    if not isinstance(found, list):
        raise VendorFault(detail=f"{spec.place}.items: `{spec.items.text}` is not a list")
    return found


def _kept(frame: Frame, spec: CallSpec, items: list[Any], seen: Mapping[str, Any]) -> list[Any]:
    if spec.keep is None:
        return items
    return [item for item in items if truth(spec.keep.evaluate(seen, frame.runtime, item=item))]


def _picked(frame: Frame, spec: CallSpec, answer: Answer, seen: Mapping[str, Any]) -> Answer:
    if spec.pick is None:
        return answer
    assert answer.items is not None
    for item in answer.items:
        if truth(spec.pick.evaluate(seen, frame.runtime, item=item)):
            return replace(answer, item=item)
    return replace(answer, verdict=Verdict(outcome=spec.none, rule="nothing picked"))


def value_of(frame: Frame, spec: CallSpec, answer: Answer, scope: Mapping[str, Any]) -> dict[str, Any]:
    """What later steps see of this call. Raises ExpressionError when a needed part is null."""
    value: dict[str, Any] = {}
    if spec.items is not None:
        value["items"] = answer.items
        if spec.pick is not None:
            value["item"] = answer.item
    if spec.value is not None:
        context = frame.context(**scope, **answer.scope())
        value |= spec.value.render(requests.with_args(frame, spec, context))
    return value


# -- a plain step -----------------------------------------------------------------------------------


def _single(frame: Frame, step: Step, doubt: Doubt | None, settle_only: bool) -> Work:
    action = step.action
    assert action is not None
    if doubt is not None:
        settled = yield from settle(frame, step, action, doubt, ())
        if settled is not None:
            return settled
        if settle_only:
            raise NotDone(step.id)
    result = yield from act(frame, step, action, ())
    if result.outcome == "absent":
        return _absent(frame, step, result)
    return result


def _absent(frame: Frame, step: Step, result: StepResult) -> StepResult:
    """What `absent` means depends on what RTOPilot wanted: docs/mapping-language.md, "Outcomes"."""
    if frame.operation is Operation.CANCEL_ENROLMENT:
        return replace(result, value=result.value if result.value is not None else {})
    if frame.operation in (Operation.GET_ENROLMENT, Operation.GET_COURSE):
        raise NotFound("The LMS no longer has this enrolment.", code="unknown_enrolment")
    raise Refused("The LMS does not have what this request is about.", code="vendor_absent", detail=step.place)


def act(frame: Frame, step: Step, action: Action, branches_before: tuple[Action, ...]) -> Work:
    """Send one action and follow its outcome as far as this step; `absent` and `restart` are the caller's."""
    name = step.id if not step.first else f"{step.id}/{action.name}"
    journal = name if action.writes else None
    tries = REPEATS if action.repeat == "safe" else 1
    for remaining in reversed(range(tries)):
        answer = yield from ask(frame, action.call, step=f"{frame.operation}.{name}", scope={}, journal=journal)
        result = _valued(frame, action, answer)
        if result.outcome != "unknown" or not action.writes or remaining == 0:
            break
    if result.outcome == "unknown" and action.writes:
        return (yield from _looked_up(frame, step, action, answer, branches_before))
    if result.outcome == "already" and action.confirm is not None and action.confirm.call is not None:
        return (yield from _already(frame, step, action, answer))
    if result.outcome in (*YIELDS, "absent", "restart"):
        return result
    raise failure(answer, frame)


def _valued(frame: Frame, action: Action, answer: Answer) -> StepResult:
    verdict = answer.verdict
    if verdict.outcome not in YIELDS:
        return StepResult(value=None, outcome=verdict.outcome, warnings=verdict.warnings)
    if verdict.outcome == "already" and action.confirm is not None and action.confirm.call is not None:
        return StepResult(value=None, outcome="already", warnings=verdict.warnings)
    try:
        value = value_of(frame, action.call, answer, {})
    except ExpressionError as error:
        if action.writes:  # done or not? the answer does not say, so it must be looked up
            return StepResult(value=None, outcome="unknown", warnings=verdict.warnings)
        raise VendorFault(detail=f"{action.place}: {error}") from error
    return StepResult(value=value, outcome=verdict.outcome, warnings=verdict.warnings)


def _looked_up(frame: Frame, step: Step, action: Action, answer: Answer, before: tuple[Action, ...]) -> Work:
    """The answer of a write was lost just now: look at once whether it was done."""
    doubt = Doubt(step=step.id, branch=action.name if step.first else None, left_at=answer.reply.left_at)
    settled = yield from settle(frame, step, action, doubt, before)
    if settled is None:
        raise VendorTimeout(detail=f"{action.place}: looked up, and it was not done")
    return replace(settled, warnings=(*answer.verdict.warnings, *settled.warnings))


def _already(frame: Frame, step: Step, action: Action, answer: Answer) -> Work:
    """`already` with a look-up: it supplies the value, and a plain no means that it was refused."""
    look = yield from _look(frame, step, action)
    if look is None or look.verdict.outcome not in (*YIELDS, "absent"):
        raise failure(look or answer, frame)
    if look.verdict.outcome == "absent" or not _done(frame, action, look):
        raise Refused(answer.verdict.say, detail=f"{action.place}: already there, but not as this request needs it")
    value = _confirmed_value(frame, action, look)
    return StepResult(value=value, outcome="already", warnings=answer.verdict.warnings)


# -- doubt ------------------------------------------------------------------------------------------


def settle(frame: Frame, step: Step, action: Action, doubt: Doubt, before: tuple[Action, ...]) -> Work:
    """Look up a write in doubt: its result if it was done, None if it surely was not.

    Raises InDoubt while neither can be known.
    """
    if action.confirm is None:
        if action.repeat == "safe":
            return None  # twice equals once, so it may be sent again as if it had never left
        raise InDoubt(doubt, None)
    if action.confirm.earlier:
        return (yield from _settle_earlier(frame, step, doubt, before, action.confirm.after_s))
    look = yield from _look(frame, step, action)
    if look is None:
        raise InDoubt(doubt, doubt.left_at + action.confirm.after_s)
    if look.verdict.outcome in YIELDS and _done(frame, action, look):
        return StepResult(value=_confirmed_value(frame, action, look))
    if look.verdict.outcome == "absent" or (look.verdict.outcome in YIELDS and _said_no(frame, action, look)):
        return _proof(doubt, look.reply.left_at, action.confirm.after_s)
    raise InDoubt(doubt, doubt.left_at + action.confirm.after_s)


def _proof(doubt: Doubt, asked_at: float, after_s: float) -> None:
    """`Not there` is proof only when asked long enough after the write left."""
    if asked_at < doubt.left_at + after_s:
        raise InDoubt(doubt, doubt.left_at + after_s)


def _look(frame: Frame, step: Step, action: Action) -> Generator[Call, Reply, Answer | None]:
    """Ask the confirming call; None when it cannot be asked or its answer cannot be used."""
    assert action.confirm is not None and action.confirm.call is not None
    try:
        return (yield from ask(frame, action.confirm.call, step=f"{frame.operation}.{step.id}.confirm", scope={}))
    except (GatewayError, ExpressionError):
        return None  # also a request that cannot be built: still unknown, never an error of the operation


def _done(frame: Frame, action: Action, look: Answer) -> bool:
    return _says(frame, action, look) is True


def _said_no(frame: Frame, action: Action, look: Answer) -> bool:
    return _says(frame, action, look) is False


def _says(frame: Frame, action: Action, look: Answer) -> bool | None:
    assert action.confirm is not None and action.confirm.call is not None and action.confirm.done is not None
    try:
        context = requests.with_args(frame, action.confirm.call, frame.context(**look.scope()))
        return truth(action.confirm.done.evaluate(context.scope, frame.runtime))
    except ExpressionError:
        return None


def _confirmed_value(frame: Frame, action: Action, look: Answer) -> dict[str, Any]:
    assert action.confirm is not None and action.confirm.call is not None
    try:
        return value_of(frame, action.confirm.call, look, {})
    except ExpressionError as error:
        raise VendorFault(detail=f"{action.place}.confirm: {error}") from error


def _settle_earlier(frame: Frame, step: Step, doubt: Doubt, before: tuple[Action, ...], after_s: float) -> Work:
    """`confirm: earlier`: the read branches before the write are run again."""
    asked_at: float | None = None
    for branch in before:
        if branch.writes or not frame.holds(branch.when):
            continue
        try:
            answer = yield from ask(frame, branch.call, step=f"{frame.operation}.{step.id}/{branch.name}", scope={})
            result = _valued(frame, branch, answer)
        except (GatewayError, ExpressionError):
            raise InDoubt(doubt, doubt.left_at + after_s) from None
        if result.outcome in YIELDS:
            return result
        if result.outcome != "absent":
            raise InDoubt(doubt, doubt.left_at + after_s)
        asked_at = answer.reply.left_at if asked_at is None else min(asked_at, answer.reply.left_at)
    if asked_at is None:
        raise InDoubt(doubt, None)
    return _proof(doubt, asked_at, after_s)


# -- branches ---------------------------------------------------------------------------------------


class _Branches:
    """A step with `first`: branches in order until one yields."""

    def __init__(self, frame: Frame, step: Step, doubt: Doubt | None, settle_only: bool) -> None:
        self.frame, self.step, self.doubt, self.settle_only = frame, step, doubt, settle_only
        self.restarts = 0

    def run(self) -> Work:
        if self.doubt is not None:
            settled = yield from self._settle(self.doubt)
            if settled is not None:
                return settled
            if self.settle_only:
                raise NotDone(self.step.id)
        while True:
            result = yield from self._round()
            if result.outcome == "restart":
                continue
            if result.outcome == "absent":
                return _absent(self.frame, self.step, result)
            return result

    def _settle(self, doubt: Doubt) -> Work:
        for index, branch in enumerate(self.step.first):
            if branch.name == doubt.branch:
                return (yield from settle(self.frame, self.step, branch, doubt, self.step.first[:index]))
        raise InDoubt(doubt, None)  # the mapping has changed since: only a person can tell

    def _round(self) -> Work:
        warnings: tuple[str, ...] = ()
        for index, branch in enumerate(self.step.first):
            if not self.frame.holds(branch.when):
                continue
            result = yield from act(self.frame, self.step, branch, self.step.first[:index])
            warnings += result.warnings
            if result.outcome == "restart":
                self._count_restart(branch)
                return result
            if result.outcome != "absent":
                return replace(result, warnings=warnings)
        return StepResult(value=None, outcome="absent", warnings=warnings)

    def _count_restart(self, branch: Action) -> None:
        limits = [rule.limit or 1 for rule in branch.call.replies if rule.outcome == "restart"]
        self.restarts += 1
        if self.restarts > max(limits, default=1):
            raise Refused(code="vendor_refused", detail=f"{branch.place}: still refused after looking again")


# -- failures ---------------------------------------------------------------------------------------


def failure(answer: Answer, frame: Frame) -> GatewayError:
    """The error RTOPilot hears for an outcome that ends a step."""
    verdict, reply = answer.verdict, answer.reply
    detail = f"{verdict.rule}; status {reply.status}" + (f"; {reply.lost}" if reply.lost else "")
    match verdict.outcome:
        case "refused":
            return Refused(_sentence(verdict, frame), code="vendor_refused", detail=detail)
        case "absent":
            return Refused("The LMS does not have what this request is about.", code="vendor_absent", detail=detail)
        case "throttled":
            return VendorUnavailable(code="vendor_throttled", detail=detail)
        case "retry" | "unknown" if reply.lost in ("timeout", "reset"):
            return VendorTimeout(detail=detail)
        case "retry" | "unknown" if reply.lost == "not_sent":
            return VendorUnavailable("The LMS cannot be reached. Please try again in a few minutes.", code="vendor_unreachable", detail=detail)
        case "relogin":
            return VendorFault("The LMS does not accept the gateway's login. Operators have been told.", code="vendor_login", detail=detail)
        case _:
            return VendorFault(detail=detail)


def _sentence(verdict: Verdict, frame: Frame) -> str:
    say = verdict.say or Refused.message
    texts = [scrub(text, {**frame.personal, **{secret: "‹secret›" for secret in frame.secrets.values()}}) for text in verdict.texts]
    return " ".join([say, *texts])


def scrub(text: str, sensitive: Mapping[str, str]) -> str:
    """A vendor's text with the request's own values and all secrets replaced, on one line."""
    for value in sorted((value for value in sensitive if len(value) > 1), key=len, reverse=True):
        # whole words only: a learner called Al must not turn "already" into a riddle
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", sensitive[value], text)
    return " ".join(text.split())
