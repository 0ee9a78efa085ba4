"""Whose word an argument is: the user's, a trusted record's, or anybody's."""

from collections.abc import Mapping

import pytest

from core import Confidentiality, Integrity, Label
from orchestration.labelling import OWN_WORDS, Sources, label_arguments, untrusted
from tools import Leaf

RECORD = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.CONFIDENTIAL)
PASSAGE = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.PUBLIC)


def sources(words: str, *, record: Mapping[str, object] | None = None, passage: bool = True) -> Sources:
    """Return what a model has read: the user's words, a trusted record, and a passage that anybody may have written."""
    found = Sources(own_words=[words])
    if record is not None:
        found.records.append((record, RECORD))  # pyright: ignore[reportArgumentType] - JSON, spelt as a literal
    if passage:
        found.others.append(PASSAGE)
    return found


def label(value: str | int | bool, found: Sources, *, closed: bool = False) -> Label:
    return label_arguments({"value": Leaf(value, closed)}, found)["value"].label


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("Refund order A-20417, please.", "A-20417"),
        ("Refund order A-20417.", "A-20417"),
        ("(A-20417)", "A-20417"),
        ("Give back 490 cents", 490),
        ("Write to ruben.aalders@postbus.example!", "ruben.aalders@postbus.example"),
        ("Open a ticket: the left pole is bent.", "the left pole is bent"),
        ("Open a ticket:\nthe left\n pole is bent", "the left pole is bent"),
        ("Für Zoë: 5 Stück", "Zoë"),
    ],
)
def test_a_whole_span_of_what_the_user_said_is_theirs(words: str, value: str | int) -> None:
    assert label(value, sources(words)) == OWN_WORDS


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("Refund order A-204171", "A-20417"),
        ("Refund order XA-20417", "A-20417"),
        ("Refund order A-20417", "20417"),
        ("Refund order A-20417", 20417),
        ("Give back 4900 cents", 490),
        ("Give back 14.90 euros", 90),
        ("Give back 14,90 euros", 90),
        ("Give back 1,000 euros", 1),
        ("Give back 4.90 euros", 4),
        ("Give back 490 cents", 491),
        ("Write to not-ruben@postbus.example", "ruben@postbus.example"),
        ("Write to ruben@postbus.example.net", "ruben@postbus.example"),
        ("The left pole and the bent ring", "the left pole bent"),
        ("The left pole is bent", "bent pole"),
        ("The left pole is bent", ""),
        ("The left pole is bent", "?!"),
    ],
)
def test_what_the_user_did_not_say_whole_is_not_theirs(words: str, value: str | int) -> None:
    assert label(value, sources(words)).integrity is Integrity.UNTRUSTED


@pytest.mark.parametrize(
    ("words", "value"),
    [("490", -490), ("-490", 490), ("490", "-490"), ("4 90", "4(90)"), ("490", "490%"), ("490", "$490")],
)
def test_a_value_that_differs_in_its_signs_is_another_value(words: str, value: str | int) -> None:
    assert label(value, sources(f"Give back {words} of them")).integrity is Integrity.UNTRUSTED


@pytest.mark.parametrize("value", [True, False, "urgent"])
def test_a_choice_never_becomes_trusted_by_chance(*, value: str | bool) -> None:
    found = sources("This is urgent, true or false", record={"urgent": value})
    assert label(value, found, closed=True).integrity is Integrity.UNTRUSTED


def test_a_field_of_a_trusted_record_carries_its_label() -> None:
    found = sources("Look it up", record={"order": {"customer": "C-1007", "lines": [{"cents": 38900}]}})
    assert label("C-1007", found) == RECORD
    assert label(38900, found) == RECORD


@pytest.mark.parametrize("value", ["C-100", "38900", 389, "order", "customer"])
def test_part_of_a_field_its_name_or_another_type_is_no_field(value: str | int) -> None:
    found = sources("Look it up", record={"order": {"customer": "C-1007", "cents": 38900}})
    assert label(value, found).integrity is Integrity.UNTRUSTED


def test_the_word_of_a_passage_carries_the_join_of_all_that_was_read() -> None:
    joined = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.CONFIDENTIAL)
    assert label("attacker@evil.example", sources("Hello", record={"x": 1})) == joined


def test_what_a_model_makes_up_is_as_trusted_as_all_it_has_read() -> None:
    assert label("a summary in its own words", sources("Hello", passage=False)) == OWN_WORDS


def test_each_argument_is_labelled_by_itself() -> None:
    leaves = {"order": Leaf("A-1", closed=False), "to": Leaf("x@y.example", closed=False)}
    assert untrusted(label_arguments(leaves, sources("Refund A-1"))) == ("to",)
