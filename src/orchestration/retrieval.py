"""Finding passages: the question is embedded, then searched for as the principal, each by its permit."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import orjson

from control import ActionRequest, AgentFacts, Granted, Refused, Situation, Verdict
from core import ActionKind, Content, ContentClass, DocumentId
from core.events import PassagesRetrieved, PassageUse, Usage
from data import KNOWLEDGE, Hit, Query, Reader, RunWriter
from models import EmbedRequest
from orchestration.turn import Services
from telemetry import span

EMBED = "embed"


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A passage as the model and the person are shown it, numbered from 1.

    `matched` are the words of the question that full text found in it, where somebody asked for an explanation.
    """

    number: int
    passage: str
    document: DocumentId
    heading: str
    text: str
    matched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, by when, and what holds meanwhile."""

    query: Query
    deadline: datetime
    situation: Situation


async def retrieve(
    services: Services, run: RunWriter, agent: AgentFacts, search: Search
) -> tuple[PassagesRetrieved, Content] | Refused:
    """Return what was found, as the event to stage and its content; or the refusal that stood in the way."""
    started = time.monotonic()
    request = EmbedRequest(logical=EMBED, texts=(search.query.text,), purpose="query")
    verdicts = await services.gate.authorize(run, agent, _actions(request, search.query), situation=search.situation)
    embed, find = verdicts
    if not isinstance(embed, Granted) or not isinstance(find, Granted):
        return first_refusal(verdicts)
    context = run.data.context
    with span("embeddings", context, span_kind="client", operation="embeddings", request_model=EMBED):
        embedded = await services.models.embed(
            embed.permit, request, plan=context.plan, region=context.region, deadline=search.deadline
        )
    hits = await run.data.knowledge.search(
        find.permit,
        search.query,
        vector=embedded.vectors[0],
        reader=Reader(context.principal.id, context.principal.groups, agent.confidentiality_ceiling),
    )
    usage = Usage(input_tokens=embedded.input_tokens, cost_micros=embedded.cost_micros)
    content = Content.new(_shown(hits), kind=ContentClass.PASSAGES, owner=context.principal.id)
    event = PassagesRetrieved(
        step=0,
        passages=tuple(_use(hit) for hit in hits),
        content=content.ref,
        usage=usage,
        duration_ms=int((time.monotonic() - started) * 1000),
    )
    return event, content


def first_refusal(verdicts: list[Verdict]) -> Refused:
    """Return the refusal among verdicts of which not all were granted; one that waits for approval counts as such."""
    for verdict in verdicts:
        if not isinstance(verdict, Granted):
            return Refused(seq=verdict.seq, decision=verdict.decision)
    raise AssertionError("every verdict was granted")


def parse_passages(data: bytes) -> list[ShownPassage]:
    return [ShownPassage(**item) for item in orjson.loads(data)]


ERASED = "(erased)"


def erased_passages(retrieved: PassagesRetrieved) -> list[ShownPassage]:
    """Return which passages were shown where their words are gone."""
    return [
        ShownPassage(number, use.passage, use.document, ERASED, ERASED)
        for number, use in enumerate(retrieved.passages, start=1)
    ]


def blocks(passages: list[ShownPassage]) -> str:
    """Return passages as the model reads them: `[n] heading: text`, a blank line between."""
    return "\n\n".join(f"[{p.number}] {p.heading}: {p.text}" for p in passages)


def _actions(request: EmbedRequest, query: Query) -> list[ActionRequest]:
    return [
        ActionRequest(
            kind=ActionKind.CALL_MODEL,
            target=EMBED,
            step=0,
            arguments=request.fingerprint(),
            facts={"tokens_in_run": 0},
        ),
        ActionRequest(
            kind=ActionKind.RETRIEVE,
            target=KNOWLEDGE,
            step=0,
            arguments=query.arguments,
            facts={"collections": query.collections},
        ),
    ]


def _shown(hits: Sequence[Hit]) -> bytes:
    return orjson.dumps(
        [
            asdict(ShownPassage(n, h.passage.id, h.passage.document, h.passage.heading, h.passage.text, h.matched))
            for n, h in enumerate(hits, start=1)
        ]
    )


def _use(hit: Hit) -> PassageUse:
    return PassageUse(
        passage=hit.passage.id,
        document=hit.passage.document,
        label=hit.passage.label,
        score=hit.score,
        rank_vector=hit.rank_vector,
        rank_text=hit.rank_text,
        similarity=hit.similarity,
    )
