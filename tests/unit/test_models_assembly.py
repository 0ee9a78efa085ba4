"""An answer is the same wherever the network cut it."""

from collections.abc import Iterator
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unavailable
from models import Completion, ToolCall
from models.assembly import MAX_TOOL_CALLS, Assembly
from models.openai.events import MAX_EVENT_BYTES, Events
from models.wire import Wire


def chunk(delta: dict[str, Wire], finish: str | None = None) -> Wire:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def event(value: Wire) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def assemble(*chunks: Wire) -> Completion:
    assembly = Assembly()
    for item in chunks:
        assembly.add(item)
    return assembly.completion()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


calls = st.lists(
    st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=8), st.lists(st.text(max_size=12), max_size=4)),
    min_size=1,
    max_size=4,
)


@given(st.lists(st.text(max_size=20), max_size=5), calls, st.lists(st.integers(min_value=0), max_size=12))
def test_tool_calls_and_text_survive_any_chunk_boundaries(
    texts: list[str], proposed: list[tuple[str, str, list[str]]], places: list[int]
) -> None:
    pieces: list[Wire] = [chunk({"content": text}) for text in texts]
    for index, (id_, name, _) in enumerate(proposed):
        opening: Wire = {"index": index, "id": id_, "function": {"name": name, "arguments": ""}}
        pieces.append(chunk({"tool_calls": [opening]}))
    longest = max(len(arguments) for _, _, arguments in proposed)
    for turn in range(longest):
        more: list[Wire] = [
            {"index": index, "function": {"arguments": arguments[turn]}}
            for index, (_, _, arguments) in enumerate(proposed)
            if turn < len(arguments)
        ]
        pieces.append(chunk({"tool_calls": more}))
    pieces.append(chunk({}, "tool_calls"))
    stream = b"".join(event(piece) for piece in pieces) + b"data: [DONE]\n\n"

    assembly, events, shown = Assembly(), Events(), ""
    for network_chunk in cut(stream, places):
        for data in events.feed(network_chunk):
            shown += assembly.add(orjson.loads(data))

    assert events.done
    done = assembly.completion()
    assert shown == done.text == "".join(texts)
    assert done.tool_calls == tuple(ToolCall(id_, name, "".join(parts)) for id_, name, parts in proposed)


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=5))
def test_any_bytes_are_read_or_refused(data: bytes, places: list[int]) -> None:
    whole, split = Events(), Events()
    expected = whole.feed(data)
    assert [found for part in cut(data, places) for found in split.feed(part)] == expected


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "content", "tool_calls", "index", "id", "function", "arguments", "usage", "error"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def _contents(chunks: list[Wire]) -> Iterator[str]:
    for item in chunks:
        assert isinstance(item, dict)
        choices = item.get("choices") or []
        assert isinstance(choices, list)
        for choice in choices:
            assert isinstance(choice, dict)
            delta = choice.get("delta") or {}
            assert isinstance(delta, dict)
            text = delta.get("content") or ""
            assert isinstance(text, str)
            yield text


@given(st.lists(json, max_size=4))
def test_any_json_is_read_or_refused(chunks: list[Wire]) -> None:
    try:
        done = assemble(*chunks, chunk({}, "stop"))
    except Unavailable:
        return
    assert done.text == "".join(_contents(chunks))


def test_calls_that_share_a_number_are_told_apart_by_id() -> None:
    first: Wire = {"index": 0, "id": "a", "function": {"name": "one", "arguments": "{}"}}
    second: Wire = {"index": 0, "id": "b", "function": {"name": "two", "arguments": "{}"}}
    done = assemble(chunk({"tool_calls": [first]}), chunk({"tool_calls": [second]}), chunk({}, "stop"))
    assert done.tool_calls == (ToolCall("a", "one", "{}"), ToolCall("b", "two", "{}"))
    assert done.finish == "tool_calls"


def test_a_call_without_an_id_gets_one() -> None:
    call: Wire = {"function": {"name": "one", "arguments": "{}"}}
    assert assemble(chunk({"tool_calls": [call]}, "tool_calls")).tool_calls == (ToolCall("call_1", "one", "{}"),)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -1, "completion_tokens": 2}, {"prompt_tokens": "9"}, 5])
def test_usage_that_cannot_be_read_counts_as_none(usage: Wire) -> None:
    done = assemble({"choices": [], "usage": usage}, chunk({"content": "hi"}, "stop"))
    assert done.usage is None


def test_an_answer_cannot_fill_the_memory() -> None:
    with pytest.raises(Unavailable):
        assemble(*([chunk({"content": "x" * 100_000})] * 100))
    with pytest.raises(Unavailable):
        assemble(*(chunk({"tool_calls": [{"index": number}]}) for number in range(MAX_TOOL_CALLS + 1)))
    with pytest.raises(Unavailable):
        Events().feed(b"data: " + b"x" * MAX_EVENT_BYTES)


def test_an_answer_without_an_end_is_refused() -> None:
    with pytest.raises(Unavailable):
        assemble(chunk({"content": "The refund is "}))
