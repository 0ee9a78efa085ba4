"""How events look to the person whose run it is: the log's facts, with the content that they point to put in."""

from collections.abc import Awaitable, Callable
from typing import assert_never

import orjson

from core import ContentRef, Json
from core.bodies import (
    AccessRefused,
    AnswerFlagged,
    AnswerGiven,
    ApprovalEscalated,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalResolved,
    CancelRequested,
    DecisionMade,
    DocumentReceived,
    FlagResolved,
    ModelFinished,
    PassagesIndexed,
    PassagesRetrieved,
    ProposalRejected,
    RecordChanged,
    RunEnded,
    RunOpened,
    RunParked,
    RunResumed,
    ToolFinished,
)
from core.errors import NotFound
from core.events import Stored
from core.parts import RunKind
from orchestration.conversation import parse_model_message
from orchestration.shown import ERASED, ShownPassage, erased_passages, parse_passages
from orchestration.telling import telling

Fetch = Callable[[ContentRef], Awaitable[bytes]]


async def present(stored: Stored, fetch: Fetch) -> dict[str, Json]:
    """Return one event as JSON for its reader.

    These are `seq`, `at`, `actor`, `type`, the body's fields, content by name, and what it means in words (`telling`).
    """
    event = stored.event
    body: dict[str, Json] = event.body.model_dump(mode="json")
    return {
        "seq": event.seq,
        "at": event.at,
        "actor": {"kind": event.actor.kind, "id": event.actor.id},
        **body,
        **telling(event.body),
        **await _content(stored, fetch),
    }


async def _content(stored: Stored, fetch: Fetch) -> dict[str, Json]:  # noqa: PLR0911 - one case for each kind of event
    body = stored.event.body
    match body:
        case RunOpened():
            asked = body.message if body.kind is not RunKind.INGESTION else None  # a document is read as a document
            message: dict[str, Json] = {"message_text": await _text(asked, fetch)} if asked else {}
            return message | ({"quoted_turns": await _json(body.quoted, fetch)} if body.quoted else {})
        case AnswerGiven():
            return {"text": await answer_text(body, fetch)}
        case PassagesRetrieved():
            return {"sources": [_source(p) for p in await shown_passages(body, fetch)]}
        case ApprovalRequested():
            return {"proposed": await _json(body.arguments, fetch)}
        case ApprovalResolved():
            return {"reason_text": await _text(body.reason, fetch)} if body.reason else {}
        case AnswerFlagged() | FlagResolved() | ApprovalGiven():
            return {"reason_text": await _text(body.reason, fetch)}
        case DecisionMade():
            return {"proposed": await _json(body.arguments, fetch)} if body.arguments else {}
        case ToolFinished():
            return {"returned": await _json(body.result, fetch)} if body.result else {}
        case (
            ModelFinished()
            | ProposalRejected()
            | ApprovalEscalated()
            | RunParked()
            | RunResumed()
            | CancelRequested()
            | RunEnded()
            | DocumentReceived()
            | PassagesIndexed()
            | AccessRefused()
            | RecordChanged()
        ):
            return {}
        case _:
            assert_never(body)


async def answer_text(answer: AnswerGiven, fetch: Fetch) -> str:
    """Return the answer in words, or that it was erased."""
    try:
        return parse_model_message(await fetch(answer.message))[0]
    except NotFound:
        return ERASED


async def shown_passages(retrieved: PassagesRetrieved, fetch: Fetch) -> list[ShownPassage]:
    """Return the passages that the model was shown; where they were erased, which these were."""
    try:
        return parse_passages(await fetch(retrieved.content))
    except NotFound:
        return erased_passages(retrieved)


def _source(passage: ShownPassage) -> dict[str, Json]:
    return {
        "number": passage.number,
        "passage": passage.passage,
        "document": passage.document,
        "heading": passage.heading,
        "text": passage.text,
    }


async def _text(ref: ContentRef, fetch: Fetch) -> str:
    try:
        return (await fetch(ref)).decode()
    except NotFound:
        return ERASED


async def _json(ref: ContentRef, fetch: Fetch) -> Json:
    try:
        return orjson.loads(await fetch(ref))
    except NotFound:
        return ERASED
