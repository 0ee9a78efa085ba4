"""People sign in to the local identity provider as they do to Entra, and nobody else does."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import jwt
import pytest
from identity_world import ANN, BOB, CALLBACK, CONTOSO, EVE, FABRIKAM, PAT, World, open_world

from core.errors import Unauthenticated
from emulators.identity import PERSONAL_ACCOUNTS, DirectoryUser


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


async def test_somebody_signs_in_and_our_validator_knows_them(world: World) -> None:
    answer = await world.sign_in(ANN)
    who = await world.validator().verify(answer.access_token)
    assert (who.tenant_id, who.object_id, who.app_id, who.is_app) == (CONTOSO, ANN.object_id, "cli", False)
    assert (who.roles, who.groups) == ({"owner"}, {"g1"})
    assert (who.name, who.username) == (ANN.name, ANN.username)
    assert answer.refresh_token


async def test_the_id_token_is_for_the_client_and_has_its_nonce(world: World) -> None:
    answer = await world.redeem(await world.code())
    claims = jwt.decode(answer.json["id_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["nonce"], claims["iss"]) == ("cli", "n1", f"{world.base}/{CONTOSO}/v2.0")
    access = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
    assert access["exp"] - access["nbf"] == answer.json["expires_in"] == 3600
    assert answer.headers["cache-control"] == "no-store"


async def test_a_token_is_only_good_for_its_audience(world: World) -> None:
    answer = await world.sign_in(ANN)
    for token, audience in ((answer.access_token, "api://inner"), (answer.id_token or "", "api://mandate")):
        with pytest.raises(Unauthenticated) as caught:
            await world.validator(audience).verify(token)
        assert caught.value.code == "identity.audience"


@pytest.mark.parametrize(("tid", "user"), [("common", PAT), ("common", EVE), ("organizations", EVE)])
async def test_shared_authorities_sign_people_in_to_their_own_tenant(
    world: World, tid: str, user: DirectoryUser
) -> None:
    who = await world.validator().verify((await world.sign_in(user, tid)).access_token)
    assert who.object_id == user.object_id
    assert who.tenant_id == (FABRIKAM if user is EVE else PERSONAL_ACCOUNTS)


@pytest.mark.parametrize(("tid", "user"), [(FABRIKAM, ANN), ("organizations", PAT), ("nowhere", ANN)])
async def test_nobody_signs_in_where_they_do_not_belong(world: World, tid: str, user: DirectoryUser) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await world.sign_in(user, tid)
    assert caught.value.code == "identity.sign_in"


async def test_discovery_leads_to_every_endpoint(world: World) -> None:
    described = (await world.get(f"/{CONTOSO}/v2.0/.well-known/openid-configuration")).json
    assert described["issuer"] == f"{world.base}/{CONTOSO}/v2.0"
    assert described["authorization_endpoint"] == f"{world.base}/{CONTOSO}/oauth2/v2.0/authorize"
    keys = (await world.get(described["jwks_uri"].removeprefix(world.base))).json["keys"]
    assert keys[0]["issuer"] == f"{world.base}/{{tenantid}}/v2.0"
    shared = (await world.get("/common/v2.0/.well-known/openid-configuration")).json
    assert shared["issuer"] == f"{world.base}/{{tenantid}}/v2.0"
    assert (await world.get("/nowhere/v2.0/.well-known/openid-configuration")).error == (400, "invalid_tenant")


async def test_the_page_lists_whom_one_can_choose(world: World) -> None:
    page = await world.page(login_hint=BOB.username)
    assert page.status == 200
    assert "Ann &lt;Owner&gt;" in page.text
    assert "Ann <Owner>" not in page.text
    assert EVE.username not in page.text
    assert page.text.index(BOB.username) < page.text.index(ANN.username)
    assert page.text.count("autofocus") == 1
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    everybody = (await world.page("common")).text
    assert all(user.username in everybody for user in (ANN, BOB, EVE, PAT))
    assert "Publisher" not in everybody
    assert PAT.username not in (await world.page("organizations")).text


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "stranger"},
        {"redirect_uri": "http://127.0.0.1:4567/other"},
        {"redirect_uri": "http://127.0.0.1:4567/callback/"},
        {"redirect_uri": "http://127.0.0.1:4567/callback#x"},
        {"redirect_uri": "http://127.0.0.1.evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:1;x/callback"},
        {"redirect_uri": "https://127.0.0.1/callback"},
        {"redirect_uri": "https://console.example/signed-in"},
        {"redirect_uri": "https://console.example:444/signed-in?x=1"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": ""},
    ],
)
async def test_nobody_is_sent_to_an_address_that_was_not_registered(world: World, changes: dict[str, str]) -> None:
    page = await world.page(**changes)
    assert page.status == 400
    assert "location" not in page.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": "openid api://other/access"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "bogus"}, "invalid_request"),
    ],
)
async def test_what_cannot_be_served_is_told_to_the_client(world: World, changes: dict[str, str], error: str) -> None:
    back = (await world.page(**changes)).back
    assert (back["error"], back["state"]) == (error, "s&t")


async def test_a_parameter_given_twice_is_refused(world: World) -> None:
    query = [*world.asked().items(), ("redirect_uri", "https://evil.example/")]
    assert (await world.get(f"/{CONTOSO}/oauth2/v2.0/authorize", params=query)).status == 400


async def test_the_form_must_come_from_the_same_browser(world: World) -> None:
    csrf = (await world.page()).cookies["identity_csrf"]
    for field_value, cookie in ((csrf, ""), ("", csrf), ("", ""), (csrf, "x" + csrf)):
        assert (await world.choose(ANN.username, field_value, cookie)).status == 400
    assert (await world.choose("nobody", csrf, csrf)).status == 400
    assert (await world.choose(ANN.username, csrf, csrf)).status == 303


async def test_a_code_is_good_once_and_using_it_twice_revokes_what_came_of_it(world: World) -> None:
    code = await world.code()
    tokens = (await world.redeem(code)).json
    assert (await world.redeem(code)).error == (400, "invalid_grant")
    refresh = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": tokens["refresh_token"]}
    assert (await world.token(refresh)).error == (400, "invalid_grant")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"client_id": "stranger"},
        {"redirect_uri": "http://127.0.0.1:9/callback"},
    ],
)
async def test_a_code_is_only_good_with_all_that_belongs_to_it(world: World, changes: dict[str, str]) -> None:
    code = await world.code()
    assert (await world.redeem(code, **changes)).error == (400, "invalid_grant")


async def test_a_code_is_good_for_a_minute_and_for_its_tenant(world: World) -> None:
    late = await world.code()
    assert (await world.redeem("made-up")).error == (400, "invalid_grant")
    assert (await world.redeem(await world.code(), tid=FABRIKAM)).error == (400, "invalid_grant")
    world.clock.ahead += timedelta(seconds=61)
    assert (await world.redeem(late)).error == (400, "invalid_grant")


async def test_a_refresh_token_gives_new_tokens_once(world: World) -> None:
    first = await world.sign_in(ANN)
    form = {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": first.refresh_token or ""}
    world.clock.ahead += timedelta(minutes=50)
    second = (await world.token(form)).json
    world.clock.ahead += timedelta(minutes=20)
    assert (await world.validator().verify(second["access_token"])).object_id == ANN.object_id
    assert (await world.token(form | {"client_id": "stranger"})).error == (400, "invalid_grant")
    assert (await world.token(form)).error == (400, "invalid_grant")
    assert (await world.token(form | {"refresh_token": second["refresh_token"]})).error == (400, "invalid_grant")


async def test_signing_out_goes_back_only_to_clients(world: World) -> None:
    path = f"/{CONTOSO}/oauth2/v2.0/logout"
    known = await world.get(path, params={"post_logout_redirect_uri": CALLBACK, "state": "x"})
    assert (known.status, known.headers["location"]) == (302, f"{CALLBACK}?state=x")
    other = await world.get(path, params={"post_logout_redirect_uri": "https://evil.example/"})
    assert other.status == 200
    assert "evil" not in other.text
