"""Endpoints about the portal itself: siteinfo, ratelimit, the timeline.

Source: vendors/talentlms.md 1.4, 2, 5.2.
"""

from typing import Any

from gateway.sandbox.talentlms_call import Call, Endpoint
from gateway.sandbox.talentlms_errors import invalid_arguments
from gateway.sandbox.talentlms_state import Event, numeric

EVENT_TYPES = (
    "course_completion",
    "course_failure",
    "course_add_user",
    "course_remove_user",
    "course_reset_user_progress",
    "user_register_user",
    "user_delete_user",
    "user_property_change",
    "group_add_user",
    "group_remove_user",
    "unitprogress_test_completion",
    "unitprogress_test_failed",
    "unitprogress_survey_completion",
    "unitprogress_assignment_answered",
    "unitprogress_assignment_graded",
    "unitprogress_ilt_graded",
    "certification_issue_certification",
    "certification_remove_certification",
    "certification_expire_certification",
)
# Which events' object_id a filter means; certifications name their course.
OBJECT_FILTERS = {
    "course_id": ("course_", "certification_"),
    "group_id": ("group_",),
    "unit_id": ("unitprogress_",),
    "branch_id": (),
}


def site_info(call: Call) -> Any:
    portal = call.portal
    return {
        "total_users": str(len(portal.present_users())),
        "total_courses": str(len(portal.courses)),
        "total_categories": "0",
        "total_groups": str(len(portal.groups)),
        "total_branches": "0",
        "monthly_active_users": "0",
        "signup_method": "direct",
        "paypal_email": "",
        "domain_map": "",
        "date_format": call.switches.date_format,
        "limits": {"max_users": "0", "max_courses": "0", "max_rate_limit": str(call.switches.hourly_limit)},
    }


def rate_limit(call: Call) -> Any:
    """The allowance; asking for it is free."""
    limit = call.switches.hourly_limit
    left = call.allowance.left(call.now, limit)
    reset = call.allowance.resets_at(call.now)
    return {
        "limit": str(limit),
        "remaining": left if call.switches.remaining_is_number else str(left),
        "reset": str(int(reset.timestamp())),
        "formatted_reset": call.show.date(reset, "%H:%M"),
    }


def timeline(call: Call) -> Any:
    """The latest 200 entries of one type, newest first, perhaps of one user or object."""
    action = call.need("event_type")
    if action not in EVENT_TYPES:
        raise invalid_arguments()
    return [call.show.event(event) for event in call.portal.timeline[action] if _wanted(call, event)]


def _wanted(call: Call, event: Event) -> bool:
    given = call.arguments
    if "user_id" in given and numeric(given["user_id"]) != event.user_id:
        return False
    return all(
        numeric(given[name]) == event.object_id and event.action.startswith(prefixes)
        for name, prefixes in OBJECT_FILTERS.items()
        if name in given
    )


ENDPOINTS = {
    "siteinfo": Endpoint("GET", site_info),
    "ratelimit": Endpoint("GET", rate_limit),
    "gettimeline": Endpoint("GET", timeline),
}
