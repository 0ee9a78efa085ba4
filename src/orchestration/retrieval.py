"""Finding passages: the question is embedded, then searched for as the principal, each by its permit."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from control import ActionRequest, AgentFacts, Granted, Refused, Situation, Verdict
from core import ActionKind, Content, ContentClass, Label, Permit
from core.bodies import PassagesRetrieved
from core.errors import Unavailable
from core.parts import PassageUse, Usage
from data import KNOWLEDGE, Hit, Query, RunWriter, Trim
from models import EmbedRequest
from orchestration.access import access_of
from orchestration.records import CollectionRecord
from orchestration.shown import ShownPassage, stored_form
from orchestration.turn import Services
from telemetry import log, span

EMBED = "embed"


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
    started, access = time.monotonic(), await access_of(run.data)
    collections = await access.collections(search.query.collections)
    queries = _queries(search.query, collections)
    request = EmbedRequest(logical=EMBED, texts=(search.query.text,), purpose="query")
    verdicts = await services.gate.authorize(run, agent, _actions(request, queries), situation=search.situation)
    granted = [verdict for verdict in verdicts if isinstance(verdict, Granted)]
    if len(granted) != len(verdicts):
        return first_refusal(verdicts)
    permits, ceiling = [verdict.permit for verdict in granted], granted[0].agent.confidentiality_ceiling
    context = run.data.context
    with span("embeddings", context, span_kind="client", operation="embeddings", request_model=EMBED):
        embedded = await services.models.embed(
            permits[0], request, plan=context.plan, region=context.region, deadline=search.deadline
        )
    vector = embedded.vectors[0]
    reader = access.reader(collections.values(), ceiling)
    trim = Trim(access.groups, ceiling)

    async def sourced(permit: Permit, query: Query) -> Sequence[Hit] | None:
        collection = collections[query.collections[0]]
        if collection.source is None or collection.id not in reader.whole:
            return ()
        try:
            return await services.sources.search(context, permit, collection.source, query, vector=vector, trim=trim)
        except Unavailable as error:
            log(logging.WARNING, "A customer's source did not answer", context=context, code=error.code, run=run.run)
            return None

    found = await asyncio.gather(
        run.data.knowledge.search(permits[1], queries[0], vector=vector, reader=reader),
        *(sourced(permit, query) for permit, query in zip(permits[2:], queries[1:], strict=True)),
    )
    # Scores of different indexes cannot be compared: the best of each come first, then the second of each.
    placed = [(place, hit) for hits in found for place, hit in enumerate(hits or ())]
    hits = [hit for _, hit in sorted(placed, key=lambda item: item[0])[: search.query.limit]]
    content = Content.new(_shown(hits, collections), kind=ContentClass.PASSAGES, owner=context.principal.id)
    event = PassagesRetrieved(
        step=0,
        passages=tuple(_use(hit, collections[hit.passage.collection].label) for hit in hits),
        content=content.ref,
        usage=Usage(input_tokens=embedded.input_tokens, cost_micros=embedded.cost_micros),
        duration_ms=int((time.monotonic() - started) * 1000),
        silent=found.count(None),
    )
    return event, content


def _queries(query: Query, collections: Mapping[str, CollectionRecord]) -> list[Query]:
    """Return what is asked of our own index, then one query for each collection that a customer keeps."""
    outside = [name for name, collection in collections.items() if collection.source]
    ours = tuple(name for name in query.collections if name not in outside)
    return [replace(query, collections=ours), *(replace(query, collections=(name,)) for name in outside)]


def first_refusal(verdicts: list[Verdict]) -> Refused:
    """Return the refusal among verdicts of which not all were granted; one that waits for approval counts as such."""
    for verdict in verdicts:
        if isinstance(verdict, Refused):
            return verdict
    for verdict in verdicts:
        if not isinstance(verdict, Granted):
            return Refused(seq=verdict.seq, decision=verdict.decision)
    raise AssertionError("every verdict was granted")


def _actions(request: EmbedRequest, queries: Sequence[Query]) -> list[ActionRequest]:
    return [
        ActionRequest(
            kind=ActionKind.CALL_MODEL,
            target=EMBED,
            step=0,
            arguments=request.fingerprint(),
            facts={},
        ),
        *(
            ActionRequest(
                kind=ActionKind.RETRIEVE,
                target=KNOWLEDGE,
                step=0,
                arguments=query.arguments,
                facts={"collections": query.collections},
            )
            for query in queries
        ),
    ]


def _shown(hits: Sequence[Hit], collections: Mapping[str, CollectionRecord]) -> bytes:
    return stored_form([_as_shown(number, hit, collections) for number, hit in enumerate(hits, start=1)])


def _as_shown(number: int, hit: Hit, collections: Mapping[str, CollectionRecord]) -> ShownPassage:
    found = hit.passage
    outside = found.collection if collections[found.collection].source else ""
    return ShownPassage(number, found.id, found.document, found.heading, found.text, hit.matched, outside, hit.readers)


def _use(hit: Hit, label: Label) -> PassageUse:
    own = hit.confidentiality or label.confidentiality
    return PassageUse(
        passage=hit.passage.id,
        document=hit.passage.document,
        label=label.join(Label(integrity=label.integrity, confidentiality=own)),
        score=hit.score,
        rank_vector=hit.rank_vector,
        rank_text=hit.rank_text,
        similarity=hit.similarity,
    )
