"""The support agent's model calls, without a turn around them."""

from control import load_agents
from mandate.host import NOWHERE, product_tools
from mandate.settings import ROOT
from models import ChatRequest, Message, ToolCall, ToolOffer
from tools import Registry

ORDER = (
    '{"id":"A-20417","customer":"C-1042","placed":"2026-10-11","status":"shipped","currency":"EUR","total_cents":24890,'
    '"items":[{"sku":"AF-MG48","name":"Merganser 48 backpack","quantity":1,"price_cents":17900},'
    '{"sku":"AF-DNP","name":"Dunlin trekking poles, pair","quantity":1,"price_cents":6990}]}'
)


def first_call(message: str) -> ChatRequest:
    """Return what the model is asked at the first step of a turn: the prompt, the message, all tools."""
    agent = load_agents(ROOT / "agents")["support"]
    offers = Registry(product_tools(NOWHERE)).offers(agent.tools)
    return ChatRequest(
        logical=agent.model,
        messages=(Message("system", agent.system.text), Message("user", message)),
        tools=tuple(ToolOffer(offer.name, offer.description, offer.parameters) for offer in offers),
        max_output_tokens=agent.limits.output_tokens,
    )


def second_call(first: ChatRequest) -> ChatRequest:
    """Return what it is asked at the second step, after it has looked an order up."""
    call = ToolCall("call_1", "lookup_order", '{"order_id":"A-20417"}')
    outcome = (Message("assistant", "", (call,)), Message("tool", ORDER, tool_call_id=call.id))
    return ChatRequest(first.logical, (*first.messages, *outcome), first.tools, first.max_output_tokens)
