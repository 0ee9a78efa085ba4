"""The console as a confidential client of the identity provider: no secret, a federated credential in its place."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from identity_world import ANN, BOB, CALLBACK, CONTOSO, SECRET, VERIFIER, World, open_world

from core.errors import Unauthenticated, Unavailable
from web import EXCHANGE_AUDIENCE, Attempt, OpenIdClient

ATTEMPT = Attempt("state-1", "n1", VERIFIER)
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Identity:
    """Tokens of a managed identity, by the protocol of App Service."""

    world: World
    client_id: str = "edge-client"

    async def token(self, scope: str) -> str:
        asked = {
            "api-version": "2019-08-01",
            "resource": scope.removesuffix("/.default"),
            "client_id": self.client_id,
        }
        answer = await self.world.get("/msi/token", params=asked, headers={"X-IDENTITY-HEADER": SECRET})
        return answer.json["access_token"]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    async with open_world(tmp_path / "identity") as opened:
        yield opened


def console(world: World, identity: Identity | None = None, base: str = "") -> OpenIdClient:
    return OpenIdClient(
        authority=f"{base or world.base}/common/v2.0",
        client_id="console",
        scope="api://mandate/.default",
        redirect_uri=CALLBACK,
        identity=identity or Identity(world),
        session=world.session,
    )


async def code_for(world: World, client: OpenIdClient, username: str = ANN.username) -> str:
    """Go to the client's address as a browser does, choose somebody, and come back."""
    address = urlsplit(await client.address(ATTEMPT))
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    path = address.path
    page = await world.get(path, params=asked)
    csrf = page.cookies["identity_csrf"]
    form = {"csrf": csrf, "username": username}
    answer = await world.post(path, params=asked, data=form, cookies={"identity_csrf": csrf})
    assert answer.back["state"] == ATTEMPT.state
    return answer.back["code"]


async def test_somebody_signs_in_and_is_who_both_tokens_say(world: World) -> None:
    client = console(world)
    tokens = await client.redeem(await code_for(world, client), ATTEMPT)
    who = await world.validator().verify(tokens.access_token)
    told = await world.validator("console").verify_sign_in(tokens.id_token, "n1")
    assert told == (who.tenant_id, who.object_id) == (CONTOSO, ANN.object_id)
    assert who.app_id == "console"
    assert tokens.expires_in == 3600


async def test_an_id_token_answers_one_sign_in_of_one_client(world: World) -> None:
    client = console(world)
    tokens = await client.redeem(await code_for(world, client), ATTEMPT)
    for audience, nonce, token, code in (
        ("console", "n2", tokens.id_token, "nonce"),
        ("console", "", tokens.id_token, "nonce"),
        ("cli", "n1", tokens.id_token, "audience"),
        ("console", "n1", tokens.access_token, "audience"),
        ("console", "n1", tokens.id_token[:-8] + "AAAAAAAA", "signature"),
        ("console", "n1", "", "malformed"),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await world.validator(audience).verify_sign_in(token, nonce)
        assert caught.value.code == f"identity.{code}"


async def test_the_code_needs_its_verifier_and_is_good_once(world: World) -> None:
    client = console(world)
    for attempt in (replace(ATTEMPT, verifier="w" * 43), ATTEMPT):
        code = await code_for(world, client)
        if attempt == ATTEMPT:
            await client.redeem(code, ATTEMPT)
        with pytest.raises(Unauthenticated) as caught:
            await client.redeem(code, attempt)
        assert caught.value.code == "identity.refused"


async def test_a_refresh_token_is_exchanged_for_another_by_its_client_alone(world: World) -> None:
    client = console(world)
    first = await client.redeem(await code_for(world, client, BOB.username), ATTEMPT)
    second = await client.renew(first.refresh_token)
    assert (await world.validator().verify(second.access_token)).object_id == BOB.object_id
    assert second.refresh_token not in ("", first.refresh_token)
    with pytest.raises(Unauthenticated):
        await client.renew(first.refresh_token)
    stolen = {"grant_type": "refresh_token", "refresh_token": second.refresh_token, "client_id": "console"}
    assert (await world.token(stolen)).error == (401, "invalid_client")


@pytest.mark.parametrize("wrong", ["missing", "type", "audience", "subject", "garbage", "old"])
async def test_a_client_that_does_not_prove_itself_gets_nothing(world: World, wrong: str) -> None:
    code = await code_for(world, console(world))
    other = wrong == "subject"
    identity = Identity(world, "app-client" if other else "edge-client")
    assertion = await identity.token("api://inner" if wrong == "audience" else EXCHANGE_AUDIENCE)
    proof = {"client_assertion_type": JWT_BEARER, "client_assertion": assertion}
    if wrong == "missing":
        proof = {}
    elif wrong == "type":
        proof["client_assertion_type"] = "urn:other"
    elif wrong == "garbage":
        proof["client_assertion"] = assertion[:-6] + "AAAAAA"
    elif wrong == "old":
        world.clock.ahead = timedelta(hours=2)
    answer = await world.redeem(code, "common", client_id="console", **proof)
    assert answer.error == (401, "invalid_client")


async def test_where_to_leave_is_known_and_brings_people_back(world: World) -> None:
    address = urlsplit(await console(world).leaving(CALLBACK))
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    answer = await world.get(address.path, params=asked)
    assert (answer.status, answer.headers["location"]) == (302, CALLBACK)


async def test_a_provider_that_does_not_answer_is_said_to_be_unavailable(world: World) -> None:
    for base in ("http://127.0.0.1:1", f"{world.base}/nowhere"):
        with pytest.raises(Unavailable) as caught:
            await console(world, base=base).address(ATTEMPT)
        assert caught.value.code == "dependency.sign_in"


async def test_a_client_that_the_provider_does_not_know_says_that_signing_in_does_not_work(world: World) -> None:
    client = console(world, Identity(world, "app-client"))
    with pytest.raises(Unavailable) as caught:
        await client.redeem(await code_for(world, client), ATTEMPT)
    assert caught.value.code == "dependency.sign_in"
