"""The back office emulator, over a socket: what a tool relies on, and what an audit of it relies on."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import pytest
import uvicorn

from core.errors import Defect, Unauthenticated, Unprocessable
from emulators.backoffice import BackofficeSeed, create_app, load_seed

TENANT, OTHER = "ten_0000000000000000000000000a", "ten_0000000000000000000000000b"
TOKEN = "a-token-that-the-test-knows"
SEED = """
customers:
  - {id: C-1, name: Ada Berg, email: ada@berg.example, since: 2021-03-04}
orders:
  - id: AB-100
    customer: C-1
    placed: "2024-05-06T07:08:09+00:00"
    status: delivered
    items: [{sku: L-1, name: Lamp, quantity: 2, price_cents: 1500}]
    total_cents: 3000
    currency: EUR
    city: Turku
tickets:
  - {id: T-1, customer: C-1, subject: Broken lamp, status: open, opened: 2024-05-10}
"""


async def authorize(token: str) -> None:
    if token != TOKEN:
        raise Unauthenticated("The token is not known.")


@pytest.fixture
def seeds(tmp_path: Path) -> dict[str, BackofficeSeed]:
    path = tmp_path / "backoffice.yaml"
    path.write_text(SEED, "utf-8")
    empty = BackofficeSeed(customers=[], orders=[], tickets=[])
    return {TENANT: load_seed(path), OTHER: empty}


@asynccontextmanager
async def office(folder: Path, seeds: dict[str, BackofficeSeed]) -> AsyncGenerator[aiohttp.ClientSession]:
    app = create_app(authorize=authorize, folder=folder, seeds=seeds, pages={"lamps/status": "<p>On time</p>"})
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event to wait for
        await asyncio.sleep(0.005)
    port = cast("int", server.servers[0].sockets[0].getsockname()[1])
    headers = {"authorization": f"Bearer {TOKEN}", "x-mandate-tenant": TENANT}
    try:
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{port}", headers=headers, timeout=aiohttp.ClientTimeout(total=20)
        ) as session:
            yield session
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def http(tmp_path: Path, seeds: dict[str, BackofficeSeed]) -> AsyncIterator[aiohttp.ClientSession]:
    async with office(tmp_path / "journals", seeds) as session:
        yield session


async def effects(http: aiohttp.ClientSession) -> list[dict[str, object]]:
    async with http.get("/effects") as response:
        document = await response.json()
    assert document["count"] == len(document["effects"])
    return document["effects"]


def refund(cents: int = 1000, order: str = "AB-100") -> dict[str, object]:
    return {"order": order, "amount_cents": cents, "reason": "broken"}


async def test_records_can_be_read(http: aiohttp.ClientSession) -> None:
    async with http.get("/orders/AB-100") as response:
        order = await response.json()
    assert (order["total_cents"], order["refunded_cents"], order["items"][0]["name"]) == (3000, 0, "Lamp")
    async with http.get("/customers/C-1") as response:
        assert (await response.json())["since"] == "2021-03-04"
    for path in ("/orders/AB-999", "/customers/C-9"):
        async with http.get(path) as response:
            assert (response.status, (await response.json())["code"]) == (404, "not_found")


async def test_pages_are_for_anybody_and_nothing_beside_them_is(http: aiohttp.ClientSession) -> None:
    stranger = {"authorization": "", "x-mandate-tenant": ""}
    answers: dict[str, tuple[int, str]] = {}
    for path in ("/pages/lamps/status", "/pages/other", "/orders/AB-100"):
        async with http.get(path, headers=stranger) as response:
            answers[path] = response.status, await response.text()
    assert answers["/pages/lamps/status"] == (200, "<p>On time</p>")
    assert [answers[path][0] for path in ("/pages/other", "/orders/AB-100")] == [404, 401]


async def test_every_write_is_counted_with_where_it_came_from(http: aiohttp.ClientSession) -> None:
    headers = {"idempotency-key": "key-1", "x-mandate-run": "run_1"}
    for _ in range(2):
        async with http.post("/refunds", json=refund(), headers=headers) as response:
            assert response.status == 201
    async with http.post("/tickets", json={"order": "AB-100", "subject": "Lamp", "body": "Broken"}) as response:
        assert (await response.json())["status"] == "open"
    async with http.post("/emails", json={"to": "a@b.example", "subject": "Hi", "body": "Text"}) as response:
        assert (await response.json())["to"] == "a@b.example"
    found = await effects(http)
    assert [(e["number"], e["kind"], e["idempotency_key"], e["run"]) for e in found] == [
        (1, "refund", "key-1", "run_1"),
        (2, "refund", "key-1", "run_1"),
        (3, "ticket", None, None),
        (4, "email", None, None),
    ]
    assert all(e["outcome"] == "done" and str(e["at"]).endswith("Z") for e in found)


async def test_refunds_stop_at_the_total_and_the_try_is_on_record(http: aiohttp.ClientSession) -> None:
    async with http.post("/refunds", json=refund(2500)) as response:
        assert (await response.json())["refunded_cents"] == 2500
    async with http.post("/refunds", json=refund(501)) as response:
        assert response.status == 409
        assert "5.00 EUR" in (await response.json())["detail"]
    async with http.post("/refunds", json=refund(500)) as response:
        assert response.status == 201
    assert [e["outcome"] for e in await effects(http)] == ["done", "refused", "done"]


async def test_simultaneous_refunds_never_exceed_the_total(http: aiohttp.ClientSession) -> None:
    async def once() -> int:
        async with http.post("/refunds", json=refund(1000)) as response:
            return response.status

    assert sorted(await asyncio.gather(*(once() for _ in range(8)))) == [201] * 3 + [409] * 5


async def test_deleting_a_customer_twice(http: aiohttp.ClientSession) -> None:
    statuses: list[int] = []
    for method in ("DELETE", "GET", "DELETE"):
        async with http.request(method, "/customers/C-1") as response:
            statuses.append(response.status)
    assert statuses == [200, 404, 404]
    assert [(e["kind"], e["outcome"]) for e in await effects(http)] == [
        ("customer_deletion", "done"),
        ("customer_deletion", "refused"),
    ]


async def test_tenants_are_apart(http: aiohttp.ClientSession) -> None:
    other = {"x-mandate-tenant": OTHER}
    async with http.post("/refunds", json=refund()) as response:
        assert response.status == 201
    async with http.get("/orders/AB-100", headers=other) as response:
        assert response.status == 404
    async with http.get("/effects", headers=other) as response:
        assert (await response.json())["effects"] == []
    for headers, status in (({"x-mandate-tenant": "ten_nobody"}, 404), ({"x-mandate-tenant": ""}, 400)):
        async with http.get("/effects", headers=headers) as response:
            assert response.status == status


async def test_without_a_good_token_401(http: aiohttp.ClientSession) -> None:
    for path in ("/refunds", "/faults"):
        for value in ("", "Bearer wrong"):
            async with http.post(path, json=refund(), headers={"authorization": value}) as response:
                assert response.status == 401
    assert await effects(http) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/refunds", b"{"),
        ("/refunds", json.dumps(refund(0)).encode()),
        ("/refunds", json.dumps(refund() | {"amount_cents": "1000"}).encode()),
        ("/refunds", json.dumps(refund() | {"currency": "EUR"}).encode()),
        ("/tickets", b'{"subject": "", "body": "x"}'),
        ("/emails", b'{"to": "nobody", "subject": "x", "body": "x"}'),
        ("/faults", b'{"status": 200}'),
    ],
)
async def test_bad_input_changes_nothing(http: aiohttp.ClientSession, path: str, body: bytes) -> None:
    async with http.post(path, data=body) as response:
        assert response.status == 400
        assert (await response.json())["detail"]
    assert await effects(http) == []


async def test_effects_survive_a_restart_and_a_torn_last_line(tmp_path: Path, seeds: dict[str, BackofficeSeed]) -> None:
    folder = tmp_path / "journals"
    async with office(folder, seeds) as http:
        async with http.post("/refunds", json=refund(2900)) as response:
            assert response.status == 201
        async with http.delete("/customers/C-1"):
            pass
        before = await effects(http)
    with (folder / f"{TENANT}.jsonl").open("ab") as journal:
        journal.write(b'{"number":3,"kind":"ref')
    async with office(folder, seeds) as http:
        assert await effects(http) == before
        async with http.post("/refunds", json=refund(101)) as response:
            assert response.status == 409
        async with http.get("/customers/C-1") as response:
            assert response.status == 404
    async with office(folder, seeds) as http:
        assert [e["number"] for e in await effects(http)] == [1, 2, 3]


def test_a_damaged_journal_is_refused(tmp_path: Path, seeds: dict[str, BackofficeSeed]) -> None:
    (tmp_path / f"{TENANT}.jsonl").write_bytes(b"{}\n")
    with pytest.raises(Defect):
        create_app(authorize=authorize, folder=tmp_path, seeds=seeds)


async def test_fault_before_the_effect(http: aiohttp.ClientSession) -> None:
    async with http.post("/faults", json={"status": 503, "stall_before": 0.2}) as response:
        assert response.status == 204
    started = time.perf_counter()
    async with http.post("/refunds", json=refund()) as response:
        assert response.status == 503
    assert time.perf_counter() - started > 0.19
    assert await effects(http) == []
    async with http.delete("/faults"), http.post("/refunds", json=refund()) as response:
        assert response.status == 201


async def test_the_effect_happens_though_the_answer_is_late_or_lost(http: aiohttp.ClientSession) -> None:
    late = {"x-mandate-fault": '{"stall_after": 1}'}
    with pytest.raises(asyncio.TimeoutError):
        await http.post("/refunds", json=refund(), headers=late, timeout=aiohttp.ClientTimeout(total=0.3))
    assert len(await effects(http)) == 1
    async with http.post("/refunds", json=refund(), headers={"x-mandate-fault": '{"drop": true}'}) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert [e["outcome"] for e in await effects(http)] == ["done", "done"]


@pytest.mark.parametrize(
    "text",
    [
        "customers: [",
        "customers: []\norders: []\n",
        SEED.replace("customer: C-1", "customer: C-2"),
        SEED.replace("quantity: 2", 'quantity: "2"'),
        SEED.replace("2024-05-10", "last week"),
        SEED + "invoices: []\n",
        SEED.replace("tickets:", "tickets:\n  - {id: T-1, subject: x, status: open, opened: 2024-01-01}"),
    ],
)
def test_a_seed_that_does_not_hang_together_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "backoffice.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(Unprocessable, match=r"backoffice\.yaml"):
        load_seed(path)
