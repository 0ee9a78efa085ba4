"""Starting a run for a client of this door, and answering whole or as it happens."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from core import ConversationId, RunId, TenantContext, parse_timestamp
from core.bodies import RunOpened
from core.errors import MandateError
from data import read_run
from interaction.dependencies import InteractionDependencies
from interaction.openai.outcome import Outcome, outcome_of
from interaction.openai.prompts import Prompt
from interaction.openai.streaming import Writing, pieces_of
from interaction.relay import Relay
from interaction.starting import NewTurn, finished_turn, started_headers, streamed_turn
from orchestration import ConversationRecord, fetcher

_logger = logging.getLogger("mandate.interaction")


@dataclass(frozen=True, slots=True)
class Opened:
    """A run that has begun: what can be said of it before it has ended.

    Attributes:
        created: in seconds since 1970.
        previous: the run before it in its conversation.
    """

    run: RunId
    agent: str
    created: int
    conversation: ConversationId | None
    previous: RunId | None

    @property
    def headers(self) -> dict[str, str]:
        conversation = {"Mandate-Conversation": self.conversation} if self.conversation else {}
        return {**started_headers(self.run), **conversation}


@dataclass(frozen=True, slots=True)
class Teller:
    """How one form of answer tells a run as bytes: its beginning, each piece of text, its end, or that it broke off."""

    begin: Callable[[], bytes]
    piece: Callable[[str], bytes]
    end: Callable[[Outcome, str], bytes]
    failed: Callable[[MandateError], bytes]


def turn_of(prompt: Prompt, run: RunId) -> NewTurn:
    return NewTurn(run, prompt.agent, prompt.message, prompt.conversation, quoted=prompt.quoted)


async def answered(deps: InteractionDependencies, me: TenantContext, turn: NewTurn) -> tuple[Opened, Outcome]:
    """Run a turn to its end, or to where it waits for a person, and return what came of it."""
    events = await finished_turn(deps, me, turn)
    return await opened(deps, me, turn.run), await outcome_of(deps, me, events, fetcher(deps.store.tenant(me)))


async def streamed(
    deps: InteractionDependencies, me: TenantContext, turn: NewTurn, teller: Callable[[Opened], Teller]
) -> Relay:
    """Start a turn, so that a refusal is still an answer of its own, and return what tells it as it happens.

    Who goes away meanwhile leaves the run behind, which goes on.
    """
    async with AsyncExitStack() as upstream:
        stream = await upstream.enter_async_context(streamed_turn(deps, me, turn))
        begun = await opened(deps, me, turn.run)
        return Relay(upstream.pop_all(), _telling(deps, me, stream, turn.run, teller(begun)), begun.headers)


async def opened(deps: InteractionDependencies, me: TenantContext, run: RunId) -> Opened:
    data = deps.store.tenant(me)
    first = (await data.log.read(run, limit=1))[0].event
    assert isinstance(first.body, RunOpened)
    conversation = first.body.conversation
    found = await data.records.get(ConversationRecord, conversation) if conversation else None
    before = found.value.runs[: found.value.runs.index(run)] if found and run in found.value.runs else ()
    return Opened(
        run=run,
        agent=first.body.agent,
        created=int(parse_timestamp(first.at).timestamp()),
        conversation=conversation,
        previous=before[-1] if before else None,
    )


async def _telling(
    deps: InteractionDependencies, me: TenantContext, stream: AsyncIterator[bytes], run: RunId, teller: Teller
) -> AsyncGenerator[bytes]:
    data = deps.store.tenant(me)
    fetch, writing = fetcher(data), Writing()
    yield teller.begin()
    try:
        async for piece in pieces_of(stream, writing, fetch):
            yield teller.piece(piece)
        outcome = await outcome_of(deps, me, await read_run(data, run), fetch)
        if rest := writing.finish(outcome):
            yield teller.piece(rest)
        yield teller.end(outcome, writing.text)
    except MandateError as error:
        _logger.warning("stream.broken", extra={"code": error.code})
        yield teller.failed(error)
