"""Cutting a document into passages along its own structure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_WORDS = 120
"""A passage is at most about this long: a few sentences that can be read, cited and ranked by themselves."""

_WORD = re.compile(r"\S{1,30}\s*")
"""A word, or a piece of what is longer than words are: some scripts set no spaces."""

LONGEST_TITLE = 200

_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"^#[ \t]+(\S.*)$", re.MULTILINE)
_HEADING = re.compile(r"^(#{1,6})\s+(.+)$")


@dataclass(frozen=True, slots=True)
class Chunk:
    heading: str
    """The headings that it stands under, outermost first, joined by ` › `."""
    text: str


def title_of(text: str, name: str) -> str:
    """Return what to call a text: its first heading of the highest level; else `name`, else its first line."""
    found = _TITLE.search(_FENCED.sub("", text))
    first = next((line for line in (line.strip("#\\ \t") for line in text.splitlines()) if line), "")
    title = _bare(found[1]) if found else name or first
    return "".join(c for c in title if c.isprintable())[:LONGEST_TITLE].strip() or "Untitled"


def _bare(heading: str) -> str:
    """Return a heading without the marks that may close it."""
    return heading.rstrip().rstrip("#").rstrip() or heading


def chunk_markdown(title: str, text: str) -> list[Chunk]:
    """Cut Markdown or plain text into passages of whole paragraphs under the headings that they stand under."""
    return [Chunk(heading, piece) for heading, paragraphs in _sections(title, text) for piece in _pack(paragraphs)]


def _sections(title: str, text: str) -> Iterator[tuple[str, list[str]]]:
    path: list[tuple[int, str]] = []
    paragraphs: list[str] = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        lines = block.strip("\n").split("\n")
        while lines and (match := _HEADING.match(lines[0])):
            if paragraphs:
                yield _heading(title, path), paragraphs
                paragraphs = []
            level = len(match.group(1))
            path = [*(item for item in path if item[0] < level), (level, _bare(match.group(2)))]
            lines = lines[1:]
        if rest := "\n".join(lines).strip():
            paragraphs.append(rest)
    if paragraphs:
        yield _heading(title, path), paragraphs


def _heading(title: str, path: list[tuple[int, str]]) -> str:
    names = [name for _, name in path]
    return " › ".join(names if names[:1] == [title] else [title, *names])


def _pack(paragraphs: list[str]) -> Iterator[str]:
    """Join short paragraphs and split long ones at sentence ends, so that passages are of like size."""
    buffer: list[str] = []
    for paragraph in paragraphs:
        for piece in _split(paragraph):
            if buffer and _words(*buffer, piece) > MAX_WORDS:
                yield "\n\n".join(buffer)
                buffer = []
            buffer.append(piece)
    if buffer:
        yield "\n\n".join(buffer)


def _split(paragraph: str) -> Iterator[str]:
    if _words(paragraph) <= MAX_WORDS:
        yield paragraph
        return
    buffer: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+", paragraph):
        for piece in _hard_split(sentence):
            if buffer and _words(*buffer, piece) > MAX_WORDS:
                yield " ".join(buffer)
                buffer = []
            buffer.append(piece)
    yield " ".join(buffer)


def _hard_split(sentence: str) -> Iterator[str]:
    words = _WORD.findall(sentence)
    for start in range(0, len(words), MAX_WORDS):
        yield "".join(words[start : start + MAX_WORDS]).rstrip()


def _words(*pieces: str) -> int:
    return sum(len(_WORD.findall(piece)) for piece in pieces)
