"""Only our own services get into orchestration, each call for one tenant and once; whoever else tries is on record."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import aiohttp
import orjson
import pytest
from commands import mandate

from control import StoreKeys, contexts
from control.access import log_run
from core import PUBLISHER, Clock, Principal, PrincipalId, PrincipalKind, Role, SystemClock, TenantContext, new_id
from core.bodies import AccessRefused
from core.parts import RunKind
from data import Store
from data.sqlite import open_store
from mandate.local.emulate import BACKOFFICE
from mandate.local.seeding import operator_token
from mandate.local.stack import Stack, free_port, running
from mandate.local.world import load_companies
from mandate.people import sign_in
from mandate.services import Services, local_client_id
from mandate.settings import ROOT
from web import ASSERTION_HEADER, AssertionSigner

SERVICES = Services.load(ROOT / "environments")
AUDIENCE = SERVICES.services["orchestration"].audience
TENANT = load_companies(ROOT)[0].tenant
PATH = f"/internal/runs/{new_id('run')}/cancel"
"""A run that is not there: 404 says that the call itself was accepted."""
OPERATION = "POST /internal/runs/{run}/cancel"


class Past:
    """A clock that is two minutes slow."""

    def now(self) -> datetime:
        return SystemClock().now() - timedelta(minutes=2)


@dataclass(frozen=True)
class Peer:
    """Somebody on the internal network, with a store's keys at hand: what a stolen host could try at worst."""

    stack: Stack
    session: aiohttp.ClientSession
    store: Store

    async def token(self, identity: str, audience: str = AUDIENCE) -> str:
        """Return a service's token by the managed-identity protocol."""
        query = {"api-version": "2019-08-01", "resource": audience, "client_id": local_client_id(identity)}
        url, headers = f"{self.stack.address('identity')}/msi/token", {"X-IDENTITY-HEADER": self.stack.secret}
        async with self.session.get(url, params=query, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["access_token"])

    async def signer(self, service: str = "interaction", *, published: bool = True) -> AssertionSigner:
        signer = AssertionSigner(service, SystemClock())
        if published:
            await StoreKeys(self.store, SystemClock()).publish(signer.key)
        return signer

    async def call(self, token: str, assertion: str, *, path: str = PATH, body: bytes = b"") -> tuple[int, str]:
        """Return the status, and the code of the problem."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {ASSERTION_HEADER: assertion} if assertion else {}
        url = f"{self.stack.address('orchestration')}{path}"
        async with self.session.post(url, headers=headers, data=body or None) as answer:
            return answer.status, str((await answer.json())["code"])

    async def refused(self, code: str) -> int:
        """Return how often a call was refused for this reason, by the publisher's own log of today."""
        data, day = self.store.tenant(contexts.publisher("test")), SystemClock().now().strftime("%Y-%m-%d")
        count, part = 0, 0
        while events := await data.log.read(log_run(PUBLISHER, RunKind.ACCESS, day, part)):
            bodies = [stored.event.body for stored in events]
            found = [body for body in bodies if isinstance(body, AccessRefused) and body.operation == OPERATION]
            count += sum(body.count for body in found if body.code == code)
            part += 1
        return count


