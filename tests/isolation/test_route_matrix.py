"""Every route, attacked by a member of another tenant in every way that its description allows."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from attacks import Attack, attacks
from operations import Operation, Request, operations
from seen_data import Matrix, dump, refusals
from sides import OPEN, REFUSED, Answer, Sides, of_form, take_sides, with_forms
from two_tenants import Product, Tenant, quiet

from page_forms import Form

pytestmark = pytest.mark.timeout(300)

AT_ONCE = 4
"""Attacks on a route at the same time: of more documents at once some are told that the model is too busy for them."""


@pytest.fixture(scope="module", params=[(0, 1), (1, 0)], ids=["first-by-second", "second-by-first"])
async def sides(request: pytest.FixtureRequest, served: Product, both: list[Tenant]) -> Sides:
    await quiet(served)
    first, second = cast("tuple[int, int]", request.param)
    return await take_sides(served, attacker=both[first], victim=both[second])


def of(product: Product, *services: str) -> Iterator[Operation]:
    for service in services:
        yield from operations(service, product.apps[service].openapi())  # pyright: ignore[reportArgumentType]


async def test_every_parameter_is_known_to_be_an_id_or_none(served: Product) -> None:
    unknown = [
        f"{operation.name}: {parameter.place} {parameter.name}"
        for operation in of(served, *served.apps)
        for parameter in operation.parameters
        if not parameter.explained
    ]
    assert unknown == [], "say in tests/isolation/operations.py what they are ids of, or why they are none"


async def test_no_route_gives_or_changes_anything_of_another_tenants(sides: Sides, matrix: Matrix) -> None:
    known = with_forms(list(of(sides.product, "interaction")), sides.own_forms)
    # What makes a thing under another's id comes last: from then on the id is the attacker's own as well.
    routes = sorted((op for op in known if op.name not in OPEN), key=lambda op: op.makes)
    tried = [list(attacks(route, sides.own, sides.foreign, sides.numbers)) for route in routes]
    pages = [Attack("page of another", PAGE, Request("GET", path)) for path in sides.pages]
    try:
        counts = await withstood(sides, [pages, *([attack_of(form, known)] for form in sides.forms), *tried])
    finally:
        await _put_right(sides.attacker)
    matrix[f"{len(routes)} routes, by {sides.attacker.company.about.name}"] = counts


async def _put_right(tenant: Tenant) -> None:
    """Undo what the forms of the victim's pages switched off and revoked: at the attacker's own, as it must be."""
    await tenant.owner.ask("PUT", "/v1/agents/support/sponsorship", {"days": 366})
    off = cast("list[dict[str, Any]]", (await tenant.owner.get("/v1/switches"))["off"])
    for switch in off:
        await tenant.owner.post("/v1/switches/on", {"name": switch["name"]})


PAGE = Operation("interaction", "GET", "(pages)", (), {})


def attack_of(form: Form, known: Sequence[Operation]) -> Attack:
    """Return the sending of a form that the victim's pages show, with all that it holds."""
    body = urlencode({**form.fields, "csrf": ""}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Attack("form of another", of_form(form, known), Request("POST", form.action, headers=headers, body=body))


async def withstood(sides: Sides, tried: Sequence[Sequence[Attack]]) -> Counter[str]:
    """Try all, and check the answers, the victim's data and the attacker's access log."""
    counts: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    wrong: list[str] = []
    before, recorded = dump(sides.database, sides.victim.id), refusals(sides.database, sides.attacker.id)
    for attacks_on_one in tried:
        for attack, answer, control in await _try_all(sides, attacks_on_one):
            wrong += sides.judge(attack, answer, control)
            counts[attack.kind] += 1
            wanted[attack.operation.name] += sum(a.status in REFUSED for a in (answer, control) if a)
        if attacks_on_one and (now := dump(sides.database, sides.victim.id)) != before:
            tables = [table for table in before | now if before.get(table) != now.get(table)]
            wrong.append(f"{attacks_on_one[0].operation.name} changed what is another tenant's: {tables}")
    await quiet(sides.product)
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong)
    assert dump(sides.database, sides.victim.id) == before
    found = refusals(sides.database, sides.attacker.id) - recorded
    of_pages = wanted.pop(PAGE.name, 0)
    missing = +wanted - found
    assert not missing, f"not each refusal is in the attacker's log: {missing}"
    assert found.total() == wanted.total() + of_pages
    return counts


async def _try_all(sides: Sides, tried: Sequence[Attack]) -> list[tuple[Attack, Answer, Answer | None]]:
    """Try all that there is against one route; one by one where each may make what the next one names."""
    free = asyncio.Semaphore(1 if any(attack.operation.makes for attack in tried) else AT_ONCE)

    async def tried_in_turn(attack: Attack) -> tuple[Attack, Answer, Answer | None]:
        async with free:
            return await _try(sides, attack)

    return await asyncio.gather(*map(tried_in_turn, tried))


async def _try(sides: Sides, attack: Attack) -> tuple[Attack, Answer, Answer | None]:
    token = {"Authorization": f"Bearer {sides.attacker.owner.token}"}
    answer = await sides.send(attack.operation.service, attack.request, **token)
    control = await sides.send(attack.operation.service, attack.control, **token) if attack.control else None
    return attack, answer, control
