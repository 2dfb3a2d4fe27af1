"""`wsdl-diff`: what a mapping names otherwise than the vendor, and that the pasted names make it work."""

import contextlib
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from gateway.contract import Operation
from gateway.errors import AnswerLost
from gateway.mapping.load import compile_document
from gateway.outbound import Pool
from gateway.sandbox import learning_assistant_seed as la
from gateway.sandbox.learning_assistant import create_learning_assistant
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.serve import running
from gateway.workbench.trial import trial
from gateway.workbench.wsdl import Difference, names_block, pool_fetch, wsdl_diff
from gateway.workbench.wsdl_read import NotAWsdl, read_wsdl
from gateway.workbench.wsdl_text import print_differences
from gateway.workbench.wsdl_uses import uses, vendor_names
from gateway.yamlfile import parse_yaml, read_yaml
from tests.workbench.stand_ins import API, MAPPINGS, at_work, mapping

STUDENT = {"id": "stu-77", "firstName": "Robin", "lastName": "Sample"}


@contextlib.contextmanager
def vendor(**switches):
    with running(create_learning_assistant(LearningAssistantSwitches(**switches))) as url:
        yield url


async def compared(url, names=None):
    async with Pool(hosts={"127.0.0.1"}) as pool:
        fetch = pool_fetch(pool, url + API["learning-assistant"])
        return await wsdl_diff(mapping("learning-assistant"), names or {}, fetch)


def pasted(block):
    """The names as config.yaml's reader sees them."""
    return parse_yaml(block, file="config.yaml").data["names"]


def by_name(differences):
    return {difference.name: difference for difference in differences}


# -- against the stand-in ---------------------------------------------------------------------------


async def test_a_vendor_as_the_sheet_has_it_needs_no_names():
    with vendor() as url:
        assert names_block(await compared(url)) == ""


RENAMES = {
    "CourseName": "CourseTitle",
    "CandidateUUID": "LearnerUUID",
    "PercentComplete": "PercentageComplete",
    "Type_enrolmentCourse": "Type_enrolCourse",
    "GetProgress": "GetLearnerProgress",
    "PrimaryAssessorUUID": "MainAssessorUUID",
}


async def test_renamed_names_are_found_with_what_they_are_called_now():
    with vendor(rename=RENAMES) as url:
        found = by_name(await compared(url))
    for ours, theirs in RENAMES.items():
        assert found[ours].theirs == theirs
        assert found[ours].fixable
    assert found["CourseName"].kind == "reply"
    assert found["PrimaryAssessorUUID"].kind == "accessor"
    assert found["Type_enrolmentCourse"].kind == "type"
    assert found["GetProgress"].kind == "method"


async def test_the_gateway_works_once_the_block_is_pasted(tmp_path):
    """Through the production client: courses, a new enrolment and its progress."""
    with vendor(rename=RENAMES) as url:
        names = pasted(names_block(await compared(url)))
        assert names_block(await compared(url, names)) == ""
        async with at_work("learning-assistant", url, tmp_path, wire_names=names) as perform:
            courses = await trial(perform, "acme", Operation.GET_COURSES, {})
            given = {"courseId": la.COURSE_UUID, "student": STUDENT}
            made = await trial(perform, "acme", Operation.CREATE_ENROLMENT, given, really_write=True)
            read = await trial(perform, "acme", Operation.GET_ENROLMENT, {"enrolmentId": made.answer["id"]})
    assert "Certificate in Customer Service" in {course["name"] for course in courses.answer}
    assert read.answer["progress"]["percent"] == 0


async def test_without_the_block_it_does_not_work(tmp_path):
    with vendor(rename=RENAMES) as url:
        async with at_work("learning-assistant", url, tmp_path) as perform:
            courses = await trial(perform, "acme", Operation.GET_COURSES, {})
    assert courses.answer == []


async def test_a_service_that_cannot_be_downloaded_is_listed_and_stops_nothing():
    with vendor(rename={"course.cfc": "framework.cfc", "TrainerUUID": "StaffUUID"}) as url:
        found = by_name(await compared(url))
        assert found["course.cfc"].kind == "service"
        assert "status 404" in found["course.cfc"].note
        assert found["TrainerUUID"].theirs == "StaffUUID"
        again = by_name(await compared(url, {"course.cfc": "framework.cfc"}))
    assert "course.cfc" not in again


async def test_a_vendor_that_does_not_answer_lists_every_service():
    async def fetch(path):
        raise AnswerLost("gone")

    found = await wsdl_diff(mapping("learning-assistant"), {}, fetch)
    assert {difference.kind for difference in found} == {"service"}
    assert len(found) == len({use.path for use in uses(read_yaml(MAPPINGS / "learning-assistant.yaml"))})


