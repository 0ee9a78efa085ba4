"""Whose word an argument is: the user's, a trusted record's, or anybody's."""

from collections.abc import Mapping

import pytest

from core import Confidentiality, Integrity, Label, Origin
from orchestration.labelling import OWN_WORDS, Sources, Traced, label_arguments, untrusted
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


def trace(
    value: str | int,
    words: str,
    *,
    record: Mapping[str, object] | None = None,
    choices: frozenset[str] = frozenset(),
    money: bool = False,
    prose: bool = False,
) -> Traced:
    leaf = Leaf(value, closed=bool(choices), choices=choices, money=money, prose=prose)
    return sources(words, record=record).trace(leaf)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("Refund a\u201120417", "A-20417"),
        ("Refund A\u201320417.", "A-20417"),
        ("Write to Ruben@Postbus.Example", "ruben@postbus.example"),
        ("\uff21-20417", "A-20417"),
        ("It says \u201cbroken\u201d, and it\u2019s wet", "It's wet"),
        ("A-20\u200b417 is late", "A-20417"),
        ("Zoe\u0308 called", "Zo\u00eb"),
    ],
)
def test_another_spelling_of_what_the_user_said_is_theirs(words: str, value: str) -> None:
    assert trace(value, words) == Traced(OWN_WORDS, Origin.NORMALISED)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("Refund A-2\u200b0417", "A-2"),
        ("A room of 5\u00b2", "52"),
        ("\u00bd", "1"),
        ("Zoe\u0301 called", "Zoe"),
        ("\u0915\u093f\u0924\u093e\u092c", "\u0915"),
        ("Refund A-20417", "A-20\u200b417"),
        ("Write to ruben@postbus.example", "ruben@p\u043estbus.example"),
        ("Refund A-20417", "A-2041"),
    ],
)
def test_what_only_looks_like_it_or_is_cut_out_of_it_is_not(words: str, value: str) -> None:
    assert trace(value, words).untrusted


@pytest.mark.parametrize(
    ("words", "cents"),
    [
        ("Refund 12.50", 1250),
        ("Refund 12,50.", 1250),
        ("Refund \u20ac 12.50", 1250),
        ("Refund \u20ac12", 1200),
        ("Refund 12 euros", 1200),
        ("Refund EUR 1,250.00", 125000),
        ("Refund 1.250,00 EUR", 125000),
        ("Refund 1'250.00 CHF", 125000),
        ("Refund 1.250 EUR", 125000),
        ("Refund 490 cents", 490),
        ("Refund 1250.00, please", 125000),
        ("Refund \uff11\uff12.50", 1250),
    ],
)
def test_an_amount_that_the_user_named_is_theirs(words: str, cents: int) -> None:
    assert trace(cents, words, money=True) == Traced(OWN_WORDS, Origin.NORMALISED)


@pytest.mark.parametrize(
    ("words", "cents"),
    [
        ("Refund 12.50", 125000),
        ("Refund 12.50 %", 1250),
        ("Refund 12.505", 1250),
        ("Refund -12.50", 1250),
        ("Refund 112.50", 1250),
        ("Refund 1.250.00", 125000),
        ("The 2 tents of A-12", 200),
        ("Refund 490 euros", 490),
        ("Since 03.12.2026", 312),
        ("Refund 12.50", 250),
        ("A-12.50", 1250),
    ],
)
def test_a_number_that_is_another_amount_or_none_is_not(words: str, cents: int) -> None:
    assert trace(cents, words, money=True).untrusted


ORDER: Mapping[str, object] = {
    "id": "A-1",
    "total_cents": 26300,
    "refunded_cents": 300,
    "items": [{"quantity": 3, "price_cents": 1790}, {"quantity": 1, "price_cents": 840}],
}


@pytest.mark.parametrize(
    ("words", "value"), [("All", 2630), ("All three", 5370), ("The rest", 26000), ("All items", 4)]
)
def test_what_follows_from_one_record_is_as_good_as_the_record(words: str, value: int) -> None:
    assert trace(value, words, record=ORDER, money=True) == Traced(RECORD, Origin.COMPUTED)


