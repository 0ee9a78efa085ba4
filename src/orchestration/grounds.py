"""What can be counted of an answer: citations, likeness to what it cites, numbers that were read nowhere."""

import re
from collections.abc import Iterable, Mapping, Sequence

from core.parts import Grounds

_END = re.compile(r"([.!?](?:\s*\[\d{1,3}\])*)\s+(?!\s|\[\d)")
"""Where a sentence ends: its citations may stand behind the full stop."""
_MARKER = re.compile(r"\[(\d{1,3})\]")
_WORD = re.compile(r"\w")
_LONGER = re.compile(r"[^\W\d_]{4,}")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def sentences_of(text: str) -> list[str]:
    parts = _END.sub("\\1\n", text).splitlines()
    return [part for part in parts if _WORD.search(_MARKER.sub("", part))]


def markers_in(text: str) -> list[int]:
    """Return the numbers of the passages that a text cites, in its order."""
    return [int(number) for number in _MARKER.findall(text)]


def grounds_of(text: str, passages: Mapping[int, str], read: Iterable[str]) -> Grounds:
    """Count what `text`, an answer, rests on.

    Args:
        text: with the numbers of passages in square brackets.
        passages: what was shown, by the numbers under which it is cited.
        read: all that the model had read, the passages too.
    """
    sentences = sentences_of(text)
    cited = [(sentence, found) for sentence in sentences if (found := _cited(sentence, passages))]
    numbers = set(_NUMBER.findall(_MARKER.sub("", text)))
    known = {number for one in read for number in _NUMBER.findall(one)} if numbers else set[str]()
    return Grounds(
        sentences=len(sentences),
        cited=len(cited),
        like_source=sum(_is_like(sentence, found) for sentence, found in cited),
        numbers=len(numbers),
        numbers_read=len(numbers & known),
    )


def _cited(sentence: str, passages: Mapping[int, str]) -> Sequence[str]:
    return [passages[number] for number in markers_in(sentence) if number in passages]


def _is_like(sentence: str, passages: Sequence[str]) -> bool:
    words = set(_LONGER.findall(sentence.lower()))
    theirs = {word for passage in passages for word in _LONGER.findall(passage.lower())}
    return 2 * len(words & theirs) >= len(words)
