"""What comes back from a model."""

from dataclasses import dataclass
from typing import Literal

from core.errors import Unavailable
from models.messages import ToolCall

Finish = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ChatResult:
    """A finished answer.

    Attributes:
        input_tokens: as the endpoint counted, or estimated where it did not; `output_tokens` likewise.
        cost_micros: millionths of the catalogue's currency; 0 where the target has no price.
        target: name of the catalogue's target that answered, with the `version` it is pinned to.
        finish: `content_filter` also where the endpoint refused the prompt itself: the text is then empty.
        attempts: calls made, failed ones included.
        first_token_ms: from the call to the first sign of an answer, waits and failed attempts included.
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    input_tokens: int
    output_tokens: int
    cost_micros: int
    target: str
    version: str
    finish: Finish
    attempts: int
    first_token_ms: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """One vector per text, in order: little-endian float32, length 1."""

    vectors: tuple[bytes, ...]
    input_tokens: int
    cost_micros: int
    target: str
    version: str


class ModelInterrupted(Unavailable):
    """The answer broke off after its first token: no other target may continue it. Tokens so far are an estimate."""

    default_code = "model.interrupted"

    def __init__(self, *, target: str, version: str, input_tokens: int, output_tokens: int, cost_micros: int) -> None:
        super().__init__("The model's answer broke off. What came so far is incomplete: please ask again.")
        self.target = target
        self.version = version
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.cost_micros = cost_micros
