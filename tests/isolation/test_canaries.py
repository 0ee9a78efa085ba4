"""A word of each tenant's stands in all that it has: it comes out to that tenant, and nowhere else at all."""

import asyncio
import io
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

import orjson
import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from operations import Operation, Request, operations
from seen_data import Matrix, dump
from sides import OPEN, Answer, Sides, database, take_sides
from two_tenants import Product, Tenant, beside, quiet, share

from telemetry import configure, shutdown
from telemetry.records import JsonFormatter
from telemetry.setup import export_to

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Watched:
    """What the process sends while it works: spans, metrics and log lines, as text."""

    spans: InMemorySpanExporter
    metrics: InMemoryMetricReader
    lines: io.StringIO

    def told(self) -> dict[str, str]:
        spans = "\n".join(span.to_json() for span in self.spans.get_finished_spans())
        metrics = self.metrics.get_metrics_data()
        return {"spans": spans, "metrics": metrics.to_json() if metrics else "", "logs": self.lines.getvalue()}


@pytest.fixture(scope="module")
async def watched() -> AsyncGenerator[Watched]:
    watched = Watched(InMemorySpanExporter(), InMemoryMetricReader(), io.StringIO())
    configure("mandate", "1", "local")
    export_to("mandate", "1", SimpleSpanProcessor(watched.spans), watched.metrics)
    handler, root = logging.StreamHandler(watched.lines), logging.getLogger()
    handler.setFormatter(JsonFormatter())
    root.addHandler(handler)
    level, root.level = root.level, logging.INFO
    yield watched
    root.removeHandler(handler)
    root.setLevel(level)
    await shutdown()
    configure("test", "1", "local")


