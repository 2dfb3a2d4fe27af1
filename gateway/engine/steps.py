"""The steps of an operation as a pure generator: it yields `Call` and `Commit`, and is sent `Reply`.

    frame, steps, resume  ->  run()  ->  yields Call (sent a Reply), yields Commit (sent None)

No I/O, no clock: time is in the replies (`left_at`), randomness in the frame's runtime.
A write in doubt is looked up by its `confirm`, never blindly sent again (docs/durability.md).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from gateway.contract import Operation
from gateway.engine import lookup
from gateway.engine.ask import YIELDS, Answer, Question, ask, question, valued
from gateway.engine.calls import Call, Commit, Outcome, Reply, Verdict
from gateway.engine.checks import checked
from gateway.engine.doubt import Doubt, InDoubt, NotDone, Resume, StepResult
from gateway.engine.failures import absence, failure, shown
from gateway.engine.frame import Frame
from gateway.errors import ExpressionError, GatewayError, VendorTimeout
from gateway.mapping.spec import Action, Step

Work = Generator[Call | Commit, Reply | None, Any]
Acting = Generator[Call, Reply, Answer]

REPEATS = 2
"""How often a `repeat: safe` write may be sent in one run when its answer is lost."""
SAYS_NOTHING = frozenset({"unknown", "throttled", "retry", "relogin", "fail"})
"""Outcomes of a second try that leave the first one in doubt."""


def run(frame: Frame, steps: tuple[Step, ...], resume: Resume) -> Work:
    """Do the steps in order; `frame.steps` holds their values afterwards, `frame.results` how they ended.

    Raises GatewayError when a step fails for good, InDoubt when a write's outcome is unknown,
    NotDone when settling proves that it did not happen.
    """
    if resume.doubt is not None and all(step.id != resume.doubt.step for step in steps):
        raise InDoubt(resume.doubt, None)  # the mapping has changed since: only a person can tell
    for step in steps:
        finished = resume.finished.get(step.id)
        if finished is not None:
            _take(frame, step, frame.results.get(step.id, finished))
            continue
        doubt = resume.doubt if resume.doubt is not None and resume.doubt.step == step.id else None
        result = yield from one(frame, step, doubt, settle_only=resume.settle_only)
        remember, notes = _remembered(frame, step, result)
        result = replace(result, warnings=(*result.warnings, *notes)) if notes else result
        _take(frame, step, result)
        yield _commit(step, result, remember)
    return frame.steps


def _take(frame: Frame, step: Step, result: StepResult) -> None:
    frame.steps[step.id] = result.value
    frame.results[step.id] = result
    frame.warnings.extend(result.warnings)


def one(frame: Frame, step: Step, doubt: Doubt | None, *, settle_only: bool) -> Work:
    """One step to its result; a failing optional step becomes a warning."""
    try:
        if doubt is None and not frame.holds(step.when):
            return StepResult(value=None)
        if step.mint:
            return StepResult(value={name: _standing(frame, name) or mint(frame) for name in step.mint})
        if step.check is not None and doubt is None:
            return checked(frame, step, step.check)
        return (yield from _Step(frame, step, doubt, settle_only).result())
    except (GatewayError, InDoubt, NotDone) as error:
        if not step.optional:
            raise
        return _optional(step, error)


def _standing(frame: Frame, name: str) -> str | None:
    """The value of that name in the enrolment that stands already: made once, as long as it is active."""
    record = (frame.root.get("known") or {}).get("enrolment") or {}
    value = record.get(name)
    return value if isinstance(value, str) and value else None


def mint(frame: Frame) -> str:
    return str(UUID(int=frame.runtime.random.getrandbits(128), version=4))


def _optional(step: Step, error: Exception) -> StepResult:
    note = error.message if isinstance(error, GatewayError) else "its outcome is not known"
    outcome: Outcome = "unknown" if isinstance(error, InDoubt) else "fail"
    return StepResult(value=None, outcome=outcome, warnings=(f"{step.id}: {note}",))


def _remembered(
    frame: Frame, step: Step, result: StepResult
) -> tuple[dict[str, Mapping[str, Any]], tuple[str, ...]]:
    """What is to be remembered, and why it cannot be: the step itself has been done either way."""
    if not step.remember or result.value is None:
        return {}, ()
    context = frame.context(value=result.value)
    try:
        return {who: template.render(context) for who, template in step.remember.items()}, ()
    except ExpressionError as error:
        return {}, (f"{step.id}: nothing remembered: {error}",)


def _commit(step: Step, result: StepResult, remember: dict[str, Mapping[str, Any]]) -> Commit:
    actions = step.first if step.action is None else (step.action,)
    return Commit(
        step=step.id,
        value=result.value,
        effect="write" if step.mint or any(action.writes for action in actions) else "read",
        remember=remember,
        warnings=result.warnings,
        outcome=result.outcome,
        undo=result.undo,
    )


# -- one action: the step itself, or one branch of it ---------------------------------------------


def act(
    frame: Frame,
    step: Step,
    action: Action,
    before: tuple[Action, ...] = (),
    *,
    name: str | None = None,
    doubt: Doubt | None = None,
    again: bool = False,
) -> Acting:
    """Do one action to an outcome the step can go on from: ok, already, absent or restart.

    `before` are the branches before it. `again`: it has left before and may leave again; `doubt`: and what
    became of that is not known (`repeat: safe`). Raises GatewayError or InDoubt for every other outcome.
    """
    name = name or (f"{step.id}/{action.name}" if step.first else step.id)
    journal = name if action.writes else None
    asked = question(frame, action.call, step=f"{frame.operation}.{name}", journal=journal)
    if action.writes:
        answer = yield from _written(frame, step, action, asked, before, doubt, again)
    else:
        answer = valued(frame, action.call, (yield from ask(frame, asked)))
    if answer.outcome in (*YIELDS, "absent", "restart"):
        return answer
    raise failure(frame, answer.reply, answer.verdict)


def _written(
    frame: Frame,
    step: Step,
    action: Action,
    asked: Question,
    before: tuple[Action, ...],
    doubt: Doubt | None,
    again: bool,
) -> Acting:
    for _ in range(REPEATS if action.repeat == "safe" else 1):
        try:
            answer = yield from ask(frame, asked, again=again or doubt is not None)
        except GatewayError:
            if doubt is None:
                raise
            raise InDoubt(doubt, None) from None  # this one never left; the one before it did
        if answer.outcome == "already" and action.confirm is not None and action.confirm.call is not None:
            return (yield from lookup.already(frame, step, action, answer))
        answer = valued(frame, action.call, answer)
        if answer.outcome != "unknown":
            break
        branch = action.name if step.first else None
        doubt = Doubt(step=step.id, branch=branch, left_at=answer.reply.left_at)
    if doubt is None or answer.outcome not in SAYS_NOTHING:
        return answer
    settled = yield from lookup.settle(frame, step, action, doubt, before)
    if settled is None:
        raise VendorTimeout(detail=f"{action.place}: looked up, and it was not done")
    return _noted(settled, answer.verdict.warnings)


def _noted(answer: Answer, warnings: tuple[str, ...]) -> Answer:
    if not warnings:
        return answer
    return replace(answer, verdict=replace(answer.verdict, warnings=(*warnings, *answer.verdict.warnings)))


# -- one step -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Step:
    """One step with a call, or with branches tried in order until one yields."""

    frame: Frame
    step: Step
    doubt: Doubt | None
    settle_only: bool
    resend: Action | None = None
    restarts: dict[str, int] = field(default_factory=dict)

    def result(self) -> Generator[Call, Reply, StepResult]:
        if self.doubt is not None:
            settled = yield from self._settled(self.doubt)
            if settled is not None:
                return settled
        while True:
            answer, action = yield from (self._round() if self.step.first else self._single())
            if answer.outcome == "restart":
                self._count_restart(answer)
            elif answer.outcome == "absent":
                return self._absent(answer)
            else:
                return self._done(answer, action)

    # -- in doubt

    def _settled(self, doubt: Doubt) -> Generator[Call, Reply, StepResult | None]:
        """The result of a write in doubt that was done; None when it may be sent (again)."""
        action, before = self._doubted(doubt)
        self.resend = action
        if action.confirm is None and action.repeat == "safe":
            if not self.frame.holds(self.step.when):
                return StepResult(value=None)  # the steps before, done again, show that there is no need
            if self.settle_only:
                raise InDoubt(doubt, None)
            return None  # twice equals once
        settled = yield from lookup.settle(self.frame, self.step, action, doubt, before)
        if settled is not None:
            return self._done(settled, action)
        if self.settle_only:
            raise NotDone(self.step.id)
        self.doubt = None
        return None

    def _doubted(self, doubt: Doubt) -> tuple[Action, tuple[Action, ...]]:
        actions = self.step.first if self.step.action is None else (self.step.action,)
        for index, action in enumerate(actions):
            if action.writes and (not self.step.first or action.name == doubt.branch):
                return action, actions[:index]
        raise InDoubt(doubt, None)  # the mapping has changed since: only a person can tell

    # -- doing it

    def _act(self, action: Action, before: tuple[Action, ...]) -> Acting:
        if action is not self.resend:
            return act(self.frame, self.step, action, before)
        return act(self.frame, self.step, action, before, doubt=self.doubt, again=True)

    def _single(self) -> Generator[Call, Reply, tuple[Answer, Action]]:
        assert self.step.action is not None
        answer = yield from self._act(self.step.action, ())
        if answer.outcome == "restart":  # only means something in a branch
            raise failure(self.frame, answer.reply, answer.verdict)
        return answer, self.step.action

    def _round(self) -> Generator[Call, Reply, tuple[Answer, Action]]:
        """The branches from the top: the first that yields or wants a restart, else `absent`."""
        warnings: tuple[str, ...] = ()
        answer: Answer | None = None
        for index, branch in enumerate(self.step.first):
            if not self.frame.holds(branch.when):
                continue
            answer = yield from self._act(branch, self.step.first[:index])
            if answer.outcome != "absent":
                return _noted(answer, warnings), branch
            warnings += answer.verdict.warnings
            answer = replace(answer, verdict=replace(answer.verdict, warnings=()))
        if answer is None:
            answer = Answer(reply=Reply(), verdict=Verdict(outcome="absent", rule="no branch holds"))
        return _noted(answer, warnings), self.step.first[-1]

    def _count_restart(self, answer: Answer) -> None:
        verdict = answer.verdict
        self.restarts[verdict.rule] = self.restarts.get(verdict.rule, 0) + 1
        if self.restarts[verdict.rule] > (verdict.limit or 1):
            raise failure(self.frame, answer.reply, verdict)

    # -- what came of it

    def _done(self, answer: Answer, action: Action) -> StepResult:
        return StepResult(
            value=answer.value,
            outcome=answer.outcome,
            warnings=shown(self.frame, answer.verdict.warnings),
            undo=self.step.undo is not None and action.writes and answer.outcome == "ok",
        )

    def _absent(self, answer: Answer) -> StepResult:
        """Not there: what a cancel wants; for everything else the end of the step."""
        if self.frame.operation is Operation.CANCEL_ENROLMENT and not self.step.optional:
            return StepResult(value={}, outcome="absent", warnings=shown(self.frame, answer.verdict.warnings))
        raise absence(self.frame, f"{self.step.place}: {answer.verdict.rule}")
