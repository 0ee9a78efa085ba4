"""The Cosmos DB emulator, with the unmodified SDK: items, conditions, patches, batches, expiry, unique keys, feeds."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from cosmos_emulated import Cosmos, cosmos, rows, status_of

from core.errors import Defect
from emulators.cosmos import CosmosEmulator

KEY = ["T1", "u1"]


class MovedClock:
    """Real time, moved forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


CLOCK = MovedClock()


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Cosmos]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANDATE_ENVIRONMENT", "local")
        async with cosmos(tmp_path_factory.mktemp("cosmos"), clock=CLOCK) as opened:
            yield opened


def item(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "t": "T1", "u": "u1", **more}


async def test_an_item_is_created_read_replaced_and_deleted(world: Cosmos) -> None:
    container = await world.container()
    made = await container.create_item(item("a", n=1, text="Ünï \u2028"))
    assert {"id", "_rid", "_self", "_etag", "_ts", "_attachments"} <= made.keys()
    assert await container.read_item("a", KEY) == made
    changed = await container.replace_item("a", item("a", n=2))
    assert (changed["n"], changed["_rid"]) == (2, made["_rid"])
    assert changed["_etag"] != made["_etag"]
    await container.delete_item("a", KEY)
    assert await status_of(container.read_item("a", KEY)) == (404, 0)
    assert await status_of(container.delete_item("a", KEY)) == (404, 0)
    assert await status_of(container.replace_item("a", item("a"))) == (404, 0)


async def test_an_upsert_creates_and_then_replaces(world: Cosmos) -> None:
    container = await world.container()
    first = await container.upsert_item(item("a", n=1))
    second = await container.upsert_item(item("a", n=2))
    assert (first["n"], second["n"]) == (1, 2)
    assert second["_rid"] == first["_rid"]


async def test_an_id_is_taken_once_in_a_logical_partition(world: Cosmos) -> None:
    container = await world.container()
    await container.create_item(item("a"))
    with pytest.raises(CosmosResourceExistsError):
        await container.create_item(item("a"))
    await container.create_item({"id": "a", "t": "T1", "u": "u2"})
    await container.create_item({"id": "a", "t": "T2", "u": "u1"})


async def test_of_two_writers_with_the_same_etag_one_wins(world: Cosmos) -> None:
    container = await world.container()
    etag = (await container.create_item(item("a")))["_etag"]
    same: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
    results = await asyncio.gather(
        *(container.replace_item("a", item("a", n=n), **same) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, CosmosAccessConditionFailedError) for result in results) == 4
    with pytest.raises(CosmosAccessConditionFailedError):
        await container.delete_item("a", KEY, **same)
    with pytest.raises(CosmosAccessConditionFailedError):
        await container.upsert_item(item("a"), **same)


async def test_a_read_of_what_the_client_has_says_so(world: Cosmos) -> None:
    container = await world.container()
    etag = (await container.create_item(item("a")))["_etag"]
    assert await container.read_item("a", KEY, etag=etag, match_condition=MatchConditions.IfModified) == {}
    await container.replace_item("a", item("a", n=2))
    fresh = await container.read_item("a", KEY, etag=etag, match_condition=MatchConditions.IfModified)
    assert fresh["n"] == 2


async def test_the_key_of_a_document_is_the_key_of_the_request(world: Cosmos) -> None:
    container = await world.container()
    await container.create_item(item("a"))
    path = f"/dbs/d/colls/{container.id}/docs/a/"
    headers = {"x-ms-documentdb-partitionkey": '["T1","u1"]'}
    status, answer, _ = await world.send("PUT", path, headers, b'{"id":"a","t":"T2","u":"u1"}')
    assert (status, answer["x-ms-substatus"]) == (400, "1001")
    missing = container.create_item({"id": "b", "t": "T1"})  # the SDK sends null for the missing level
    assert await status_of(missing) == (400, 1001)


