"""The events of a streamed `/responses`, in the order and with the names that OpenAI's clients parse."""

from collections.abc import Iterator

import orjson
from pydantic import BaseModel, JsonValue

from core import RunId
from core.errors import MandateError
from interaction.openai.responses import (
    OutputText,
    ResponseTold,
    message_of,
)
from web import event_bytes

_ENDS = {"completed": "response.completed", "failed": "response.failed"}


class ResponseEvents:
    """The events of one answer, as the bytes of an event stream; they are numbered from 0."""

    def __init__(self, run: RunId, begun: ResponseTold) -> None:
        self._run = run
        self._number = 0
        self._begun = begun
        self._item: dict[str, JsonValue] = {"item_id": message_of(run, "in_progress").id, "output_index": 0}
        self._part: dict[str, JsonValue] = {**self._item, "content_index": 0}

    def begin(self) -> bytes:
        response, item = _told(self._begun), _told(message_of(self._run, "in_progress"))
        empty = _told(OutputText(text="", annotations=[]))
        return b"".join(
            [
                self._event("response.created", response=response),
                self._event("response.in_progress", response=response),
                self._event("response.output_item.added", output_index=0, item=item),
                self._event("response.content_part.added", **self._part, part=empty),
            ]
        )

    def piece(self, text: str) -> bytes:
        return self._event("response.output_text.delta", **self._part, delta=text, logprobs=[])

    def end(self, response: ResponseTold) -> bytes:
        """Return what follows the text: citations, each part closed, and the answer as a whole."""
        item = response.output[0]
        part = item.content[0]
        return b"".join(
            [
                *self._annotations(part),
                self._event("response.output_text.done", **self._part, text=part.text, logprobs=[]),
                self._event("response.content_part.done", **self._part, part=_told(part)),
                self._event("response.output_item.done", output_index=0, item=_told(item)),
                self._event(_ENDS.get(response.status, "response.incomplete"), response=_told(response)),
            ]
        )

    def failed(self, error: MandateError) -> bytes:
        """Return what tells that the stream, not the run, broke."""
        return self._event("error", code=error.code, message=error.message, param=None)

    def _annotations(self, part: OutputText) -> Iterator[bytes]:
        for number, annotation in enumerate(part.annotations):
            yield self._event(
                "response.output_text.annotation.added",
                **self._part,
                annotation_index=number,
                annotation=_told(annotation),
            )

    def _event(self, kind: str, **fields: JsonValue) -> bytes:
        data = orjson.dumps({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        return event_bytes(event=kind, data=data)


def _told(model: BaseModel) -> dict[str, JsonValue]:
    return model.model_dump(mode="json")
