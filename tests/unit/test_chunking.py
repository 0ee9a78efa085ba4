"""Cutting documents: nothing is lost, passages are of a size to be read, and each knows where it stood."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.chunking import MAX_WORDS, chunk_markdown

MANUAL = """# Tent

Keep it dry.

## Care

Wash it by hand.

### Stains

Soap will do.

## Repair ##

Send it in.
"""


def words(text: str) -> list[str]:
    return text.split()


def test_each_passage_stands_under_its_headings() -> None:
    assert [(chunk.heading, chunk.text) for chunk in chunk_markdown("Tent", MANUAL)] == [
        ("Tent", "Keep it dry."),
        ("Tent › Care", "Wash it by hand."),
        ("Tent › Care › Stains", "Soap will do."),
        ("Tent › Repair", "Send it in."),
    ]


def test_the_title_stands_above_headings_that_do_not_repeat_it() -> None:
    assert [chunk.heading for chunk in chunk_markdown("Manual 7", MANUAL)][:2] == [
        "Manual 7 › Tent",
        "Manual 7 › Tent › Care",
    ]


def test_a_text_without_headings_stands_under_its_title() -> None:
    (chunk,) = chunk_markdown("Note", "One line.\r\nAnother.\r\n\r\nA paragraph.")
    assert (chunk.heading, chunk.text) == ("Note", "One line.\nAnother.\n\nA paragraph.")


def test_short_paragraphs_of_a_section_are_read_together_and_lists_keep_their_lines() -> None:
    (chunk,) = chunk_markdown("T", "Bring:\n\n- a rope\n- a lamp\n\nThen wait.")
    assert chunk.text == "Bring:\n\n- a rope\n- a lamp\n\nThen wait."


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    sentence = " ".join(["word"] * 49) + " end."
    chunks = chunk_markdown("T", " ".join([sentence] * 5))
    assert [chunk.text.count("end.") for chunk in chunks] == [2, 2, 1]
    assert all(chunk.text.endswith("end.") for chunk in chunks)


@pytest.mark.parametrize("text", ["", "  \n\n \n", "\r\n"])
def test_nothing_gives_no_passage(text: str) -> None:
    assert chunk_markdown("T", text) == []


@pytest.mark.parametrize("space", [" ", "\n", "\t", "  ", "\n\n"], ids=["space", "line", "tab", "spaces", "paragraph"])
def test_no_passage_is_too_long_however_its_words_are_set(space: str) -> None:
    text = space.join(f"w{number}" for number in range(1000))
    chunks = chunk_markdown("T", text)
    assert max(len(words(chunk.text)) for chunk in chunks) <= MAX_WORDS
    assert words(" ".join(chunk.text for chunk in chunks)) == words(text)


def test_no_passage_is_too_long_where_a_script_sets_no_spaces() -> None:
    text = "帐篷要保持干燥" * 2000
    chunks = chunk_markdown("T", text)
    assert max(len(chunk.text) for chunk in chunks) <= 4000
    assert "".join(chunk.text for chunk in chunks) == text


PLAIN = st.text(st.sampled_from(list("abc d.!?\n\t-é你 ")), max_size=2000)


@given(PLAIN)
def test_no_word_is_lost_or_moved(text: str) -> None:
    chunks = chunk_markdown("T", text)
    assert [word for chunk in chunks for word in words(chunk.text)] == words(text)
    assert all(0 < len(words(chunk.text)) <= MAX_WORDS for chunk in chunks)


SECTION = st.tuples(st.integers(1, 6), st.text(st.sampled_from("xyz"), min_size=1, max_size=5), PLAIN)


@given(st.lists(SECTION, max_size=6))
def test_every_section_keeps_its_text_under_its_heading(sections: list[tuple[int, str, str]]) -> None:
    text = "\n\n".join(f"{'#' * level} {name}\n\n{body}" for level, name, body in sections)
    chunks = chunk_markdown("T", text)
    said = [(name, word) for _, name, body in sections for word in words(body)]
    assert [(re.split(" › ", chunk.heading)[-1], word) for chunk in chunks for word in words(chunk.text)] == said
