"""Going through the words of a text, one after the other."""

from emulators.cosmos.errors import bad, unknown
from emulators.cosmos.sql.lexer import Token, tokens

KNOWN_TO_THE_SERVICE = frozenset({
    "JOIN", "GROUP", "DISTINCT", "LIKE", "ARRAY", "UDF", "UNDEFINED",
    "+", "-", "*", "/", "%", "&", "^", "~", "|", "||", "??", "?", "{",
})  # fmt: skip
"""What the service understands and this emulator does not: 501 rather than a syntax error."""


class Words:
    """A text, and how far it was read."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self.place = 0

    @property
    def now(self) -> Token:
        return self._tokens[self.place]

    def take(self) -> Token:
        token = self.now
        self.place += token.kind != "end"
        return token

    def name(self) -> str:
        token = self.take()
        if token.kind != "word":
            raise self.wrong(token)
        return token.text

    def skip(self, keyword: str) -> bool:
        found = self.now.keyword == keyword
        self.place += found
        return found

    def sign(self, text: str) -> bool:
        found = self.now.kind == "sign" and self.now.text == text
        self.place += found
        return found

    def need(self, keyword: str) -> None:
        if not self.skip(keyword):
            raise self.wrong()

    def need_sign(self, text: str) -> None:
        if not self.sign(text):
            raise self.wrong()

    def end(self) -> None:
        if self.now.kind != "end":
            raise self.wrong()

    def wrong(self, token: Token | None = None) -> Exception:
        """Return the refusal of a word, of the next one unless told."""
        token = token or self.now
        word = token.keyword or token.text
        if word in KNOWN_TO_THE_SERVICE:
            return unknown(f"{word} at this place of a query")
        return bad(f"Syntax error in the query near {token.text!r}.")
