"""What a client asks: the last user message is the person's own words, all else that it sends is a quotation."""

from collections.abc import Sequence
from dataclasses import dataclass

from core import ConversationId
from core.errors import NotFound, Unprocessable
from interaction.dependencies import InteractionDependencies
from interaction.starting import MESSAGE_CHARACTERS
from orchestration import Quoted

QUOTED_CHARACTERS = MESSAGE_CHARACTERS
"""Of all quoted turns together. The earliest are left out first: a conversation that grows is never refused."""

_ORDERS = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Prompt:
    """`conversation` is the stored one that the run joins; None begins a new one."""

    agent: str
    message: str
    quoted: tuple[Quoted, ...]
    conversation: ConversationId | None


def prompt_of(agent: str, turns: Sequence[Quoted], conversation: ConversationId | None) -> Prompt:
    """Return what is asked; in a stored conversation the client's copies of what was said are left aside.

    Raises:
        Unprocessable: no user message, or one that is blank or too long (`openai.message`).
    """
    last = max((number for number, turn in enumerate(turns) if turn.role == "user"), default=-1)
    message = turns[last].text if last >= 0 else ""
    if not message.strip() or len(message) > MESSAGE_CHARACTERS:
        raise Unprocessable(
            f"The last `user` message is what you ask: send one of 1 to {MESSAGE_CHARACTERS:,} characters, not blank.",
            code="openai.message",
        )
    others = [turn for number, turn in enumerate(turns) if number != last and turn.text.strip()]
    if conversation:
        others = [turn for turn in others if turn.role in _ORDERS]
    return Prompt(agent, message, _fitting(others), conversation)


def agent_of(deps: InteractionDependencies, model: str) -> str:
    """Return the agent that a model's name means: `support`, or `support@1.0.0` where that is the version in force.

    Raises:
        NotFound: there is none.
    """
    name, at, version = model.partition("@")
    agent = deps.agents.get(name)
    if agent is None or (at and version != agent.version):
        raise NotFound("There is no such model. A model here is an agent: see GET /openai/v1/models.")
    return agent.name


def _fitting(turns: Sequence[Quoted]) -> tuple[Quoted, ...]:
    """Return the latest turns that fit together."""
    size, start = 0, len(turns)
    while start and size + len(turns[start - 1].text) <= QUOTED_CHARACTERS:
        start -= 1
        size += len(turns[start].text)
    return tuple(turns[start:])
