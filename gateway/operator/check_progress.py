"""How progress comes back for one tenant: where it goes, in which zone, by which webhooks, and what waits.

check_polls.py looks at the polls, check_push.py at RTOPilot itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import Connection

from gateway.config.tenants import TenantConfig
from gateway.contract import Operation
from gateway.mapping.progress_spec import Webhook
from gateway.mapping.zones import find_zone
from gateway.operator.check import Row, ok, red, skipped, warning
from gateway.operator.check_polls import poll_rows
from gateway.operator.check_push import PRODUCTION
from gateway.operator.outbox_report import Overview, key_advice, overview
from gateway.operator.run_report import stamp
from gateway.perform.tenant import Tenant
from gateway.progress.progress import Progress
from gateway.progress.push import PRODUCTION_HOST, Target
from gateway.progress.timing import Override
from gateway.progress.webhooks import switched_on
from gateway.store import inbox, pauses
from gateway.store.pauses import Pause

WHAT = "Progress reaches RTOPilot"
WEBHOOK = "The LMS's webhook"
WAITING_LONG_S = 3600.0


async def progress_rows(tenant: Tenant, config: TenantConfig, progress: Progress) -> list[Row]:
    """Everything about progress that needs neither the vendor nor RTOPilot."""
    if not config.progress.on:
        return [skipped(WHAT, "It is switched off: `progress: off`.")]
    rows = [way(config)]
    if tenant.mapping.progress is None:
        return [*rows, warning("Polls", "This mapping reads no progress.", "Take a mapping that does.")]
    rows.append(_zone(config.progress.zone, tenant.database.clock.now()))
    rows += await poll_rows(tenant, progress.poller.overrides.get(tenant.name, Override()))
    rows += lms_webhooks(tenant, config)
    if config.rtopilot.hooks is not None:
        rows.append(rtopilot_webhooks(config))
    rows += await _stored_rows(tenant, progress.deliveries.targets.get(tenant.name))
    return rows


def way(config: TenantConfig) -> Row:
    """Whether anything is pushed, and whether it is meant seriously."""
    rtopilot = config.rtopilot
    if rtopilot.base_url is None:
        todo = f"Write `rtopilot: {{base_url: {PRODUCTION}, production: true, api_key: …}}` under the tenant."
        return warning(WHAT, "It does not: RTOPilot hears of none by itself.", todo)
    address = urlsplit(rtopilot.base_url)
    if (address.hostname or "").rstrip(".") != PRODUCTION_HOST:
        return ok(WHAT, f"A rehearsal: it goes to {rtopilot.base_url}, and RTOPilot itself hears nothing.")
    if rtopilot.base_url != PRODUCTION:
        return warning(WHAT, f"Production, at {rtopilot.base_url}.", f"RTOPilot documents {PRODUCTION}.")
    return ok(WHAT, "Production: a 100 can issue a certificate.")


def lms_webhooks(tenant: Tenant, config: TenantConfig) -> list[Row]:
    """Of each webhook that the tenant has, whether what the LMS sends can be verified."""
    found = switched_on(tenant.mapping.progress, tenant.frame(Operation.GET_ENROLMENT).root)
    if len(found) == 1:
        return [lms_webhook(found[0], config)]
    rows = [lms_webhook(each, config, what=f"{WEBHOOK}, `{each.name}`") for each in found]
    if not any(row.verdict == "ok" for row in rows):
        return rows
    # of several one may be meant for accounts that send in another way
    return [replace(row, verdict="warning") if row.verdict == "red" else row for row in rows]


def lms_webhook(webhook: Webhook, config: TenantConfig, *, what: str = WEBHOOK) -> Row:
    """Whether what the LMS sends can be verified."""
    verify = webhook.verify
    if verify.kind == "none-quarantine":
        todo = "The polls do the work. `lms-gateway hooks list` shows what was kept aside."
        return warning(what, "Nothing proves who sends it, so all of it is kept aside.", todo)
    given = [name for name in verify.secrets if name in config.secrets]
    if verify.secrets and not given:
        names = " and ".join(f"`{name}`" for name in verify.secrets)
        none = f"{names} {'have' if len(verify.secrets) > 1 else 'has'} no value"
        if not any(config.mapping.secrets[name].required for name in verify.secrets):
            return skipped(what, f"Not set up: {none}. The polls do the work.")
        todo = f"Write {names.split(' and ')[0]} under the tenant's `secrets`. The polls go on without."
        return red(what, f"It is refused: {none}.", todo)
    secrets = f", with {' and '.join(given)}" if given else ""
    return ok(
        what,
        f"Verified by {verify.kind}{secrets}.",
        f"`lms-gateway settings {config.name}` shows its address.",
    )


def rtopilot_webhooks(config: TenantConfig) -> Row:
    """Whether RTOPilot's own webhooks are believed."""
    what = "RTOPilot's webhooks"
    assert config.rtopilot.hooks is not None
    rules = config.rtopilot.hooks.rules
    if rules.allow_unsigned:
        todo = "Write `signature` as soon as it is known: `lms-gateway hooks match` finds it."
        return warning(what, "Whoever knows the credential is believed: `allow_unsigned`.", todo)
    if rules.scheme is None:
        todo = "Press Test at one of them, then `lms-gateway hooks match` says what to write."
        return warning(what, "How they are signed is not written, so all are kept aside.", todo)
    if not rules.secrets:
        return warning(what, "No event has a secret, so all are kept aside.", "Write `events:` with secrets.")
    return ok(what, f"{', '.join(rules.secrets)}; signed in {rules.scheme.header}.")


