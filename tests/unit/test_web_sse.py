"""Events arrive as they were sent, however the network cuts them."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadRequest, Defect, Unavailable
from web import EventStreamResponse, ServerEvent, event_bytes, parse_last_event_id, read_events

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LINES = st.text(st.sampled_from("aé🙂 :\n\r"), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1, max_size=10)
EVENTS = st.lists(st.tuples(TEXT | LINES, NAMES, NAMES), max_size=5)


def read(chunks: Sequence[bytes]) -> list[ServerEvent]:
    async def source() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> list[ServerEvent]:
        return [event async for event in read_events(source())]

    return asyncio.run(collect())


def cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(min(i, len(data)) for i in at), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(EVENTS, st.lists(st.integers(0, 400), max_size=20))
def test_what_is_sent_is_read_at_any_chunking(events: list[tuple[str, str, str]], at: list[int]) -> None:
    wire = b"".join(event_bytes(data=data.encode(), event=name, id=key) for data, name, key in events)
    expected = [ServerEvent(name, key, one_line_end(data)) for data, name, key in events]
    assert read(cut(wire, at)) == expected


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=20))
def test_chunking_makes_no_difference_even_for_noise(noise: bytes, at: list[int]) -> None:
    assert read(cut(noise, at)) == read([noise])


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_the_standards_examples(end: str, size: int) -> None:
    lines = [
        "\ufeff: a comment",
        "data: first event",
        "id: 1",
        "",
        "data:second event",
        "id",
        "",
        "event: add",
        "data",
        "data",
        "retry: 10",
        "unknown: field",
        "",
        "event: nothing, for it has no data",
        "",
        "data:  third event",
        "",
        "data: never finished",
    ]
    wire = end.join(lines).encode()
    assert read([wire[i : i + size] for i in range(0, len(wire), size)]) == [
        ServerEvent("message", "1", "first event"),
        ServerEvent("message", "", "second event"),
        ServerEvent("add", "", "\n"),
        ServerEvent("message", "", " third event"),
    ]


def test_the_wire_form() -> None:
    assert event_bytes(data=b"a\r\nb\rc\nd", event="delta", id="7") == (
        b"event: delta\nid: 7\ndata: a\ndata: b\ndata: c\ndata: d\n\n"
    )
    assert event_bytes(data=b"") == b"data: \n\n"


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\0b"])
def test_a_field_cannot_smuggle_in_another(name: str) -> None:
    with pytest.raises(Defect):
        event_bytes(data=b"x", event=name)
    with pytest.raises(Defect):
        event_bytes(data=b"x", id=name)


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 1000 + b"\n", b"x" * 1000])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    with pytest.raises(Unavailable):
        read([piece] * 5000)


def test_the_last_event_id() -> None:
    assert parse_last_event_id(None) == 0
    assert parse_last_event_id("17") == 17


@pytest.mark.parametrize("header", ["", "x", "-1", "1.5", "\u0661", "1 ", "9" * 13])
def test_nonsense_as_last_event_id_is_told(header: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_last_event_id(header)
    assert caught.value.code == "request.last_event_id"


class Wire:
    """The server's side of one response."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def serve(self, response: EventStreamResponse) -> None:
        await response({"type": "http", "asgi": {"spec_version": "2.3"}}, self.receive, self.send)

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.sent)


async def test_silence_is_filled_with_comments_that_readers_skip() -> None:
    async def slow() -> AsyncGenerator[bytes, None]:
        yield event_bytes(data=b"1")
        await asyncio.sleep(0.2)
        yield event_bytes(data=b"2")

    wire = Wire()
    await wire.serve(EventStreamResponse(slow(), heartbeat=0.05))
    assert wire.body.count(b":\n\n") >= 2
    assert wire.body.startswith(b"data: 1\n\n:\n\n")
    assert wire.body.endswith(b"data: 2\n\n")
    assert wire.sent[-1]["more_body"] is False
    count = len(wire.sent)
    await asyncio.sleep(0.12)
    assert len(wire.sent) == count


async def test_the_source_is_closed_when_the_client_goes() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield event_bytes(data=b"x")
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    class Leaving(Wire):
        async def receive(self) -> dict[str, Any]:
            await asyncio.sleep(0.02)
            return {"type": "http.disconnect"}

    await Leaving().serve(EventStreamResponse(endless()))
    assert closed.is_set()
