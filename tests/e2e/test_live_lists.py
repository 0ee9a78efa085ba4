"""Lists tell what changes in them, in one process and in three, and tell nobody whom it does not concern."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import fields

import aiohttp
import orjson
import pytest
from commands import SignIn

from core import Json
from mandate.client import ApiError, Client
from mandate.local.seeding import seed
from mandate.local.stack import Stack, free_port, running
from mandate.local.world import Company, Document, load_companies
from mandate.people import sign_in
from mandate.services import Services
from mandate.settings import ROOT
from web import ServerEvent

ELIF, SANDER, NOOR = "elif@alderfinch.example", "sander@alderfinch.example", "noor@alderfinch.example"
RUTH = "ruth@quillmere.example"
REFUND: Json = {
    "agent": "support",
    "message": "Please refund 0.01 EUR for order A-20398 because the pole was late.",
    "use_knowledge": False,
}
MOST = 6
APPROVALS, CONVERSATIONS = "/v1/approvals/events", "/v1/conversations/events"


class WithoutDocuments(Company):
    """A company that is set up in a moment."""

    def documents(self) -> Iterator[Document]:
        return iter(())


@pytest.fixture(scope="module")
async def separate(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    """The product as three processes."""
    stack = Stack(tmp_path_factory.mktemp("separate"), free_port(), separate=True)
    companies = load_companies(ROOT)
    bare = [WithoutDocuments(*(getattr(company, f.name) for f in fields(company))) for company in companies]
    async with running(stack):
        await seed(stack, Services.load(ROOT / "environments"), list(bare), lambda name, done, total: None)
        yield stack


@pytest.fixture(params=["one process", "three processes"])
def signed_in(
    request: pytest.FixtureRequest, client: SignIn, separate: Stack, session: aiohttp.ClientSession
) -> SignIn:
    async def elsewhere(username: str) -> Client:
        return await sign_in(session, separate.url, username)

    return client if request.param == "one process" else elsewhere


async def told(events: AsyncIterator[ServerEvent], name: str) -> dict[str, Json]:
    """Return the next event, which must come within two seconds of what caused it, and be called `name`."""
    async with asyncio.timeout(2):
        event = await anext(events)
    assert event.event == name
    return orjson.loads(event.data)


async def test_a_new_approval_and_its_decision_arrive_within_two_seconds(signed_in: SignIn) -> None:
    elif_, noor = await signed_in(ELIF), await signed_in(NOOR)
    async with noor.stream("GET", APPROVALS) as events, elif_.stream("GET", APPROVALS) as own:
        assert [await told(stream, "ready") for stream in (events, own)] == [{}, {}]
        waiting = await elif_.post("/v1/runs", REFUND)
        pending = waiting["pending_approval"]
        assert isinstance(pending, dict)
        line = await told(events, "approval")
        assert (line["approval"], line["verdict"], line["requester_name"]) == (
            pending["approval"],
            "pending",
            "Elif Kaya",
        )
        assert await told(own, "approval") == line
        listed = (await noor.get("/v1/approvals"))["items"]
        assert isinstance(listed, list)
        assert line in listed
        decision = {"verdict": "denied", "reason": "The carrier pays for it."}
        await noor.post(f"/v1/approvals/{pending['approval']}/decision", decision)
        assert (await told(events, "approval"))["verdict"] == "denied"


async def test_a_turn_that_begins_elsewhere_arrives_in_the_list_of_conversations(signed_in: SignIn) -> None:
    sander = await signed_in(SANDER)
    async with sander.stream("GET", CONVERSATIONS) as events:
        await told(events, "ready")
        run = await sander.post("/v1/runs", {"agent": "support", "message": "Good day", "use_knowledge": False})
        line = await told(events, "conversation")
        assert (line["conversation"], line["title"]) == (run["conversation"], "Good day")


async def test_nobody_is_told_what_is_not_theirs_to_see(signed_in: SignIn) -> None:
    elif_, sander, ruth, noor = [await signed_in(name) for name in (ELIF, SANDER, RUTH, NOOR)]
    async with (
        sander.stream("GET", APPROVALS) as colleague,
        ruth.stream("GET", APPROVALS) as stranger,
        sander.stream("GET", CONVERSATIONS) as conversations,
        noor.stream("GET", APPROVALS) as approver,
    ):
        everybody = (colleague, stranger, conversations, approver)
        assert [await told(stream, "ready") for stream in everybody] == [{}] * 4
        waiting = await elif_.post("/v1/runs", REFUND)
        await told(approver, "approval")
        await elif_.post(f"/v1/runs/{waiting['run']}/cancel")
        assert (await told(approver, "approval"))["verdict"] == "superseded"
        for stream in (colleague, stranger, conversations):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await anext(stream)


async def test_a_person_has_a_few_live_lists_at_a_time_and_a_closed_one_makes_room(client: SignIn) -> None:
    sander = await client(SANDER)
    for _ in range(2):
        async with asyncio.timeout(20):
            held = [sander.stream("GET", APPROVALS) for _ in range(MOST)]
            for stream in held:
                await told(await stream.__aenter__(), "ready")
            with pytest.raises(ApiError) as refusal:
                async with sander.stream("GET", CONVERSATIONS):
                    pass
            assert refusal.value.code == "rate.streams"
            for stream in held:
                await stream.__aexit__(None, None, None)
            await asyncio.sleep(0.5)


@pytest.mark.parametrize("path", [APPROVALS, CONVERSATIONS])
async def test_a_live_list_is_for_those_who_ask_for_a_stream_and_are_signed_in(client: SignIn, path: str) -> None:
    sander = await client(SANDER)
    assert (await sander.ask("GET", path)).status == 406
    async with aiohttp.ClientSession() as session, session.get(f"{sander.url}{path}") as answer:
        assert answer.status == 401
