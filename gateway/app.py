"""Wires the rooms together: the only file that knows everyone.

create_app(settings)  ->  the ASGI application RTOPilot calls (its lifespan opens and closes everything)
open_gateway(settings)  ->  the same without HTTP, for commands
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Lifespan

from gateway import ids
from gateway.config import Settings
from gateway.config.tenants import TenantConfig
from gateway.contract import Inputs, Operation, Result
from gateway.errors import StoreError
from gateway.launch import token
from gateway.launch.routes import Launches, launch_routes
from gateway.outbound import Pool
from gateway.perform import Perform, Tenant, TenantSpec, open_tenant
from gateway.perform.background import Background
from gateway.perform.joined import Joined
from gateway.perform.runs import Runs
from gateway.progress.hooks import Hook, Reception, hook_routes, rtopilot_hook, vendor_hooks
from gateway.progress.progress import Progress, open_progress
from gateway.progress.push import Target, open_target
from gateway.progress.rtopilot_key import KeySource
from gateway.progress.timing import Override
from gateway.rtopilot.routes import EXCEPTION_HANDLERS, Performer, TenantDoor, routes
from gateway.store import tokens
from gateway.store.database import Database
from gateway.store.dead import release_dead
from gateway.store.engines import is_sqlite, parse_url
from gateway.store.retention import retention
from gateway.store.traces import Ring

log = logging.getLogger("gateway")

RETENTION_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Everything at work in one process."""

    settings: Settings
    database: Database
    tenants: Mapping[str, Tenant]
    runs: Runs
    background: Background
    perform: Perform
    progress: Progress
    owner: str


