"""What an answer rests on: facts counted from the log. No measure of truth, and no number that looks like one."""

from typing import Literal

from core import Integrity
from core.bodies import AnswerGiven
from core.parts import Grounds, PassageUse
from interaction.answers import Told
from orchestration import ERASED, Progress, markers_in, sentences_of

Match = Literal["none", "one_way", "both_ways"]

INCOMPLETE = "A source of the organisation did not answer when this was asked, so something may be missing."


class Grounding(Told):
    """What can be counted of an answer. None of it says that the answer is right.

    Attributes:
        knowledge_used: whether the organisation's documents were searched for it.
        passages_shown: how many passages the agent was shown.
        passages_cited: how many of them the answer cites.
        sentences: how many the answer has.
        sentences_cited: how many of these carry a citation of a passage that was shown.
        cites_untrusted: whether any cited passage is from a document that outsiders could have written in.
        best_match: how the closest passage was found: by its wording and by its meaning (`both_ways`), by one of
            the two (`one_way`), or not at all (`none`).
        sentences_like_source: how many of those that cite share at least half of their longer words with what they
            cite; null where it was not counted when the answer was given. So also the two below.
        numbers: how many different numbers the answer has.
        numbers_read: how many of these stand in something that the agent had read.
        says: the same in a sentence or a few.
    """

    knowledge_used: bool
    passages_shown: int
    passages_cited: int
    sentences: int
    sentences_cited: int
    cites_untrusted: bool
    best_match: Match
    sentences_like_source: int | None
    numbers: int | None
    numbers_read: int | None
    says: str


def grounding_of(progress: Progress, answer: AnswerGiven, text: str) -> Grounding:
    """Return what `text`, the answer, rests on as far as the log can tell."""
    shown = progress.retrieved.passages if progress.retrieved else ()
    cited_ids = {citation.passage for citation in answer.citations}
    cited = [passage for passage in shown if passage.passage in cited_ids]
    sentences, with_marker = _sentences(answer, text)
    grounds = answer.grounds
    untrusted = any(passage.label.integrity is Integrity.UNTRUSTED for passage in cited)
    return Grounding(
        knowledge_used=progress.retrieved is not None,
        passages_shown=len(shown),
        passages_cited=len(cited),
        sentences=sentences,
        sentences_cited=with_marker,
        cites_untrusted=untrusted,
        best_match=_best_match(shown),
        sentences_like_source=grounds.like_source if grounds else None,
        numbers=grounds.numbers if grounds else None,
        numbers_read=grounds.numbers_read if grounds else None,
        says=(f"{INCOMPLETE} " if progress.retrieved and progress.retrieved.silent else "")
        + _says(
            searched=progress.retrieved is not None,
            shown=len(shown),
            cited=len(cited),
            sentences=sentences,
            with_marker=with_marker,
            untrusted=untrusted,
        )
        + _from_nowhere(grounds),
    )


def _sentences(answer: AnswerGiven, text: str) -> tuple[int, int]:
    """Return how many sentences there are, and how many cite; of older answers from their text, while it is there."""
    if answer.grounds:
        return answer.grounds.sentences, answer.grounds.cited
    markers = {citation.marker for citation in answer.citations}
    sentences = [] if text == ERASED else sentences_of(text)
    return len(sentences), sum(any(n in markers for n in markers_in(part)) for part in sentences)


def _from_nowhere(grounds: Grounds | None) -> str:
    missing = grounds.numbers - grounds.numbers_read if grounds else 0
    if not missing:
        return ""
    stands = "stands" if missing == 1 else "stand"
    return f" {_count(missing, 'number')} in it {stands} in nothing that the agent had read."


def _best_match(shown: tuple[PassageUse, ...]) -> Match:
    if not shown:
        return "none"
    best = max(shown, key=lambda passage: passage.score)
    return "both_ways" if best.rank_vector and best.rank_text else "one_way"


def _says(*, searched: bool, shown: int, cited: int, sentences: int, with_marker: int, untrusted: bool) -> str:
    if not searched:
        return "The organisation's documents were not searched for this answer. Check it before you rely on it."
    if not shown:
        return "No passage of the organisation's documents fitted the question. Check the answer before you rely on it."
    if not cited:
        return f"The agent was shown {_count(shown, 'passage')}, and the answer cites none. Check it elsewhere."
    told = f"Sentences with a source: {with_marker} of {sentences}. Passages cited: {cited} of {shown}."
    check = "Open the sources to see whether they say so."
    if untrusted:
        return f"{told} A cited text may have been written by outsiders. {check}"
    return f"{told} {check}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
