"""A collection in an index that the customer keeps, end to end: streamed, cited, trimmed, missed when silent."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from commands import SignIn

from core import SystemClock, new_id
from emulators.search import SearchService
from mandate.client import Client
from mandate.local.stack import Stack
from mandate.local.world import load_companies
from mandate.settings import ROOT
from orchestration import WITHHELD
from sources_world import SEARCH, Kept, index, keeping, only_for
from web import TokenValidator

ELIF, GRETA, MIA, NOOR, SANDER = (f"{name}@alderfinch.example" for name in ("elif", "greta", "mia", "noor", "sander"))
PAVEL = "pavel@quillmere.example"
Said = dict[str, Any]
QUESTION = {"agent": "support", "message": "How many kilograms does the wombat anchor weigh?"}
OPEN: Said = {"id": "1", "title": "Wombat anchor", "content": "The wombat anchor weighs 31 kilograms.", "groups": []}
CLOSED: Said = {
    "id": "2",
    "title": "Wombat margin",
    "content": "A wombat anchor earns 9.",
    "groups": ["returns-desk"],
}

pytestmark = pytest.mark.timeout(300)


@asynccontextmanager
async def kept_by(
    stack: Stack, session: aiohttp.ClientSession, company: str, documents: list[Said]
) -> AsyncGenerator[Kept]:
    """Run a search service in a demo company's own Entra tenant."""
    directory = next(c.about.entra_tenant_id for c in load_companies(ROOT) if c.about.slug == company)
    validator = TokenValidator(
        issuer_template=f"{stack.url}/identity/{{tid}}/v2.0",
        jwks_uri=f"{stack.url}/identity/common/discovery/v2.0/keys",
        audience=SEARCH,
        session=session,
        clock=SystemClock(),
    )
    service = SearchService(only_for(validator, directory, "mandate-sources"), {"papers": index(documents)})
    async with keeping(stack.folder / "authority", service) as kept:
        yield kept


async def inbox(client: Client) -> Said:
    page: Said = await client.get("/v1/collections")
    return next(c for c in page["items"] if c["collection"] == "inbox")


async def change(client: Client, **changes: Any) -> int:
    """Change the inbox's settings, and return the status."""
    now = await inbox(client)
    names = ("title", "purpose", "integrity", "confidentiality", "readers", "source")
    body: Said = {name: now[name] for name in names} | changes
    return (await client.ask("PUT", "/v1/collections/inbox", body, If_Match=f'"{now["etag"]}"')).status


def source(kept: Kept, **changes: str) -> Said:
    return {"endpoint": kept.endpoint, "index": "papers", "region": "westeurope", "groups": "groups"} | changes


async def test_an_answer_cites_what_a_customer_keeps_and_says_when_their_source_is_silent(
    client: SignIn, stack: Stack, session: aiohttp.ClientSession
) -> None:
    mia, elif_, noor = await client(MIA), await client(ELIF), await client(NOOR)
    async with (
        kept_by(stack, session, "alderfinch", [OPEN, CLOSED]) as kept,
        kept_by(stack, session, "quillmere", [{**OPEN, "content": "The wombat anchor of others."}]) as others,
    ):
        assert await change(mia, source=source(kept)) == 200
        try:
            async with elif_.stream("POST", "/v1/runs", QUESTION) as events:
                seen = [event async for event in events]
            assert any(event.event == "delta" for event in seen)
            retrieved: Said = next(orjson.loads(e.data) for e in seen if e.event == "passages_retrieved")
            answered: Said = next(orjson.loads(e.data) for e in seen if e.event == "answer_given")
            assert "31 kilograms" in answered["text"], retrieved
            cited = {c["document"] for c in answered["citations"]}
            ours = [s for s in retrieved["sources"] if s["document"].startswith("src_")]
            assert [s["heading"] for s in ours] == ["Wombat anchor"]  # and not what is for the returns desk
            assert cited & {ours[0]["document"]}
            assert (retrieved["silent"], len(retrieved["sources"]) > 1) == (0, True)

            opened: Said = next(orjson.loads(e.data) for e in seen if e.event == "run_opened")
            talked: Said = await elif_.get(f"/v1/conversations/{opened['conversation']}")
            path = f"/v1/runs/{talked['runs'][0]['run']}"
            passage = next(c["passage"] for c in answered["citations"] if c["document"] == ours[0]["document"])
            await _opens_until_it_is_closed(mia, elif_, await client(GRETA), path, passage)
            for stranger in (SANDER, PAVEL):
                assert (await (await client(stranger)).ask("GET", f"/v1/passages/{passage}")).status == 404
            desk: Said = await noor.post("/v1/runs", QUESTION)
            assert "Wombat margin" in str(await noor.get(f"/v1/runs/{desk['run']}/explanation"))

            kept.service.status = 503
            silent: Said = await elif_.post("/v1/runs", {**QUESTION, "message": "How long may a drill be sent back?"})
            assert silent["state"] == "completed"
            assert "did not answer" in silent["answer"]["grounding"]["says"]
            assert silent["answer"]["citations"]
            kept.service.status = 0

            assert others.service.asked == []
            assert await change(mia, source=source(others)) == 200
            crossed: Said = await elif_.post("/v1/runs", QUESTION)
            assert "of others" not in str(crossed)
            assert "did not answer" in crossed["answer"]["grounding"]["says"]
            assert others.service.asked == []
        finally:
            assert await change(mia, source=None) == 200