def owner_name() -> str:
    """Who holds a lease: this very process, so that a restarted one is somebody else."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid4().hex[:12]}"


def tenant_spec(config: TenantConfig) -> TenantSpec:
    """What perform needs of a tenant in config.yaml."""
    return TenantSpec(
        name=config.name,
        alias=config.alias,
        mapping=config.mapping,
        settings=config.settings,
        secrets={name: secret.reveal() for name, secret in config.secrets.items()},
        base=config.base,
        hosts=config.hosts,
        public_only_hosts=config.public_only_hosts,
        off=config.off,
        wire_names=config.names,
        adopt_unknown_ids=config.adopt_unknown_ids,
        adopted_completed="push" if config.push_adopted_completed else "hold",
        repeat_window_s=config.repeat_window_s,
        grace_s=config.grace_s,
        pushes=config.progress.on and config.rtopilot.base_url is not None,
        fall=config.progress.fall,
        units=config.progress.units,
        zone=config.progress.zone,
        contacts=config.rtopilot.hooks is not None,
    )


@contextlib.asynccontextmanager
async def open_gateway(settings: Settings, *, only: Iterable[str] | None = None) -> AsyncIterator[Gateway]:
    """Open the store and the tenants; nothing runs in the background yet.

    Raises StoreError when the store cannot be used, ProblemsFound when a tenant cannot.
    """
    database = Database.open(settings.store.reveal())
    owner, tenants, targets = owner_name(), dict[str, Tenant](), dict[str, Target]()
    runs = Runs(owner, settings.work_s)
    try:
        if is_sqlite(parse_url(settings.store.reveal())):  # one machine: who was killed here is known
            await database.write(lambda conn: release_dead(conn, owner, database.clock.now()))
        key = tokens.derive_key(settings.session_secret().reveal())
        for name in only if only is not None else settings.tenants:
            spec = tenant_spec(settings.tenants[name])
            tenants[name] = open_tenant(
                spec, database, owner=owner, session_key=key, pool=_pool(settings, spec)
            )
            if spec.pushes:
                targets[name] = _target(settings, name)
        background = Background(database, tenants, runs, owner)
        perform = Perform(
            database=database,
            tenants=tenants,
            runs=runs,
            background=background,
            ring=Ring(),
            answer_s=settings.answer_s,
            joined=_joined(settings, tenants),
        )
        progress = _progress(settings, database, tenants, targets, owner)
        yield Gateway(
            settings=settings,
            database=database,
            tenants=tenants,
            runs=runs,
            background=background,
            perform=perform,
            progress=progress,
            owner=owner,
        )
    finally:
        await _close(database, tenants.values(), targets.values(), runs)


def _joined(settings: Settings, tenants: Mapping[str, Tenant]) -> dict[str, Joined]:
    """The organisations with several LMSs, as far as these are at work."""
    found = {}
    for organisation, names in settings.organisations.items():
        members = {tenants[name].alias: name for name in names if name in tenants}
        if any(alias is not None for alias in members):
            found[organisation] = Joined(name=organisation, members=members)
    return found


def _target(settings: Settings, name: str) -> Target:
    """Where a tenant's progress goes; a key file is read again when RTOPilot's key is rotated."""
    config = settings.tenants[name]
    rtopilot, share = config.rtopilot, len(settings.organisations[config.organisation])
    assert rtopilot.base_url is not None and rtopilot.api_key is not None  # config.yaml has both or neither
    key = KeySource(rtopilot.key_file or rtopilot.api_key)
    return open_target(rtopilot.base_url, key, production=rtopilot.production, share=share)


def _progress(
    settings: Settings,
    database: Database,
    tenants: Mapping[str, Tenant],
    targets: Mapping[str, Target],
    owner: str,
) -> Progress:
    configs = {name: settings.tenants[name] for name in tenants}
    return open_progress(
        database,
        tenants,
        targets,
        owner,
        overrides={
            name: Override(every_s=config.progress.every_s, at=config.progress.at)
            for name, config in configs.items()
            if config.progress.on
        },
        merged_rules={
            config.organisation: config.rtopilot.hooks.merged
            for config in configs.values()
            if config.rtopilot.hooks is not None
        },
        organisations={name: joined.tenants for name, joined in _joined(settings, tenants).items()},
    )


async def _close(
    database: Database, tenants: Iterable[Tenant], targets: Iterable[Target], runs: Runs
) -> None:
    """Runs come to their end before the connections go, and the store goes last."""
    async with contextlib.AsyncExitStack() as closing:  # each of them, whatever becomes of the others
        closing.push_async_callback(database.close)
        for target in targets:
            closing.push_async_callback(target.pool.aclose)
        for tenant in tenants:
            closing.push_async_callback(tenant.close)
        closing.push_async_callback(runs.drained)


def _pool(settings: Settings, spec: TenantSpec) -> Pool:
    return Pool(
        hosts=spec.hosts,
        public_only_hosts=spec.public_only_hosts,
        max_bytes=settings.limits.max_reply_bytes,
        max_connections=settings.limits.max_connections,
        read_s=settings.work_s,  # the mapping's own `timeout` bounds each call, and may be a long one
    )


class Entrance:
    """Performs operations once the application has started; routes are made before that."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None
        self._reception: Reception | None = None
        self._launches: Launches | None = None

    def opened(self, gateway: Gateway) -> None:
        self.gateway, self._reception = gateway, reception(gateway)
        self._launches = launches(gateway)

    def reception(self) -> Reception:
        assert self._reception is not None, "the application has not been started"
        return self._reception

    def launches(self) -> Launches:
        assert self._launches is not None, "the application has not been started"
        return self._launches

    async def __call__(self, tenant: str, operation: Operation, inputs: Inputs, *, reference: str) -> Result:
        assert self.gateway is not None, "the application has not been started"
        return await self.gateway.perform(tenant, operation, inputs, reference=reference)


def create_app(settings: Settings) -> Starlette:
    """The public application: RTOPilot's routes, where webhooks come in, and the pages of learners."""
    entrance = Entrance()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_gateway(settings) as gateway, asyncio.TaskGroup() as workers:
            entrance.opened(gateway)
            app.state.gateway = gateway
            working = [
                workers.create_task(gateway.background.forever()),
                workers.create_task(gateway.progress.work()),
                workers.create_task(_retain(gateway)),
            ]
            yield
            for task in working:
                task.cancel()

    beside = [*hook_routes(entrance.reception), *launch_routes(entrance.launches)]
    return public_app(settings, entrance, receivers=beside, lifespan=lifespan)


