"""The three processes exactly as a snapshot shows them, among emulators, and `mandate demo` against them.

A program of its own, so that it can have a network of its own, where the snapshot's ports are free:

    python stage.py ENVIRONMENT FOLDER AZURITE [IMAGE]

FOLDER is for its data, AZURITE is where that is installed, IMAGE a file about an image; without one the services run
from this Python's environment, on the machine's own network.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import aiohttp
import yaml
from azure_around import VAULT, Platform, around, named
from contained import Image
from snapshot_values import Container, Probe, containers

from emulators.ingress import create_app as create_ingress
from identity_live import serving
from mandate.front import Front
from mandate.local.seeding import seed
from mandate.local.stack import EMULATORS, Stack, free_port, running
from mandate.local.world import load_companies
from mandate.services import Services
from mandate.settings import ROOT

STAND_INS = {"chat": "mandate-stand-in", "embed": "multilingual-e5-small"}
"""The emulator's model for each purpose in a catalogue."""

DEMO_SECONDS = 300.0
LOG_LINES = 15
CA_FILE = "/tmp/ca.pem"
HOSTS = Path("/etc/hosts")
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""How OpenSSL and Microsoft's exporter are told whom emulators are certified by; in Azure nobody needs to be told."""


@dataclass(slots=True)
class Staged(Stack):
    """A stack whose product is the containers of a snapshot.

    Attributes:
        image: that they are made of; None for this Python's environment.
        containers: by service.
        platform: environment that the platform adds.
        unwell: the probes that failed as often as makes the platform replace a container.
    """

    image: Image | None = None
    containers: Mapping[str, Container] = field(default_factory=dict[str, Container])
    platform: Mapping[str, str] = field(default_factory=dict[str, str])
    unwell: list[str] = field(default_factory=list[str])

    async def start_part(self, part: str) -> None:
        container = self.containers[part]
        log = self.log_file(part)
        log.parent.mkdir(exist_ok=True)
        command, environment = self._command(part, container)
        with log.open("ab") as output:
            self.processes[part] = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        (startup,) = (probe for probe in container.probes if probe.kind == "Startup")
        async with asyncio.timeout(startup.period * startup.failures):
            while not await answers(startup):
                assert self.processes[part].returncode is None, f"{part} ended by itself"
                await asyncio.sleep(0.1)

    def _command(self, part: str, container: Container) -> tuple[list[str], Mapping[str, str]]:
        """Return what starts a container, and with which environment."""
        given = {**container.environment, **self.platform, "CONTAINER_APP_REPLICA_NAME": f"{part}-1"}
        if self.image:
            trusted = {**given, **dict.fromkeys(TRUST, CA_FILE)}
            readable = self.folder / "trusted.pem"
            readable.write_bytes(self.ca_file.read_bytes())  # by others too, which the original is not
            return self.image.command(container.command, trusted, {readable: CA_FILE, HOSTS: str(HOSTS)}), os.environ
        folder = str(Path(sys.executable).parent)
        program, *arguments = container.command
        trusted = {**given, **dict.fromkeys(TRUST, str(self.ca_file))}
        environment = {**trusted, "PATH": f"{folder}:{os.environ['PATH']}"}
        return [f"{folder}/{program}", *arguments], environment

    async def watch(self, name: str, probe: Probe) -> None:
        """Ask as the platform does until cancelled, and note what makes it act."""
        missed = 0
        while True:
            await asyncio.sleep(probe.period)
            missed = 0 if await answers(probe) else missed + 1
            if missed == probe.failures:
                self.unwell.append(f"{name}: {probe.kind}")


async def answers(probe: Probe) -> bool:
    with suppress(aiohttp.ClientError, TimeoutError):
        limit = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=limit) as session, session.get(probe.url) as response:
            return response.status == HTTPStatus.OK
    return False


def addresses(stack: Staged) -> dict[str, str]:
    """Return the settings that lead to emulators and to the other services."""
    return {
        "MANDATE_STORE": f"{stack.address('cosmos')}/mandate",
        "MANDATE_IDENTITY_ISSUER": f"{stack.url}/identity/{{tid}}/v2.0",
        "MANDATE_IDENTITY_JWKS": f"{stack.address('identity')}/common/discovery/v2.0/keys",
        "MANDATE_PUBLIC_URL": stack.url,
        "MANDATE_ORCHESTRATION_URL": stack.address("orchestration"),
        "MANDATE_ORCHESTRATION_CANDIDATE_URL": stack.address("orchestration"),
        "MANDATE_CONTROL_URL": stack.address("control"),
        "MANDATE_BACKOFFICE_URL": stack.address("backoffice"),
        "MODEL_ENDPOINT_PRIMARY": stack.address("model"),
        "MODEL_ENDPOINT_FAILOVER": stack.address("model"),
    }


