"""Endpoints about users: find, sign up, edit, set status, custom fields.

Source: vendors/talentlms.md 1.3, 2, 3.1.
"""

import html
import re
from typing import Any

from gateway.sandbox import talentlms_errors as say
from gateway.sandbox.talentlms_call import Call, Endpoint
from gateway.sandbox.talentlms_errors import Refused, invalid_arguments
from gateway.sandbox.talentlms_groups import join
from gateway.sandbox.talentlms_state import User, numeric

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
STRONG = (re.compile("[A-Z]"), re.compile("[a-z]"), re.compile("[0-9]"), re.compile(".{8}", re.DOTALL))
TEXTS = ("first_name", "last_name", "timezone", "language", "bio", "user_type")


def users(call: Call) -> Any:
    """All users, a page of them, or one by id, email or username."""
    given = call.arguments
    if "id" in given:
        return call.show.full_user(call.user_numbered(given["id"]))
    if "email" in given:
        exact = call.switches.email_case_sensitive
        return _found(call, call.portal.user_with_email(given["email"], exact=exact))
    if "username" in given:
        return _found(call, call.portal.user_with_login(given["username"]))
    if set(given) - {"page_size", "page_number"}:
        raise invalid_arguments()
    return [call.show.user(user) for user in _page(call)]


def _found(call: Call, user: User | None) -> Any:
    if user is None:
        raise Refused(404, say.NO_SUCH_USER)
    return call.show.full_user(user)


def _page(call: Call) -> list[User]:
    everyone = call.portal.present_users()
    if "page_size" not in call.arguments:
        return everyone
    size = numeric(call.need("page_size"))
    number = numeric(call.arguments.get("page_number", "1"))
    if size < 1 or number < 1:
        raise invalid_arguments()
    return everyone[size * (number - 1) : size * number]


def sign_up(call: Call) -> Any:
    """usersignup: a new user; without lists in the answer."""
    first, last, login = call.need("first_name"), call.need("last_name"), call.need("login")
    email = _email_to_sign_up(call)
    _check_password(call, call.need("password"))
    _check_clash(call, email=email, login=login)
    fields = _custom_fields(call)
    if any(not fields.get(key, "").strip() for key in call.switches.mandatory_fields):
        raise invalid_arguments()
    restricted = call.choice("restrict_email", ("on", "off"), "off") == "on"
    group = call.portal.group(numeric(call.need("group_id"))) if call.arguments.get("group_id") else None
    kept = _with_entities if call.switches.names_escaped else str
    user = User(
        id=call.portal.new_id(),
        login=login,
        first_name=kept(first),
        last_name=kept(last),
        email=email,
        created=call.now,
        updated=call.now,
        restrict_email=restricted,
        user_type=call.arguments.get("user_type") or "Learner-Type",
        language=call.arguments.get("language") or "English",
        custom_fields=fields,
    )
    call.portal.users[user.id] = user
    call.journal.effect("user_registered", str(user.id))
    call.portal.happened("user_register_user", call.now, user, user.id, login)
    if group is not None:
        join(call, user, group)
    answer = call.show.user(user)
    return answer | {"id": user.id} if call.switches.signup_id_is_number else answer


def _with_entities(text: str) -> str:
    # Python writes an apostrophe in hexadecimal, PHP in decimal.
    return html.escape(text).replace("&#x27;", "&#039;")


def _email_to_sign_up(call: Call) -> str:
    if call.switches.blank_email_allowed and not call.arguments.get("email", "").strip():
        return ""
    return _valid_email(call.need("email"))


def _valid_email(email: str) -> str:
    if not EMAIL.fullmatch(email):
        raise Refused(400, say.BAD_EMAIL.format(value=email))
    return email


def _check_password(call: Call, password: str) -> None:
    if call.switches.password_rule and not all(rule.search(password) for rule in STRONG):
        raise Refused(call.switches.signup_clash_status, say.WEAK_PASSWORD)


def _check_clash(call: Call, *, email: str, login: str, own_id: int | None = None) -> None:
    status = call.switches.signup_clash_status
    same_email = call.portal.user_with_email(email, exact=call.switches.email_case_sensitive)
    if same_email is not None and same_email.id != own_id:
        raise Refused(status, say.EMAIL_TAKEN)
    same_login = call.portal.user_with_login(login)
    if same_login is not None and same_login.id != own_id:
        raise Refused(status, say.LOGIN_TAKEN)


def _custom_fields(call: Call) -> dict[str, str]:
    keys = [field.key for field in call.portal.custom_fields]
    return {key: call.arguments[key] for key in keys if key in call.arguments}


def edit(call: Call) -> Any:
    """edituser: the fields given are changed; the user without lists."""
    user = call.user()
    given = call.arguments
    email = _valid_email(given["email"]) if given.get("email") else user.email
    login = given.get("login") or user.login
    _check_clash(call, email=email, login=login, own_id=user.id)
    if given.get("password"):
        _check_password(call, given["password"])
    if given.get("deactivation_date") and not user.active:
        raise invalid_arguments()
    user.restrict_email = call.choice("restrict_email", ("on", "off"), _on_off(user.restrict_email)) == "on"
    user.email, user.login, user.updated = email, login, call.now
    user.deactivation_date = given.get("deactivation_date", user.deactivation_date)
    for name in TEXTS:
        if name in given:
            setattr(user, name, given[name])
    user.custom_fields |= _custom_fields(call)
    call.journal.effect("user_edited", str(user.id))
    call.portal.happened("user_property_change", call.now, user, user.id, user.login)
    return call.show.user(user)


def _on_off(value: bool) -> str:
    return "on" if value else "off"


def set_status(call: Call) -> Any:
    """usersetstatus: a GET that writes."""
    user = call.user()
    call.need("status")
    status = call.choice("status", ("active", "inactive"), "")
    if user.active is not (status == "active"):
        user.active = status == "active"
        user.updated = call.now
        call.journal.effect("user_status_set", f"{user.id},{status}")
    return {"user_id": str(user.id), "status": status}


def custom_fields(call: Call) -> Any:
    fields = call.portal.custom_fields
    return [call.show.custom_field(field, order) for order, field in enumerate(fields, 1)]


ENDPOINTS = {
    "users": Endpoint("GET", users),
    "usersignup": Endpoint("POST", sign_up),
    "edituser": Endpoint("POST", edit),
    "usersetstatus": Endpoint("GET", set_status),
    "getcustomregistrationfields": Endpoint("GET", custom_fields),
}
