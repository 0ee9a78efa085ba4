"""The control plane as a service."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from control.callers import ControlServices
from control.routes import (
    applications,
    entitlements,
    health,
    marketplace,
    metering,
    policies,
    subscriptions,
    switches,
    tenants,
)
from web import create_service

MAX_BODY_BYTES = 100_000


def create_app(deps: ControlServices, *, ready: Callable[[], Awaitable[None]] | None = None) -> FastAPI:
    """Return the app; `ready` says whether it can serve, by default whether the store answers."""
    app = create_service(
        name="control",
        version=deps.version,
        ready=ready or deps.store.ready,
        max_body=MAX_BODY_BYTES,
        lifespan=lambda _: _at_work(deps),
    )
    app.state.services = deps
    app.include_router(policies.router)
    app.include_router(switches.router)
    app.include_router(tenants.router)
    app.include_router(entitlements.router)
    app.include_router(applications.router)
    app.include_router(health.router)
    app.include_router(marketplace.router)
    app.include_router(metering.router)
    app.include_router(subscriptions.router)
    return app


@asynccontextmanager
async def _at_work(deps: ControlServices) -> AsyncGenerator[None]:
    """Do what the marketplace tells, and bill what is used, for as long as the service runs."""
    if deps.marketplace is None:
        yield
        return
    work = [asyncio.create_task(job.run()) for job in (deps.marketplace.desk, deps.marketplace.metering)]
    yield
    for task in work:
        task.cancel()
