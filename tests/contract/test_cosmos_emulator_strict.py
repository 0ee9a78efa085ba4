"""What the Cosmos DB emulator refuses to take, what every answer of it says, and the faults that a test may order."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from cosmos_emulated import AnyToken, Cosmos, cosmos, plain_headers, rows, status_of

from core.errors import Forbidden, Unauthenticated
from emulators.cosmos import Fault, open_emulator
from emulators.cosmos.keys import KeyDefinition

KEY = {"x-ms-documentdb-partitionkey": '["T1","u1"]'}
QUERY = {"x-ms-documentdb-isquery": "true", "content-type": "application/query+json"}
RANGE = {"x-ms-documentdb-partitionkeyrangeid": "0"}
HPK = KeyDefinition((("t",), ("u",)), "MultiHash")
T1, T1_END = HPK.epk(["T1"]), f"{HPK.epk(['T1'])}FF"
INTERVAL = {**RANGE, "x-ms-start-epk": T1, "x-ms-end-epk": T1_END, "x-ms-read-key-type": "EffectivePartitionKeyRange"}


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Cosmos]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANDATE_ENVIRONMENT", "local")
        async with cosmos(tmp_path_factory.mktemp("cosmos")) as opened:
            yield opened


@pytest.fixture
async def container(world: Cosmos) -> AsyncGenerator[ContainerProxy]:
    made = await world.container()
    await made.create_item({"id": "a", "t": "T1", "u": "u1", "n": 1})
    await made.create_item({"id": "b", "t": "T2", "u": "u1", "n": 2})
    yield made
    world.running.emulator.faults.clear()


def docs(container: ContainerProxy, name: str = "") -> str:
    return f"/dbs/d/colls/{container.id}/docs/{name}{'/' if name else ''}"


def query(text: str = "SELECT VALUE c.id FROM c") -> bytes:
    return json.dumps({"query": text, "parameters": []}).encode()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/dbs/d/unknown/"),
        ("GET", "/dbs/d/colls/{c}/sprocs/"),
        ("POST", "/dbs/d/colls/{c}/operations/partitionkeydelete"),
        ("PUT", "/dbs/d/"),
        ("PATCH", "/dbs/d/colls/{c}/"),
        ("DELETE", "/dbs/d/colls/{c}/docs/"),
        ("POST", "/dbs/d/colls/{c}/docs/a/"),
        ("GET", "/offers"),
        ("GET", "/dbs/d/colls/{c}/docs/a"),
        ("GET", "/dbs/d"),
        ("GET", "/dbs/d/colls/{c}//docs/a/"),
    ],
)
async def test_an_unknown_path_or_method_is_refused(
    world: Cosmos, container: ContainerProxy, method: str, path: str
) -> None:
    status, _, body = await world.send(method, path.format(c=container.id), KEY, b"{}")
    assert status == 400
    assert set(body) == {"code", "message"}


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ms-unheard-of": "1"},
        {"x-ms-version": "2018-12-31"},
        {"x-ms-version": None},
        {"x-ms-date": None},
        {"x-ms-date": "yesterday"},
        {"x-ms-consistency-level": "Linear"},
        {"x-ms-cosmos-priority-level": "Highest"},
        {"x-ms-session-token": "nonsense"},
        {"x-ms-indexing-directive": "Exclude"},
        {"x-ms-documentdb-pre-trigger-include": "t"},
    ],
)
async def test_an_unknown_header_or_value_is_refused(
    world: Cosmos, container: ContainerProxy, headers: Mapping[str, str | None]
) -> None:
    assert (await world.send("GET", docs(container, "a"), KEY))[0] == 200
    status, _, _ = await world.send("GET", docs(container, "a"), {**KEY, **headers})
    assert status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": None},
        {"authorization": "Bearer a.b.c"},
        {"authorization": "type=aad&ver=1.0&sig="},
        {"authorization": "type=aad&ver=2.0&sig=a.b.c"},
        {"authorization": "type%3Dmaster%26ver%3D1.0%26sig%3Dabc"},
    ],
)
async def test_who_asks_must_be_proved(
    world: Cosmos, container: ContainerProxy, headers: Mapping[str, str | None]
) -> None:
    assert (await world.send("GET", docs(container, "a"), {**KEY, **headers}))[0] == 401


@pytest.mark.parametrize("seconds", [-1000, 1000])
async def test_what_is_asked_must_be_of_now(world: Cosmos, container: ContainerProxy, seconds: int) -> None:
    headers = {"x-ms-date": formatdate(time.time() + seconds, usegmt=True)}
    assert (await world.send("GET", docs(container, "a"), {**KEY, **headers}))[0] == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"id":"x","t":"T1","u":"u1"}', 201),
        (b'{"id":"x","t":"T1","u":"u1","n":NaN}', 400),
        (b'{"id":"x","t":"T1","u":"u1","n":Infinity}', 400),
        (b'{"t":"T1","u":"u1"}', 400),
        (b'{"id":"","t":"T1","u":"u1"}', 400),
        (b'{"id":7,"t":"T1","u":"u1"}', 400),
        (b'{"id":"a/b","t":"T1","u":"u1"}', 400),
        (b'{"id":"a ","t":"T1","u":"u1"}', 400),
        (b'["id"]', 400),
        (b"{", 400),
        (json.dumps({"id": "x" * 1023, "t": "T1", "u": "u1"}).encode(), 201),
        (json.dumps({"id": "é" * 512, "t": "T1", "u": "u1"}).encode(), 400),
        (json.dumps({"id": "x", "t": "T1", "u": ["u1"]}).encode(), 400),
        (b'{"id":"x","t":"T1","u":"u1","deep":' + b"[" * 127 + b"]" * 127 + b"}", 201),
        (b'{"id":"x","t":"T1","u":"u1","deep":' + b"[" * 129 + b"]" * 129 + b"}", 400),
    ],
)
async def test_an_item_that_the_service_does_not_take_is_refused(
    world: Cosmos, container: ContainerProxy, body: bytes, status: int
) -> None:
    assert (await world.send("POST", docs(container), KEY, body))[0] == status


async def test_a_level_of_a_key_has_2048_bytes_at_most(world: Cosmos, container: ContainerProxy) -> None:
    for length, status in ((2048, 201), (2049, 400)):
        user = "x" * length
        headers = {"x-ms-documentdb-partitionkey": json.dumps(["T1", user])}
        body = json.dumps({"id": "x", "t": "T1", "u": user}).encode()
        assert (await world.send("POST", docs(container), headers, body))[0] == status


async def test_a_level_that_a_document_lacks_is_not_null(world: Cosmos, container: ContainerProxy) -> None:
    headers = {"x-ms-documentdb-partitionkey": '["T1",null]'}
    assert (await world.send("POST", docs(container), headers, b'{"id":"x","t":"T1"}'))[0] == 400
    assert (await world.send("POST", docs(container), headers, b'{"id":"x","t":"T1","u":null}'))[0] == 201


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (KEY, ["a"]),
        (INTERVAL, ["a"]),
        (RANGE, ["a", "b"]),
        ({"x-ms-documentdb-query-enablecrosspartition": "True"}, ["a", "b"]),
        ({}, 400),
        ({"x-ms-documentdb-partitionkey": '["T1"]'}, 400),
        ({"x-ms-documentdb-partitionkey": '["T1","u1","x"]'}, 400),
        ({"x-ms-documentdb-partitionkey": "[]"}, 400),
        ({**KEY, **RANGE}, 400),
        ({**KEY, "x-ms-documentdb-query-enablecrosspartition": "True"}, 400),
        ({**RANGE, "x-ms-documentdb-query-enablecrosspartition": "True"}, 400),
        ({**INTERVAL, "x-ms-documentdb-partitionkeyrangeid": "7"}, 400),
        ({**INTERVAL, "x-ms-documentdb-partitionkeyrangeid": None}, 400),
        ({**INTERVAL, "x-ms-start-epk": None}, 400),
        ({**INTERVAL, "x-ms-end-epk": None}, 400),
        ({**INTERVAL, "x-ms-read-key-type": None}, 400),
        ({**INTERVAL, "x-ms-read-key-type": "ResourceId"}, 400),
        ({**INTERVAL, "x-ms-start-epk": T1_END, "x-ms-end-epk": T1}, 400),
        ({**INTERVAL, "x-ms-end-epk": "XY"}, 400),
        ({**RANGE, "x-ms-read-key-type": "EffectivePartitionKeyRange"}, ["a", "b"]),
        ({**RANGE, "x-ms-read-key-type": "ResourceId"}, 400),
        ({**KEY, "x-ms-start-epk": T1, "x-ms-end-epk": T1_END}, 400),
    ],
)
async def test_a_query_says_what_it_is_about(
    world: Cosmos, container: ContainerProxy, headers: Mapping[str, str | None], expected: Any
) -> None:
    """A server that overlooks any of these returns other tenants' rows (rule 7)."""
    status, _, body = await world.send("POST", docs(container), {**QUERY, **headers}, query())
    if status == 200:
        assert sorted(body["Documents"]) == expected
        assert body["_count"] == len(expected)
    else:
        assert status == expected


