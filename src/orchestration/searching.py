"""Trying a search, without a model answering: a run of its own, decided and written down like every other."""

from dataclasses import dataclass
from datetime import timedelta

import orjson

from control import AgentFacts, Refused, Situation
from core import Content, ContentClass, Json, PrincipalKind, RunId, TenantContext
from core.bodies import RunEnded
from core.errors import Forbidden, MandateError
from core.parts import PassageUse, RunKind, RunState
from data import Query, RunWriter, rank_score
from orchestration.labelling import OWN_WORDS
from orchestration.opening import Opening, open_run
from orchestration.retrieval import Search, retrieve
from orchestration.shown import ShownPassage, shown_again
from orchestration.state import fold
from orchestration.turn import Services

SECONDS = 30


@dataclass(frozen=True, slots=True)
class SearchRequest:
    run: RunId
    text: str
    collections: tuple[str, ...]
    limit: int

    @property
    def payload(self) -> bytes:
        return orjson.dumps({"text": self.text, "collections": self.collections, "limit": self.limit})


async def search(
    services: Services, context: TenantContext, request: SearchRequest, nonce: str
) -> list[dict[str, Json]]:
    """Return the passages that the principal may read and that fit best, each with how it ranked.

    Raises:
        Forbidden: policy does not let them search.
    """
    payload = Content.new(request.payload, kind=ContentClass.PROMPT, owner=context.principal.id)
    writer, new = await open_run(services, context, Opening(RunKind.SEARCH, request.run, nonce, payload))
    if new:
        await _find(services, writer, request)
    progress = fold(writer.events)
    found = progress.retrieved
    if found is None and progress.ended and progress.ended.code == "refused.switched_off":
        raise Forbidden("Searching is switched off here for now.", code="refused.switched_off")
    if found is None:
        raise Forbidden("Policy does not let you search here.", code="access.policy")
    shown = (await shown_again(writer.data, await writer.data.content.get(found.content))).passages
    return [_ranked(passage, use) for passage, use in zip(shown, found.passages, strict=True)]


async def _find(services: Services, writer: RunWriter, request: SearchRequest) -> None:
    wanted = Search(
        query=Query(request.text, request.collections, request.limit, explain=True),
        deadline=services.clock.now() + timedelta(seconds=SECONDS),
        situation=Situation(
            label=OWN_WORDS,
            budget_left_micros=await services.budgets.left(writer.data),
            entitled=await services.entitled(writer.data.context.tenant),
        ),
    )
    try:
        found = await retrieve(services, writer, AgentFacts(kind=PrincipalKind.USER), wanted)
    except MandateError as error:
        await writer.append([RunEnded(state=RunState.FAILED, code=error.code)])
        raise
    if isinstance(found, Refused):
        await writer.append([RunEnded(state=RunState.REFUSED, code=found.ends or "refused.retrieval")])
    else:
        event, content = found
        await writer.append([event, RunEnded(state=RunState.COMPLETED, usage=event.usage)], [content])


def _ranked(passage: ShownPassage, use: PassageUse) -> dict[str, Json]:
    return {
        "passage": passage.passage,
        "document": passage.document,
        "heading": passage.heading,
        "text": passage.text,
        "score": use.score,
        "rank_vector": use.rank_vector,
        "rank_text": use.rank_text,
        "score_vector": rank_score(use.rank_vector),
        "score_text": rank_score(use.rank_text),
        "similarity": use.similarity,
        "matched": passage.matched,
        "integrity": use.label.integrity,
        "confidentiality": use.label.confidentiality,
    }
