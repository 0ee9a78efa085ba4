"""The opaque cursors of lists: where the last page ended."""

import base64

import orjson
from pydantic import TypeAdapter

from core.errors import BadRequest

_LAST = TypeAdapter(list[str])


def encode_cursor(*last: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(last)).decode()


def decode_cursor(cursor: str, length: int) -> list[str]:
    """Return the `length` strings that the cursor was made of.

    Raises:
        BadRequest: it is none of ours.
    """
    try:
        parts = _LAST.validate_json(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except ValueError:  # of base64, of JSON, or of what is in it
        parts = []
    if len(parts) != length:
        raise BadRequest("This cursor is not one that a list gave; start again without it.", code="request.cursor")
    return parts
