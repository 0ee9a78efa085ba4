"""The Cosmos DB emulator as a process of a laptop: containers are there, tokens are checked, a kill loses nothing."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError
from azure.identity.aio import ManagedIdentityCredential

from emulators.authority import LocalAuthority
from mandate.local.emulate import DATABASE
from mandate.local.stack import EMULATORS, Stack, free_port
from mandate.services import NAMES, local_client_id


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    folder = tmp_path_factory.mktemp("cosmos")
    stack = Stack(folder, free_port())
    stack.ports |= {name: free_port() for name in (*EMULATORS, "cosmos", *NAMES)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANDATE_ENVIRONMENT", "local")
        patch.setenv("IDENTITY_ENDPOINT", f"{stack.address('identity')}/msi/token")
        patch.setenv("IDENTITY_HEADER", stack.secret)
        await asyncio.to_thread(LocalAuthority.open, folder / "authority")
        try:
            await asyncio.gather(stack.start_emulator("identity"), stack.start_emulator("cosmos"))
            yield stack
        finally:
            await stack.stop()


@asynccontextmanager
async def database_of(stack: Stack, identity: str) -> AsyncGenerator[Any]:
    """Open the store as a service does: with its managed identity, and nothing set for the emulator's sake."""
    async with ManagedIdentityCredential(client_id=local_client_id(identity)) as credential:
        client = CosmosClient(stack.address("cosmos"), credential)
        try:
            await client.__aenter__()
            yield client.get_database_client(DATABASE)
        finally:
            await client.close()


async def test_a_service_uses_the_containers_and_makes_none(stack: Stack) -> None:
    async with database_of(stack, "orchestration") as database:
        events = database.get_container_client("events")
        made = await events.create_item({"id": "1", "tenant": "T1", "run": "r1", "seq": 1})
        assert await events.read_item("1", ["T1", "r1"]) == made
        with pytest.raises(CosmosHttpResponseError) as found:
            await database.create_container("more", PartitionKey("/tenant"))
        refusal: Any = found.value
        assert (refusal.status_code, refusal.sub_status) == (403, 5300)


async def test_whoever_has_no_role_on_the_store_gets_nothing(stack: Stack) -> None:
    with pytest.raises(CosmosHttpResponseError) as found:
        async with database_of(stack, "operator"):
            pass
    assert found.value.status_code == 403


async def test_what_was_acknowledged_survives_a_kill(stack: Stack) -> None:
    written: list[str] = []

    async def write(events: Any, writer: int) -> None:
        for number in range(1000):
            name = f"{writer}-{number}"
            await events.create_item({"id": name, "tenant": "T1", "run": "r1"})
            written.append(name)

    async with database_of(stack, "orchestration") as database:
        events = database.get_container_client("events")
        writers = [asyncio.create_task(write(events, writer)) for writer in range(8)]
        while len(written) < 100:  # noqa: ASYNC110 - the writers run on
            await asyncio.sleep(0.01)
        await stack.kill("cosmos")
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
    await stack.start_emulator("cosmos")
    async with database_of(stack, "orchestration") as database:
        found = database.get_container_client("events").query_items(
            "SELECT VALUE c.id FROM c", partition_key=["T1", "r1"]
        )
        assert set(written) <= {name async for name in found}


async def test_whoever_ends_it_finds_its_file_closed_with_nothing_in_it_of_what_was_deleted(stack: Stack) -> None:
    async with database_of(stack, "orchestration") as database:
        events = database.get_container_client("events")
        await events.create_item({"id": "gone", "tenant": "T1", "run": "r2", "said": "quetzalparsnip"})
        await events.delete_item("gone", ["T1", "r2"])
    process = stack.processes.pop("cosmos")
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert [file.name for file in stack.folder.glob("cosmos.db*")] == ["cosmos.db"]
    assert b"quetzalparsnip" not in (stack.folder / "cosmos.db").read_bytes()
    await stack.start_emulator("cosmos")