def deployments(environment: str) -> str:
    """Return the emulator's model behind each deployment that a catalogue names."""
    catalogue = yaml.safe_load((ROOT / "environments" / environment / "models.yaml").read_text())
    pairs = {
        target["model"]: STAND_INS[model["purpose"]]
        for model in catalogue["models"].values()
        for target in model["targets"]
    }
    return ",".join(f"{name}={model}" for name, model in pairs.items())


@asynccontextmanager
async def edge(stack: Staged) -> AsyncGenerator[None]:
    """Serve what people reach: the interaction service, and where they sign in."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        behind = create_ingress([stack.address("interaction")])
        front = Front(behind, {"/identity": stack.address("identity")}, session)
        with socket.create_server(("127.0.0.1", stack.port)) as listener:
            async with serving(front, listener):
                yield


@asynccontextmanager
async def watched(stack: Staged) -> AsyncGenerator[None]:
    """Probe the containers for as long as the context lasts."""
    asked = [(name, probe) for name, one in stack.containers.items() for probe in one.probes if probe.kind != "Startup"]
    tasks = [asyncio.create_task(stack.watch(name, probe)) for name, probe in asked]
    yield
    for task in tasks:
        task.cancel()


async def printed(command: list[str], seconds: float) -> int:
    """Run a command to its end with its output as ours; return its exit code."""
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with asyncio.timeout(seconds):
            return await process.wait()
    finally:
        with suppress(ProcessLookupError):
            process.kill()


def quietly(name: str, done: int, total: int) -> None:
    """Show no progress of the documents."""


async def play(stack: Staged, platform: Platform) -> None:
    """Bring the demo companies in, walk through the demo, and look whether all is well afterwards."""
    await seed(stack, Services.load(ROOT / "environments"), load_companies(ROOT), quietly)
    mandate = [sys.executable, "-m", "mandate"]
    assert await printed([*mandate, "demo", "--url", stack.url], DEMO_SECONDS) == 0, "a promise does not hold"
    healthy = stack.image.command(stack.image.health) if stack.image else [*mandate, "healthy"]
    assert await printed(healthy, 30) == 0, "a service says that it is not well"
    assert not stack.unwell, stack.unwell
    assert platform.shields.asked, "nobody asked Prompt Shields"
    assert platform.insights.items, "no telemetry arrived"
    assert not named() or VAULT.asked, "no checkpoint was signed"


async def main(environment: str, folder: Path, azurite: Path, image: Image | None) -> None:
    os.environ["MANDATE_ENVIRONMENT"] = "local"  # of the emulators; the services have their own
    stack = Staged(folder, free_port(), separate=True, store="cosmos", image=image)
    stack.ports |= {name: free_port() for name in (*EMULATORS, "cosmos")}
    declared = Services.load(ROOT / "environments").services
    stack.ports |= {name: service.port for name, service in declared.items()}
    async with around(folder, azurite, stack.address("identity")) as (platform, led):
        given = {name: value for name, value in led.items() if name != "IDENTITY_ENDPOINT"}
        stack.containers = containers(environment, {**given, **addresses(stack)})
        stack.platform = {"IDENTITY_ENDPOINT": led["IDENTITY_ENDPOINT"], "IDENTITY_HEADER": stack.secret}
        console = stack.containers["interaction"].environment["MANDATE_CONSOLE_CLIENT_ID"]
        stack.extra = {"MANDATE_CONSOLE_CLIENT_ID": console, "MODEL_DEPLOYMENTS": deployments(environment)}
        async with edge(stack), running(stack), watched(stack):
            try:
                await play(stack, platform)
            except BaseException:
                tell_why(stack)
                raise


def tell_why(stack: Stack) -> None:
    for log in sorted((stack.folder / "logs").glob("*.log")):
        print(f"--- {log.stem}", *log.read_text().splitlines()[-LOG_LINES:], sep="\n", flush=True)  # noqa: T201 - a program


if __name__ == "__main__":
    about = Image.load(Path(sys.argv[4])) if len(sys.argv) > 4 else None
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), about))
