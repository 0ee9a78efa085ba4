"""What is told beside an answer and an event: facts and plain words, made from the log alone."""

import pytest
from interaction_samples import ANNA, BEN, Tale, answered, asked, parked, proposed, resolved

from core import ContentClass, Json, Lane
from core.bodies import AnswerGiven
from core.parts import Grounds
from interaction.conversation_search import Words
from interaction.grounding import Grounding, grounding_of
from orchestration import fold, present
from orchestration.conversation_records import content_of
from orchestration.grounds import grounds_of


def _grounding(tale: Tale, text: str) -> Grounding:
    progress = fold(answered(tale, text).events)
    assert progress.answer is not None
    return grounding_of(progress, progress.answer, text)


def test_an_answer_says_how_many_of_its_sentences_have_a_source_and_whose() -> None:
    found = _grounding(asked(), "Within 30 days [1]. Keep the box. [1] Then write to us [7]!\nThank you")
    assert (found.sentences, found.sentences_cited) == (4, 2)
    assert (found.passages_shown, found.passages_cited, found.best_match) == (1, 1, "both_ways")
    assert found.cites_untrusted
    assert "outsiders" in found.says


def test_an_answer_that_cites_nothing_says_so() -> None:
    progress = fold(asked().events)
    found = grounding_of(progress, AnswerGiven(message=asked().keep(b"x", ContentClass.ANSWER)), "Within 30 days.")
    assert (found.passages_shown, found.passages_cited, found.sentences_cited) == (1, 0, 0)
    assert "cites none" in found.says


def test_a_citation_behind_the_last_full_stop_belongs_to_its_sentence() -> None:
    found = _grounding(asked(), "Within 30 days.  [1]")
    assert (found.sentences, found.sentences_cited) == (1, 1)


def test_numbers_that_were_read_nowhere_are_told_also_when_the_text_is_erased() -> None:
    progress = fold(answered(asked(), "Within 30 days. [1]").events)
    assert progress.answer is not None
    grounds = grounds_of("Within 30 days. [1] It costs 4.95 EUR, not 4.9. [1]", {1: "within 30 days"}, ["costs 4.95"])
    assert grounds == Grounds(sentences=2, cited=2, like_source=1, numbers=3, numbers_read=1)
    found = grounding_of(progress, progress.answer.model_copy(update={"grounds": grounds}), "(erased)")
    assert (found.sentences, found.sentences_like_source, found.numbers, found.numbers_read) == (2, 1, 3, 1)
    assert "2 numbers in it stand in nothing that the agent had read." in found.says


def test_an_erased_answer_has_no_sentences() -> None:
    assert _grounding(asked(), "(erased)").sentences == 0


async def _told(tale: Tale) -> dict[str, list[dict[str, Json]]]:
    told: dict[str, list[dict[str, Json]]] = {}
    for stored in tale.events:
        shown = await present(stored, tale.fetch)
        told.setdefault(str(shown["type"]), []).append(shown)
    return told


async def test_the_decision_tells_what_is_about_to_happen_and_the_wait_for_whom() -> None:
    told = await _told(answered(resolved(parked(asked()), BEN)))
    assert [event["phase"] for event in told["decision_made"]] == [
        "searching",
        "asking_model",
        "deciding",
        "calling_tool",
    ]
    waiting = told["run_parked"][0]
    assert waiting["waiting_for"] == {"roles": ["approver", "owner"], "until": waiting["until"]}
    assert told["approval_resolved"][0]["says"] == "It was approved."
    assert told["run_ended"][0]["phase"] == "ended"


async def test_a_refusal_tells_the_rule_and_what_to_do_next() -> None:
    told = await _told(proposed(asked(), Lane.NEVER, "Refunds are not given here."))
    refusal = told["decision_made"][-1]
    assert refusal["phase"] == "refused"
    assert refusal["says"] == "The rules do not allow it: Refunds are not given here."
    assert "ask an admin" in str(refusal["next"])


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [
        ("GEAST", "Das Geäst fiel.", True),
        ("strasse", "Straße", True),
        ("pole tent", "The tent has a pole.", True),
        ("pole lamp", "The tent has a pole.", False),
        ("  ", "anything", False),
    ],
)
def test_words_are_found_whatever_their_case_accents_and_order(words: str, text: str, found: bool) -> None:
    assert (Words(words).excerpt(text) is not None) is found


def test_an_excerpt_is_the_text_around_the_first_word() -> None:
    excerpt = Words("pole").excerpt(f"{'a ' * 200}the pole broke{' b' * 200}")
    assert excerpt is not None
    assert "the pole broke" in excerpt
    assert len(excerpt) < 200


async def test_who_asked_is_the_only_one_whose_words_are_theirs_to_erase() -> None:
    tale = answered(resolved(parked(asked()), BEN))
    kinds = [ref.kind for ref in content_of(tale.events, ANNA.principal.id)]
    assert ContentClass.REASON not in kinds
    assert {ContentClass.PROMPT, ContentClass.PASSAGES, ContentClass.ANSWER, ContentClass.ARGUMENTS} <= set(kinds)