@pytest.mark.parametrize(("key", "substatus"), [(["T1"], 1001), (["T1", "u1", "x"], 0)])
async def test_a_key_has_as_many_levels_as_the_container(world: Cosmos, key: list[str], substatus: int) -> None:
    container = await world.container()
    await container.create_item(item("a"))
    assert await status_of(container.read_item("a", key)) == (400, substatus)


@pytest.mark.parametrize("key", ["/v", "/a/b"])
async def test_a_single_key_may_be_of_any_scalar_type(world: Cosmos, key: str) -> None:
    container = await world.container(key=PartitionKey(key))
    for number, value in enumerate(["x", 1, 1.5, True]):
        document = {"id": str(number), "v": value} if key == "/v" else {"id": str(number), "a": {"b": value}}
        await container.create_item(document)
        assert (await container.read_item(str(number), value))["id"] == str(number)


async def test_a_patch_changes_what_it_names(world: Cosmos) -> None:
    container = await world.container()
    await container.create_item(item("a", n=1, list=[1, 2, 3], old="x", deep={"a/b": 1}))
    operations = [
        {"op": "incr", "path": "/n", "value": 4},
        {"op": "incr", "path": "/fresh", "value": 2},
        {"op": "add", "path": "/list/1", "value": 9},
        {"op": "add", "path": "/list/-", "value": 7},
        {"op": "set", "path": "/list/0", "value": 8},
        {"op": "replace", "path": "/deep/a~1b", "value": 5},
        {"op": "move", "from": "/old", "path": "/new"},
        {"op": "remove", "path": "/list/2"},
    ]
    found = await container.patch_item("a", KEY, operations)
    assert (found["n"], found["fresh"], found["list"], found["new"]) == (5, 2, [8, 9, 3, 7], "x")
    assert found["deep"] == {"a/b": 5}
    assert "old" not in found
    assert await container.read_item("a", KEY) == found


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "set", "path": "/id", "value": "b"},
        {"op": "set", "path": "/t", "value": "T2"},
        {"op": "remove", "path": "/_etag"},
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "remove", "path": "/missing"},
        {"op": "incr", "path": "/text", "value": 1},
        {"op": "add", "path": "/no/where", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "copy", "path": "/text", "value": 1},
        {"op": "set", "path": "/text"},
    ],
)
async def test_a_patch_that_cannot_be_done_changes_nothing(world: Cosmos, operation: dict[str, Any]) -> None:
    container = await world.container()
    made = await container.create_item(item("a", text="x", list=[1]))
    operations = [{"op": "set", "path": "/text", "value": "y"}, operation]
    assert await status_of(container.patch_item("a", KEY, operations)) == (400, 0)
    assert await container.read_item("a", KEY) == made


async def test_a_patch_has_ten_operations_at_most(world: Cosmos) -> None:
    container = await world.container()
    await container.create_item(item("a"))
    operations = [{"op": "set", "path": f"/p{n}", "value": n} for n in range(11)]
    assert (await container.patch_item("a", KEY, operations[:10]))["p9"] == 9
    for wrong in (operations, []):
        assert (await status_of(container.patch_item("a", KEY, wrong)))[0] == 400


async def test_a_patch_may_have_a_condition(world: Cosmos) -> None:
    container = await world.container()
    await container.create_item(item("a", n=1))
    more = [{"op": "incr", "path": "/n", "value": 1}]
    await container.patch_item("a", KEY, more, filter_predicate="from c where c.n = 1")
    with pytest.raises(CosmosAccessConditionFailedError):
        await container.patch_item("a", KEY, more, filter_predicate="from c where c.n = 1")
    assert (await container.read_item("a", KEY))["n"] == 2


