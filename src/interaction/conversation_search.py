"""Search in one's own conversations: plain comparison of words, newest first, and it says how far it has looked."""

import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from core import RunId
from core.bodies import AnswerGiven, RunOpened
from core.errors import NotFound
from data import TenantData, read_run
from interaction.answers import Told
from orchestration import ConversationRecord, Fetch, answer_text

MOST_TURNS = 200
"""What one search reads at most; the next goes on from there."""

TURNS_OF_ONE = 50
"""The latest turns of one conversation that are looked at."""

_AROUND = 60


class Found(Told):
    """Where the words stand, and the text around the first of them. `run` is null where that is the title."""

    place: Literal["title", "message", "answer"]
    run: RunId | None
    excerpt: str


@dataclass(slots=True)
class Words:
    """What is looked for: every word must stand in the text, whatever its case and accents. Counts what it reads."""

    text: str
    turns: int = 0
    _words: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._words = plain(self.text).split()

    @property
    def exhausted(self) -> bool:
        return self.turns >= MOST_TURNS

    def excerpt(self, text: str) -> str | None:
        """Return the text around the first word that is looked for; None unless all words are in it."""
        folded = plain(text)
        if not self._words or not all(word in folded for word in self._words):
            return None
        shown = " ".join(text.split())
        at = min(_place(shown, word) for word in self._words)
        start, end = max(0, at - _AROUND), at + 2 * _AROUND
        return f"{'…' if start else ''}{shown[start:end].strip()}{'…' if end < len(shown) else ''}"

    async def find(self, data: TenantData, record: ConversationRecord, title: str, fetch: Fetch) -> Found | None:
        """Return where in a conversation the words are: in its title, else in the latest of its turns that has them."""
        if excerpt := self.excerpt(title):
            return Found(place="title", run=None, excerpt=excerpt)
        for run in record.runs[: -TURNS_OF_ONE - 1 : -1]:
            self.turns += 1
            if found := await self._in_turn(data, run, fetch):
                return found
        return None

    async def _in_turn(self, data: TenantData, run: RunId, fetch: Fetch) -> Found | None:
        try:
            events = await read_run(data, run)
        except NotFound:
            return None  # its first event was never written
        for body in (stored.event.body for stored in events):
            match body:
                case RunOpened(message=message) if message is not None:
                    place, text = "message", (await fetch(message)).decode()
                case AnswerGiven():
                    place, text = "answer", await answer_text(body, fetch)
                case _:
                    continue
            if excerpt := self.excerpt(text):
                return Found(place=place, run=run, excerpt=excerpt)
        return None


def plain(text: str) -> str:
    """Return `text` without case and accents, so that `Geäst` is found by `geast`."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _place(shown: str, word: str) -> int:
    """Return about where in `shown` the word begins: folding may have made the text longer or shorter."""
    at = plain(shown).find(word)
    return max(0, min(at, len(shown) - 1))
