"""Server-sent events by bytes, as far as chat streams use them: one line of JSON for each event."""

from models.faults import malformed

MAX_EVENT_BYTES = 1_000_000
MAX_STREAM_BYTES = 64_000_000


class Events:
    """Cuts a byte stream into the data of its events, wherever the network cut it.

    Attributes:
        done: whether the stream has said that it is finished.
    """

    def __init__(self) -> None:
        self.done = False
        self._rest = b""
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that `chunk` completes; nothing after the stream has said it is finished.

        Raises:
            Unavailable: an event or the stream is too large.
        """
        self._size += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES or self._size > MAX_STREAM_BYTES:
            raise malformed()
        found: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                data = line[5:].strip()
                if data == b"[DONE]":
                    self.done = True
                    break
                found.append(data)
        return found