@pytest.mark.parametrize(
    "body",
    [
        {"query": "SELECT * FROM c", "unknown": 1},
        {"query": 5},
        {"parameters": []},
        {"query": "SELECT * FROM c", "parameters": [{"name": "n", "value": 1}]},
        {"query": "SELECT * FROM c", "parameters": [{"name": "@n"}]},
        {"query": "SELECT * FROM c", "parameters": [{"name": "@n", "value": 1}, {"name": "@n", "value": 1}]},
        {"query": "SELECT * FROM c", "parameters": [{"name": "@n", "value": 1, "type": "int"}]},
        {"query": f"SELECT * FROM c WHERE c.n = '{'x' * 524_288}'"},
    ],
)
async def test_a_query_has_a_text_and_named_values(world: Cosmos, container: ContainerProxy, body: Any) -> None:
    assert (await world.send("POST", docs(container), {**QUERY, **KEY}, json.dumps(body).encode()))[0] == 400


@pytest.mark.parametrize("size", ["0", "-2", "x"])
async def test_a_page_has_a_positive_size(world: Cosmos, container: ContainerProxy, size: str) -> None:
    headers = {**QUERY, **KEY, "x-ms-max-item-count": size}
    assert (await world.send("POST", docs(container), headers, query()))[0] == 400


