"""Learners of the bench's vendor who move on, as three LMSs tell it: TalentLMS, Learning Assistant, Hooked.

Everybody in the lists stands at one value, which `/_percent/41` sets; one Hooked enrolment is a per cent
further each time it is read, as an event about it says that it has moved on. `/_anew` forgets all that.
Source of the shapes: vendors/talentlms.md 3, vendors/learning-assistant.md, gateway/sandbox/hooked.py.
"""

from __future__ import annotations

from collections import Counter

COURSES = 40
FIRST_USER = 1000
UNITS = 6


def users_of(course: int, learners: int) -> list[int]:
    """Who is in a course (1..40): every fortieth user."""
    return [FIRST_USER + course - 1 + COURSES * number for number in range(learners)]


class Learners:
    """`per_course` learners are in each course, once `/_learners/25` has been asked for."""

    def __init__(self) -> None:
        self.per_course = 0
        self.percent = 40
        self._reads: Counter[str] = Counter()

    def course_users(self, course: int) -> list[dict[str, object]]:
        return [self._user(number) for number in users_of(course, self.per_course)]

    def _user(self, number: int) -> dict[str, object]:
        return {
            "id": str(number),
            "name": "M. Tan",
            "role": "learner",
            "enrolled_on": "02/03/2026, 09:16:00",
            "enrolled_on_timestamp": "1772414160",
            "completed_on": "",
            "completed_on_timestamp": None,
            "completion_percentage": str(self.percent),
            "expired_on": "",
            "expired_on_timestamp": None,
            "total_time": "7m 31s",
        }

    def hooked(self, enrolment: str) -> dict[str, object]:
        """One enrolment of Hooked LMS."""
        self._reads[enrolment] += 1
        modules = [
            {"id": str(each), "name": f"Part {each}", "completed_at": None} for each in range(1, UNITS + 1)
        ]
        percent = min(self._reads[enrolment], 98)
        return {"id": enrolment, "percent": percent, "completed_at": None, "modules": modules}

    def soap(self, target: str) -> bytes:
        """A reply of Learning Assistant: to a login, or of one learner's progress."""
        if target.endswith("/authenticate.cfc"):
            answer = (
                '<AuthenticateResponse xmlns="https://api.learningassistant.com">'
                '<AuthenticateReturn xsi:type="xsd:string">YES</AuthenticateReturn></AuthenticateResponse>'
            )
            return _ENVELOPE.format(namespace="https://api.learningassistant.com", body=answer).encode()
        units = "".join(_UNIT.format(number=number) for number in range(UNITS))
        answer = _PROGRESS.format(percent=self.percent, units=units)
        return _ENVELOPE.format(namespace="http://api.learningassistant.com", body=answer).encode()


_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Header><authToken xmlns="{namespace}" '
    'loggedin="YES"><id type="xsd:string">40721</id>'
    '<uuid type="xsd:string">00000001-5A4D-4B0C-8000000000000000</uuid></authToken></soapenv:Header>'
    "<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
)
_PROGRESS = (
    '<ns2:GetProgressResponse xmlns:ns2="https://api.learningassistant.com">'
    '<GetProgressReturn xmlns:ns3="http://user.types.soap.webservices" xsi:type="ns3:Type_progress">'
    '<PercentComplete xsi:type="xsd:double">{percent}.0</PercentComplete>'
    '<Units soapenc:arrayType="ns3:Type_progressUnit[0]" xsi:type="soapenc:Array">{units}</Units>'
    "</GetProgressReturn></ns2:GetProgressResponse>"
)
_UNIT = (
    '<Units xsi:type="ns3:Type_progressUnit"><PercentComplete xsi:type="xsd:double">100.0</PercentComplete>'
    '<UnitName xsi:type="xsd:string">TSTABC30{number} Serve customers</UnitName>'
    '<UnitUUID xsi:type="xsd:string">A17C0E52-6B3D-4F81-92E5D084C7B6F13{number}</UnitUUID></Units>'
)
