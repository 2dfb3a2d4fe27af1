"""A database of an earlier version is brought up to this one with its rows."""

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from gateway.store import enrolments, migrate, outbox, steps
from gateway.store.database import upgrade
from gateway.store.engines import is_sqlite, parse_url, postgres_engine, sqlite_engine
from gateway.store.tables import metadata

ROW = (
    "INSERT INTO enrolment (tenant, id, alias, vendor_account, key, generation, state, record, completed,"
    " adopted, last_progress, created_at) VALUES ('acme', :id, '', 'a', :id, 1, :state, '{}', false, false, 40, 100.0)"
)


def at_first(url):
    """The engine of a store as the first version left it, with an enrolment in each state and a step."""
    parsed = parse_url(url)
    engine = sqlite_engine(parsed, writes=True) if is_sqlite(parsed) else postgres_engine(parsed)
    with engine.begin() as conn:
        metadata.drop_all(conn)
        conn.execute(text("DROP TABLE alembic_version"))
    with engine.begin() as conn:
        config = Config()
        config.set_main_option("script_location", str(migrate.SCRIPTS))
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
        for state in ("active", "cancelled", "moved"):
            conn.execute(text(ROW), {"id": state, "state": state})
        conn.execute(text("INSERT INTO step (run_id, seq, name, state) VALUES ('r', 0, 's', 'done')"))
    return engine


def test_enrolments_of_the_first_version_may_be_pushed_while_they_are_active(store_url):
    engine = at_first(store_url)
    upgrade(store_url)
    with engine.begin() as conn:
        found = [enrolments.by_id(conn, "acme", id) for id in ("active", "cancelled", "moved")]
        assert [each.push_from for each in found] == [100.0, None, None]
        assert {(each.last_progress, each.read_at, each.event_at) for each in found} == {(40, None, None)}
        assert steps.steps_of(conn, "r")[0].found is None
        outbox.put(conn, "acme", "active", 41, 200.0)
        assert [item.id for item in outbox.claim(conn, "acme", "me", 200.0, 60.0, 9)] == ["active"]
        migrate.require_current(conn)
    engine.dispose()