async def test_a_foreign_continuation_is_refused(world: Cosmos, container: ContainerProxy) -> None:
    headers = {**QUERY, **KEY, "x-ms-continuation": "bm9uc2Vuc2U="}
    assert (await world.send("POST", docs(container), headers, query()))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        b'[{"operationType":"Create","resourceBody":{"id":"x","t":"T1","u":"u1"},"extra":1}]',
        b'{"operationType":"Read","id":"a"}',
        b'["Read"]',
    ],
)
async def test_a_batch_with_unknown_parts_is_refused(world: Cosmos, container: ContainerProxy, body: bytes) -> None:
    headers = {**KEY, "x-ms-cosmos-is-batch-request": "True", "x-ms-cosmos-batch-atomic": "True"}
    assert (await world.send("POST", docs(container), headers, body))[0] == 400


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-ms-cosmos-batch-atomic": "False"}, 400),
        ({"x-ms-cosmos-batch-continue-on-error": "True"}, 400),
        ({"prefer": "return=minimal"}, 501),
    ],
)
async def test_a_batch_is_atomic_and_answers_in_full(
    world: Cosmos, container: ContainerProxy, headers: Mapping[str, str], expected: int
) -> None:
    asked = {**KEY, "x-ms-cosmos-is-batch-request": "True", **headers}
    status, _, _ = await world.send("POST", docs(container), asked, b'[{"operationType":"Read","id":"a"}]')
    assert status == expected


async def test_an_operation_of_a_batch_must_be_known(world: Cosmos, container: ContainerProxy) -> None:
    headers = {**KEY, "x-ms-cosmos-is-batch-request": "True", "x-ms-cosmos-batch-atomic": "True"}
    body = b'[{"operationType":"Read","id":"a"},{"operationType":"Crate","resourceBody":{}}]'
    status, _, found = await world.send("POST", docs(container), headers, body)
    assert (status, [entry["statusCode"] for entry in found]) == (207, [424, 400])


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"x-ms-documentdb-is-upsert": "True", "if-match": '"x"'}, 501),
        ("POST", {"if-none-match": "*"}, 201),
        ("PUT", {"if-none-match": "*"}, 501),
        ("GET", {"if-match": '"x"'}, 501),
        ("DELETE", {"if-match": '"x"'}, 412),
        ("DELETE", {"if-match": "*"}, 204),
    ],
)
async def test_conditions_are_known_or_refused(
    world: Cosmos, container: ContainerProxy, method: str, headers: Mapping[str, str], status: int
) -> None:
    name = "" if method == "POST" else "a"
    body = json.dumps({"id": name or "fresh", "t": "T1", "u": "u1"}).encode()
    assert (await world.send(method, docs(container, name), {**KEY, **headers}, body))[0] == status


