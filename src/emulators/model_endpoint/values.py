"""Values that can be read off a text: e-mail addresses, dates, amounts of money, numbers, identifiers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from emulators.model_endpoint.words import name_words, stem, stems


@dataclass(frozen=True, slots=True)
class Found:
    """A value and the span of text that it was read from."""

    value: object
    start: int
    end: int


_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")
_DATE = re.compile(r"(?<![\w-])\d{4}-\d{2}-\d{2}(?![\w-])")
_QUOTED = re.compile(r"\"([^\"]+)\"|\u201c([^\u201d]+)\u201d|(?<!\w)'([^']+)'(?!\w)")
_IDENTIFIER = re.compile(r"(?<![\w@.#-])#?((?=[\w-]*\d)[A-Za-z0-9][\w-]{2,63})(?![\w@-]|\.\w)")
_FIGURE = r"\d{1,3}(?:[.,'\u2019\u00a0]\d{3})+(?:[.,]\d{1,2})?|\d{1,12}(?:[.,]\d{1,2})?"
_CURRENCY = (
    r"EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|HUF|CAD|AUD|NZD|[\u20ac$\u00a3]"
    r"|(?i:euros?|dollars?|pounds?|francs?|kron(?:er|or))"
)
_MONEY = re.compile(
    rf"(?<![\w.,-])(?:(?:{_CURRENCY})\s?(?P<after>{_FIGURE})(?![\w-]|[.,]\d)|(?P<before>{_FIGURE})\s?(?:{_CURRENCY})(?!\w)"
    rf"|(?P<cents>\d{{1,12}})\s?(?i:cents?)(?!\w))"
)
_BARE_AMOUNT = re.compile(r"(?<![\w.,-])\d{1,12}[.,]\d{2}(?![\w-]|[.,]\d)")
_NUMBER = re.compile(r"(?<![\w.,-])-?\d{1,15}(?:\.\d{1,9})?(?![\w-]|[.,]\d)")
_NAMED_THING = re.compile(r"[^\W\d_a-z][\w'\u2019&-]*(?:\s+[^\W\d_a-z][\w'\u2019&-]*)*")
_ORDINARY_WORD = "please"


def emails(text: str) -> Iterator[Found]:
    return (Found(m[0], m.start(), m.end()) for m in _EMAIL.finditer(text))


def links(text: str) -> Iterator[Found]:
    return (Found(m[0], m.start(), m.end()) for m in _LINK.finditer(text))


def dates(text: str) -> Iterator[Found]:
    """Yield ISO dates that exist."""
    for m in _DATE.finditer(text):
        try:
            date.fromisoformat(m[0])
        except ValueError:
            continue
        yield Found(m[0], m.start(), m.end())


def quotes(text: str) -> Iterator[Found]:
    for m in _QUOTED.finditer(text):
        group = next(i for i in (1, 2, 3) if m[i])
        yield Found(m[group], m.start(group), m.end(group))


def amounts(text: str) -> Iterator[Found]:
    """Yield amounts of money in minor units: those with a currency, or else figures with two decimals."""
    marked = list(_MONEY.finditer(text))
    for m in marked:
        cents = int(m["cents"]) if m["cents"] else _minor_units(m["after"] or m["before"])
        yield Found(cents, m.start(), m.end())
    if not marked:
        yield from (Found(_minor_units(m[0]), m.start(), m.end()) for m in _BARE_AMOUNT.finditer(text))


def numbers(text: str) -> Iterator[Found]:
    """Yield numbers that stand alone, those that are no amount of money first."""
    money = [(m.start(), m.end()) for m in _MONEY.finditer(text)]
    found = [Found(_number(m[0]), m.start(), m.end()) for m in _NUMBER.finditer(text)]
    return iter(sorted(found, key=lambda f: any(start <= f.start < end for start, end in money)))


def identifiers(text: str) -> Iterator[Found]:
    """Yield tokens that look like an identifier: three characters or more with a digit, no amount, date or address."""
    taken = [(f.start, f.end) for finder in (amounts, dates, emails, links) for f in finder(text)]
    for m in _IDENTIFIER.finditer(text):
        if not any(start <= m.start(1) < end for start, end in taken):
            yield Found(m[1], m.start(1), m.end(1))


def names(text: str) -> Iterator[Found]:
    """Yield runs of capitalised words that do not begin a sentence."""
    for m in _NAMED_THING.finditer(text):
        before = text[: m.start()].rstrip(" \"'\u201c(")
        if before and before[-1] not in ".!?\n:":
            yield Found(m[0], m.start(), m.end())


def matching(pattern: str, text: str) -> Iterator[Found]:
    """Yield what fits a JSON schema `pattern` as whole tokens; in capitals where only that fits."""
    compiled = _compile(pattern)
    if compiled is None:
        return
    loose = re.compile(compiled.pattern, re.IGNORECASE)
    for m in loose.finditer(text):
        value = next((v for v in (m["value"], m["value"].upper()) if fits(pattern, v)), None)
        if value:
            yield Found(value, m.start("value"), m.end("value"))


def fits(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return False


def is_loose(pattern: str) -> bool:
    """Return whether ordinary words fit `pattern`, so that it does not tell where the value stands in a text."""
    return _compile(pattern) is None or fits(pattern, _ORDINARY_WORD)


def member_named(members: Sequence[object], text: str) -> object | None:
    """Return the member of an enumeration that `text` names, the longest where several are named."""
    said = set(stems(text))
    named = [m for m in members if isinstance(m, str) and _stems_of_name(m) and _stems_of_name(m) <= said]
    return max(named, key=len, default=None)


def _stems_of_name(name: str) -> set[str]:
    return {stem(word) for word in name_words(name)}


def _compile(pattern: str) -> re.Pattern[str] | None:
    inner = pattern.removeprefix("^").removesuffix("$")
    try:
        return re.compile(rf"(?<![\w-])(?P<value>{inner})(?![\w-])")
    except re.error:
        return None


def _minor_units(figure: str) -> int:
    digits = re.sub(r"['\u2019\u00a0]", "", figure)
    decimals = re.search(r"[.,](\d{1,2})$", digits)
    whole = re.sub(r"[.,]", "", digits[: decimals.start()] if decimals else digits)
    return int(Decimal(f"{whole}.{decimals[1] if decimals else 0}") * 100)


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
