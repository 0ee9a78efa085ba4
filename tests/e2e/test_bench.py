"""`mandate bench --quick --json`: one object with the documented keys, in a minute, nothing failed, nothing left."""

import asyncio
import sys
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from mandate.settings import ROOT

SECONDS = 60.0
"""Once the demo documents have been embedded; the run that embeds them may take longer."""

TURNS = ("one_step_turn", "two_step_turn", "rag_turn")


async def run_bench() -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "mandate", "bench", "--quick", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out, err


@pytest.fixture(scope="module")
async def measured(stack: object) -> dict[str, Any]:  # noqa: ARG001 - with `stack` the documents have been embedded
    before = set((ROOT / ".mandate").glob("bench-*"))
    began = time.monotonic()
    code, out, err = await run_bench()
    seconds = time.monotonic() - began
    assert code == 0, err.decode()
    assert set((ROOT / ".mandate").glob("bench-*")) <= before
    return {"seconds": seconds, **orjson.loads(out)}


def numbers(figures: dict[str, Any]) -> Iterator[float]:
    for value in figures.values():
        if isinstance(value, dict):
            yield from numbers(value)
        elif not isinstance(value, str):
            yield value