def public_app(
    settings: Settings,
    perform: Performer,
    *,
    receivers: Sequence[Route] = (),
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """RTOPilot's routes over whatever performs the operations, behind those of `receivers`."""
    app = Starlette(
        routes=[*receivers, *routes(doors(settings), perform)],
        exception_handlers=dict(EXCEPTION_HANDLERS),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def reception(gateway: Gateway) -> Reception:
    """Where webhooks may come in, by the tenant's door."""
    progress, lms, rtopilot = gateway.progress, dict[str, Sequence[Hook]](), dict[str, Hook]()
    for name, tenant in progress.tenants.items():
        config = gateway.settings.tenants[name]
        if config.progress.on:
            lms[config.events_door] = vendor_hooks(
                name,
                tenant.mapping.progress,
                secrets=tenant.spec.secrets,
                scope=tenant.frame(Operation.GET_ENROLMENT).root,
                pool=tenant.pool,
            )
        if config.rtopilot.hooks is not None:
            rtopilot[config.door] = rtopilot_hook(config.organisation, config.rtopilot.hooks.rules)
    return Reception(lms=lms, rtopilot=rtopilot, database=gateway.database, kick=progress.intake.kick)


def launches(gateway: Gateway) -> Launches:
    """What the pages of learners are made from. Raises StoreError when the key file cannot be used."""
    configs = {name: gateway.settings.tenants[name] for name in gateway.tenants}

    def find(organisation: str, enrolment_id: str) -> Tenant | None:
        joined = gateway.perform.joined.get(organisation)
        name = organisation if joined is None else joined.members.get(ids.alias_of(enrolment_id))
        return None if name is None else gateway.tenants.get(name)

    contacts: dict[str, str | None] = {}
    for config in configs.values():
        contacts[config.organisation] = contacts.get(config.organisation) or config.launch.contact
    return Launches(
        key=token.derive_key(gateway.settings.session_secret().reveal()),
        find=find,
        terms={name: config.launch for name, config in configs.items()},
        contacts=contacts,
        answer_s=gateway.settings.answer_s,
    )


def doors(settings: Settings) -> dict[str, TenantDoor]:
    """Who may come in by which path: one door for each organisation."""
    return {
        config.organisation: TenantDoor(
            tenant=config.organisation,
            path=config.door,
            accepted=config.accepted,
            off=config.off,
            extra_fields=config.rtopilot.extra_fields,
        )
        for config in settings.tenants.values()
    }


async def _retain(gateway: Gateway) -> None:
    """Delete what is past its retention, in chunks, while the gateway runs."""
    while True:
        now = gateway.database.clock.now()
        days = gateway.settings.retention_days
        try:
            while await gateway.database.write(lambda conn: retention(conn, now, days)):  # noqa: B023 (used at once)
                pass
        except StoreError as error:  # a full disk, say: the next time will do
            log.error("old rows could not be deleted: %s", error)
        await asyncio.sleep(RETENTION_EVERY_S)


def create_admin_app(app: Starlette) -> Starlette:
    """The private application on the admin listener: is it up, and can it work?"""
    from gateway.operator.health import snapshot  # `serve` needs the room only with this listener

    async def health(request: Request) -> Response:
        gateway: Gateway | None = getattr(app.state, "gateway", None)
        if gateway is None:
            return JSONResponse({"status": "starting"}, status_code=503)
        try:
            found = await gateway.database.read(snapshot)
        except StoreError as error:
            return JSONResponse({"status": "no store", "message": str(error)}, status_code=503)
        now, targets = gateway.database.clock.now(), gateway.progress.deliveries.targets
        tenants = {
            name: {
                "mapping": tenant.mapping.name,
                "hash": tenant.mapping.digest,
                "breaker": "open" if tenant.vendor.breaker.is_open else "closed",
                "courses": tenant.catalogue.trouble or "ok",
                "progress": found.of(name, targets.get(name), now),
            }
            for name, tenant in gateway.tenants.items()
        }
        return JSONResponse({"status": "ok", "tenants": tenants, "runs_under_way": len(gateway.runs.live)})

    return Starlette(routes=[Route("/health", health)])
