"""Finding a value in what a person wrote: as it is, in another spelling, as an amount, or as the choice of a word.

A value is found only whole: what cuts through a word, a number, an address or a reference is another value.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Set

_TOKEN = re.compile(r"-?\w+(?:(?:[.@\-+'_:/]|(?<=\d),(?=\d))\w+)*")
"""A word, a number with its sign and all its digits, an address, a reference."""

_PLAIN = {
    "\u2212": "-",
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
}
"""The minus sign and quotation marks, as a keyboard has them."""

_UNIT = r"euros?|eur|dollars?|usd|pounds?|gbp|chf|\u20ac|\$|\u00a3"
_AMOUNT = re.compile(
    rf"(?<![\w.,'\-])(?P<before>(?:{_UNIT})\s?)?"
    r"(?<![\w.,'\-])(?P<whole>\d{1,3}(?:(?P<mark>[.,'])\d{3})(?:(?P=mark)\d{3})*|\d+)(?:(?P<point>[.,])(?P<cents>\d{2}))?"
    r"(?![\w%]|\s%|[.,']\d)"
    rf"(?P<after>\s?(?:{_UNIT}|cents?|ct)(?!\w))?"
)
_PERCENT = re.compile(r"(?<![\w.,\-])(\d{1,3})\s?(?:%|percent\b|per cent\b|prozent\b|procent\b)")
_HALF = re.compile(r"\b(?:half|halve|h\u00e4lfte|helft)\b")


_SHARES = frozenset(range(1, 100))
_A_HALF = 50


def stands_in(value: str, text: str) -> bool:
    """Return whether `value`, white space aside, stands in `text` as it is, and cuts through none of its tokens."""
    value, text = " ".join(value.split()), " ".join(text.split())
    if value not in text or not _TOKEN.search(value):
        return False
    inside = {place for token in _TOKEN.finditer(_joined(text)) for place in range(token.start() + 1, token.end())}
    start = text.find(value)
    while start >= 0:
        if inside.isdisjoint((start, start + len(value))):
            return True
        start = text.find(value, start + 1)
    return False


def stands_in_spelt_otherwise(value: str, text: str) -> bool:
    """Return whether `value` stands in `text` but for case, width, dashes, quotation marks and white space.

    A value with characters that nobody sees is never one that the person wrote.
    """
    unseen = any(unicodedata.category(character) == "Cf" for character in value)
    return not unseen and stands_in(normalised(value), normalised(text))


def normalised(text: str) -> str:
    """Return `text` in one spelling. Digits that are no decimals, as in m\u00b2 or \u00bd, stay what they are."""
    return " ".join("".join(map(_plain, unicodedata.normalize("NFC", text))).casefold().split())


def amounts_in(text: str) -> frozenset[int]:
    """Return the amounts of money that `text` names, in cents.

    12.50, 12,50, 1.250,00 and 490 cents are such; a whole number is one only beside a currency, since it may as well
    count something. A single group of three digits, as in 1.250, is thousands.
    """
    return frozenset(_amounts(normalised(text)))


def shares_in(text: str) -> Set[int]:
    """Return the shares that `text` names, in percent: 20 %, 20 percent, half."""
    text = normalised(text)
    named = {int(match[1]) for match in _PERCENT.finditer(text)}
    if _HALF.search(text):
        named.add(_A_HALF)
    return named & _SHARES


def names_only(word: str, others: Collection[str], text: str) -> bool:
    """Return whether `text` has `word` in it, whole, and none of `others`."""
    text = normalised(text)
    return stands_in(normalised(word), text) and not any(stands_in(normalised(other), text) for other in others)


def _amounts(text: str) -> Iterator[int]:
    for found in _AMOUNT.finditer(text):
        whole = int(re.sub(r"\D", "", found["whole"]))
        unit = (found["after"] or "").strip()
        if found["mark"] and found["mark"] == found["point"]:
            continue  # 1.250.00 is no number
        if unit in ("cent", "cents", "ct"):
            yield from () if found["cents"] else (whole,)
        elif found["cents"]:
            yield whole * 100 + int(found["cents"])
        elif unit or found["before"]:
            yield whole * 100


def _joined(text: str) -> str:
    """Return `text` with accents and characters that nobody sees made part of the word that they stand in."""
    if text.isascii():
        return text
    kinds = [unicodedata.category(character) for character in text]
    joins = [kind.startswith("M") or kind == "Cf" for kind in kinds]
    return "".join("_" if join else character for join, character in zip(joins, text, strict=True))


def _plain(character: str) -> str:
    if character.isascii() or (kind := unicodedata.category(character)) == "No":
        return character
    if kind == "Cf":
        return ""
    if kind == "Pd":
        return "-"
    return _PLAIN.get(character) or unicodedata.normalize("NFKC", character)
