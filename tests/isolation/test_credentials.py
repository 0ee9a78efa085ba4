"""Every route without good credentials, and the internal routes by somebody who has taken over the edge."""

import asyncio
import base64
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import orjson
import pytest
from attacks import Attack, attacks
from operations import Operation, Request, operations
from seen_data import Matrix, dump, refusals
from sides import OPEN, Answer, Sides, take_sides
from two_tenants import Product, Tenant, context_of, quiet

from core import PUBLISHER, TenantContext
from web import ASSERTION_HEADER, AssertionSigner

pytestmark = pytest.mark.timeout(300)

Internal = str


@pytest.fixture(scope="module")
async def sides(served: Product, both: list[Tenant]) -> Sides:
    await quiet(served)
    return await take_sides(served, attacker=both[1], victim=both[0])


def plain(sides: Sides, operation: Operation) -> Request:
    """Return a request for what the victim has."""
    ids = {p: sides.foreign.ids[str(p.id_of)][0] for p in operation.parameters if p.id_of and p.place == "path"}
    return operation.request(ids)


def forged(token: str, tid: str) -> str:
    """Return a token with another organisation's id in it; nobody has signed that."""
    head, claims, signature = token.split(".")
    said = orjson.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    changed = base64.urlsafe_b64encode(orjson.dumps({**said, "tid": tid})).decode().rstrip("=")
    return f"{head}.{changed}.{signature}"


async def test_no_route_answers_without_good_credentials(sides: Sides, matrix: Matrix) -> None:
    attacker, victim = sides.attacker.owner.token, sides.victim.company.about.entra_tenant_id
    credentials: Mapping[str, Mapping[str, str]] = {
        "no token": {},
        "another tenant's id in the token": {"Authorization": f"Bearer {forged(attacker, victim)}"},
        "a token without its signature": {"Authorization": f"Bearer {attacker.rpartition('.')[0]}."},
        "a service's token": {"Authorization": f"Bearer {await service_token(sides.product, 'orchestration')}"},
    }
    counts: Counter[str] = Counter()
    before, recorded = dump(sides.database, sides.victim.id), refusals(sides.database, PUBLISHER)
    for operation in operations("interaction", sides.product.apps["interaction"].openapi()):
        if operation.name in OPEN:
            continue
        request = plain(sides, operation)
        answers = await asyncio.gather(*(sides.send("interaction", request, **sent) for sent in credentials.values()))
        for kind, answer in zip(credentials, answers, strict=True):
            assert answer.status in (401, 403), f"{operation.name} with {kind}: {answer}"
            assert not sides.leaks(answer, request), f"{operation.name} with {kind}: {answer}"
            counts[kind] += 1
    await quiet(sides.product)
    assert dump(sides.database, sides.victim.id) == before
    assert (refusals(sides.database, PUBLISHER) - recorded).total() == counts.total()
    matrix["routes, without credentials"] = counts


# The internal routes


async def service_token(product: Product, name: Internal) -> str:
    """Return the token with which the edge calls one of its peers."""
    audience = product.host.services.services[name].audience  # pyright: ignore[reportArgumentType] - one of the three
    return await product.apps["interaction"].state.dependencies.orchestration._tokens.token(f"{audience}/.default")


@dataclass(frozen=True)
class Caller:
    """Somebody who has taken over the edge, as far as its token goes."""

    sides: Sides
    signer: AssertionSigner
    context: TenantContext
    tokens: Mapping[str, str]

    def signed(self, service: str, request: Request, *, seconds: float = 30, audience: str = "") -> dict[str, str]:
        now = self.sides.product.host.clock.now()
        assertion = self.signer.sign(
            self.context,
            audience=audience or service,
            method=request.method,
            path=request.target,
            body=request.body,
            deadline=now + timedelta(seconds=seconds),
        )
        return {"Authorization": f"Bearer {self.tokens[service]}", ASSERTION_HEADER: assertion}

    async def send(self, service: str, request: Request) -> Answer:
        return await self.sides.send(service, request, **self.signed(service, request))


@pytest.fixture(scope="module")
async def caller(sides: Sides) -> Caller:
    product = sides.product
    signer = AssertionSigner("interaction", product.host.clock)
    await product.host.keys.publish(signer.key)
    tokens = {name: await service_token(product, name) for name in ("orchestration", "control")}
    return Caller(sides, signer, await context_of(product, sides.attacker.owner), tokens)


