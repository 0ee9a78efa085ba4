"""The stand-in as an attacker would have it: it obeys whatever text orders something, wherever that text stands."""

from collections.abc import Iterator

import orjson

from emulators.model_endpoint.arguments import Sources
from emulators.model_endpoint.conversation import Conversation, read_turn
from emulators.model_endpoint.stand_in import ProposedCall, Reply, reply
from emulators.model_endpoint.tool_choice import propose


def hostile_reply(conversation: Conversation) -> Reply:
    """Return the first call that any text in the context orders, each time it is asked and without end.

    Passages and tool results come before the user, who comes before the system. The arguments are those that the
    text names. Where nothing is ordered it behaves as always.
    """
    for text in _texts(conversation):
        for proposal in propose(conversation.tools, Sources(clause=text, request=text)):
            if proposal.ready and (proposal.ordered or text == conversation.messages[-1].text):
                call = ProposedCall(proposal.tool.name, orjson.dumps(proposal.filled.arguments).decode())
                return Reply(calls=(call,))
    return reply(conversation)


def malformed_reply(conversation: Conversation) -> Reply:
    """Return two calls that no client may carry out: arguments that are no JSON, and a tool that nobody offered."""
    name = conversation.tools[0].name if conversation.tools else "nothing_offered"
    unknown = "_".join([*(tool.name for tool in conversation.tools[:1]), "nobody_offers_this"])
    return Reply(calls=(ProposedCall(name, '{"unfinished": '), ProposedCall(unknown[:64], "{}")))


def _texts(conversation: Conversation) -> Iterator[str]:
    turn = read_turn(conversation.messages)
    yield from (passage.text for passage in turn.passages)
    for role in ("tool", "user", "system"):
        yield from (message.text for message in reversed(conversation.messages) if message.role == role)
