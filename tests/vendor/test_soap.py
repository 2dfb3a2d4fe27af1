"""SOAP against the vendor's documented envelopes, in the nested and in the multi-reference form.

Source of every envelope: vendors/learning-assistant.md 3.1, 3.2, 4, 5.4, 5.5 and 7.
"""

from __future__ import annotations

import re

import pytest
from lxml import etree

from gateway.engine.calls import SoapStyle, XmlStyle
from gateway.vendor import soap, xmltree

LA = "https://api.learningassistant.com"
TYPES = "http://enrolment.types.soap.webservices"
STYLE = XmlStyle(
    resolve_href=True,
    empty_absent=True,
    max_depth=60,
    lists=("GetCandidatesResponse/GetCandidatesReturn/*", "Units/*", "MessageList/*"),
)
ENVELOPE = """<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
    xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"
    xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{}</soapenv:Envelope>"""


def canonical(document: str | bytes) -> str:
    """Prefixes and blanks do not count; types do, though they are prefixed names in attributes."""
    text = document.decode().partition("\n")[2] if isinstance(document, bytes) else document
    return etree.canonicalize(
        text,
        strip_text=True,
        rewrite_prefixes=True,
        qname_aware_attrs={"{http://www.w3.org/2001/XMLSchema-instance}type"},
    )


def read(inside: str, style: XmlStyle = STYLE):
    return soap.read(xmltree.parse(ENVELOPE.format(inside).encode(), style), style)


def body(inside: str, style: XmlStyle = STYLE):
    return read(f"<soapenv:Body>{inside}</soapenv:Body>", style)["body"]


# ---- writing

AUTHENTICATE = ENVELOPE.format(
    f"""<soapenv:Body>
    <Authenticate xmlns="{LA}">
      <szUsername>ws-demo-college</szUsername>
      <szPassword>not-a-real-secret</szPassword>
    </Authenticate>
  </soapenv:Body>"""
)
# the sheet's user header, without its actor="" and mustUnderstand="0" (both are SOAP 1.1's defaults) and with
# `xsi:type` where the sample slips into a plain `type` (1.3)
GET_CANDIDATES = ENVELOPE.format(
    f"""<soapenv:Header>
    <authToken xmlns="http://api.learningassistant.com" loggedin="YES">
      <id xsi:type="xsd:string">40721</id>
      <uuid xsi:type="xsd:string">0B7C2E54-91AD-4F0E-8D3316A2C5F7E901</uuid>
    </authToken>
  </soapenv:Header>
  <soapenv:Body>
    <ns1:GetCandidates xmlns:ns1="{LA}" soapenv:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
      <CourseQAN xsi:type="xsd:string">600/0000/1</CourseQAN>
      <blnActive xsi:type="xsd:boolean">true</blnActive>
      <blnCompleted xsi:type="xsd:boolean">false</blnCompleted>
      <blnTest xsi:type="xsd:boolean">false</blnTest>
    </ns1:GetCandidates>
  </soapenv:Body>"""
)
# without the header's id="h_id1", which is only a label (3.2); the course is id2 because no address is sent
GROUP_ENROLMENT = f"""<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
               xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"
               xmlns:tns="{LA}"
               xmlns:types="{LA}/encodedTypes"
               xmlns:xsd="http://www.w3.org/2001/XMLSchema"
               xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <soap:Header>
    <tns:authToken>
      <id xsi:type="xsd:string">40721</id>
      <uuid xsi:type="xsd:string">0B7C2E54-91AD-4F0E-8D3316A2C5F7E901</uuid>
    </tns:authToken>
  </soap:Header>
  <soap:Body soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
    <tns:GroupEnrolment>
      <User href="#id1"/>
      <blnAssignEvaluationOnEnroll xsi:type="xsd:boolean">false</blnAssignEvaluationOnEnroll>
      <blnSendLoginDetailsOnEnroll xsi:type="xsd:boolean">false</blnSendLoginDetailsOnEnroll>
    </tns:GroupEnrolment>
    <q1:Type_enrolmentUser xmlns:q1="{TYPES}" id="id1" xsi:type="q1:Type_enrolmentUser">
      <CompanyUUID xsi:type="xsd:string">7F30B1C9-0D84-4E2A-B5516CE90A3D1F48</CompanyUUID>
      <Course href="#id2"/>
      <EmailAddress xsi:type="xsd:string">stu-1001@learners.example</EmailAddress>
      <Forename xsi:type="xsd:string">Robin</Forename>
      <SourceSystemLearnerUUID xsi:type="xsd:string">stu-1001</SourceSystemLearnerUUID>
      <Surname xsi:type="xsd:string">Sample</Surname>
    </q1:Type_enrolmentUser>
    <q2:Type_enrolmentCourse xmlns:q2="{TYPES}" id="id2" xsi:type="q2:Type_enrolmentCourse">
      <CourseUUID xsi:type="xsd:string">E2A94C08-77F1-4D63-90BD1C5568AE3F12</CourseUUID>
      <PrimaryAssessorUUID xsi:type="xsd:string">11A0D6F2-5B3E-4C77-82E9F4410B6C9D05</PrimaryAssessorUUID>
      <PrimaryVerifierUUID xsi:type="xsd:string">93C4E815-A2D0-4F6B-BD0877E15A2C4039</PrimaryVerifierUUID>
    </q2:Type_enrolmentCourse>
  </soap:Body>
</soap:Envelope>"""

