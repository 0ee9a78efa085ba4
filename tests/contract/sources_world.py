"""Two customers, each with a search service of their own over HTTPS, and what lets only ours in."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from core.errors import Forbidden
from emulators.authority import LocalAuthority
from emulators.search import Admit, SearchIndex, SearchService
from web import TokenValidator

SEARCH = "https://search.azure.com"


@dataclass(frozen=True)
class Kept:
    """A customer's running service."""

    service: SearchService
    endpoint: str


def index(documents: Sequence[Mapping[str, object]], *, dimensions: int = 3) -> SearchIndex:
    return SearchIndex(
        key="id",
        searchable=("title", "content"),
        filterable=("groups", "level"),
        vectors={"embedding": dimensions},
        documents=documents,
    )


def only_for(validator: TokenValidator, directory: str, client_id: str) -> Admit:
    """Let in what Azure would: a token of the service's own tenant, of the application that was given the role."""

    async def admit(token: str) -> None:
        verified = await validator.verify(token)
        if not verified.is_app or verified.tenant_id != directory or verified.app_id != client_id:
            raise Forbidden("This identity has no role on this search service.", code="search.forbidden")

    return admit


@asynccontextmanager
async def keeping(authority: Path, service: SearchService) -> AsyncGenerator[Kept]:
    """Serve it under the local authority in the folder `authority` for as long as the context lasts."""
    certificate, key = LocalAuthority.open(authority).issue(["127.0.0.1"])
    server = _Server(service.app(), certificate, key)
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Kept(service, f"https://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        await running


class _Server(uvicorn.Server):
    def __init__(self, app: ASGIApp, certificate: Path, key: Path) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host="127.0.0.1",
                port=0,
                log_config=None,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                timeout_graceful_shutdown=1,
            )
        )


def trusting(authority: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(LocalAuthority.open(authority).ca_file)
    return context
