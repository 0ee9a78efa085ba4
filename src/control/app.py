"""The control plane as a service."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI

from control.callers import ControlServices
from control.routes import policies, switches, tenants
from web import create_service

MAX_BODY_BYTES = 100_000


def create_app(deps: ControlServices, *, ready: Callable[[], Awaitable[None]] | None = None) -> FastAPI:
    """Return the app; `ready` says whether it can serve, by default whether the store answers."""
    app = create_service(name="control", version=deps.version, ready=ready or deps.store.ready, max_body=MAX_BODY_BYTES)
    app.state.services = deps
    app.include_router(policies.router)
    app.include_router(switches.router)
    app.include_router(tenants.router)
    return app