@pytest.fixture(scope="module")
async def separate(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    """The product as three processes."""
    stack = Stack(tmp_path_factory.mktemp("separate"), free_port(), separate=True)
    async with running(stack):
        yield stack


@pytest.fixture(scope="module", params=["one process", "three processes"])
async def peer(
    request: pytest.FixtureRequest, stack: Stack, separate: Stack, session: aiohttp.ClientSession
) -> AsyncGenerator[Peer]:
    chosen = stack if request.param == "one process" else separate
    async with open_store(chosen.folder / "mandate.db") as store:
        yield Peer(chosen, session, store)


def somebody() -> TenantContext:
    principal = Principal(PrincipalId("usr_somebody"), PrincipalKind.USER, roles=frozenset({Role.OWNER}))
    return TenantContext(TENANT, principal, plan="team", region="eu", correlation="cor_test")


def sign(signer: AssertionSigner, *, audience: str = "orchestration", path: str = PATH, body: bytes = b"") -> str:
    deadline = SystemClock().now() + timedelta(seconds=30)
    return signer.sign(somebody(), audience=audience, method="POST", path=path, body=body, deadline=deadline)


@asynccontextmanager
async def recorded(peer: Peer, code: str) -> AsyncGenerator[None]:
    """Check that what happens inside adds one refusal to the record."""
    before = await peer.refused(code)
    yield
    assert await peer.refused(code) == before + 1, f"{code} is not on record"


async def test_a_peer_with_its_token_and_an_assertion_is_let_in(peer: Peer) -> None:
    token, signer = await peer.token("interaction"), await peer.signer()
    assert await peer.call(token, sign(signer)) == (404, "not_found")


@pytest.mark.parametrize("case", ["a user", "another service", "the operator", "another audience", "nobody"])
async def test_a_token_that_is_not_a_peers_is_refused_and_recorded(peer: Peer, case: str) -> None:
    match case:
        case "a user":
            token, code = (await sign_in(peer.session, peer.stack.url, "elif@alderfinch.example")).token, "identity"
        case "another service":
            token, code = await peer.token("control"), "access.not_a_peer"
        case "the operator":
            token, code = await operator_token(peer.session, peer.stack, SERVICES), "identity"
        case "another audience":
            token, code = await peer.token("orchestration", BACKOFFICE), "identity"
        case _:
            token, code = "", "identity"
    status, told = await peer.call(token, sign(await peer.signer()))
    assert status in (401, 403)
    assert told.startswith(code), told
    before = await peer.refused(told)
    assert before, f"{told} is not on record"
    await peer.call(token, sign(await peer.signer()))
    assert await peer.refused(told) == before + 1


@pytest.mark.parametrize(
    "case", ["unknown_key", "signature", "issuer", "audience", "expired", "request", "other body", "malformed", "none"]
)
async def test_an_assertion_that_does_not_hold_is_refused_and_recorded(peer: Peer, case: str) -> None:
    token, signer = await peer.token("interaction"), await peer.signer()
    code, body = f"assertion.{case}", b""
    match case:
        case "unknown_key":
            assertion = sign(await peer.signer(published=False))
        case "signature":
            other = sign(signer, path=f"{PATH}?x=1")
            assertion = ".".join([*sign(signer).split(".")[:2], other.split(".")[2]])
        case "issuer":
            assertion = sign(await peer.signer("control"))
        case "audience":
            assertion = sign(signer, audience="control")
        case "expired":
            assertion = sign(await late(peer))
        case "request":
            assertion = sign(signer, path=PATH.replace("cancel", "events"))
        case "other body":
            assertion, code, body = sign(signer, body=b"{}"), "assertion.request", b'{"x":1}'
        case "malformed":
            assertion = "ma1.e30.e30"
        case _:
            assertion, code = "", "assertion.malformed"
    async with recorded(peer, code):
        assert await peer.call(token, assertion, body=body) == (401, code)


async def late(peer: Peer) -> AssertionSigner:
    """Return a signer that is slow, whose key is not."""
    slow: Clock = Past()
    signer = AssertionSigner("interaction", slow)
    await StoreKeys(peer.store, SystemClock()).publish(signer.key)
    return signer


async def test_an_assertion_is_good_for_one_call(peer: Peer) -> None:
    token, assertion = await peer.token("interaction"), sign(await peer.signer())
    assert (await peer.call(token, assertion))[0] == 404
    async with recorded(peer, "assertion.replayed"):
        assert await peer.call(token, assertion) == (401, "assertion.replayed")


async def test_a_replay_fails_in_another_process_too(separate: Stack, session: aiohttp.ClientSession) -> None:
    """What a process remembers dies with it; the nonce that the run's first event claims does not."""
    run = {"run": new_id("run"), "agent": "support", "message": "Hello", "conversation": None}
    body = orjson.dumps({**run, "use_knowledge": False, "stream": False})
    async with open_store(separate.folder / "mandate.db") as store:
        peer = Peer(separate, session, store)
        token, assertion = await peer.token("interaction"), sign(await peer.signer(), path="/internal/runs", body=body)
        headers = {"Authorization": f"Bearer {token}", ASSERTION_HEADER: assertion, "Content-Type": "application/json"}
        url = f"{separate.address('orchestration')}/internal/runs"
        async with session.post(url, headers=headers, data=body) as answer:
            assert answer.status == 204, await answer.text()
        await separate.kill("orchestration")
        await separate.start_part("orchestration")
        async with session.post(url, headers=headers, data=body) as answer:
            assert (answer.status, (await answer.json())["code"]) == (409, "assertion.replayed")


async def test_the_operator_takes_an_organisation_on_once_and_sees_it_listed(peer: Peer) -> None:
    """As the job `operator` of a stamp does: by its identity alone, against the control plane."""
    tid = "77777777-0000-4000-8000-000000000001"
    add = ("tenants", "add", "--name=Contoso, Ltd.", f"--entra-tenant={tid}", "--plan=team", "--region=westeurope")
    environment = peer.stack._environment()  # pyright: ignore[reportPrivateUsage] - what a process of the product is told
    first = await mandate(*add, "--stamp=here", environment=environment)
    assert (first.code, first.output.partition(": ")[2]) == (0, "taken on\n"), first.output
    again = await mandate(*add, "--stamp=here", environment=environment)
    assert again.output.endswith(": there already\n")
    listed = await mandate("tenants", "list", environment=environment)
    assert "Contoso, Ltd." in listed.output
    refused = await mandate(*add[:-2], "--plan=team", "--region=not a region", "--stamp=here", environment=environment)
    assert refused.code == 1
    assert "The control plane refused" in refused.output