TOKEN = {"id": "40721", "uuid": "0B7C2E54-91AD-4F0E-8D3316A2C5F7E901"}
USER_HEADER = {
    "{http://api.learningassistant.com}authToken": {
        "$attr": {"loggedin": "YES"},
        "{http://api.learningassistant.com}id": TOKEN["id"],
        "{http://api.learningassistant.com}uuid": TOKEN["uuid"],
    }
}
ENROL = {
    f"{{{LA}}}GroupEnrolment": {
        "User": {
            "$ref": f"{{{TYPES}}}Type_enrolmentUser",
            "$value": {
                "CompanyUUID": "7F30B1C9-0D84-4E2A-B5516CE90A3D1F48",
                "Course": {
                    "$ref": f"{{{TYPES}}}Type_enrolmentCourse",
                    "$value": {
                        "CourseUUID": "E2A94C08-77F1-4D63-90BD1C5568AE3F12",
                        "PrimaryAssessorUUID": "11A0D6F2-5B3E-4C77-82E9F4410B6C9D05",
                        "PrimaryVerifierUUID": "93C4E815-A2D0-4F6B-BD0877E15A2C4039",
                    },
                },
                "EmailAddress": "stu-1001@learners.example",
                "Forename": "Robin",
                "SourceSystemLearnerUUID": "stu-1001",
                "Surname": "Sample",
            },
        },
        "blnAssignEvaluationOnEnroll": False,
        "blnSendLoginDetailsOnEnroll": False,
    }
}


