"""A document in a request: as JSON, as the body itself, or as a file of a form. Its name and type are not believed."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, StringConstraints, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from core.errors import TooLarge
from interaction.answers import Given
from interaction.parameters import CollectionName
from orchestration import ANYTHING, MARKDOWN, MEDIA_TYPES
from reading import cleaned
from web import FORM_WITH_FILES, form_with_files

MAX_FILES = 20
"""Files that one form of the console may bring."""

MAX_FILE = 10_000_000
"""Bytes of a file."""

MAX_BODY = MAX_FILE + 100_000
"""Bytes of a request that brings one."""

UPLOAD_PATH = "/knowledge/upload"
"""Where the console's form brings files, if there is no script."""

DEFAULT_COLLECTION = "inbox"
FILE_TYPES = (MARKDOWN, *MEDIA_TYPES.values())

_LONGEST_TITLE = 200
_KNOWN_AS = {"": ANYTHING, "text/x-markdown": MARKDOWN}

Title = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_TITLE, pattern=r"^[^\x00-\x1f\x7f]*$")]


class NewDocument(Given):
    """A document in Markdown or plain text."""

    collection: CollectionName = Field(examples=["policies"])
    title: Title
    text: Annotated[str, StringConstraints(min_length=1, max_length=1_900_000, pattern=r"^[^\x00]*$")]


class FileForm(Given):
    """What a form says besides the file. Without a title it is the file's own, else its name."""

    collection: CollectionName = DEFAULT_COLLECTION
    title: Title | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came. `media_type` is what the sender says that it is, `name` what it was called, cleaned."""

    collection: str
    title: str | None
    name: str
    media_type: str
    data: bytes


def request_body() -> dict[str, Any]:
    """Return how a request that brings a document is described."""
    form = FileForm.model_json_schema()
    form["properties"]["file"] = {"type": "string", "format": "binary"}
    file = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
    text = {"schema": {"type": "string", "minLength": 1, "pattern": r"^[^\x00]*$"}}
    content = {media_type: text if media_type.startswith("text/") else file for media_type in (*FILE_TYPES, ANYTHING)}
    content |= {
        "application/json": {"schema": NewDocument.model_json_schema()},
        "multipart/form-data": {"schema": {**form, "required": ["file"]}},
    }
    return {"requestBody": {"required": True, "content": content}}


async def new_document(
    request: Request,
    collection: Annotated[
        CollectionName, Query(description="For a file as the body: where it goes.")
    ] = DEFAULT_COLLECTION,
    title: Annotated[Title | None, Query(description="For a file as the body: its title; else its own.")] = None,
) -> NewDocument | Upload:
    """Dependency: the document in the body, whichever of its forms it has."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if media_type == "application/json":
            return NewDocument.model_validate_json(await request.body())
        if media_type == FORM_WITH_FILES:
            return await _form(request)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found]) from None
    return upload_of(collection, title, "", media_type, await request.body())


async def _form(request: Request) -> Upload:
    async with form_with_files(request, files=1, fields=2) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RequestValidationError([{"type": "missing", "loc": ("body", "file"), "msg": "Field required"}])
        said = FileForm.model_validate({name: value for name, value in form.multi_items() if name != "file"})
        media_type = (file.content_type or "").partition(";")[0].strip().lower()
        return upload_of(said.collection, said.title, file.filename or "", media_type, await file.read())


def upload_of(collection: str, title: str | None, name: str, media_type: str, data: bytes) -> Upload:
    """Return a file as it came.

    Raises:
        HTTPException: 415, for what nothing here reads.
        TooLarge: it has more than `MAX_FILE` bytes.
        RequestValidationError: it is empty.
    """
    declared = _KNOWN_AS.get(media_type, media_type)
    if declared not in (*FILE_TYPES, ANYTHING):
        raise HTTPException(415)
    if len(data) > MAX_FILE:
        raise TooLarge(f"A document may have {MAX_FILE:,} bytes at most. Split it into several.")
    if not data:
        raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "The document is empty"}])
    return Upload(collection, title, _plain_name(name), declared, data)


def _plain_name(name: str) -> str:
    """Return a file's name without folders and ending, as a title that says no more than it shows."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    printable = "".join(c if c.isprintable() else " " for c in cleaned(stem))
    return re.sub(r"\s+", " ", printable).strip()[:_LONGEST_TITLE]
