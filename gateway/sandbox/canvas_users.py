"""Users: find, list, create, rename. Source: vendors/canvas.md 3.2 and 1.3."""

from __future__ import annotations

from typing import Any

from gateway.sandbox import canvas_errors as say
from gateway.sandbox.canvas_call import Call, Endpoint, same_login
from gateway.sandbox.canvas_courses import search_term
from gateway.sandbox.canvas_errors import forbidden, invalid, invalid_login
from gateway.sandbox.canvas_pages import Listed
from gateway.sandbox.canvas_state import User, whole


def one(call: Call) -> dict[str, Any]:
    user = call.user(call.names["id"])
    call.may(call.switches.may_manage_users or user.id == call.school.admin_id)
    return call.show.user(user)


def of_account(call: Call) -> Listed:
    """Everybody, or those whose name, login, SIS id or e-mail has the term in it."""
    call.account()
    call.may(call.switches.may_manage_users)
    term = search_term(call)
    found = [user for user in call.school.present_users() if term is None or _matches(call, user, term)]
    return Listed([((user.sortable_name.casefold(), user.id), call.show.user(user)) for user in found])


def _matches(call: Call, user: User, term: str) -> bool:
    sis_id = user.sis_user_id if call.switches.sis_rights != "none" else None
    texts = (user.name, user.login, sis_id or "", user.email or "")
    return any(term in text.casefold() for text in texts) or whole(term) == user.id


def create(call: Call) -> dict[str, Any]:
    """A new user with one login; the login is required, an e-mail is not [I]."""
    account, params = call.account(), call.params
    call.may(call.switches.may_manage_users)
    login, sis_id = params.text("pseudonym", "unique_id"), _sis_id(call)
    if login is None:
        raise invalid_login("unique_id", "blank", say.BLANK)
    back = _deleted_before(call, sis_id)
    _check_clash(call, login, sis_id)
    name = params.text("user", "name") or login
    user = User(
        id=call.school.new_id() if back is None else back.id,
        name=name,
        short_name=params.text("user", "short_name") or name,
        sortable_name=params.text("user", "sortable_name") or _last_name_first(name),
        login=login,
        sis_user_id=sis_id,
        integration_id=params.text("pseudonym", "integration_id"),
        email=params.text("communication_channel", "address"),
        created=call.now if back is None else back.created,
        account_id=account.parent_id or account.id,
    )
    call.school.users[user.id] = user
    call.journal.effect("user_created" if back is None else "user_reactivated", str(user.id))
    return call.show.user(user)


def _sis_id(call: Call) -> str | None:
    """The SIS id that is to be set; without the right it is left aside, or refused."""
    sis_id = call.params.text("pseudonym", "sis_user_id")
    if sis_id is None or call.switches.sis_rights == "manage":
        return sis_id
    if call.switches.sis_without_right == "refused":
        raise forbidden(call.switches.forbidden_status)
    return None


def _deleted_before(call: Call, sis_id: str | None) -> User | None:
    if sis_id is None or not call.params.truth("enable_sis_reactivation"):
        return None
    gone = (user for user in call.school.users.values() if user.deleted and user.sis_user_id == sis_id)
    return next(gone, None)


def _check_clash(call: Call, login: str, sis_id: str | None) -> None:
    exact = call.switches.login_case_sensitive
    if any(same_login(user.login, login, exact=exact) for user in call.school.present_users()):
        raise invalid_login("unique_id", "taken", say.LOGIN_TAKEN)
    if sis_id is not None and any(user.sis_user_id == sis_id for user in call.school.present_users()):
        raise invalid_login("sis_user_id", "taken", say.SIS_ID_TAKEN.format(sis_id=sis_id))


def _last_name_first(name: str) -> str:
    first, _, last = name.rpartition(" ")
    return f"{last}, {first}" if first else name


def change(call: Call) -> dict[str, Any]:
    """The names that are given are changed; a name given as blank is refused."""
    user = call.user(call.names["id"])
    call.may(call.switches.may_manage_users)
    if "name" in call.params.inner("user") and call.params.text("user", "name") is None:
        raise invalid("name", "blank", say.BLANK, bare=call.switches.model_errors_bare)
    before = (user.name, user.short_name, user.sortable_name)
    user.name = call.params.text("user", "name") or user.name
    user.short_name = call.params.text("user", "short_name") or user.short_name
    user.sortable_name = call.params.text("user", "sortable_name") or (
        user.sortable_name if user.name == before[0] else _last_name_first(user.name)
    )
    if (user.name, user.short_name, user.sortable_name) != before:
        call.journal.effect("user_changed", str(user.id))
    return call.show.user(user)


ENDPOINTS: dict[str, Endpoint] = {
    "GET /users/:id": one,
    "GET /accounts/:account_id/users": of_account,
    "POST /accounts/:account_id/users": create,
    "PUT /users/:id": change,
}