@pytest.mark.parametrize(
    "settings",
    [
        {"partitionKey": {"paths": ["/a", "/b", "/c", "/d"], "kind": "MultiHash", "version": 2}},
        {"partitionKey": {"paths": ["/a", "/b"], "kind": "Hash", "version": 2}},
        {"partitionKey": {"paths": ["/a"], "kind": "Range", "version": 2}},
        {"partitionKey": {"paths": ["/a"], "kind": "MultiHash", "version": 1}},
        {"partitionKey": {"paths": ["a"], "kind": "Hash", "version": 2}},
        {"partitionKey": {"paths": [], "kind": "Hash", "version": 2}},
        {"defaultTtl": 0},
        {"id": "a/b"},
        {"id": ""},
        {"unknown": 1},
        {"indexingPolicy": {"unknown": 1}},
        {"indexingPolicy": {"includedPaths": [{"path": "/a"}]}},
        {"indexingPolicy": {"compositeIndexes": [[{"path": "/a"}]]}},
        {"indexingPolicy": {"compositeIndexes": [[{"path": "/a", "order": "up"}, {"path": "/b"}]]}},
        {"indexingPolicy": {"vectorIndexes": [{"path": "/v", "type": "flat"}]}},
        {"indexingPolicy": {"fullTextIndexes": [{"path": "/text"}]}},
        {"vectorEmbeddingPolicy": {"vectorEmbeddings": [{"path": "/v", "dataType": "float64", "dimensions": 3}]}},
        {"uniqueKeyPolicy": {"uniqueKeys": [{"paths": [f"/p{n}"]} for n in range(11)]}},
        {"computedProperties": [{"name": "x", "query": "SELECT VALUE 1 FROM c"}]},
    ],
)
async def test_a_container_that_the_service_does_not_make_is_refused(world: Cosmos, settings: dict[str, Any]) -> None:
    body = {"id": "refused", "partitionKey": {"paths": ["/t"], "kind": "Hash", "version": 2}, **settings}
    status, _, _ = await world.send("POST", "/dbs/d/colls/", {}, json.dumps(body).encode())
    assert status == 400


async def test_the_old_hash_of_keys_is_not_known(world: Cosmos) -> None:
    for key in ({"paths": ["/t"], "kind": "Hash", "version": 1}, {"paths": ["/t"], "kind": "Hash"}):
        body = json.dumps({"id": "old", "partitionKey": key}).encode()
        assert (await world.send("POST", "/dbs/d/colls/", {}, body))[0] == 501


@pytest.mark.parametrize(
    ("index", "dimensions", "excluded", "status"),
    [("flat", 505, True, 201), ("flat", 506, True, 400), ("diskANN", 1536, True, 201), ("diskANN", 8, False, 400)],
)
async def test_a_vector_index_fits_its_embedding(
    world: Cosmos, index: str, dimensions: int, excluded: bool, status: int
) -> None:
    embedding = {"path": "/v", "dataType": "float32", "dimensions": dimensions, "distanceFunction": "cosine"}
    body = {
        "id": f"v-{index}-{dimensions}-{excluded}",
        "partitionKey": {"paths": ["/t"], "kind": "Hash", "version": 2},
        "vectorEmbeddingPolicy": {"vectorEmbeddings": [embedding]},
        "indexingPolicy": {
            "includedPaths": [{"path": "/*"}],
            "excludedPaths": [{"path": "/v/*"}] if excluded else [],
            "vectorIndexes": [{"path": "/v", "type": index}],
        },
    }
    assert (await world.send("POST", "/dbs/d/colls/", {}, json.dumps(body).encode()))[0] == status


async def test_what_a_container_is_made_of_cannot_be_changed(world: Cosmos, container: ContainerProxy) -> None:
    for change in ({"partitionKey": {"paths": ["/x"], "kind": "Hash", "version": 2}}, {"id": "other"}):
        body = {
            "id": container.id,
            "partitionKey": {"paths": ["/t", "/u"], "kind": "MultiHash", "version": 2},
            **change,
        }
        path = f"/dbs/d/colls/{container.id}/"
        assert (await world.send("PUT", path, {}, json.dumps(body).encode()))[0] == 400


