"""Words: how the stand-in cuts, stems and compares text. English, as far as it knows a language at all."""

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_SUFFIXES = ("ations", "ation", "ments", "ment", "ingly", "edly", "ings", "ing", "ies", "ied", "ers", "ed", "es", "ly")
_SHORTEST_STEM = 3


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list written with spaces."""
    return frozenset(text.split())


_STOP = word_set(
    "a about above after again all also always am an and any anybody anyone anything are aren't as at be because been "
    "before being below between bit both but by came can can't cannot come comes coming could couldn't d dear "
    "describe did didn't do does doesn't doing don't down during each ever everybody everyone everything explain few "
    "for from further gave get give gives giving go goes going had has have having he her here hers him his how i i'd "
    "i'll i'm i've if in into is isn't it it's its just kindly know let like ll long longer lot made make makes "
    "making many may me might mine more most mr mrs much must my need no nor not now of off often ok on once only or "
    "other our ours out over own per please put puts re s same shall she should so some somebody someone something "
    "still such take takes taking tell than thanks that that's the their theirs them then there these they thing "
    "things this those through to too took tried tries try trying under until up us ve very want was we went were "
    "what what's when where which while who whom whose why will with within would yet you your yours"
)


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return `word` cut down to what its usual forms share: `shipping` and `shipment` give `ship`."""
    word = word.lower().replace("\u2019", "'").removesuffix("'s")
    if any(character.isdigit() for character in word):
        return word
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            word = word.removesuffix(suffix)
            break
    else:
        if len(word) > _SHORTEST_STEM and word.endswith("s") and not word.endswith("ss"):
            word = word[:-1]
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2]:
        word = word[:-1]
    if len(word) > _SHORTEST_STEM and word[-1] in "ey":
        word = word[:-1]
    return word


def stems(text: str) -> list[str]:
    """Return the stems of the words in `text` that carry meaning, in order."""
    return [meaning for word in WORD.findall(text) if (meaning := _meaning(word))]


@lru_cache(maxsize=50_000)
def _meaning(word: str) -> str:
    """Return the stem of `word`, or nothing for one of the words that every text is full of."""
    return "" if word.lower().replace("\u2019", "'") in _STOP else stem(word)


def name_words(name: str) -> list[str]:
    """Return the words of a snake_case, kebab-case or camelCase name, lower-case."""
    return [part.lower() for part in _NAME_PART.findall(name)]
