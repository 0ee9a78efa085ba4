"""What a model is asked: the conversation, the tools it may propose, the texts to embed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import orjson

from core import digest

_BYTES_PER_TOKEN = 3
"""English has about four bytes a token, other scripts about three: an estimate errs on the high side."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call that a model proposed. Everything in it is untrusted: `arguments` is its raw text, maybe no JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool that the model may propose to call; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    Attributes:
        tool_calls: what an assistant's message proposed.
        tool_call_id: in a tool's message, the call that it answers.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


# The requests have no slots: `cached_property` needs somewhere to keep the canonical bytes.


@dataclass(frozen=True)
class ChatRequest:
    """One turn of a conversation for the logical model `logical`, at most `max_output_tokens` long."""

    logical: str
    messages: tuple[Message, ...]
    tools: tuple[ToolOffer, ...]
    max_output_tokens: int

    @cached_property
    def _canonical(self) -> bytes:
        return _canonical(self)

    def fingerprint(self) -> str:
        """Return the SHA-256 that a permit for this request covers."""
        return digest(self._canonical)

    @property
    def estimated_tokens(self) -> int:
        """Input tokens, estimated on the high side: for reservations, and where an endpoint does not count."""
        return _tokens(len(self._canonical))


@dataclass(frozen=True)
class EmbedRequest:
    """Texts to turn into vectors; `purpose` says whether they ask or may be found, which some models embed apart."""

    logical: str
    texts: tuple[str, ...]
    purpose: Literal["query", "passage"]

    @cached_property
    def _canonical(self) -> bytes:
        return _canonical(self)

    def fingerprint(self) -> str:
        """Return the SHA-256 that a permit for this request covers."""
        return digest(self._canonical)

    @property
    def estimated_tokens(self) -> int:
        """Input tokens, estimated on the high side."""
        return _tokens(len(self._canonical))


def estimate_tokens(text: str) -> int:
    """Return about how many tokens `text` is, on the high side."""
    return _tokens(len(text.encode()))


def _tokens(size: int) -> int:
    return -(-size // _BYTES_PER_TOKEN)


def _canonical(request: ChatRequest | EmbedRequest) -> bytes:
    # Not `core.canonical`: a JSON schema may hold fractions. These bytes never leave the process, so one library
    # writing floats its own way is canonical enough.
    return orjson.dumps(request, option=orjson.OPT_SORT_KEYS, default=dict)
