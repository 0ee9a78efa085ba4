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
    sentences, words = sentences_of(text), {n: _words(passages[n]) for n in markers_in(text) if n in passages}
    cited = [(sentence, found) for sentence in sentences if (found := _cited(sentence, words))]
    numbers = set(_NUMBER.findall(_MARKER.sub("", text)))
    everything = "\n".join(read) if numbers else ""
    return Grounds(
        sentences=len(sentences),
        cited=len(cited),
        like_source=sum(_is_like(sentence, found) for sentence, found in cited),
        numbers=len(numbers),
        numbers_read=sum(_stands_in(number, everything) for number in numbers),
    )


def _cited(sentence: str, words: Mapping[int, frozenset[str]]) -> Sequence[frozenset[str]]:
    return [words[number] for number in markers_in(sentence) if number in words]


def _words(text: str) -> frozenset[str]:
    return frozenset(_LONGER.findall(text.lower()))


def _is_like(sentence: str, passages: Sequence[frozenset[str]]) -> bool:
    words = _words(sentence)
    return 2 * len(words.intersection(frozenset[str]().union(*passages))) >= len(words)


def _stands_in(number: str, text: str) -> bool:
    """Return whether a number stands in a text, and not as a part of another."""
    start = text.find(number)
    while start >= 0:
        end = start + len(number)
        around = text[max(start - 2, 0) : end + 2]
        if number in _NUMBER.findall(around):
            return True
        start = text.find(number, end)
    return False
