"""Documents as people have them: brought, found, opened from a citation, indexed again, erased."""

import asyncio
import io
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
import pytest
from commands import SignIn, administrative_acts

from core import new_id
from data import USES, rebuild_differences, verify_all
from data.sqlite import open_store
from document_files import DOCX, HTML, PDF, docx, paragraph, pdf
from mandate.client import Client
from mandate.local.stack import Stack
from orchestration import WITHHELD

ELIF, GRETA, MIA, NOOR, SANDER = (f"{n}@alderfinch.example" for n in ("elif", "greta", "mia", "noor", "sander"))
DARIO = "dario@quillmere.example"

pytestmark = pytest.mark.timeout(300)

Said = dict[str, Any]


async def send(
    client: Client, session: aiohttp.ClientSession, data: bytes, media_type: str, *, name: str = "", **more: str
) -> tuple[int, Said, Mapping[str, str]]:
    """Bring a file: in a form if it has a name, else as the body."""
    headers = {"Authorization": f"Bearer {client.token}", **{k.replace("_", "-"): v for k, v in more.items()}}
    body: io.BytesIO | aiohttp.FormData = io.BytesIO(data)
    if name:
        body = aiohttp.FormData({"collection": "inbox"}, quote_fields=False)  # as browsers do
        body.add_field("file", io.BytesIO(data), filename=name, content_type=media_type)
    else:
        headers["Content-Type"] = media_type
    async with session.post(f"{client.url}/v1/documents", data=body, headers=headers) as answer:
        return answer.status, await answer.json(), answer.headers


async def search(client: Client, text: str) -> list[Said]:
    found: Any = (await client.post("/v1/search", {"text": text, "collections": ["inbox"]}))["items"]
    return found


async def until_uses(client: Client, document: str) -> list[Said]:
    async with asyncio.timeout(20):
        while True:
            page: Said = await client.get(f"/v1/documents/{document}/uses")
            if page["items"] and page["lag"] == 0:
                return page["items"]
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize(
    ("data", "media_type", "ending"),
    [
        (pdf([["The wombat bivouac", "weighs 412 grams."]]), PDF, "pdf"),
        (docx(paragraph("Wombat", "Heading1") + paragraph("The wombat bivouac weighs 412 grams.")), DOCX, "docx"),
        (b"<html><h1>Wombat</h1><p>The wombat bivouac weighs 412 grams.</html>", HTML, "html"),
    ],
)
async def test_a_file_is_taken_in_found_and_given_back(
    client: SignIn, session: aiohttp.ClientSession, data: bytes, media_type: str, ending: str, form: bool
) -> None:
    elif_ = await client(ELIF)
    name = f"..\\folder/The wombat\u202e leaflet.{ending}" if form else ""
    status, document, headers = await send(elif_, session, data, media_type, name=name)
    assert (status, document["media_type"], document["size"], document["version"]) == (201, media_type, len(data), 1)
    assert document["progress"]["state"] == "completed"
    if ending == "pdf":
        assert document["title"] == ("The wombat leaflet" if form else "Page 1")
    else:
        assert document["title"] == "Wombat"
    events: Said = await elif_.get(f"/v1/runs/{headers['Mandate-Run']}/events")
    assert [event["type"] for event in events["items"]][-2:] == ["passages_indexed", "run_ended"]
    assert "412 grams" not in str(events)

    found = (await search(elif_, "How much does the wombat bivouac weigh?"))[0]
    assert {"wombat", "bivouac"} <= set(found["matched"])
    assert found["score"] == found["score_vector"] + found["score_text"]
    assert 0 < found["similarity"] <= 1_000_000

    original = await session.get(
        f"{elif_.url}/v1/documents/{document['document']}/original",
        headers={"Authorization": f"Bearer {elif_.token}"},
    )
    assert await original.read() == data
    assert original.headers["Content-Type"] == media_type
    assert original.headers["Content-Disposition"].startswith("attachment; ")
    assert original.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in original.headers["Content-Security-Policy"]
    assert (await elif_.ask("DELETE", f"/v1/documents/{document['document']}")).status == 204


