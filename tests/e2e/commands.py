"""Running the command line as a person does: a process of its own, with its output read as it comes."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mandate.client import Client

SignIn = Callable[[str], Awaitable[Client]]


@dataclass(frozen=True)
class Finished:
    """A command that has ended. `output` is all that it printed, errors included."""

    code: int
    output: str


async def mandate(
    *arguments: str, typed: str = "", seconds: float = 60.0, environment: dict[str, str] | None = None
) -> Finished:
    """Run a command to its end, fed with `typed`; told of its surroundings by `environment`, if that is given."""
    process = await start_mandate(*arguments, environment=environment)
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate(typed.encode())
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return Finished(process.returncode or 0, output.decode())


async def start_mandate(*arguments: str, environment: dict[str, str] | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "mandate", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )


async def until(process: asyncio.subprocess.Process, text: bytes) -> str:
    """Return what the process prints up to and with `text`."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readuntil(text)).decode()


async def rest(process: asyncio.subprocess.Process) -> str:
    """Return what the process still prints until it ends."""
    async with asyncio.timeout(90):
        output, _ = await process.communicate()
    return output.decode()


async def finished(*command: str, cwd: Path, env: dict[str, str] | None = None) -> bytes:
    """Run another program to its end, and return what it printed; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(100):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output


async def administrative_acts(client: Client) -> list[tuple[str, str, str]]:
    """Return kind, key and version of all that was changed on purpose, as somebody who oversees may read it."""
    acts: list[tuple[str, str, str]] = []
    path: str | None = "/v1/runs?mine=false&limit=100"
    while path:
        page: Any = await client.get(path)
        for log in [line["run"] for line in page["items"] if line["kind"] == "admin"]:
            events: Any = (await client.get(f"/v1/runs/{log}/events"))["items"]
            acts += [(e["kind"], e["key"], e["version"]) for e in events if e["type"] == "record_changed"]
        path = f"/v1/runs?mine=false&limit=100&cursor={page['cursor']}" if page["cursor"] else None
    return acts
