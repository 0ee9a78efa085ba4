"""Large content in Blob Storage, tried on Azurite: Microsoft's own emulator, from npm."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

import azurite_live
import pytest
from azure.storage.blob.aio import ContainerClient
from azurite_live import made_up_token
from cosmos_emulated import AnyToken
from store_places import CosmosPlace, emulated
from store_samples import member, prompt

from core import Content, ContentClass, PrincipalId
from core.errors import Conflict, Defect, NotFound, Unavailable
from data import Part
from data.cosmos import CosmosStore, calls
from data.cosmos.content import INLINE_BYTES
from data.journals.azure import open_journal
from data.notary.azure import open_anchor
from emulators.authority import LocalAuthority
from npm_packages import installed

LARGE = INLINE_BYTES + 1


@dataclass(frozen=True)
class World:
    store: CosmosStore
    place: CosmosPlace
    blobs: ContainerClient


@pytest.fixture(scope="session")
async def azurite_folder(pytestconfig: pytest.Config) -> Path:
    return await installed(pytestconfig, azurite_live.PINS)


@pytest.fixture
async def azurite(azurite_folder: Path, tmp_path: Path) -> AsyncGenerator[tuple[str, Path]]:
    """Run it with HTTPS and tokens, and give its address and the authority to trust."""
    authority = LocalAuthority.open(tmp_path / "authority")
    async with azurite_live.running(azurite_folder, tmp_path / "azurite", authority) as url:
        yield url, authority.ca_file


@pytest.fixture
async def world(azurite: tuple[str, Path], tmp_path: Path) -> AsyncGenerator[World]:
    url, ca_file = azurite
    token = AnyToken(made_up_token())
    async with emulated(tmp_path / "cosmos") as (plain, _):
        place = CosmosPlace(replace(plain.account, credential=token, blobs=url, ca_file=str(ca_file)))
        async with (
            place.open() as store,
            ContainerClient(url, "content", token, connection_verify=str(ca_file)) as blobs,
        ):
            yield World(store, place, blobs)


def large(fill: bytes = b"x", size: int = LARGE) -> Content:
    return Content.new(fill * size, kind=ContentClass.DOCUMENT, owner=PrincipalId("usr_1"))


async def names(world: World) -> list[str]:
    return [name async for name in world.blobs.list_blob_names()]


async def test_only_large_content_is_a_blob_and_in_its_tenants_folder(world: World) -> None:
    context = member()
    data = world.store.tenant(context)
    contents = [large(), large(b"y", 5_000_000), large(b"z", INLINE_BYTES), prompt()]
    await data.content.put(contents)
    await data.content.put(contents)
    assert [await data.content.get(content.ref) for content in contents] == [content.data for content in contents]
    stored = await names(world)
    assert len(stored) == 2
    assert all(name.startswith(f"{context.tenant}/") for name in stored)
    with pytest.raises(NotFound):
        await world.store.tenant(member()).content.get(contents[0].ref)
    assert world.store.usage.requests["put", "blobs"] >= 4


async def test_erasing_leaves_no_blob(world: World) -> None:
    data, content = world.store.tenant(member()), large()
    await data.content.put([content])
    assert await data.content.erase([content.ref.id]) == 1
    assert await names(world) == []
    with pytest.raises(NotFound):
        await data.content.get(content.ref)
    assert await data.content.erase([content.ref.id]) == 0


async def test_of_an_erased_tenant_no_blob_is_left_and_its_neighbour_has_its_own(world: World) -> None:
    """When the bytes leave the disk is Azurite's to say: it clears its files every ten minutes."""
    ours, theirs = member(), member()
    kept = large()
    for context, contents in ((ours, [large(), large(b"y", 5_000_000)]), (theirs, [kept])):
        await world.store.tenant(context).content.put(contents)
    await world.store.governed.bar(ours.tenant)
    assert await world.store.governed.erase_all(ours.tenant, Part.CONTENT) == 2
    assert [name.partition("/")[0] for name in await names(world)] == [theirs.tenant]
    assert await world.store.tenant(theirs).content.get(kept.ref) == kept.data


async def test_a_blob_that_was_changed_or_is_gone_is_no_content(world: World) -> None:
    data, contents = world.store.tenant(member()), [large(), large()]
    await data.content.put(contents)
    first, second = sorted(await names(world))
    await world.blobs.upload_blob(first, b"y" * LARGE, overwrite=True)
    await world.blobs.delete_blob(second)
    for content in contents:
        with pytest.raises(Defect):
            await data.content.get(content.ref)
    assert await data.content.erase([content.ref.id for content in contents]) == 2


async def test_a_storage_account_that_is_away_is_said_to_be(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BOUND_SECONDS", 1.0)
    away = CosmosPlace(replace(world.place.account, blobs="https://127.0.0.1:1/nobody", make=False))
    async with away.open() as store:
        with pytest.raises(Unavailable):
            await store.tenant(member()).content.put([large()])
        await store.tenant(member()).content.put([prompt()])


async def test_an_anchor_of_blobs_is_created_once_and_never_changed(world: World, azurite: tuple[str, Path]) -> None:
    url, ca_file = azurite
    async with ContainerClient(url, "anchors", AnyToken(made_up_token()), connection_verify=str(ca_file)) as container:
        await container.create_container()
    tenant = member().tenant
    async with open_anchor(f"{url}/anchors", AnyToken(made_up_token()), ca_file) as anchor:
        assert await anchor.read(tenant, 1) is None
        await anchor.put(tenant, 1, b"one")
        await anchor.put(tenant, 1, b"one")
        with pytest.raises(Conflict) as refused:
            await anchor.put(tenant, 1, b"another")
        assert refused.value.code == "conflict.anchor"
        assert await anchor.read(tenant, 1) == b"one"
        assert await anchor.read(member().tenant, 1) is None
    async with (
        asyncio.timeout(10),
        open_anchor("https://127.0.0.1:1/nobody/anchors", AnyToken(made_up_token()), ca_file) as away,
    ):
        with pytest.raises(Unavailable) as missed:
            await away.put(tenant, 1, b"one")
        assert missed.value.code == "dependency.anchor"


async def test_erasures_are_noted_in_blobs_each_once_and_read_again(azurite: tuple[str, Path]) -> None:
    url, ca_file = azurite
    async with ContainerClient(url, "erasures", AnyToken(made_up_token()), connection_verify=str(ca_file)) as container:
        await container.create_container()
    async with open_journal(f"{url}/erasures", AnyToken(made_up_token()), ca_file) as journal:
        assert await journal.lines() == []
        await journal.note("ten_a/era_1", b'{"a":1}')
        await journal.note("ten_a/era_1", b'{"a":1}')
        await journal.note("ten_b/era_2", b'{"a":2}')
        assert sorted(await journal.lines()) == [b'{"a":1}', b'{"a":2}']
    async with (
        asyncio.timeout(10),
        open_journal("https://127.0.0.1:1/nobody/erasures", AnyToken(made_up_token()), ca_file) as away,
    ):
        for asked in (away.note("ten_a/era_3", b"{}"), away.lines()):
            with pytest.raises(Unavailable) as missed:
                await asked
            assert missed.value.code == "dependency.journal"
