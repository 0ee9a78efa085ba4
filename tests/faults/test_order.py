"""What comes first in a governed turn, seen in the system calls of the serving process."""

import asyncio
import re
import shutil
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from test_kill import data_of

from chosen_store import STORE
from core import RunId
from core.bodies import DecisionMade, RunOpened, ToolFinished
from data import read_run
from data.sqlite import open_store
from mandate.local.stack import Stack
from mandate.people import company_of, sign_in

ELIF = "elif@alderfinch.example"
CALLS = "trace=pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg"
WAL = re.compile(r"^(\d+) +(\w+)\(\d+<[^>]*-wal>")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (?:fdatasync|fsync) resumed>")
SOCKET = re.compile(r"^\d+ +\w+\(\d+<TCP:\[127\.0\.0\.1:(\d+)->127\.0\.0\.1:(\d+)\]>")


@dataclass(frozen=True)
class Call:
    """What the process did: `wal` writes to the log, `sync` is a finished sync of it, `send` goes out to a socket."""

    kind: str
    text: str
    local: int = 0
    remote: int = 0


@pytest.mark.skipif(STORE != "sqlite", reason="tool unfit: what a database elsewhere writes is not seen here")
async def test_a_decision_is_on_disk_before_its_effect_and_a_run_before_its_acknowledgement(
    stack: Stack, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    elif_ = await sign_in(session, stack.url, ELIF)
    body = {"agent": "support", "message": "Open a ticket: the zip is lost.", "use_knowledge": False}
    headers = {"Authorization": f"Bearer {elif_.token}", "Accept": "text/event-stream"}
    process = stack.processes["product"]
    async with (
        traced(process.pid, tmp_path / "trace"),
        session.post(f"{stack.url}/v1/runs", json=body, headers=headers) as answer,
    ):
        run = RunId(answer.headers["Mandate-Run"])
        await answer.read()
    calls = parse((tmp_path / "trace").read_text(errors="replace"))

    async with open_store(stack.folder / "mandate.db") as store:
        bodies = [stored.event.body for stored in await read_run(data_of(store, company_of(ELIF).tenant), run)]
    opened = next(body for body in bodies if isinstance(body, RunOpened))
    decision = next(body for body in bodies if isinstance(body, DecisionMade) and body.target == "create_ticket")
    assert any(isinstance(body, ToolFinished) and body.outcome == "ok" for body in bodies)
    assert opened.message
    assert decision.arguments

    acknowledged = first(calls, lambda call: call.local == stack.port and run in call.text)
    assert_on_disk(calls[:acknowledged], opened.message.commitment)
    acted = first(calls, lambda call: call.remote == stack.ports["backoffice"])
    assert_on_disk(calls[:acted], decision.arguments.commitment)


def assert_on_disk(before: Sequence[Call], commitment: str) -> None:
    """Check that what holds `commitment` was written to the log and then synced; a page may end in the middle of it."""
    parts = commitment[:16], commitment[24:40], commitment[-16:]
    written = [n for n, call in enumerate(before) if call.kind == "wal" and any(part in call.text for part in parts)]
    assert written, "it was not even written"
    assert "sync" in [call.kind for call in before[written[-1] :]], "it was written, and was not on disk"


def first(calls: Sequence[Call], is_it: Callable[[Call], bool]) -> int:
    return next(number for number, call in enumerate(calls) if call.kind == "send" and is_it(call))


def parse(trace: str) -> list[Call]:
    calls: list[Call] = []
    syncing: set[str] = set()
    for line in trace.splitlines():
        if wal := WAL.match(line):
            if wal[2] == "pwrite64":
                calls.append(Call("wal", line))
            elif "<unfinished" in line:
                syncing.add(wal[1])
            else:
                calls.append(Call("sync", line))
        elif (resumed := RESUMED.match(line)) and resumed[1] in syncing:
            syncing.remove(resumed[1])
            calls.append(Call("sync", line))
        elif ends := SOCKET.match(line):
            calls.append(Call("send", line, int(ends[1]), int(ends[2])))
    return calls


@asynccontextmanager
async def traced(pid: int, output: Path) -> AsyncGenerator[None]:
    """Write down the system calls of a process and all its threads while the context lasts."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("tool missing: strace")
    command = (strace, "-f", "-yy", "-s", "65536", "-e", CALLS, "-o", str(output), "-p", str(pid))
    tracer = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(20):
            while not is_traced(pid):
                assert tracer.returncode is None, "strace may not attach here"
                await asyncio.sleep(0.05)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        await tracer.wait()


def is_traced(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").glob("*/status")
    return all("TracerPid:\t0" not in thread.read_text() for thread in threads)
