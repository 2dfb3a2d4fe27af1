"""The function that creates users: all of them or none, checked in Moodle's own order.

Source: vendors/moodle.md 4.3; recordings 17 to 43, 211 to 215 and the race of 4.3.
"""

from __future__ import annotations

from typing import Any

from gateway.sandbox.moodle_call import Call, Function
from gateway.sandbox.moodle_errors import invalid, write_failed
from gateway.sandbox.moodle_parameters import Many, Struct
from gateway.sandbox.moodle_state import User
from gateway.sandbox.moodle_users import EMAIL, apply, check_password, too_long, user_members

LANGUAGES = ("en",)
EXTERNAL_AUTH = ("nologin", "oauth2", "saml2", "ldap", "cas", "shibboleth", "oidc", "lti")
"""Types that need no password here."""


async def create(call: Call) -> Any:
    """The new ids with their usernames. A name that is taken between looking and writing fails the call."""
    call.need("moodle/user:create")
    everyone = call.arguments["users"]
    if call.switches.user_race == "invalidparameter":
        _rival(call, everyone)
    for place, given in enumerate(everyone):
        _check(call, given, everyone[:place])
    if call.switches.user_race == "dmlwriteexception":
        _rival(call, everyone)
    await call.window()
    if any(call.site.user_named(given["username"]) for given in everyone):
        raise write_failed()
    return [_create(call, given) for given in everyone]


def _create(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    user = _user(given, call.site.new_id("user"))
    call.site.users[user.id] = user
    call.journal.effect("user_created", str(user.id))
    return {"id": user.id, "username": user.username}


def _user(given: dict[str, Any], id: int) -> User:
    user = User(
        id=id,
        username=given["username"],
        firstname=given["firstname"],
        lastname=given["lastname"],
        email=given["email"],
    )
    apply(user, given)
    return user


def _rival(call: Call, everyone: list[dict[str, Any]]) -> None:
    """Somebody else creates these users; it is no effect of this call."""
    for given in everyone:
        if call.site.user_named(given["username"]) is None:
            user = _user(given, call.site.new_id("user"))
            call.site.users[user.id] = user


def _check(call: Call, given: dict[str, Any], earlier: list[dict[str, Any]]) -> None:
    """Raises Refused for the first thing that will not do; `earlier` are users of the same call."""
    for field in ("username", "firstname", "lastname"):
        if not given[field].strip():
            raise invalid(f"The field {field} cannot be blank")
    taken = any(each["username"] == given["username"] for each in earlier)
    if taken or call.site.user_named(given["username"]):
        raise invalid(f"Username already exists: {given['username']}")
    if given["auth"] not in call.switches.auth_types:
        raise invalid(f"Invalid authentication type: {given['auth']}")
    if given["lang"] not in LANGUAGES:
        raise invalid(f"Invalid language code: {given['lang']}")
    _check_email(call, given["email"], earlier)
    _check_password(call, given)
    if too_long(_user(given, 0)):
        raise write_failed()


def _check_email(call: Call, email: str, earlier: list[dict[str, Any]]) -> None:
    if not EMAIL.fullmatch(email):
        raise invalid(f"Email address is invalid: {email}")
    taken = any(each["email"].lower() == email.lower() for each in earlier)
    if (taken or call.site.users_with_email(email)) and not call.switches.shared_email:
        raise invalid(f"Email address already exists: {email}")


def _check_password(call: Call, given: dict[str, Any]) -> None:
    if given.get("createpassword") or given["auth"] in EXTERNAL_AUTH:
        return
    if not given.get("password"):
        raise invalid("Invalid password: you must provide a password, or set createpassword.")
    check_password(call, given["password"])


FUNCTIONS = {
    "core_user_create_users": Function(Struct({"users": Many(Struct(user_members(new=True)))}), create)
}
