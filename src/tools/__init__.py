"""The tool contract, the registry, the executor, and the only way out for tools."""

from tools.arguments import MAX_ARGUMENT_BYTES, Arguments, Leaf
from tools.caller import Caller, idempotency_key
from tools.contract import Refusal, Tool, ToolCall, Undo, tool
from tools.egress import Egress, EgressClient, EgressResponse, Method, Origin, open_session
from tools.executor import MAX_RESULT_BYTES, Executor, Failed, Ok, ToolOutcome, Unknown
from tools.registry import Offer, Registry

__all__ = [
    "MAX_ARGUMENT_BYTES",
    "MAX_RESULT_BYTES",
    "Arguments",
    "Caller",
    "Egress",
    "EgressClient",
    "EgressResponse",
    "Executor",
    "Failed",
    "Leaf",
    "Method",
    "Offer",
    "Ok",
    "Origin",
    "Refusal",
    "Registry",
    "Tool",
    "ToolCall",
    "ToolOutcome",
    "Undo",
    "Unknown",
    "idempotency_key",
    "open_session",
    "tool",
]