@pytest.mark.parametrize("headers", [{"a-im": "Full-Fidelity Feed"}, {}])
async def test_feeds_that_are_not_served_are_refused(
    world: Cosmos, container: ContainerProxy, headers: Mapping[str, str]
) -> None:
    assert (await world.send("GET", docs(container), {**RANGE, **headers}))[0] == 501


async def test_a_change_feed_takes_no_partition_key(world: Cosmos, container: ContainerProxy) -> None:
    feed = {"a-im": "Incremental Feed"}
    assert (await world.send("GET", docs(container), {**feed, **RANGE}))[0] == 200
    assert (await world.send("GET", docs(container), {**feed, **RANGE, **KEY}))[0] == 400
    assert (await world.send("GET", docs(container), feed))[0] == 400
    assert (await world.send("GET", docs(container), {**feed, **RANGE, "if-none-match": '"x"'}))[0] == 400


async def test_every_answer_says_what_the_sdk_needs(world: Cosmos, container: ContainerProxy) -> None:
    for method, path, headers, body in [
        ("GET", docs(container, "a"), KEY, None),
        ("POST", docs(container), {**KEY, "x-ms-documentdb-is-upsert": "True"}, b'{"id":"a","t":"T1","u":"u1"}'),
        ("POST", docs(container), {**QUERY, **KEY}, query()),
        ("GET", docs(container), {"a-im": "Incremental Feed", **RANGE}, None),
        ("GET", f"/dbs/d/colls/{container.id}/pkranges/", {}, None),
        ("GET", f"/dbs/d/colls/{container.id}/", {}, None),
    ]:
        status, found, _ = await world.send(method, path, {**headers, "x-ms-activity-id": "same"}, body)
        assert status < 300
        assert float(found["x-ms-request-charge"]) > 0
        assert found["x-ms-activity-id"] == "same"
        assert found["x-ms-session-token"] == f"0:-1#{found['lsn']}"
        assert found["x-ms-alt-content-path"] == f"dbs/d/colls/{container.id}"
        assert found["x-ms-documentdb-partitionkeyrangeid"] == "0"
        assert "etag" in found or headers.get("x-ms-documentdb-isquery")


async def test_a_charge_grows_with_what_is_read_and_written(world: Cosmos, container: ContainerProxy) -> None:
    charges: list[float] = []
    for size in (10, 50_000):
        made = await container.create_item({"id": f"s{size}", "t": "T1", "u": "u1", "text": "x" * size})
        read = await container.read_item(f"s{size}", ["T1", "u1"])
        charges += [float(result.get_response_headers()["x-ms-request-charge"]) for result in (made, read)]
    assert charges == [5.5, 1.0, 5.5 * 50, 5.0]


async def test_known_ranges_are_not_told_again(world: Cosmos, container: ContainerProxy) -> None:
    """A server that always says 200 is polled for ever (rule 8)."""
    path = f"/dbs/d/colls/{container.id}/pkranges/"
    status, headers, body = await world.send("GET", path, {"a-im": "Incremental Feed", "x-ms-max-item-count": "-1"})
    assert status == 200
    assert [(part["minInclusive"], part["maxExclusive"]) for part in body["PartitionKeyRanges"]] == [("", "FF")]
    assert (await world.send("GET", path, {"if-none-match": headers["etag"]}))[0] == 304


async def test_a_split_range_is_gone_and_its_children_answer(world: Cosmos, container: ContainerProxy) -> None:
    body = json.dumps({"database": "d", "container": container.id, "at": f"{T1}20"}).encode()
    assert (await world.send("POST", "/_emulator/split", {}, body))[0] == 204
    status, headers, _ = await world.send("POST", docs(container), {**QUERY, **RANGE}, query())
    assert (status, headers["x-ms-substatus"]) == (410, "1002")
    _, _, found = await world.send("GET", f"/dbs/d/colls/{container.id}/pkranges/", {})
    parts = {
        part["id"]: (part["minInclusive"], part["maxExclusive"], part["parents"])
        for part in found["PartitionKeyRanges"]
    }
    assert parts == {"1": ("", f"{T1}20", ["0"]), "2": (f"{T1}20", "FF", ["0"])}
    crossing = {**INTERVAL, "x-ms-documentdb-partitionkeyrangeid": "1"}
    assert (await world.send("POST", docs(container), {**QUERY, **crossing}, query()))[0] == 400
    narrow = {**crossing, "x-ms-end-epk": f"{T1}20"}
    assert (await world.send("POST", docs(container), {**QUERY, **narrow}, query()))[0] == 200


