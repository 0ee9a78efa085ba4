"""`mandate serve`: one service, or all in one process, each on its own port and behind the same checks."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from mandate.compose import compose
from mandate.front import Front
from mandate.host import Host, client_id, open_host
from mandate.services import NAMES, Name, Services
from mandate.settings import Settings
from mandate.version import VERSION
from telemetry import Destinations, configure, configure_logging, shutdown, uvicorn_log_config

GRACE_SECONDS = 5

_ANY = "0.0.0.0"  # noqa: S104 - in a container; what may reach it is for the network to say


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: several servers share one process, and one place stops them all."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._accepting = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._accepting.set()

    async def start(self, group: asyncio.TaskGroup, bound: socket.socket) -> None:
        """Serve in `group`; returns when the service is there for those that call it, or could not start."""
        serving = group.create_task(self.serve(sockets=[bound]))
        accepting = asyncio.create_task(self._accepting.wait())
        await asyncio.wait([serving, accepting], return_when=asyncio.FIRST_COMPLETED)
        accepting.cancel()


async def run(service: Name | Literal["all"], ports: Mapping[str, str]) -> None:
    """Serve one service, or all, each at its port: `ports` on the loopback address, else as declared."""
    settings = Settings()
    declared = Services.load(settings.root / "environments").services
    names = NAMES if service == "all" else (service,)
    sockets: dict[Name, socket.socket] = {}
    for name in names:
        given = ports.get(name)
        host = "127.0.0.1" if given or settings.is_local else _ANY
        sockets[name] = _listen(host, int(given or declared[name].port))
    await serve(names, sockets, settings)


def _listen(host: str, port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound


async def serve(names: Sequence[Name], sockets: Mapping[Name, socket.socket], settings: Settings) -> None:
    """Serve `names` until the process is told to stop.

    Args:
        names: of the services.
        sockets: bound, one for each service.
        settings: of this process.
    """
    configure_logging(pretty=settings.is_local and sys.stderr.isatty())
    identity = Services.load(settings.root / "environments").services[names[-1]].identity
    sent = Destinations(
        otlp=settings.otlp_endpoint,
        insights=settings.insights,
        client_id=client_id(settings, identity),
        ca_file=settings.ca_file,
    )
    configure("mandate-" + "-".join(names), VERSION, settings.environment, sent)
    async with open_host(settings, identity) as host, AsyncExitStack() as stack:
        servers: list[tuple[_Server, socket.socket]] = []
        for name in NAMES:
            if name not in names:
                continue
            app = await stack.enter_async_context(compose(name, host))
            servers.append((_server(_fronted(name, app, host)), sockets[name]))
        _stop_on_signals([server for server, _ in servers])
        calm_the_collector()
        async with asyncio.TaskGroup() as group:
            for server, bound in servers:
                await server.start(group, bound)
    await shutdown()


def _server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            access_log=False,
            log_config=uvicorn_log_config(),
            server_header=False,
            proxy_headers=False,
            date_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=75,
            h11_max_incomplete_event_size=64_000,
        )
    )


def _fronted(name: Name, app: ASGIApp, host: Host) -> ASGIApp:
    """On a laptop people see one port: behind it, besides the product, are the emulators that people see."""
    settings = host.settings
    if name == "interaction" and settings.front_identity:
        return Front(app, {"/identity": settings.front_identity, "/shop": f"{settings.front_shop}/shop"}, host.session)
    return app


def calm_the_collector() -> None:
    """What is there now stays: Python need not look through it again and again for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _stop_on_signals(servers: Sequence[uvicorn.Server]) -> None:
    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop)
