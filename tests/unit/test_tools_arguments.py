"""Whatever text a model emits as arguments is either exactly what the schema asks for, or refused politely."""

import json
from enum import StrEnum
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from core import Effect, RunId, canonical
from core.errors import Unprocessable
from tools import MAX_ARGUMENT_BYTES, Tool, ToolCall, idempotency_key, tool


class Receipt(BaseModel):
    id: str


class Reason(StrEnum):
    LATE = "late"
    BROKEN = "broken"


@tool(effect=Effect.WRITE, reversible=False, consequence="Pays {amount_cents:money}.")
async def pay(
    call: ToolCall,
    *,
    order_id: Annotated[str, Field(pattern=r"^[A-Z]-[0-9]{5}$", description="Order number.")],
    amount_cents: Annotated[int, Field(gt=0, le=10_000, description="Cents.")],
    reason: Annotated[Reason, Field(description="Why.")],
    tags: Annotated[list[str], Field(max_length=3, description="Tags.")] = [],  # noqa: B006 - a tool's default, never changed
    urgent: Annotated[bool, Field(description="At once.")] = False,
) -> Receipt:
    """Pay."""
    return Receipt(id="1")


GOOD: dict[str, object] = {"order_id": "A-12345", "amount_cents": 1250, "reason": "late"}


def refused(raw: str, which: Tool = pay) -> str:
    with pytest.raises(Unprocessable) as caught:
        which.parse(raw)
    assert caught.value.code == "tool.arguments"
    return caught.value.message


def test_valid_arguments_come_out_with_their_defaults() -> None:
    assert pay.parse(json.dumps(GOOD)).values == {**GOOD, "tags": [], "urgent": False}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"amount_cents": "1250"}, "amount_cents: should be a valid integer"),
        ({"amount_cents": 1250.0}, "amount_cents"),
        ({"amount_cents": True}, "amount_cents"),
        ({"amount_cents": 0}, "greater than 0"),
        ({"amount_cents": 10**30}, "amount_cents"),
        ({"order_id": 12345}, "order_id"),
        ({"order_id": "A-12345\n"}, "should match pattern"),
        ({"reason": "because"}, "'late' or 'broken'"),
        ({"urgent": "yes"}, "urgent"),
        ({"urgent": 1}, "urgent"),
        ({"tags": ["a", "b", "c", "d"]}, "tags"),
        ({"tags": None}, "tags"),
        ({"tenant": "other"}, "its fields are: amount_cents, order_id, reason, tags, urgent"),
    ],
)
def test_a_value_of_another_type_or_range_or_an_unknown_field_is_refused(change: dict[str, object], says: str) -> None:
    assert says in refused(json.dumps(GOOD | change))


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "null",
        "[]",
        '"text"',
        "{}",
        json.dumps(GOOD)[:-1],
        json.dumps(GOOD) + "x",
        json.dumps(GOOD)[:-1] + ', "amount_cents": 1}',
        '{"order_id": "A-12345", "amount_cents": NaN, "reason": "late"}',
        '{"order_id": "A-12345", "amount_cents": Infinity, "reason": "late"}',
        "[" * 20_000,
        "9" * 10_000,
        '{"order_id": "\\ud800", "amount_cents": 1, "reason": "late"}',
        '{"order_id": "\ud800", "amount_cents": 1, "reason": "late"}',
        "\ufeff" + json.dumps(GOOD),
    ],
    ids=lambda raw: ascii(raw[:20]),
)
def test_text_that_is_not_one_plain_json_object_is_refused(raw: str) -> None:
    refused(raw)


def test_a_text_is_refused_for_its_size_in_bytes() -> None:
    padded = json.dumps(GOOD) + " " * MAX_ARGUMENT_BYTES
    assert "longer than" in refused(padded)
    assert "longer than" in refused('{"order_id": "' + "ü" * (MAX_ARGUMENT_BYTES // 2) + '"}')


def test_a_refusal_repeats_nothing_of_what_was_given() -> None:
    raw = json.dumps(
        {"order_id": "CANARY-1", "amount_cents": "CANARY-2", "reason": "CANARY-3", "CANARY-4": ["CANARY-5"]}
    )
    assert "CANARY" not in refused(raw)
    assert "CANARY" not in refused(json.dumps(GOOD | {"tags": {"CANARY": 1}}))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
_near = st.fixed_dictionaries(
    {},
    optional={
        "order_id": st.just("A-12345") | _json,
        "amount_cents": st.integers(-5, 20_000) | _json,
        "reason": st.sampled_from(["late", "broken"]) | _json,
        "tags": st.lists(st.text(), max_size=4) | _json,
        "urgent": st.booleans() | _json,
        "extra": _json,
    },
)


@given(st.one_of(st.text(st.characters()), _json.map(json.dumps), _near.map(json.dumps)))
def test_any_text_is_valid_or_refused_and_nothing_else(raw: str) -> None:
    try:
        arguments = pay.parse(raw)
    except Unprocessable:
        return
    assert pay.parse(canonical(arguments.values).decode()) == arguments
    assert json.loads(raw).items() <= dict(arguments.values).items()


def test_one_call_of_one_run_has_one_key_and_no_other_has_it() -> None:
    run = RunId("run_1")
    key = idempotency_key(run, 1, 2, "commitment")
    assert key == idempotency_key(run, 1, 2, "commitment")
    others = [(RunId("run_2"), 1, 2, "commitment"), (run, 2, 2, "commitment"), (run, 1, 3, "commitment")]
    others += [(run, 12, 0, "commitment"), (run, 1, 2, "other")]
    assert key not in {idempotency_key(*other) for other in others}