async def test_a_batch_is_done_whole(world: Cosmos) -> None:
    container = await world.container()
    etag = (await container.create_item(item("a", n=1)))["_etag"]
    results = await container.execute_item_batch(
        [
            ("create", (item("b"),)),
            ("upsert", (item("c"),)),
            ("replace", ("a", item("a", n=2)), {"if_match_etag": etag}),
            ("patch", ("a", [{"op": "incr", "path": "/n", "value": 5}]), {"filter_predicate": "from c where c.n = 2"}),
            ("read", ("b",)),
            ("delete", ("c",)),
        ],
        KEY,
    )
    assert [result["statusCode"] for result in results] == [201, 201, 200, 200, 200, 204]
    assert results[3]["resourceBody"]["n"] == 7
    assert all("requestCharge" in result for result in results)
    assert await rows(container, "SELECT VALUE c.id FROM c", KEY) == ["a", "b"]


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (("create", (item("a"),)), 409),
        (("replace", ("none", item("none"))), 404),
        (("delete", ("none",)), 404),
        (("read", ("none",)), 404),
        (("replace", ("a", item("a")), {"if_match_etag": "old"}), 412),
        (("delete", ("a",), {"if_match_etag": "old"}), 412),
        (("patch", ("a", [{"op": "remove", "path": "/n"}]), {"filter_predicate": "from c where c.n = 9"}), 412),
        (("create", ({"id": "x", "t": "T2", "u": "u1"},)), 400),
        (("create", ({"t": "T1", "u": "u1"},)), 400),
    ],
)
async def test_one_refused_operation_undoes_the_batch(world: Cosmos, operation: Any, status: int) -> None:
    container = await world.container()
    before = await container.create_item(item("a", n=1))
    batch = [("create", (item("b"),)), ("replace", ("a", item("a", n=2))), operation, ("create", (item("c"),))]
    if operation[1][0] == "a" and len(operation) > 2 and "filter_predicate" not in operation[2]:
        batch.pop(1)
    with pytest.raises(CosmosBatchOperationError) as found:
        await container.execute_item_batch(batch, KEY)
    place = batch.index(operation)
    expected = [424] * len(batch)
    expected[place] = status
    failed: Any = found.value
    assert [result["statusCode"] for result in failed.operation_responses] == expected
    assert failed.error_index == place
    assert await rows(container, "SELECT * FROM c", ["T1"]) == [before]


async def test_of_two_batches_that_claim_the_same_id_one_leaves_nothing(world: Cosmos) -> None:
    """The fence of a run log; Microsoft's vNext emulator kept the loser's other writes (rule 6)."""
    container = await world.container()

    async def append(writer: str) -> list[int]:
        batch = [("create", (item(f"beside-{writer}"),)), ("create", (item("fence", writer=writer),))]
        try:
            results = await container.execute_item_batch(batch, KEY)
        except CosmosBatchOperationError as error:
            refusal: Any = error
            results = refusal.operation_responses
        return [result["statusCode"] for result in results]

    told = await asyncio.gather(*(append(str(n)) for n in range(8)))
    assert sorted(told) == [[201, 201], *[[424, 409]] * 7]
    found = await rows(container, "SELECT VALUE c.id FROM c", KEY)
    assert sorted(found) == [f"beside-{told.index([201, 201])}", "fence"]


@pytest.mark.parametrize(("count", "status"), [(0, 400), (100, 200), (101, 400)])
async def test_a_batch_has_one_to_a_hundred_operations(world: Cosmos, count: int, status: int) -> None:
    container = await world.container()
    batch = [("create", (item(str(n)),)) for n in range(count)]
    if status == 200:
        assert len(await container.execute_item_batch(batch, KEY)) == count
    else:
        assert (await status_of(container.execute_item_batch(batch, KEY)))[0] == status
        assert await rows(container, "SELECT * FROM c", KEY) == []


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's opinion of what the SDK does
async def test_a_batch_and_an_item_have_two_megabytes_at_most(world: Cosmos) -> None:
    container = await world.container()
    large = "x" * (2 * 1024 * 1024)
    assert (await status_of(container.execute_item_batch([("create", (item("a", text=large),))], KEY)))[0] == 413
    assert (await status_of(container.create_item(item("a", text=large))))[0] == 413


