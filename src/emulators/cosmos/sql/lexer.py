"""The words of a query text."""

import re
from dataclasses import dataclass
from typing import Literal

from emulators.cosmos.errors import bad

Kind = Literal["word", "parameter", "string", "number", "sign", "end"]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<parameter>@\w+)"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<sign>!=|<>|<=|>=|\|\||\?\?|[=<>(),.\[\]{}*:?+/%&^~|-]))",
    re.ASCII,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str

    @property
    def keyword(self) -> str:
        """The word in capitals, empty for anything else."""
        return self.text.upper() if self.kind == "word" else ""


def tokens(text: str) -> list[Token]:
    """Split a query text.

    Raises:
        CosmosError: 400.
    """
    found: list[Token] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise bad(f"Syntax error in the query near {text[place : place + 20]!r}.")
        kind = match.lastgroup
        assert kind in ("number", "parameter", "word", "string", "sign")
        found.append(Token(kind, match.group(kind)))
        place = match.end()
    return [*found, Token("end", "")]


def string_of(token: Token) -> str:
    """Return what a string in quotes says."""
    return _ESCAPE.sub(_unescaped, token.text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    sign = match.group(1)
    return chr(int(sign[1:], 16)) if len(sign) > 1 else _ESCAPES.get(sign, sign)
