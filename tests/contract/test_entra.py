"""App registrations as code, against the part of Graph that the identity emulator serves, over HTTP."""

import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from core import Role
from core.errors import Forbidden, MandateError, NotFound
from emulators.identity import Graph as Emulator
from emulators.identity import ServiceIdentity
from identity_live import serving
from mandate.entra.graph import Graph
from mandate.entra.reconciling import reconcile
from mandate.entra.wanted import Place, wanted_of
from mandate.services import Services
from mandate.settings import ROOT

PLACE = Place("dev", "mandate-dev-weu", "11111111-0000-4000-8000-000000000001", "https://dev.mandate.example")
OTHERS: dict[str, Any] = {"displayName": "Somebody else's", "uniqueName": "else"}


def identities() -> list[ServiceIdentity]:
    names = Services.load(ROOT / "environments").identity_names()
    return [
        ServiceIdentity(f"00000000-0000-4000-8000-{place:012}", f"00000000-0000-4000-9000-{place:012}", name, {})
        for place, name in enumerate(f"{PLACE.stamp}-{name}" for name in names)
    ]


@dataclass
class World:
    emulator: Emulator
    graph: Graph
    session: aiohttp.ClientSession
    base: str

    async def reconcile(self, *, apply: bool = True, prune: bool = False, **changes: Any) -> list[str]:
        wanted = wanted_of(ROOT, PLACE) | changes
        return await reconcile(self.graph, wanted, PLACE, apply=apply, prune=prune)

    def application(self, name: str) -> dict[str, Any]:
        found = self.emulator.kept["applications"].values()
        return next(one for one in found if one["uniqueName"] == f"mandate-dev-{name}")


@pytest.fixture
async def world() -> AsyncGenerator[World]:
    async def authorize(token: str) -> None:
        if token != "an admin's":
            raise Forbidden("Not an admin's.")

    async def token(scope: str) -> str:
        assert scope == "https://graph.microsoft.com/.default"
        return "an admin's"

    emulator = Emulator(identities(), authorize=authorize)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/v1.0"
        async with serving(emulator, listener), aiohttp.ClientSession() as session:
            yield World(emulator, Graph(session, token, base), session, base)


async def test_a_plan_tells_all_and_writes_nothing_and_applying_twice_changes_nothing(world: World) -> None:
    planned = await world.reconcile(apply=False)
    assert world.emulator.writes == 0
    assert "+ registration api" in planned
    assert "+ operator has control.admin on control" in planned
    assert "+ console trusts interaction" in planned
    assert "+ consent: console asks api for access" in planned

    applied = await world.reconcile()

    assert set(planned) <= set(applied)
    writes = world.emulator.writes
    assert await world.reconcile() == []
    assert world.emulator.writes == writes


async def test_what_is_made_is_what_the_code_and_services_yaml_say(world: World) -> None:
    await world.reconcile()
    api, console = world.application("api"), world.application("console")
    assert {role["value"] for role in api["appRoles"]} == {*Role, "publisher.admin", "publisher.auditor"}
    assert api["identifierUris"] == [Services.load(ROOT / "environments").services["interaction"].audience]
    assert console["web"]["redirectUris"] == [f"{PLACE.address}/signed-in", f"{PLACE.address}/signed-out"]
    (trust,) = (
        one for one in world.emulator.kept["federatedIdentityCredentials"].values() if one["@of"] == console["id"]
    )
    edge = next(one for one in identities() if one.name.endswith("-interaction"))
    assert (trust["subject"], trust["issuer"]) == (
        edge.object_id,
        f"https://login.microsoftonline.com/{PLACE.tid}/v2.0",
    )
    names = {one.object_id: one.name for one in identities()}
    roles = {
        role["id"]: role["value"] for one in world.emulator.kept["applications"].values() for role in one["appRoles"]
    }
    given = {
        (names[one["principalId"]].rpartition("-")[2], roles[one["appRoleId"]])
        for one in world.emulator.kept["appRoleAssignedTo"].values()
    }
    assert given == {
        ("interaction", "call"),
        ("operator", "control.admin"),
        ("orchestration", "backoffice.call"),
    }


async def test_what_was_changed_by_hand_is_put_right_and_what_is_others_stays(world: World) -> None:
    await world.graph.create("/applications", OTHERS)
    await world.reconcile()
    world.application("console")["web"] = {"redirectUris": ["https://evil.example/signed-in"]}
    (grant,) = world.emulator.kept["oauth2PermissionGrants"].values()
    grant["scope"] = "access everything"

    assert await world.reconcile() == ["~ registration console: web", "~ consent: console asks api for access"]

    assert grant["scope"] == "access"
    others = [one for one in world.emulator.kept["applications"].values() if one["uniqueName"] == "else"]
    assert len(others) == 1


async def test_what_is_not_wanted_any_more_goes_only_when_told(world: World) -> None:
    await world.reconcile()
    marketplace = world.application("marketplace")["id"]
    await world.graph.create(
        f"/applications/{marketplace}/federatedIdentityCredentials",
        {"name": "by-hand", "issuer": "https://x.example", "subject": "1", "audiences": ["a"]},
    )
    untrusting = {"marketplace": _without_trust()}
    assert await world.reconcile(**untrusting) == []
    said = await world.reconcile(prune=True, **untrusting)
    assert said == ["- marketplace trusts mandate-dev-weu-control"]
    left = [one["name"] for one in world.emulator.kept["federatedIdentityCredentials"].values()]
    assert "by-hand" in left


def _without_trust() -> Any:
    return replace(wanted_of(ROOT, PLACE)["marketplace"], trusts="")


async def test_without_a_stamp_or_without_rights_it_says_what_to_do(world: World) -> None:
    nowhere = Place("dev", "mandate-dev-none", PLACE.tid, PLACE.address)
    with pytest.raises(NotFound, match="Deploy the stamp first"):
        await reconcile(world.graph, wanted_of(ROOT, nowhere), nowhere, apply=False)

    async def nobody(_: str) -> str:
        return "a guest's"

    with pytest.raises(Forbidden, match="Cloud Application Administrator"):
        await Graph(world.session, nobody, world.base).find("/applications(uniqueName='x')")


@pytest.mark.parametrize("path", ["/users", "/applications?$search=x", "/applications?$filter=startswith(x,'y')"])
async def test_the_emulator_says_what_it_is_not(world: World, path: str) -> None:
    with pytest.raises(MandateError, match="501"):
        await world.graph.find(path)
