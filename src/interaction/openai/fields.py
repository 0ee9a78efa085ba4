"""Fields of OpenAI's requests: what is taken, what is ignored, what is refused, each described as it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, JsonValue, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

TEXT_PATTERN = r"^[^\x00]*$"

Ignored = Annotated[JsonValue, Field(description="Taken and ignored.")]
"""A wish about style or transport that an agent does not follow, and that changes nothing that a client relies on."""


@dataclass(frozen=True, slots=True)
class Only:
    """Annotation: a field that may say nothing but what holds anyway; anything else is refused, with the reason."""

    values: tuple[JsonValue, ...]
    because: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, JsonValue]:
        return {"enum": list(self.values), "description": self.because}

    def _check(self, value: JsonValue) -> JsonValue:
        if any(type(value) is type(allowed) and value == allowed for allowed in self.values):
            return value
        raise PydanticCustomError("refused", "{because}", {"because": self.because})


NoTools = Annotated[JsonValue, Only((None, []), "An agent has its own tools. Leave this out.")]
NoToolChoice = Annotated[JsonValue, Only((None, "none"), "An agent has its own tools. Leave this out, or say `none`.")]
NoLogprobs = Annotated[JsonValue, Only((None, False), "An agent gives no log probabilities. Leave this out.")]
NoTopLogprobs = Annotated[JsonValue, Only((None, 0), "An agent gives no log probabilities. Leave this out.")]
OneChoice = Annotated[JsonValue, Only((None, 1), "An agent gives one answer.")]
PlainText = Annotated[JsonValue, Only((None, {"type": "text"}), "An agent answers in plain text, in no other format.")]
TextAlone = Annotated[JsonValue, Only((None, ["text"]), "An agent answers in text alone.")]
Nothing = Annotated[JsonValue, Only((None,), "This does not exist here, and the answer would differ. Leave it out.")]

_TEXT_PARTS = ("text", "input_text", "output_text")
_NO_TEXT = PydanticCustomError(
    "text_only", "Only text can be sent. Leave out images, sound, files and the character NUL."
)


def _joined(content: object) -> str:
    """Return a message's content, be it text or a list of parts of text, as one text."""
    if content is None:
        return ""
    parts = cast("list[object]", content) if isinstance(content, list) else [content]
    text = "\n".join(part if isinstance(part, str) and not isinstance(content, list) else _part(part) for part in parts)
    if "\x00" in text:
        raise _NO_TEXT
    return text


def _part(part: object) -> str:
    if isinstance(part, Mapping):
        known = cast("Mapping[str, object]", part)
        text = known.get("text")
        if known.get("type") in _TEXT_PARTS and isinstance(text, str):
            return text
    raise _NO_TEXT


_STRING: dict[str, JsonValue] = {"type": "string", "pattern": TEXT_PATTERN}

Text = Annotated[
    str,
    BeforeValidator(_joined),
    WithJsonSchema(
        {
            "anyOf": [
                _STRING,
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["type", "text"],
                        "properties": {"type": {"enum": [*_TEXT_PARTS]}, "text": _STRING},
                    },
                },
                {"type": "null"},
            ]
        }
    ),
]
"""A message's content: text, or parts that are text."""
