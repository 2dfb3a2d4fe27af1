"""The site about itself, and the page that gives out tokens.

Source: vendors/moodle.md 2 and 4.1; recordings 1 and 189 of 4.3.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from gateway.sandbox.moodle_call import Call, Function
from gateway.sandbox.moodle_parameters import Struct
from gateway.sandbox.moodle_seed import SERVICE_NAME
from gateway.sandbox.moodle_show import text
from gateway.sandbox.moodle_state import SERVICE

FEATURES = (
    "usecomments",
    "usetags",
    "enablenotes",
    "messaging",
    "enableblogs",
    "enablecompletion",
    "enablebadges",
)
LOGIN_MESSAGES = {
    "missingparam": "A required parameter (username, password or service) was missing",
    "invalidlogin": "Invalid login, please try again",
    "servicenotavailable": "Web service is not available (it doesn't exist or might be disabled)",
    "sitemaintenance": "The site is undergoing maintenance and is currently not available",
}


def info(functions: Mapping[str, Any]) -> Function:
    """The function that tells release, service user and the functions of the service, `functions` at most."""

    def run(call: Call) -> Any:
        user, release = call.site.users[SERVICE], call.switches.release
        there = [name for name in functions if name not in call.switches.left_out]
        return {
            "sitename": text(call, call.site.name),
            "username": user.username,
            "firstname": user.firstname,
            "lastname": user.lastname,
            "fullname": user.fullname,
            "lang": user.lang,
            "userid": user.id,
            "siteurl": call.url,
            "userpictureurl": f"{call.url}/theme/image.php/boost/core/1/u/f1",
            "functions": [{"name": name, "version": release.number} for name in there],
            "downloadfiles": 0,
            "uploadfiles": 0,
            "release": release.release,
            "version": release.number,
            "mobilecssurl": "",
            "advancedfeatures": [{"name": name, "value": 1} for name in FEATURES],
            "usercanmanageownfiles": True,
            "userquota": 104_857_600,
            "usermaxuploadfilesize": 20_971_520,
            "userhomepage": 1,
            "userprivateaccesskey": "not-a-real-key",
            "siteid": 1,
            "sitecalendartype": "gregorian",
            "usercalendartype": "gregorian",
            "userissiteadmin": call.switches.site_admin,
            "theme": "boost",
            "limitconcurrentlogins": 0,
        }

    return Function(Struct({}), run)


def login(given: Mapping[str, Any], *, username: str, password: str, token: str) -> dict[str, Any]:
    """The token for the right name, password and service, or an error of the shape of this page only."""
    texts = [given.get(name) for name in ("username", "password", "service")]
    if not all(isinstance(each, str) and each for each in texts):
        return login_error("missingparam")
    name, secret, service = map(str, texts)
    if name != username or not hmac.compare_digest(secret.encode(), password.encode()):
        return login_error("invalidlogin")
    if service != SERVICE_NAME:
        return login_error("servicenotavailable")
    # The private token is for https only.
    return {"token": token, "privatetoken": None}


def login_error(code: str) -> dict[str, Any]:
    empty = dict.fromkeys(("stacktrace", "debuginfo", "reproductionlink"))
    return {"error": LOGIN_MESSAGES[code], "errorcode": code, **empty}
