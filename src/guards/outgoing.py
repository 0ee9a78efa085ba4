"""Text on its way out, checked before it leaves: a secret that comes in two pieces does not leave in two pieces.

What leaves ends with an ordinary word, over which no secret, address or number reaches; the rest is held back until it
is clear what it is, but never more than `LONGEST` characters.
"""

import re
from typing import NamedTuple

from guards.formats import ANNOUNCING, Found, found_in

LONGEST = 120
"""Most characters that are held back. Every pattern of `formats` decides within so many from where it begins."""

_INERT = re.compile(rf"(?!(?i:bearer|{ANNOUNCING})\b)[A-Z]?[^\W\d_A-Z]+[.,;!?)]{{0,2}}")
"""A word of small letters, or with a capital in front, and no word that announces a secret."""


class Leaving(NamedTuple):
    """Text that would leave next, and what was found in it. Nothing of it has left."""

    text: str
    found: tuple[Found, ...]


_NOTHING = Leaving("", ())


class Outgoing:
    """One stream of text, piece by piece."""

    def __init__(self) -> None:
        self._held = ""

    def take(self, piece: str) -> Leaving:
        """Return what may leave now that `piece` has come, if what was found in it may."""
        self._held += piece
        if len(self._held) <= LONGEST and " " not in piece and "\n" not in piece:
            return _NOTHING  # no word has ended that had not before
        end = max(_end_of_inert(self._held), len(self._held) - LONGEST)
        return self._let_go(end) if end > 0 else _NOTHING

    def finish(self) -> Leaving:
        """Return what is left when no more comes."""
        return self._let_go(len(self._held))

    def _let_go(self, end: int) -> Leaving:
        text, held = self._held[:end], self._held
        self._held = held[end:]
        if all(_INERT.fullmatch(word) for word in text.split()):
            return Leaving(text, ())
        return Leaving(text, tuple(found for found in found_in(held) if found.start < end))


def _end_of_inert(text: str) -> int:
    """Return where the space behind the last word ends that is inert; 0 if there is none."""
    end = max(text.rfind(" "), text.rfind("\n"))
    while end >= 0:
        start = max(text.rfind(" ", 0, end), text.rfind("\n", 0, end))
        if _INERT.fullmatch(text, start + 1, end):
            return end + 1
        end = start
    return 0
