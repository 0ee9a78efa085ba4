"""Only tokens that Entra issued to us, for that tenant and for now, prove who somebody is."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from clocks import MovableClock
from core.errors import MandateError, Unauthenticated, Unavailable
from web import TokenValidator, bearer_token

TID = "11111111-2222-4333-8444-555555555555"
OTHER_TID = "99999999-2222-4333-8444-555555555555"
OID = "aaaaaaaa-2222-4333-8444-555555555555"
KEY = generate_private_key(public_exponent=65537, key_size=2048)
NEXT_KEY = generate_private_key(public_exponent=65537, key_size=2048)


START = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Published:
    """Stands for the issuer's JWKS address, behind the part of an aiohttp session that is used."""

    keys: dict[str, RSAPrivateKey]
    issuer: str | None = None
    answers: bool = True
    fetches: int = 0

    def get(self, _uri: str) -> Any:
        self.fetches += 1
        return self._response()

    @asynccontextmanager
    async def _response(self) -> AsyncGenerator["Published"]:
        if not self.answers:
            raise aiohttp.ClientConnectionError
        yield self

    def raise_for_status(self) -> None:
        pass

    @property
    def content(self) -> "Published":
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield json.dumps({"keys": [self._jwk(kid, key) for kid, key in self.keys.items()]}).encode()

    def _jwk(self, kid: str, key: RSAPrivateKey) -> dict[str, Any]:
        issuer = {"issuer": self.issuer} if self.issuer else {}
        return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig"} | issuer


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(START)


@pytest.fixture
def published() -> Published:
    return Published({"k1": KEY})


@pytest.fixture
def validator(published: Published, clock: MovableClock) -> TokenValidator:
    return TokenValidator(
        issuer_template="https://login.example/{tid}/v2.0",
        jwks_uri="https://login.example/keys",
        audience="api://mandate",
        session=cast("aiohttp.ClientSession", published),
        clock=clock,
    )


def claims(clock: MovableClock, **changes: Any) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    all_claims = {
        "ver": "2.0",
        "iss": f"https://login.example/{TID}/v2.0",
        "aud": "api://mandate",
        "tid": TID,
        "oid": OID,
        "azp": "mandate-cli",
        "nbf": now,
        "exp": now + 3600,
        "roles": ["user", "approver"],
        "groups": ["g1"],
        "name": "Ann Example",
        "preferred_username": "ann@example.com",
    } | changes
    return {name: value for name, value in all_claims.items() if value is not None}


def signed(payload: dict[str, Any], key: RSAPrivateKey = KEY, kid: str = "k1") -> str:
    return jwt.encode(payload, key, "RS256", headers={"kid": kid})


async def refusal(validator: TokenValidator, token: str) -> str:
    with pytest.raises(MandateError) as caught:
        await validator.verify(token)
    return caught.value.code


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_a_good_token_tells_who_asks(validator: TokenValidator, clock: MovableClock) -> None:
    who = await validator.verify(signed(claims(clock)))
    assert (who.tenant_id, who.object_id, who.app_id) == (TID, OID, "mandate-cli")
    assert (who.roles, who.groups) == (frozenset({"user", "approver"}), frozenset({"g1"}))
    assert (who.name, who.username, who.is_app) == ("Ann Example", "ann@example.com", False)
    assert who.expires_at == clock.now().timestamp() + 3600


async def test_a_product_of_one_organisation_lets_in_nobody_elses_people(
    published: Published, clock: MovableClock
) -> None:
    """As where a customer runs the product for itself: the issuer names its Entra tenant in place of `{tid}`."""
    only = TokenValidator(
        issuer_template=f"https://login.example/{TID}/v2.0",
        jwks_uri=f"https://login.example/{TID}/keys",
        audience="api://mandate",
        session=cast("aiohttp.ClientSession", published),
        clock=clock,
    )
    published.issuer = "https://login.example/{tenantid}/v2.0"  # as Entra ID has it of each key
    assert (await only.verify(signed(claims(clock)))).tenant_id == TID
    theirs = f"https://login.example/{OTHER_TID}/v2.0"
    assert await refusal(only, signed(claims(clock, tid=OTHER_TID, iss=theirs))) == "identity.issuer"
    assert await refusal(only, signed(claims(clock, tid=OTHER_TID))) == "identity.issuer"


async def test_an_app_is_told_from_a_person(validator: TokenValidator, clock: MovableClock) -> None:
    assert (await validator.verify(signed(claims(clock, idtyp="app", azp=None, appid="svc")))).is_app


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "api://other"}, "identity.audience"),
        ({"iss": f"https://login.example/{OTHER_TID}/v2.0"}, "identity.issuer"),
        ({"tid": OTHER_TID}, "identity.issuer"),
        ({"iss": f"https://evil.example/{TID}/v2.0"}, "identity.issuer"),
        ({"tid": "common"}, "identity.malformed"),
        ({"tid": f"{TID}\n"}, "identity.malformed"),
        ({"tid": None}, "identity.missing_claim"),
        ({"oid": None}, "identity.missing_claim"),
        ({"oid": ""}, "identity.malformed"),
        ({"azp": None}, "identity.missing_claim"),
        ({"exp": None}, "identity.missing_claim"),
        ({"nbf": None}, "identity.missing_claim"),
        ({"exp": "tomorrow"}, "identity.malformed"),
        ({"exp": 10**40}, "identity.malformed"),
        ({"ver": "1.0"}, "identity.issuer"),
        ({"aud": ["api://mandate"]}, "identity.malformed"),
        ({"roles": "owner"}, "identity.malformed"),
        ({"roles": [1]}, "identity.malformed"),
    ],
)
async def test_wrong_claims_are_refused(
    validator: TokenValidator, clock: MovableClock, changes: dict[str, Any], code: str
) -> None:
    assert await refusal(validator, signed(claims(clock, **changes))) == code


