"""What the store on Azure Cosmos DB asks of the service: each request is of one tenant, in its partition and its WHERE.

Either would do. That both are there is what no answer can show, so here the requests themselves are looked at: those of
every method of every store, of all that governs them, and of the platform.
"""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import pytest
from store_attacks import Held, attempts, fill, methods, outcome
from store_places import emulated
from store_samples import index, member, prompt

from core import PUBLISHER, Content, ContentClass, PrincipalId, TenantContext, TenantId
from data import EVERYTHING, Governed, Part, Platform
from data.cosmos import CosmosStore, Usage
from data.cosmos.calls import Calls
from data.cosmos.content import INLINE_BYTES
from data.cosmos.large import Blobs
from data.cosmos.usage import Operation, count_response
from emulators.cosmos.keys import KeyDefinition

KIND = "session"
LARGE = Content.new(b"x" * (INLINE_BYTES + 1), kind=ContentClass.DOCUMENT, owner=PrincipalId("usr_1"))
"""Lies in pieces, and both tenants have it."""

Ask = Callable[[], Awaitable[object]]
Hook = Callable[[Any], None]

_KEY = KeyDefinition((("tenant",), ("second",)), "MultiHash")


@dataclass
class Seen:
    """Attributes:
    parts: the tenant of each request's partition; nobody's name where it is asked of all.
    named: the tenants in the WHERE of queries, and of what is written.
    metered: for which tenants requests were counted.
    counting: while a request of the store that is looked at is counted.
    """

    tenants: tuple[TenantId, ...]
    parts: Counter[str] = field(default_factory=Counter[str])
    named: Counter[str] = field(default_factory=Counter[str])
    metered: Counter[str] = field(default_factory=Counter[str])
    counting: bool = False

    def request(self, answer: Any) -> None:
        """Take in a request that was sent: given to the SDK, which calls it for each."""
        request: Any = answer.http_request
        if "/docs" in urlsplit(str(request.url)).path and "a-im" not in request.headers:
            self.parts[_partition(request.headers, self.tenants)] += 1
            self.named.update(_named(orjson.loads(request.data) if request.data else {}))

    def meter(self, tenant: TenantId, **_: object) -> None:
        """Take in what is metered, unless it is another store's in this process: the shared product may be on one."""
        if self.counting:
            self.metered[tenant] += 1

    def take(self) -> set[str]:
        """Return all that was seen since the last time."""
        told = {*self.parts, *self.named, *self.metered}
        for counter in (self.parts, self.named, self.metered):
            counter.clear()
        return told


def _partition(headers: dict[str, str], tenants: tuple[TenantId, ...]) -> str:
    """Return the tenant in whose partition a request is made; a query over all of them names a range of hashes."""
    if key := headers.get("x-ms-documentdb-partitionkey"):
        return str(orjson.loads(key)[0])
    ends = [headers.get(f"x-ms-{end}-epk", "") for end in ("start", "end")]
    return next((tenant for tenant in tenants if all(end.startswith(_hash(tenant)) for end in ends)), "nobody")


@lru_cache
def _hash(tenant: TenantId) -> str:
    return _KEY.epk([tenant])


def _named(body: Any) -> Iterator[str]:
    """Yield the tenants that a query asks for, or whose documents are written."""
    if isinstance(body, list):
        for operation in cast("list[dict[str, Any]]", body):
            yield operation["resourceBody"]["tenant"]
    elif "query" in body:
        values = {parameter["name"]: parameter["value"] for parameter in body["parameters"]}
        yield values["@tenant"] if "c.tenant = @tenant" in body["query"] else "nobody"
    elif "id" in body:
        yield body["tenant"]


