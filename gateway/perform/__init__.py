"""One operation for one tenant: asked before? -> engine <-> vendor -> save.

tenant.py       a tenant at work: mapping, values, vendor
reads.py        the course list, one course, one enrolment
enrolments.py   the enrolment an id is about, adopted when the database has lost it
writes.py       create, transfer, cancel, marking: what to run and what to store
runs.py         a write as a run: repeats, doubt, deadlines
journal.py      a run's steps in the store
background.py   settling, follow-up work, the manual list
"""

from gateway.perform.perform import Perform, Performed
from gateway.perform.tenant import Tenant, TenantSpec, open_tenant

__all__ = ["Perform", "Performed", "Tenant", "TenantSpec", "open_tenant"]
