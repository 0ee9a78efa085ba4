"""The OpenAI v1 format, as Azure AI Foundry serves it under `/openai/v1`."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from core.errors import MandateError
from emulators.model_endpoint.chat_body import ChatBody, conversation_of, stops
from emulators.model_endpoint.wire import (
    CHAT_MODELS,
    EMBEDDING_MODEL,
    Body,
    ChatRequest,
    EmbeddingRequest,
    Part,
    Wire,
    check_model,
    parse,
)

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_SERVER_ERRORS = 500

NonEmpty = Annotated[str, Field(min_length=1)]


class _StreamOptions(Part):
    include_usage: bool = False


class _Chat(ChatBody):
    model: str
    stream_options: _StreamOptions | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Literal[1] | None = None
    parallel_tool_calls: bool | None = None
    user: str | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None


class _Embeddings(Body):
    model: str
    input: NonEmpty | Annotated[list[NonEmpty], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Literal[384] | None = None
    user: str | None = None


def _chat(body: bytes, _: Mapping[str, str]) -> ChatRequest:
    asked = parse(_Chat, body)
    return ChatRequest(
        model=check_model(asked.model, CHAT_MODELS),
        conversation=conversation_of(asked),
        stream=bool(asked.stream),
        usage="apart" if asked.stream_options and asked.stream_options.include_usage else "absent",
        most_tokens=asked.max_completion_tokens or asked.max_tokens,
        stop=stops(asked),
    )


def _embeddings(body: bytes, _: Mapping[str, str]) -> EmbeddingRequest:
    asked = parse(_Embeddings, body)
    check_model(asked.model, (EMBEDDING_MODEL,))
    texts = (asked.input,) if isinstance(asked.input, str) else tuple(asked.input)
    return EmbeddingRequest(texts=texts, query=None, base64=asked.encoding_format == "base64")


def _error(error: MandateError) -> Mapping[str, object]:
    status = int(error.status)
    kind = _TYPES.get(status, "server_error" if status >= _SERVER_ERRORS else "invalid_request_error")
    return {"error": {"message": error.message, "type": kind, "param": None, "code": error.code}}


OPENAI = Wire(
    chat=_chat, embeddings=_embeddings, error=_error, marks={"system_fingerprint": "stand-in-no-language-model"}
)