async def test_a_name_without_a_near_one_lists_what_there_is_in_a_comment():
    with vendor(rename={"CourseName": "Zzz"}) as url:
        found = await compared(url)
    assert by_name(found)["CourseName"].theirs is None
    assert '  # "CourseName": one of' in names_block(found)
    assert "Zzz" in names_block(found)


async def test_a_name_that_is_right_elsewhere_cannot_be_renamed():
    with vendor(rename={"GetProgress.CourseUUID": "FrameworkUUID"}) as url:
        found = by_name(await compared(url))
    assert found["CourseUUID"].kind == "parameter"
    assert not found["CourseUUID"].fixable
    assert "right in other places" in found["CourseUUID"].note


async def test_a_documented_name_that_differs_is_for_the_mapping_to_change():
    with vendor(rename={"Type_enrolmentUser": "Type_user"}) as url:
        found = by_name(await compared(url))
    assert found["Type_enrolmentUser"].theirs == "Type_user"
    assert not found["Type_enrolmentUser"].fixable
    assert "change the mapping" in found["Type_enrolmentUser"].note


async def test_a_types_namespace_is_compared():
    namespace = "http://enrolment.types.soap.webservices"
    with vendor(rename={namespace: "http://other.example"}) as url:
        found = by_name(await compared(url))
    assert (found[namespace].kind, found[namespace].theirs) == ("namespace", "http://other.example")


# -- small WSDLs ------------------------------------------------------------------------------------

MAPPING = """
format: 1
mapping: demo
version: 1.0.0
vendor: {name: Demo}
provisional: [Add, course, Result, wrong]
settings: {key: {type: text, default: course}, list: {type: list, item: {id: text}, default: []}}
server:
  base: "https://demo.example"
  hosts: [demo.example]
  soap: {encoded: false}
  replies: [{if: "count(descend(reply.soap.body, 'Trouble')) > 0", is: refused, say: "No."}]
operations:
  getCourses: {each: settings.list, as: c, give: {id: "${c.id}", name: "${c.id}"}}
  createEnrolment:
    steps:
      - id: enrol
        first:
          - name: only
            call: POST /service.asmx
            repeat: never
            soap: {action: "urn:add", body: {"{urn:x}Add": {course: "${courseId}", "${settings.key}": "1", list: {$each: settings.list, $as: c, $give: {id: "${c.id}"}}}}}
            value: {id: "${reply.soap.body.AddResponse.Result}"}
    record: {id: "${steps.enrol.id}"}
    key: [id]
  transferEnrolment: {refuse: "No."}
  cancelEnrolment: {refuse: "No."}
"""
LITERAL = """<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
  xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:x" targetNamespace="urn:x">
<types><x:schema targetNamespace="urn:x">
  <x:element name="Add"><x:complexType><x:sequence><x:element name="course" type="x:string"/>
    <x:element name="list" type="t:Rows"/></x:sequence></x:complexType></x:element>
  <x:complexType name="Rows"><x:sequence><x:element name="id" type="x:string"/></x:sequence></x:complexType>
  <x:element name="AddResponse" type="t:Answer"/>
  <x:complexType name="Answer"><x:sequence><x:element name="Result" type="x:string"/><x:element name="Trouble" type="x:string"/></x:sequence></x:complexType>
</x:schema></types>
<message name="AddIn"><part name="parameters" element="t:Add"/></message>
<message name="AddOut"><part name="parameters" element="t:AddResponse"/></message>
<portType name="P"><operation name="Add"><input message="t:AddIn"/><output message="t:AddOut"/></operation></portType>
<binding name="B" type="t:P"><s:binding style="document"/><operation name="Add"><s:operation soapAction="urn:add"/>
  <input><s:body use="literal"/></input><output><s:body use="literal"/></output></operation></binding>
<service name="S"><port name="B" binding="t:B"><s:address location="https://demo.example/service.asmx"/></port></service>
</definitions>"""


async def small(wsdl, names=None):
    document = parse_yaml(MAPPING, file="demo.yaml")
    spec = compile_document(document).mapping

    async def fetch(path):
        assert path == "/service.asmx?wsdl"
        return wsdl.encode()

    return await wsdl_diff(spec, names or {}, fetch, document=document)


async def test_a_document_style_service_that_fits_has_no_differences():
    assert await small(LITERAL) == []


