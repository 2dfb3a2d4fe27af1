"""`choices`: what a setting may be, read from the vendor."""

import pytest

from gateway.errors import RequestError, VendorError
from gateway.sandbox import learning_assistant_seed as la
from gateway.sandbox.learning_assistant import create_learning_assistant
from gateway.sandbox.learning_assistant_switches import LearningAssistantSwitches
from gateway.sandbox.serve import running
from gateway.vendor.trace import Trace
from gateway.workbench.choices import choices
from tests.workbench.stand_ins import at_work


async def listed(folder, setting, *, mapping="learning-assistant", trace=None, **switches):
    with running(create_learning_assistant(LearningAssistantSwitches(**switches))) as url:
        async with at_work(mapping, url, folder) as perform:
            return await choices(perform.tenants["acme"], setting, trace=trace)


async def test_the_vendors_list_is_read_with_ids_and_names(tmp_path):
    found = await listed(tmp_path, "company")
    assert {row["id"] for row in found} == {la.COMPANY_UUID, la.OTHER_COMPANY_UUID}
    assert all(row["name"] for row in found)


@pytest.mark.parametrize(
    ("setting", "mine", "other"),
    [("assessor", la.ASSESSOR_UUID, la.VERIFIER_UUID), ("verifier", la.VERIFIER_UUID, la.ASSESSOR_UUID)],
)
async def test_only_the_items_that_the_mapping_keeps_are_listed(tmp_path, setting, mine, other):
    ids = {row["id"] for row in await listed(tmp_path, setting)}
    assert mine in ids
    assert other not in ids


async def test_the_exchange_is_in_the_trace(tmp_path):
    trace = Trace()
    await listed(tmp_path, "company", trace=trace)
    assert [shown["step"] for shown in trace.shown()] == ["settings.company"]


async def test_words_of_the_mapping_need_no_vendor(tmp_path):
    async with at_work("learning-assistant", "http://127.0.0.1:9", tmp_path) as perform:
        found = await choices(perform.tenants["acme"], "transfer")
    assert found == [{"id": "refuse", "name": "refuse"}, {"id": "create", "name": "create"}]


@pytest.mark.parametrize(
    ("setting", "said"), [("compny", "has no setting `compny`"), ("email", "no list of values for `email`")]
)
async def test_a_setting_without_choices_is_refused_with_those_that_have_some(tmp_path, setting, said):
    async with at_work("learning-assistant", "http://127.0.0.1:9", tmp_path) as perform:
        with pytest.raises(RequestError, match=said) as refused:
            await choices(perform.tenants["acme"], setting)
    assert "With choices: company, assessor" in refused.value.message


async def test_a_vendor_that_refuses_the_login_is_told_as_it_is(tmp_path):
    with pytest.raises(VendorError) as refused:
        await listed(tmp_path, "company", password="another")
    assert refused.value.code == "vendor_login"


async def test_a_vendor_that_cannot_be_reached_is_told_as_it_is(tmp_path):
    async with at_work("learning-assistant", "http://127.0.0.1:9", tmp_path) as perform:
        with pytest.raises(VendorError):
            await choices(perform.tenants["acme"], "company")


async def test_a_list_that_is_not_there_is_a_fault_of_the_vendor(tmp_path):
    with pytest.raises(VendorError):
        await listed(tmp_path, "company", rename={"company.cfc": "employer.cfc"})


async def test_a_list_without_the_ids_the_mapping_names_is_a_fault_not_an_empty_list(tmp_path):
    with pytest.raises(VendorError) as fault:
        await listed(tmp_path, "company", rename={"CompanyUUID": "EmployerUUID"})
    assert "none of 2 items" in fault.value.detail
