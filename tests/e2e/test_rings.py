"""A release comes to one ring first: the candidate carries its tenants' turns, the stable revision those of others."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import aiohttp
import pytest
import yaml
from commands import mandate

from control import contexts
from core import Principal, PrincipalId, PrincipalKind, RunId, TenantContext, TenantId
from core.bodies import RunOpened
from data import Store
from data.sqlite import open_store
from mandate.configuration.candidate import candidate
from mandate.configuration.files import Files
from mandate.configuration.tree import parse
from mandate.local.seeding import operator_token
from mandate.local.stack import Stack, free_port
from mandate.people import company_of, sign_in
from mandate.services import Services
from mandate.settings import ROOT
from orchestration.records import CarrierRecord
from seeded import seeded

ELIF, RUTH = "elif@alderfinch.example", "ruth@quillmere.example"
CANDIDATE, STABLE = "candidate", "1"
"""Names of the two processes of orchestration: each is on record with the runs that it carries."""

SEEN_SECONDS = 2 + 5 + 3
"""Files are looked at every two seconds, what is known of a tenant is five seconds old at most; and a busy machine."""


@dataclass(frozen=True)
class World:
    stack: Stack
    session: aiohttp.ClientSession
    store: Store
    flags: Path

    async def carrier(self, username: str) -> str:
        """Have somebody ask, and return which process carried the turn."""
        client = await sign_in(self.session, self.stack.url, username)
        body = {"agent": "support", "message": "Good morning", "use_knowledge": False}
        run = await client.post("/v1/runs", body)
        assert run["state"] == "completed", run
        data = self.store.tenant(somebody(company_of(username).tenant))
        (first, *_) = await data.log.read(RunId(str(run["run"])))
        assert isinstance(first.event.body, RunOpened)
        records = self.store.tenant(contexts.publisher("test")).records
        names = {found.value.lease: found.key for found in (await records.list(CarrierRecord)).items}
        return names[first.event.body.carrier]

    async def until(self, username: str, carrier: str) -> None:
        """Wait until somebody's turns are carried by this process."""
        async with asyncio.timeout(SEEN_SECONDS):
            while await self.carrier(username) != carrier:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)

    def announce(self, *ring: str) -> None:
        rings = parse(Files(self.flags.parents[1], "local").read_now()).rings
        flags = [candidate(None, rings, one, datetime.now(UTC), urgent=False) for one in ring]
        self.flags.write_text(yaml.safe_dump({"flags": [flag.model_dump(mode="json") for flag in flags]}))

    async def into_ring(self, username: str, ring: str) -> None:
        token = await operator_token(self.session, self.stack, Services.load(ROOT / "environments"))
        url = f"{self.stack.address('control')}/v1/tenants/{company_of(username).tenant}/ring"
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.put(url, json={"ring": ring}, headers=headers) as answer:
            assert answer.status == 204, await answer.text()

    async def watched(self) -> tuple[int, str]:
        done = await mandate("watch", self.stack.url, "--candidate", "--seconds=1", "--every=0.3", "--misses=2")
        return done.code, done.output


def somebody(tenant: TenantId) -> TenantContext:
    principal = Principal(PrincipalId("svc_test"), PrincipalKind.SERVICE)
    return TenantContext(tenant, principal, plan="team", region="eu", correlation="test")


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    """The product as three processes, and a second one of orchestration that only interaction knows of."""
    root, candidates = tmp_path_factory.mktemp("root"), free_port()
    for folder in ("environments", "agents"):
        copytree(ROOT / folder, root / folder)
    extra = {"MANDATE_ROOT": str(root), "MANDATE_ORCHESTRATION_CANDIDATE_URL": f"http://127.0.0.1:{candidates}"}
    stack = Stack(tmp_path_factory.mktemp("candidate"), free_port(), separate=True, extra=extra)
    stack.ports["orchestration-candidate"] = candidates
    async with seeded(stack), open_store(stack.folder / "mandate.db") as store, aiohttp.ClientSession() as session:
        await stack.start_part("orchestration-candidate")
        yield World(stack, session, store, root / "environments/local/flags.yaml")


async def test_a_ring_that_has_the_candidate_is_carried_by_it_and_by_the_stable_one_once_it_is_taken_back(
    world: World,
) -> None:
    await world.into_ring(ELIF, "internal")
    assert {await world.carrier(one) for one in (ELIF, RUTH)} == {STABLE}, "nobody has it yet"

    world.announce("internal")
    await world.until(ELIF, CANDIDATE)
    assert await world.carrier(RUTH) == STABLE
    assert await world.carrier(ELIF) == CANDIDATE
    ruth = await sign_in(world.session, world.stack.url, RUTH)
    assert (await ruth.get("/v1/changes"))["items"] == [], "it is not announced to this ring"
    elif_ = await sign_in(world.session, world.stack.url, ELIF)
    assert "A new release" in str((await elif_.get("/v1/changes"))["items"])

    world.announce()
    await world.until(ELIF, STABLE)


async def test_a_release_is_watched_with_its_candidate_and_stops_when_that_is_gone(world: World) -> None:
    code, output = await world.watched()
    assert code == 0, output
    await world.stack.kill("orchestration-candidate")
    code, output = await world.watched()
    assert (code, "/readyz/candidate was not ready 2 times in a row" in output) == (1, True), output