class Heard(Usage):
    """Says while it counts: what it then meters is of the store that it belongs to."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._seen = seen

    def add(self, operation: Operation, *, sent: int, received: int, charge: float) -> None:
        self._seen.counting = True
        super().add(operation, sent=sent, received=received, charge=charge)
        self._seen.counting = False


@dataclass(frozen=True)
class World:
    """Attributes:
    held, others: what two tenants have, under the same ids.
    """

    store: CosmosStore
    seen: Seen
    held: Held
    others: Held

    @property
    def tenant(self) -> TenantId:
        return self.held.context.tenant

    async def filled(self, context: TenantContext) -> None:
        """Add what is kept for some days only, and what lies in pieces."""
        await self.store.governed.retain(context.tenant, {ContentClass.PROMPT: 5})
        await self.store.tenant(context).content.put([LARGE, prompt()])


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    seen = Seen(())

    def looked_at(answer: Any) -> None:
        seen.request(answer)
        count_response(answer)

    monkeypatch.setattr("data.cosmos.account.count_response", looked_at)
    monkeypatch.setattr("data.cosmos.usage.meter_store", seen.meter)
    monkeypatch.setattr("data.cosmos.store.Usage", lambda: Heard(seen))
    async with emulated(tmp_path) as (place, _), place.open() as store:
        held, others = await fill(store, [KIND]), await fill(store, [KIND])
        seen.tenants = held.context.tenant, others.context.tenant
        found = World(store, seen, held, others)
        for context in (others.context, held.context):
            await found.filled(context)
        seen.take()
        yield found


async def test_every_request_for_a_tenant_names_it_in_its_partition_and_its_where(world: World) -> None:
    for attempt in attempts(world.store, world.held.context, world.held):
        got, told = await outcome(attempt), world.seen.take()
        assert told <= {world.tenant}, f"{attempt.store}.{attempt.method}, {attempt.what}: {told}"
        assert got != "defect.tenant", f"{attempt.store}.{attempt.method}, {attempt.what}"
    content = world.store.tenant(world.held.context).content
    assert len(await content.get(LARGE.ref)) == len(LARGE.data)
    assert await content.erase([LARGE.ref.id]) == 1
    assert world.seen.take() == {world.tenant}
    assert len(await world.store.tenant(world.others.context).content.get(LARGE.ref)) == len(LARGE.data)


def governing(world: World) -> dict[str, Ask]:
    """Return a use of every method that governs what there is of a tenant, in an order that lets each do something."""
    governed, tenant = world.store.governed, world.tenant

    async def erased() -> None:
        await governed.hold(tenant, "case", [])
        for part in Part:
            assert await governed.erase_all(tenant, part) > 0

    return {
        "retain": lambda: governed.retain(tenant, {ContentClass.PROMPT: 9}),
        "held": lambda: governed.held(tenant),
        "hold": lambda: governed.hold(tenant, "case", [EVERYTHING]),
        "expire": lambda: governed.expire(tenant),
        "runs": lambda: _all(governed.runs(tenant)),
        "bar": lambda: governed.bar(tenant),
        "erase_all": erased,
        "scrub": governed.scrub,
    }


async def _all(found: AsyncIterator[object]) -> list[object]:
    return [one async for one in found]


async def test_who_governs_a_tenants_data_asks_for_that_tenants_alone(world: World) -> None:
    asks = governing(world)
    assert asks.keys() == public(Governed)
    for name, ask in asks.items():
        await ask()
        assert world.seen.take() == ({world.tenant} if name != "scrub" else set()), name


def platform(world: World) -> dict[str, tuple[Ask, set[str]]]:
    """Return a use of every method of the platform, and whom it names: nobody, where it goes over all tenants."""
    asked, tenant, run = world.store.platform, world.tenant, world.held.run
    (row, *_), all_ = world.held.rows.values(), {"nobody", PUBLISHER}
    newer = replace(row, seq=2)
    return {
        "rows": (lambda: asked.rows("runs", [(tenant, row.key)]), {tenant}),
        "project": (lambda: asked.project({"runs": [newer]}, name="x", checkpoint="2"), {tenant, PUBLISHER}),
        "raw": (lambda: asked.raw(tenant, run), {tenant}),
        "checkpoint": (lambda: asked.checkpoint("x"), {PUBLISHER}),
        "feed": (lambda: asked.feed(after=""), {PUBLISHER}),
        "heads": (lambda: asked.heads(after=""), {PUBLISHER}),
        "waiting": (lambda: asked.waiting("none"), {PUBLISHER}),
        "due": (lambda: _all(asked.due("runs", states=["open"])), all_),
        "scan": (lambda: _all(asked.scan("runs")), all_),
        "runs": (lambda: _all(asked.runs()), all_),
        "reset": (lambda: asked.reset("runs"), {*all_, tenant, world.others.context.tenant}),
    }


async def test_the_platform_names_each_tenant_whose_rows_it_reads_or_writes(world: World) -> None:
    asks = platform(world)
    assert asks.keys() == public(Platform)
    for name, (ask, named) in asks.items():
        assert await ask() != [], name
        assert world.seen.take() == named, name
    assert await world.store.tenant(world.held.context).views.get("runs", "runs-key") is None


def public(port: type) -> set[str]:
    """Return the names of what a port can be asked, of what it gives one after the other too."""
    return methods(port) | {name for name, value in vars(port).items() if callable(value) and name[0] != "_"}


async def test_a_passage_that_moves_leaves_the_same_passage_of_the_other_tenant_where_it_is(world: World) -> None:
    moved = replace(world.held.passage, collection="offers")
    await index(world.store, world.held.context, [moved])
    assert world.seen.take() == {world.tenant}
    for held, collection in ((world.held, "offers"), (world.others, "manuals")):
        found = await world.store.tenant(held.context).knowledge.of(held.passage.document)
        assert [one.collection for one in found] == [collection]


class Container:
    """Stands in for the container in Blob Storage, of which there is no emulator in Python."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self._request = SimpleNamespace(url="https://blobs.example", data=b"")
        self._answer = SimpleNamespace(http_request=self._request, http_response=SimpleNamespace(headers={}))

    async def upload_blob(self, name: str, data: bytes, *, raw_response_hook: Hook, **_: object) -> None:
        self.blobs[name] = data
        raw_response_hook(self._answer)

    async def download_blob(self, name: str, *, raw_response_hook: Hook) -> "Container":
        raw_response_hook(self._answer)
        self.downloaded = self.blobs[name]
        return self

    async def readall(self) -> bytes:
        return self.downloaded

    async def delete_blob(self, name: str, *, raw_response_hook: Hook) -> None:
        del self.blobs[name]
        raw_response_hook(self._answer)


async def test_large_content_lies_in_a_folder_of_its_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, kept = Seen(()), Container()
    monkeypatch.setattr("data.cosmos.usage.meter_store", seen.meter)
    blobs, tenants = Blobs(cast("Any", kept), Calls(Heard(seen))), [member().tenant for _ in range(2)]
    for number, tenant in enumerate(tenants):
        await blobs.put((tenant, "00"), "name", bytes([number]))
        assert seen.take() == {tenant}
    assert list(kept.blobs) == [f"{tenant}/name" for tenant in tenants]
    for number, tenant in enumerate(tenants):
        assert await blobs.get((tenant, "00"), "name", 1) == bytes([number])
        assert seen.take() == {tenant}
    await blobs.delete((tenants[0], "00"), "name", 1)
    assert seen.take() == {tenants[0]}
    assert list(kept.blobs) == [f"{tenants[1]}/name"]
