"""A source that a customer keeps: searched by words and meaning, trimmed there, with a token of their own tenant."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from identity_world import CONTOSO, EDGE, FABRIKAM, SECRET, World, open_world
from store_samples import member, permit, vector

from core import ActionKind, Confidentiality, TenantContext
from core.errors import Defect, Unavailable
from data import KNOWLEDGE, Hit, Query, Source, Trim
from data.azure_search import AzureSearch, trimming
from emulators.search import SearchService
from sources_world import SEARCH, Kept, index, keeping, only_for, trusting
from web import CustomerTokens

EVERYTHING = Trim(frozenset({"hr", "sales"}), Confidentiality.RESTRICTED)
PAPERS: list[dict[str, Any]] = [
    {"id": "a/1", "title": "Kettles", "content": "The kettle boils.", "groups": [], "level": "public"},
    {
        "id": "b/2",
        "title": "Salaries",
        "content": "The hr kettle.",
        "groups": ["hr"],
        "level": "confidential",
    },
    {"id": "c/3", "title": "Prices", "content": "The kettle price.", "groups": ["sales"], "level": "internal"},
]
for _paper in PAPERS:
    _paper["embedding"] = [1.0, 0.0, 0.0]


@dataclass
class Setting:
    identity: World
    contoso: Kept
    fabrikam: Kept
    sources: AzureSearch
    tokens: CustomerTokens
    session: aiohttp.ClientSession

    def source(self, kept: Kept | None = None, directory: str = CONTOSO, **changes: Any) -> Source:
        fields: dict[str, Any] = {"vector": "embedding", "groups": "groups", "confidentiality": "level", **changes}
        return Source(
            endpoint=(kept or self.contoso).endpoint,
            index="papers",
            directory=directory,
            region="eu",
            key="id",
            heading="title",
            text="content",
            **fields,
        )

    async def search(
        self, source: Source, text: str = "kettle", *, trim: Trim = EVERYTHING, context: TenantContext | None = None
    ) -> list[Hit]:
        context, query = context or member(), Query(text, ("papers",), 10)
        leave = permit(context, ActionKind.RETRIEVE, KNOWLEDGE, query.arguments)
        near = vector(1.0, 0.0, 0.0)
        return list(await self.sources.search(context, leave, source, query, vector=near, trim=trim))


class _Identity:
    def __init__(self, world: World) -> None:
        self._world = world

    async def token(self, scope: str) -> str:
        asked = {"api-version": "2019-08-01", "resource": scope.removesuffix("/.default"), "client_id": EDGE.client_id}
        answer = await self._world.get("/msi/token", params=asked, headers={"X-IDENTITY-HEADER": SECRET})
        token: str = answer.json["access_token"]
        return token


@pytest.fixture(scope="module")
async def setting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setting]:
    async with _setting(tmp_path_factory.mktemp("sources")) as made:
        yield made


@asynccontextmanager
async def _setting(folder: Path) -> AsyncGenerator[Setting]:
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(open_world(folder / "identity"))
        connector = aiohttp.TCPConnector(ssl=trusting(folder / "authority"))
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        kept: list[Kept] = []
        for directory in (CONTOSO, FABRIKAM):
            admit = only_for(world.validator(SEARCH), directory, "sources")
            papers = PAPERS if directory == CONTOSO else [{**PAPERS[0], "title": "Theirs"}]
            service = SearchService(admit, {"papers": index(papers)})
            kept.append(await stack.enter_async_context(keeping(folder / "authority", service)))
        tokens = CustomerTokens(
            issuer=f"{world.base}/{{tid}}/v2.0", client_id="sources", identity=_Identity(world), session=world.session
        )
        search = AzureSearch(session, tokens.token, seconds=1.5)
        yield Setting(world, kept[0], kept[1], search, tokens, session)


def titles(hits: list[Hit]) -> set[str]:
    return {hit.passage.heading for hit in hits}


async def test_a_source_is_searched_by_words_and_by_meaning_without_a_key(setting: Setting) -> None:
    hits = await setting.search(setting.source())
    assert titles(hits) == {"Kettles", "Salaries", "Prices"}
    assert hits[0].score == 2 * round(1_000_000 / 61)
    assert all(hit.passage.document.startswith("src_") and "/" not in hit.passage.id for hit in hits)
    by_words = await setting.search(setting.source(vector=""), "price")
    assert [(hit.passage.text, hit.rank_vector, hit.rank_text) for hit in by_words] == [("The kettle price.", 0, 1)]
    assert await setting.search(setting.source(vector=""), "+ - ! (") == []


@pytest.mark.parametrize(
    ("groups", "ceiling", "expected"),
    [
        ((), Confidentiality.RESTRICTED, {"Kettles"}),
        (("hr",), Confidentiality.RESTRICTED, {"Kettles", "Salaries"}),
        (("hr",), Confidentiality.INTERNAL, {"Kettles"}),
        (("hr", "sales"), Confidentiality.INTERNAL, {"Kettles", "Prices"}),
        (("sales",), Confidentiality.PUBLIC, {"Kettles"}),
        (("nobody') or true or (1 eq 1",), Confidentiality.RESTRICTED, {"Kettles"}),
    ],
)
async def test_what_the_reader_may_not_read_is_kept_out_by_the_source_itself(
    setting: Setting, groups: tuple[str, ...], ceiling: Confidentiality, expected: set[str]
) -> None:
    trim = Trim(frozenset(groups), ceiling)
    assert titles(await setting.search(setting.source(), trim=trim)) == expected
    assert setting.contoso.service.asked[-1] == ("papers", trimming(setting.source(), trim))


async def test_each_customers_source_answers_only_a_token_of_their_own_tenant(setting: Setting) -> None:
    theirs = setting.source(setting.fabrikam, FABRIKAM)
    assert titles(await setting.search(theirs)) == {"Theirs"}
    before = list(setting.contoso.service.asked), list(setting.fabrikam.service.asked)
    for crossed in (setting.source(setting.contoso, FABRIKAM), setting.source(setting.fabrikam, CONTOSO)):
        with pytest.raises(Unavailable):
            await setting.search(crossed)
    assert (setting.contoso.service.asked, setting.fabrikam.service.asked) == before
    one, other = [await setting.tokens.token(tid, f"{SEARCH}/.default") for tid in (CONTOSO, FABRIKAM)]
    assert one != other


async def test_a_tenant_that_has_not_consented_gives_no_token(setting: Setting) -> None:
    with pytest.raises(Unavailable, match="consented"):
        await setting.tokens.token(CONTOSO, "https://vault.azure.net/.default")


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"status": 403}, {"seconds": 5.0}])
async def test_a_source_that_is_down_or_slow_is_said_to_be_so_in_bounded_time(
    setting: Setting, fault: dict[str, Any]
) -> None:
    service = setting.contoso.service
    service.status, service.seconds = fault.get("status", 0), fault.get("seconds", 0.0)
    try:
        async with asyncio.timeout(4):
            with pytest.raises(Unavailable) as raised:
                await setting.search(setting.source())
    finally:
        service.status, service.seconds = 0, 0.0
    assert raised.value.code == "dependency.source"
    assert titles(await setting.search(setting.source()))


async def test_an_index_or_a_field_that_is_not_there_is_no_answer(setting: Setting) -> None:
    good = setting.source()
    for wrong in ({"index": "other"}, {"heading": "headline"}, {"vector": "picture"}, {"groups": "owners"}):
        with pytest.raises(Unavailable):
            await setting.search(good.model_copy(update=wrong))


async def test_a_source_is_not_searched_without_its_own_permit(setting: Setting) -> None:
    context, query = member(), Query("kettle", ("papers",), 10)
    near = vector(1.0, 0.0, 0.0)
    spent = permit(context, ActionKind.RETRIEVE, KNOWLEDGE, query.arguments)
    await setting.sources.search(context, spent, setting.source(), query, vector=near, trim=EVERYTHING)
    strange = permit(member(), ActionKind.RETRIEVE, KNOWLEDGE, query.arguments)
    other = permit(context, ActionKind.RETRIEVE, KNOWLEDGE, replace(query, collections=("others",)).arguments)
    for leave in (spent, strange, other):
        with pytest.raises(Defect):
            await setting.sources.search(context, leave, setting.source(), query, vector=near, trim=EVERYTHING)


async def test_the_emulator_knows_nothing_but_what_it_serves(setting: Setting) -> None:
    token = await setting.tokens.token(CONTOSO, f"{SEARCH}/.default")
    url = f"{setting.contoso.endpoint}/indexes/papers/docs"
    good: dict[str, Any] = {"search": "kettle", "searchFields": "title", "select": "id"}

    async def status(method: str = "POST", path: str = "/search", body: Any = good, **headers: str) -> int:
        headers.setdefault("authorization", f"Bearer {token}")
        version = "" if "api-version" in path else "?api-version=2024-07-01"
        async with setting.session.request(method, f"{url}{path}{version}", json=body, headers=headers) as answer:
            return answer.status

    assert await status() == 200
    assert await status(authorization="Bearer nonsense") == 401
    assert await status(**{"api-key": "secret"}) == 403
    assert await status("GET", "") == 501
    assert await status("POST", "/index") == 501
    assert await status(path="/search?api-version=2020-06-30") == 400
    for wrong in (
        {"orderby": "title"},
        {"queryType": "full"},
        {"select": "secret"},
        {"filter": "level ne 'public'"},
        {"searchFields": "groups"},
        {"top": 5000},
        {"vectorQueries": [{"kind": "vector", "vector": [1.0], "fields": "embedding", "k": 3}], "search": None},
    ):
        assert await status(body={**good, **wrong}) == 400
