"""Rows of `GET /modules` as they are since the ILT Center: a live module has one for every session.

Rows come in no order of time, and what is empty is "" in some places and null in others.
Source: vendors/learnupon.md 4.1.
"""

from __future__ import annotations

from typing import Any

from gateway.sandbox.learnupon_show import utc
from gateway.sandbox.learnupon_state import LIVE, Module, Session

Record = dict[str, Any]
CREATOR = {
    "creator_id": 5500,
    "creator_first_name": "Ada",
    "creator_last_name": "Portal",
    "creator_email": "ada.portal@example.edu.au",
}


def rows(module: Module, linked: int, session_keys: str) -> list[Record]:
    """The rows of one module, which `linked` courses have."""
    if module.type == LIVE:
        return [_live(module, session, linked) for session in module.sessions]
    keys = {"training_id": None, "session_id": None}
    # Mixed: one kind of row in each half of the ids, so that a client meets both.
    absent = session_keys == "absent" or (session_keys == "mixed" and module.id % 2 == 1)
    return [_plain(module, linked) | ({} if absent else keys)]


def _plain(module: Module, linked: int) -> Record:
    return {
        "id": module.id,
        "title": module.title,
        "component_type": module.type,
        "number_of_linked_courses": linked,
        "tags": "",
        "created_at": utc(module.created),
        "updated_at": utc(module.created),
        "exam_id": module.id + 9000 if module.type == "exam" else None,
        **CREATOR,
        "assignment_passing_percentage": "80.0" if module.type == "assignment" else "",
        "description_html": "",
        "description_text": None,
        "assignment_question_html": None,
        "assignment_question_text": "",
    }


def _live(module: Module, session: Session, linked: int) -> Record:
    tutor_id, first, last = session.tutor or (None, "", "")
    center = module.training is not None
    described, question = (f"About {module.title}", "") if center else (None, f"About {module.title}")
    return _plain(module, linked) | {
        "training_id": module.training,
        "session_id": session.id if center else None,
        "created_at": utc(session.created),
        "updated_at": utc(session.created),
        "description_html": f"<p>{described}</p>" if described else None,
        "description_text": described,
        "assignment_question_html": f"<p>{question}</p>" if question else "",
        "assignment_question_text": question,
        "location": "",
        "location_id": -1 if center else None,
        "address_1": "",
        "address_2": None if center else "",
        "address_3": "",
        "location_country_code": "",
        "location_state_code": None,
        "start_at": utc(session.starts),
        "end_at": utc(session.ends),
        "timezone": session.timezone,
        "number_enrolled_on_session": session.taken,
        "max_capacity": session.seats,
        "session_tutor_id": tutor_id,
        "tutor_first_name": first,
        "tutor_last_name": last,
        "tutor_email": f"{first}.{last}@example.edu.au".lower() if tutor_id else "",
    }
