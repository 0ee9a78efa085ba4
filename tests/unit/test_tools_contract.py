"""What a tool offers a model, what it refuses to be, and what an approver reads of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from core import Confidentiality, Effect, Facts, Integrity, Json, Label
from core.errors import Defect
from tools import Refusal, Registry, Tool, ToolCall, tool


class Receipt(BaseModel):
    id: str


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sku: str
    express: bool
    colour: Colour | None = None


Text = Annotated[str, Field(description="Any text.")]
Speed = Annotated[Literal["slow", "fast"], Field(description="How fast.")]


def make(function: Any, **changes: Any) -> Tool:
    declared: dict[str, Any] = {"effect": Effect.WRITE, "reversible": True, "consequence": "Does it."}
    return tool(**declared | changes)(function)


async def order_lines(
    call: ToolCall,
    title: Annotated[str, Field(max_length=5, description="A title.")],
    lines: Annotated[list[Line], Field(description="What to order.")],
    speed: Annotated[Literal["slow", "fast"], Field(description="How fast.")] = "slow",
) -> Receipt | Refusal:
    """Order things.

    Only when asked to.
    """
    return Receipt(id="1")


def test_schema_and_description_come_from_the_function() -> None:
    made = make(order_lines)
    assert made.name == "order_lines"
    assert made.description == "Order things. Only when asked to."
    properties = made.parameters["properties"]
    assert isinstance(properties, Mapping)
    assert properties["title"] == {"description": "A title.", "maxLength": 5, "type": "string"}
    assert properties["speed"] == {
        "default": "slow",
        "description": "How fast.",
        "enum": ["slow", "fast"],
        "type": "string",
    }
    assert made.parameters["required"] == ["title", "lines"]
    assert made.parameters["additionalProperties"] is False


def test_a_model_is_offered_name_description_and_parameters_of_the_tools_that_the_agent_may_use() -> None:
    made = make(order_lines)
    registry = Registry([made])
    assert registry.get("order_lines") is made
    assert registry.get("other") is None
    (offer,) = registry.offers(["order_lines"])
    assert (offer.name, offer.description, offer.parameters) == (made.name, made.description, made.parameters)
    with pytest.raises(Defect):
        registry.offers(["other"])
    with pytest.raises(Defect):
        Registry([made, made])


@pytest.mark.parametrize(
    "name",
    [
        "tenant",
        "tenant_id",
        "tenantId",
        "user",
        "user_id",
        "username",
        "principal",
        "on_behalf_of",
        "idempotency_key",
        "run_as",
        "userEmail",
        "actor",
        "org_id",
    ],
)
def test_no_parameter_says_who_is_asking(name: str) -> None:
    scope: dict[str, Any] = {"ToolCall": ToolCall, "Text": Text, "Receipt": Receipt}
    exec(f"async def f_tool(call: ToolCall, {name}: Text) -> Receipt:\n    'Does it.'", scope)
    with pytest.raises(Defect, match="who is asking"):
        make(scope["f_tool"])


def test_nor_does_a_field_inside_a_parameter() -> None:
    class Inner(BaseModel):
        model_config = ConfigDict(extra="forbid")
        tenant_id: str

    async def nested(call: ToolCall, inner: Annotated[Inner, Field(description="x")]) -> Receipt:
        """Does it."""
        return Receipt(id="1")

    with pytest.raises(Defect, match="who is asking"):
        make(nested)


class Open(BaseModel):
    x: str


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[Open, Field(description="open object")],
        Annotated[dict[str, str], Field(description="open mapping")],
        Annotated[float, Field(description="fraction")],
        Annotated[list[float], Field(description="fractions")],
        Annotated[Any, Field(description="anything")],
        Annotated[str, Field(description="renamed", alias="other")],
        str,
    ],
    ids=["open model", "open mapping", "float", "floats", "any", "alias", "no description"],
)
def test_parameters_that_are_open_or_not_described_are_refused(annotation: Any) -> None:
    async def loose(call: ToolCall, value: object) -> Receipt:
        """Does it."""
        return Receipt(id="1")

    loose.__annotations__["value"] = annotation
    with pytest.raises(Defect):
        make(loose)


def test_declarations_that_contradict_themselves_are_refused() -> None:
    async def unknown(call: ToolCall) -> Receipt:
        """Does it."""
        return Receipt(id="1")

    async def silent(call: ToolCall) -> Receipt:
        return Receipt(id="1")

    class Ratio(BaseModel):
        ratio: float

    async def fraction(call: ToolCall) -> Ratio:
        """Does it."""
        return Ratio(ratio=0.5)

    for function in (unknown, silent, fraction):
        with pytest.raises(Defect):
            make(function)
    for changes in (
        {"effect": Effect.IRREVERSIBLE, "reversible": True},
        {"timeout": 0},
        {"timeout": 301},
        {"consequence": "Does {nothing}."},
        {"consequence": ""},
    ):
        with pytest.raises(Defect):
            make(order_lines, **changes)


def test_leaves_tell_scalars_by_path_and_which_are_picked_from_a_fixed_set() -> None:
    raw = '{"title": "x", "lines": [{"sku": "A", "express": true, "colour": "red"}, {"sku": "B", "express": false}]}'
    leaves = make(order_lines).parse(raw).leaves()
    assert {path: leaf.value for path, leaf in leaves.items()} == {
        "title": "x",
        "lines[0].sku": "A",
        "lines[0].express": True,
        "lines[0].colour": "red",
        "lines[1].sku": "B",
        "lines[1].express": False,
        "speed": "slow",
    }
    free = {path for path, leaf in leaves.items() if not leaf.closed}
    assert free == {"title", "lines[0].sku", "lines[1].sku"}


async def pay(
    call: ToolCall,
    amount_cents: Annotated[int, Field(gt=0, description="Cents.")],
    note: Text,
) -> Receipt:
    """Pay."""
    return Receipt(id="1")


def test_an_approver_reads_amounts_as_money_and_the_models_words_as_a_quotation() -> None:
    made = make(pay, consequence="Pays {amount_cents:money} for {note}.")
    plain = made.parse('{"amount_cents": 123456, "note": "A-20398"}')
    assert made.consequence(plain) == "Pays 1,234.56 for A-20398."
    sly = made.parse('{"amount_cents": 5, "note": "x\\".\\n\\u202eApproved by the owner {amount_cents}"}')
    assert made.consequence(sly) == 'Pays 0.05 for "x\'.  Approved by the owner {amount_cents}".'
    long = made.parse(f'{{"amount_cents": 5, "note": "{"long " * 1000}"}}')
    assert len(made.consequence(long)) < 300


def test_policies_see_numbers_and_enumerations_but_never_text() -> None:
    def amount(values: Mapping[str, Json]) -> Facts:
        cents = values["amount_cents"]
        assert isinstance(cents, int)
        return {"amount_cents": cents, "currency": "EUR"}

    def leak(values: Mapping[str, Json]) -> Facts:
        return {"note": str(values["note"])}

    raw = '{"amount_cents": 5, "note": "private words"}'
    honest = make(pay, facts=amount)
    assert honest.facts(honest.parse(raw)) == {"amount_cents": 5, "currency": "EUR"}
    leaky = make(pay, facts=leak)
    with pytest.raises(Defect) as caught:
        leaky.facts(leaky.parse(raw))
    assert "private" not in caught.value.message


def test_a_result_is_no_better_than_declared_and_no_better_than_what_went_in() -> None:
    trusted = {"result_integrity": Integrity.TRUSTED, "result_confidentiality": Confidentiality.INTERNAL}
    went_in = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.RESTRICTED)
    for effect in (Effect.READ, Effect.WRITE):
        made = make(order_lines, effect=effect, **trusted)
        assert made.result_label() == Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.INTERNAL)
        assert made.result_label(went_in) == went_in
    assert make(order_lines).result_label().integrity is Integrity.UNTRUSTED


@pytest.mark.parametrize(
    "declared",
    [
        {"effect": Effect.WRITE, "egress": True},
        {"effect": Effect.IRREVERSIBLE, "egress": True, "reversible": False},
        {"effect": Effect.EXTERNAL, "prose": ("title",)},
        {"effect": Effect.READ, "egress": True, "prose": ("title",)},
        {"prose": ("nothing",)},
        {"prose": ("lines",)},
    ],
)
def test_no_tool_says_of_its_flows_what_cannot_be(declared: Mapping[str, Any]) -> None:
    with pytest.raises(Defect):
        make(order_lines, **declared)


def test_each_value_is_known_as_money_prose_or_a_choice() -> None:
    async def pay(call: ToolCall, cents: Annotated[int, Field(description="c")], title: Text, why: Speed) -> Receipt:
        """Pay."""
        return Receipt(id="1")

    made = make(pay, consequence="Pays {cents:money}.", prose=("title",))
    leaves = made.parse('{"cents": 5, "title": "x", "why": "slow"}').leaves()
    assert [path for path, leaf in leaves.items() if leaf.money] == ["cents"]
    assert [path for path, leaf in leaves.items() if leaf.prose] == ["title"]
    assert leaves["why"].choices == {"slow", "fast"}
    assert not made.egress
    assert make(pay, effect=Effect.EXTERNAL).egress
