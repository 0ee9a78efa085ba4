"""Two customers, each with a search service of their own over HTTPS, and what lets only ours in."""

import socket
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import Forbidden
from emulators.authority import LocalAuthority
from emulators.search import Admit, SearchIndex, SearchService
from identity_live import serving
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
    pem, _ = LocalAuthority.open(authority).issue(["127.0.0.1"])
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving(service.app(), listener, pem):
        yield Kept(service, f"https://127.0.0.1:{listener.getsockname()[1]}")


def trusting(authority: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(LocalAuthority.open(authority).ca_file)
    return context
