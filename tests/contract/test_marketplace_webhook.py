"""The webhook under attack: whatever does not prove that it is the marketplace changes nothing and is recorded."""

import base64
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from fastapi import Request
from jwt.algorithms import RSAAlgorithm
from marketplace_desk_world import DeskWorld, open_desk

from control import (
    Caller,
    OpenDelivery,
    WebhookCallers,
    contexts,
    log_run,
)
from control.marketplace_api import RESOURCE
from core import PUBLISHER
from core.bodies import AccessRefused
from core.errors import Unauthenticated
from core.parts import RunKind
from data import read_run
from marketplace_world import START
from web import InProcess, PeerRequest, TokenValidator

TID, OTHER_TID = "5e6f1c1e-0000-4000-8000-00000000cafe", "11111111-1111-4111-8111-111111111111"
KEY, FOREIGN = (generate_private_key(65537, 2048) for _ in range(2))
OPERATION, SUBSCRIPTION = "00000000-0000-4000-8000-0000000000aa", "00000000-0000-4000-8000-0000000000bb"
BODY = {"id": OPERATION, "subscriptionId": SUBSCRIPTION, "action": "Unsubscribe", "status": "Succeeded"}


class Keys:
    """Stands for the identity provider's published keys: ours, and one that is only good for another tenant."""

    status = 200

    def get(self, *_: Any, **__: Any) -> "Keys":
        return self

    def raise_for_status(self) -> None: ...

    async def __aenter__(self) -> "Keys":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    @property
    def content(self) -> "Keys":
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        def jwk(kid: str, key: RSAPrivateKey, issuer: str) -> dict[str, Any]:
            return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", "issuer": issuer}

        ours = jwk("ours", KEY, "https://login.example/{tenantid}/v2.0")
        foreign = jwk("foreign", FOREIGN, f"https://login.example/{OTHER_TID}/v2.0")
        yield json.dumps({"keys": [ours, foreign]}).encode()


def claims(**changes: object) -> dict[str, Any]:
    now = int(START.timestamp())
    said = {
        "ver": "2.0",
        "iss": f"https://login.example/{TID}/v2.0",
        "aud": "the-offers-application",
        "tid": TID,
        "oid": "a-service-principal",
        "sub": "a-service-principal",
        "azp": RESOURCE,
        "nbf": now,
        "exp": now + 3600,
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def v1(**changes: object) -> dict[str, Any]:
    return claims(ver="1.0", iss=f"https://sts.windows.net/{TID}/", azp=None, appid=RESOURCE) | changes


def signed(payload: dict[str, Any], key: RSAPrivateKey = KEY, kid: str = "ours") -> str:
    return jwt.encode(payload, key, "RS256", headers={"kid": kid})


def unsigned() -> str:
    def part(said: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'kid': 'ours'})}.{part(claims())}."


def by_public_key() -> str:
    """Return a token whose "secret" is the public key, for who confuses the algorithms."""
    return jwt.encode(claims(), "0" * 64, "HS256", headers={"kid": "ours"})


def tampered() -> str:
    head, _, signature = signed(claims(azp="somebody")).split(".")
    return f"{head}.{signed(claims()).split('.')[1]}.{signature}"


@dataclass
class Hook:
    desk: DeskWorld
    way: InProcess

    async def post(self, token: str | None, body: bytes = json.dumps(BODY).encode()) -> int:
        headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        async with self.way.exchange(PeerRequest("POST", "/v1/marketplace/webhook", headers, body, 5, None)) as answer:
            return answer.status

    async def taken(self) -> list[str]:
        records = self.desk.store.tenant(contexts.publisher("test")).records
        return [found.key for found in (await records.list(OpenDelivery)).items]

    async def refused(self) -> list[str]:
        data = self.desk.store.tenant(contexts.publisher("test"))
        events = await read_run(data, log_run(PUBLISHER, RunKind.ACCESS, START.strftime("%Y-%m-%d")))
        return [stored.event.body.code for stored in events if isinstance(stored.event.body, AccessRefused)]


@pytest.fixture
async def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hook]:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    async with open_desk(tmp_path) as desk:
        clock = desk.market.clock
        validator = TokenValidator(
            issuer_template="https://login.example/{tid}/v2.0",
            jwks_uri="https://login.example/keys",
            audience="the-offers-application",
            session=cast("aiohttp.ClientSession", Keys()),
            clock=clock,
            v1_issuer_template="https://sts.windows.net/{tid}/",
        )

        async def nobody(_: Request) -> Caller:
            raise Unauthenticated("Nobody else calls here.")

        yield Hook(desk, desk.control(nobody, WebhookCallers(validator, TID, RESOURCE)))


