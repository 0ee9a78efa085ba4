"""The bench's own programs: started with JSON on one line, they answer with JSON on one line."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

import orjson
from pydantic import BaseModel

from core.errors import Unavailable
from mandate.bench.figures import Figures

ANSWER_SECONDS = 600.0

M = TypeVar("M", bound=BaseModel)


@asynccontextmanager
async def program(name: str, order: BaseModel) -> AsyncGenerator[tuple[int, Figures]]:
    """Run the program `mandate.bench.<name>`: give its process id and its answer; it ends with the context.

    Raises:
        Unavailable: it ended, or said nothing in time (`bench.program`).
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"from mandate.bench.{name} import main; main()",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1_000_000,
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(order.model_dump_json().encode() + b"\n")
        async with asyncio.timeout(ANSWER_SECONDS):
            line = await process.stdout.readline()
        if not line:
            raise Unavailable(f"The bench's program {name} ended early; it says why above.", code="bench.program")
        yield process.pid, orjson.loads(line)
    except TimeoutError as error:
        raise Unavailable(f"The bench's program {name} does not answer.", code="bench.program") from error
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def result_of(name: str, order: BaseModel) -> Figures:
    """Return what a program measured."""
    async with program(name, order) as (_, figures):
        return figures


def read_order(model: type[M]) -> M:
    """Return what the program was started with."""
    return model.model_validate_json(sys.stdin.buffer.readline())


def tell(figures: Figures) -> None:
    """Answer the bench."""
    sys.stdout.buffer.write(orjson.dumps(figures) + b"\n")
    sys.stdout.buffer.flush()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used since it began, user and system, all threads, to the nanosecond.

    Each process is a clock of Linux (`clock_getcpuclockid(3)`); `/proc` would only count hundredths of a second.

    Raises:
        Unavailable: this is not Linux, or a process has ended (`bench.cpu_time`).
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError as error:
        message = "The CPU time of another process cannot be read: either it has ended, or this is not Linux."
        raise Unavailable(message, code="bench.cpu_time") from error
