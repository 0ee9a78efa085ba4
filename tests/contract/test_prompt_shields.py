"""Prompt Shields, asked over HTTPS by token: a strict stand-in answers as its documents say, or badly."""

import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from azure_stand_ins import ATTACK, SHIELDS_TOKEN, Shields

from core.errors import Unavailable
from emulators.authority import LocalAuthority
from guards import Place, Text
from guards.prompt_shields import PIECE, REQUESTS, SCOPE, PromptShields
from tools import open_session

HONEST = "Where is my parcel?"
MESSAGE, PASSAGE = Text(Place.MESSAGE, HONEST), Text(Place.PASSAGES, f"A letter with an {ATTACK} in it.")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncGenerator[tuple[Shields, aiohttp.ClientSession]]:
    authority = LocalAuthority.open(tmp_path / "authority")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue(["127.0.0.1"]))
    stand_in, app = Shields(), web.Application(client_max_size=10**6)
    app.router.add_route("*", "/{path:.*}", stand_in.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    stand_in.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    trusted = ssl.create_default_context(cafile=authority.ca_file)
    async with open_session(connector=aiohttp.TCPConnector(ssl=trusted)) as session:
        yield stand_in, session
    await runner.cleanup()


def shields(
    given: tuple[Shields, aiohttp.ClientSession], token: str = SHIELDS_TOKEN, seconds: float = 2.0
) -> PromptShields:
    async def issued(scope: str) -> str:
        assert scope == SCOPE
        return token

    return PromptShields(given[1], f"{given[0].url}/", issued, seconds=seconds)


async def test_the_message_is_the_prompt_and_all_else_documents(
    service: tuple[Shields, aiohttp.ClientSession],
) -> None:
    texts = [PASSAGE, MESSAGE, Text(Place.RESULTS, "{}")]
    assert await shields(service).suspects(texts) == [True, False, False]
    assert service[0].asked == [{"userPrompt": HONEST, "documents": [PASSAGE.text, "{}"]}]
    assert await shields(service).suspects([Text(Place.MESSAGE, ATTACK)]) == [True]


async def test_long_and_many_texts_are_looked_at_whole_in_pieces_that_fit(
    service: tuple[Shields, aiohttp.ClientSession],
) -> None:
    late, cut = "x" * 25_000 + ATTACK, "x" * (PIECE - 3) + ATTACK
    many = [Text(Place.RESULTS, str(number)) for number in range(12)]
    assert await shields(service).suspects([Text(Place.PASSAGES, late), Text(Place.PASSAGES, cut), *many]) == [
        True,
        True,
        *[False] * 12,
    ]


async def test_more_than_fits_counts_as_not_looked_at(service: tuple[Shields, aiohttp.ClientSession]) -> None:
    with pytest.raises(Unavailable):
        await shields(service).suspects([Text(Place.PASSAGES, "x" * PIECE * (REQUESTS + 1))])
    assert service[0].asked == []


@pytest.mark.parametrize(
    "answer",
    [
        401,
        403,
        429,
        500,
        503,
        "",
        "null",
        "[]",
        "{}",
        "not json",
        '{"userPromptAnalysis": null, "documentsAnalysis": [{"attackDetected": false}]}',
        '{"userPromptAnalysis": {"attackDetected": false}, "documentsAnalysis": []}',
        '{"userPromptAnalysis": {"attackDetected": false}, "documentsAnalysis": [{"attackDetected": "false"}]}',
        '{"userPromptAnalysis": {"attackDetected": 0}, "documentsAnalysis": [{"attackDetected": false}]}',
        '{"userPromptAnalysis": {}, "documentsAnalysis": [{}]}',
        '{"userPromptAnalysis": {"attackDetected": false}, "documentsAnalysis": '
        '[{"attackDetected": false}, {"attackDetected": false}]}',
        " " * 70_000,
    ],
)
async def test_what_is_no_clear_answer_is_none(
    service: tuple[Shields, aiohttp.ClientSession], answer: int | str
) -> None:
    service[0].answer = answer
    with pytest.raises(Unavailable) as missed:
        await shields(service).suspects([MESSAGE, PASSAGE])
    assert missed.value.code == "dependency.guard"
    assert len(service[0].asked) == 1  # and it is not asked again at once


async def test_one_that_is_slow_away_or_does_not_know_us_has_not_answered(
    service: tuple[Shields, aiohttp.ClientSession],
) -> None:
    service[0].seconds = 5
    for guard in (shields(service, seconds=0.1), shields(service, token="another's")):
        with pytest.raises(Unavailable):
            await guard.suspects([MESSAGE])
    service[0].url = "https://127.0.0.1:9"
    with pytest.raises(Unavailable):
        await shields(service).suspects([MESSAGE])
