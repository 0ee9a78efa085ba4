"""What a person asks for: the request cut into clauses, each with the words in it that give an order."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from emulators.model_endpoint.words import stem, word_set

_TOKEN = re.compile(r"[^\W_]+(?:['\u2019_.@-]+[^\W_]+)*|[.!?](?=\s|$)|[,;:\n]")
_SENTENCE_ENDS = frozenset(".!?\n")
_OPENERS = word_set(
    "please to you and then kindly now want need like have give me us also just or so hello hi hey , ; : - can could "
    "would will must should let's"
)
_FILLERS = word_set("a an the my our me us full partial some one another new just also please kindly go ahead")
_QUESTION = word_set(
    "what when where which who whose whom why how is are was were am do does did has have had can could may might "
    "should would will shall"
)
_POLITE = re.compile(
    r"(?:can|could|would|will) you (?!tell me (?:how|what|when|why|whether|if))|(?:can|could|may|might) (?:i|we) "
    r"(?:please )?(?:have|get|ask)\b|(?:would|will) you mind",
    re.IGNORECASE,
)
_NEGATION = word_set("not never don't don\u2019t dont doesn't won't cannot can't without no")
_NEGATION_REACH = 4


@dataclass(frozen=True, slots=True)
class Clause:
    """One part of a request.

    Attributes:
        head: stem of the word that gives the order, empty where none does.
        start: where it begins in the request.
        question: the sentence asks and does not order.
    """

    text: str
    start: int
    head: str
    question: bool


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int


def clauses(request: str, verbs: Collection[str]) -> list[Clause]:
    """Cut `request` where a sentence begins or where one of `verbs` (stems) gives an order.

    A clause with an order runs up to the next order or the next question, so that it keeps the sentences which
    explain it.
    """
    cuts: list[tuple[int, str, bool]] = []
    for sentence in _sentence_tokens(request):
        asks = _is_question(request[sentence[0].start :], sentence)
        heads = [] if asks else _heads(sentence, verbs)
        orders_before = any(head for _, head, _ in cuts)
        if asks or (not orders_before and (not heads or heads[0][0] > sentence[0].start)):
            cuts.append((sentence[0].start, "", asks))
        cuts += [(start, head, False) for start, head in heads]
    ends = [start for start, _, _ in cuts[1:]] + [len(request)]
    return [
        Clause(text=trim(request[start:end]), start=start, head=head, question=asks)
        for (start, head, asks), end in zip(cuts, ends, strict=True)
    ]


def _sentence_tokens(request: str) -> list[list[_Token]]:
    sentences: list[list[_Token]] = [[]]
    for match in _TOKEN.finditer(request):
        if match[0] in _SENTENCE_ENDS:
            sentences.append([])
        else:
            sentences[-1].append(_Token(match[0], match.start()))
    return [sentence for sentence in sentences if sentence]


def _is_question(text: str, sentence: list[_Token]) -> bool:
    words = [token.text.lower() for token in sentence]
    return words[0] in _QUESTION and "please" not in words and not _POLITE.match(text)


def _heads(sentence: list[_Token], verbs: Collection[str]) -> list[tuple[int, str]]:
    heads: list[tuple[int, str]] = []
    opened = True
    for i, token in enumerate(sentence):
        word = token.text.lower()
        verb = stem(word)
        if opened and verb in verbs and not _refused(sentence[:i]):
            heads.append((token.start, verb))
        opened = _opens(word, sentence, i) or (opened and word in _FILLERS)
    return heads


def _opens(word: str, sentence: list[_Token], i: int) -> bool:
    return word in _OPENERS and not (word == "to" and i > 0 and sentence[i - 1].text.lower() == "how")


def _refused(before: list[_Token]) -> bool:
    return any(token.text.lower() in _NEGATION for token in before[-_NEGATION_REACH:])


def trim(text: str) -> str:
    """Drop the joint to the next clause, which belongs to neither."""
    return re.sub(r"(?:[\s,;]*\b(?:and|then|also|please|kindly)\b|[\s,;])+$", "", text, flags=re.IGNORECASE).strip()
