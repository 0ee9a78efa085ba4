"""Forms with files: read into memory, whatever their size."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from core.errors import BadRequest

FORM_WITH_FILES = "multipart/form-data"

_LONGEST_FIELD = 10_000


@asynccontextmanager
async def form_with_files(request: Request, *, files: int, fields: int) -> AsyncGenerator[FormData]:
    """Read a form. Its size is bounded by `BodyLimit`.

    Raises:
        BadRequest: it cannot be read, or holds more than `files` and `fields`.
    """
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=files, max_fields=fields, max_part_size=_LONGEST_FIELD
    )
    parser.spool_max_size = sys.maxsize  # else it would be written to a disk that nobody erases
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError):
        raise BadRequest("The form cannot be read, or holds more than it may.") from None
    try:
        yield form
    finally:
        await form.close()