@pytest.mark.parametrize(
    ("data", "media_type", "status", "code"),
    [
        (pdf([["x"]], password="secret"), PDF, 422, "document.encrypted"),
        (b"%PDF-1.7 nonsense", PDF, 422, "document.broken"),
        (pdf([[]]), PDF, 422, "document.no_text"),
        (b"<html><p>x", PDF, 422, "document.type"),
        (b"\x7fELF\0\0", "application/octet-stream", 422, "document.type"),
        (b"x", "image/png", 415, "request.media_type"),
        (b"", PDF, 422, "request.invalid"),
        (b"x" * 10_000_001, "text/plain", 413, "request.size"),
        (b"x" * 11_000_000, "text/plain", 413, "request.size"),
    ],
)
async def test_a_file_that_cannot_be_taken_in_is_refused_and_changes_nothing(
    client: SignIn, session: aiohttp.ClientSession, data: bytes, media_type: str, status: int, code: str
) -> None:
    elif_ = await client(ELIF)
    before: Said = await elif_.get("/v1/documents?collection=inbox&limit=100")
    refused, problem, _ = await send(elif_, session, data, media_type, name="a.pdf")
    assert (refused, problem["code"]) == (status, code)
    assert (await elif_.get("/v1/documents?collection=inbox&limit=100")) == before


async def test_a_form_that_is_none_is_refused(client: SignIn, session: aiohttp.ClientSession) -> None:
    elif_ = await client(ELIF)
    for data in (b"", b"--x\r\n", b"--x\r\nContent-Disposition: form-data; name=collection\r\n\r\ninbox\r\n--x--\r\n"):
        status, _, _ = await send(elif_, session, data, "multipart/form-data; boundary=x")
        assert status in (400, 422)
    assert (await send(elif_, session, b"x", "multipart/form-data"))[0] == 400


async def test_a_file_sent_again_under_its_key_is_taken_in_once(client: SignIn, session: aiohttp.ClientSession) -> None:
    elif_, key = await client(ELIF), new_id("key")
    data = pdf([["The heron kettle holds 1.4 litres."]])
    first = await send(elif_, session, data, PDF, name="kettle.pdf", Idempotency_Key=key)
    again = await send(elif_, session, data, PDF, name="kettle.pdf", Idempotency_Key=key)
    other = await send(elif_, session, pdf([["Another."]]), PDF, name="kettle.pdf", Idempotency_Key=key)
    assert (first[0], again[0]) == (201, 201)
    assert first[1] == again[1]
    assert (other[0], other[1]["code"]) == (422, "request.idempotency_key")


async def test_whoever_does_not_wait_follows_the_run(client: SignIn, session: aiohttp.ClientSession) -> None:
    elif_ = await client(ELIF)
    data = pdf([["Osprey rope, page " + str(n)] for n in range(40)])
    status, document, headers = await send(elif_, session, data, PDF, name="rope.pdf", Prefer="respond-async")
    assert (status, document["passages"]) == (202, 40)
    seen: list[str] = []
    async with elif_.stream("GET", f"/v1/runs/{headers['Mandate-Run']}/events?after=1") as events:
        seen = [event.event async for event in events]
    assert seen[0] == "document_received"
    assert seen.count("passages_indexed") == 3
    assert seen[-1] == "run_ended"
    done: Said = await elif_.get(f"/v1/documents/{document['document']}")
    assert (done["progress"]["state"], done["progress"]["indexed"]) == ("completed", 40)


