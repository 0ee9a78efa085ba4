"""The processes of a laptop: the emulators and the product, in one process group, each ended with its parent."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Literal

import aiohttp

from core.errors import Unavailable
from emulators.authority import LocalAuthority
from emulators.identity import SERVICE_TID
from mandate.services import NAMES, Name
from mandate.settings import ROOT

Emulator = Literal["identity", "model", "backoffice", "marketplace", "cosmos"]

StoreKind = Literal["sqlite", "cosmos"]

EMULATORS: tuple[Emulator, ...] = ("identity", "model", "backoffice", "marketplace")
START_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(slots=True)
class Stack:
    """Everything that runs on a laptop, started and stopped piece by piece.

    Attributes:
        folder: where data, certificates and logs are.
        port: the one port for people.
        separate: each service as a process of its own rather than the product as one.
        replicas: so many processes of each service, if they are separate, behind one address.
        store: a file, or the emulator of Cosmos DB.
        extra: more environment for the product, such as another model endpoint.
    """

    folder: Path
    port: int
    separate: bool = False
    replicas: int = 1
    store: StoreKind = "sqlite"
    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    ports: dict[str, int] = field(default_factory=dict[str, int])
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    applications_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict[str, asyncio.subprocess.Process])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self.folder / "authority" / "ca.pem"

    @property
    def emulators(self) -> tuple[Emulator, ...]:
        return (*EMULATORS, "cosmos") if self.store == "cosmos" else EMULATORS

    @property
    def parts(self) -> tuple[str, ...]:
        """The processes of the product: `product`, or `orchestration`, or `orchestration-1` and so on."""
        if not self.separate:
            return ("product",)
        return tuple(replica for name in NAMES for replica in self.replicas_of(name))

    def replicas_of(self, name: Name) -> tuple[str, ...]:
        """The processes of a service that is separate."""
        return (name,) if self.replicas == 1 else tuple(f"{name}-{n}" for n in range(1, self.replicas + 1))

    def address(self, part: Emulator | Name) -> str:
        scheme = "https" if part in ("model", "backoffice", "marketplace", "cosmos") else "http"
        return f"{scheme}://127.0.0.1:{self.ports[part]}"

    async def start(self) -> None:
        """Start everything at once: the product asks the emulators for nothing before somebody asks it.

        Raises:
            Unavailable: something did not start; its log says why.
        """
        os.environ.setdefault("MANDATE_ENVIRONMENT", "local")  # anything else set there stops the emulators
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(LocalAuthority.open, self.folder / "authority")
        for name in (*self.emulators, *NAMES, *self.parts):
            self.ports.setdefault(name, self.port if name == "interaction" else free_port())
        emulators = [self.start_emulator(name) for name in self.emulators]
        if self.store == "cosmos":  # the product looks for its store at once
            await asyncio.gather(*emulators)
            await self.start_product()
        else:
            await asyncio.gather(self.start_product(), *emulators)
        if self.replicas > 1:
            await self._start_ingress()

    async def start_emulator(self, name: Emulator) -> None:
        await self._spawn(name, "emulate", name, "--port", str(self.ports[name]), "--folder", str(self.folder))
        await self._answers(name, f"{self.address(name)}/healthz")

    async def start_product(self) -> None:
        for parts in [self.replicas_of(name) for name in NAMES] if self.separate else [self.parts]:
            await asyncio.gather(*(self.start_part(part) for part in parts))

    async def start_part(self, part: str) -> None:
        service, _, instance = part.partition("-")
        ports = {name: self.ports[name] for name in NAMES} if part == "product" else {service: self.ports[part]}
        given = [f"--port={name}={port}" for name, port in ports.items()]
        await self._spawn(part, "serve", "all" if part == "product" else service, *given, instance=instance or "1")
        for port in ports.values():
            await self._answers(part, f"http://127.0.0.1:{port}/readyz")

    async def _start_ingress(self) -> None:
        """Put each service's replicas behind its address."""
        behind = {name: [str(self.ports[part]) for part in self.replicas_of(name)] for name in NAMES}
        given = [f"{self.ports[name]}={','.join(ports)}" for name, ports in behind.items()]
        await self._spawn("ingress", "ingress", *given)
        for name in NAMES:
            await self._answers("ingress", f"{self.address(name)}/readyz")

    async def kill_product(self) -> None:
        """End the product as a power cut would: no signal that it could see."""
        for part in self.parts:
            await self.kill(part)

    async def kill(self, part: str) -> None:
        process = self.processes.pop(part)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def stop(self) -> None:
        """End everything in good order: the product first, part by part, then at once what it uses."""
        for part in reversed([part for part in self.processes if part not in self.emulators]):
            await self._end(part)
        await asyncio.gather(*(self._end(part) for part in list(self.processes)))

    async def _end(self, part: str) -> None:
        process = self.processes.pop(part)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def wait(self) -> str:
        """Return the first part that ends by itself."""
        tasks: dict[asyncio.Task[int], str] = {
            asyncio.create_task(process.wait()): part for part, process in self.processes.items()
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        return tasks[done.pop()]

    def log_file(self, part: str) -> Path:
        return self.folder / "logs" / f"{part}.log"

    async def _spawn(self, part: str, *arguments: str, instance: str = "") -> None:
        log = self.log_file(part)
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as output:
            self.processes[part] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "mandate",
                *arguments,
                stdin=asyncio.subprocess.PIPE,  # closes when this process ends, however it ends
                stdout=output,
                stderr=output,
                env={**self._environment(), "MANDATE_INSTANCE": instance},
            )

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MANDATE_", "AZURE_"))}
        chosen = {name: value for name, value in os.environ.items() if name.startswith(_CHOSEN)}
        wire = chosen.get("MANDATE_MODEL_ADAPTER", self.extra.get("MANDATE_MODEL_ADAPTER", "openai"))
        return {
            **kept,
            "MANDATE_ENVIRONMENT": "local",
            "MANDATE_SUPERVISED": "1",
            "MANDATE_STORE": (
                f"{self.address('cosmos')}/mandate" if self.store == "cosmos" else str(self.folder / "mandate.db")
            ),
            "MANDATE_ERASURE_JOURNAL": str(self.folder / "erasures.jsonl"),
            "MANDATE_EVIDENCE_KEY": str(self.folder / EVIDENCE_KEY),
            "MANDATE_EVIDENCE_ANCHOR": str(self.folder / ANCHORS),
            "MANDATE_IDENTITY_ISSUER": f"{self.url}/identity/{{tid}}/v2.0",
            "MANDATE_IDENTITY_JWKS": f"{self.address('identity')}/common/discovery/v2.0/keys",
            "MANDATE_FRONT_IDENTITY": self.address("identity"),
            "MANDATE_FRONT_SHOP": self.address("marketplace"),
            "MANDATE_MARKETPLACE_URL": f"{self.address('marketplace')}/api",
            "MANDATE_ARM_URL": f"{self.address('marketplace')}/arm",
            "MANDATE_APPLICATIONS_SECRET": self.applications_secret,
            "MANDATE_MARKETPLACE_CLIENT_ID": "mandate-marketplace",
            "MANDATE_MARKETPLACE_TENANT": SERVICE_TID,
            "MANDATE_PUBLIC_URL": self.url,
            "MANDATE_CONSOLE_CLIENT_ID": "mandate-console",
            "MANDATE_SOURCES_CLIENT_ID": "mandate-sources",
            "MANDATE_ORCHESTRATION_URL": self.address("orchestration"),
            "MANDATE_CONTROL_URL": self.address("control"),
            "MANDATE_BACKOFFICE_URL": self.address("backoffice"),
            "MANDATE_PAGES": f"{self.address('backoffice')}/pages/",
            "MANDATE_CA_FILE": str(self.ca_file),
            "MODEL_ENDPOINT": self.address("model") + ("/models" if wire == "azure-ai-inference" else "/openai/v1"),
            "IDENTITY_ENDPOINT": f"{self.address('identity')}/msi/token",
            "IDENTITY_HEADER": self.secret,
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
            **chosen,
            **self.extra,
        }

    async def _answers(self, part: str, url: str) -> None:
        """Wait until `url` answers 200; the certificate is checked by those who use it, not by this probe."""
        loop = asyncio.get_running_loop()
        end = loop.time() + START_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while loop.time() < end and self.processes[part].returncode is None:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(url, ssl=False) as response:
                        if response.status == HTTPStatus.OK:
                            return
                await asyncio.sleep(0.05)
        raise Unavailable(f"{part} did not start. Its log says why: {self.log_file(part)}", code="local.start")


EVIDENCE_KEY, ANCHORS = "evidence-key.pem", "anchors"
"""Beside the store: the key that signs evidence, and where checkpoints are anchored."""

_CHOSEN = ("MANDATE_MODEL_", "MANDATE_EMBED_")
"""Settings of the person's that reach the product; everything else that it is told comes from here."""


@asynccontextmanager
async def running(stack: Stack) -> AsyncGenerator[Stack]:
    """Run a stack for as long as the context lasts."""
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()


_PORTS = range(20000, 32000)
"""Below those that a system gives to connections, any of which could take a port before its server has it."""
_turns = count(os.getpid() * 101)  # no port twice, and processes that start together stay apart


def free_port() -> int:
    """Return a port that nobody listens on now and that this process was not given before."""
    while True:
        port = _PORTS[next(_turns) % len(_PORTS)]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def default_folder() -> Path:
    return ROOT / ".mandate"