async def test_a_container_made_anew_is_noticed(world: Cosmos, container: ContainerProxy) -> None:
    status, headers, _ = await world.send(
        "GET", docs(container, "a"), {**KEY, "x-ms-cosmos-intended-collection-rid": "AAAA"}
    )
    assert (status, headers["x-ms-substatus"]) == (400, "1024")


async def test_a_session_ahead_of_the_server_is_not_served(world: Cosmos, container: ContainerProxy) -> None:
    _, headers, _ = await world.send("GET", docs(container, "a"), KEY)
    known = headers["x-ms-session-token"]
    assert (await world.send("GET", docs(container, "a"), {**KEY, "x-ms-session-token": known}))[0] == 200
    status, found, _ = await world.send("GET", docs(container, "a"), {**KEY, "x-ms-session-token": "0:-1#99999"})
    assert (status, found["x-ms-substatus"]) == (404, "1002")


async def test_an_answer_may_be_kept_small(container: ContainerProxy) -> None:
    made = await container.create_item({"id": "small", "t": "T1", "u": "u1"}, no_response=True)
    assert dict(made) == {}
    read = await container.read_item("small", ["T1", "u1"])
    assert made.get_response_headers()["etag"] == read["_etag"]


@pytest.mark.parametrize(("status", "substatus"), [(408, 0), (429, 3200), (449, 0), (500, 0), (503, 0), (404, 1002)])
@pytest.mark.parametrize("after", [False, True])
async def test_a_fault_strikes_before_or_after_the_commit(
    world: Cosmos, container: ContainerProxy, status: int, substatus: int, after: bool
) -> None:
    world.running.emulator.faults.order(Fault(status=status, substatus=substatus, after=after, operation="create"))
    told = await status_of(container.create_item({"id": "x", "t": "T1", "u": "u1"}))
    assert told == (status, substatus)
    assert await rows(container, "SELECT VALUE c.id FROM c", ["T1"]) == (["a", "x"] if after else ["a"])


@pytest.mark.parametrize("after", [False, True])
async def test_a_connection_ends_before_or_after_the_commit(
    world: Cosmos, container: ContainerProxy, after: bool
) -> None:
    world.running.emulator.faults.order(Fault(drop=True, after=after, operation="batch"))
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        await container.execute_item_batch([("create", ({"id": "x", "t": "T1", "u": "u1"},))], ["T1", "u1"])
    assert await rows(container, "SELECT VALUE c.id FROM c", ["T1"]) == (["a", "x"] if after else ["a"])


