"""The port of whatever looks for injected instructions, and what it is shown."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol


class Place(StrEnum):
    """Where something that the model reads comes from."""

    MESSAGE = "message"
    HISTORY = "history"
    PASSAGES = "passages"
    QUOTATION = "quotation"
    RESULTS = "results"


GUARDS = ("local", "prompt_shields")
"""What guards are called in facts."""


class Text(NamedTuple):
    place: Place
    text: str


class Guard(Protocol):
    @property
    def name(self) -> str:
        """What it is called in facts."""
        ...

    async def suspects(self, texts: Sequence[Text]) -> Sequence[bool]:
        """Return of each text, in order, whether it looks as if written to steer an agent that reads it.

        Raises:
            Unavailable: it does not answer, or not as it should (`dependency.guard`). Any other error counts the same.
        """
        ...