@pytest.mark.parametrize(
    ("data", "header", "encoded", "expected"),
    [
        pytest.param(
            {f"{{{LA}}}Authenticate": {"szUsername": "ws-demo-college", "szPassword": "not-a-real-secret"}},
            None,
            False,
            AUTHENTICATE,
            id="authenticate",
        ),
        pytest.param(
            {
                f"{{{LA}}}GetCandidates": {
                    "CourseQAN": "600/0000/1",
                    "blnActive": True,
                    "blnCompleted": False,
                    "blnTest": False,
                }
            },
            USER_HEADER,
            True,
            GET_CANDIDATES,
            id="get_candidates",
        ),
        pytest.param(ENROL, {f"{{{LA}}}authToken": TOKEN}, True, GROUP_ENROLMENT, id="group_enrolment"),
    ],
)
def test_write_gives_the_documented_envelope(data, header, encoded, expected):
    written = soap.write(data, header, SoapStyle(encoded=encoded))
    assert canonical(written) == canonical(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("x", '<a xsi:type="xsd:string">x</a>', id="text"),
        pytest.param("", '<a xsi:type="xsd:string"/>', id="empty_text"),
        pytest.param(5, '<a xsi:type="xsd:int">5</a>', id="whole"),
        pytest.param(2**31, '<a xsi:type="xsd:long">2147483648</a>', id="beyond_32_bits"),
        pytest.param(5.0, '<a xsi:type="xsd:int">5</a>', id="whole_float"),
        pytest.param(33.5, '<a xsi:type="xsd:double">33.5</a>', id="fraction"),
        pytest.param(True, '<a xsi:type="xsd:boolean">true</a>', id="boolean"),
        pytest.param({"$nil": True}, '<a xsi:nil="true"/>', id="nil"),
        pytest.param(
            {"$attr": {"k": "v"}, "$text": "x"}, '<a k="v" xsi:type="xsd:string">x</a>', id="attr_and_text"
        ),
        pytest.param({"b": ["1"]}, '<a><b xsi:type="xsd:string">1</b></a>', id="struct_in_place"),
        pytest.param(
            {"$array": "{urn:t}Unit", "$items": [{"U": "1"}, {"U": "2"}]},
            """<a xmlns:q="urn:t" xsi:type="soapenc:Array" soapenc:arrayType="q:Unit[2]">
                 <item xsi:type="q:Unit"><U xsi:type="xsd:string">1</U></item>
                 <item xsi:type="q:Unit"><U xsi:type="xsd:string">2</U></item></a>""",
            id="array_of_structs",
        ),
        pytest.param(
            {"$array": "{http://www.w3.org/2001/XMLSchema}string", "$items": ["1"]},
            """<a xsi:type="soapenc:Array" soapenc:arrayType="xsd:string[1]">
                 <item xsi:type="xsd:string">1</item></a>""",
            id="array_of_text",
        ),
        pytest.param(
            {"$array": "{urn:t}Unit", "$items": []},
            '<a xmlns:q="urn:t" xsi:type="soapenc:Array" soapenc:arrayType="q:Unit[0]"/>',
            id="empty_array",
        ),
        pytest.param(
            {"$array": "{urn:t}Unit", "$items": [{"$nil": True}]},
            """<a xmlns:q="urn:t" xsi:type="soapenc:Array" soapenc:arrayType="q:Unit[1]">
                 <item xsi:nil="true"/></a>""",
            id="nil_item",
        ),
    ],
)
def test_write_encoded_gives_each_value_its_type(value, expected):
    written = soap.write({"{urn:m}Do": {"a": value}}, None, SoapStyle(encoded=True))
    style = 'soapenv:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"'
    whole = ENVELOPE.format(f'<soapenv:Body><m:Do xmlns:m="urn:m" {style}>{expected}</m:Do></soapenv:Body>')
    # arrayType is no qualified name, so its prefix is not rewritten: compare it with our own prefix
    assert canonical(written) == canonical(whole)


def test_write_encoded_with_items_by_reference_gives_an_independent_element_each():
    items = [{"$ref": "{urn:t}Unit", "$value": {"U": text}} for text in ("1", "2")]
    written = soap.write(
        {"Do": {"a": {"$array": "{urn:t}Unit", "$items": items}}}, None, SoapStyle(encoded=True)
    )
    assert re.findall(rb'<item href="(#id\d)"/>', written) == [b"#id1", b"#id2"]
    parsed = soap.read(xmltree.parse(written, STYLE), STYLE)
    assert parsed["body"] == {"Do": {"a": [{"U": "1"}, {"U": "2"}]}}


def test_write_plain_puts_bare_children_in_the_namespace_of_their_parent_in_the_header_too():
    written = soap.write({"{urn:m}Do": {"a": "1"}}, {"{urn:h}Auth": {"key": "k"}}, SoapStyle())
    names = [element.tag for element in etree.fromstring(written).iter()]
    assert names[2:4] == ["{urn:h}Auth", "{urn:h}key"]
    assert names[5:] == ["{urn:m}Do", "{urn:m}a"]


def test_write_of_a_bare_method_name_is_in_no_namespace():
    assert b"<Ping/>" in soap.write({"Ping": {}}, None, SoapStyle())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param({"$ref": "{urn:t}T"}, r"`Do.a`: `\$ref` needs", id="ref_without_value"),
        pytest.param({"$ref": "{urn:t}T", "$value": "x"}, r"`Do.a`: `\$ref` needs", id="ref_to_text"),
        pytest.param({"$ref": "T", "$value": {}}, r"`Do.a`: write a type as", id="ref_without_namespace"),
        pytest.param(
            {"$ref": "{urn:t}1T", "$value": {}}, "`Do.a`: this is not a name", id="ref_to_a_bad_name"
        ),
        pytest.param(
            {"$array": "{urn:t}T", "$value": []}, r"`Do.a`: `\$array` needs", id="array_without_items"
        ),
        pytest.param({"$array": 5, "$items": []}, "`Do.a`: write a type as", id="array_of_no_type"),
        pytest.param({"b": {"$text": None}}, r"`Do.a.b.\$text`: null", id="null"),
        pytest.param({"b": "secret\x02"}, "`Do.a.b`: a control character", id="control_character"),
        pytest.param(
            {"$ref": "{urn:t}T", "$value": {"b": "secret\x02"}}, "`Do.a.b`: a control", id="inside_a_ref"
        ),
    ],
)
def test_write_encoded_of_what_cannot_be_sent_is_refused_by_place(value, message):
    with pytest.raises(ValueError, match=message) as refused:
        soap.write({"Do": {"a": value}}, None, SoapStyle(encoded=True))
    assert "secret" not in str(refused.value)


