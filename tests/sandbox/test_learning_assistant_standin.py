"""The Learning Assistant stand-in against requests written by hand from vendors/learning-assistant.md."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from lxml import etree

from gateway.sandbox.control import Clock, StandIn
from gateway.sandbox.faults import AnswerLost, Fault
from gateway.sandbox.learning_assistant import create_learning_assistant, main
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches as Switches

COMPANY = "7F30B1C9-0D84-4E2A-B5516CE90A3D1F48"
ASSESSOR = "11A0D6F2-5B3E-4C77-82E9F4410B6C9D05"
VERIFIER = "93C4E815-A2D0-4F6B-BD0877E15A2C4039"
THIRD = "C50B72E4-1F9A-4D83-A6E2390D7B14F85C"
COURSE = "E2A94C08-77F1-4D63-90BD1C5568AE3F12"
NO_QAN_COURSE = "6FA2C81D-953E-4B70-87D4E0B3196C5F2A"
CANDIDATE = "5D1E0A77-3C42-4B19-A6F0D2984471BB06"
UNITS = ("A17C0E52-6B3D-4F81-92E5D084C7B6F130", "B28D1F63-7C4E-4092-A3F6E195D8C70241")

SOAP_NS = "{http://schemas.xmlsoap.org/soap/envelope/}"
XSI_NS = "{http://www.w3.org/2001/XMLSchema-instance}"
WSDL_NS = "{http://schemas.xmlsoap.org/wsdl/}"
BAD_TOKEN = ("40721", "0B7C2E54-91AD-4F0E-8D3316A2C5F7E901")

# 3.1
AUTHENTICATE = """\
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
                  xmlns:xsd="http://www.w3.org/2001/XMLSchema"
                  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <soapenv:Body>
    <Authenticate xmlns="https://api.learningassistant.com">
      <szUsername>ws-demo-college</szUsername>
      <szPassword>not-a-real-secret</szPassword>
    </Authenticate>
  </soapenv:Body>
</soapenv:Envelope>"""

# 4: parameters unqualified, header in the http namespace
USER_CALL = """\
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
                  xmlns:xsd="http://www.w3.org/2001/XMLSchema"
                  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <soapenv:Header>
    <authToken xmlns="{header_ns}" xmlns:ns1="{header_ns}"
               loggedin="YES" soapenv:actor="" soapenv:mustUnderstand="0">
      <id type="xsd:string">{id}</id>
      <uuid type="xsd:string">{uuid}</uuid>
    </authToken>
  </soapenv:Header>
  <soapenv:Body>
    <ns1:{method} xmlns:ns1="https://api.learningassistant.com"
                       soapenv:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">{parameters}</ns1:{method}>
  </soapenv:Body>
</soapenv:Envelope>"""
FILTER = """
      <CourseQAN xsi:type="xsd:string">{qan}</CourseQAN>
      <blnActive xsi:type="xsd:boolean">{active}</blnActive>
      <blnCompleted xsi:type="xsd:boolean">{completed}</blnCompleted>
      <blnTest xsi:type="xsd:boolean">{test}</blnTest>
    """
PROGRESS_OF = """
      <CandidateUUID xsi:type="xsd:string">{candidate}</CandidateUUID>
      <CourseUUID xsi:type="xsd:string">{course}</CourseUUID>
    """

# 5.4
OPEN = """\
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
               xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"
               xmlns:tns="https://api.learningassistant.com"
               xmlns:types="https://api.learningassistant.com/encodedTypes"
               xmlns:xsd="http://www.w3.org/2001/XMLSchema"
               xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <soap:Header>
    <tns:authToken id="h_id1">
      <id xsi:type="xsd:string">{id}</id>
      <uuid xsi:type="xsd:string">{uuid}</uuid>
    </tns:authToken>
  </soap:Header>
"""
ENROL = (
    OPEN
    + """\
  <soap:Body soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
    <tns:GroupEnrolment>
      <User href="#id1"/>
      <blnAssignEvaluationOnEnroll xsi:type="xsd:boolean">false</blnAssignEvaluationOnEnroll>
      <blnSendLoginDetailsOnEnroll xsi:type="xsd:boolean">false</blnSendLoginDetailsOnEnroll>
    </tns:GroupEnrolment>
    <q1:Type_enrolmentUser xmlns:q1="http://enrolment.types.soap.webservices"
                           id="id1" xsi:type="q1:Type_enrolmentUser">
      <CompanyUUID xsi:type="xsd:string">7F30B1C9-0D84-4E2A-B5516CE90A3D1F48</CompanyUUID>
      <Course href="#id3"/>
      <EmailAddress xsi:type="xsd:string">stu-2002@learners.example</EmailAddress>
      <Forename xsi:type="xsd:string">Kim</Forename>
      <SourceSystemLearnerUUID xsi:type="xsd:string">stu-2002</SourceSystemLearnerUUID>
      <Surname xsi:type="xsd:string">Example</Surname>
    </q1:Type_enrolmentUser>
    <q2:Type_enrolmentCourse xmlns:q2="http://enrolment.types.soap.webservices"
                             id="id3" xsi:type="q2:Type_enrolmentCourse">
      <CourseUUID xsi:type="xsd:string">E2A94C08-77F1-4D63-90BD1C5568AE3F12</CourseUUID>
      <PrimaryAssessorUUID xsi:type="xsd:string">11A0D6F2-5B3E-4C77-82E9F4410B6C9D05</PrimaryAssessorUUID>
      <PrimaryVerifierUUID xsi:type="xsd:string">93C4E815-A2D0-4F6B-BD0877E15A2C4039</PrimaryVerifierUUID>
    </q2:Type_enrolmentCourse>
  </soap:Body>
</soap:Envelope>"""
)
UPDATE = (
    OPEN
    + """\
  <soap:Body soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
    <tns:UpdateEnrolment>
      <User href="#id1"/>
    </tns:UpdateEnrolment>
    <q1:Type_enrolmentUserUpdate xmlns:q1="http://enrolment.types.soap.webservices"
                           id="id1" xsi:type="q1:Type_enrolmentUserUpdate">
      {accessors}
    </q1:Type_enrolmentUserUpdate>
  </soap:Body>
</soap:Envelope>"""
)
SEEDED = (
    f'<CandidateUUID xsi:type="xsd:string">{CANDIDATE}</CandidateUUID>'
    f'<CourseUUID xsi:type="xsd:string">{COURSE}</CourseUUID>'
)

# The vendor's own page G: xmlns:xsi twice, with two values.
VENDORS_OWN_SAMPLE = """\
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
               xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"
               xmlns:tns="https://api.learningassistant.com"
               xmlns:types="https://api.learningassistant.com/encodedTypes"
               xmlns:xsi="http://www.w3.org/2001/XMLSchema"
               xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <soap:Header>
    <tns:authToken id="h_id1">
      <id xsi:type="xsi:string"> string </id>
      <uuid xsi:type="xsi:string"> string </uuid>
    </tns:authToken>
  </soap:Header>
  <soap:Body soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
    <tns:GroupEnrolment>
      <User href="#id1"/>
      <blnAssignEvaluationOnEnroll xsi:type="xsi:boolean"> boolean </blnAssignEvaluationOnEnroll>
      <blnSendLoginDetailsOnEnroll xsi:type="xsi:boolean"> boolean </blnSendLoginDetailsOnEnroll>
    </tns:GroupEnrolment>
    <q1:Type_enrolmentUser id="id1" xsi:type="q1:Type_enrolmentUser"
                           xmlns:q1="http://enrolment.types.soap.webservices">
      <Address href="#id2"/>
      <AwardingBodyRegistrationNo xsi:type="xsi:string"> string </AwardingBodyRegistrationNo>
    </q1:Type_enrolmentUser>
  </soap:Body>
