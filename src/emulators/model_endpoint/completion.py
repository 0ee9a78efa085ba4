"""An answer on its way out, whole or as server-sent events. Both formats write it alike."""

import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from emulators.model_endpoint.stand_in import Reply
from emulators.model_endpoint.wire import ChatRequest

_CHARACTERS_PER_TOKEN = 4
_WORDS_PER_PIECE = 5


_Object: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Call:
    id: str
    function: dict[str, str]


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer on its way out."""

    request: ChatRequest
    reply: Reply
    marks: Mapping[str, str]
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self) -> bytes:
        """Return the answer as one JSON document."""
        text, reason = self._ending()
        message: _Object = {"role": "assistant", "content": text or None}
        if self.reply.calls:
            message["tool_calls"] = [{"id": c.id, "type": "function", "function": c.function} for c in self._calls()]
        choice: _Object = {"index": 0, "message": message, "finish_reason": reason}
        return orjson.dumps(self._document("chat.completion", [choice]) | {"usage": self._usage(text)})

    def pieces(self) -> list[bytes]:
        """Return the answer as server-sent events: the role, words or calls, the reason, perhaps the usage."""
        text, reason = self._ending()
        deltas: list[_Object] = [{"role": "assistant", "content": ""}]
        deltas += [_Object(content=piece) for piece in _pieces(text)]
        for i, call in enumerate(self._calls()):
            deltas += _call_pieces(i, call)
        events = [self._piece({"index": 0, "delta": delta, "finish_reason": None}) for delta in deltas]
        usage: _Object = {"usage": self._usage(text)}
        last = usage if self.request.usage == "last" else {}
        events.append(self._piece({"index": 0, "delta": {}, "finish_reason": reason}, **last))
        if self.request.usage == "apart":
            events.append(self._piece(**usage))
        return [*events, b"data: [DONE]\n\n"]

    def _piece(self, *choices: _Object, **more: object) -> bytes:
        return b"data: " + orjson.dumps(self._document("chat.completion.chunk", choices) | more) + b"\n\n"

    def _ending(self) -> tuple[str, str]:
        """Return the text within the limits asked for, and why it ends."""
        if self.reply.calls:
            return self.reply.text, "tool_calls"
        text = self.reply.text
        for stop in self.request.stop:
            text = text.partition(stop)[0] if stop else text
        most = self.request.most_tokens
        if most is not None and tokens(text) > most:
            return text[: most * _CHARACTERS_PER_TOKEN], "length"
        return text, "stop"

    def _calls(self) -> list[_Call]:
        return [
            _Call(id=f"call_{self.id[-20:]}{i}", function={"name": call.name, "arguments": call.arguments})
            for i, call in enumerate(self.reply.calls)
        ]

    def _document(self, kind: str, choices: Sequence[_Object]) -> _Object:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.request.model,
            "choices": choices,
            **self.marks,
        }

    def _usage(self, text: str) -> dict[str, int]:
        conversation = self.request.conversation
        read = sum(tokens(m.text) + sum(tokens(c.name + c.arguments) for c in m.calls) for m in conversation.messages)
        read += sum(tokens(t.name + t.description) + _size(t.parameters) for t in conversation.tools)
        written = tokens(text) + sum(tokens(call.name + call.arguments) for call in self.reply.calls)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def tokens(text: str) -> int:
    """Return how many tokens `text` counts for: one for every four characters begun."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def _size(parameters: Mapping[str, object]) -> int:
    return math.ceil(len(orjson.dumps(parameters)) / _CHARACTERS_PER_TOKEN)


def _pieces(text: str) -> list[str]:
    """Cut `text` after every few words; joined again the pieces are the text."""
    words = text.split(" ")
    groups = [words[i : i + _WORDS_PER_PIECE] for i in range(0, len(words), _WORDS_PER_PIECE)]
    pieces = [" ".join(group) for group in groups]
    return [piece + " " for piece in pieces[:-1]] + pieces[-1:] if text else []


def _call_pieces(index: int, call: _Call) -> list[_Object]:
    """Announce a call and send its arguments after it, as real endpoints do."""
    announced = {"index": index, "id": call.id, "type": "function", "function": call.function | {"arguments": ""}}
    arguments = {"index": index, "function": {"arguments": call.function["arguments"]}}
    return [{"tool_calls": [announced]}, {"tool_calls": [arguments]}]