def test_write_plain_refuses_references():
    with pytest.raises(ValueError, match=r"`Do.\$ref`"):
        soap.write({"Do": {"$ref": "{urn:t}T", "$value": {}}}, None, SoapStyle())


@pytest.mark.parametrize("data", [None, {}, "x", [{"Do": {}}]])
def test_write_without_a_body_element_is_refused(data):
    with pytest.raises(ValueError, match="names its element"):
        soap.write(data, None, SoapStyle())


# ---- reading


def auth_token(namespace: str, loggedin: str = "YES", id_: str = " 40721 ", uuid: str = "0B7C") -> str:
    return f"""<soapenv:Header>
    <authToken xmlns="{namespace}" xmlns:ns1="{namespace}"
               loggedin="{loggedin}" soapenv:actor="" soapenv:mustUnderstand="0">
      <id type="xsd:string">{id_}</id><uuid type="xsd:string">{uuid}</uuid>
    </authToken></soapenv:Header>"""


def test_read_of_a_login_reply_gives_the_token_of_the_header():
    answer = f"""<soapenv:Body><AuthenticateResponse xmlns="{LA}">
        <AuthenticateReturn xsi:type="xsd:string">YES</AuthenticateReturn>
        </AuthenticateResponse></soapenv:Body>"""
    assert read(auth_token(LA) + answer) == {
        "header": {"authToken": {"loggedin": "YES", "id": "40721", "uuid": "0B7C"}},
        "body": {"AuthenticateResponse": {"AuthenticateReturn": "YES"}},
        "fault": None,
    }


def test_read_of_a_refused_login_leaves_the_empty_token_parts_out():
    parsed = read(auth_token(LA, "NO", "", " ") + "<soapenv:Body/>")
    assert parsed["header"] == {"authToken": {"loggedin": "NO"}}


CANDIDATE = """<AnticipatedEndDate xsi:type="xsd:string"> 2026-12-18 </AnticipatedEndDate>
    <CandidateUUID xsi:type="xsd:string">5D1E</CandidateUUID>
    <ULN xsi:type="xsd:string"/><Forename xsi:nil="true"/>"""
ITEM = {"AnticipatedEndDate": "2026-12-18", "CandidateUUID": "5D1E"}
ARRAY = 'soapenc:arrayType="ns3:Type_candidate[0]" xsi:type="soapenc:Array"'
NESTED = f"""<ns2:GetCandidatesResponse xmlns:ns2="{LA}" xmlns:ns3="http://user.types.soap.webservices">
    <GetCandidatesReturn {ARRAY}>
      <GetCandidatesReturn xsi:type="ns3:Type_candidate">{CANDIDATE}</GetCandidatesReturn>
    </GetCandidatesReturn></ns2:GetCandidatesResponse>"""
MULTI_REF = f"""<ns2:GetCandidatesResponse xmlns:ns2="{LA}">
    <GetCandidatesReturn href="#id0"/></ns2:GetCandidatesResponse>
    <multiRef xmlns:ns3="u" id="id0" soapenc:root="0" {ARRAY}><item href="#id1"/></multiRef>
    <multiRef id="id1" soapenc:root="0" xmlns:ns3="u" xsi:type="ns3:Type_candidate">{CANDIDATE}</multiRef>"""