async def test_a_document_that_is_erased_while_it_is_taken_in_leaves_nothing(
    client: SignIn, session: aiohttp.ClientSession
) -> None:
    elif_ = await client(ELIF)
    data = pdf([["Quokka tarp, page " + str(n)] for n in range(120)])
    _, document, headers = await send(elif_, session, data, PDF, name="tarp.pdf", Prefer="respond-async")
    assert (await elif_.ask("DELETE", f"/v1/documents/{document['document']}")).status == 204
    async with elif_.stream("GET", f"/v1/runs/{headers['Mandate-Run']}/events") as events:
        last = [event async for event in events][-1]
    assert (last.event, orjson.loads(last.data)["code"]) == ("run_ended", "document.erased")
    assert not any(found["document"] == document["document"] for found in await search(elif_, "quokka tarp"))
    assert (await elif_.ask("GET", f"/v1/documents/{document['document']}")).status == 404


async def test_a_citation_opens_its_passage_and_the_document_says_where_it_was_used(
    client: SignIn, session: aiohttp.ClientSession
) -> None:
    elif_, noor, mia = await client(ELIF), await client(NOOR), await client(MIA)
    data = pdf([["Gannet crampons."], ["Gannet crampons fit boots from size 36 to 47."], ["Gannet is a brand."]])
    document = (await send(elif_, session, data, PDF, name="Gannet.pdf"))[1]["document"]
    asked: Said = await elif_.post("/v1/runs", {"agent": "support", "message": "Which sizes do Gannet crampons fit?"})
    cited = [c for c in asked["answer"]["citations"] if c["document"] == document]
    assert cited, asked["answer"]

    passage: Said = await noor.get(f"/v1/passages/{document}.1")
    assert (passage["title"], passage["heading"]) == ("Gannet", "Gannet › Page 2")
    assert passage["text"] == "Gannet crampons fit boots from size 36 to 47."
    assert (passage["before"], passage["after"]) == (f"{document}.0", f"{document}.2")
    assert (passage["integrity"], passage["readers"]) == ("untrusted", [])
    for missing in (f"{document}.3", f"{document}.000001", f"{new_id('doc')}.0", "nonsense"):
        assert (await noor.ask("GET", f"/v1/passages/{missing}")).status == 404
    assert (await (await client(DARIO)).ask("GET", f"/v1/passages/{document}.1")).status == 404

    uses = await until_uses(mia, document)
    assert [(use["run"], use["kind"]) for use in uses] == [(asked["run"], "turn")]
    assert set(uses[0]["cited"]) == {c["passage"] for c in cited}
    assert (await noor.get(f"/v1/documents/{document}/uses"))["items"] == []
    assert len(await until_uses(elif_, document)) == 1
    assert (await (await client(DARIO)).ask("GET", f"/v1/documents/{document}/uses")).status == 404


async def test_an_erased_document_is_gone_and_its_citations_say_so(
    client: SignIn, session: aiohttp.ClientSession, stack: Stack
) -> None:
    elif_, sander, mia = await client(ELIF), await client(SANDER), await client(MIA)
    data = b"<html><h1>Zebra lantern</h1><p>The zebra lantern burns for 77 hours on one candle.</p></html>"
    document = (await send(elif_, session, data, HTML, name="z.html"))[1]["document"]
    asked: Said = await elif_.post("/v1/runs", {"agent": "support", "message": "How long does the zebra lantern burn?"})
    assert any(c["document"] == document for c in asked["answer"]["citations"]), asked["answer"]

    assert (await sander.ask("DELETE", f"/v1/documents/{document}")).status == 403
    assert (await (await client(DARIO)).ask("DELETE", f"/v1/documents/{document}")).status == 404
    assert (await mia.ask("DELETE", f"/v1/documents/{document}")).status == 204
    for path in ("", "/text", "/original", "/uses"):
        assert (await elif_.ask("GET", f"/v1/documents/{document}{path}")).status == 404
    assert (await elif_.ask("GET", f"/v1/passages/{document}.0")).status == 404
    assert (await mia.ask("DELETE", f"/v1/documents/{document}")).status == 404
    assert (await mia.ask("POST", f"/v1/documents/{document}/reindex")).status == 404
    assert not any(found["document"] == document for found in await search(elif_, "zebra lantern"))

    run: Said = await elif_.get(f"/v1/runs/{asked['run']}")
    headings = {c["heading"] for c in run["answer"]["citations"] if c["document"] == document}
    assert headings == {"(erased)"}
    events: Said = await elif_.get(f"/v1/runs/{asked['run']}/events")
    sources = [s for event in events["items"] for s in event.get("sources", ()) if s["document"] == document]
    assert sources
    assert {source["text"] for source in sources} == {"(erased)"}

    async with open_store(stack.folder / "mandate.db") as store:
        verdicts = [verdict async for verdict in verify_all(store.platform)]
        assert all(verdict.ok for verdict in verdicts)
        assert await rebuild_differences(store.platform, USES) == []
    assert ("document", document, "erased") in await administrative_acts(mia)