@pytest.mark.parametrize(
    ("words", "value"), [("Give half back", 13150), ("Give 10 % back", 2630), ("33 percent", 8679), ("10 %", 179)]
)
def test_a_share_that_the_user_named_is_theirs_and_the_records(words: str, value: int) -> None:
    found = trace(value, words, record={"total_cents": 26300, "fee_cents": 1790}, money=True)
    assert found == Traced(RECORD.join(OWN_WORDS), Origin.COMPUTED)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("Some", 13150),
        ("Give it back", 2631),
        ("10 of them", 2630),
        ("110 %", 28930),
        ("All", 28090),
        ("x", 1),
        ("x", 0),
    ],
)
def test_a_number_that_no_rule_gives_is_as_good_as_all_that_was_read(words: str, value: int) -> None:
    """Two fields of one object are neither added up nor divided."""
    assert trace(value, words, record={"total_cents": 26300, "fee_cents": 1790}, money=True).origin is Origin.READ


def test_two_records_do_not_add_up() -> None:
    found = sources("All of both")
    found.records += [({"cents": 1100}, RECORD), ({"cents": 2200}, RECORD)]
    assert found.trace(Leaf(3300, closed=False, money=True)).untrusted
    assert found.trace(Leaf(1100, closed=False, money=True)).origin is Origin.RECORD


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("Make it urgent", True),
        ("URGENT!", True),
        ("urgent or normal?", False),
        ("Make it so", False),
        ("urgently", False),
    ],
)
def test_a_choice_is_the_users_if_they_named_it_and_no_other(words: str, *, named: bool) -> None:
    found = trace("urgent", words, choices=frozenset({"urgent", "normal"}))
    assert found.origin is (Origin.NAMED_CHOICE if named else Origin.READ)
    assert found.untrusted is not named


def test_prose_from_elsewhere_keeps_its_label_and_acts_only_where_it_leads_somewhere() -> None:
    plain, link = trace("The pole is bent", "Hello", prose=True), trace("See evil.example/x", "Hello", prose=True)
    assert plain.untrusted
    assert not plain.acts
    assert link.untrusted
    assert link.acts
    assert untrusted({"a": plain, "b": link}) == ("b",)
    assert untrusted({"a": plain, "b": link}, acts=False) == ("a",)


@pytest.mark.parametrize(
    "text",
    [
        "Write to ruben@postbus.example today",
        "See https://shop.example/terms, please",
        "Customer C-1007, order A-20417, of 2026-11-22, 1.250,00 EUR, 3 pieces at 12.50",
        "He waits since 10:30; it weighs 3.5 kg, and is no. 4 of 12",
        "The record has info@record.example in it",
    ],
)
def test_addresses_that_user_or_record_gave_lead_nowhere_else(text: str) -> None:
    words = "Tell ruben@postbus.example of https://shop.example/terms"
    assert not trace(text, words, record={"email": "Info@record.example"}, prose=True).acts


@pytest.mark.parametrize("text", ["shop.example/other", "ruben@postbus.example.net", "https://shop.example/terms/x"])
def test_what_only_begins_like_an_address_that_the_user_gave_acts(text: str) -> None:
    assert trace(text, "Tell ruben@postbus.example of https://shop.example/terms", prose=True).acts


def test_that_a_tool_is_used_is_the_persons_choice_only_if_this_turn_names_it() -> None:
    found = sources("Open a Ticket for it")
    assert found.chosen(("ticket",)) is Integrity.TRUSTED
    assert found.chosen(("tick",)) is Integrity.UNTRUSTED
    found.own_words.append("And what does the letter say?")
    assert found.chosen(("ticket",)) is Integrity.UNTRUSTED
    assert sources("Hello", passage=False).chosen(("ticket",)) is Integrity.TRUSTED
