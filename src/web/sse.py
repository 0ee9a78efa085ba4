"""Server-sent events, both ends: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

import asyncio
import codecs
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from core.errors import BadRequest, Defect, Unavailable

HEARTBEAT_SECONDS = 15.0
_HEARTBEAT = b":\n\n"
_LINE_END = re.compile(rb"\r\n|\r|\n")
_FIELD_BREAKS = frozenset("\r\n\0")
_MAX_EVENT = 4_000_000
_EVENT_ID = re.compile(r"[0-9]{1,12}", re.ASCII)


def event_bytes(*, data: bytes, event: str | None = None, id: str | None = None) -> bytes:  # noqa: A002 - its name in the standard
    """Return one event as it goes over the wire; `data` is UTF-8 and may have any number of lines.

    Raises:
        Defect: `event` or `id` has a line break or NUL in it.
    """
    head = ""
    for name, value in (("event", event), ("id", id)):
        if value is not None:
            if not _FIELD_BREAKS.isdisjoint(value):
                raise Defect(f"the {name} of a server-sent event must be a single line")
            head += f"{name}: {value}\n"
    lines = _LINE_END.split(data) if b"\n" in data or b"\r" in data else [data]  # JSON has no line breaks in it
    return b"%sdata: %s\n\n" % (head.encode(), b"\ndata: ".join(lines))


class EventStreamResponse(StreamingResponse):
    """A response of server-sent events, with a comment whenever nothing was sent for a while so that proxies wait.

    Args:
        events: what to send, each piece whole events; closed when the client goes away.
        heartbeat: seconds of silence before a comment is sent.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], *, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events
        self._heartbeat = heartbeat
        self._sent_at = 0.0

    async def stream_response(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        beating: list[asyncio.Task[None]] = []
        # A stream that is never silent for so long costs a timer, not a task.
        silence = loop.call_later(self._heartbeat, lambda: beating.append(loop.create_task(self._beat(send))))

        def stop() -> None:
            silence.cancel()
            for task in beating:
                task.cancel()

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                stop()
            self._sent_at = loop.time()
            await send(message)

        try:
            async with aclosing(self._events):
                await super().stream_response(noting)
        finally:
            stop()

    async def _beat(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._sent_at + self._heartbeat - loop.time())
            if loop.time() - self._sent_at >= self._heartbeat:
                self._sent_at = loop.time()
                try:
                    await send({"type": "http.response.body", "body": _HEARTBEAT, "more_body": True})
                except OSError:
                    return  # the client is gone; the next event finds that out as well


def parse_last_event_id(header: str | None) -> int:
    """Return the sequence number after which to go on: 0 without a header.

    Raises:
        BadRequest: it is not an id that we gave (`request.last_event_id`).
    """
    if header is None:
        return 0
    if not _EVENT_ID.fullmatch(header):
        message = "Last-Event-ID is not an event id of this stream. Send the id of the last event you got, or none."
        raise BadRequest(message, code="request.last_event_id")
    return int(header)


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One received event. `id` is the last one seen so far, as the standard has it; empty if there was none."""

    event: str
    id: str
    data: str


async def read_events(chunks: AsyncIterable[bytes]) -> AsyncIterator[ServerEvent]:
    """Parse a stream of server-sent events, however it is cut into chunks; an unfinished last event is dropped.

    Raises:
        Unavailable: one event is larger than 4 MB (`dependency.stream`).
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    lines, parser = _Lines(), _Parser()
    async for chunk in chunks:
        for line in lines.feed(decoder.decode(chunk)):
            event = parser.take(line)
            if event is not None:
                yield event
        if lines.size + parser.size > _MAX_EVENT:
            raise Unavailable("The stream holds an event that is too large to read.", code="dependency.stream")


class _Lines:
    """Cuts text into lines at CRLF, LF or CR, where a CRLF may be cut in two."""

    def __init__(self) -> None:
        self._unfinished: list[str] = []
        self._after_cr = False
        self.size = 0

    def feed(self, text: str) -> Iterator[str]:
        if self._after_cr and text:
            text = text.removeprefix("\n")
            self._after_cr = False
        if not text:
            return
        self._after_cr = text[-1] == "\r"
        first, *others = re.split("\r\n|\r|\n", text)
        self._unfinished.append(first)
        self.size += len(first)
        for following in others:
            yield "".join(self._unfinished)
            self._unfinished = [following]
            self.size = len(following)


class _Parser:
    """Collects the fields of one event until the blank line that ends it."""

    def __init__(self) -> None:
        self._event = ""
        self._id = ""
        self._data: list[str] = []
        self.size = 0

    def take(self, line: str) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
                self.size += len(value) + 1
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case _:
                pass  # a comment, `retry`, or a field of the future
        return None

    def _dispatch(self) -> ServerEvent | None:
        event = ServerEvent(self._event or "message", self._id, "\n".join(self._data)) if self._data else None
        self._event, self._data, self.size = "", [], 0
        return event
