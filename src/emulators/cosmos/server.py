"""Serving the emulator over HTTPS: within a test, or as what `mandate emulate cosmos` runs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core import Clock
from emulators.authority import LocalAuthority
from emulators.cosmos.app import DROP, Authorize, CosmosEmulator


class DroppingProtocol(HttpToolsProtocol):
    """HTTP that lets the application close a connection without a word: ASGI has no way to say so."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, object]", self.scope)[DROP] = self.transport.abort


class _Server(uvicorn.Server):
    """Tells when it has tried to start: it listens then, or `serve` ends."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.tried = asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.tried.set()


@dataclass(frozen=True, slots=True)
class Running:
    """An emulator that answers.

    Attributes:
        url: what a client is given as the account's address.
        ca_file: the certificate of the authority, PEM.
    """

    url: str
    ca_file: Path
    emulator: CosmosEmulator


@asynccontextmanager
async def open_emulator(
    folder: Path,
    *,
    authorize: Authorize | None = None,
    clock: Clock | None = None,
    splits: tuple[str, ...] = (),
    port: int = 0,
) -> AsyncGenerator[Running]:
    """Serve on 127.0.0.1 in this process, from `folder`, for as long as the context lasts.

    Args:
        folder: holds the file and the certificates; a second opening finds what the first left.
        authorize: see `CosmosEmulator`.
        clock: see `CosmosEmulator`.
        splits: see `CosmosEmulator`.
        port: 0 for one that is free.
    """
    authority = await asyncio.to_thread(LocalAuthority.open, folder / "authority")
    certificate, key = await asyncio.to_thread(authority.issue, ["127.0.0.1"])
    async with CosmosEmulator(folder / "cosmos.db", authorize=authorize, clock=clock, splits=splits) as emulator:
        config = uvicorn.Config(
            emulator,
            port=port,
            http=DroppingProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=75,  # longer than clients keep a connection, or they would meet one that is closing
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve())
        await server.tried.wait()
        try:
            bound = cast("int", server.servers[0].sockets[0].getsockname()[1])
            yield Running(f"https://127.0.0.1:{bound}", authority.ca_file, emulator)
        finally:
            server.should_exit = True
            await task
