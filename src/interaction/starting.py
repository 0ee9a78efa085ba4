"""Starting a turn through the orchestration service: one way for every door, to wait for it or to follow it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

import orjson

from core import ConversationId, RunId, TenantContext
from core.events import Stored
from data import read_run
from interaction.dependencies import InteractionDependencies
from orchestration import Quoted

LONGEST_WAIT = timedelta(minutes=10)
"""How long a caller waits, or a stream lasts; the run has its own limits and goes on without them."""

MESSAGE_PATTERN = r"^[^\x00]*[^\s\x00][^\x00]*$"
MESSAGE_CHARACTERS = 8000


@dataclass(frozen=True, slots=True)
class NewTurn:
    """What somebody asks; `quoted` is what their program sent along, and nobody's words."""

    run: RunId
    agent: str
    message: str
    conversation: ConversationId | None = None
    use_knowledge: bool = True
    quoted: Sequence[Quoted] = ()
    replaces: RunId | None = None

    def body(self, *, stream: bool) -> bytes:
        return orjson.dumps(
            {
                "run": self.run,
                "agent": self.agent,
                "message": self.message,
                "conversation": self.conversation,
                "use_knowledge": self.use_knowledge,
                "replaces": self.replaces,
                "quoted": [turn.model_dump() for turn in self.quoted],
                "stream": stream,
            }
        )


async def finished_turn(
    deps: InteractionDependencies, me: TenantContext, turn: NewTurn, *, within: timedelta = LONGEST_WAIT
) -> list[Stored]:
    """Return the turn's events once it has ended or waits for a person.

    Raises:
        Timeout: that takes longer than `within`; the run goes on without us.
    """
    deadline = deps.clock.now() + within
    await deps.orchestration.call(me, "POST", "/internal/runs", body=turn.body(stream=False), deadline=deadline)
    return await read_run(deps.store.tenant(me), turn.run)


def streamed_turn(
    deps: InteractionDependencies, me: TenantContext, turn: NewTurn
) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
    """Return the turn's events as they happen, as bytes of an event stream, until it ends or waits for a person."""
    deadline = deps.clock.now() + LONGEST_WAIT
    return deps.orchestration.stream(me, "POST", "/internal/runs", body=turn.body(stream=True), deadline=deadline)


def started_headers(run: RunId) -> dict[str, str]:
    return {"Location": f"/v1/runs/{run}", "Mandate-Run": run}
