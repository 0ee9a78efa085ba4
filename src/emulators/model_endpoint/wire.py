"""What a wire format is to the app, and what both formats share.

The Model Inference API took its messages, tools and answers from the OpenAI format; where they differ is in
`wire_openai` and `wire_inference`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import BadRequest, MandateError
from emulators.model_endpoint.conversation import Conversation

CHAT_MODELS = ("mandate-stand-in", "mandate-stand-in-small")
EMBEDDING_MODEL = "multilingual-e5-small"

Model = TypeVar("Model", bound=BaseModel)


class Part(BaseModel):
    """A part of a request's body: strict types, unknown members are left alone."""

    model_config = ConfigDict(strict=True, frozen=True)


class Body(Part):
    """A whole body: a member that is not listed is refused."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    model: str
    conversation: Conversation
    stream: bool
    usage: Literal["absent", "last", "apart"]
    """Where a stream tells its usage: nowhere, in its last piece, or in a piece after that."""
    most_tokens: int | None
    stop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    texts: tuple[str, ...]
    query: bool | None
    """None where the request does not say: then the E5 prefix of each text decides."""
    base64: bool


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire format."""

    chat: Callable[[bytes, Mapping[str, str]], ChatRequest]
    embeddings: Callable[[bytes, Mapping[str, str]], EmbeddingRequest]
    error: Callable[[MandateError], Mapping[str, object]]
    marks: Mapping[str, str]
    """Members that this format has in every chat answer."""


def parse(model: type[Model], body: bytes) -> Model:
    """Validate a body against `model`.

    Raises:
        BadRequest: it does not fit; the message names the first place, never the value.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "body"
        raise BadRequest(f"{place}: {first['msg']}.") from None


def check_model(name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise BadRequest(
            f"The model is not known here. Known for this operation: {', '.join(known)}.", code="unknown_model"
        )
    return name
