"""The Azure AI Model Inference API, version 2024-05-01-preview, under `/models`, as `azure-ai-inference` calls it."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import orjson
from pydantic import BaseModel, Field

from core.errors import BadRequest, MandateError
from emulators.model_endpoint.chat_body import ChatBody, conversation_of, stops
from emulators.model_endpoint.conversation import as_object, parse_json
from emulators.model_endpoint.wire import (
    CHAT_MODELS,
    EMBEDDING_MODEL,
    Body,
    ChatRequest,
    EmbeddingRequest,
    Wire,
    check_model,
    parse,
)

API_VERSION = "2024-05-01-preview"

NonEmpty = Annotated[str, Field(min_length=1)]
Model = TypeVar("Model", bound=BaseModel)


class _Chat(ChatBody):
    model: str = CHAT_MODELS[0]


class _Embeddings(Body):
    model: str = EMBEDDING_MODEL
    input: Annotated[list[NonEmpty], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    input_type: Literal["text", "query", "document"] = "text"
    dimensions: Literal[384] | None = None


def _chat(body: bytes, headers: Mapping[str, str]) -> ChatRequest:
    asked = _parse(_Chat, body, headers)
    return ChatRequest(
        model=check_model(asked.model, CHAT_MODELS),
        conversation=conversation_of(asked),
        stream=bool(asked.stream),
        usage="last",
        most_tokens=asked.max_tokens,
        stop=stops(asked),
    )


def _embeddings(body: bytes, headers: Mapping[str, str]) -> EmbeddingRequest:
    asked = _parse(_Embeddings, body, headers)
    check_model(asked.model, (EMBEDDING_MODEL,))
    query = None if asked.input_type == "text" else asked.input_type == "query"
    return EmbeddingRequest(texts=tuple(asked.input), query=query, base64=asked.encoding_format == "base64")


def _parse(model: type[Model], body: bytes, headers: Mapping[str, str]) -> Model:
    """Parse a body; what to do with unknown members is the client's choice, by the header `extra-parameters`.

    Raises:
        BadRequest: the body does not fit, or the header is none of `error` (the default), `drop` and `pass-through`.
    """
    policy = headers.get("extra-parameters", "error")
    if policy not in ("error", "drop", "pass-through"):
        raise BadRequest("The header extra-parameters is one of error, drop and pass-through.")
    members = as_object(parse_json(body)) if policy != "error" else None
    if members is not None:
        body = orjson.dumps({name: value for name, value in members.items() if name in model.model_fields})
    return parse(model, body)


def _error(error: MandateError) -> Mapping[str, object]:
    return {"error": {"code": error.code, "message": error.message, "details": error.message}}


INFERENCE = Wire(chat=_chat, embeddings=_embeddings, error=_error, marks={})