async def test_a_server_may_be_silent(world: Cosmos, container: ContainerProxy) -> None:
    world.running.emulator.faults.order(Fault(hang=30, after=True, operation="create"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await container.create_item({"id": "x", "t": "T1", "u": "u1"})
    assert await rows(container, "SELECT VALUE c.id FROM c", ["T1"]) == ["a", "x"]


async def test_a_throttled_answer_may_say_how_long(world: Cosmos, container: ContainerProxy) -> None:
    path, body = docs(container, "a"), json.dumps
    for wait in (None, 250):
        order = {"status": 429, "substatus": 3200, "operation": "read", "retry_after_ms": wait}
        assert (await world.send("POST", "/_emulator/faults", {}, body(order).encode()))[0] == 204
        status, headers, _ = await world.send("GET", path, KEY)
        assert (status, headers.get("x-ms-retry-after-ms")) == (429, wait and str(wait))
    assert (await world.send("GET", path, KEY))[0] == 200


async def test_a_fault_strikes_whom_it_names_as_often_as_it_says(world: Cosmos, container: ContainerProxy) -> None:
    other = await world.container()
    await other.create_item({"id": "a", "t": "T1", "u": "u1"})
    world.running.emulator.faults.order(Fault(status=500, operation="read", container=container.id, skip=1, times=2))
    assert (await world.send("GET", docs(other, "a"), KEY))[0] == 200
    found = [(await world.send("GET", docs(container, "a"), KEY))[0] for _ in range(4)]
    assert found == [200, 500, 500, 200]
    world.running.emulator.faults.order(Fault(status=500, times=0))
    assert (await world.send("DELETE", "/_emulator/faults", {}))[0] == 204
    assert (await world.send("GET", docs(container, "a"), KEY))[0] == 200


async def test_pages_may_be_short_or_empty(world: Cosmos, container: ContainerProxy) -> None:
    await container.create_item({"id": "c", "t": "T1", "u": "u1"})
    for text in ("SELECT VALUE c.id FROM c", "SELECT VALUE c.id FROM c ORDER BY c.id"):
        world.running.emulator.faults.order(Fault(rows=0, operation="query"))
        world.running.emulator.faults.order(Fault(rows=1, operation="query"))
        assert await rows(container, text, ["T1", "u1"]) == ["a", "c"]
        assert await rows(container, text, ["T1", "u1"]) == ["a", "c"]


async def test_requests_are_counted(world: Cosmos, container: ContainerProxy) -> None:
    before = (await world.send("GET", "/_emulator/counts", {}))[2]
    await world.send("GET", docs(container, "a"), KEY)
    after = (await world.send("GET", "/_emulator/counts", {}))[2]
    assert after["read"] - before.get("read", 0) == 1


async def authorize(token: str) -> bool:
    if token == "forbidden":
        raise Forbidden("Not for you.", code="access.not_a_peer")
    if token not in ("admin", "data"):
        raise Unauthenticated("The token is not known.")
    return token == "admin"


async def test_a_token_is_checked_and_data_roles_make_no_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    async with open_emulator(tmp_path, authorize=authorize) as running:
        async with CosmosClient(running.url, AnyToken("admin")) as admin:
            database = await admin.create_database("d")
            await database.create_container("c", PartitionKey("/t"))
        async with CosmosClient(running.url, AnyToken("data")) as client:
            database = client.get_database_client("d")
            await database.get_container_client("c").create_item({"id": "a", "t": "T1"})
            refused = [await status_of(client.create_database("e"))]
            refused += [await status_of(database.create_container("x", PartitionKey("/t")))]
            refused += [await status_of(database.delete_container("c"))]
            assert refused == [(403, 5300)] * 3
        for token, path, status in (
            ("stranger", "/", 401),
            ("forbidden", "/", 403),
            ("data", "/", 200),
            ("data", "/_emulator/counts", 200),
            ("stranger", "/_emulator/counts", 401),
        ):
            assert await plain_status(running.url, path, token) == status, (token, path)


async def plain_status(url: str, path: str, token: str) -> int:
    headers = {**plain_headers(), "authorization": f"type=aad&ver=1.0&sig={token}"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http,
        http.get(f"{url}{path}", headers=headers, ssl=False) as response,
    ):
        return response.status


async def test_a_request_of_any_size_is_answered(world: Cosmos, container: ContainerProxy) -> None:
    status, _, body = await world.send("POST", docs(container), KEY, b" " * (5 * 1024 * 1024))
    assert (status, body["code"]) == (413, "RequestEntityTooLarge")


async def test_what_is_not_there_is_not_found(container: ContainerProxy) -> None:
    for key in (["T2", "u1"], ["T1", "u2"]):
        with pytest.raises(CosmosResourceNotFoundError):
            await container.read_item("a", key)


async def test_throughput_is_found_and_changed_as_the_sdk_does_it_and_no_other_way(
    world: Cosmos, container: ContainerProxy
) -> None:
    await container.replace_throughput(900)
    assert (await container.get_throughput()).offer_throughput == 900
    other = json.dumps({"query": "SELECT * FROM root", "parameters": []}).encode()
    assert (await world.send("POST", "/offers", QUERY, other))[0] == 501
    assert (await world.send("PUT", "/offers/none/", {}, b'{"content":{}}'))[0] == 400


@pytest.mark.parametrize("path", ["/dbs", "/dbs/d/colls/"])
async def test_databases_and_containers_are_listed_and_not_queried(world: Cosmos, path: str) -> None:
    assert (await world.send("POST", path, QUERY, query()))[0] == 501


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/_emulator/none", b""),
        ("POST", "/_emulator/faults", b'{"unknown":1}'),
        ("POST", "/_emulator/faults", b'{"status":200}'),
        ("POST", "/_emulator/split", b'{"database":"d","container":"CONTAINER","at":""}'),
    ],
)
async def test_what_a_test_orders_must_be_known_too(
    world: Cosmos, container: ContainerProxy, method: str, path: str, body: bytes
) -> None:
    assert (await world.send(method, path, {}, body.replace(b"CONTAINER", container.id.encode())))[0] == 400


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"operationType": "Read"}, 400),
        ({"operationType": "Read", "id": "a", "ifMatch": 5}, 400),
        ({"operationType": "Read", "id": "a", "ifNoneMatch": '"x"'}, 501),
        ({"operationType": "Delete", "id": "a", "ifNoneMatch": '"x"'}, 501),
        ({"operationType": "Create"}, 400),
    ],
)
async def test_an_operation_of_a_batch_has_all_it_needs(
    world: Cosmos, container: ContainerProxy, operation: dict[str, Any], status: int
) -> None:
    headers = {**KEY, "x-ms-cosmos-is-batch-request": "True", "x-ms-cosmos-batch-atomic": "True"}
    answer = await world.send("POST", docs(container), headers, json.dumps([operation]).encode())
    assert (answer[0], answer[2][0]["statusCode"]) == (207, status)