@pytest.mark.parametrize(
    "answer", [pytest.param(NESTED, id="nested"), pytest.param(MULTI_REF, id="multi_ref")]
)
@pytest.mark.parametrize("lists", [STYLE.lists, ()], ids=["listed", "by_array_type"])
def test_read_of_candidates_gives_the_same_list_nested_and_by_reference(answer, lists):
    style = XmlStyle(resolve_href=True, empty_absent=True, lists=lists)
    assert body(answer, style) == {"GetCandidatesResponse": {"GetCandidatesReturn": [ITEM]}}


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(f"<GetCandidatesReturn {ARRAY} xmlns:ns3='u'/>", id="empty_array"),
        pytest.param('<GetCandidatesReturn xsi:nil="true"/>', id="nil"),
        pytest.param("<GetCandidatesReturn/>", id="empty"),
    ],
)
def test_read_of_no_candidates_gives_an_empty_list(result):
    answer = f'<n:GetCandidatesResponse xmlns:n="{LA}">{result}</n:GetCandidatesResponse>'
    assert body(answer) == {"GetCandidatesResponse": {"GetCandidatesReturn": []}}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param(
            '<MessageList soapenc:arrayType="xsd:string[0]" xsi:type="soapenc:Array"/>', [], id="none"
        ),
        pytest.param(
            "<MessageList><item>Unknown course</item></MessageList>", ["Unknown course"], id="texts"
        ),
        pytest.param("<MessageList>Unknown course</MessageList>", ["Unknown course"], id="bare_text"),
        pytest.param(
            "<MessageList><m><FieldName>Course</FieldName><Message>Unknown</Message></m></MessageList>",
            [{"FieldName": "Course", "Message": "Unknown"}],
            id="structures",
        ),
    ],
)
def test_read_of_an_enrolment_reply_always_lists_its_messages(messages, expected):
    answer = f"""<ns1:GroupEnrolmentResponse xmlns:ns1="{LA}"><GroupEnrolmentReturn>
        <CandidateUUID xsi:type="xsd:string">5D1E</CandidateUUID>{messages}
        <Success xsi:type="xsd:boolean">true</Success><ULN xsi:type="xsd:string"/>
        </GroupEnrolmentReturn></ns1:GroupEnrolmentResponse>"""
    returned = {"CandidateUUID": "5D1E", "MessageList": expected, "Success": "true"}
    assert body(answer) == {"GroupEnrolmentResponse": {"GroupEnrolmentReturn": returned}}


def test_read_of_a_fault_gives_the_fault_and_no_body():
    parsed = read("""<soapenv:Body><soapenv:Fault>
        <faultcode>soapenv:Server.userException</faultcode><faultstring> not logged in </faultstring>
        <detail><ns1:hostname xmlns:ns1="http://xml.apache.org/axis/">stand-in</ns1:hostname></detail>
        </soapenv:Fault></soapenv:Body>""")
    assert parsed == {
        "header": {},
        "body": {},
        "fault": {
            "faultcode": "soapenv:Server.userException",
            "faultstring": "not logged in",
            "detail": {"hostname": "stand-in"},
        },
    }


@pytest.mark.parametrize(("inside", "text"), [("", ""), ("Server busy", "Server busy")])
def test_read_of_an_odd_fault_is_still_a_fault(inside, text):
    parsed = read(f"<soapenv:Body><soapenv:Fault>{inside}</soapenv:Fault></soapenv:Body>")
    assert parsed["fault"] == {"faultstring": text}


def test_read_with_prefixed_names_keeps_the_prefixes_of_elements():
    style = XmlStyle(names="prefixed")
    assert body('<n:R xmlns:n="u"><a>1</a></n:R>', style) == {"n:R": {"a": "1"}}


def test_read_of_references_that_go_round_ends():
    answer = '<R href="#a"/><m id="a"><b href="#c"/></m><m id="c"><d href="#a"/><e>1</e></m>'
    assert body(answer) == {"R": {"b": {"e": "1"}}}


def test_read_shows_an_independent_element_that_nothing_refers_to():
    assert body('<R><a>1</a></R><m id="x"><b>2</b></m>') == {"R": {"a": "1"}, "m": {"id": "x", "b": "2"}}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("<html><body/></html>", id="html"),
        pytest.param("<Envelope><Body/></Envelope>", id="no_namespace"),
        pytest.param('<Envelope xmlns="urn:other"><Body/></Envelope>', id="other_namespace"),
        pytest.param('<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"/>', id="no_body"),
        pytest.param(
            '<Body xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body/></Body>', id="other_root"
        ),
    ],
)
def test_read_of_another_document_is_none(document):
    assert soap.read(xmltree.parse(document.encode(), STYLE), STYLE) is None


def test_read_of_a_soap_12_envelope_is_read_alike():
    document = (
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><R>1</R></e:Body></e:Envelope>'
    )
    assert soap.read(xmltree.parse(document.encode(), STYLE), STYLE)["body"] == {"R": "1"}
