"""The opaque cursors of lists: where the last page ended."""

import base64
import binascii

import orjson

from core.errors import BadRequest


def encode_cursor(*last: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(last)).decode()


def decode_cursor(cursor: str, length: int) -> list[str]:
    """Return the `length` strings that the cursor was made of.

    Raises:
        BadRequest: it is none of ours.
    """
    try:
        value: object = orjson.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        value = None
    parts = [part for part in value if isinstance(part, str)] if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] - JSON from outside, narrowed here
    if len(parts) != length:
        raise BadRequest("This cursor is not one that a list gave; start again without it.", code="request.cursor")
    return parts
