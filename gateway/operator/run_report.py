"""One run as an operator reads it: what happened, step by step, and what to do about it.

Nothing personal is in it: the student is an id, and exchanges were masked before they were stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from gateway.store import runs, steps, traces
from gateway.store.runs import Run
from gateway.store.steps import Step
from gateway.store.traces import Traced


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A run with its steps and its exchanges, in order."""

    run: Run
    steps: tuple[Step, ...]
    exchanges: tuple[Traced, ...]

    @property
    def in_doubt(self) -> Step | None:
        """The step whose outcome nobody knows."""
        return next((step for step in self.steps if step.state == "started"), None)

    def state(self, now: float) -> str:
        """One word for the state; a running one whose gateway is gone is `left`."""
        run = self.run
        gone = run.state == "running" and (run.lease_until is None or run.lease_until <= now)
        return "left" if gone else run.state

    def advice(self, now: float) -> str:
        """What to do, in a sentence or two."""
        run = self.run
        match self.state(now):
            case "running":
                return "A gateway is at work on it. Look again in a minute."
            case "left":
                return "Its gateway stopped. A running gateway takes it up within a few seconds."
            case "in_doubt" if run.due_at is not None:
                return f"Nothing: the gateway looks it up again at {stamp(run.due_at)}."
            case "in_doubt":
                return (
                    f"Look in the LMS whether {run.operation} was done, then run "
                    f"`lms-gateway runs settle {run.id} --done` or `--not-done`."
                )
            case "failed":
                return "Nothing is left over. Repeat the action in RTOPilot once the cause is put right."
            case _:
                return _advice_when_done(run)

    def as_json(self, now: float) -> dict[str, Any]:
        """Everything an operator may see, as JSON-like data."""
        run = self.run
        return {
            "run": run.id,
            "tenant": run.tenant,
            "operation": run.operation,
            "state": self.state(now),
            "student": run.student_id,
            "enrolment": run.enrolment_id or _asked_about(run),
            "error": run.error,
            "tries": run.tries,
            "created": stamp(run.created_at),
            "finished": stamp(run.finished_at),
            "mapping_hash": run.mapping_hash,
            "todo": self.advice(now),
            "steps": [_step(step) for step in self.steps],
            "exchanges": [_exchange(each) for each in self.exchanges],
        }

    def bundle(self, now: float) -> dict[str, Any]:
        """What a vendor's support desk may have: no ids of people, no texts of ours."""
        shown = self.as_json(now)
        error = self.run.error if isinstance(self.run.error, Mapping) else {}
        for name in ("student", "todo", "tenant"):
            del shown[name]
        return {**shown, "error": error.get("code")}


def load(conn: Connection, run_id: str) -> RunReport | None:
    """The run of this reference, or None."""
    run = runs.get(conn, run_id)
    if run is None:
        return None
    return RunReport(
        run=run,
        steps=tuple(steps.steps_of(conn, run_id)),
        exchanges=tuple(traces.by_reference(conn, run_id)),
    )


def stamp(at: float | None) -> str | None:
    """Unix seconds as `2026-11-21 11:40:05Z`."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def request_line(exchange: Mapping[str, Any]) -> str:
    """The masked request and what came of it: `GET https://… -> 200 ok`."""
    status = exchange.get("status") or exchange.get("lost") or "no answer"
    outcome = exchange.get("outcome") or ""
    return f"{exchange.get('request')} -> {status} {outcome}".rstrip()


def _advice_when_done(run: Run) -> str:
    unheard = run.told_error_at is not None and (run.repeated_at or 0.0) < run.told_error_at
    if unheard:
        return (
            "RTOPilot was told an error, although it was done. Repeat the action there: it gets this result."
        )
    return "Nothing."


def _asked_about(run: Run) -> str | None:
    return run.input.get("enrolmentId") if isinstance(run.input, Mapping) else None


def _step(step: Step) -> dict[str, Any]:
    state = "in doubt" if step.state == "started" else step.state
    return {"name": step.name, "state": state, "left": stamp(step.left_at), "warnings": step.warnings}


def _exchange(traced: Traced) -> dict[str, Any]:
    return {"at": stamp(traced.at), **traced.exchange}
