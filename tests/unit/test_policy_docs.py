"""The policies in plain words: the page is that of the set, every fact has words, every operator is said."""

from pathlib import Path

import pytest

from control import ACTION_WORDS, FACT_WORDS, Layer, facts_of, parse_layer, publisher_text, words_of
from core import ActionKind
from mandate.policy_docs import FILE, page

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_policies_say() -> None:
    assert (ROOT / FILE).read_text(encoding="utf-8") == page(ROOT), "run `mandate policy docs`"


def test_every_fact_has_words_and_no_other_has() -> None:
    assert {name for kind in ActionKind for name in facts_of(kind)} == set(FACT_WORDS)
    booleans = {name for kind in ActionKind for name, type_ in facts_of(kind).items() if type_.kind == "Bool"}
    assert {name for name, words in FACT_WORDS.items() if words.no} == booleans
    assert set(ACTION_WORDS) == set(ActionKind)


def test_no_policy_of_ours_is_told_in_the_words_of_a_program() -> None:
    for rule in parse_layer(Layer.PUBLISHER, publisher_text()):
        assert "{" not in words_of(rule).applies
        assert "context" not in words_of(rule).applies


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("context.entitled", "when the organisation's plan includes this"),
        ("!context.entitled", "when the organisation's plan does not include this, or is not active"),
        ("context.hour + 1 < 8", "when the hour of the day plus 1 is less than 8"),
        ("!(context.hour >= 8)", "when it is not so that the hour of the day is at least 8"),
        ('context.agent like "su*"', "when the agent looks like `su*`"),
        (
            'context.plan == "a" || context.plan == "b" && context.entitled',
            "when either the organisation's plan is `a`, or (the organisation's plan is `b`, and the organisation's"
            " plan includes this)",
        ),
        (
            "if context.entitled then context.hour > 1 else principal is Mandate::User",
            "when (if the organisation's plan includes this, then the hour of the day is more than 1, otherwise who"
            " acts is a person, without an agent)",
        ),
        ('["a", "b"].contains(context.plan)', "when the organisation's plan is among `a` or `b`"),
        ("context.confidentiality_rank >= 2", "is at least `confidential`"),
        ("!context.user_groups.isEmpty()", "when there are some of the person's groups"),
        ('principal == Mandate::Agent::"support"', "when who acts is an agent named `support`"),
    ],
)
def test_a_condition_is_said_in_plain_words(condition: str, said: str) -> None:
    text = f'@id("a") @lane("never") @reason("R") forbid (principal, action, resource) when {{ {condition} }};'
    assert said in words_of(parse_layer(Layer.TENANT, text)[0]).applies


def test_the_scope_is_said_as_well() -> None:
    text = (
        '@id("a") @lane("never") @reason("R") forbid (principal == Mandate::Agent::"support", '
        'action == Mandate::Action::"call_tool", resource == Mandate::Tool::"send_email");'
    )
    words = words_of(parse_layer(Layer.TENANT, text)[0])
    assert (words.about, words.applies) == (
        (ActionKind.CALL_TOOL,),
        "to an agent named `support`, to a tool named `send_email`",
    )
