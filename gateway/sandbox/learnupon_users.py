"""Endpoints about users: list, search, one, create, change. Source: vendors/learnupon.md 2 and 3.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.sandbox import learnupon_errors as say
from gateway.sandbox.learnupon_call import Call, Listed, Made
from gateway.sandbox.learnupon_errors import Refused
from gateway.sandbox.learnupon_show import CUSTOM_FIELDS
from gateway.sandbox.learnupon_state import Portal, User

EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,.]+")
PASSWORD_LENGTH = 6
TEXTS = ("first_name", "last_name", "language", "user_type")


def users(call: Call) -> Listed:
    """Everybody who can be seen; other parameters than version_id are ignored."""
    version = call.query.get("version_id", "")
    return Listed("user", [call.show.user(user, version) for user in call.portal.visible_users()])


def search(call: Call) -> Listed:
    """By e-mail, username or both, exactly; everybody when it is asked for neither.

    Raises Refused (404) for no hit, or answers with an empty list if switched so.
    """
    found = matching(call, call.query)
    if not found and not call.switches.search_miss_empty:
        raise Refused(404, say.NO_USER)
    return Listed("user", [call.show.user(user) for user in found])


def matching(call: Call, wanted: Mapping[str, Any]) -> list[User]:
    """The visible users whose email and username are those given."""
    email, username = wanted.get("email"), wanted.get("username")
    return [
        user
        for user in call.portal.visible_users()
        if email in (None, "") or same_email(user, email, exact=call.switches.email_case_sensitive)
        if username in (None, "") or user.username == username
    ]


def same_email(user: User, email: object, *, exact: bool) -> bool:
    if user.email is None or not isinstance(email, str):
        return False
    return user.email == email if exact else user.email.lower() == email.lower()


def user(call: Call) -> dict[str, Any]:
    """One user, beside the portal's custom fields under the vendor's own spelling."""
    found = call.portal.user(call.id)
    return {"customDataFieldDefintions": CUSTOM_FIELDS, "user": [call.show.user(found)]}


def create(call: Call) -> Made:
    given = call.wrapped("User")
    if given is None:
        raise Refused(404, say.BAD_USER)
    email, username = _text(given, "email"), _text(given, "username")
    _check_identity(call, email, username)
    _check_password(given, needed=call.switches.password_needed)
    limit = call.switches.user_limit
    if limit and len(call.portal.visible_users()) >= limit:
        raise Refused(400, say.USER_LIMIT)
    made = User(
        id=call.portal.new_id("user"),
        email=email,
        username=username,
        first_name=_text(given, "first_name") or "",
        last_name=_text(given, "last_name") or "",
        language=_text(given, "language") or "en",
        user_type=_text(given, "user_type") or "learner",
        enabled=given.get("enabled") not in (False, "false"),
        custom_data=_custom(given),
        created=call.now,
        updated=call.now,
    )
    call.portal.users[made.id] = made
    call.journal.effect("user_created", str(made.id))
    _enrol_by_rule(call, made)
    return Made({"id": made.id})


def _check_identity(call: Call, email: str | None, username: str | None) -> None:
    if email is None and call.switches.email_needed:
        raise Refused(400, say.EMAIL_NEEDED)
    if email is None and username is None:
        raise Refused(400, say.NO_IDENTITY)
    if email is not None and not EMAIL.fullmatch(email):
        raise Refused(400, say.BAD_EMAIL)
    if email is not None and email.lower() in map(str.lower, call.portal.realm):
        raise Refused(400, say.REALM)
    _check_free(call.portal, email, username, exact=call.switches.email_case_sensitive)


def _check_free(
    portal: Portal, email: str | None, username: str | None, *, exact: bool, own: int = 0
) -> None:
    # Invited people cannot be found, but their address is taken.
    others = [user for user in portal.users.values() if user.id != own]
    if email is not None and any(same_email(user, email, exact=exact) for user in others):
        raise Refused(400, say.EMAIL_TAKEN)
    if username is not None and any(user.username == username for user in others):
        raise Refused(400, say.USERNAME_TAKEN)


def _check_password(given: Mapping[str, Any], *, needed: bool) -> None:
    password = given.get("password")
    if password is None and not needed:
        return
    if not isinstance(password, str) or len(password) < PASSWORD_LENGTH:
        raise Refused(400, say.SHORT_PASSWORD)


def _custom(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the portal's own fields; any others are ignored."""
    data = given.get("CustomData")
    names = [str(field["label"]) for field in CUSTOM_FIELDS]
    return {name: data[name] for name in names if name in data} if isinstance(data, dict) else {}


def _enrol_by_rule(call: Call, made: User) -> None:
    for course_id in call.switches.auto_enrol:
        if course_id in call.portal.courses:
            call.portal.enrol(made.id, course_id, call.now)
            call.journal.effect("enrolled", f"{course_id},{made.id}")


def change(call: Call) -> dict[str, Any]:
    """Change the fields given; id 0 and `email` address by e-mail, `new_email` is the next address."""
    given = call.wrapped("User")
    if given is None:
        raise Refused(404, say.BAD_USER)
    found = _addressed(call, given)
    email = _text(given, "new_email") or found.email
    username = _text(given, "username") or found.username
    if email is not None and not EMAIL.fullmatch(email):
        raise Refused(400, say.BAD_EMAIL)
    exact = call.switches.email_case_sensitive
    _check_free(call.portal, email, username, exact=exact, own=found.id)
    _check_password(given, needed=False)
    found.email, found.username, found.updated = email, username, call.now
    for name in TEXTS:
        if (value := _text(given, name)) is not None:
            setattr(found, name, value)
    if "enabled" in given:
        found.enabled = given["enabled"] not in (False, "false")
    found.custom_data |= _custom(given)
    call.journal.effect("user_changed", str(found.id))
    return {"id": found.id}


def _addressed(call: Call, given: Mapping[str, Any]) -> User:
    if call.id:
        return call.portal.user(call.id)
    email = _text(given, "email")
    found = matching(call, {"email": email}) if email else []
    if not found:
        raise Refused(404, say.NO_USER)
    return found[0]


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    return value.strip() or None if isinstance(value, str) else None
