"""Services get tokens from the local identity provider as they do from Azure, and its keys rotate."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import jwt
import pytest
from azure.identity.aio import ManagedIdentityCredential
from identity_world import ANN, CONTOSO, EDGE, SECRET, MovingClock, World, make_app, open_world

from core.errors import Defect, Unauthenticated
from emulators.identity import SERVICE_TID, create_app
from identity_live import serving
from web import AzureServiceTokens


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANDATE_ENVIRONMENT", "local")
        async with open_world(tmp_path_factory.mktemp("made") / "identity") as world:
            yield world


@pytest.fixture
def world(running: World) -> World:
    running.clock.ahead = timedelta()
    return running


async def test_an_app_with_a_secret_gets_its_own_token(world: World) -> None:
    form = {"grant_type": "client_credentials", "scope": "api://inner/.default", "client_id": "app-client"}
    answer = await world.token(form | {"client_secret": "app-secret"}, SERVICE_TID)
    who = await world.validator("api://inner").verify(answer.json["access_token"])
    assert (who.tenant_id, who.is_app, who.app_id, who.roles) == (SERVICE_TID, True, "app-client", {"Runs.Start"})
    basic = {"Authorization": aiohttp.encode_basic_auth("app-client", "app-secret")}
    del form["client_id"]
    assert (await world.post(f"/{SERVICE_TID}/oauth2/v2.0/token", data=form, headers=basic)).status == 200
    elsewhere = await world.token(form | {"client_id": "app-client", "client_secret": "app-secret"}, CONTOSO)
    assert elsewhere.error == (400, "unauthorized_client")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client")),
        ({"client_id": "edge-client", "client_secret": ""}, (401, "unauthorized_client")),
        ({"scope": "api://unknown/.default"}, (400, "invalid_resource")),
        ({"scope": "api://inner"}, (400, "invalid_scope")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    ],
)
async def test_an_app_without_its_secret_or_resource_gets_none(
    world: World, changes: dict[str, str], error: tuple[int, str]
) -> None:
    form = {"grant_type": "client_credentials", "scope": "api://inner/.default"}
    form |= {"client_id": "app-client", "client_secret": "app-secret"}
    assert (await world.token(form | changes, SERVICE_TID)).error == error


async def test_the_token_endpoint_reads_forms_only(world: World) -> None:
    assert (await world.post(f"/{CONTOSO}/oauth2/v2.0/token", json={})).error == (400, "invalid_request")


async def test_the_managed_identity_protocol(world: World) -> None:
    asked = {"api-version": "2019-08-01", "resource": "api://inner", "client_id": "edge-client"}
    header = {"X-IDENTITY-HEADER": SECRET}
    given = (await world.get("/msi/token", params=asked, headers=header)).json
    assert given.keys() == {"access_token", "expires_on", "resource", "token_type", "client_id"}
    assert (given["resource"], given["token_type"], given["client_id"]) == ("api://inner", "Bearer", "edge-client")
    assert abs(int(given["expires_on"]) - datetime.now(UTC).timestamp() - 3600) < 10
    assert (await world.get("/msi/token", params=asked)).status == 400
    assert (await world.get("/msi/token", params=asked, headers={"X-IDENTITY-HEADER": "guess"})).status == 401
    for wrong in ({"api-version": "2017-09-01"}, {"resource": "api://unknown"}, {"client_id": "stranger"}):
        assert (await world.get("/msi/token", params=asked | wrong, headers=header)).status == 400


def use_managed_identity(world: World, monkeypatch: pytest.MonkeyPatch, header: str = SECRET) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", world.msi)
    monkeypatch.setenv("IDENTITY_HEADER", header)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")


async def test_the_azure_credential_gets_a_token_that_we_accept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    use_managed_identity(world, monkeypatch)
    async with ManagedIdentityCredential(client_id="edge-client") as credential:
        token = await credential.get_token("api://inner/.default")
    who = await world.validator("api://inner").verify(token.token)
    assert (who.tenant_id, who.object_id, who.app_id) == (SERVICE_TID, EDGE.object_id, "edge-client")
    assert (who.is_app, who.roles) == (True, {"Runs.Start"})


async def test_service_tokens_come_from_the_default_credential_and_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_managed_identity(world, monkeypatch)
    tokens = AzureServiceTokens("edge-client")
    first, second = await asyncio.gather(*(tokens.token("api://inner/.default") for _ in range(2)))
    assert first == second == await tokens.token("api://inner/.default")
    assert (await world.validator("api://inner").verify(first)).app_id == "edge-client"
    await tokens.aclose()


async def test_a_process_without_the_platforms_secret_gets_no_token(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_managed_identity(world, monkeypatch, header="guess")
    tokens = AzureServiceTokens("edge-client")
    with pytest.raises(Exception, match="there is no token for it") as caught:
        await tokens.token("api://inner/.default")
    assert getattr(caught.value, "code", "") == "dependency.identity"
    await tokens.aclose()


async def test_a_rotated_key_is_followed_and_the_old_one_still_honoured(world: World) -> None:
    validator = world.validator()
    old = (await world.sign_in(ANN)).access_token
    await validator.verify(old)
    assert (await world.post("/local/rotate", headers={"X-IDENTITY-HEADER": "guess"})).status == 401
    kid = (await world.post("/local/rotate", headers={"X-IDENTITY-HEADER": SECRET})).json["kid"]
    new = (await world.sign_in(ANN)).access_token
    assert jwt.get_unverified_header(new)["kid"] == kid != jwt.get_unverified_header(old)["kid"]
    with pytest.raises(Unauthenticated):
        await validator.verify(new)
    world.clock.ahead += timedelta(seconds=31)
    assert (await validator.verify(new)).object_id == ANN.object_id
    await world.validator().verify(old)


async def test_keys_outlive_a_restart_and_are_private(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    token = (await world.sign_in(ANN)).access_token
    kid = jwt.get_unverified_header(token)["kid"]
    again = create_app(
        issuer_base=world.base, tenants=[], folder=world.folder, services={}, clients=[], header_secret=SECRET
    )
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving(again, listener):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/common/discovery/v2.0/keys"
        async with world.session.get(url) as response:
            assert (await response.json())["keys"][0]["kid"] == kid
    assert world.folder.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in world.folder.iterdir()] == [0o600]


@pytest.mark.parametrize("environment", ["prod", "dev", "Local", ""])
def test_it_refuses_to_start_anywhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", environment)
    with pytest.raises(Defect):
        make_app("http://127.0.0.1:1", tmp_path / "identity", MovingClock())
    monkeypatch.delenv("MANDATE_ENVIRONMENT")
    with pytest.raises(Defect):
        make_app("http://127.0.0.1:1", tmp_path / "identity", MovingClock())
    assert not os.listdir(tmp_path)
