"""What a permit for a model call covers."""

from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from models import ChatRequest, EmbedRequest, Message, ToolCall, ToolOffer, estimate_tokens

TOOL = ToolOffer("refund", "Pays back.", {"type": "object", "properties": {"sum": {"type": "number", "maximum": 9.5}}})


def request(*, text: str = "hello", tools: tuple[ToolOffer, ...] = (TOOL,), limit: int = 100) -> ChatRequest:
    return ChatRequest("chat", (Message("system", "Be kind."), Message("user", text)), tools, limit)


def test_equal_requests_have_one_fingerprint() -> None:
    assert request().fingerprint() == request().fingerprint()
    assert len(request().fingerprint()) == 64


def test_the_order_of_keys_in_a_schema_does_not_matter() -> None:
    turned = ToolOffer("refund", "Pays back.", MappingProxyType(dict(sorted(TOOL.parameters.items(), reverse=True))))
    assert request(tools=(turned,)).fingerprint() == request().fingerprint()


def test_any_change_is_another_request() -> None:
    proposed = Message("assistant", "", tool_calls=(ToolCall("1", "refund", '{"sum": 1}'),))
    variants = [
        request(),
        request(text="hello!"),
        request(tools=()),
        request(limit=101),
        ChatRequest("chat-small", request().messages, (TOOL,), 100),
        ChatRequest("chat", (*request().messages, proposed), (TOOL,), 100),
        ChatRequest("chat", (*request().messages, Message("tool", "", tool_call_id="1")), (TOOL,), 100),
    ]
    assert len({variant.fingerprint() for variant in variants}) == len(variants)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_texts_cannot_be_shifted_between_places(one: list[str], other: list[str]) -> None:
    same = (
        EmbedRequest("embed", tuple(one), "query").fingerprint()
        == EmbedRequest("embed", tuple(other), "query").fingerprint()
    )
    assert same == (one == other)


def test_a_question_is_not_a_passage() -> None:
    assert (
        EmbedRequest("embed", ("a",), "query").fingerprint() != EmbedRequest("embed", ("a",), "passage").fingerprint()
    )


def test_estimates_err_on_the_high_side() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("four words of English") >= 5
    assert request().estimated_tokens > estimate_tokens("Be kind. hello")
