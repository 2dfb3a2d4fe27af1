"""Work the API does later: a Progress job object (not a learner's progress), done when it is next looked at.

Source: vendors/canvas.md 3.3 and 3.6, which only say that it is asynchronous; the shape is inferred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.sandbox.canvas_call import Call, Endpoint
from gateway.sandbox.canvas_errors import not_found
from gateway.sandbox.canvas_state import ROOT_ACCOUNT, Job, whole
from gateway.sandbox.canvas_wire import iso


def queued(call: Call, tag: str, work: Callable[[], None]) -> dict[str, Any]:
    job = Job(id=call.school.new_id(), tag=tag, work=work, created=call.now)
    call.school.jobs[job.id] = job
    call.journal.effect("job_queued", str(job.id))
    return _shown(call, job)


def one(call: Call) -> dict[str, Any]:
    """Asking for a queued job has it done."""
    job = call.school.jobs.get(whole(call.names["id"]))
    if job is None:
        raise not_found()
    finish(job)
    return _shown(call, job)


def finish(job: Job) -> None:
    if job.state == "queued":
        job.state = "completed"
        job.work()


def _shown(call: Call, job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "context_id": ROOT_ACCOUNT,
        "context_type": "Account",
        "tag": job.tag,
        "completion": 100.0 if job.state == "completed" else 0.0,
        "workflow_state": job.state,
        "created_at": iso(job.created),
        "message": None,
        "url": f"{call.base}/api/v1/progress/{job.id}",
    }


ENDPOINTS: dict[str, Endpoint] = {"GET /progress/:id": one}