</soap:Envelope>"""


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Reply:
    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.content_type = response.headers["content-type"]
        self.raw = response.text
        self.xml = etree.fromstring(response.content)

    def all(self, name: str) -> list[str | None]:
        """Texts of every element of this local name, trimmed, in document order; None for nil."""
        found = self.xml.iterfind(f".//{{*}}{name}")
        return [None if each.get(f"{XSI_NS}nil") else (each.text or "").strip() for each in found]

    def one(self, name: str) -> str | None:
        (only,) = self.all(name)
        return only

    def messages(self) -> list[str]:
        return [(each.text or "").strip() for each in self.xml.findall(".//{*}MessageList/{*}MessageList")]

    def header(self) -> etree._Element:
        (only,) = self.xml.findall(f"{SOAP_NS}Header/{{*}}authToken")
        return only

    def token(self) -> tuple[str, str]:
        return self.header().findtext("{*}id") or "", self.header().findtext("{*}uuid") or ""

    def fault(self) -> str:
        assert self.status == 500, self.raw
        return f"{self.one('faultcode')} {self.one('faultstring')}"


class Vendor:
    """The stand-in with one open session, called in process."""

    def __init__(self, **switches: object) -> None:
        self.clock = Clock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
        self.stand_in: StandIn = create_learning_assistant(Switches(**switches), clock=self.clock)  # type: ignore[arg-type]
        self.token = BAD_TOKEN

    async def raw(self, method: str, path: str, **request: object) -> httpx.Response:
        transport = httpx.ASGITransport(self.stand_in)
        async with httpx.AsyncClient(transport=transport, base_url="http://la.test") as client:
            return await client.request(method, path, **request)  # type: ignore[arg-type]

    async def post(self, file: str, xml: str, headers: dict[str, str] | None = None) -> Reply:
        headers = (
            {"content-type": "text/xml; charset=utf-8", "soapaction": '""'} if headers is None else headers
        )
        return Reply(
            await self.raw("POST", f"/webservices/soap/{file}", content=xml.encode(), headers=headers)
        )

    async def log_in(self, password: str = "not-a-real-secret") -> Reply:
        reply = await self.post("authenticate.cfc", AUTHENTICATE.replace("not-a-real-secret", password))
        if reply.status == 200 and reply.header().get("loggedin") == "YES":
            self.token = reply.token()
        return reply

    async def user(
        self, method: str, parameters: str = "", *, file: str = "user.cfc", header_ns: str = "http"
    ) -> Reply:
        xml = USER_CALL.format(
            method=method,
            parameters=parameters,
            id=self.token[0],
            uuid=self.token[1],
            header_ns=f"{header_ns}://api.learningassistant.com",
        )
        return await self.post(file, xml)

    async def candidates(
        self, qan: str = "", active: str = "true", completed: str = "false", test: str = "false"
    ):
        return await self.user(
            "GetCandidates", FILTER.format(qan=qan, active=active, completed=completed, test=test)
        )

    async def progress(self, candidate: str = CANDIDATE, course: str = COURSE) -> Reply:
        return await self.user("GetProgress", PROGRESS_OF.format(candidate=candidate, course=course))

    async def frameworks(self) -> Reply:
        return await self.user("GetFrameworks", file="course.cfc", header_ns="https")

    async def enrol(self, xml: str = ENROL) -> Reply:
        return await self.post("enrolment.cfc", xml.format(id=self.token[0], uuid=self.token[1]))

    async def update(self, accessors: str) -> Reply:
        xml = UPDATE.format(id=self.token[0], uuid=self.token[1], accessors=accessors)
        return await self.post("enrolment_update.cfc", xml)

    async def act(self, name: str, **arguments: object) -> httpx.Response:
        return await self.raw("POST", f"/_control/act/{name}", json=arguments)

    async def state(self) -> dict:
        return (await self.raw("GET", "/_control/state")).json()

    def effects(self) -> dict[str, int]:
        return dict(self.stand_in.journal.effect_counts)


async def logged_in(**switches: object) -> Vendor:
    vendor = Vendor(**switches)
    await vendor.log_in()
    return vendor


def without(xml: str, *names: str) -> str:
    """The request without these accessors."""
    return "\n".join(line for line in xml.split("\n") if not any(f"<{name} " in line for name in names))


# --- logging in ------------------------------------------------------------------------------------------


async def test_login_with_right_credentials_puts_the_token_into_the_header_only():
    reply = await Vendor().log_in()
    assert (reply.status, reply.content_type) == (200, "text/xml;charset=utf-8")
    assert reply.one("AuthenticateReturn") == "YES"
    header = reply.header()
    assert header.tag == "{https://api.learningassistant.com}authToken"
    assert dict(header.attrib) == {
        "loggedin": "YES",
        f"{SOAP_NS}actor": "",
        f"{SOAP_NS}mustUnderstand": "0",
    }
    children = [(child.tag, dict(child.attrib)) for child in header]
    assert children == [
        ("{https://api.learningassistant.com}id", {"type": "xsd:string"}),
        ("{https://api.learningassistant.com}uuid", {"type": "xsd:string"}),
    ]
    id_, uuid = reply.token()
    assert (id_, [len(part) for part in uuid.split("-")]) == ("40721", [8, 4, 4, 16])


async def test_login_with_wrong_password_answers_200_with_an_empty_token():
    reply = await Vendor().log_in("wrong")
    assert (reply.status, reply.one("AuthenticateReturn")) == (200, "NO")
    assert (reply.header().get("loggedin"), reply.token()) == ("NO", ("", ""))


async def test_login_with_wrong_password_is_a_fault_if_switched_so():
    reply = await Vendor(bad_login="fault").log_in("wrong")
    assert "Invalid username or password" in reply.fault()


async def test_account_is_locked_after_failed_logins_until_it_is_unlocked():
    vendor = Vendor(lockout_after=2)
    for _ in range(2):
        await vendor.log_in("wrong")
    assert (await vendor.log_in()).one("AuthenticateReturn") == "NO"
    assert (await vendor.state())["locked"] is True
    await vendor.act("unlock")
    assert (await vendor.log_in()).one("AuthenticateReturn") == "YES"


async def test_failures_before_a_good_login_do_not_count_towards_the_lock():
    vendor = Vendor(lockout_after=2)
    for password in ("wrong", "not-a-real-secret", "wrong", "not-a-real-secret"):
        reply = await vendor.log_in(password)
    assert reply.one("AuthenticateReturn") == "YES"


async def test_every_login_is_counted():
    vendor = Vendor()
    await vendor.log_in("wrong")
    await vendor.log_in()
    assert vendor.effects() == {"login_failed": 1, "logged_in": 1}
    assert [login["ok"] for login in (await vendor.state())["logins"]] == [False, True]


@pytest.mark.parametrize(("kills", "still_open"), [(False, "YES"), (True, "NO")])
async def test_new_login_ends_the_old_token_only_if_switched_so(kills, still_open):
    vendor = await logged_in(new_login_ends_old=kills)
    old = vendor.token
    await vendor.log_in()
    vendor.token = old
    assert (await vendor.frameworks()).header().get("loggedin") == still_open


# --- the life of a token ---------------------------------------------------------------------------------


async def test_token_lives_thirty_minutes_from_the_last_successful_call():
    vendor = await logged_in()
    for _ in range(3):
        vendor.clock.advance(29 * 60)
        assert (await vendor.frameworks()).header().get("loggedin") == "YES"
    vendor.clock.advance(30 * 60 + 1)
    assert (await vendor.frameworks()).header().get("loggedin") == "NO"


async def test_failed_and_refused_calls_do_not_extend_the_token():
    vendor = await logged_in()
    vendor.clock.advance(20 * 60)
    assert (await vendor.progress(candidate="nobody")).status == 500
    assert (await vendor.enrol(without(ENROL, "Forename"))).one("Success") == "false"
    vendor.clock.advance(11 * 60)
    assert (await vendor.frameworks()).header().get("loggedin") == "NO"


async def test_expiry_is_a_fault_if_switched_so():
    vendor = await logged_in(expiry="fault", expiry_fault_text="not logged in")
    await vendor.act("expire_tokens")
    fault = (await vendor.frameworks()).fault()
    assert fault.startswith("soapenv:Server.userException coldfusion.xml.rpc.CFCInvocationException: ")
    assert fault.endswith("[Application : not logged in]")


@pytest.mark.parametrize(
    ("body", "results"),
    [("nil", [None]), ("no", ["NO"]), ("empty_response", []), ("empty_result", [""])],
)
async def test_body_of_an_expired_call_is_what_the_switch_says(body, results):
    vendor = await logged_in(expired_body=body)
    await vendor.act("expire_tokens")
    reply = await vendor.frameworks()
    assert (reply.status, reply.header().get("loggedin"), reply.token()) == (200, "NO", ("", ""))
    assert reply.all("GetFrameworksReturn") == results


async def test_empty_result_of_an_expired_call_has_a_structure_of_nothing():
    vendor = Vendor(expired_body="empty_result")
    assert (await vendor.enrol()).one("CandidateUUID") is None
    assert vendor.effects() == {}


async def test_id_and_uuid_must_belong_together():
    vendor = await logged_in()
    good = vendor.token
    await vendor.log_in()
    vendor.token = (good[0], vendor.token[1])
    assert (await vendor.frameworks()).header().get("loggedin") == "NO"


async def test_padded_token_is_not_the_token():
    vendor = await logged_in()
    vendor.token = (vendor.token[0], f" {vendor.token[1]} ")
    assert (await vendor.frameworks()).header().get("loggedin") == "NO"


@pytest.mark.parametrize(
    ("rotation", "changes", "old_works"),
    [("off", False, "YES"), ("old_valid", True, "YES"), ("old_dead", True, "NO")],
)
async def test_rotation_hands_back_a_new_token_and_may_end_the_old(rotation, changes, old_works):
    vendor = await logged_in(rotation=rotation)
    new = (await vendor.frameworks()).token()
    assert (new != vendor.token) is changes
    assert (await vendor.frameworks()).header().get("loggedin") == old_works
    vendor.token = new
    assert (await vendor.frameworks()).header().get("loggedin") == "YES"


async def test_expired_token_fault_answers_one_call_as_not_logged_in():
    vendor = await logged_in()
    vendor.stand_in.faults.arm(Fault(kind="expired_token", path="course.cfc"))
    assert [(await vendor.frameworks()).header().get("loggedin") for _ in range(2)] == ["NO", "YES"]


@pytest.mark.parametrize(
    ("mode", "file", "method", "header_ns", "loggedin"),
    [
        ("lax", "user.cfc", "GetTrainers", "http", "YES"),
        ("lax", "user.cfc", "GetTrainers", "https", "YES"),
        ("strict", "user.cfc", "GetTrainers", "http", "YES"),
        ("strict", "user.cfc", "GetTrainers", "https", "NO"),
        ("strict", "course.cfc", "GetFrameworks", "https", "YES"),
        ("strict", "course.cfc", "GetFrameworks", "http", "NO"),
    ],
)
async def test_header_namespace_is_the_one_of_the_service_if_strict(mode, file, method, header_ns, loggedin):
    vendor = await logged_in(header_namespace=mode)
    reply = await vendor.user(method, file=file, header_ns=header_ns)
    assert reply.header().get("loggedin") == loggedin
    own = "http" if file == "user.cfc" else "https"
    assert reply.header().tag == f"{{{own}://api.learningassistant.com}}authToken"


async def test_call_without_any_header_is_not_logged_in():
    vendor = await logged_in()
    xml = USER_CALL.replace("authToken", "otherHeader").format(
        method="GetFrameworks", parameters="", id="", uuid="", header_ns="https://api.learningassistant.com"
    )
    assert (await vendor.post("course.cfc", xml)).header().get("loggedin") == "NO"


# --- transport and envelope ------------------------------------------------------------------------------


async def test_address_works_with_wsdl_in_the_query_too():
    reply = await Vendor().post("authenticate.cfc?wsdl", AUTHENTICATE)
    assert reply.one("AuthenticateReturn") == "YES"


async def test_missing_soapaction_header_is_refused_unless_switched_off():
    headers = {"content-type": "text/xml"}
    reply = await Vendor().post("authenticate.cfc", AUTHENTICATE, headers)
    assert reply.fault() == "soapenv:Client.NoSOAPAction no SOAPAction header!"
    reply = await Vendor(soap_action_required=False).post("authenticate.cfc", AUTHENTICATE, headers)
    assert reply.one("AuthenticateReturn") == "YES"


async def test_vendors_own_enrolment_sample_is_refused_as_not_well_formed():
    vendor = await logged_in()
    fault = (await vendor.post("enrolment.cfc", VENDORS_OWN_SAMPLE)).fault()
    assert "SAXParseException" in fault and "xmlns:xsi redefined" in fault
    assert vendor.effects() == {"logged_in": 1}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "SAXParseException"),
        ("<a><b></a>", "SAXParseException"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>" + AUTHENTICATE, "DTD is not allowed"),
        ('<!DOCTYPE a SYSTEM "http://la.test/a.dtd">' + AUTHENTICATE, "DTD is not allowed"),
        ("<a/>", "Version Mismatch"),
        (AUTHENTICATE.replace("soap/envelope/", "soap-envelope"), "Version Mismatch"),
        (AUTHENTICATE.replace("soapenv:Body", "soapenv:Other"), "no operation"),
        (AUTHENTICATE.replace("Authenticate", "LogIn"), "No such operation 'LogIn'"),
        (AUTHENTICATE.replace("https://api", "http://api"), "No such operation 'Authenticate'"),
        (AUTHENTICATE.replace("szPassword", "Password"), "Invalid element in Authenticate - Password"),
        (
            AUTHENTICATE.replace("<szPassword>not-a-real-secret</szPassword>", ""),
            "[coldfusion.runtime.MissingArgumentException : szPassword was not supplied to Authenticate.]",
        ),
        (
            AUTHENTICATE.replace("not-a-real-secret", "<a/>"),
            "szPassword holds elements where text was expected",
        ),
    ],
    ids=[
        "empty",
        "unbalanced",
        "dtd",
        "external dtd",
        "no envelope",
        "soap 1.2",
        "no body",
        "no operation",
        "http operation",
    ]
    + ["unknown parameter", "missing parameter", "elements for text"],
)
async def test_bad_request_is_a_soap_fault(body, text):
    assert text in (await Vendor().post("authenticate.cfc", body)).fault()


async def test_fault_tells_stack_trace_and_host_as_axis_does():
    reply = await Vendor().post("authenticate.cfc", "")
    assert reply.one("hostname") == "stand-in"
    assert "CFCProvider.java" in str(reply.one("stackTrace"))
    assert reply.xml.find(f"{SOAP_NS}Header") is None


async def test_parameter_namespace_matters_only_if_strict():
    bare = AUTHENTICATE.replace("<szUsername>", '<szUsername xmlns="">')
    assert (await Vendor().post("authenticate.cfc", bare)).one("AuthenticateReturn") == "YES"
    reply = await Vendor(parameter_namespace="strict").post("authenticate.cfc", bare)
    assert "szUsername was not supplied to Authenticate." in reply.fault()


async def test_documented_requests_pass_every_strict_switch():
    vendor = await logged_in(
        header_namespace="strict", parameter_namespace="strict", candidate_rows="candidate"
    )
    assert (await vendor.candidates()).all("CandidateUUID") == [CANDIDATE]
    assert (await vendor.enrol()).one("Success") == "true"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/webservices/soap/nothing.cfc?wsdl", 404),
        ("POST", "/webservices/soap/nothing.cfc", 404),
        ("PUT", "/webservices/soap/user.cfc", 405),
        ("GET", "/webservices/soap/user.cfc", 200),
    ],
)
async def test_anything_but_a_service_call_is_answered_with_html(method, path, status):
    response = await Vendor().raw(method, path)
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8")


async def test_calling_a_method_of_another_service_is_refused():
    vendor = await logged_in()
    assert "No such operation" in (await vendor.user("GetFrameworks", file="user.cfc")).fault()


# --- GetCandidates and the lists -------------------------------------------------------------------------


async def test_candidates_come_as_an_array_named_like_its_items_with_a_wrong_count_and_blanks():
    reply = await (await logged_in()).candidates("600/0000/1")
    assert 'soapenc:arrayType="ns3:Type_candidate[0]" xsi:type="soapenc:Array"' in reply.raw
    assert 'xmlns:ns3="http://user.types.soap.webservices"' in reply.raw
    assert f'<CandidateUUID xsi:type="xsd:string"> {CANDIDATE} </CandidateUUID>' in reply.raw
    (item,) = reply.xml.findall(".//GetCandidatesReturn/GetCandidatesReturn")
    assert {child.tag: (child.text or "").strip() for child in item} == {
        "AnticipatedEndDate": "2026-12-18",
        "CandidateUUID": CANDIDATE,
        "CourseQAN": "600/0000/1",
        "CourseUUID": COURSE,
        "Forename": "Robin",
        "SourceSystemLearnerUUID": "stu-1001",
        "Surname": "Sample",
    }
    assert [child.tag for child in item] == sorted(child.tag for child in item)


@pytest.mark.parametrize(("count", "shown"), [("zero", 0), ("right", 1), ("one_more", 2)])
async def test_array_count_is_as_reliable_as_the_switch_says(count, shown):
    reply = await (await logged_in(array_count=count)).candidates()
    assert f"Type_candidate[{shown}]" in reply.raw


@pytest.mark.parametrize(("padding", "blanks"), [("none", 0), ("candidates", 0), ("all", 2)])
async def test_padding_of_other_replies_follows_the_switch(padding, blanks):
    vendor = Vendor(padding=padding)
    header = (await vendor.log_in()).header()
    assert (header.findtext("{*}id") or "").count(" ") == blanks


@pytest.mark.parametrize(("form", "nil"), [("array", ""), ("nil", None)])
async def test_empty_result_is_an_empty_array_or_nil(form, nil):
    reply = await (await logged_in(empty_array=form)).candidates("600/9999/9")
    assert reply.all("GetCandidatesReturn") == [nil]


@pytest.mark.parametrize(
    ("flag_reading", "status", "is_test", "flags", "listed"),
    [
        ("no_filter", "Active", False, ("true", "false", "false"), True),
        ("no_filter", "Suspended", False, ("1", "0", "NO"), True),
        ("no_filter", "Completed", False, ("true", "false", "false"), False),
        ("no_filter", "Withdrawn", False, ("true", "false", "false"), False),
        ("no_filter", "Withdrawn", False, ("false", "false", "false"), True),
        ("no_filter", "Active", True, ("true", "false", "false"), True),
        ("only_others", "Active", True, ("true", "false", "false"), False),
        ("only_others", "Active", False, ("false", "false", "false"), False),
        ("only_others", "Completed", False, ("false", "true", "false"), True),
        ("only_others", "Active", True, ("true", "false", "YES"), True),
    ],
)
async def test_candidate_flags_filter_as_the_switch_reads_false(flag_reading, status, is_test, flags, listed):
    vendor = await logged_in(false_flag=flag_reading)
    await vendor.act("set_status", candidate_uuid=CANDIDATE, course_uuid=COURSE, status=status)
    await vendor.act("mark_test", candidate_uuid=CANDIDATE, course_uuid=COURSE, test=is_test)
    reply = await vendor.candidates("600/0000/1", *flags)
    assert reply.all("CandidateUUID") == ([CANDIDATE] if listed else [])


@pytest.mark.parametrize(
    ("empty_qan", "qan", "count"),
    [("all", "", 1), ("none", "", 0), ("none", "600/0000/1", 1), ("all", "600/0000/2", 0)],
)
async def test_candidates_are_filtered_by_qan(empty_qan, qan, count):
    reply = await (await logged_in(empty_qan=empty_qan)).candidates(qan)
    assert len(reply.all("CandidateUUID")) == count


async def test_flag_that_is_no_boolean_is_a_fault():
    reply = await (await logged_in()).candidates(active="maybe")
    assert "The blnActive argument is not of type boolean" in reply.fault()


async def test_missing_candidate_parameter_is_named_in_the_fault():
    parameters = FILTER.replace('<CourseQAN xsi:type="xsd:string">{qan}</CourseQAN>', "")
    reply = await (await logged_in()).user(
        "GetCandidates", parameters.format(active="true", completed="false", test="false")
    )
    assert reply.fault().endswith(
        "[coldfusion.runtime.MissingArgumentException : CourseQAN was not supplied to GetCandidates.]"
    )


@pytest.mark.parametrize(("rows", "count"), [("enrolment", 2), ("candidate", 1)])
async def test_learner_of_two_courses_is_listed_twice_or_once(rows, count):
    vendor = await logged_in(candidate_rows=rows)
    await vendor.enrol(ENROL.replace("stu-2002", "stu-1001").replace(COURSE, NO_QAN_COURSE))
    assert (await vendor.candidates()).all("CandidateUUID") == [CANDIDATE] * count


async def test_frameworks_list_courses_with_units_two_sharing_a_qan_and_one_without():
    reply = await (await logged_in()).frameworks()
    assert reply.all("CourseQAN") == ["600/0000/1", "600/0000/2", "600/0000/2", ""]
    assert reply.all("CourseUUID")[0] == COURSE
    assert reply.all("CourseName")[-1] == "Workplace induction & safety"
    (first, *_) = reply.xml.findall(".//GetFrameworksReturn/GetFrameworksReturn")
    assert [unit.findtext("Mandatory") for unit in first.findall("Units/Units")] == ["true", "true", "false"]
    assert {len(str(uuid)) for uuid in reply.all("UnitUUID")} == {35}


@pytest.mark.parametrize(
    ("third", "roles"),
    [
        ("both", ["Assessor", "Verifier", "Assessor,Verifier"]),
        ("two_rows", ["Assessor", "Verifier", "Assessor", "Verifier"]),
        ("no_role", ["Assessor", "Verifier", None]),
    ],
)
async def test_trainer_of_both_roles_is_shown_as_the_switch_says(third, roles):
    reply = await (await logged_in(third_trainer=third)).user("GetTrainers")
    assert reply.all("Role") == roles
    assert reply.all("TrainerUUID")[:3] == [ASSESSOR, VERIFIER, THIRD]


async def test_companies_and_reference_lists_are_listed():
    vendor = await logged_in()
    companies = await vendor.user("GetCompanies", file="company.cfc", header_ns="https")
    assert companies.all("CompanyUUID")[0] == COMPANY
    assert companies.all("CompanyName") == ["Demo College", "Sample & Sons Pty Ltd"]
    assert "Australian" in (await vendor.user("GetNationalities")).all("Name")
    assert "10" in (await vendor.user("GetEthnicities")).all("ID")


# --- GroupEnrolment --------------------------------------------------------------------------------------


async def test_enrolment_gives_candidate_uuid_and_echoes_the_source_id():
    vendor = await logged_in()
    reply = await vendor.enrol()
    assert (reply.one("Success"), reply.one("SourceSystemLearnerUUID")) == ("true", "stu-2002")
    assert (reply.one("ULN"), reply.messages()) == ("", [])
    assert len(str(reply.one("CandidateUUID"))) == 35
    assert vendor.effects() == {"logged_in": 1, "enrolled": 1}
    stored = (await vendor.state())["enrolments"][-1]
    assert (stored["candidate_uuid"], stored["course_uuid"]) == (reply.one("CandidateUUID"), COURSE)
    assert (stored["assessor_uuid"], stored["verifier_uuid"]) == (ASSESSOR, VERIFIER)
    assert stored["values"]["EmailAddress"] == "stu-2002@learners.example"
    assert (await vendor.candidates()).all("SourceSystemLearnerUUID") == ["stu-1001", "stu-2002"]


async def test_enrolment_with_structures_in_place_is_accepted():
    user = """<User><CompanyUUID>7F30B1C9-0D84-4E2A-B5516CE90A3D1F48</CompanyUUID>
      <Address><Town>Perth</Town></Address>
      <Course><CourseQAN>600/0000/1</CourseQAN>
        <PrimaryAssessorUUID>11A0D6F2-5B3E-4C77-82E9F4410B6C9D05</PrimaryAssessorUUID>
        <PrimaryVerifierUUID>C50B72E4-1F9A-4D83-A6E2390D7B14F85C</PrimaryVerifierUUID>
        <Units soapenc:arrayType="xsd:string[2]" xsi:type="soapenc:Array">
          <item>A17C0E52-6B3D-4F81-92E5D084C7B6F130</item><item>B28D1F63-7C4E-4092-A3F6E195D8C70241</item>
        </Units></Course>
      <Forename>Kim</Forename><Surname>Example</Surname></User>"""
    vendor = await logged_in()
    head = ENROL.partition("    <q1:")[0] + "</soap:Body></soap:Envelope>"
    reply = await vendor.enrol(head.replace('<User href="#id1"/>', user))
    assert reply.one("Success") == "true", reply.raw
    stored = (await vendor.state())["enrolments"][-1]
    assert (stored["course_uuid"], stored["verifier_uuid"]) == (COURSE, THIRD)
    assert (stored["unit_uuids"], stored["address"]) == (list(UNITS), {"Town": "Perth"})


async def test_enrolment_reports_all_problems_at_once_and_stores_nothing():
    vendor = await logged_in()
    bare = without(
        ENROL,
        "CompanyUUID",
        "Forename",
        "Surname",
        "CourseUUID",
        "PrimaryAssessorUUID",
        "PrimaryVerifierUUID",
    )
    reply = await vendor.enrol(bare)
    assert (reply.status, reply.one("Success"), reply.one("CandidateUUID")) == (200, "false", "")
    assert reply.messages() == [
        "Either CourseUUID or CourseQAN is required.",
        "CompanyUUID is required.",
        "Forename is required.",
        "Surname is required.",
        "PrimaryAssessorUUID is required.",
        "PrimaryVerifierUUID is required.",
    ]
    assert vendor.effects() == {"logged_in": 1}


COURSE_UUID_LINE = f'<CourseUUID xsi:type="xsd:string">{COURSE}</CourseUUID>'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (COMPANY, COMPANY[:-1] + "0", "The company is not known."),
        (COURSE, COURSE[:-1] + "0", "The course is not known."),
        (COURSE_UUID_LINE, "<CourseQAN>600/9/9</CourseQAN>", "The course is not known."),
        (COURSE_UUID_LINE, "<CourseQAN>600/0000/2</CourseQAN>", "More than one course has this QAN."),
        (
            COURSE_UUID_LINE,
            COURSE_UUID_LINE + "<CourseQAN>600/0000/2</CourseQAN>",
            "CourseUUID and CourseQAN name different courses.",
        ),
        (ASSESSOR, "nobody", "The assessor is not known."),
        (VERIFIER, ASSESSOR, "PrimaryVerifierUUID names somebody who is no verifier."),
        (
            COURSE_UUID_LINE,
            f"{COURSE_UUID_LINE}<Units><a>{UNITS[0]}</a></Units>",
            "A mandatory unit is missing.",
        ),
        (
            COURSE_UUID_LINE,
            f"{COURSE_UUID_LINE}<Units><a>{UNITS[0]}</a><a>{UNITS[1]}</a><a>x</a></Units>",
            "A unit does not belong to the course.",
        ),
    ],
    ids=[
        "company",
        "course",
        "qan",
        "shared qan",
        "contradiction",
        "assessor",
        "role",
        "mandatory unit",
        "other unit",
    ],
)
async def test_enrolment_with_one_mistake_is_refused_with_one_message(old, new, message):
    vendor = await logged_in()
    reply = await vendor.enrol(ENROL.replace(old, new))
    assert (reply.messages(), reply.one("Success")) == ([message], "false")


async def test_enrolment_without_course_structure_or_with_nil_user_is_refused():
    vendor = await logged_in()
    reply = await vendor.enrol(ENROL.replace('<Course href="#id3"/>', ""))
    assert "Either CourseUUID or CourseQAN is required." in reply.messages()
    reply = await vendor.enrol(ENROL.replace('<User href="#id1"/>', '<User xsi:nil="true"/>'))
    assert "The User argument is not a structure" in reply.fault()


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('href="#id3"', 'href="#id9"', "Missing id for href #id9"),
        ('<Course href="#id3"/>', '<Course href="#c"/><a id="c" href="#c"/>', "refer to themselves"),
        ("Surname", "FamilyName", "Invalid element in Type_enrolmentUser - FamilyName"),
        ('"xsd:string">Kim', '"xsi:string">Kim', "No deserializer defined for type"),
        ('"xsd:string">Kim', '"nope:string">Kim', "No deserializer defined for type {}string"),
        ('"q1:Type_enrolmentUser"', '"q1:Type_user"', "No deserializer defined for type"),
        ("<User href", "<Learner href", "Invalid element in GroupEnrolment - Learner"),
        ("blnSend", "blnMail", "Invalid element in GroupEnrolment"),
        ("    <User href=", "    <!-- none --><Nothing href=", "Invalid element"),
    ],
)
async def test_enrolment_the_platform_cannot_read_is_a_fault(old, new, text):
    vendor = await logged_in()
    assert text in (await vendor.enrol(ENROL.replace(old, new))).fault()


async def test_unknown_accessor_and_odd_type_are_let_through_if_switched_so():
    vendor = await logged_in(unknown_accessor="ignore", check_xsi_type=False)
    xml = ENROL.replace('"xsd:string">Kim', '"xsi:string">Kim').replace(
        "<EmailAddress", "<Nickname>K</Nickname><EmailAddress"
    )
    assert (await vendor.enrol(xml)).one("Success") == "true"


async def test_absent_accessor_is_a_fault_if_all_are_required():
    vendor = await logged_in(require_all_accessors=True)
    assert "Element AWARDINGBODYREGISTRATIONNO is undefined in USER." in (await vendor.enrol()).fault()


async def test_all_accessors_present_but_empty_satisfy_the_strictest_reading():
    names = ("AwardingBodyRegistrationNo", "BirthDate", "Department", "EmployeeReferenceNumber")
    names += ("EmploymentStatus", "EthnicityID", "Gender", "JobTitle", "LineManager", "NationalityID", "ULN")
    names += ("LineManagerEmailAddress", "LineManagerPhoneNumber")
    empty = "".join(f"<{name}/>" for name in names)
    vendor = await logged_in(require_all_accessors=True)
    assert (await vendor.enrol(ENROL.replace("<EmailAddress", empty + "<EmailAddress"))).one(
        "Success"
    ) == "true"


async def test_further_required_accessors_follow_the_switch():
    vendor = await logged_in(also_required=("EmailAddress", "BirthDate"))
    assert (await vendor.enrol()).messages() == ["BirthDate is required."]


async def test_trainers_may_belong_to_the_user_structure():
    vendor = await logged_in(trainer_place="user")
    assert "Invalid element in Type_enrolmentCourse - PrimaryAssessorUUID" in (await vendor.enrol()).fault()
    trainers = (
        f"<PrimaryAssessorUUID>{ASSESSOR}</PrimaryAssessorUUID>"
        f"<PrimaryVerifierUUID>{VERIFIER}</PrimaryVerifierUUID>"
    )
    xml = without(ENROL, "PrimaryAssessorUUID", "PrimaryVerifierUUID")
    reply = await vendor.enrol(xml.replace("<EmailAddress", trainers + "<EmailAddress"))
    assert reply.one("Success") == "true"
    stored = (await vendor.state())["enrolments"][-1]
    assert (stored["assessor_uuid"], "PrimaryAssessorUUID" in stored["values"]) == (ASSESSOR, False)


async def test_messages_are_structures_if_switched_so():
    vendor = await logged_in(message_form="structures")
    reply = await vendor.enrol(without(ENROL, "Forename"))
    assert (reply.one("FieldName"), reply.one("Message")) == ("Forename", "Forename is required.")
    assert (await vendor.enrol()).one("Success") == "true"


async def test_login_mail_is_sent_only_if_asked_for():
    vendor = await logged_in()
    await vendor.enrol()
    assert (await vendor.state())["welcome_emails"] == []
    flag = 'blnSendLoginDetailsOnEnroll xsi:type="xsd:boolean">'
    await vendor.enrol(ENROL.replace("stu-2002", "stu-3").replace(f"{flag}false", f"{flag}true"))
    assert (await vendor.state())["welcome_emails"] == ["stu-3@learners.example"]


@pytest.mark.parametrize(
    ("duplicate", "second", "enrolled"),
    [("refused", "false", 1), ("repeated", "true", 2), ("same", "true", 1)],
)
@pytest.mark.parametrize("per", ["person", "enrolment"])
async def test_second_enrolment_on_the_same_course_follows_the_switch(duplicate, second, enrolled, per):
    vendor = await logged_in(duplicate=duplicate, candidate_uuid_per=per)
    first = await vendor.enrol()
    again = await vendor.enrol()
    assert again.one("Success") == second
    assert vendor.effects()["enrolled"] == enrolled
    if duplicate == "refused":
        assert again.messages() == ["The learner is already enrolled on this course."]
    else:
        same_candidate = first.one("CandidateUUID") == again.one("CandidateUUID")
        assert same_candidate is (duplicate == "same" or per == "person")


@pytest.mark.parametrize(("per", "same"), [("person", True), ("enrolment", False)])
async def test_candidate_uuid_is_of_the_person_or_of_the_enrolment(per, same):
    vendor = await logged_in(candidate_uuid_per=per)
    reply = await vendor.enrol(ENROL.replace("stu-2002", "stu-1001").replace(COURSE, NO_QAN_COURSE))
    assert (reply.one("CandidateUUID") == CANDIDATE) is same


async def test_learner_without_source_id_is_never_recognised():
    vendor = await logged_in()
    xml = without(ENROL, "SourceSystemLearnerUUID")
    first, again = await vendor.enrol(xml), await vendor.enrol(xml)
    assert first.one("CandidateUUID") != again.one("CandidateUUID")
    assert vendor.effects()["enrolled"] == 2


async def test_withdrawn_learner_may_be_enrolled_again():
    vendor = await logged_in()
    await vendor.act("withdraw", candidate_uuid=CANDIDATE, course_uuid=COURSE)
    assert (await vendor.enrol(ENROL.replace("stu-2002", "stu-1001"))).one("Success") == "true"


@pytest.mark.parametrize(("unique", "success"), [(False, "true"), (True, "false")])
async def test_email_of_another_learner_is_refused_only_if_it_must_be_unique(unique, success):
    vendor = await logged_in(unique_email=unique)
    xml = ENROL.replace("stu-2002@learners.example", "STU-1001@learners.example")
    assert (await vendor.enrol(xml)).one("Success") == success
    assert (await vendor.enrol(ENROL.replace("stu-2002", "stu-4"))).one("Success") == "true"


async def test_stand_in_holds_a_bounded_number_of_enrolments(monkeypatch):
    monkeypatch.setattr("gateway.sandbox.learning_assistant_enrolments.MAX_ENROLMENTS", 1)
    assert "no further enrolments" in (await (await logged_in()).enrol()).fault()


# --- UpdateEnrolment -------------------------------------------------------------------------------------


async def test_update_changes_what_is_sent_and_leaves_the_rest_alone():
    vendor = await logged_in()
    before = (await vendor.state())["enrolments"][0]
    reply = await vendor.update(
        f"<Address><Town>Perth</Town></Address>{SEEDED}<Department>Sales</Department>"
        '<EmailAddress xsi:nil="true"/>'
        f"<Course><PrimaryVerifierUUID>{THIRD}</PrimaryVerifierUUID></Course>"
    )
    assert (reply.one("Success"), reply.one("CandidateUUID")) == ("true", CANDIDATE)
    after = (await vendor.state())["enrolments"][0]
    assert after == {
        **before,
        "values": {**before["values"], "Department": "Sales"},
        "address": {"Town": "Perth"},
        "verifier_uuid": THIRD,
    }
    assert vendor.effects() == {"logged_in": 1, "updated": 1}


async def test_update_with_an_empty_accessor_empties_the_value():
    vendor = await logged_in()
    await vendor.update(f"{SEEDED}<EmailAddress/>")
    assert (await vendor.state())["enrolments"][0]["values"]["EmailAddress"] == ""


@pytest.mark.parametrize(
    ("accessors", "message"),
    [
        ("", "There is no enrolment with this CandidateUUID and CourseUUID."),
        (
            SEEDED.replace(COURSE, NO_QAN_COURSE),
            "There is no enrolment with this CandidateUUID and CourseUUID.",
        ),
        (SEEDED + "<CompanyUUID>x</CompanyUUID>", "The company is not known."),
        (
            SEEDED + "<SourceSystemLearnerUUID>stu-9</SourceSystemLearnerUUID>",
            "SourceSystemLearnerUUID belongs to another learner.",
        ),
        (
            SEEDED + f"<Course><CourseUUID>{NO_QAN_COURSE}</CourseUUID></Course>",
            "The course of an enrolment cannot be changed.",
        ),
        (
            SEEDED + "<Course><CourseQAN>600/0000/2</CourseQAN></Course>",
            "The course of an enrolment cannot be changed.",
        ),
        (SEEDED + "<Status>Gone</Status>", "Status must be one of Active, Suspended, Withdrawn, Completed."),
    ],
)
async def test_update_with_a_mistake_is_refused_and_changes_nothing(accessors, message):
    vendor = await logged_in(status_accessor="Status")
    before = await vendor.state()
    reply = await vendor.update(accessors)
    assert (reply.messages(), reply.one("Success")) == ([message], "false")
    assert (await vendor.state())["enrolments"] == before["enrolments"]
    assert vendor.effects() == {"logged_in": 1}


async def test_update_cannot_rename_a_learner():
    reply = await (await logged_in()).update(f"{SEEDED}<Forename>Other</Forename>")
    assert "Invalid element in Type_enrolmentUserUpdate - Forename" in reply.fault()


async def test_status_accessor_withdraws_if_the_switch_names_it():
    vendor = await logged_in(status_accessor="Status")
    withdraw = (
        f"{SEEDED}<SourceSystemLearnerUUID>stu-1001</SourceSystemLearnerUUID><Status>Withdrawn</Status>"
    )
    assert [(await vendor.update(withdraw)).one("Success") for _ in range(2)] == ["true", "true"]
    assert (await vendor.state())["enrolments"][0]["status"] == "Withdrawn"
    assert vendor.effects() == {"logged_in": 1, "withdrawn": 1, "updated": 1}
    assert (await vendor.candidates()).all("CandidateUUID") == []


@pytest.mark.parametrize(("mode", "status"), [("fault", 500), ("ignore", 200)])
async def test_status_accessor_is_unknown_by_default(mode, status):
    vendor = await logged_in(unknown_accessor=mode)
    assert (await vendor.update(f"{SEEDED}<Status>Withdrawn</Status>")).status == status
    assert (await vendor.state())["enrolments"][0]["status"] == "Active"


# --- GetProgress -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "course", "unit"), [(100, "62.5", "80.0"), (1, "0.625", "0.8")])
async def test_progress_of_course_and_units_is_on_the_scale_of_the_switch(scale, course, unit):
    vendor = await logged_in(percent_scale=scale)
    answer = await vendor.act(
        "set_progress", candidate_uuid=CANDIDATE, course_uuid=COURSE, percent=62.5, units={UNITS[0]: 80}
    )
    assert answer.status_code == 200
    reply = await vendor.progress()
    assert (reply.one("CandidateUUID"), reply.one("CourseUUID")) == (CANDIDATE, COURSE)
    assert reply.all("PercentComplete") == [course, unit, "0.0", "0.0"]
    assert reply.all("UnitUUID")[:2] == list(UNITS)


async def test_completed_progress_moves_the_candidate_to_the_completed_ones():
    vendor = await logged_in()
    await vendor.act(
        "set_progress", candidate_uuid=CANDIDATE, course_uuid=COURSE, percent=100, completed=True
    )
    assert (await vendor.candidates(active="false", completed="true")).all("CandidateUUID") == [CANDIDATE]


@pytest.mark.parametrize(("text", "shown"), [("abc", "abc"), ("150", "150"), ("", ""), (None, None)])
async def test_progress_may_show_nonsense_until_it_is_set_again(text, shown):
    vendor = await logged_in()
    place = {"candidate_uuid": CANDIDATE, "course_uuid": COURSE}
    await vendor.act("show_percent", **place, text=text)
    assert (await vendor.progress()).all("PercentComplete")[0] == shown
    await vendor.act("set_progress", **place, percent=41)
    assert (await vendor.progress()).all("PercentComplete")[0] == "41.0"


async def test_progress_is_reset_with_its_units():
    vendor = await logged_in()
    place = {"candidate_uuid": CANDIDATE, "course_uuid": COURSE}
    await vendor.act("set_progress", **place, percent=100, units={UNITS[0]: 100}, completed=True)
    await vendor.act("reset_progress", **place)
    assert (await vendor.progress()).all("PercentComplete") == ["0.0"] * 4
    assert (await vendor.candidates(active="true", completed="false")).all("CandidateUUID") == [CANDIDATE]


async def test_calls_are_counted_by_method():
    vendor = await logged_in()
    await vendor.progress()
    await vendor.progress()
    assert vendor.stand_in.journal.calls == {"Authenticate": 1, "GetProgress": 2}


async def test_progress_of_an_unknown_candidate_is_a_fault_or_nil():
    assert "was not found" in (await (await logged_in()).progress(candidate="x")).fault()
    reply = await (await logged_in(unknown_progress="nil")).progress(candidate="x")
    assert reply.one("GetProgressReturn") is None


@pytest.mark.parametrize(
    ("action", "arguments", "error"),
    [
        ("set_progress", {"candidate_uuid": "x", "course_uuid": COURSE}, "no enrolment"),
        (
            "set_progress",
            {"candidate_uuid": CANDIDATE, "course_uuid": COURSE, "percent": 101},
            "from 0 to 100",
        ),
        (
            "set_progress",
            {"candidate_uuid": CANDIDATE, "course_uuid": COURSE, "percent": True},
            "from 0 to 100",
        ),
        (
            "set_progress",
            {"candidate_uuid": CANDIDATE, "course_uuid": COURSE, "units": {"x": 1}},
            "no such unit",
        ),
        (
            "set_status",
            {"candidate_uuid": CANDIDATE, "course_uuid": COURSE, "status": "Gone"},
            "status must be",
        ),
    ],
)
async def test_bad_action_is_refused_and_changes_nothing(action, arguments, error):
    vendor = await logged_in()
    before = await vendor.state()
    response = await vendor.act(action, **arguments)
    assert response.status_code == 400 and error in response.json()["error"]
    assert await vendor.state() == before


# --- reply forms -----------------------------------------------------------------------------------------


async def test_multiref_replies_keep_arrays_in_place_and_refer_to_structures():
    reply = await (await logged_in(reply_form="multiref")).frameworks()
    array = reply.xml.find(".//GetFrameworksReturn")
    hrefs = [item.get("href") for item in array]
    targets = {f"#{each.get('id')}": each for each in reply.xml.findall(f"{SOAP_NS}Body/multiRef")}
    assert [targets[href].findtext("CourseUUID") for href in hrefs][0] == COURSE
    unit = targets[hrefs[0]].find("Units/Units")
    assert targets[unit.get("href")].findtext("UnitName") == "Serve customers"
    assert len(targets) == 4 + 3 + 2 + 2 + 1


async def test_multiref_all_refers_to_arrays_and_booleans_too():
    reply = await (await logged_in(reply_form="multiref_all")).enrol()
    targets = {f"#{each.get('id')}": each for each in reply.xml.findall(f"{SOAP_NS}Body/multiRef")}
    result = targets[reply.xml.find(".//GroupEnrolmentReturn").get("href")]
    assert targets[result.find("Success").get("href")].text == "true"
    assert targets[result.find("MessageList").get("href")].get(f"{XSI_NS}type") == "soapenc:Array"
    assert len(result.findtext("CandidateUUID")) == 35


# --- WSDL and renamed names ------------------------------------------------------------------------------

SERVICES = {
    "authenticate.cfc": {"Authenticate"},
    "user.cfc": {"GetCandidates", "GetTrainers", "GetNationalities", "GetEthnicities", "GetProgress"},
    "enrolment.cfc": {"GroupEnrolment"},
    "enrolment_update.cfc": {"UpdateEnrolment"},
    "course.cfc": {"GetFrameworks"},
    "company.cfc": {"GetCompanies"},
}


async def wsdl_of(vendor: Vendor, file: str) -> etree._Element:
    response = await vendor.raw("GET", f"/webservices/soap/{file}?wsdl")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/xml;charset=utf-8")
    return etree.fromstring(response.content)


@pytest.mark.parametrize("file", SERVICES)
async def test_wsdl_describes_every_method_of_its_service(file):
    xml = await wsdl_of(Vendor(), file)
    assert xml.get("targetNamespace") == "https://api.learningassistant.com"
    operations = {each.get("name") for each in xml.findall(f"{WSDL_NS}portType/{WSDL_NS}operation")}
    assert operations == SERVICES[file]
    (address,) = xml.findall(".//{http://schemas.xmlsoap.org/wsdl/soap/}address")
    assert address.get("location") == f"http://la.test/webservices/soap/{file}"
    bodies = xml.findall(".//{http://schemas.xmlsoap.org/wsdl/soap/}body")
    assert {each.get("use") for each in bodies} == {"encoded"}
    actions = xml.findall(".//{http://schemas.xmlsoap.org/wsdl/soap/}operation")
    assert [each.get("soapAction") for each in actions] == [""] * len(operations)


@pytest.mark.parametrize("file", SERVICES)
async def test_every_name_a_wsdl_refers_to_is_defined_in_it(file):
    xml = await wsdl_of(Vendor(message_form="structures"), file)
    known = {"http://www.w3.org/2001/XMLSchema": {"string", "boolean", "double"}}
    for schema in xml.findall(f"{WSDL_NS}types/*"):
        names = {each.get("name") for each in schema.findall("{*}complexType")}
        known.setdefault(schema.get("targetNamespace"), set()).update(names)
    referring = [
        *xml.iterfind(f".//{WSDL_NS}part"),
        *xml.iterfind(".//{http://www.w3.org/2001/XMLSchema}element"),
    ]
    for each in referring:
        prefix, _, local = each.get("type").partition(":")
        assert local in known[each.nsmap[prefix]], each.get("type")
    messages = {each.get("name") for each in xml.findall(f"{WSDL_NS}message")}
    for each in xml.findall(f"{WSDL_NS}portType/{WSDL_NS}operation/*"):
        assert each.get("message").removeprefix("impl:") in messages


async def test_wsdl_names_parameters_accessors_and_array_items():
    xml = await wsdl_of(Vendor(), "user.cfc")
    (request,) = xml.findall(f"{WSDL_NS}message[@name='GetCandidatesRequest']")
    assert [(part.get("name"), part.get("type")) for part in request] == [
        ("CourseQAN", "xsd:string"),
        ("blnActive", "xsd:boolean"),
        ("blnCompleted", "xsd:boolean"),
        ("blnTest", "xsd:boolean"),
    ]
    (candidate,) = xml.findall(".//{*}complexType[@name='Type_candidate']")
    elements = [each.get("name") for each in candidate.iterfind(".//{*}element")]
    assert (elements[0], len(elements)) == ("AnticipatedEndDate", 7)
    arrays = [each.get(f"{WSDL_NS}arrayType") for each in xml.iterfind(".//{*}attribute")]
    assert "tns2:Type_candidate[]" in arrays


async def test_renames_change_wsdl_and_behaviour_alike():
    rename = {
        "course.cfc": "framework.cfc",
        "CourseName": "Title",
        "Type_enrolmentResponse.CandidateUUID": "LearnerUUID",
        "Type_enrolmentUser.SourceSystemLearnerUUID": "ExternalID",
        "GetTrainers": "GetStaff",
        "GetProgress.CandidateUUID": "Learner",
        "http://course.types.soap.webservices": "http://framework.types.soap.webservices",
    }
    vendor = await logged_in(rename=rename)
    xml = await wsdl_of(vendor, "framework.cfc")
    assert xml.findall(".//{*}element[@name='Title']") and not xml.findall(
        ".//{*}element[@name='CourseName']"
    )
    assert (await vendor.raw("GET", "/webservices/soap/course.cfc?wsdl")).status_code == 404

    courses = await vendor.user("GetFrameworks", file="framework.cfc", header_ns="https")
    assert (courses.all("Title")[0], courses.all("CourseName")) == ("Certificate in Customer Service", [])
    assert "http://framework.types.soap.webservices" in courses.raw
    assert len((await vendor.user("GetStaff")).all("GetStaffReturn")) == 4

    assert "Invalid element" in (await vendor.enrol()).fault()
    reply = await vendor.enrol(ENROL.replace("SourceSystemLearnerUUID", "ExternalID"))
    assert (reply.all("CandidateUUID"), len(str(reply.one("LearnerUUID")))) == ([], 35)
    assert reply.one("SourceSystemLearnerUUID") == "stu-2002"
    assert "Learner was not supplied to GetProgress" in (await vendor.user("GetProgress")).fault()


@pytest.mark.parametrize(
    ("switches", "text"),
    [
        ({"rename": {"NoSuchName": "x"}}, "no wire name 'NoSuchName'"),
        ({"rename": {"CourseName": "two words"}}, "is not a name"),
        ({"rename": {"CourseName": 3}}, "rename"),
        ({"expiry": "never"}, "expiry"),
        ({"percent_scale": True}, "percent_scale"),
        ({"also_required": ["EmailAddress"]}, "also_required"),
        ({"lockout_after": "3"}, "lockout_after"),
    ],
)
def test_switch_with_a_value_it_does_not_take_is_refused(switches, text):
    with pytest.raises(ValueError, match=text):
        create_learning_assistant(Switches(**switches))


# --- shared faults, control surface, process -------------------------------------------------------------


async def test_lost_answer_after_enrolling_leaves_the_enrolment_stored():
    vendor = await logged_in()
    vendor.stand_in.faults.arm(Fault(kind="lost_answer", path="enrolment.cfc"))
    with pytest.raises(AnswerLost):
        await vendor.enrol()
    assert vendor.effects()["enrolled"] == 1
    assert "stu-2002" in (await vendor.candidates()).all("SourceSystemLearnerUUID")


async def test_error_and_html_faults_come_in_the_vendors_forms():
    vendor = await logged_in()
    vendor.stand_in.faults.arm(Fault(kind="error"), Fault(kind="html", status=503))
    assert "The service failed (500)." in (await vendor.enrol()).fault()
    page = await vendor.raw("POST", "/webservices/soap/enrolment.cfc")
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=UTF-8")
    assert vendor.effects() == {"logged_in": 1}


async def test_switches_change_while_running_and_reset_restores_the_seed():
    vendor = await logged_in()
    answer = await vendor.raw("POST", "/_control/switches", json={"rename": {"CourseName": "Title"}})
    assert answer.status_code == 200
    await vendor.enrol()
    assert (await vendor.frameworks()).all("CourseName") == []
    refused = await vendor.raw("POST", "/_control/switches", json={"reply_form": "upside down"})
    assert refused.status_code == 400
    await vendor.raw("POST", "/_control/reset")
    assert len((await vendor.state())["enrolments"]) == 1
    assert (await vendor.frameworks()).header().get("loggedin") == "NO"
    await vendor.log_in()
    assert len((await vendor.frameworks()).all("CourseName")) == 4


def test_bad_switch_on_the_command_line_is_refused_before_anything_is_served():
    with pytest.raises(ValueError, match="expiry"):
        main(["--switches", '{"expiry": "never"}'])


async def test_open_tokens_are_bounded_and_the_oldest_goes_first(monkeypatch):
    monkeypatch.setattr("gateway.sandbox.learning_assistant_sessions._MAX_TOKENS", 1)
    vendor = await logged_in()
    first = vendor.token
    await vendor.log_in()
    assert (await vendor.frameworks()).header().get("loggedin") == "YES"
    vendor.token = first
    assert (await vendor.frameworks()).header().get("loggedin") == "NO"


def test_password_is_not_in_the_repr_of_the_switches():
    assert "not-a-real-secret" not in repr(replace(Switches(), username="u"))


def test_stand_in_runs_as_a_process_on_a_free_port():
    command = [sys.executable, "-m", "gateway.sandbox.learning_assistant", "--port", "0"]
    command += ["--username", "college", "--password", "p & q", "--switches", '{"bad_login": "fault"}']
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdout is not None
            base = process.stdout.readline().removeprefix("listening on ").strip()
            url, headers = f"{base}/webservices/soap/authenticate.cfc", {"soapaction": '""'}
            xml = AUTHENTICATE.replace("ws-demo-college", "college").replace("not-a-real-secret", "p &amp; q")
            assert Reply(httpx.post(url, content=xml, headers=headers)).one("AuthenticateReturn") == "YES"
            wrong = Reply(httpx.post(url, content=AUTHENTICATE, headers=headers))
            assert "Invalid username or password" in wrong.fault()
        finally:
            process.terminate()
