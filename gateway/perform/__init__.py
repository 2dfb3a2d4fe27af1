"""One operation for one tenant: asked before? -> engine <-> vendor -> save.

tenant.py       a tenant at work: mapping, values, vendor
reads.py        the course list, one course, one enrolment
enrolments.py   the enrolment an id is about, adopted when the database has lost it
writes.py       create, transfer, cancel, marking: what to run and what to store
guards.py       what a write must not meet: another that ends or makes the same enrolment
work.py         one write, prepared
runs.py         a write as a run: repeats, the answer deadline
attempt.py      a run carried on: doubt, look-ups, the work deadline
endings.py      how a run ends: done, failed, in doubt
journal.py      a run's steps in the store
background.py   settling, follow-up work, the manual list
courses.py      course lists, kept and shared
probe.py        facts about the vendor's account
findings.py     what `check` says of that account
uses.py         which roots a part of a mapping reads
keeper.py       vendor sessions in the store
"""

from gateway.perform.perform import Perform, Performed
from gateway.perform.tenant import Tenant, TenantSpec, open_tenant

__all__ = ["Perform", "Performed", "Tenant", "TenantSpec", "open_tenant"]
