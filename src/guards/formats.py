"""Secrets and personal data in a text, by their formats; by their check digits where they have some.

Each pattern decides within `outgoing.LONGEST` characters of where it begins, so that a stream need hold back no more.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto


class Secret(StrEnum):
    PRIVATE_KEY = auto()
    ACCESS_KEY = auto()
    TOKEN = auto()
    PASSWORD = auto()


class PersonalData(StrEnum):
    EMAIL = "email"
    IBAN = "iban"
    CARD = "card"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Found:
    """Something found at `start` of a text; `value` is what stands there, which is content and stays in memory."""

    kind: Secret | PersonalData
    value: str
    start: int


_SECRETS: tuple[tuple[str, Secret, re.Pattern[str]], ...] = tuple(
    (sign, kind, re.compile(pattern))
    for sign, kind, pattern in (
        ("-----BEGIN", Secret.PRIVATE_KEY, r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY"),
        ("AKIA", Secret.ACCESS_KEY, r"\bAKIA[A-Z0-9]{16}\b"),
        ("ASIA", Secret.ACCESS_KEY, r"\bASIA[A-Z0-9]{16}\b"),
        ("AIza", Secret.ACCESS_KEY, r"\bAIza[\w\-]{35}"),
        ("AccountKey=", Secret.ACCESS_KEY, r"AccountKey=[A-Za-z0-9+/]{40}"),
        ("sk-", Secret.ACCESS_KEY, r"\bsk-(?=[\w\-]{0,30}\d)[\w\-]{20}"),
        ("k_live_", Secret.ACCESS_KEY, r"\b[sr]k_live_[A-Za-z0-9]{16}"),
        ("Q~", Secret.PASSWORD, r"(?<![\w.~\-])[\w.~\-]{3}\dQ~[\w.~\-]{31}"),
        ("sig=", Secret.TOKEN, r"[?&]sig=[A-Za-z0-9%+/]{40}"),
        ("gh", Secret.TOKEN, r"\bgh[pousr]_[A-Za-z0-9]{36}"),
        ("github_pat_", Secret.TOKEN, r"\bgithub_pat_[A-Za-z0-9_]{22}"),
        ("xox", Secret.TOKEN, r"\bxox[abeprs]-[A-Za-z0-9\-]{10}"),
        ("eyJ", Secret.TOKEN, r"\beyJ(?=[\w\-]{0,40}\d)[\w\-]{20}"),
        ("earer ", Secret.TOKEN, r"\b[Bb]earer (?=[\w.~+/\-]{0,40}\d)[\w.~+/\-]{20}"),
    )
)
"""What must stand in a text for the pattern to be worth a try, what it finds, and the pattern."""

ANNOUNCING = r"pass(?:word|wort|wd)|pwd|wachtwoord|kennwort|mot de passe|secret|api[_\-]?key|account[_\-]?key"
"""Words before what may be a secret."""

_PASSWORD = re.compile(
    rf"(?i)(?:{ANNOUNCING})[\"']?\s{{0,2}}[:=]\s{{0,2}}[\"']?"
    r"(?=[^\s\"']{0,40}\d)(?=[^\s\"']{0,40}[a-z])([^\s\"']{8})"
)
"""A password is told from a word by a letter and a digit in it."""
_ANNOUNCES = ("pass", "pwd", "wachtwoord", "kennwort", "secret", "key")

_EMAIL = re.compile(r"(?<![\w.+\-])[\w.+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63})*\.[A-Za-z]{2,24}\b")
_NUMBERS = re.compile(r"[0-9][0-9A-Z ().\-/]{6,44}[0-9A-Z]")
_LONG_NUMBERS = re.compile(r"[0-9][0-9A-Z ().\-/]{11,44}[0-9A-Z]")
"""Stretches in which a telephone number, an account or a card could stand: without one nothing more need be tried."""
_IBAN = re.compile(r"(?<![A-Za-z0-9])(?=([A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}))")
_CARD = re.compile(
    r"(?<![\w.+])(?=([2-6]\d{3}([ \-]?)\d{4}\2\d{4}\2\d{4}(?:\2\d{3})?(?!\w)|3[47]\d{2}[ \-]?\d{6}[ \-]?\d{5}(?!\w)))"
)
"""Both only look ahead: a number may begin in the middle of what looks like another."""
_PHONE = re.compile(r"(?<![\w+])(?:\+|00)[1-9]\d{0,2}(?:[ ()./\-]{0,3}\d){6,12}(?!\w)")

_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI NL",
    19: "MK SI",
    20: "AT BA EE LT LU XK",
    21: "CH HR LI LV",
    22: "BG DE GB GE IE ME RS",
    23: "GI IL AE",
    24: "AD CZ ES MD PK RO SA SE SK TN",
    26: "IS TR",
    27: "FR GR IT MC SM",
    28: "AL AZ CY DO HU LB PL",
    29: "BR UA",
    31: "MT",
}
_LENGTH = {country: length for length, countries in _LENGTHS.items() for country in countries.split()}
"""How long the account numbers of a country are."""

_NINE = 9
_MOD_97 = 97


def found_in(text: str) -> Iterator[Found]:
    """Yield the secrets and personal data that stand in `text`."""
    for sign, kind, pattern in _SECRETS:
        if sign in text:
            yield from _matches(kind, pattern, text)
    small = text.lower()
    if any(word in small for word in _ANNOUNCES):
        yield from _matches(Secret.PASSWORD, _PASSWORD, text)
    if "@" in text:
        yield from _matches(PersonalData.EMAIL, _EMAIL, text)
    if _LONG_NUMBERS.search(text):
        yield from _accounts(text)
        cards = (Found(PersonalData.CARD, match[1], match.start()) for match in _CARD.finditer(text))
        yield from (card for card in cards if _is_card(card.value))
    if ("+" in text or "00" in text) and _NUMBERS.search(text):
        yield from _matches(PersonalData.PHONE, _PHONE, text)


def _matches(kind: Secret | PersonalData, pattern: re.Pattern[str], text: str) -> Iterator[Found]:
    for match in pattern.finditer(text):
        yield Found(kind, match.group(), match.start())


def _accounts(text: str) -> Iterator[Found]:
    """ISO 13616: the remainder by 97 is 1, letters counting as 10 to 35, the first four characters last."""
    for match in _IBAN.finditer(text):
        value: str = match[1]
        compact = value.replace(" ", "")[: _LENGTH.get(value[:2], 0)]
        number = "".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])
        if len(compact) == _LENGTH.get(value[:2]) and int(number) % _MOD_97 == 1:
            yield Found(PersonalData.IBAN, value, match.start())


def _is_card(value: str) -> bool:
    """ISO/IEC 7812: every second digit doubled, from the right, the sum is a multiple of ten."""
    digits = [int(sign) for sign in reversed(value) if sign.isdigit()]
    doubled = (2 * digit - (_NINE if 2 * digit > _NINE else 0) for digit in digits[1::2])
    return (sum(digits[0::2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1
