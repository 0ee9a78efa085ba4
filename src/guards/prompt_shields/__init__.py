"""Prompt Shields of Azure AI Content Safety, over its REST API, by token: no keys.

https://learn.microsoft.com/rest/api/contentsafety/text-operations/shield-prompt, api-version 2024-09-01.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from http import HTTPStatus

import aiohttp
import orjson
from pydantic import BaseModel, ConfigDict, StrictBool, ValidationError
from pydantic.alias_generators import to_camel

from core.errors import MandateError, Unavailable
from guards.guard import Place, Text

API_VERSION = "2024-09-01"
SCOPE = "https://cognitiveservices.azure.com/.default"
SECONDS = 2.0
"""Bound of one look, token included, however many requests it takes. No second try: the next step asks anew."""

PIECE = 10_000
"""Most characters that a request may have, of the prompt and of all documents together."""
DOCUMENTS = 5
REQUESTS = 8
"""Most requests of one look; of more text than fits nobody can say that it was looked at."""
_OVERLAP = 200
_MAX_BYTES = 64_000

Piece = tuple[int, bool, str]
"""The number of its text, whether it is the person's message, and what stands in it."""


_WIRE = ConfigDict(extra="ignore", alias_generator=to_camel)


class _Analysis(BaseModel):
    model_config = _WIRE

    attack_detected: StrictBool


class _Answer(BaseModel):
    model_config = _WIRE

    user_prompt_analysis: _Analysis | None = None
    documents_analysis: list[_Analysis] = []


class PromptShields:
    """Asks the service.

    Args:
        session: without cookies; stays the caller's to close.
        endpoint: of the resource, such as `https://name.cognitiveservices.azure.com`.
        token: for a scope, as this process.
        seconds: see `SECONDS`.
    """

    name = "prompt_shields"

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: str,
        token: Callable[[str], Awaitable[str]],
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._session = session
        self._url = f"{endpoint.rstrip('/')}/contentsafety/text:shieldPrompt?api-version={API_VERSION}"
        self._token = token
        self._seconds = seconds

    async def suspects(self, texts: Sequence[Text]) -> Sequence[bool]:
        """See `Guard`. The person's message is sent as the prompt, everything else as documents."""
        requests = list(_packed(texts))
        try:
            if len(requests) > REQUESTS:
                raise ValueError(len(requests))
            async with asyncio.timeout(self._seconds):
                token = await self._token(SCOPE)
                answers = await asyncio.gather(*(self._asked(token, request) for request in requests))
        except (aiohttp.ClientError, TimeoutError, ValidationError, ValueError, MandateError) as error:
            raise Unavailable("Prompt Shields does not answer.", code="dependency.guard") from error
        attacked = {number for answer in answers for number in answer}
        return [number in attacked for number in range(len(texts))]

    async def _asked(self, token: str, pieces: Sequence[Piece]) -> list[int]:
        """Return the numbers of the texts in which an attack was seen."""
        prompts = [piece for piece in pieces if piece[1]]
        documents = [piece for piece in pieces if not piece[1]]
        body: dict[str, object] = {"documents": [text for _, _, text in documents]}
        if prompts:
            body["userPrompt"] = prompts[0][2]
        answer = _Answer.model_validate_json(await self._posted(token, orjson.dumps(body)))
        analyses = [answer.user_prompt_analysis] if prompts else []
        analyses += answer.documents_analysis
        found = zip([*prompts, *documents], analyses, strict=True)  # one too few or too many is no answer
        return [number for (number, _, _), analysis in found if _attacked(analysis)]

    async def _posted(self, token: str, body: bytes) -> bytes:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            if response.status != HTTPStatus.OK:
                raise ValueError(response.status)
            raw = bytearray()
            async for piece in response.content.iter_any():
                raw += piece
                if len(raw) > _MAX_BYTES:
                    raise ValueError(len(raw))
        return bytes(raw)


def _attacked(analysis: _Analysis | None) -> bool:
    if analysis is None:
        raise ValueError("The answer says nothing of the prompt.")
    return analysis.attack_detected


def _packed(texts: Sequence[Text]) -> Iterator[list[Piece]]:
    """Yield what goes into each request: at most a prompt, five documents, and as many characters as it may have."""
    request: list[Piece] = []
    for number, text in enumerate(texts):
        is_prompt = text.place is Place.MESSAGE
        for start in range(0, max(len(text.text), 1), PIECE - _OVERLAP):
            piece = (number, is_prompt, text.text[start : start + PIECE])
            if request and not _fits(request, piece):
                yield request
                request = []
            request.append(piece)
    if request:
        yield request


def _fits(request: Sequence[Piece], piece: Piece) -> bool:
    alike = sum(is_prompt is piece[1] for _, is_prompt, _ in request)
    characters = sum(len(text) for _, _, text in [*request, piece])
    return alike < (1 if piece[1] else DOCUMENTS) and characters <= PIECE