def internal(sides: Sides) -> Iterator[Operation]:
    for service in ("orchestration", "control"):
        for operation in operations(service, sides.product.apps[service].openapi()):
            if operation.name not in OPEN:
                yield operation


async def test_no_internal_route_gives_or_changes_anything_of_another_tenants(
    sides: Sides, caller: Caller, matrix: Matrix
) -> None:
    """Even to the edge itself, which vouches for a member of the other tenant."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    before = dump(sides.database, sides.victim.id)
    for operation in internal(sides):
        tried = list(attacks(operation, sides.own, sides.foreign, sides.numbers))
        answers = await asyncio.gather(*(_both(caller, attack) for attack in tried))
        for attack, (answer, control) in zip(tried, answers, strict=True):
            wrong += sides.judge(attack, answer, control)
            counts[attack.kind] += 1
        if dump(sides.database, sides.victim.id) != before:
            wrong.append(f"{operation.name} changed what is another tenant's")
    await quiet(sides.product)
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong)
    assert dump(sides.database, sides.victim.id) == before
    matrix["internal routes, by the edge for a member of another tenant"] = counts


async def _both(caller: Caller, attack: Attack) -> tuple[Answer, Answer | None]:
    service = attack.operation.service
    answer = await _alone(caller, service, attack.request)
    return answer, await _alone(caller, service, attack.control) if attack.control else None


async def _alone(caller: Caller, service: str, request: Request) -> Answer:
    """Ask again while another of the attacks, which come at once, writes to the same run."""
    for _ in range(20):
        answer = await caller.send(service, request)
        if b"conflict.sequence" not in answer.body:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"the run is never free: {request.target}")


async def test_no_internal_route_answers_without_good_credentials(sides: Sides, caller: Caller, matrix: Matrix) -> None:
    counts: Counter[str] = Counter()
    before, recorded = dump(sides.database, sides.victim.id), refusals(sides.database, PUBLISHER)
    for operation in internal(sides):
        request = plain(sides, operation)
        for kind, attempt in misused(sides, caller, operation.service, request).items():
            answer = await attempt()
            assert answer.status in (401, 403), f"{operation.name} with {kind}: {answer}"
            assert not sides.leaks(answer, request), f"{operation.name} with {kind}: {answer}"
            counts[kind] += 1
    await quiet(sides.product)
    assert dump(sides.database, sides.victim.id) == before
    assert (refusals(sides.database, PUBLISHER) - recorded).total() == counts.total()
    matrix["internal routes, without good credentials"] = counts


def misused(sides: Sides, caller: Caller, service: str, request: Request) -> dict[str, Callable[[], Awaitable[Answer]]]:
    """Return ways to call an internal route that all have something wrong with them."""
    clock, other = sides.product.host.clock, "control" if service == "orchestration" else "orchestration"
    stranger = replace(caller, signer=AssertionSigner("interaction", clock))
    elsewhere = replace(request, path=f"{request.path}x")

    def sent(headers: Mapping[str, str]) -> Callable[[], Awaitable[Answer]]:
        return lambda: sides.send(service, request, **headers)

    good = caller.signed(service, request)
    return {
        "no token": sent({}),
        "an assertion alone": sent({ASSERTION_HEADER: good[ASSERTION_HEADER]}),
        "a person's token": sent({**good, "Authorization": f"Bearer {sides.attacker.owner.token}"}),
        "a token for another service": sent({**good, "Authorization": f"Bearer {caller.tokens[other]}"}),
        "no assertion": sent({"Authorization": good["Authorization"]}),
        "an expired assertion": sent(caller.signed(service, request, seconds=-1)),
        "an assertion for another service": sent(caller.signed(service, request, audience=other)),
        "an assertion for another address": sent(caller.signed(service, elsewhere)),
        "an assertion for another body": sent(caller.signed(service, replace(request, body=request.body + b" "))),
        "a key that nobody published": sent(stranger.signed(service, request)),
    }


async def test_an_assertion_is_good_for_one_request(sides: Sides, caller: Caller) -> None:
    for operation in internal(sides):
        request = plain(sides, operation)
        request = replace(request, body=request.body or b"")
        headers = caller.signed(operation.service, request)
        first, second = [await sides.send(operation.service, request, **headers) for _ in range(2)]
        assert first.status != 401, f"{operation.name}: {first}"
        assert second.status == 401, f"{operation.name}: {second}"