@pytest.mark.parametrize(
    ("old", "new", "kind", "theirs"),
    [
        ('name="course"', 'name="courses"', "parameter", "courses"),
        ('name="Result"', 'name="Outcome"', "reply", "Outcome"),
        ('name="Trouble"', 'name="Fuss"', "reply", None),
        ('use="literal"', 'use="encoded"', "style", "encoded"),
        ('soapAction="urn:add"', 'soapAction=""', "action", ""),
        ("/service.asmx", "/elsewhere.asmx", "address", "https://demo.example/elsewhere.asmx"),
        ('targetNamespace="urn:x">\n<types>', 'targetNamespace="urn:y">\n<types>', "namespace", "urn:y"),
        ('<x:element name="id" type="x:string"/>', "", "accessor", None),
        ('name="list" type="t:Rows"', 'name="list" type="x:string"', "type", "string"),
    ],
    ids=[
        "parameter",
        "reply",
        "server rule",
        "style",
        "action",
        "address",
        "namespace",
        "accessor",
        "scalar",
    ],
)
async def test_each_kind_of_difference_is_told(old, new, kind, theirs):
    assert old in LITERAL
    found = await small(LITERAL.replace(old, new))
    assert (kind, theirs) in [(difference.kind, difference.theirs) for difference in found]


async def test_a_method_that_is_not_there_is_told_once():
    found = await small(LITERAL.replace('<operation name="Add">', '<operation name="Zoom">'))
    assert [difference.kind for difference in found if difference.name == "Add"] == ["method"]


async def test_names_already_given_are_not_told_again():
    renamed = LITERAL.replace('name="course"', 'name="courses"')
    assert await small(renamed, {"course": "courses"}) == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html/>", "not a WSDL"),
        (b"Component Browser", "not XML"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "DTD"),
        (b" " * 5_000_001, "larger than 5 MB"),
    ],
    ids=["a page", "text", "entities", "too large"],
)
def test_what_is_no_wsdl_is_refused(content, why):
    with pytest.raises(NotAWsdl, match=why):
        read_wsdl(content)


def test_a_wsdl_without_anything_has_no_address_and_no_operations():
    empty = read_wsdl(b'<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"/>')
    assert (empty.address, empty.operations) == ("", {})


@pytest.mark.parametrize(
    ("text", "item", "found"),
    [
        ("reply.soap.body.R.V.Name", False, ["R", "V", "Name"]),
        ("reply.soap.header.authToken.id", False, []),
        ("reply.status == 200 && settings.x == known.course.y", False, []),
        ("course.Units[?boolean(Mandatory)].UnitUUID ?? `[]`", False, ["Units", "Mandatory", "UnitUUID"]),
        ("Role == 'a' && Id == $.student.id", True, ["Role", "Id"]),
        ("item.CandidateUUID", False, ["CandidateUUID"]),
        ("descend(reply.soap.body, 'Uuid')[0]", False, ["Uuid"]),
        ("leaves(reply.soap.body.*.*.MessageList)", False, ["MessageList"]),
        ("not ( an expression", False, []),
    ],
)
def test_vendor_names_are_told_from_the_mappings_own(text, item, found):
    assert list(vendor_names(text, {"course"}, item=item)) == found


def test_the_block_is_yaml_with_guesses_marked():
    sure = Difference(kind="reply", place="x", name="A", theirs="B", fixable=True)
    block = names_block(
        [sure, replace(sure, name="C", others=("B", "D")), replace(sure, name="E", fixable=False)]
    )
    assert block == 'names:\n  "A": "B"\n  "C": "B"  # or: D\n'
    assert pasted(block) == {"A": "B", "C": "B"}


# -- on a terminal ----------------------------------------------------------------------------------

RENAMED = Difference(kind="reply", place="progress.read", name="A", theirs="B", fixable=True)
STYLE = Difference(kind="style", place="x", name="M", theirs="encoded", note="The WSDL says encoded [1].")


@pytest.mark.parametrize(
    ("differences", "code", "said"),
    [
        ([], 0, "Every name of the mapping is in the WSDLs."),
        ([STYLE], 0, "The WSDL says encoded [1]."),
        ([RENAMED], 1, 'names:\n  "A": "B"'),
    ],
    ids=["none", "information", "renamed"],
)
def test_differences_are_printed_with_the_block_to_paste(differences, code, said):
    out = io.StringIO()
    assert print_differences(differences, Console(file=out, width=100)) == code
    assert said in out.getvalue()


def test_json_output_has_the_differences_and_the_block():
    out = io.StringIO()
    print_differences([RENAMED], Console(file=out), as_json=True)
    data = json.loads(out.getvalue())
    assert data["differences"][0]["theirs"] == "B"
    assert pasted(data["names"]) == {"A": "B"}
