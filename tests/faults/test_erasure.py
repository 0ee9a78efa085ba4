"""A whole company is erased while its people work, and the product is killed in the middle: nothing of it is left."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from http import HTTPStatus

import aiohttp
import pytest
from backoffice import slow_down
from governed_world import forms_of
from looking import store_of

from chosen_store import STORE
from control import Erasures
from core import Principal, PrincipalId, PrincipalKind, SystemClock, TenantContext, TenantId
from core.bodies import RunEnded
from core.errors import MandateError
from core.parts import RunKind, RunState
from data import Store, TenantData, read_run, verify_all
from mandate.client import Client
from mandate.local.stack import Stack, free_port
from mandate.local.world import Company
from mandate.people import company_of, sign_in
from orchestration import fold
from seeded import seeded

SECONDS = 90.0
OURS, THEIRS = company_of("mia@alderfinch.example"), company_of("ingrid@quillmere.example")
ENDS = {RunState.COMPLETED, RunState.CANCELLED, RunState.FAILED, RunState.OUTCOME_UNKNOWN}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def own_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    """Give a product of this test's own: afterwards a company is missing."""
    stack = Stack(tmp_path_factory.mktemp("erasure"), free_port(), store=STORE)
    async with seeded(stack):
        yield stack


async def test_a_company_is_erased_while_its_people_work_and_the_product_is_killed(
    own_stack: Stack, session: aiohttp.ClientSession
) -> None:
    stack, words = own_stack, only(OURS, THEIRS)
    assert len({word for _, word in left(stack, words)}) > 50, "the company is not there"
    people = {
        name: await sign_in(session, stack.url, f"{name}@alderfinch.example") for name in ("mia", "sander", "elif")
    }
    ingrid = await sign_in(session, stack.url, "ingrid@quillmere.example")
    await people["sander"].post(
        "/v1/runs", asked("Please refund 0.01 EUR for order A-20398 because the pole was late.")
    )
    await slow_down(stack, session, stall_before=0.5, stall_after=0.5)
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(busy(person)) for person in people.values()]
        await asyncio.sleep(1.0)
        erasure = await people["mia"].ask("POST", "/v1/data/erasures", {"confirm": OURS.about.name})
        assert erasure.status == HTTPStatus.ACCEPTED, erasure.body
        await stack.kill_product()
        for task in work:
            task.cancel()
    await stack.start_product()
    await gone(people["mia"])
    assert (await ingrid.get("/v1/me"))["id"]
    assert STORE == "cosmos" or left(stack, words) == [], "while it runs"
    await stack.kill_product()
    async with store_of(stack) as store:
        (record,) = await Erasures(store, SystemClock()).of(OURS.tenant)
        assert record.done_at
        assert {line.store for line in record.receipt if line.items} >= {"content", "records", "knowledge", "directory"}
        await ended_and_verified(store)
    await stack.stop()
    assert left(stack, words) == [], "when it is down"


def asked(message: str) -> dict[str, str | bool]:
    return {"agent": "support", "message": message, "use_knowledge": "refund" not in message}


async def busy(person: Client) -> None:
    """Ask until the product does not answer, or not this person any more."""
    with suppress(aiohttp.ClientError, MandateError):
        while True:
            await person.post("/v1/runs", asked("Open a ticket: what is the status of order A-20405, and who decides?"))


async def gone(person: Client) -> None:
    """Wait until nobody knows the company any more and its erasure is done."""
    async with asyncio.timeout(SECONDS):
        while (await person.ask("GET", "/v1/me")).body.get("code") != "access.unbound":  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)
        await asyncio.sleep(3.0)


def words_of(company: Company) -> Iterator[str]:
    """Yield what a company says and is called: names, identities, groups, documents, policies."""
    about = company.about
    yield from (about.name, about.entra_tenant_id)
    for user in about.users:
        yield from (user.name, user.username, user.object_id)
    for group in about.groups:
        yield from (group.id, group.object_id)
    for collection in about.collections:
        yield from (collection.title, collection.purpose)
    for document in company.documents():
        yield from (document.title, *document.text.splitlines())
    yield from company.policies.splitlines()


def only(company: Company, other: Company) -> set[str]:
    """Return what one says and the other does not, and long enough not to be said by chance."""
    said = "\n".join(words_of(other))
    return {word for word in words_of(company) if word not in said and len(word) > 8}


def left(stack: Stack, words: set[str]) -> list[tuple[str, str]]:
    """Return which of the words are in a file of the product's, or of the emulator that has its documents."""
    patterns = ("mandate.db*", "cosmos.db*", "erasures*", "logs/product*", "logs/cosmos*")
    files = [file for pattern in patterns for file in stack.folder.glob(pattern)]
    looks = {word: forms_of(word) for word in words}
    return [
        (file.name, word)
        for file in files
        for data in [file.read_bytes()]
        for word, forms in looks.items()
        if any(form in data for form in forms)
    ]


async def ended_and_verified(store: Store) -> None:
    assert [verdict async for verdict in verify_all(store.platform) if not verdict.ok] == []
    data = of(store, OURS.tenant)
    ends: list[tuple[RunState, str]] = []
    async for run in store.governed.runs(OURS.tenant):
        progress = fold(await read_run(data, run))
        if progress.run.kind not in (RunKind.ACCESS, RunKind.ADMIN):
            assert isinstance(progress.ended, RunEnded), run
            ends.append((progress.ended.state, progress.ended.code))
    assert (RunState.CANCELLED, "erasure.tenant") in ends
    assert {state for state, _ in ends} <= ENDS


def of(store: Store, tenant: TenantId) -> TenantData:
    reader = Principal(PrincipalId("svc_test"), PrincipalKind.SERVICE)
    return store.tenant(TenantContext(tenant, reader, plan="team", region="eu", correlation="c"))