def queue_row(found: Overview, pause: Pause | None, now: float) -> Row:
    """What waits for RTOPilot. `pause` is of the key that is in use now."""
    what, line = "Queue for RTOPilot", found.tenants[0]
    waiting = f"{line.waiting:,} wait" if line.waiting != 1 else "1 waits"
    if pause is not None:
        return red(what, f"It is paused, and {waiting}: {pause.reason}", key_advice(pause))
    if line.dead:
        why = f", such as: {found.causes[0].example}" if found.causes and found.causes[0].example else "."
        return warning(what, f"{waiting}; {line.dead:,} dead{why}", line.advice)
    if line.oldest is not None and line.oldest < now - WAITING_LONG_S:
        todo = f"Is a gateway running? `lms-gateway outbox list {line.tenant}` says why they wait."
        return warning(what, f"{waiting}, the oldest since {stamp(line.oldest)}.", todo)
    return ok(what, f"{waiting}, {line.counts.get('done', 0):,} delivered so far.")


async def _stored_rows(tenant: Tenant, target: Target | None) -> list[Row]:
    """The queue, where anything is pushed, and the webhooks that were kept aside."""
    now, name = tenant.database.clock.now(), tenant.name

    def read(conn: Connection) -> tuple[Overview, list[Pause], int]:
        found = overview(conn, tenant=name, states=(), cause=None, limit=1)
        aside = inbox.counts(conn).get(name, {}).get("quarantined", 0)
        return found, pauses.all_paused(conn), aside

    found, paused, aside = await tenant.database.read(read)
    rows = []
    if target is not None:
        key = target.key.fingerprint
        pause = next((each for each in paused if (each.tenant, each.key_hash) == (name, key)), None)
        rows.append(queue_row(found, pause, now))
    if aside:
        todo = f"`lms-gateway hooks list --tenant {name}` says why of each."
        rows.append(warning("Webhooks kept aside", f"{aside:,}; nothing was done with them.", todo))
    return rows


def _zone(name: str, now: float) -> Row:
    local = datetime.fromtimestamp(now, find_zone(name))
    return ok("Time zone", f"{name}, where it is {local:%H:%M} now; for `at` and for dates.")
