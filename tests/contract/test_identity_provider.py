"""The local identity provider is one that clients and validators made for Entra can work with."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
from identity_live import serving
from starlette.types import ASGIApp

from core import SystemClock
from core.errors import Defect, Unauthenticated
from emulators.identity import (
    PERSONAL_ACCOUNTS,
    SERVICE_TID,
    ClientRegistration,
    DirectoryTenant,
    DirectoryUser,
    ServiceIdentity,
    TokenResponse,
    create_app,
    sign_in,
)
from emulators.identity.oauth import s256
from web import AzureServiceTokens, TokenValidator

SECRET = "header-secret"
CONTOSO, FABRIKAM = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
ANN = DirectoryUser("ann@contoso.example", "Ann <Owner>", "aaaaaaaa-0000-4000-8000-000000000001", ["owner"], ["g1"])
BOB = DirectoryUser("bob@contoso.example", "Bob", "aaaaaaaa-0000-4000-8000-000000000002", ["user"])
EVE = DirectoryUser("eve@fabrikam.example", "Eve", "aaaaaaaa-0000-4000-8000-000000000003", ["user"])
PAT = DirectoryUser("pat@personal.example", "Pat", "aaaaaaaa-0000-4000-8000-000000000004")
TENANTS = [
    DirectoryTenant(CONTOSO, "Contoso", [ANN, BOB]),
    DirectoryTenant(FABRIKAM, "Fabrikam", [EVE]),
    DirectoryTenant(PERSONAL_ACCOUNTS, "Personal", [PAT]),
]
EDGE = ServiceIdentity("edge-client", "bbbbbbbb-0000-4000-8000-000000000001", "edge", {"api://inner": ["Runs.Start"]})
APP = replace(EDGE, client_id="app-client", secret="app-secret")
CLI = ClientRegistration("cli", "Command line", ["http://127.0.0.1/callback", "https://console.example/signed-in?x=1"])
CALLBACK = "http://127.0.0.1:4567/callback"
VERIFIER = "v" * 43


@dataclass
class MovingClock:
    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


@dataclass
class World:
    base: str
    session: aiohttp.ClientSession
    clock: MovingClock
    folder: Path

    @property
    def msi(self) -> str:
        return f"{self.base}/msi/token"

    def validator(self, audience: str = "api://mandate") -> TokenValidator:
        return TokenValidator(
            issuer_template=f"{self.base}/{{tid}}/v2.0",
            jwks_uri=f"{self.base}/common/discovery/v2.0/keys",
            audience=audience,
            session=self.session,
            clock=self.clock,
        )

    async def sign_in(self, user: DirectoryUser, tid: str = CONTOSO, **changes: str) -> TokenResponse:
        client = {"client_id": "cli", "redirect_uri": CALLBACK} | changes
        return await sign_in(self.session, self.base, tid, user.username, **client)

    def asked(self, **changes: str) -> dict[str, str]:
        asked = {
            "client_id": "cli",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid offline_access api://mandate/access",
            "state": "s&t",
            "nonce": "n1",
            "code_challenge": s256(VERIFIER),
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in asked.items() if value}

    async def page(self, tid: str = CONTOSO, **changes: str) -> "Answer":
        return await self.get(f"/{tid}/oauth2/v2.0/authorize", params=self.asked(**changes))

    async def get(self, path: str, **how: Any) -> "Answer":
        async with self.session.get(self.base + path, allow_redirects=False, **how) as response:
            return await Answer.of(response)

    async def post(self, path: str, **how: Any) -> "Answer":
        async with self.session.post(self.base + path, allow_redirects=False, **how) as response:
            return await Answer.of(response)

    async def code(self, user: DirectoryUser = ANN, tid: str = CONTOSO) -> str:
        page = await self.page(tid)
        csrf = page.cookies["identity_csrf"]
        answer = await self.choose(user.username, csrf, csrf, tid)
        assert answer.status == 303
        return answer.back["code"]

    async def choose(self, username: str, csrf: str, cookie: str, tid: str = CONTOSO) -> "Answer":
        form = {"csrf": csrf, "username": username}
        path = f"/{tid}/oauth2/v2.0/authorize"
        return await self.post(path, params=self.asked(), data=form, cookies={"identity_csrf": cookie})

    async def redeem(self, code: str, tid: str = CONTOSO, **changes: str) -> "Answer":
        grant = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        return await self.token(grant | {"client_id": "cli", "redirect_uri": CALLBACK} | changes, tid)

    async def token(self, form: dict[str, str], tid: str = CONTOSO) -> "Answer":
        return await self.post(f"/{tid}/oauth2/v2.0/token", data=form)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    text: str
    json: Any

    @classmethod
    async def of(cls, response: aiohttp.ClientResponse) -> "Answer":
        is_json = response.content_type == "application/json"
        return cls(
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            {name: morsel.value for name, morsel in response.cookies.items()},
            await response.text(),
            await response.json() if is_json else None,
        )

    @property
    def back(self) -> dict[str, str]:
        """What was sent to the redirect URI."""
        assert self.headers["location"].startswith(CALLBACK + "?")
        return {name: values[0] for name, values in parse_qs(urlsplit(self.headers["location"]).query).items()}

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.json["error"]


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    clock, folder = MovingClock(), tmp_path_factory.mktemp("made") / "identity"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANDATE_ENVIRONMENT", "local")
        app = make_app(base, folder, clock)
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        serving(app, listener),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session,
    ):
        yield World(base, session, clock, folder)


@pytest.fixture
def world(running: World) -> World:
    running.clock.ahead = timedelta()
    return running


def make_app(base: str, folder: Path, clock: MovingClock) -> ASGIApp:
    services = {service.client_id: service for service in (EDGE, APP)}
    return create_app(
        issuer_base=base, tenants=TENANTS, folder=folder, services=services, clients=[CLI], header_secret=SECRET,
        clock=clock,
    )  # fmt: skip


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


async def test_signing_out_goes_back_only_to_clients(world: World) -> None:
    path = f"/{CONTOSO}/oauth2/v2.0/logout"
    known = await world.get(path, params={"post_logout_redirect_uri": CALLBACK, "state": "x"})
    assert (known.status, known.headers["location"]) == (302, f"{CALLBACK}?state=x")
    other = await world.get(path, params={"post_logout_redirect_uri": "https://evil.example/"})
    assert other.status == 200
    assert "evil" not in other.text


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
    from azure.identity.aio import ManagedIdentityCredential  # noqa: PLC0415 - heavy

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