async def _opens_until_it_is_closed(mia: Client, reader: Client, auditor: Client, path: str, passage: str) -> None:
    assert "31 kilograms" in str((await reader.get(f"{path}/explanation"))["sources"])
    opened: Said = await reader.get(f"/v1/passages/{passage}")
    assert (opened["text"], opened["collection"], opened["owner"]) == (OPEN["content"], "inbox", None)
    assert await change(mia, readers=["returns-desk"]) == 200
    try:
        assert (await reader.ask("GET", f"/v1/passages/{passage}")).status == 404
        assert (await auditor.get(f"/v1/passages/{passage}"))["text"] == OPEN["content"]
        closed = str((await reader.get(f"{path}/explanation"))["sources"])
        assert "31 kilograms" not in closed
        assert WITHHELD in closed
        assert "31 kilograms" in str((await auditor.get(f"{path}/explanation"))["sources"])
    finally:
        assert await change(mia, readers=[]) == 200


async def test_a_source_must_be_the_organisations_own_and_in_its_region(client: SignIn) -> None:
    mia, elif_ = await client(MIA), await client(ELIF)
    good: Said = {"endpoint": "https://acme.search.windows.net", "index": "papers", "region": "westeurope"}
    settings: Said = {"title": "Own", "purpose": "Kept by us", "source": good}
    name = f"own{new_id('x')[-10:]}"

    async def put(**changes: str) -> tuple[int, Any]:
        body: Said = {**settings, "source": good | changes}
        answer = await mia.ask("PUT", f"/v1/collections/{name}", body)
        return answer.status, answer.body.get("code")

    for endpoint in (
        "http://acme.search.windows.net",
        "https://acme.search.windows.net.evil.example",
        "https://evil.example/.search.windows.net",
        "https://acme.search.windows.net:8443",
        "https://user@acme.search.windows.net",
        "https://169.254.169.254",
        "https://acme.search.windows.net/indexes",
    ):
        assert await put(endpoint=endpoint) == (422, "source.endpoint")
    assert await put(region="eastus") == (422, "source.region")
    assert await put(directory="c3d85a70-61db-494e-b5ee-63d12f7b424b") == (422, "request.invalid")
    assert await put(index="../papers") == (422, "request.invalid")
    assert await put(groups="x/any() or true") == (422, "request.invalid")
    assert (await elif_.ask("PUT", f"/v1/collections/{name}", settings)).status == 403
    made = await mia.ask("PUT", f"/v1/collections/{name}", settings)
    assert made.status == 201
    assert made.body["source"] == good | {
        "key": "id",
        "heading": "title",
        "text": "content",
        **dict.fromkeys(("vector", "groups", "confidentiality"), ""),
    }
    brought = await mia.ask("POST", "/v1/documents", {"collection": name, "title": "A", "text": "b"})
    assert (brought.status, brought.body["code"]) == (422, "source.own")
