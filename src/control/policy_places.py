"""Where in a text of policies something stands: Cedar's own messages do not say."""

import re
from collections.abc import Iterator

import cedarpy

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n\r]*|;', re.DOTALL)
_BLANK = re.compile(r"(?:\s|//[^\n\r]*)*")
_QUOTED = re.compile(r'`([^`]+)`|"([^"]+)"')
_END = "unexpected end of input"


class Places:
    """The policies of a text, each with where it begins and ends."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._spans = list(_spans(text)) or [(0, len(text))]

    def of(self, number: int, what: str) -> dict[str, int]:
        """Return line and column of what a message about policy `number`, from 0, quotes; else where that begins."""
        start, end = self._spans[min(number, len(self._spans) - 1)]
        for match in sorted(_QUOTED.finditer(what), key=lambda match: match[2] is None):  # a word before its fact
            name = match[1] or match[2]
            if found := re.search(rf"(?<![\w@]){re.escape(name)}(?!\w)", self._text[start:end]):
                return self._place(start + found.start())
        return self._place(start)

    def of_syntax(self, what: str) -> dict[str, int]:
        """Return line and column of where the text cannot be read on."""
        for start, end in self._spans:
            said = _said(self._text[start:end])
            if said:
                return self._place(_unexpected(self._text[start:end], said) + start)
        return self.of(len(self._spans) - 1, what)

    def _place(self, offset: int) -> dict[str, int]:
        before = self._text[:offset]
        return {"line": before.count("\n") + 1, "column": offset - before.rfind("\n")}


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for token in _TOKENS.finditer(text):
        if token[0] == ";":
            yield _begin(text, start), token.end()
            start = token.end()
    if _begin(text, start) < len(text):
        yield _begin(text, start), len(text)


def _begin(text: str, start: int) -> int:
    blank = _BLANK.match(text, start)
    return blank.end() if blank else start


def _unexpected(policy: str, said: str) -> int:
    """Return where in a policy the token stands that is not expected: what is before it could be gone on with."""
    found = re.match(r"unexpected token `(.+)`", said, re.DOTALL)
    if found is None:
        return len(policy.rstrip()) if said == _END else 0
    at = policy.find(found[1])
    while at >= 0:
        # Cedar says of a text that ends behind the token that it ends too early.
        if _said(policy[:at]) == _END and _said(f"{policy[: at + len(found[1])]};") == said:
            return at
        at = policy.find(found[1], at + 1)
    return 0


def _said(policy: str) -> str:
    """Return what Cedar says of a text; empty if it can be read."""
    try:
        cedarpy.policies_to_json_str(policy)
    except ValueError as error:
        return str(error)
    return ""
