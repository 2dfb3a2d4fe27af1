"""Functions about users who are there: finding them by a field, and updating them.

Source: vendors/moodle.md 4.3; recordings 44 to 58 and 69 to 79 of 4.3.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from gateway.sandbox.moodle_call import Call, Function
from gateway.sandbox.moodle_errors import Refused, coding, general, invalid, write_failed
from gateway.sandbox.moodle_parameters import OPTIONAL, REQUIRED, Many, Struct, Value, cleaned
from gateway.sandbox.moodle_show import user_details
from gateway.sandbox.moodle_state import ADMIN, GUEST, User

FIELD_TYPES = {"id": "int", "idnumber": "raw", "username": "username", "email": "raw"}
EMAIL = re.compile(r"[^@\s<>\"(),;]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
MAX_NAME = 100
PLAIN = ("username", "firstname", "lastname", "email", "auth", "idnumber", "city", "country", "lang")
TYPED = Struct({"type": Value("alphanumext"), "value": Value("raw")})
# Fields of a user that a stand-in keeps and hardly ever shows.
EXTRAS = {
    "maildisplay": "int",
    "timezone": "raw",
    "description": "raw",
    "firstnamephonetic": "notags",
    "lastnamephonetic": "notags",
    "middlename": "notags",
    "alternatename": "notags",
    "interests": "text",
    "institution": "notags",
    "department": "notags",
    "phone1": "notags",
    "phone2": "notags",
    "address": "notags",
    "calendartype": "plugin",
    "theme": "plugin",
    "mailformat": "int",
}
PROFILE_FIELDS = ("usi",)
"""Custom fields of this site; others are taken and forgotten."""
PASSWORD_RULES = (
    (".{8}", "Passwords must be at least 8 characters long."),
    ("[0-9]", "Passwords must have at least 1 digit(s)."),
    ("[a-z]", "Passwords must have at least 1 lower case letter(s)."),
    ("[A-Z]", "Passwords must have at least 1 upper case letter(s)."),
    (
        "[^0-9A-Za-z]",
        "The password must have at least 1 special character(s) such as *, -, or #.",
    ),
)


def by_field(call: Call) -> Any:
    """Users whose field is one of these; nobody is an empty list.

    Who does not show the field is left out without a word.
    """
    field, values = call.arguments["field"], call.arguments["values"]
    if field not in FIELD_TYPES:
        raise coding("invalid field parameter", f"The search field '{field}' is not supported")
    for value in values:
        if cleaned(FIELD_TYPES[field], value, call.rules) != value:
            raise invalid(f"The value of {field} will not do: {value}")
    if call.lacks("moodle/user:viewdetails"):
        return []
    found = [user for user in call.site.users.values() if _has(call, user, field, values)]
    shown = [user_details(call, user) for user in sorted(found, key=lambda u: u.id)]
    return [each for each in shown if each.get(field)]


def _has(call: Call, user: User, field: str, values: list[str]) -> bool:
    if field == "email" and not call.switches.email_search_exact:
        return user.email.lower() in [value.lower() for value in values]
    return str(getattr(user, field)) in values


def update(call: Call) -> Any:
    """Change users one by one; what cannot be done is a warning of an answer that is no error.

    Releases without warnings pass over such users in silence [I].
    """
    call.need("moodle/user:update")
    warnings: list[dict[str, Any]] = []
    for given in call.arguments["users"]:
        try:
            _update(call, given)
        except Refused as refusal:
            problem = {"warningcode": refusal.code, "message": refusal.message}
            warnings.append({"item": "user", "itemid": given["id"], **problem})
    return {"warnings": warnings} if call.switches.release.warns else None


def _update(call: Call, given: dict[str, Any]) -> None:
    user = call.site.users.get(given["id"])
    if user is None:
        raise general("invaliduserid", "Invalid user ID")
    if user.id == ADMIN and not call.switches.site_admin:
        raise general("usernotupdatedadmin", "Cannot update admin accounts")
    if user.deleted:
        raise general("usernotupdateddeleted", "Cannot update a deleted user")
    if user.id == GUEST:
        raise general("usernotupdatedguest", "Cannot update the guest user")
    if "email" in given:
        _check_email(call, given["email"], user)
    if given.get("password"):
        check_password(call, given["password"])
    changed = copy.deepcopy(user)
    apply(changed, given)
    same = call.site.user_named(changed.username)
    if (same is not None and same.id != user.id) or too_long(changed):
        raise write_failed()
    _keep(call, user, changed, password=bool(given.get("password")))


def _keep(call: Call, user: User, changed: User, *, password: bool) -> None:
    was_suspended, now_suspended = user.suspended, changed.suspended
    changed.suspended = was_suspended
    if changed != user or password:
        call.journal.effect("user_updated", str(user.id))
    changed.suspended = now_suspended
    if was_suspended != now_suspended:
        call.journal.effect("user_suspended" if now_suspended else "user_unsuspended", str(user.id))
    call.site.users[user.id] = changed


def _check_email(call: Call, email: str, user: User) -> None:
    if not EMAIL.fullmatch(email):
        raise general("useremailinvalid", "error/useremailinvalid")
    others = [each for each in call.site.users_with_email(email) if each.id != user.id]
    if others and not call.switches.shared_email:
        raise general("useremailduplicate", "Duplicate address")


def check_password(call: Call, password: str) -> None:
    """Raises Refused when the policy wants more; then the code of the error is the advice itself, in HTML."""
    missing = [words for pattern, words in PASSWORD_RULES if not re.search(pattern, password, re.DOTALL)]
    if call.switches.password_policy and missing:
        advice = "".join(f"<div>{words}</div>" for words in missing)
        raise general(advice, f"error/{advice}")


def too_long(user: User) -> bool:
    return any(len(text) > MAX_NAME for text in (user.username, user.firstname, user.lastname, user.email))


def apply(user: User, given: dict[str, Any]) -> None:
    """Put given fields into a user."""
    for name in PLAIN:
        if name in given:
            setattr(user, name, given[name])
    user.extras |= {name: str(given[name]) for name in EXTRAS if name in given}
    user.suspended = given.get("suspended", user.suspended)
    for each in given.get("customfields", []):
        if each["type"] in PROFILE_FIELDS:
            user.custom[each["type"]] = each["value"]


def user_members(*, new: bool) -> dict[str, Any]:
    """The members of a user that is created, or updated."""
    needed = REQUIRED if new else OPTIONAL
    members: dict[str, Any] = {
        "username": Value("username", needed),
        "firstname": Value("notags", needed),
        "lastname": Value("notags", needed),
        "email": Value("trimmed", needed),
        "auth": Value("plugin", "manual" if new else OPTIONAL),
        "password": Value("raw", OPTIONAL),
        "lang": Value("safedir", "en" if new else OPTIONAL),
        "idnumber": Value("raw", OPTIONAL),
        "city": Value("notags", OPTIONAL),
        "country": Value("alpha", OPTIONAL),
        "customfields": Many(TYPED, OPTIONAL),
        "preferences": Many(TYPED, OPTIONAL),
    }
    members |= {name: Value(type, OPTIONAL) for name, type in EXTRAS.items()}
    if new:
        return {"createpassword": Value("bool", OPTIONAL), **members}
    return {"id": Value("int"), **members, "suspended": Value("bool", OPTIONAL)}


FUNCTIONS = {
    "core_user_get_users_by_field": Function(
        Struct({"field": Value("alpha"), "values": Many(Value("raw"))}), by_field
    ),
    "core_user_update_users": Function(Struct({"users": Many(Struct(user_members(new=False)))}), update),
}
