"""A run's event stream turned into the text that a client sees grow: the pieces add up to what is said at the end."""

from collections.abc import AsyncGenerator, AsyncIterator

from pydantic import BaseModel

from core import ContentRef
from interaction.openai.outcome import SEPARATOR, Outcome, step_text
from orchestration import Fetch
from web import ServerEvent, read_events

BROKE_OFF = f"{SEPARATOR}(The model broke off here.)"


class _Text(BaseModel):
    text: str


class _Finished(BaseModel):
    """What matters here of the end of a step."""

    outcome: str
    message: ContentRef | None


class Writing:
    """The text so far. Nothing that was sent can be taken back, so each piece is what comes next.

    Attributes:
        text: all that was sent.
    """

    def __init__(self) -> None:
        self.text = ""
        self._step = ""

    def write(self, piece: str) -> str:
        """Return what to send for the next piece of a step: what a step writes stands apart from the one before."""
        if not piece:
            return ""
        told = piece if self._step or not self.text else f"{SEPARATOR}{piece}"
        self._step += piece
        self.text += told
        return told

    def catch_up(self, step: str) -> str:
        """Return what to send so that all of `step` is told: one who joins late has missed some, or all."""
        return self.write(step.removeprefix(self._step)) if step.startswith(self._step) else ""

    def break_off(self) -> str:
        """Return what to send where a step that had begun is cut short, and another takes its place."""
        return self.write(BROKE_OFF) if self._step else ""

    def end_step(self) -> None:
        self._step = ""

    def finish(self, outcome: Outcome) -> str:
        """Return what to send so that the text is as the log has it; after a broken step, the closing words alone."""
        self.end_step()
        if not outcome.text.startswith(self.text):
            return self.write(outcome.closing)
        rest = outcome.text.removeprefix(self.text)
        self.text += rest
        return rest


async def pieces_of(stream: AsyncIterator[bytes], writing: Writing, fetch: Fetch) -> AsyncGenerator[str]:
    """Yield the text of a run as the model writes it, step by step, until the run ends or waits."""
    async for event in read_events(stream):
        if piece := await _piece(event, writing, fetch):
            yield piece


async def _piece(event: ServerEvent, writing: Writing, fetch: Fetch) -> str:
    match event.event:
        case "delta":
            return writing.write(_Text.model_validate_json(event.data).text)
        case "snapshot":
            return writing.catch_up(_Text.model_validate_json(event.data).text)
        case "model_finished":
            return await _finished(event, writing, fetch)
        case _:
            return ""


async def _finished(event: ServerEvent, writing: Writing, fetch: Fetch) -> str:
    """End a step: what is missing of its text is told now; what broke off is said to have."""
    finished = _Finished.model_validate_json(event.data)
    if finished.outcome == "answered":
        piece = writing.catch_up(await step_text(finished.message, fetch))
    else:
        piece = writing.break_off()
    writing.end_step()
    return piece
