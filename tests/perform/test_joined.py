"""Several LMSs behind one RTOPilot: courses together, everything else home by its id."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.contract import Course, Inputs, Operation
from gateway.errors import GatewayError, NotFound, VendorFault, VendorTimeout
from gateway.perform.joined import Joined

OWN = Joined(name="acme", members={None: "acme", "media": "acme/media"})
BOTH = Joined(name="acme", members={"one": "acme/one", "two": "acme/two"})
LISTS = {
    "acme/one": [Course(id="one__7", name="Welding")],
    "acme/two": [Course(id="two__7", name="First Aid")],
}


def reading(**failures: Exception) -> Callable[[str], Awaitable[list[Course]]]:
    async def read(name: str) -> list[Course]:
        await asyncio.sleep(0)
        if (error := failures.get(name.partition("/")[2])) is not None:
            raise error
        return LISTS[name]

    return read


@pytest.mark.parametrize(
    ("operation", "inputs", "home"),
    [
        (Operation.GET_COURSE, Inputs(course_id="media__tmfra"), "acme/media"),
        (Operation.GET_COURSE, Inputs(course_id="126"), "acme"),
        (Operation.CREATE_ENROLMENT, Inputs(course_id="media__7", enrolment_id="9-9"), "acme/media"),
        (Operation.GET_ENROLMENT, Inputs(enrolment_id="media__7-126"), "acme/media"),
        (Operation.GET_ENROLMENT, Inputs(enrolment_id="7-126_2"), "acme"),
        (Operation.TRANSFER_ENROLMENT, Inputs(enrolment_id="media__7-126_2"), "acme/media"),
        (Operation.CANCEL_ENROLMENT, Inputs(enrolment_id="7-126"), "acme"),
        (Operation.UPDATE_MARKING, Inputs(enrolment_id="media__r" + "a" * 26), "acme/media"),
    ],
)
def test_a_request_goes_home_by_the_id_it_is_about(operation: Operation, inputs: Inputs, home: str) -> None:
    assert OWN.home(operation, inputs) == home


@pytest.mark.parametrize(
    ("operation", "inputs", "code"),
    [
        (Operation.GET_COURSE, Inputs(course_id="7"), "unknown_course"),
        (Operation.GET_COURSE, Inputs(course_id="three__7"), "unknown_course"),
        (Operation.CREATE_ENROLMENT, Inputs(), "unknown_course"),
        (Operation.GET_ENROLMENT, Inputs(enrolment_id="7-126"), "unknown_enrolment"),
        (Operation.CANCEL_ENROLMENT, Inputs(enrolment_id="ONE__7-126"), "unknown_enrolment"),
    ],
)
def test_an_id_that_none_of_them_can_have_is_not_found(
    operation: Operation, inputs: Inputs, code: str
) -> None:
    with pytest.raises(NotFound) as error:
        BOTH.home(operation, inputs)
    assert error.value.code == code


async def test_the_courses_of_all_are_one_list_and_the_same_one_again() -> None:
    found = await BOTH.courses(reading())
    assert [course.id for course in found] == ["one__7", "two__7"]
    assert await BOTH.courses(reading()) is found


async def test_one_that_is_down_leaves_the_others_courses_and_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = await BOTH.courses(reading(one=VendorTimeout()))
    assert [course.id for course in found] == ["two__7"]
    assert "acme: the course list is without those of acme/one (vendor_timeout)" in caplog.text


async def test_all_down_is_an_error() -> None:
    with pytest.raises(GatewayError) as error:
        await BOTH.courses(reading(one=VendorFault(), two=VendorTimeout()))
    assert error.value.code == "vendor_fault"


async def test_a_mistake_of_ours_is_not_taken_for_a_vendor_that_is_down() -> None:
    with pytest.raises(ZeroDivisionError):
        await BOTH.courses(reading(one=ZeroDivisionError()))