async def test_a_batch_needs_a_full_key(world: Cosmos) -> None:
    container = await world.container()
    assert await status_of(container.execute_item_batch([("create", (item("a"),))], ["T1"])) == (400, 1001)


async def test_items_end_by_the_containers_time_or_their_own(world: Cosmos) -> None:
    container = await world.container(default_ttl=100)
    await container.create_item(item("default"))
    await container.create_item(item("short", ttl=10))
    await container.create_item(item("never", ttl=-1))
    CLOCK.ahead += timedelta(seconds=11)
    with pytest.raises(CosmosResourceNotFoundError):
        await container.read_item("short", KEY)
    assert await rows(container, "SELECT VALUE c.id FROM c", KEY) == ["default", "never"]
    changed = [row["id"] async for row in container.query_items_change_feed(start_time="Beginning", partition_key=KEY)]
    assert changed == ["default", "never"]
    await container.create_item(item("short", n=2))
    CLOCK.ahead += timedelta(seconds=90)
    assert await rows(container, "SELECT VALUE c.id FROM c", KEY) == ["never", "short"]


async def test_without_a_default_only_items_that_say_so_end(world: Cosmos) -> None:
    on, off = await world.container(default_ttl=-1), await world.container()
    for container in (on, off):
        await container.create_item(item("plain"))
        await container.create_item(item("short", ttl=10))
    CLOCK.ahead += timedelta(seconds=11)
    assert await rows(on, "SELECT VALUE c.id FROM c", KEY) == ["plain"]
    assert await rows(off, "SELECT VALUE c.id FROM c", KEY) == ["plain", "short"]


async def test_a_containers_new_time_counts_for_what_it_has(world: Cosmos) -> None:
    container = await world.container()
    await container.create_item(item("a"))
    await container.create_item(item("b", ttl=1000))
    key = PartitionKey(["/t", "/u"], kind="MultiHash")
    await world.database.replace_container(container, key, default_ttl=50)
    CLOCK.ahead += timedelta(seconds=51)
    assert await rows(container, "SELECT VALUE c.id FROM c", KEY) == ["b"]


@pytest.mark.parametrize("ttl", [0, None, "10", -2, 1.5])
async def test_a_ttl_is_a_positive_number_or_minus_one(world: Cosmos, ttl: Any) -> None:
    container = await world.container(default_ttl=100)
    assert (await status_of(container.create_item(item("a", ttl=ttl))))[0] == 400


async def test_unique_keys_hold_within_a_logical_partition(world: Cosmos) -> None:
    policy = {"uniqueKeys": [{"paths": ["/mail"]}, {"paths": ["/a", "/b/c"]}]}
    container = await world.container(unique_key_policy=policy, default_ttl=-1)
    await container.create_item(item("1", mail="x", a=1, ttl=10))
    for wrong in (item("2", mail="x", a=2), item("2", mail="y", a=1)):
        with pytest.raises(CosmosResourceExistsError):
            await container.create_item(wrong)
    await container.create_item(item("2", mail="y", a=2))
    await container.create_item({"id": "1", "t": "T1", "u": "u2", "mail": "x", "a": 1})
    with pytest.raises(CosmosResourceExistsError):
        await container.patch_item("2", KEY, [{"op": "set", "path": "/mail", "value": "x"}])
    CLOCK.ahead += timedelta(seconds=11)
    await container.patch_item("2", KEY, [{"op": "set", "path": "/mail", "value": "x"}])
    await container.delete_item("2", KEY)
    await container.create_item(item("3", mail="x", a=2))