@pytest.mark.parametrize(
    "patch",
    [
        {"operations": [{"op": "set", "path": "n", "value": 1}]},
        {"operations": [{"op": "set", "path": "/n/x", "value": 1}]},
        {"operations": [{"op": "incr", "path": "/n", "value": "1"}]},
        {"operations": [{"op": "move", "path": "/n/x", "from": "/n"}]},
        {"operations": [{"op": "set", "path": "/n", "value": 1, "more": 1}]},
        {"operations": [{"op": "set", "path": "/n", "value": 1}], "condition": 5},
        {"operations": [{"op": "set", "path": "/n", "value": 1}], "more": 5},
        {"condition": "from c where c.n = 1"},
    ],
)
async def test_a_patch_has_known_parts(world: Cosmos, container: ContainerProxy, patch: dict[str, Any]) -> None:
    assert (await world.send("PATCH", docs(container, "a"), KEY, json.dumps(patch).encode()))[0] == 400


async def test_a_condition_of_a_patch_cannot_search(world: Cosmos, container: ContainerProxy) -> None:
    patch = {"operations": [{"op": "remove", "path": "/n"}], "condition": "from c where FullTextContains(c.n, 'a')"}
    assert (await world.send("PATCH", docs(container, "a"), KEY, json.dumps(patch).encode()))[0] == 501


async def test_an_item_is_addressed_by_key_and_id_alike(world: Cosmos, container: ContainerProxy) -> None:
    assert (await world.send("GET", docs(container, "a")))[0] == 400
    assert (await world.send("PUT", docs(container, "a"), KEY, b'{"id":"b","t":"T1","u":"u1"}'))[0] == 400


@pytest.mark.parametrize(
    "embedding",
    [
        {"path": "/v", "dataType": "float32", "dimensions": 3, "distanceFunction": "manhattan"},
        {"path": "/v", "dataType": "float32", "dimensions": 5000, "distanceFunction": "cosine"},
        {"path": "/v", "dataType": "float32", "distanceFunction": "cosine"},
        {"path": "/v", "dataType": "float32", "dimensions": 3, "distanceFunction": "cosine", "more": 1},
    ],
)
async def test_an_embedding_is_of_a_known_form(world: Cosmos, embedding: dict[str, Any]) -> None:
    body = {"id": "refused", "partitionKey": {"paths": ["/t"], "kind": "Hash", "version": 2}}
    policy = {"vectorEmbeddingPolicy": {"vectorEmbeddings": [embedding]}}
    assert (await world.send("POST", "/dbs/d/colls/", {}, json.dumps({**body, **policy}).encode()))[0] == 400


async def test_a_full_text_index_is_made_with_its_container(world: Cosmos, container: ContainerProxy) -> None:
    body = {
        "id": container.id,
        "partitionKey": {"paths": ["/t", "/u"], "kind": "MultiHash", "version": 2},
        "fullTextPolicy": {"fullTextPaths": [{"path": "/text", "language": "en-US"}]},
        "indexingPolicy": {"fullTextIndexes": [{"path": "/text"}]},
    }
    path = f"/dbs/d/colls/{container.id}/"
    assert (await world.send("PUT", path, {}, json.dumps(body).encode()))[0] == 501


async def test_a_change_feed_may_begin_at_a_time(world: Cosmos, container: ContainerProxy) -> None:
    feed = {"a-im": "Incremental Feed", **RANGE}
    for seconds, status in ((-60, 200), (60, 304)):
        since = formatdate(time.time() + seconds, usegmt=True)
        assert (await world.send("GET", docs(container), {**feed, "if-modified-since": since}))[0] == status
    assert (await world.send("GET", docs(container), {**feed, "if-modified-since": "never"}))[0] == 400
