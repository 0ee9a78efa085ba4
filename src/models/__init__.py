"""Models by logical name: a catalogue of targets per environment, and the router that calls them.

Read `messages` (what is asked) and `results` (what comes back), then `routing`; `openai` and `azure_inference` are
the two wire formats, which only `mandate` imports.
"""

from models.adapters import Adapter, Bounds, Completion, Embeddings, TokenSource
from models.catalogue import Catalogue, ChatModel, EmbedModel, Target, catalogue_currency
from models.messages import ChatRequest, EmbedRequest, Message, ToolCall, ToolOffer, estimate_tokens
from models.results import ChatResult, EmbedResult, Finish, ModelInterrupted, TextDelta
from models.routing import ModelRouter

__all__ = [
    "Adapter",
    "Bounds",
    "Catalogue",
    "ChatModel",
    "ChatRequest",
    "ChatResult",
    "Completion",
    "EmbedModel",
    "EmbedRequest",
    "EmbedResult",
    "Embeddings",
    "Finish",
    "Message",
    "ModelInterrupted",
    "ModelRouter",
    "Target",
    "TextDelta",
    "TokenSource",
    "ToolCall",
    "ToolOffer",
    "catalogue_currency",
    "estimate_tokens",
]