async def test_the_change_feed_tells_what_is_new_once(world: Cosmos) -> None:
    container = await world.container()
    await container.create_item(item("a", n=1))
    await container.create_item({"id": "b", "t": "T1", "u": "u2"})
    await container.create_item({"id": "x", "t": "T2", "u": "u1"})
    feed = container.query_items_change_feed(start_time="Beginning", partition_key=["T1"])
    assert [row["id"] async for row in feed] == ["a", "b"]
    token = container.client_connection.last_response_headers["etag"]
    await container.replace_item("a", item("a", n=2))
    await container.delete_item("b", ["T1", "u2"])
    feed = container.query_items_change_feed(continuation=token)
    assert [(row["id"], row["n"]) async for row in feed] == [("a", 2)]
    token = container.client_connection.last_response_headers["etag"]
    assert [row async for row in container.query_items_change_feed(continuation=token)] == []


async def test_the_change_feed_keeps_a_batch_together_and_pages_between(world: Cosmos) -> None:
    container = await world.container()
    for start in range(0, 9, 3):
        await container.execute_item_batch([("create", (item(str(start + n)),)) for n in range(3)], KEY)
    feed = container.query_items_change_feed(start_time="Beginning", partition_key=KEY, max_item_count=2)
    pages = [[row async for row in page] async for page in feed.by_page()]
    assert ["".join(row["id"] for row in page) for page in pages if page] == ["012", "345", "678"]
    assert len({row["_lsn"] for row in pages[0]}) == 1


async def test_the_change_feed_starts_now_unless_told(world: Cosmos) -> None:
    container = await world.container()
    await container.create_item(item("a"))
    assert [row async for row in container.query_items_change_feed(partition_key=KEY)] == []


async def test_everything_is_there_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    async with cosmos(tmp_path) as first:
        container = await first.container(default_ttl=1000, unique_key_policy={"uniqueKeys": [{"paths": ["/n"]}]})
        made = await container.create_item(item("a", n=1))
        name = container.id
    async with cosmos(tmp_path) as second:
        again = second.database.get_container_client(name)
        assert await again.read_item("a", KEY) == made
        assert (await again.read())["defaultTtl"] == 1000
        with pytest.raises(CosmosResourceExistsError):
            await again.create_item(item("b", n=1))


async def test_databases_and_containers_come_and_go(world: Cosmos) -> None:
    database = await world.client.create_database("other")
    with pytest.raises(CosmosResourceExistsError):
        await world.client.create_database("other")
    await database.create_container("x", PartitionKey("/p"), offer_throughput=700)
    assert (await database.get_container_client("x").get_throughput()).offer_throughput == 700
    with pytest.raises(CosmosResourceExistsError):
        await database.create_container("x", PartitionKey("/p"))
    listed: Any = database
    assert [found["id"] async for found in listed.list_containers()] == ["x"]
    await database.delete_container("x")
    with pytest.raises(CosmosResourceNotFoundError):
        await database.get_container_client("x").read()
    await world.client.delete_database("other")
    assert "other" not in [found["id"] async for found in world.client.list_databases()]


async def test_of_many_who_make_a_container_at_once_one_does(world: Cosmos) -> None:
    made = await asyncio.gather(
        *(world.database.create_container("race", PartitionKey("/p")) for _ in range(6)), return_exceptions=True
    )
    assert sum(isinstance(result, CosmosResourceExistsError) for result in made) == 5
    made = await asyncio.gather(*(world.client.create_database("race") for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(result, CosmosResourceExistsError) for result in made) == 5


async def test_items_of_a_container_that_is_gone_are_not_found(world: Cosmos) -> None:
    missing = world.database.get_container_client("missing")
    with pytest.raises(CosmosResourceNotFoundError):
        await missing.create_item(item("a"))
    headers = {"x-ms-documentdb-partitionkey": '["T1","u1"]'}
    status, answer, _ = await world.send("GET", "/dbs/d/colls/missing/docs/a/", headers)
    assert (status, answer["x-ms-substatus"]) == (404, "1003")


def test_it_starts_nowhere_but_locally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "prod")
    with pytest.raises(Defect):
        CosmosEmulator(tmp_path / "cosmos.db")
