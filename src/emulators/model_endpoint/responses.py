"""Answers as they go onto the wire, with the faults that strike in their middle."""

import asyncio
from collections.abc import Mapping, Sequence

import orjson
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from emulators.model_endpoint.faults import Fault


def json_response(
    document: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return `document` as JSON; numpy arrays in it become lists."""
    data = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(data, status, headers, "application/json")


class PiecewiseResponse(StreamingResponse):
    """An answer sent piece by piece, each as soon as the one before it is out.

    A `stall-mid` waits after the second piece, which holds the first words; a `drop` ends there without the end of
    the message, at which the server closes the connection.
    """

    def __init__(self, pieces: Sequence[bytes], fault: Fault, *, media_type: str) -> None:
        super().__init__(pieces, 200, {"cache-control": "no-store"}, media_type)
        self._pieces = pieces
        self._fault = fault

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for i, piece in enumerate(self._pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if i == 1:
                await asyncio.sleep(self._fault.stall_mid)
                if self._fault.drop:
                    return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
