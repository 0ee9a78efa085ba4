"""The reference: FastAPI and aiohttp forward one chat call with a fixed token and stream the answer back. No more."""

import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from mandate.bench.programs import read_order, tell
from mandate.supervision import end_with_parent


class Order(BaseModel):
    """Where the model endpoint is, and what proves that we may call it."""

    endpoint: str
    token: str
    ca_file: Path


def create_app(order: Order) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=order.ca_file), limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            app.state.session = session
            yield

    app = FastAPI(lifespan=lifespan)
    headers = {"Authorization": f"Bearer {order.token}", "Content-Type": "application/json"}

    @app.post("/chat")
    async def chat(request: Request) -> StreamingResponse:
        session: aiohttp.ClientSession = request.app.state.session
        upstream = await session.post(f"{order.endpoint}/chat/completions", data=await request.body(), headers=headers)
        return StreamingResponse(_pieces(upstream), upstream.status, media_type="text/event-stream")

    return app


async def _pieces(upstream: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    async with upstream:
        async for piece in upstream.content.iter_any():
            yield piece


def main() -> None:
    order = read_order(Order)
    end_with_parent()
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen()
    tell({"port": bound.getsockname()[1]})
    config = uvicorn.Config(create_app(order), loop="uvloop", http="httptools", access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[bound])