async def test_who_may_read_a_collection_holds_at_once_for_what_is_in_it(
    client: SignIn, session: aiohttp.ClientSession
) -> None:
    mia, elif_ = await client(MIA), await client(ELIF)

    async def inbox_now() -> Said:
        page: Said = await mia.get("/v1/collections")
        return next(c for c in page["items"] if c["collection"] == "inbox")

    inbox = await inbox_now()
    settings: Said = {name: inbox[name] for name in ("title", "purpose", "integrity", "confidentiality")}
    text = "The pangolin ladder has eleven rungs."
    brought = await send(await client(NOOR), session, b"<html><p>" + text.encode() + b"</html>", HTML, name="p.html")
    document = brought[1]["document"]
    asked: Said = await elif_.post("/v1/runs", {"agent": "support", "message": "How many rungs has a pangolin ladder?"})
    assert any(c["document"] == document for c in asked["answer"]["citations"]), asked["answer"]
    run = f"/v1/runs/{asked['run']}"
    paths = [f"/v1/documents/{document}", f"/v1/passages/{document}.0"]

    async def readers(*groups: str) -> None:
        body: Said = {**settings, "readers": list(groups)}
        etag = f'"{(await inbox_now())["etag"]}"'
        assert (await mia.ask("PUT", "/v1/collections/inbox", body, If_Match=etag)).status == 200

    try:
        await readers("returns-desk")
        for path in paths:
            assert (await elif_.ask("GET", path)).status == 404
        for path in (run, f"{run}/events", f"{run}/explanation"):
            told = str(await elif_.get(path))
            assert document in told
            assert WITHHELD in told
        shown: Said = await elif_.get(f"{run}/explanation")
        assert {s["text"] for s in shown["sources"] if s["document"] == document} == {WITHHELD}
        evidence: Said = await (await client(GRETA)).get(f"{run}/explanation")
        assert text in {s["text"] for s in evidence["sources"]}
        assert (await elif_.ask("POST", "/v1/search", {"text": "pangolin", "collections": ["inbox"]})).status == 404
        again: Said = await elif_.post("/v1/runs", {"agent": "support", "message": "How many rungs, pangolin ladder?"})
        assert not any(c["document"] == document for c in again["answer"]["citations"])
    finally:
        await readers(*inbox["readers"])
    assert text in str(await elif_.get(f"{run}/explanation"))
    for path in paths:
        assert (await elif_.ask("GET", path)).status == 200


async def test_a_document_is_indexed_again_once_for_each_key(client: SignIn, session: aiohttp.ClientSession) -> None:
    mia, elif_ = await client(MIA), await client(ELIF)
    document = (await send(mia, session, b"<p>The marten glove has five fingers.", HTML, name="m.html"))[1]
    path = f"/v1/documents/{document['document']}"
    assert (await elif_.ask("POST", f"{path}/reindex")).status == 403
    key = new_id("key")
    first: Said = await mia.post(f"{path}/reindex", Idempotency_Key=key)
    again: Said = await mia.post(f"{path}/reindex", Idempotency_Key=key)
    assert first == again
    view: Said = await mia.get(path)
    assert (view["version"], view["run"]) == (2, first["run"])
    assert view["progress"] == {"state": "completed", "code": "", "indexed": 1, "passages": 1}
