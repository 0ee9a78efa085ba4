"""An assertion is good for one request of one service, once, for at most a minute."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clocks import MovableClock
from core import Actor, Principal, PrincipalId, PrincipalKind, Role, TenantContext, TenantId, canonical, new_id
from core.errors import MandateError, Unavailable
from web import AssertionSigner, AssertionVerifier, PublishedKey, VerifiedAssertion, assertions, request_target

REQUEST: dict[str, Any] = {"method": "POST", "path": "/v1/runs?x=1", "body": b'{"text":"hello"}'}


START = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Keys:
    published: dict[str, PublishedKey] = field(default_factory=dict[str, PublishedKey])

    async def key(self, kid: str) -> PublishedKey | None:
        return self.published.get(kid)


class World:
    """A signer and a verifier who trusts it."""

    def __init__(self) -> None:
        self.clock = MovableClock(START)
        self.keys = Keys()
        self.signer = AssertionSigner("interaction", self.clock)
        self.publish(self.signer.key)
        self.stolen = Ed25519PrivateKey.generate()
        public = base64.b64encode(self.stolen.public_key().public_bytes_raw()).decode()
        self.publish(self.signer.key.model_copy(update={"kid": "stolen", "public": public}))
        self.verifier = AssertionVerifier(audience="orchestration", keys=self.keys, clock=self.clock)
        self.context = TenantContext(
            tenant=TenantId(new_id("ten")),
            principal=Principal(
                PrincipalId(new_id("prn")), PrincipalKind.USER, frozenset({Role.USER, Role.APPROVER}), frozenset({"g1"})
            ),
            plan="pro",
            region="westeurope",
            correlation="cor_1",
            chain=(Actor(kind=PrincipalKind.SERVICE, id="interaction"), Actor(kind=PrincipalKind.AGENT, id="support")),
        )

    def publish(self, key: PublishedKey) -> None:
        self.keys.published[key.kid] = key

    def sign(self, **changes: Any) -> str:
        deadline = self.clock.now() + timedelta(minutes=5)
        given: dict[str, Any] = {"audience": "orchestration", "deadline": deadline, **REQUEST, **changes}
        return self.signer.sign(self.context, **given)

    async def verify(self, assertion: str, **changes: Any) -> VerifiedAssertion:
        given: dict[str, Any] = {"issuer_services": {"interaction"}, **REQUEST, **changes}
        return await self.verifier.verify(assertion, **given)

    async def refusal(self, assertion: str, **changes: Any) -> str:
        with pytest.raises(MandateError) as caught:
            await self.verify(assertion, **changes)
        return caught.value.code

    def signed_by_thief(self, **changes: Any) -> str:
        """Return an assertion with any claims at all, properly signed with a published key."""
        return self.altered(self.sign(), self.stolen, kid="stolen", **changes)

    def altered(self, assertion: str, key: Ed25519PrivateKey | None = None, **changes: Any) -> str:
        """Return the assertion with other claims: with the old signature, or signed again."""
        version, payload, signature = assertion.split(".")
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "==")) | changes
        signed = f"{version}.{b64(canonical({n: v for n, v in claims.items() if v is not ...}))}"
        return f"{signed}.{b64(key.sign(signed.encode())) if key else signature}"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def world() -> World:
    return World()


async def test_the_receiver_learns_for_whom_it_works(world: World) -> None:
    told = await world.verify(world.sign())
    assert told.service == "interaction"
    assert (told.tenant, told.principal) == (world.context.tenant, world.context.principal.id)
    assert (told.kind, told.roles, told.groups) == (PrincipalKind.USER, {Role.USER, Role.APPROVER}, {"g1"})
    assert (told.plan, told.region, told.correlation) == ("pro", "westeurope", "cor_1")
    assert told.chain == world.context.chain
    assert told.deadline == world.clock.now() + timedelta(minutes=5)
    assert told.nonce


async def test_it_is_good_once(world: World) -> None:
    assertion = world.sign()
    first = await world.verify(assertion)
    assert await world.refusal(assertion) == "assertion.replayed"
    assert (await world.verify(world.sign())).nonce != first.nonce


async def test_a_refused_request_does_not_spend_the_assertion(world: World) -> None:
    assertion = world.sign()
    await world.refusal(assertion, body=b"other")
    await world.verify(assertion)


@pytest.mark.parametrize("other", [{"body": b"{}"}, {"method": "PUT"}, {"path": "/v1/runs?x=2"}, {"path": "/v1/runs"}])
async def test_it_is_for_one_request(world: World, other: dict[str, Any]) -> None:
    assert await world.refusal(world.sign(), **other) == "assertion.request"


async def test_it_is_for_one_audience(world: World) -> None:
    assert await world.refusal(world.sign(audience="control")) == "assertion.audience"


async def test_only_named_services_may_call(world: World) -> None:
    assert await world.refusal(world.sign(), issuer_services={"control"}) == "assertion.issuer"


async def test_a_key_nobody_published_proves_nothing(world: World) -> None:
    world.keys.published.clear()
    assert await world.refusal(world.sign()) == "assertion.unknown_key"


async def test_a_forged_assertion_is_refused(world: World) -> None:
    other = world.altered(world.sign(), tenant="ten_other")
    assert await world.refusal(other) == "assertion.signature"
    stolen_name = world.altered(world.sign(), Ed25519PrivateKey.generate(), tenant="ten_other")
    assert await world.refusal(stolen_name) == "assertion.signature"


async def test_it_expires_after_a_minute(world: World) -> None:
    early, late = world.sign(), world.sign()
    world.clock.time += timedelta(seconds=59)
    await world.verify(early)
    world.clock.time += timedelta(seconds=1)
    assert await world.refusal(late) == "assertion.expired"


async def test_it_expires_with_the_deadline(world: World) -> None:
    assertion = world.sign(deadline=world.clock.now() + timedelta(seconds=10))
    world.clock.time += timedelta(seconds=10)
    assert await world.refusal(assertion) == "assertion.expired"


async def test_no_claim_makes_it_live_longer(world: World) -> None:
    forever = world.signed_by_thief(expires="2040-01-01T00:00:00.000Z")
    future = world.signed_by_thief(issued="2039-01-01T00:00:00.000Z", expires="2040-01-01T00:00:00.000Z")
    assert await world.refusal(future) == "assertion.expired"
    world.clock.time += timedelta(seconds=60)
    assert await world.refusal(forever) == "assertion.expired"


async def test_it_does_not_outlive_the_published_key(world: World) -> None:
    world.publish(world.signer.key.model_copy(update={"expires": "2030-01-01T00:00:05.000Z"}))
    assertion = world.sign()
    world.clock.time += timedelta(seconds=5)
    assert await world.refusal(assertion) == "assertion.expired"


async def test_the_published_key_is_renewed_by_asking_again(world: World) -> None:
    world.clock.time += timedelta(hours=2)
    assert await world.refusal(world.sign()) == "assertion.expired"
    world.publish(world.signer.key)
    await world.verify(world.sign())


@pytest.mark.parametrize(
    "changes",
    [
        {"roles": ["emperor"]},
        {"roles": "owner"},
        {"tenant": ""},
        {"tenant": 7},
        {"tenant": ...},
        {"kind": "god"},
        {"issued": 0},
        {"issued": "2030-01-01T00:00:00"},
        {"expires": "2030-13-01T00:00:00.000Z"},
        {"extra": "field"},
        {"chain": [{"kind": "agent"}]},
    ],
)
async def test_what_is_not_in_form_is_malformed_even_if_signed(world: World, changes: dict[str, Any]) -> None:
    assert await world.refusal(world.signed_by_thief(**changes)) == "assertion.malformed"


@pytest.mark.parametrize(
    "text", ["", "ma1", "ma1..", "ma1.a.b.c", "ma2.e30.e30", "ma1.e30.é", "ma1.@@.@@", "a" * 16_001]
)
async def test_what_is_no_assertion_is_malformed(world: World, text: str) -> None:
    assert await world.refusal(text) == "assertion.malformed"


async def test_a_full_memory_refuses_rather_than_forgets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assertions, "_MAX_NONCES", 2)
    world.verifier = AssertionVerifier(audience="orchestration", keys=world.keys, clock=world.clock)
    first = world.sign()
    await world.verify(first)
    await world.verify(world.sign())
    with pytest.raises(Unavailable):
        await world.verify(world.sign())
    assert await world.refusal(first) == "assertion.replayed"
    world.clock.time += timedelta(seconds=66)
    await world.verify(world.sign())


def test_the_request_target_is_what_was_sent_below_the_mount() -> None:
    scope = {"path": "/orchestration/v1/a b", "raw_path": b"/orchestration/v1/a%20b", "query_string": b"x=%C3%A9"}
    assert request_target(scope | {"root_path": "/orchestration"}) == "/v1/a%20b?x=%C3%A9"
    assert request_target({"path": "/v1/runs", "query_string": b""}) == "/v1/runs"