@pytest.mark.parametrize("payload", [claims(), v1()], ids=["version 2", "version 1"])
async def test_the_marketplace_itself_is_taken_at_its_word_that_there_is_something_to_ask(
    hook: Hook, payload: dict[str, Any]
) -> None:
    assert await hook.post(signed(payload)) == 200
    assert await hook.taken() == [OPERATION]


ATTACKS: dict[str, tuple[str | None, int, str]] = {
    "no token": (None, 401, "identity.missing"),
    "nonsense": ("nonsense", 401, "identity.malformed"),
    "unsigned": (unsigned(), 401, "identity.algorithm"),
    "a shared secret": (by_public_key(), 401, "identity.algorithm"),
    "another's signature": (signed(claims(), FOREIGN), 401, "identity.signature"),
    "claims changed after signing": (tampered(), 401, "identity.signature"),
    "an unpublished key": (signed(claims(), FOREIGN, "made-up"), 401, "identity.unknown_key"),
    "another tenant's key": (signed(claims(), FOREIGN, "foreign"), 401, "identity.issuer"),
    "another audience": (signed(claims(aud="api://mandate")), 401, "identity.audience"),
    "another issuer": (signed(claims(iss=f"https://evil.example/{TID}/v2.0")), 401, "identity.issuer"),
    "an issuer of the other version": (signed(v1(ver="2.0")), 401, "identity.issuer"),
    "another tenant": (
        signed(claims(tid=OTHER_TID, iss=f"https://login.example/{OTHER_TID}/v2.0")),
        403,
        "access.not_the_marketplace",
    ),
    "another application": (signed(claims(azp="somebody-elses")), 403, "access.not_the_marketplace"),
    "another application, version 1": (signed(v1(appid="somebody-elses")), 403, "access.not_the_marketplace"),
    "no application": (signed(claims(azp=None)), 401, "identity.missing_claim"),
    "expired": (signed(claims(exp=int(START.timestamp()) - 61)), 401, "identity.expired"),
    "not valid yet": (signed(claims(nbf=int(START.timestamp()) + 3600)), 401, "identity.not_yet_valid"),
    "no lifetime": (signed(claims(exp=None)), 401, "identity.missing_claim"),
}


@pytest.mark.parametrize("attack", list(ATTACKS))
async def test_an_attack_is_refused_recorded_and_changes_nothing(hook: Hook, attack: str) -> None:
    token, status, code = ATTACKS[attack]
    assert await hook.post(token) == status
    assert await hook.taken() == []
    assert await hook.refused() == [code]


async def test_a_replay_has_no_second_effect(hook: Hook) -> None:
    token = signed(claims())
    for _ in range(20):
        assert await hook.post(token) == 200
    assert await hook.taken() == [OPERATION]
    await hook.desk.desk.do_due()
    assert await hook.post(token) == 200
    assert await hook.taken() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"id": 7}',
        json.dumps({**BODY, "id": "../../x"}).encode(),
        json.dumps({**BODY, "subscriptionId": None}).encode(),
    ],
)
async def test_what_cannot_be_read_is_taken_and_does_nothing(hook: Hook, body: bytes) -> None:
    assert await hook.post(signed(claims()), body) == 200
    assert await hook.taken() == []


async def test_fields_and_actions_that_nobody_told_us_of_do_no_harm(hook: Hook) -> None:
    odd: dict[str, object] = {
        **BODY,
        "action": " Transferred ",
        "quantity": None,
        "new": ["thing"],
        "id": OPERATION.upper(),
    }
    assert await hook.post(signed(claims()), json.dumps(odd).encode()) == 200
    assert await hook.taken() == [OPERATION]


async def test_no_landing_token_is_in_a_log_or_an_error(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    subscription = await hook.desk.market.buy()
    token = await hook.desk.market.token(subscription)
    hook.desk.market.later(hours=25)
    with pytest.raises(Exception, match="expired") as refused:
        await hook.desk.landings.land(token, TID, "somebody")
    assert token not in str(refused.value) + repr(refused.value.__cause__) + repr(refused.value.__context__)
    assert token not in caplog.text
    assert token.encode() not in b"".join(path.read_bytes() for path in hook.desk.folder.glob("mandate.db*"))
