"""What a wire adapter is. Adapters make one attempt; waiting, retrying and failing over is the router's alone.

An adapter tells the router what went wrong by the error's type, see `models.faults`:

    RateLimited              too fast; `retry_after` says for how long
    Unavailable, Timeout     this target fails; another one may not
    Defect                   the request itself is refused, anywhere and again
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from models.catalogue import Target
from models.messages import ChatRequest, ToolCall
from models.results import Finish, TextDelta

TokenSource = Callable[[str], Awaitable[str]]
"""Returns a bearer token for a scope, from its own cache while it is fresh; raises `Unavailable` if there is none."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds an adapter may wait for the network; the deadline of the whole call is the router's."""

    connect: float = 3.0
    idle: float = 30.0
    """For the first byte and between any two."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished answer as the endpoint gave it; `usage` is (input, output) tokens, None where it did not count."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    usage: tuple[int, int] | None
    finish: Finish


FILTERED = Completion("", (), None, "content_filter")
"""What an adapter answers when the endpoint's content filter refused the prompt itself."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One normalised little-endian float32 vector per text; `input_tokens` None where the endpoint did not count."""

    vectors: tuple[bytes, ...]
    input_tokens: int | None


class Adapter(Protocol):
    """Speaks one wire format."""

    def chat(
        self, target: Target, request: ChatRequest, bounds: Bounds
    ) -> AsyncGenerator[TextDelta | Completion, None]:
        """Yield the text as it comes, then one `Completion`. An empty delta says: it has begun, with no text yet."""
        ...

    async def embed(self, target: Target, texts: tuple[str, ...], dimensions: int, bounds: Bounds) -> Embeddings:
        """Return one vector of `dimensions` numbers per text."""
        ...
