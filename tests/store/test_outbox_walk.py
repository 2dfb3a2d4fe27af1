"""Whatever happens, in whatever order, the newest value is delivered or waits, and never passes for delivered."""

from dataclasses import dataclass, field
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store import enrolments, outbox
from gateway.store.claims import LostLease

LEASE_S = 60.0
TENANTS = count()

WHO = st.sampled_from(("one", "two"))
PUT = st.tuples(st.just("put"), st.integers(0, 3))
GO = st.tuples(st.just("go"), WHO)
DONE = st.tuples(st.sampled_from(("sent", "sent", "sent", "dead", "later", "release")), WHO)
LEASES = st.tuples(st.sampled_from(("claim", "send", "kill")), WHO)
WAIT = st.tuples(st.just("wait"), st.sampled_from((30.0, 100.0)))
ASK = st.tuples(st.sampled_from(("awake", "replay")), st.none())
KINDS = st.sampled_from((PUT, PUT, PUT, GO, GO, GO, DONE, DONE, DONE, LEASES, WAIT, WAIT, ASK))
STEPS = st.lists(KINDS.flatmap(lambda kind: kind), min_size=80, max_size=150)


@dataclass
class World:
    """Two gateways, one enrolment, and what RTOPilot was told of it last."""

    conn: object
    tenant: str
    now: float = 100.0
    newest: int | None = None
    told: int | None = None
    refused: int | None = None
    held: dict = field(default_factory=dict)
    sending: dict = field(default_factory=dict)

    def put(self, value):
        outbox.put(self.conn, self.tenant, "e", value, self.now)
        if value or self.newest is not None:
            self.newest = value

    def claim(self, who):
        if outbox.claim(self.conn, self.tenant, who, self.now, LEASE_S, 5):
            assert not any(until > self.now for until in self.held.values())  # one at a time
            self.held[who] = self.now + LEASE_S

    def go(self, who):
        self.claim(who)
        self.send(who)

    def send(self, who):
        """What leaves is what the row says right before; it arrives before the lease can run out."""
        item = outbox.current(self.conn, self.tenant, "e", who) if who in self.held else None
        if item is not None:
            self.sending[who], self.told = item, item.value

    def answer(self, who, change):
        if not self.sending:
            return
        who = who if who in self.sending else next(iter(self.sending))
        item = self.sending.pop(who)
        self.held.pop(who, None)
        try:
            change(item, who)
        except LostLease:
            return

    def sent(self, who):
        self.answer(
            who,
            lambda item, who: outbox.sent(
                self.conn,
                self.tenant,
                "e",
                who,
                version=item.version,
                value=item.value,
                status=200,
                now=self.now,
            ),
        )

    def later(self, who):
        self.answer(
            who,
            lambda item, who: outbox.later(
                self.conn,
                self.tenant,
                "e",
                who,
                due_at=self.now + 50.0,
                status=503,
                error="x",
                cause="transient",
                now=self.now,
            ),
        )

    def dead(self, who):
        def refuse(item, who):
            if outbox.dead(
                self.conn,
                self.tenant,
                "e",
                who,
                status=422,
                error="x",
                cause="refused",
                now=self.now,
                version=item.version,
            ):
                self.refused = item.value

        self.answer(who, refuse)

    def release(self, who):
        self.answer(who, lambda _, who: outbox.release(self.conn, self.tenant, "e", who))

    def kill(self, who):
        self.held.pop(who, None)
        self.sending.pop(who, None)

    def wait(self, seconds):
        self.now += seconds

    def awake(self, _):
        outbox.awake(self.conn, self.tenant, self.now)

    def replay(self, _):
        outbox.replay(self.conn, tenant=self.tenant, now=self.now)

    def check(self):
        row = outbox.get(self.conn, self.tenant, "e")
        if self.newest is None:
            assert row is None
            return
        assert row.value == self.newest
        if row.state == "done":
            assert row.sent_value == row.value == self.told
            assert row.sent_version == row.version
        elif row.state == "dead":
            assert row.value == self.refused
        assert row.sent_version <= row.version


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_newest_value_is_told_waits_or_was_refused_after_any_sequence(conn, steps):
    world = World(conn, f"t{next(TENANTS)}")
    enrolments.add(
        conn,
        tenant=world.tenant,
        vendor_account="a",
        key="e",
        make_id=lambda n: "e",
        record={},
        now=0.0,
        push_from=0.0,
    )
    for name, what in steps:
        getattr(world, name)(what)
        world.check()
    drain(world)
    if world.newest is not None:
        assert world.told == world.newest


def drain(world):
    """Everybody dies; one that is new brings it to its end."""
    world.held.clear()
    world.sending.clear()
    world.wait(1_000.0)
    world.replay(None)
    for what in ("claim", "send", "sent"):
        getattr(world, what)("new")
    world.check()
    row = outbox.get(world.conn, world.tenant, "e")
    assert row is None or row.state == "done"