async def test_lifetime_has_a_minute_of_leeway_and_no_more(validator: TokenValidator, clock: MovableClock) -> None:
    now = int(clock.now().timestamp())
    await validator.verify(signed(claims(clock, exp=now - 59)))
    await validator.verify(signed(claims(clock, nbf=now + 60)))
    assert await refusal(validator, signed(claims(clock, exp=now - 60))) == "identity.expired"
    assert await refusal(validator, signed(claims(clock, nbf=now + 61))) == "identity.not_yet_valid"


async def test_a_token_seen_before_still_expires(validator: TokenValidator, clock: MovableClock) -> None:
    token = signed(claims(clock))
    await validator.verify(token)
    clock.time += timedelta(seconds=3661)
    assert await refusal(validator, token) == "identity.expired"


async def test_no_algorithm_but_rs256(validator: TokenValidator, clock: MovableClock) -> None:
    payload = claims(clock)
    head = b64(json.dumps({"alg": "none", "kid": "k1"}).encode())
    assert await refusal(validator, f"{head}.{b64(json.dumps(payload).encode())}.") == "identity.algorithm"
    head = b64(json.dumps({"alg": "HS256", "kid": "k1"}).encode())
    body = f"{head}.{b64(json.dumps(payload).encode())}"
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    confused = f"{body}.{b64(hmac.new(public, body.encode(), hashlib.sha256).digest())}"
    assert await refusal(validator, confused) == "identity.algorithm"
    assert await refusal(validator, jwt.encode(payload, KEY, "RS512", headers={"kid": "k1"})) == "identity.algorithm"


async def test_a_forged_or_changed_token_is_refused(validator: TokenValidator, clock: MovableClock) -> None:
    assert await refusal(validator, signed(claims(clock), NEXT_KEY)) == "identity.signature"
    head, _, signature = signed(claims(clock)).split(".")
    changed = b64(json.dumps(claims(clock, roles=["owner"])).encode())
    assert await refusal(validator, f"{head}.{changed}.{signature}") == "identity.signature"


@pytest.mark.parametrize("token", ["", "x", "a.b", "a.b.c", "..", "é.é.é", "a" * 16_001, "\ud800"])
async def test_what_is_no_token_is_malformed(validator: TokenValidator, token: str) -> None:
    assert await refusal(validator, token) == "identity.malformed"


async def test_a_new_key_is_found_but_not_asked_for_at_every_request(
    validator: TokenValidator, published: Published, clock: MovableClock
) -> None:
    await validator.verify(signed(claims(clock)))
    fresh = signed(claims(clock), NEXT_KEY, "k2")
    assert await refusal(validator, fresh) == "identity.unknown_key"
    assert published.fetches == 1
    published.keys = {"k1": KEY, "k2": NEXT_KEY}
    assert await refusal(validator, fresh) == "identity.unknown_key"
    clock.time += timedelta(seconds=30)
    await validator.verify(fresh)
    assert published.fetches == 2


async def test_a_withdrawn_key_ends_the_tokens_that_were_seen(
    validator: TokenValidator, published: Published, clock: MovableClock
) -> None:
    token = signed(claims(clock))
    await validator.verify(token)
    published.keys = {"k2": NEXT_KEY}
    clock.time += timedelta(seconds=30)
    await validator.verify(signed(claims(clock), NEXT_KEY, "k2"))
    assert await refusal(validator, token) == "identity.unknown_key"


async def test_known_keys_outlive_an_outage_of_the_issuer(
    validator: TokenValidator, published: Published, clock: MovableClock
) -> None:
    await validator.verify(signed(claims(clock)))
    published.answers = False
    clock.time += timedelta(hours=7)
    await validator.verify(signed(claims(clock)))
    assert published.fetches == 2


async def test_without_any_key_nobody_is_let_in(
    validator: TokenValidator, published: Published, clock: MovableClock
) -> None:
    published.answers = False
    with pytest.raises(Unavailable) as caught:
        await validator.verify(signed(claims(clock)))
    assert caught.value.code == "dependency.jwks"
    published.answers = True
    clock.time += timedelta(seconds=1)
    await validator.verify(signed(claims(clock)))


async def test_a_key_signs_only_for_the_issuer_it_is_published_for(
    validator: TokenValidator, published: Published, clock: MovableClock
) -> None:
    published.issuer = "https://login.example/{tenantid}/v2.0"
    await validator.verify(signed(claims(clock)))
    published.issuer = f"https://login.example/{OTHER_TID}/v2.0"
    clock.time += timedelta(hours=7)
    assert await refusal(validator, signed(claims(clock))) == "identity.issuer"


def test_the_bearer_token_is_read_from_the_header() -> None:
    assert bearer_token("Bearer abc") == bearer_token("bearer  abc ") == "abc"
    for header in (None, "", "Bearer", "Bearer ", "Basic abc"):
        with pytest.raises(Unauthenticated):
            bearer_token(header)
