import json
from tests.support.deployment import *
from tests.support.gateway_process import gateway_running
from tests.support.vendor_process import vendor_running
from gateway.sandbox.rtopilot_caller import Caller
from gateway.sandbox.rtopilot_office import Office, Organisation
import time, pytest

@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_tmp(kind, tmp_path):
    t=time.time()
    with vendor_running(kind.module, kind.arguments) as v:
        v.switch(**kind.switches)
        print("vendor", time.time()-t)
        c=write_config(tmp_path, {"acme": tenant(kind, v.url)})
        for i in range(3):
            t=time.time()
            with gateway_running(c) as g:
                print("gw", time.time()-t)
                async with Caller(slots(g.url,"acme")) as caller:
                    o=Office(Organisation(name="x"),caller)
                    cs=await o.list_courses()
                    o.organisation.add_student("s1","A","B")
                    o.organisation.add_student("s2","A","B")
                    o.organisation.link_course("c","c",cs[0]["id"])
                    e=await o.enrol("s1","c")
                    print(e, await o.read_enrolment(e.rto_id))
                    await o.transfer(e.rto_id,"s2"); print(e)
                    await o.cancel(e.rto_id)
            print("all", time.time()-t)
        print(enrolled(kind,v.effects(),v.state()), ended(kind,v.effects(),v.state()), sign_ups(kind,v.effects(),v.state()))
        print((tmp_path/"gateway.log").read_text()[-1500:])
