"""Answers from documents: whole sentences of the passages that fit the question best, each with its `[n]`."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from emulators.model_endpoint.conversation import Passage
from emulators.model_endpoint.words import stem, stems

UNKNOWN = "I do not know: the documents I was given do not answer this."

_SAME = (
    *("price cost fee charge", "ship deliver delivery dispatch", "warranty guarantee", "cancel terminate"),
    *("broken faulty defective damaged", "buy purchase", "repair fix", "refund reimburse", "reply respond answer"),
    *("begin start", "delete erase remove"),
    *("1 one", "2 two", "3 three", "4 four", "5 five", "6 six", "7 seven", "8 eight", "9 nine", "10 ten"),
)
_TOPICS = {stem(word): group.split()[0] for group in _SAME for word in group.split()}
_SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"'\u201d)]))\s+(?=[^a-z\s])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|[Nn]o|[Nn]r|approx|Dr|Mr|Mrs|Ms|St|vs|etc|[A-Z])\.$")
_STARTS_A_LINE = re.compile(r"^\s*(?:#{1,6}\s+|[-*+]\s+|\d{1,3}[.)]\s+|\|)")
_HEADING = re.compile(r"^\s*#{1,6}\s+")
_ASKS_AMOUNT = re.compile(r"\b(?:how (?:long|many|much|often|soon|far)|when|what time)\b", re.IGNORECASE)

_ASKS_WAY = re.compile(
    r"\b(?:how (?:do|can|should|to|does)|what (?:can|should|now|do i do)|what to do)\b", re.IGNORECASE
)
_DIGIT = re.compile(r"\d")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][\w-]{2,}")

_CONTEXT_WEIGHT = 0.5
_AMOUNT_BONUS = 1.2
_RANK_MALUS = 0.04
_OTHER_PASSAGE = 0.4
_LEAST_COVERAGE = 0.4
_LEAST_WORDS = 2
_LEAST_GAIN = 0.2
_MOST_SENTENCES = 3


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of a passage.

    Attributes:
        place: where it stands among all sentences of all passages.
        context: words of the passage's title and of the heading above the sentence.
    """

    place: int
    number: int
    rank: int
    text: str
    words: frozenset[str]
    context: frozenset[str]


def answer(question: str, passages: Sequence[Passage]) -> str | None:
    """Return one to three sentences out of `passages`, each followed by its number, or None if none answers.

    Sentences are ranked by the words that they share with the question, each weighing as much as it is rare among all
    sentences, those of its heading half; earlier passages are trusted a little more. The best one counts as an answer
    if it holds two of the question's words and two fifths of them, names counted twice.
    """
    sentences = _sentences(passages)
    wanted = frozenset(_topics(question))
    if not wanted or not sentences:
        return None
    seen = Counter(word for sentence in sentences for word in sentence.words | sentence.context)
    weight = {word: math.log(1 + len(sentences) / seen[word]) for word in wanted if seen[word]}
    bonus = _AMOUNT_BONUS if _ASKS_AMOUNT.search(question) else 1.0
    best = max(sentences, key=lambda sentence: _score(sentence, weight, bonus))
    if not _answers(best, wanted, question):
        return None
    chosen = _with_more(best, sentences, weight)
    if len(chosen) == 1 and _ASKS_WAY.search(question):
        chosen += [s for s in sentences if s.place == best.place + 1 and s.number == best.number]
    return " ".join(f"{sentence.text} [{sentence.number}]" for sentence in chosen)


def _score(sentence: _Sentence, weight: dict[str, float], amount_bonus: float) -> float:
    own = sum(value for word, value in weight.items() if word in sentence.words)
    if not own:
        return 0.0
    context = sum(value for word, value in weight.items() if word in sentence.context - sentence.words)
    bonus = amount_bonus if _DIGIT.search(sentence.text) else 1.0
    return (own + _CONTEXT_WEIGHT * context) * bonus * (1 - _RANK_MALUS * min(sentence.rank, 10))


def _answers(best: _Sentence, wanted: frozenset[str], question: str) -> bool:
    held = wanted & (best.words | best.context)
    names = wanted & {word for name in _NAME.findall(question) for word in _topics(name)}
    coverage = (len(held) + len(held & names)) / (len(wanted) + len(names))
    return len(held) >= min(_LEAST_WORDS, len(wanted)) and coverage >= _LEAST_COVERAGE


def _with_more(best: _Sentence, sentences: Sequence[_Sentence], weight: dict[str, float]) -> list[_Sentence]:
    """Add sentences that hold what the chosen ones lack of the question, rather of the same passage."""
    chosen = [best]
    covered = set(best.words)
    least = _LEAST_GAIN * sum(weight.values())

    def gain(sentence: _Sentence) -> float:
        fresh = sum(value for word, value in weight.items() if word in sentence.words - covered)
        return fresh * (1.0 if sentence.number == best.number else _OTHER_PASSAGE)

    while len(chosen) < _MOST_SENTENCES:
        further = max(sentences, key=gain)
        if gain(further) <= least:
            break
        chosen.append(further)
        covered |= further.words
    return chosen


def _topics(text: str) -> list[str]:
    return [_TOPICS.get(word, word) for word in stems(text)]


def _sentences(passages: Sequence[Passage]) -> list[_Sentence]:
    found: list[_Sentence] = []
    for rank, passage in enumerate(passages):
        title = frozenset(_topics(passage.title))
        heading: frozenset[str] = frozenset()
        for block in _blocks(passage.text):
            if _HEADING.match(block):
                heading = frozenset(_topics(block))
                continue
            for text in _split(_STARTS_A_LINE.sub("", block, count=1)):
                if words := frozenset(_topics(text)):
                    found.append(_Sentence(len(found), passage.number, rank, text, words, title | heading))
    return found


def _blocks(text: str) -> list[str]:
    """Join wrapped lines into paragraphs; a list item, a heading or a table row stands for itself."""
    blocks = [""]
    for line in text.splitlines():
        starts = not line.strip() or _STARTS_A_LINE.match(line) or _HEADING.match(blocks[-1])
        if starts or not blocks[-1]:
            blocks.append(line.strip())
        else:
            blocks[-1] += f" {line.strip()}"
    return [block for block in blocks if block]


def _split(paragraph: str) -> list[str]:
    parts: list[str] = []
    for piece in _SENTENCE_END.split(paragraph):
        if parts and _ABBREVIATION.search(parts[-1]):
            parts[-1] += f" {piece}"
        else:
            parts.append(piece.strip())
    return [part for part in parts if part]
