"""What was acknowledged is on disk: seen in the system calls, and by killing the process that wrote it."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import Principal, PrincipalId, PrincipalKind, RunId, TenantContext, TenantId
from core.bodies import DecisionMade
from data import Store, read_run, verify_all
from data.sqlite import open_store

WRITER = Path(__file__).with_name("durability_writer.py")

MARKER = re.compile(r'write\(1<[^>]*>, "((?:submit|ack) \d+)')
CALL = re.compile(r"^(\d+) +(pwrite64|fdatasync|fsync)\(\d+<[^>]*-wal>")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (?:fdatasync|fsync) resumed>")


def in_order(trace: str) -> list[str]:
    """Return `submit N`, `ack N`, `wal` for bytes that begin to go to the WAL, `sync` when a sync of it has ended."""
    seen: list[str] = []
    syncing: set[str] = set()
    for line in trace.splitlines():
        if marker := MARKER.search(line):
            seen.append(marker[1])
        elif call := CALL.match(line):
            if call[2] == "pwrite64":
                seen.append("wal")
            elif "<unfinished" in line:
                syncing.add(call[1])
            else:
                seen.append("sync")
        elif (resumed := RESUMED.match(line)) and resumed[1] in syncing:
            syncing.remove(resumed[1])
            seen.append("sync")
    return seen


def test_the_wal_is_synced_between_each_append_and_its_acknowledgement(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("tool missing: strace")
    trace = tmp_path / "trace"
    calls = "trace=pwrite64,fdatasync,fsync,write"
    command = [strace, "-f", "-y", "-e", calls, "-o", str(trace), sys.executable, str(WRITER), str(tmp_path / "m.db")]
    subprocess.run([*command, "10"], check=True, timeout=60, stdout=subprocess.PIPE)
    seen = in_order(trace.read_text())
    for number in range(10):
        between = seen[seen.index(f"submit {number}") + 1 : seen.index(f"ack {number}")]
        assert "wal" in between, f"append {number} wrote nothing before it was acknowledged"
        assert between[-1] == "sync", f"append {number} was acknowledged before all of it was on disk: {between}"


async def test_every_acknowledged_append_outlives_a_kill(tmp_path: Path) -> None:
    path, said = tmp_path / "m.db", tmp_path / "said"
    acknowledged = killed_under_load(path, said)
    assert len(acknowledged) == 16
    async with open_store(path) as store:
        for (tenant, run), seq in acknowledged.items():
            await all_there(store, tenant, run, seq)
        verdicts = [verdict async for verdict in verify_all(store.platform)]
    assert len(verdicts) == 16
    assert [verdict for verdict in verdicts if not verdict.ok] == []


def killed_under_load(path: Path, said: Path) -> dict[tuple[TenantId, RunId], int]:
    """Let a process write for a while, kill it, and return the last sequence number it knew to be written, per run."""
    with said.open("wb") as output:
        process = subprocess.Popen([sys.executable, str(WRITER), str(path), "load"], stdout=output)
        try:
            deadline = time.monotonic() + 30
            while said.stat().st_size < 50_000 and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
    lines = said.read_bytes().decode().splitlines(keepends=True)
    whole = [line.split() for line in lines if line.endswith("\n")]
    return {(TenantId(tenant), RunId(run)): int(seq) for tenant, run, seq in whole}


async def all_there(store: Store, tenant: TenantId, run: RunId, seq: int) -> None:
    principal = Principal(PrincipalId("usr_reader"), PrincipalKind.SERVICE)
    data = store.tenant(TenantContext(tenant, principal, plan="p", region="eu", correlation="c"))
    events = await read_run(data, run)
    assert len(events) >= seq
    for stored in events:
        body = stored.event.body
        assert isinstance(body, DecisionMade)
        assert body.arguments
        assert len(await data.content.get(body.arguments)) == 200