@pytest.fixture(scope="module")
async def sides(
    watched: Watched, served: Product, both: list[Tenant], tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[list[Sides]]:
    """Both tenants of a product of its own: here each writes the other's word, elsewhere that is taken for a leak."""
    folder = tmp_path_factory.mktemp("canaries")
    await quiet(served)
    async with beside(await share(served, both, folder / "world.json"), folder) as (product, tenants):
        yield [await take_sides(product, attacker=mine, victim=other) for mine, other in (tenants, tenants[::-1])]


Heard = dict[str, list[tuple[Request, Answer]]]


@pytest.fixture(scope="module")
async def heard(sides: list[Sides]) -> list[Heard]:
    """What each of the two is told by a mixed day of work, both at the same time, by channel."""
    days = [asyncio.create_task(_day(side)) for side in sides]
    return await asyncio.gather(*days)


async def _day(side: Sides) -> Heard:
    heard: Heard = {}
    for channel, request in work(side):
        answer = await side.send("interaction", request, Authorization=f"Bearer {side.attacker.owner.token}")
        heard.setdefault(channel, []).append((request, answer))
    return heard


def work(side: Sides) -> Iterator[tuple[str, Request]]:
    """Yield a day of one tenant's work: what it asks for with both words, and everything that it has to read."""
    mine, other = side.attacker.canary, side.victim.canary
    both_words = f"How long is the warranty of the {mine}, and what do you know of the {other}?"
    yield "answers", _json("POST", "/v1/runs", {"agent": "support", "message": both_words})
    yield "answers", _json("POST", "/v1/runs", {"agent": "support", "message": f"Is the {other} kept dry?"})
    streamed = {"Accept": "text/event-stream"}
    yield "streams", _json("POST", "/v1/runs", {"agent": "support", "message": both_words}).with_headers(**streamed)
    for text in (mine, other, f"{other} warranty"):
        yield "search", _json("POST", "/v1/search", {"text": text})
        yield "search", _json("POST", "/v1/conversations/search", {"text": text})
    for stream in (False, True):
        chat = {"model": "support", "messages": [{"role": "user", "content": both_words}], "stream": stream}
        yield "OpenAI door", _json("POST", "/openai/v1/chat/completions", chat)
        yield (
            "OpenAI door",
            _json("POST", "/openai/v1/responses", {"model": "support", "input": both_words, "stream": stream}),
        )
    for body in (b'{"message": "' + mine.encode(), orjson.dumps({"agent": mine, "message": mine, "more": mine})):
        headers = {"Content-Type": "application/json"}
        yield "errors", Request("POST", "/v1/runs", headers=headers, body=body)
    for collection in (other, mine, side.foreign.ids["collection"][0]):
        yield "errors", _json("POST", "/v1/search", {"text": mine, "collections": [collection]})
    yield from _readings(side)


def _readings(side: Sides) -> Iterator[tuple[str, Request]]:
    """Yield every reading that the description knows, of all that the tenant has."""
    for operation in operations("interaction", side.product.apps["interaction"].openapi()):
        if operation.method == "GET" and operation.name not in OPEN and "/events" not in operation.path:
            for request in _of_own(operation, side):
                yield _channel(operation), request


def _of_own(operation: Operation, side: Sides) -> Iterator[Request]:
    ids = [p for p in operation.parameters if p.id_of and p.place == "path"]
    for number in range(max((len(side.own.ids[str(p.id_of)]) for p in ids), default=1)):
        chosen = {p: side.own.ids[str(p.id_of)][number % len(side.own.ids[str(p.id_of)])] for p in ids}
        whole = {p: value for p in operation.parameters if (value := {"mine": "false", "state": "all"}.get(p.name))}
        fits = {
            p: value
            for p, value in whole.items()
            if p.name == "mine" or operation.path in ("/v1/approvals", "/v1/flags")
        }
        yield operation.request(chosen | fits)


def _channel(operation: Operation) -> str:
    if operation.path.endswith(("export", "original", "text")):
        return "exports"
    return "API" if operation.path.startswith(("/v1/", "/openai/")) else "console"


def _json(method: str, path: str, body: object) -> Request:
    return Request(method, path, headers={"Content-Type": "application/json"}, body=orjson.dumps(body))


async def test_each_tenant_is_told_its_own_and_nothing_of_the_other(
    sides: list[Sides], heard: list[Heard], matrix: Matrix
) -> None:
    counts: Counter[str] = Counter()
    for side, channels in zip(sides, heard, strict=True):
        for channel, exchanges in channels.items():
            for request, answer in exchanges:
                assert not _leaks(side, answer), f"{channel}: {request.target}: {answer}"
                counts[channel] += 1
            if channel != "errors":
                assert any(side.attacker.canary.encode() in answer.body for _, answer in exchanges), channel
    matrix["answers in which the other tenant's canary does not stand"] = counts


def _leaks(side: Sides, answer: Answer) -> bool:
    """Return whether an answer tells of the victim; the word that the attacker itself wrote comes back as its own."""
    told = answer.body.decode("utf-8", "replace") + repr(answer.headers)
    ids = side.secrets - {side.victim.canary}
    documents = (
        f"The {side.victim.canary} warranty",
        f"The warranty of the {side.victim.canary} is two years",
        f"A {side.victim.canary} is kept dry",
    )
    return any(secret in told for secret in (*ids, *documents, f"{side.victim.canary} collection"))


async def test_who_follows_lists_live_hears_nothing_of_the_other_tenants_work(
    sides: list[Sides], heard: list[Heard]
) -> None:
    """One listens while the other works."""
    side = sides[0]
    follower = asyncio.create_task(_followed(side, "/v1/conversations/events"))
    await asyncio.sleep(0)
    working = {"agent": "support", "message": f"How long is the warranty of the {side.victim.canary}?"}
    for tenant in (side.victim, side.attacker):
        await tenant.owner.post("/v1/runs", {**working, "message": f"How long is the warranty of the {tenant.canary}?"})
    told = await follower
    assert side.attacker.canary in told
    assert side.victim.canary not in told
    assert not any(secret in told for secret in side.secrets)


async def _followed(side: Sides, path: str) -> str:
    """Return what a live list tells until a turn of one's own has ended."""
    told = ""
    async with asyncio.timeout(30), side.attacker.owner.stream("GET", path) as events:
        async for event in events:
            told += str(event)
            if "completed" in told:
                break
    return told


async def test_nothing_that_anybody_said_or_is_called_leaves_as_telemetry(
    watched: Watched, sides: list[Sides], heard: list[Heard]
) -> None:
    await quiet(sides[0].product)
    told = watched.told()
    names = [user.name for side in sides for user in side.attacker.company.about.users]
    people = [user.username for side in sides for user in side.attacker.company.about.users]
    for channel, text in told.items():
        assert len(text) > 200, f"there are no {channel}"
        said = [word for word in (*(side.attacker.canary for side in sides), *names, *people) if word in text]
        assert said == [], f"{channel} tell what is content"
    assert all(side.attacker.id in told["spans"] and side.attacker.id in told["metrics"] for side in sides)
    without = [
        span.name for span in watched.spans.get_finished_spans() if "mandate.tenant" not in (span.attributes or {})
    ]
    assert without == []


async def test_no_event_and_no_row_of_a_view_holds_what_anybody_said(sides: list[Sides]) -> None:
    for side in sides:
        held = dump(database(side.product), side.attacker.id)
        for table in ("events", "view_rows"):
            assert side.attacker.canary not in repr(held[table])
        assert side.attacker.canary in repr(held["content"])
