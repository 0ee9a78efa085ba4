"""An application on a real socket for the length of a test."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    def __init__(self, app: ASGIApp, pem: Path | None) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, ssl_certfile=pem, timeout_graceful_shutdown=1))
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket, pem: Path | None = None) -> AsyncGenerator[None]:
    """Serve `app`; over HTTPS if there is a file with a certificate and its key."""
    server = _Server(app, pem)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.wait_for(server.accepting.wait(), 5)
        yield
    finally:
        server.should_exit = True
        await running
